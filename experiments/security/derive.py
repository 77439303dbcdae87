"""The numbers that docs/crypto.md and docs/one-trip.md quote from their lemmas, computed from the formulas and from the plan of 158 x 158 tracks.

It needs Python alone. Example, from the root of the repository:

  python3 experiments/security/derive.py --out experiments/security/results/<date>-<machine>

It prints every number with what it is, and writes derived.csv.
"""

import argparse
import csv
from math import ceil, erf, exp, log, log2, sqrt
from pathlib import Path

# The plan of 158 x 158 tracks: experiments/cost/results/2026-11-25-2core/cost_25k-1-probe.txt.
RING, GROUPS, SLOTS, WIDTH, CLUSTER_WIDTH, WEIGHT_BITS, SCORE = 2048, 158, 158, 96, 128, 6, 14188
TRACKS = GROUPS * SLOTS
# Reply bits, log2 of deviations of the computed noise and of the encryption of zero, returned coefficients that are added up, scores of a reply;
# for one ciphertext of flat, which has 49 of them, and for the first and the second trip of routed.
TRIPS = {
    "flat": dict(reply_bits=24, computed=38.3, zero=40.4, returned=512, scores=TRACKS, failure=-64.0),
    "clusters": dict(reply_bits=24, computed=38.3, zero=42.4, returned=158, scores=158, failure=-65.0),
    "routed": dict(reply_bits=24, computed=39.2, zero=42.4, returned=158, scores=158, failure=-65.0),
}
# Bits of a position, two of them spare. One bit for "known" and a position for each stage; flooding as in crates/fhe/src/decision/margins.rs.
WORD_BITS = 10
DECIDED_RETURNED, DECIDED_FLOOD_LOG2 = 1 + 2 * WORD_BITS, 61

# Whose numbers stand in a table of a document: counts and bounds, so they are rounded up.
QUOTED = {
    "flat.honest_bits", "flat.any_bits", "clusters.honest_bits", "clusters.any_bits", "routed.honest_bits", "routed.any_bits", "decided.honest_bits_7",
    "decided.any_bits", "decided.returned", "flat.library", "routed.group", "routed.library", "routed.router", "decided.group", "decided.library",
}

ROWS = []


def number(name, value, what):
    ROWS.append((name, value, what))


def heavy(n):
    """Most ones of a binary key of n bits, but with probability 2^-80 (Hoeffding)."""
    return n / 2 + sqrt(n * 80 * log(2) / 2)


def heavy_noise(count):
    """By which part the sum of squares of so many uniform variables exceeds its mean, but with probability 2^-80 (Bernstein)."""
    tail = lambda d: -((d * count / 3) ** 2) / 2 / (count * 4 / 45 + 2 / 3 * d * count / 3 / 3)
    return next(d / 1000 for d in range(1, 10_000) if tail(d / 1000) <= -80 * log(2))


def integrate(f, low, high, steps=200_000):
    width = (high - low) / steps
    return sum(f(low + (i + 0.5) * width) for i in range(steps)) * width


