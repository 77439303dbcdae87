"""What a client reads that sends a malformed zero key, tried on one ciphertext of a reply of `flat` and of `decided` among 158 x 158 tracks.

The server side is written out in exact integers: a product with random weights, the blinding, flooding and rounding of crates/fhe/src/scores/seal.rs and
crates/fhe/src/decision/server.rs. The zero key is (a, a s + E) with a large E in place of noise, chosen so that every returned coefficient shows
several coefficients of the blinding u. Only NumPy is needed. Example, from the root of the repository:

  venv/bin/python experiments/security/malformed_zero_key.py --out experiments/security/results/<date>-<machine>

It prints what was read and writes malformed_zero_key.csv.
"""

import argparse
import csv
from pathlib import Path

import numpy as np

RING = 2048
# Ciphertexts of the query, returned coefficients, flooding, bits of the reply: of the plans that derive.py takes its numbers from.
CASES = {"flat": (24, 512, int(2**47.54), 24), "decided": (24, 17, 2**61, 10)}
NOISE = 2**17


def times(small, polynomial):
    """A polynomial of small integers times one of torus elements, modulo X^N + 1 and 2^64."""
    twice = np.concatenate([-polynomial, polynomial])
    out = np.zeros(RING, dtype=np.uint64)
    for i in np.flatnonzero(small):
        out += np.uint64(int(small[i]) % 2**64) * twice[RING - i:2 * RING - i]
    return out


def rounded(values, bits):
    """The leading bits of torus elements, rounded to nearest."""
    half = np.uint64(2 ** (63 - bits))
    return (values + half) >> np.uint64(64 - bits) << np.uint64(64 - bits)


def signed(values):
    return values.view(np.int64)


def reply(random, masks, weights, zero_key, body, returned, flood, bits):
    """What the server sends, and the blinding that it drew."""
    u = (random.integers(0, 2, RING) - random.integers(0, 2, RING)).astype(np.int64)
    noise = lambda count: random.integers(-NOISE, NOISE + 1, count).astype(np.int64).view(np.uint64)
    mask = sum(times(w, a) for w, a in zip(weights, masks)) + times(u, zero_key[0]) + noise(RING)
    values = (body + times(u, zero_key[1]))[:returned] + noise(returned)
    values = values + random.integers(-flood, flood, returned).astype(np.int64).view(np.uint64)
    return rounded(mask, bits), rounded(values, bits), u


def attack(random, inputs, returned, flood, bits):
    """Shares of the blinding that the client reads, of returned coefficients read rightly, and whether it then knows the weights' mask."""
    uniform = lambda: random.integers(0, 2**64, RING, dtype=np.uint64)
    s = random.integers(0, 2, RING)
    masks, a = [uniform() for _ in range(inputs)], uniform()
    weights = random.integers(-32, 32, (inputs, RING))
    # As many coefficients of u to a returned one as cover all of it and as there is room for: ternary digits, further apart than flooding reaches.
    digits = max(d for d in range(1, -(-RING // returned) + 1) if d == 1 or 2**64 // 3**d > 4 * flood)
    step = 2**64 // 3**digits
    error = np.zeros(RING, dtype=np.uint64)
    for k in range(digits):
        # X^(-k returned), which is -X^(N - k returned), brings coefficient k returned + t of u to coefficient t.
        error[-k * returned % RING] = (-1 if k else 1) * step * 3**k % 2**64
    zero_key = (a, times(s, a) + error)
    # The query encrypts zeros without noise, so the body is the mask's product with the key.
    body = times(s, sum(times(w, m) for w, m in zip(weights, masks)))
    mask, values, u = reply(random, masks, weights, zero_key, body, returned, flood, bits)
    phase = signed(values - times(s, mask)[:returned])
    number = np.rint(phase / step).astype(np.int64)
    read = np.zeros(RING, dtype=np.int64)
    for k in range(digits):
        digit = (number + 1) % 3 - 1
        number = (number - digit) // 3
        here = read[k * returned:(k + 1) * returned]
        here[:] = digit[:len(here)]
    known = min(RING, digits * returned)
    right = np.mean(read[:known] == u[:known])
    # What is left of the mask without the blinding, against the weights' own product with the masks.
    left = signed(mask - times(read, a) - sum(times(w, m) for w, m in zip(weights, masks)))
    return known, right, float(np.mean(np.abs(left) <= 2 ** (63 - bits) + NOISE))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder that malformed_zero_key.csv goes to")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rows = []
    for name, (inputs, returned, flood, bits) in CASES.items():
        known, right, mask = attack(np.random.default_rng(options.seed), inputs, returned, flood, bits)
        rows.append([name, returned, known, f"{right:.4f}", f"{mask:.4f}"])
        print(f"{name}: {known} of {RING} coefficients of the blinding tried for in {returned} returned ones, {right:.1%} of them right; "
              f"{mask:.1%} of the mask's coefficients then show the weights' product to {bits} bits")
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        with (options.out / "malformed_zero_key.csv").open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["protocol", "returned", "tried", "right", "mask_shown"])
            writer.writerows(rows)


if __name__ == "__main__":
    main()
