#!/usr/bin/env python3
"""The tail of a comparison's noise, down to 2^-30 and below, by importance sampling.

A comparison of `decided` fails when its noise reaches the lead. The noise is a sum of many bounded parts: digits times the noise of
the keyswitch key, what the digits leave out, and the rounding of the modulus switch. For a given key all parts are independent, and
their distributions are known exactly. So the tail need not be waited for: parts are drawn from exponentially tilted distributions,
under which the noise is near the lead, and every sample is weighted by what that is worth.

Noise of blind rotations and gates is left out: it is below a hundredth of the variance. The transform's rounding is none of it.

With --winners, the rates that `wrong_winners` measured encrypted come beside, and --curve gets all of it in one table to draw.

Examples:
  python3 experiments/tails/tails.py --out OUT/tails.csv
  python3 experiments/tails/tails.py --tails OUT/tails.csv --winners OUT/winners.csv --curve OUT/curve.csv
"""

import argparse
import csv
import math
import sys

import numpy as np

N, SMALL = 2048, 918  # bits of the ring's key and of the key of comparisons
BASE_LOG, LEVELS = 3, 6  # gadget of the keyswitch
NOISE_LOG2 = 13  # TUniform of the keyswitch key, modulo 2^32
STEPS_LOG2 = 12  # the modulus switch has 2N = 4096 steps
Q = 2.0**64


class Key:
    """What is fixed for a key: set bits, and the noise of its keyswitch rows, in torus units."""

    def __init__(self, rng):
        self.ring = int(rng.integers(0, 2, N).sum())
        self.small = int(rng.integers(0, 2, SMALL).sum())
        bits = rng.integers(0, 1 << (NOISE_LOG2 + 2), N * LEVELS)
        self.rows = ((bits >> 1) + (bits & 1) - (1 << NOISE_LOG2)) * 2.0**32
        # Half widths of the uniform parts: what digits leave out, and the rounding of mask and body.
        self.uniform = np.concatenate([
            np.full(self.ring, Q / 2 ** (BASE_LOG * LEVELS + 1)),
            np.full(self.small + 1, Q / 2 ** (STEPS_LOG2 + 1)),
        ])
        half = 1 << (BASE_LOG - 1)
        self.digits = np.arange(-half, half + 1)
        self.weights = np.full(2 * half + 1, 2.0**-BASE_LOG)
        self.weights[[0, -1]] /= 2

    def variance(self):
        digit = (self.weights * self.digits**2).sum()
        return digit * (self.rows**2).sum() + (self.uniform**2).sum() / 3

    def log_mgf(self, theta):
        """Logarithm of E[exp(theta S)], its derivative, and the tilted probabilities of digits."""
        x = theta * self.rows[:, None] * self.digits
        terms = self.weights * np.exp(x)
        total = terms.sum(1)
        tilted = terms / total[:, None]
        y = theta * self.uniform
        log_mgf = np.log(total).sum() + np.log(np.sinh(y) / y).sum()
        mean = (tilted * self.digits).sum(1) @ self.rows + (self.uniform * (1 / np.tanh(y) - 1 / y)).sum()
        return log_mgf, mean, tilted

    def tail(self, lead, samples, rng):
        """P(S >= lead) and the relative error of the estimate."""
        low, high = 1e-30, 40 / math.sqrt(self.variance())
        for _ in range(60):
            theta = (low + high) / 2
            low, high = (theta, high) if self.log_mgf(theta)[1] < lead else (low, theta)
        log_mgf, _, tilted = self.log_mgf(theta)
        steps = tilted.cumsum(1)
        weights = np.empty(samples)
        for i in range(samples):
            digits = (rng.random((len(self.rows), 1)) > steps[:, :-1]).sum(1) + self.digits[0]
            y = theta * self.uniform
            part = np.log(np.exp(-y) + rng.random(len(y)) * (np.exp(y) - np.exp(-y))) / theta
            total = digits @ self.rows + part.sum()
            weights[i] = math.exp(log_mgf - theta * total) if total >= lead else 0.0
        mean = weights.mean()
        return mean, weights.std() / math.sqrt(samples) / mean


def curve(options):
    """All rates by lead, one row each."""
    with open(options.curve, "w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["lead_deviations", "kind", "rate_log2"])
        tails = list(csv.DictReader(open(options.tails)))
        for row in tails:
            writer.writerow([row["lead_deviations"], f"importance sampling, key {int(row['key']) + 1}", row["tail_log2"]])
        for row in tails:
            if row["key"] == "0":
                writer.writerow([row["lead_deviations"], "the formula's bound", row["bound_log2"]])
        for row in csv.DictReader(open(options.winners)):
            if int(row["wrong"]):
                rate = math.log2(int(row["wrong"]) / int(row["queries"]))
                writer.writerow([row["lead_deviations"], "encrypted, wrong winners", f"{rate:.3f}"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=3, help="keys that are drawn (default 3)")
    parser.add_argument("--samples", type=int, default=2000, help="samples of each lead and key (default 2000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", help="CSV file to write; standard output without it")
    parser.add_argument("--tails", help="take the tails from this file")
    parser.add_argument("--winners", help="what `wrong_winners` wrote")
    parser.add_argument("--curve", help="CSV file for the figure")
    options = parser.parse_args()
    if options.curve:
        return curve(options)
    rng = np.random.default_rng(options.seed)
    out = open(options.out, "w", newline="") if options.out else sys.stdout
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["key", "lead_deviations", "tail_log2", "relative_error", "gaussian_log2", "bound_log2"])
    for number in range(options.keys):
        key = Key(rng)
        deviation = math.sqrt(key.variance())
        for lead in (1, 2, 3, 4, 5, 6, 6.5, 7, 7.5):
            tail, error = key.tail(lead * deviation, options.samples, rng)
            gaussian = math.log2(math.erfc(lead / math.sqrt(2)) / 2)
            bound = -lead * lead / 2 / math.log(2)
            writer.writerow([number, lead, f"{math.log2(tail):.3f}", f"{error:.3f}", f"{gaussian:.3f}", f"{bound:.3f}"])
            out.flush()


if __name__ == "__main__":
    main()
