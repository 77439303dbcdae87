"""How many clips are named from features that an encrypted front end can compute?

    python accuracy.py MUSIC NOISE OUT [--draws 3] [--settings NAME ...]

MUSIC and NOISE are folders of sound, of which tracks of 25 seconds and more and noises of 4 are taken. The front is that of the crate `sordino-model`,
module `raw`, on the same integers; what tables get wrong is drawn as a normal number. Learning is plain: standardise, whiten, project, one row a track.
OUT/rows.csv has a line for every setting and condition, OUT/folds.csv the share of energies beyond the end of a table. Needs NumPy and the package `sordino`.
"""

import argparse
import csv
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import sordino

RATE = 8_000
TRACK = 25 * RATE
NOISE = 10 * RATE
CLIPS = 24
DIRECTIONS = 96
RIDGE = 1e-3
CONDITIONS = {"clean": None, "10dB": 10, "5dB": 5, "0dB": 0}


@dataclass(frozen=True)
class Spec:
    """Constants of the front: see `RawSpec`."""

    emphasis: float = 0.9
    cell: int = 3_840
    cells: int = 20
    sample_max: int = 31
    clip: float = 4.0
    taps: int = 256
    bands: int = 32
    product_log2: int = 30
    headroom_db: float = 12.0
    bend_db: float = 12.0
    level_bits: int = 5
    lags: tuple = (1, 4)
    # Deviation of what the keyswitch and the modulus switch add before a table, as a share of what a band can hold. Without it, no noise at all.
    table_noise: float = 0.0023
    # Whether quiet bands are taken from samples that are made larger.
    scaled: bool = True
    # Rows of integers up to this on the features, and the noise of an encrypted decision; without it, floating point.
    row_max: int = 0
    # One unit of a feature on the torus, and the noise of what comes out of a table, as base-2 logarithms.
    unit: float = 0
    output: float = 0

    @property
    def samples(self):
        return self.cell * self.cells

    @property
    def rotations(self):
        """Blind rotations of the front: levels twice, differences once."""
        return self.bands * (2 * self.cells + sum(self.cells - lag for lag in self.lags))


# Base-2 logarithms, on a torus of 2^64: a quarter of it, what a match gets wrong, and what comes out of a table whose rotation has one digit of 23 bits, as
# comparisons have, or two of 15.
QUARTER, MATCH, ONE_DIGIT, TWO_DIGITS = 62, 54.1, 49.7, 41.6

# Of the samples' ciphertexts: ring degree, and variance of a fresh one.
RING, FRESH = 4_096, 21.5

BASE = Spec()
# What `train --raw` makes, with rows of floating-point numbers.
TRAINED = replace(BASE, bands=64, emphasis=0.0, headroom_db=18.0)


def integers(spec, output=TWO_DIGITS):
    """The same with rows of integers, and all noise of the decision."""
    return replace(spec, row_max=127, unit=45 if output == TWO_DIGITS else 50, output=output)


SETTINGS = {
    "default": BASE,
    "without table noise": replace(BASE, table_noise=0.0),
    "4-bit samples": replace(BASE, sample_max=7),
    "8-bit samples": replace(BASE, sample_max=127),
    "no emphasis": replace(BASE, emphasis=0.0),
    "4-bit levels": replace(BASE, level_bits=4),
    "24 bands": replace(BASE, bands=24),
    "48 bands": replace(BASE, bands=48),
    "10 cells of a second": replace(BASE, cells=10, cell=7_680),
    "differences over 1": replace(BASE, lags=(1,)),
    "over 1, 2 and 4": replace(BASE, lags=(1, 2, 4)),
    "no differences": replace(BASE, lags=()),
    "rows of integers, one digit": integers(BASE, ONE_DIGIT),
    "rows of integers, two digits": integers(BASE),
    "48 bands, no emphasis, two digits": integers(replace(BASE, bands=48, emphasis=0.0)),
    "64 bands, no emphasis, two digits": integers(replace(TRAINED, headroom_db=12.0)),
    **{f"the same, {db} dB of headroom": integers(replace(TRAINED, headroom_db=float(db))) for db in (15, 18, 21)},
    "the same, 18 dB, one scale": integers(replace(TRAINED, scaled=False)),
}


