"""By what can a server tell an unknown song, if it cannot divide by the length of a vector?

    python unknown.py MUSIC NOISE OUT [--draws 2]

Two thirds of the tracks are learned as in accuracy.py, the others are unknown songs. For every test the threshold is that which loses 5 % of
the known clips without noise, clips that are named wrongly among them. OUT/unknown.csv says how many are lost, and how many unknown ones are
refused, at every noise.
"""

import argparse
import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
from accuracy import BASE, CLIPS, CONDITIONS, DIRECTIONS, NOISE, RATE, RIDGE, TRACK, Front, disturbed, sounds_of

SPEC = replace(BASE, bands=64, emphasis=0.0, headroom_db=18)
LOST = 0.05


def measures(vectors, rows, turned):
    """Every test's evidence, and the row that is named; `vectors` of shape (n, directions)."""
    scores = vectors @ rows.T
    ordered = np.sort(scores, 1)
    best, length = ordered[:, -1], np.linalg.norm(vectors, axis=1)
    along = np.abs(vectors @ turned)
    found = {"cosine": best / length, "score": best, "lead over the third": best - ordered[:, -3]}
    found["lead over the third, of the length"] = (best - ordered[:, -3]) / length
    for count in (16, 32, 64, DIRECTIONS):
        found[f"absolute values along {count} directions"] = best / along[:, :count].mean(1)
    return found, scores.argmax(1)


def tested(tracks, noises, seed):
    """For every test and condition, the shares of known clips lost and of unknown ones refused."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(tracks))
    known, unknown = tracks[order[: 2 * len(order) // 3]], tracks[order[2 * len(order) // 3 :]]
    order = random.permutation(len(noises))
    heard, unheard = noises[order[::2]], noises[order[1::2]]

    def clips(some, bank, decibels):
        every = np.arange(len(some))
        bank = bank[random.integers(0, len(bank), len(every))]
        return disturbed(some, every, bank, decibels, SPEC.samples, random)

    front = Front(SPEC, clips(known, heard, [None] * len(known)))
    training = []
    for _ in range(CLIPS):
        levels = np.where(random.random(len(known)) < 0.9, random.uniform(-2, 20, len(known)), 60)
        training.append(front.features(clips(known, heard, levels)))
    x = np.stack(training)
    mean, deviation = x.mean((0, 1)), x.std((0, 1)) + 1e-6
    x = (x - mean) / deviation
    centres = x.mean(0)
    within = (x - centres).reshape(-1, x.shape[2])
    values, vectors = np.linalg.eigh(within.T @ within / len(within) + RIDGE * np.eye(x.shape[2]))
    whiten = vectors / np.sqrt(values)
    middle = (centres @ whiten).mean(0)
    between = np.linalg.svd(centres @ whiten - middle, full_matrices=False)[2][:DIRECTIONS]

    def projected(features):
        return (((features - mean) / deviation) @ whiten - middle) @ between.T

    rows = projected(np.stack(training))
    rows = (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).mean(0)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    turned = np.linalg.qr(random.standard_normal((DIRECTIONS, DIRECTIONS)))[0]
    found = {}
    for condition, level in CONDITIONS.items():
        for which, some in (("known", known), ("unknown", unknown)):
            asked = [projected(front.features(clips(some, unheard, [level] * len(some)))) for _ in range(3)]
            found[condition, which] = measures(np.concatenate(asked), rows, turned)
    right = {c: found[c, "known"][1] == np.tile(np.arange(len(known)), 3) for c in CONDITIONS}
    out = []
    for test in found["clean", "known"][0]:
        evidence = {c: np.where(right[c], found[c, "known"][0][test], -np.inf) for c in CONDITIONS}
        threshold = np.quantile(evidence["clean"], LOST, method="higher")
        for c in CONDITIONS:
            refused = float((found[c, "unknown"][0][test] < threshold).mean())
            out.append([test, c, len(right[c]), len(found[c, "unknown"][1]), float((evidence[c] < threshold).mean()), refused])
    return out


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("music")
    arguments.add_argument("noise")
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--draws", type=int, default=2)
    given = arguments.parse_args()
    tracks, noises = sounds_of(given.music, TRACK, TRACK), sounds_of(given.noise, 4 * RATE, NOISE)
    given.out.mkdir(parents=True, exist_ok=True)
    with open(given.out / "unknown.csv", "w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["test", "condition", "draw", "known", "unknown", "lost", "refused"])
        for draw in range(given.draws):
            for test, condition, known, unknown, lost, refused in tested(tracks, noises, draw):
                table.writerow([test, condition, draw, known, unknown, f"{lost:.4f}", f"{refused:.4f}"])
            file.flush()


if __name__ == "__main__":
    main()