def flooding():
    """Lemma 3: what a flooded coefficient tells."""
    normal = lambda x: (1 + erf(x / sqrt(2))) / 2
    entropy = lambda x: -normal(x) * log2(normal(x)) if normal(x) > 0 else 0.0
    constant = integrate(entropy, -12, 12)
    number("flood.constant", constant, "bits of information of a flooded Gaussian, times flooding over deviation: -integral of P log2 P")
    margin = (2**63 // (SCORE + 1)) // 2
    for name, trip in TRIPS.items():
        switch = (1 + heavy(RING)) * 4.0 ** (64 - trip["reply_bits"]) / 12
        variance = switch + 4 ** trip["zero"] + 4 ** trip["computed"]
        deviations = sqrt(2 * log(2) * (1 + log2(trip["scores"]) - trip["failure"] + 0.05))
        flood = margin - deviations * sqrt(variance)
        number(f"{name}.flood_log2", log2(flood), "log2 of the largest flooding")
        zero, computed = 2 ** trip["zero"] / flood, 2 ** trip["computed"] / flood
        number(f"{name}.deviation_log2", log2(zero), "log2 of the deviation of the encryption of zero over the flooding")
        number(f"{name}.average_bits", constant * zero * trip["returned"], "bits that the coefficients of a ciphertext tell of the encryption of zero on average, at most")
        number(f"{name}.distance_log2", log2(computed / 2), "log2 of the statistical distance a score, computed noise alone")
        number(f"{name}.distance_sum", computed / 2 * trip["returned"], "the same summed over the scores of a ciphertext")
        # All noise under the flooding within t deviations, but with probability 2^-40 a reply.
        t = sqrt(2 * log(2) * (41 + log2(trip["scores"])))
        most = t * sqrt(4 ** trip["zero"] + 4 ** trip["computed"]) / flood
        number(f"{name}.honest_bits", trip["returned"] * log2(1 + most), "bits that these coefficients of a reply to an honest query leak at most, but with probability 2^-40")
        number(f"{name}.honest_reply", trip["scores"] * log2(1 + most), "the same for the whole reply")
        number(f"{name}.any_bits_coefficient", log2(2**64 / (2 * flood)), "bits that a returned coefficient leaks at most, whatever the client sends")
        number(f"{name}.any_bits", trip["returned"] * log2(2**64 / (2 * flood)), "the same for these coefficients")
        number(f"{name}.any_reply", trip["scores"] * log2(2**64 / (2 * flood)), "the same for the whole reply")
        number(f"{name}.ternary_digits", log(2**64 / (2 * flood)) / log(3), "coefficients of the blinding that one returned coefficient has room for")
    number("score.bits", log2(2 * SCORE + 1), "bits of a score")
    coefficient = log2(2**64 / 2 ** (DECIDED_FLOOD_LOG2 + 1))
    number("decided.any_bits_coefficient", coefficient, "bits that a returned coefficient leaks at most, whatever the client sends")
    number("decided.returned", DECIDED_RETURNED, "returned coefficients")
    number("decided.any_bits", DECIDED_RETURNED * coefficient, "bits that a reply leaks at most, whatever the client sends")
    number("decided.answer_bits", log2(TRACKS + 1), "bits that an answer has, the unknown song included")
    for deviation in (7, 9):
        t = sqrt(2 * log(2) * (41 + log2(DECIDED_RETURNED)))
        number(f"decided.honest_bits_{deviation}", DECIDED_RETURNED * log2(1 + t * 2.0**-deviation), f"bits that the noise of a reply to an honest query leaks at most, but with probability 2^-40, where its deviation is 2^-{deviation} of the flooding")
    # A blinding coefficient is 0 with probability 1/2, 1 or -1 with 1/4 each.
    number("blinding.entropy", 1.5 * RING, "bits of entropy of a blinding")
    number("blinding.min_entropy", RING, "bits of min-entropy of a blinding")


def extraction():
    """How many queries give the weights away."""
    number("flat.library", WIDTH + 1, "honest queries that give every weight and bias of the library")
    number("routed.group", WIDTH + 1, "honest queries that give one group")
    number("routed.library", GROUPS * (WIDTH + 1), "honest queries that give the library, one probe")
    number("routed.library_2", ceil(GROUPS / 2) * (WIDTH + 1), "the same with two probes")
    number("routed.router", CLUSTER_WIDTH + 1, "honest queries that give the router")
    weights = WIDTH * WEIGHT_BITS
    number("decided.group", ceil(SLOTS * weights / (DECIDED_RETURNED * 2)), "queries below which the weights of one group are not all told, whatever the client sends")
    number("decided.library", ceil(TRACKS * weights / (DECIDED_RETURNED * 2)), "the same for the library")
    number("decided.library_honest", ceil(TRACKS * weights / log2(TRACKS + 1)), "the same for the answers to honest queries")


def products():
    """Lemma 2: noise that sums products is nearly sub-Gaussian; what the difference costs."""
    for name, terms, target, at in [
        ("selection", 2 * 2 * RING, 64, "a gate of routed, 2 levels"),
        ("keyswitch", RING * 6, 40, "the keyswitch of a comparison"),
        # 459 steps of three patterns; differences of two digits count two thirds (docs/one-trip.md, section 5).
        ("rotation", 459 * 3 * 2 * RING * 2 // 3, 40, "the blind rotation of a comparison"),
    ]:
        exponent = target * log(2)
        number(f"product.{name}", cost(exponent, terms), f"bits that Lemma 2 costs at 2^-{target}: {at}, {terms:,} products")
    # In routed the gates are a small part of the variance: f^2 L^2 / M is what Lemma 2 adds to the exponent L.
    part = 4 ** (TRIPS["routed"]["computed"] - 43.4)
    number("product.routed", part**2 * (65 * log(2)) ** 2 / 8192 / log(2), "bits that Lemma 2 costs a score of routed")
    worst = max(log(series(z)) - z * z / 18 - z**4 / 8100 for z in [i / 100 for i in range(1, 4001)])
    number("product.series", worst, "largest excess of the logarithm of the moment generating function of a product of two uniforms over (l s)^2/2 + (l s)^4/100: not above zero")


def cost(exponent, terms):
    """Bits of probability between exp(-L) and the bound of Lemma 2 for a sum of equal products."""
    # P <= exp(-x s + K(x)) for the best x, where K(x) = -(M/2) ln(1 - x^2/M) in units of the deviation.
    t = sqrt(2 * exponent)
    best = min(-x * t - terms / 2 * log(1 - x * x / terms) for x in [t * i / 10_000 for i in range(5_000, 10_001)] if x * x < terms)
    return (best + exponent) / log(2)


def series(z):
    """E exp(l D E) for independent D, E uniform on [-1, 1] and l = z: sinh integral over z."""
    total = term = 1.0
    k = 0
    while term > 1e-18 * total:
        k += 1
        term *= z * z / ((2 * k - 1) * 2 * k) * (2 * k - 1) ** 2 / (2 * k + 1) ** 2
        total += term
    return total


class Contest:
    """The noise of a decision at standard resolution, and a tournament of 158 candidates at the lightest positions: crates/fhe/src/noise/decision.rs."""

    # Second moment of digits, rows of the wire, rounding to bits, the transform's rounding.
    digit = staticmethod(lambda base: (4.0**base + 2) / 12)
    truncation = staticmethod(lambda bits: 4.0 ** (64 - bits) / 12)
    fresh = (2.0**35 + 1) / 6
    weight = heavy(RING)

    def fourier(self, norm):
        return (1 + self.weight) * (32 * 2.0**-106 * 2.0**128 / 12 * norm + 2.0**26 / 12)

    def small(self, n, log2_noise):
        return n, heavy(n), (2.0 ** (2 * (log2_noise - 32) + 1) + 1) / 6 * 2.0**64

    def rotation(self, small, base, levels, bits):
        n, ones, _ = small
        # Steps of several bits multiply digits by X^a - 1.
        turned = 1 if bits == 1 else 2
        digits = turned * 2 * levels * RING * self.digit(base)
        product = digits * (self.fresh + self.truncation(48)) + self.fourier(digits)
        return n / bits * (2**bits - 1) * product + min(ones, n / bits) * turned * (1 + self.weight) * self.truncation(base * levels)

    def __init__(self, selected, norm_squared, body_bits, positions):
        self.positions = positions
        compare, refresh = self.small(918, 45), self.small(720, 50)
        self.keyswitch = RING * 6 * self.digit(3) * compare[2]
        switch = (compare[0] / 4 + 1) * (2.0**64 / 4096) ** 2 / 12
        self.comparison = self.keyswitch + self.weight * self.truncation(18) + self.truncation(32) + switch
        self.compare_rotation = self.rotation(compare, 23, 1, 2)
        digits = 6 * RING * self.digit(7)
        automorphism = digits * (self.fresh + self.truncation(48)) + self.weight * self.truncation(42) + self.fourier(digits)
        trace = sum(RING * 2.0**r + 4.0**r for r in range(11)) * automorphism
        norm = (self.weight / RING) ** 4 * RING**3 / 3 + RING * RING / 2
        square = digits * (self.fresh + self.truncation(48)) + norm * self.truncation(42) + self.fourier(digits)
        both = 4 * self.digit(4) * (1 + self.weight) * (self.rotation(refresh, 15, 2, 1) + trace)
        self.gate = both + 4 * RING * self.digit(4) * square + (1 + self.weight) * self.truncation(16) + self.fourier(8 * RING * self.digit(4))
        self.input = norm_squared * (self.fresh + self.truncation(body_bits)) + selected * self.gate
        self.selected, self.rounds = selected, WORD_BITS

    def tails(self, margin, exact):
        """Bound on a rival's winning, by the round in which both meet and their wins from the right before, both together. `exact` is for a given
        key, whose noise is as large as any but with probability 2^-80, and takes the noise of selectors as the products that it is."""
        found = {}
        for below in range(self.rounds):
            for wins in range(2 * below + 1):
                variance = 2 * self.input + (wins + 1) * self.comparison + 2 * below * self.compare_rotation + self.rounds * self.gate
                if not exact:
                    found[below, wins] = exp(-margin * margin / (2 * variance))
                    continue
                # Four products with the noise of a selector's rows for each gate (Lemma 2); the rest are sums (Lemma 1).
                gates, each = 4 * (2 * self.selected + self.rounds), self.gate / 4
                rest = variance - gates * each + (wins + 1) * self.keyswitch * heavy_noise(RING * 6)

                def bound(x):
                    share = x * x * each
                    return float("inf") if share >= 1 else -x * margin - gates / 2 * log(1 - share) + x * x * rest / 2

                found[below, wins] = exp(min(bound(margin / variance * i / 400) for i in range(40, 401)))
        return found

    def failure(self, margin, exact):
        tails = self.tails(margin, exact)
        ones = lambda i, below: bin(i & ((1 << below) - 1)).count("1")
        worst = 0.0
        for winner in self.positions:
            total = 0.0
            for other in self.positions:
                if other != winner:
                    below = (winner ^ other).bit_length() - 1
                    total += tails[below, ones(winner, below) + ones(other, below)]
            worst = max(worst, total)
        return log2(worst) if worst > 0 else float("-inf")


def lightest(count):
    """The words of the fewest set bits, of eight bits that count them and two spare ones."""
    words = range(1 << WORD_BITS)
    return sorted(words, key=lambda word: (bin(word).count("1"), word))[:count]


def tournament():
    # A group of the second stage fills its column, so a position is the word of a column, or of a slot.
    for stage, selected in (("first", 0), ("second", WORD_BITS)):
        contest = Contest(selected, 2.0**20, 37, lightest(SLOTS))
        step = 2.0**52
        number(f"contest.{stage}.comparison", sqrt(contest.comparison) / step, "deviation of a comparison, in steps of 2^-12 of the torus")
        number(f"contest.{stage}.gate", sqrt(contest.gate) / step, "deviation of a gate, in steps of 2^-12 of the torus")
        low, high = 0.0, 2.0**62
        for _ in range(30):
            middle = (low + high) / 2
            low, high = (low, middle) if contest.failure(middle, False) <= -43 else (middle, high)
        below = WORD_BITS - 1
        heaviest = min(below, max(bin(position).count("1") for position in lightest(SLOTS)))
        furthest = 2 * contest.input + (2 * heaviest + 1) * contest.comparison + 2 * below * contest.compare_rotation + WORD_BITS * contest.gate
        slack = sqrt(2 * furthest * log(2) * (43 + log2(2 * (SLOTS + WORD_BITS))))
        number(f"contest.{stage}.margin", high / (2.0**62 - slack), "margin for a failure of 2^-43, as a part of the largest difference: inspect prints it")
        number(f"contest.{stage}.product", contest.failure(high, True) - contest.failure(high, False), "bits more at that margin for a given key, by Lemmas 1 and 2")
    number("keyswitch.heavy", heavy_noise(RING * 6), "part by which the keyswitch key's noise exceeds its variance, but for a share of 2^-80 of keys")
    rows = RING * 6
    number("keyswitch.mean", 0.5 * sqrt(rows) * sqrt((2.0**27 + 1) / 6) * 2.0**32 / 2.0**52, "deviation, over keys, of the offset that digits of mean -1/2 would leave in every comparison, in steps of 2^-12")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder that derived.csv goes to")
    options = parser.parse_args()
    for part in (flooding, extraction, products, tournament):
        part()
    for name, value, what in ROWS:
        print(f"{name:32} {value:14,.4f}  {what}")
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        with (options.out / "derived.csv").open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["name", "value", "quoted", "what"])
            writer.writerows((name, ceil(value), "yes", what) if name in QUOTED else (name, f"{value:.4f}", "no", what) for name, value, what in ROWS)


if __name__ == "__main__":
    main()