class Front:
    def __init__(self, spec, sounds):
        self.spec = spec
        self.random = np.random.default_rng(0)
        responses = self.responses()
        # What a band holds on average, as the library sounds: geometric means, so that a loud track does not set them.
        power = spec.cell * (spec.sample_max / spec.clip) ** 2
        energies = self.correlations(self.rounded(sounds)) @ responses.T / power
        self.reference = np.exp(np.log(np.maximum(energies, 1e-7)).mean((0, 1)))
        full = 2 ** (spec.product_log2 - 1)
        gain = full / 10 ** (spec.headroom_db / 10) / (self.reference * power)
        bits = np.clip(np.log2(responses[:, 0] * gain / 16), 0, 24) // 4 * 4
        scale = 2 ** bits[:, None] if spec.scaled else 1
        lags = np.round(responses * gain[:, None] / scale)
        self.weights = lags * scale
        # Of energies, by docs/raw-audio.md: t (e k' + e' k), through the weights; at lag 0 both are one number.
        product = 2 * RING * FRESH * (1 + RING / 2) / 12 * 4.0**spec.product_log2
        energy = np.sqrt(((lags**2).sum(1) + lags[:, 0] ** 2) * product) / 2**63
        self.deviation = np.hypot(spec.table_noise, energy) if spec.table_noise else 0 * energy
        # The share of energies that are beyond what a band can hold, and fold back.
        self.beyond = float((energies * power * gain >= full).mean())
        bend = 10 ** (-(spec.headroom_db + spec.bend_db) / 10)
        steps = np.arange(1, 2**spec.level_bits) / 2**spec.level_bits
        self.bounds = np.round(bend * ((1 + 1 / bend) ** steps - 1) * full)
        self.full = full

    def responses(self):
        """How every band answers to every lag, shape (bands, taps)."""
        s, points = self.spec, 4_096
        mel, hz = lambda f: 2595 * np.log10(1 + f / 700), lambda m: 700 * (10 ** (m / 2595) - 1)
        edges = hz(np.linspace(mel(60), mel(4_000), s.bands + 2))
        f = np.arange(points // 2 + 1) * RATE / points
        left, middle, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
        heights = np.maximum(0, np.minimum((f - left) / (middle - left), (right - f) / (right - middle)))
        heights /= heights.sum(1, keepdims=True)
        lags = np.arange(s.taps)
        rows = heights @ np.cos(2 * np.pi * np.outer(np.arange(points // 2 + 1), lags) / points)
        rows *= 0.5 + 0.5 * np.cos(np.pi * lags / s.taps)
        rows[:, 1:] *= 2
        return rows

    def rounded(self, sounds):
        """Samples as small integers, shape (n, samples)."""
        s = self.spec
        x = sounds.astype(np.float64)
        x = np.concatenate([(1 - s.emphasis) * x[:, :1], x[:, 1:] - s.emphasis * x[:, :-1]], 1)
        x *= s.sample_max / s.clip / np.sqrt((x**2).mean(1, keepdims=True) + 1e-14)
        return np.clip(np.round(x), -s.sample_max, s.sample_max)

    def correlations(self, x):
        """Autocorrelations, shape (n, cells, taps): integers, which a transform in double precision gives exactly after rounding."""
        s = self.spec
        points = 1 << (s.cell + s.taps - 1).bit_length()
        spectrum = np.fft.rfft(x.reshape(len(x), s.cells, s.cell), points, axis=2)
        return np.round(np.fft.irfft(np.abs(spectrum) ** 2, points, axis=2)[:, :, : s.taps])

    def features(self, sounds):
        """Sums of levels, then of absolute differences, shape (n, bands * (1 + lags))."""
        s = self.spec
        energies = self.correlations(self.rounded(sounds)) @ self.weights.T
        energies += self.deviation * self.full * self.random.standard_normal(energies.shape)
        # The table goes on with the opposite sign.
        energies = np.mod(energies, 2 * self.full)
        sign = np.where(energies < self.full, 1, -1)
        steps = np.searchsorted(self.bounds, np.mod(energies, self.full), side="right")
        levels = sign * (2 * steps - (2**s.level_bits - 1))
        differences = [np.abs(levels[:, lag:] - levels[:, :-lag]).sum(1) / 2 for lag in s.lags]
        sums = np.concatenate([levels.sum(1), *differences], 1)
        if s.row_max:
            # Each is a sum of as many tables as there are cells.
            noise = 2 ** (s.output - s.unit) * np.sqrt(s.cells)
            sums = sums + noise * self.random.standard_normal(sums.shape)
        return sums


def sounds_of(folder, least, length):
    """Sounds of one loudness, shape (n, length), and their files; shorter ones are repeated."""
    out, files = [], []
    for path in sorted(p for p in Path(folder).rglob("*") if p.is_file()):
        try:
            samples = sordino.decode(path, RATE)
        except sordino.SordinoError:
            continue
        loudness = np.sqrt((samples**2).mean())
        if len(samples) >= least and loudness > 1e-4:
            out.append(np.resize(samples, length) / loudness)
            files.append(path)
    return np.stack(out).astype(np.float32), files


def disturbed(tracks, bank, decibels, samples, random):
    """An excerpt of every track, with noise of a bank so many dB below the music: one number for all, or one for each; no number, no noise."""
    noises = bank[random.integers(0, len(bank), len(tracks))]
    starts = random.integers(0, tracks.shape[1] - samples, len(tracks))
    music = np.stack([track[a : a + samples] for track, a in zip(tracks, starts)])
    noise = np.stack([np.resize(n, samples) for n in noises])
    ratio = (music**2).mean(1) / ((noise**2).mean(1) + 1e-12)
    each = decibels if np.ndim(decibels) else [decibels] * len(tracks)
    quiet = np.array([0 if d is None else 10 ** (-d / 10) for d in each])
    return music + noise * np.sqrt(ratio * quiet)[:, None]


def parted(noises, random):
    """Noises to learn with, and others to ask with."""
    order = random.permutation(len(noises))
    return noises[order[::2]], noises[order[1::2]]


class Space:
    """A whitened space of clips of shape (rounds, tracks, features), in which every track has a row: the mean of its unit vectors."""

    def __init__(self, clips):
        self.mean, self.deviation = clips.mean((0, 1)), clips.std((0, 1)) + 1e-6
        x = (clips - self.mean) / self.deviation
        centres = x.mean(0)
        within = (x - centres).reshape(-1, x.shape[2])
        values, vectors = np.linalg.eigh(within.T @ within / len(within) + RIDGE * np.eye(x.shape[2]))
        self.whiten = vectors / np.sqrt(values)
        self.middle = (centres @ self.whiten).mean(0)
        self.between = np.linalg.svd(centres @ self.whiten - self.middle, full_matrices=False)[2][:DIRECTIONS]
        rows = self.unit(clips).mean(0)
        self.rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def project(self, features):
        return (((features - self.mean) / self.deviation) @ self.whiten - self.middle) @ self.between.T

    def unit(self, features):
        v = self.project(features)
        return v / np.linalg.norm(v, axis=-1, keepdims=True)


def heard_clips(front, tracks, bank, random):
    """Clips to learn from, shape (rounds, tracks, features): most of them with noise."""
    count, out = len(tracks), []
    for _ in range(CLIPS):
        levels = np.where(random.random(count) < 0.9, random.uniform(-2, 20, count), 60)
        out.append(front.features(disturbed(tracks, bank, levels, front.spec.samples, random)))
    return np.stack(out)


def named(spec, tracks, noises, seed):
    """The share of clips that are named, in every condition."""
    random = np.random.default_rng(seed)
    heard, unheard = parted(noises, random)
    every = np.arange(len(tracks))

    front = Front(spec, disturbed(tracks, heard, None, spec.samples, random))
    training = heard_clips(front, tracks, heard, random)
    space = Space(training)
    rows = space.rows

    def naming(features):
        """The row that every clip is named by."""
        if not spec.row_max:
            return (space.unit(features) @ rows.T).argmax(1)
        scores = features @ weights.T + biases
        # A difference that leaves its range comes back from the other end and would name a wrong row: such clips count as lost.
        kept = np.ptp(scores, axis=1) < room
        noise = 2 ** (MATCH - spec.unit) * front.random.standard_normal(scores.shape)
        return np.where(kept, (scores + noise).argmax(1), -1)

    if spec.row_max:
        # Rows on the features themselves: `whiten` and `between` are linear, and a query's length is the same for all its scores.
        real = rows @ (space.whiten @ space.between.T).T / space.deviation
        seen = np.concatenate(training)
        spread = np.quantile(np.ptp((seen - space.mean) @ real.T, axis=1), 0.999)
        room = 2 ** (QUARTER - spec.unit)
        scale = min(0.9 * room / spread, spec.row_max / np.abs(real).max())
        weights = np.round(real * scale)
        biases = np.round(-(weights @ space.mean) - (rows @ (space.between @ space.middle)) * scale)
        largest = np.abs(weights).max()
        print(f"largest weight {largest:.0f}, range used {spread * scale:.0f}", flush=True)
    share = {"beyond": front.beyond}
    for condition, level in CONDITIONS.items():
        right = [naming(front.features(disturbed(tracks, unheard, level, spec.samples, random))) == every for _ in range(3)]
        share[condition] = float(np.mean(right))
    return share


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("music")
    arguments.add_argument("noise")
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--draws", type=int, default=3)
    arguments.add_argument("--settings", nargs="*", default=list(SETTINGS), help="names of some of the settings")
    given = arguments.parse_args()
    (tracks, _), (noises, _) = sounds_of(given.music, TRACK, TRACK), sounds_of(given.noise, 4 * RATE, NOISE)
    print(f"{len(tracks)} tracks, {len(noises)} noises", flush=True)
    given.out.mkdir(parents=True, exist_ok=True)
    with open(given.out / "rows.csv", "w", newline="") as file, open(given.out / "folds.csv", "w", newline="") as other:
        table, folds = (csv.writer(into, lineterminator="\n") for into in (file, other))
        folds.writerow(["setting", "beyond"])
        table.writerow(["setting", "rotations", "condition", "draw", "tracks", "queries", "top1", "spec"])
        for name, spec in ((name, SETTINGS[name]) for name in given.settings):
            draws = [named(spec, tracks, noises, seed) for seed in range(given.draws)]
            folds.writerow([name, f"{np.mean([draw['beyond'] for draw in draws]):.4f}"])
            for condition in CONDITIONS:
                for draw, share in enumerate(draws):
                    fixed = json.dumps(asdict(spec))
                    row = [name, spec.rotations, condition, draw, len(tracks), 3 * len(tracks), f"{share[condition]:.4f}", fixed]
                    table.writerow(row)
            file.flush()
            means = " / ".join(f"{100 * np.mean([d[c] for d in draws]):.1f}" for c in CONDITIONS)
            print(f"{name}: {spec.rotations} rotations, {means}", flush=True)


if __name__ == "__main__":
    main()
