"""What the digits of a keyswitch leave in every comparison of one key, for three ways to break the tie between -B/2 and B/2.

It draws the noise of keyswitch keys, switches uniform inputs under each, and takes the mean over inputs: an offset that all comparisons of the key share.
Only NumPy is needed. Example, from the root of the repository:

  venv/bin/python experiments/security/keyswitch_digits.py --out experiments/security/results/<date>-<machine>

It prints a table and writes keyswitch_digits.csv. Deviations are in steps of 2^-12 of the torus.
"""

import argparse
import csv
from pathlib import Path

import numpy as np

# The keyswitch of a comparison: 2,048 coefficients, 6 digits of 3 bits, noise TUniform(13) modulo 2^32.
RING, LEVELS, BASE_LOG, NOISE, STEP = 2048, 6, 3, 2**13, 2.0**20
HALF = 2 ** (BASE_LOG - 1)
WEIGHTS = [2 ** (64 - BASE_LOG * level) for level in range(1, LEVELS + 1)]
RULES = {
    "always -B/2": lambda x: np.zeros(RING, dtype=bool),
    "by parity of the coefficient": lambda x: np.arange(RING) % 2 == 1,
    "by a bit below the digits": lambda x: x >> np.uint64(64 - BASE_LOG * LEVELS - 2) & np.uint64(1) == 1,
}


def digits(x, upper):
    """Digits of every coefficient: of [-B/2, B/2), and of (-B/2, B/2] where `upper` says so."""
    offset = (sum(WEIGHTS) * HALF + WEIGHTS[-1] // 2) % 2**64
    shifted = x + np.where(upper, np.uint64((offset - sum(WEIGHTS)) % 2**64), np.uint64(offset))
    fields = [(shifted >> np.uint64(64 - BASE_LOG * level)).astype(np.int64) % 2**BASE_LOG for level in range(1, LEVELS + 1)]
    found = np.stack(fields, axis=1) - HALF + upper[:, None]
    back = sum(found[:, level].astype(np.uint64) * np.uint64(weight) for level, weight in enumerate(WEIGHTS))
    assert np.abs((back - x).view(np.int64)).max() <= WEIGHTS[-1] // 2, "the digits do not add up to the number"
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder that keyswitch_digits.csv goes to")
    parser.add_argument("--keys", type=int, default=24)
    parser.add_argument("--inputs", type=int, default=1000, help="comparisons a key")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rows = []
    for name, rule in RULES.items():
        random = np.random.default_rng(options.seed)
        means, deviations = [], []
        for _ in range(options.keys):
            noise = random.integers(-NOISE, NOISE + 1, (RING, LEVELS))
            inputs = random.integers(0, 2**64, (options.inputs, RING), dtype=np.uint64)
            errors = np.array([np.sum(digits(x, rule(x)) * noise) for x in inputs]) / STEP
            means.append(errors.mean())
            deviations.append(errors.std())
        offset, deviation = np.sqrt(np.mean(np.square(means))), np.mean(deviations)
        rows.append([name, f"{offset:.3f}", f"{deviation / np.sqrt(options.inputs):.3f}", f"{deviation:.3f}"])
        print(f"{name:30} offset over keys {offset:.3f} (no offset would show {deviation / np.sqrt(options.inputs):.3f}), deviation under one key {deviation:.3f}")
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        with (options.out / "keyswitch_digits.csv").open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["ties", "offset", "offset_of_none", "deviation"])
            writer.writerows(rows)


if __name__ == "__main__":
    main()
