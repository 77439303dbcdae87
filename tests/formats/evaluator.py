"""A second evaluator of what Sordino's server does under encryption, in exact integers, with the standard library alone.

Usage: python3 evaluator.py FOLDER

FOLDER holds secret.key, evaluation.key, and input.json: {"lwe": [[N + 1 numbers], ...], "table": [N numbers]}, ciphertexts under the
ring's key and a table to look up. For both small keys it switches keys and modulus, and rotates the table by every ciphertext, and prints
as JSON the small ciphertexts, the exponents, and the phases of what was rotated. There is no Fourier transform in it: products of
polynomials are products of integers. It is slow, and for small rings. Example: it is run by `cargo test -p sordino-fhe --lib measured`.
"""

import json
import pathlib
import struct
import sys

from decoder import Q, Reader, chacha20, opened, packed_bytes, secret_key, signed, times_key, unpacked

#           name: (base and levels of the keyswitch; of the rotation, and bits a step; low bits of an index that stay zero)
LOOKUPS = {"compare": ((3, 6), (23, 1, 2), 0), "refresh": ((5, 2), (15, 2, 1), 2)}


def digits(x, base_log, levels, top):
    """The digits of a torus element, most significant first: of base B, from -B/2 to B/2, where one of B/2 either way goes to `top`."""
    base, unit = 1 << base_log, 1 << (64 - base_log * levels)
    # The nearest multiple of the last weight; of two as near, the greater one.
    rest = (x + unit // 2) // unit % base ** levels
    out = []
    for _ in range(levels):
        digit = rest % base
        if digit > base // 2 or (digit == base // 2 and not top):
            digit -= base
        rest = (rest - digit) // base
        out.append(digit)
    return out[::-1]


def key_sections(data, keys):
    """The GGSW rows of both small keys as (mask, body), and both keyswitch keys as (seed, bodies)."""
    content, _ = opened(data, b"SRDNEVK\x04")
    reader, ring = Reader(content), len(keys["ring"])
    reader.number("H")

    def lists(count, rows):
        out = []
        for _ in range(count):
            seed = reader.take(32)
            bodies = unpacked(reader.take(packed_bytes(rows * ring, 48)), rows * ring, 48)
            masks = [struct.unpack(f"<{ring}Q", chacha20(seed, j, 8 * ring)) for j in range(rows)]
            out.append([(masks[j], bodies[j * ring:(j + 1) * ring]) for j in range(rows)])
        return out

    ggsw = {}
    for name, (_, (_, levels, bits), _) in LOOKUPS.items():
        ggsw[name] = lists(len(keys[name]) // bits, (2 ** bits - 1) * 2 * levels)
    reader.take((ring.bit_length() - 1 + 1) * (32 + packed_bytes(6 * ring, 48)))
    keyswitch = {}
    for name, levels in (("compare", 6), ("refresh", 2)):
        seed = reader.take(32)
        keyswitch[name] = (seed, reader.numbers(f"{ring * levels}I"))
    reader.end()
    return ggsw, keyswitch


def switched(lwe, seed, bodies, dimension, base_log, levels):
    """The same message under a small key, modulo 2^32."""
    out = [0] * dimension + [(lwe[-1] + (1 << 31)) % Q >> 32]
    for i, x in enumerate(lwe[:-1]):
        masks = struct.unpack(f"<{levels * dimension}I", chacha20(seed, i, 4 * levels * dimension))
        # A bit below all digits says where a digit of half the base goes.
        top = x >> (62 - base_log * levels) & 1
        for level, digit in enumerate(digits(x, base_log, levels, top)):
            row = [*masks[level * dimension:(level + 1) * dimension], bodies[i * levels + level]]
            out = [(o - digit * r) % (1 << 32) for o, r in zip(out, row)]
    return out


def exponents(small, ring, stride_log2):
    """The ciphertext modulo 2N, rounded down to multiples of the stride; the mean of what rounding the mask moves is taken out."""
    step = (1 << 32) // (2 * ring) << stride_log2

    def nearest(a):
        return (a + step // 2) // step * step % (1 << 32)

    def centred(x):
        x %= 1 << 32
        return x - (1 << 32) if x >> 31 else x

    error = sum(centred(nearest(a) - a) for a in small[:-1])
    half = abs(error) // 2 * (1 if error >= 0 else -1)
    body = (small[-1] + half - step // 2) % (1 << 32)
    scale = (1 << 32) // (2 * ring)
    return [nearest(a) // scale for a in small[:-1]], nearest(body) // scale


def turned(p, power):
    """`X^power p`."""
    n, out = len(p), [0] * len(p)
    for i, x in enumerate(p):
        at = (i + power) % (2 * n)
        out[at % n] = x % Q if at < n else -x % Q
    return out


def product(small, big):
    """`small big` modulo X^N + 1, as one product of integers: coefficients are far enough apart."""
    n, width = len(big), 128
    shift = lambda p: sum(x << (width * i) for i, x in enumerate(p))
    whole, out, carry = shift(small) * shift(big), [], 0
    mask = (1 << width) - 1
    for _ in range(2 * n):
        x = whole & mask
        x = x - (1 << width) if x >> (width - 1) else x
        out.append(x)
        whole = (whole - x) >> width
    return [(a - b) % Q for a, b in zip(out[:n], out[n:])]


def rotated(table, mask, body, ggsw, base_log, levels, bits):
    """The table, times X to minus the phase, `bits` bits of the small key a step. For each pattern of them a GGSW ciphertext says whether
    it is theirs. It multiplies the digits of a difference where a step has one bit, and else a difference of digits."""
    n = len(table)
    sums = [[0] * n, turned(table, 2 * n - body)]

    # Half of the coefficients have digits that end at the top, so that their mean is zero.
    def split(p):
        written = [digits(x % Q, base_log, levels, i & 1) for i, x in enumerate(p)]
        return [[digit[level] for digit in written] for level in range(levels)]

    def less(p, power):
        return [signed(a, 64) - b for a, b in zip(turned(p, power), p)]

    for step, rows in enumerate(ggsw):
        powers = mask[step * bits:(step + 1) * bits]
        whole = [split(p) for p in sums]
        before = [list(p) for p in sums]
        for pattern in range(1, 2 ** bits):
            power = sum(a for bit, a in enumerate(powers) if pattern >> bit & 1)
            for half in range(2):
                moved = split(less(before[half], power)) if bits == 1 else [less(p, power) for p in whole[half]]
                for level in range(levels):
                    row = rows[((pattern - 1) * levels + level) * 2 + half]
                    for part in range(2):
                        sums[part] = [(a + b) % Q for a, b in zip(sums[part], product(moved[level], row[part]))]
    return sums


def main():
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        return
    folder = pathlib.Path(sys.argv[1])
    keys = secret_key((folder / "secret.key").read_bytes())
    ggsw, keyswitch = key_sections((folder / "evaluation.key").read_bytes(), keys)
    given, out = json.loads((folder / "input.json").read_text()), {}
    for name, (switch, rotation, stride) in LOOKUPS.items():
        found = {"switched": [], "exponents": [], "phases": []}
        for lwe in given["lwe"]:
            small = switched(lwe, *keyswitch[name], len(keys[name]), *switch)
            mask, body = exponents(small, len(keys["ring"]), stride)
            sums = rotated(given["table"], mask, body, ggsw[name], *rotation)
            pad = times_key(sums[0], keys["ring"])
            found["switched"].append(small)
            found["exponents"].append([*mask, body])
            found["phases"].append([(b - p) % Q for b, p in zip(sums[1], pad)])
        out[name] = found
    print(json.dumps(out))


if __name__ == "__main__":
    main()
