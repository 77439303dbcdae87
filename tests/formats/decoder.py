"""A second decoder of Sordino's keys and messages, written from docs/formats.md with the standard library alone.

Usage: python3 decoder.py FOLDER

FOLDER holds secret.key, evaluation.key (optional), hello, query-0, reply-0, query-1, ... Prints what they say as JSON.
It is slow, and for small rings. Example: it is run by `cargo test -p sordino-service --test formats`.
"""

import hashlib
import json
import pathlib
import struct
import sys

Q = 1 << 64
#       number: (N, bits of the key of comparisons, of refreshes)
SETS = {1: (2048, 918, 720), 0xFF01: (512, 64, 48), 0xFF02: (256, 64, 48)}


def fail(why):
    sys.exit(f"decoder: {why}")


def opened(data, magic):
    """Content after the magic number and before the checksum, and the checksum."""
    content, checksum = data[:-32], data[-32:]
    if hashlib.sha256(content).digest() != checksum:
        fail(f"{magic}: the checksum does not fit")
    if not content.startswith(magic):
        fail(f"expected {magic}, found {content[:8]}")
    return content[len(magic):], checksum


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if self.at + count > len(self.data):
            fail("a field reaches past the end")
        self.at += count
        return self.data[self.at - count:self.at]

    def numbers(self, form):
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))

    def number(self, form):
        return self.numbers(form)[0]

    def optional(self, form):
        return self.numbers(form) if self.number("B") else None

    def end(self):
        if self.at != len(self.data):
            fail(f"{len(self.data) - self.at} bytes too many")


def chacha20(seed, nonce, count):
    """`count` bytes of key stream: 64-bit counter from 0, 64-bit nonce."""

    def turn(x, a, b, c, d):
        for left, right, bits in ((a, d, 16), (c, b, 12), (a, d, 8), (c, b, 7)):
            other = b if left == a else d
            x[left] = (x[left] + x[other]) & 0xFFFFFFFF
            mixed = x[right] ^ x[left]
            x[right] = (mixed << bits | mixed >> (32 - bits)) & 0xFFFFFFFF

    out, counter = bytearray(), 0
    while len(out) < count:
        start = [*struct.unpack("<4I", b"expand 32-byte k"), *struct.unpack("<8I", seed)]
        start += [counter & 0xFFFFFFFF, counter >> 32, nonce & 0xFFFFFFFF, nonce >> 32]
        x = start[:]
        for _ in range(10):
            for i in range(4):
                turn(x, i, i + 4, i + 8, i + 12)
            for i in range(4):
                turn(x, i, (i + 1) % 4 + 4, (i + 2) % 4 + 8, (i + 3) % 4 + 12)
        out += struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(x, start)))
        counter += 1
    return bytes(out[:count])


def unpacked(data, count, bits):
    """Torus elements of so many bits each."""
    stream = int.from_bytes(data, "little")
    mask = (1 << bits) - 1
    return [(stream >> (bits * i) & mask) << (64 - bits) for i in range(count)]


def packed_bytes(count, bits):
    return (count * bits + 7) // 8


def times_key(mask, key):
    """`mask s` modulo X^N + 1 and q."""
    n, out = len(mask), [0] * len(mask)
    for shift in (i for i, bit in enumerate(key) if bit):
        for i, a in enumerate(mask):
            at = i + shift
            if at < n:
                out[at] += a
            else:
                out[at - n] -= a
    return [x % Q for x in out]


def signed(x, bits=64):
    return x - (1 << bits) if x >> (bits - 1) else x


def phases(reader, ciphertexts, bits, keys):
    """Decrypts a seeded list: the phases of every ciphertext."""
    n = len(keys["ring"])
    seed = reader.take(32)
    bodies = unpacked(reader.take(packed_bytes(ciphertexts * n, bits)), ciphertexts * n, bits)
    out = []
    for j in range(ciphertexts):
        mask = struct.unpack(f"<{n}Q", chacha20(seed, j, 8 * n))
        pad = times_key(mask, keys["ring"])
        out.append([(b - p) % Q for b, p in zip(bodies[j * n:(j + 1) * n], pad)])
    return out


def secret_key(data):
    content, _ = opened(data, b"SRDNKEY\x03")
    number = struct.unpack_from("<H", content)[0]
    ring, compare, refresh = SETS[number]
    stream = int.from_bytes(content[2:], "little")
    bits = [stream >> i & 1 for i in range(ring + compare + refresh)]
    if len(content) != 2 + (len(bits) + 7) // 8:
        fail("secret key: wrong length")
    return {"set": number, "ring": bits[:ring], "compare": bits[ring:ring + compare], "refresh": bits[ring + compare:]}


def plan(data):
    reader = Reader(data[8:])
    if data.startswith(b"SRDNPLN\x01"):
        number, trips = reader.number("H"), []
        for _ in range(reader.number("Q")):
            trip = {"stage": reader.number("Q")}
            trip["probes"] = (reader.optional("Q") or [None])[0]
            names = ("ring", "features", "width", "groups", "slots")
            trip.update(zip(names, reader.numbers("5Q")))
            trip["body_bits"] = reader.number("I")
            trip["index"] = reader.optional("3I")
            trip["used"] = reader.number("Q")
            trip["zero_bits"], trip["reply_bits"] = reader.numbers("2I")
            trip["bound"], trip["norm"], trip["flood"] = reader.numbers("3Q")
            trips.append(trip)
        reader.end()
        return {"set": number, "trips": trips}
    if data.startswith(b"SRDN1TP\x04"):
        number, routing, probes, answers, resolution, failure = reader.numbers("H4Id")
        stages = []
        for _ in range(reader.number("Q")):
            names = ("features", "spare", "body_bits", "delta", "floor", "difference", "norm")
            stages.append(dict(zip(names, reader.numbers("QIIQqQQ"))))
        zero_bits, reply_bits = reader.numbers("2I")
        reader.end()
        return {"set": number, "picked": routing == 2, "probes": probes, "answers": answers, "failure": failure, "stages": stages,
                "zero_bits": zero_bits, "reply_bits": reply_bits}
    fail("a plan of neither family")


def hello(data):
    content, _ = opened(data, b"SRDNHLO\x02")
    protocol, probes, answers, resolution = struct.unpack_from("<BIIB", content, 32)
    return {"model": content[:32].hex(), "protocol": ["flat", "routed", "decided", "picked", "picked-decided"][protocol], "probes": probes,
            "answers": answers, "resolution": resolution, "plan": plan(content[42:]),
            "plan_hash": hashlib.sha256(content[42:]).hexdigest()}


def message(data, kind, trip, said):
    content, checksum = opened(data, b"SRDN\x02")
    found, found_trip, number = struct.unpack_from("<BHH", content)
    model, hash_, reference = content[5:37], content[37:69], content[69:101]
    if (found, found_trip, number) != (kind, trip, said["plan"]["set"]):
        fail(f"a message of kind {found}, trip {found_trip}, parameter set {number}")
    if model.hex() != said["model"] or hash_.hex() != said["plan_hash"]:
        fail("a message for another model or plan")
    return Reader(content[101:]), reference, checksum


def small(phase, what, bound=1 << 40):
    worst = max(abs(signed(x)) for x in phase)
    if worst > bound:
        fail(f"{what}: noise of 2^{worst.bit_length()}")


def features(lists, ring, per_ciphertext, width, delta):
    stride, out = ring // per_ciphertext, []
    for i in range(width):
        phase = signed(lists[i // per_ciphertext][i % per_ciphertext * stride])
        out.append((phase + delta // 2) // delta)
    return out


def column_and_block(trip, group):
    fit = fits(trip)
    return group // fit, group % fit


def fits(trip):
    """Groups in a column."""
    return min(max(trip["ring"] // trip["features"] // trip["slots"], 1), trip["groups"])


def bits_below(bound):
    return max(bound - 1, 0).bit_length()


def scores_query(reader, trip, keys):
    small(phases(reader, 1, trip["zero_bits"], keys)[0], "zero key", 1 << 63 - trip["zero_bits"] + 20)
    ring, per = trip["ring"], trip["features"]
    lists = phases(reader, -(-trip["width"] // per), trip["body_bits"], keys)
    delta = (1 << 63) // (trip["bound"] + 1)
    out = {"vector": features(lists, ring, per, trip["width"], delta), "groups": []}
    column, block = column_and_block(trip, trip["groups"] - 1)
    fit = fits(trip)
    widths = bits_below(column + 1), bits_below(fit)
    for _ in range(trip["probes"] or 0):
        base, levels, body_bits = trip["index"]
        rows = phases(reader, sum(widths) * 2 * levels, body_bits, keys)
        bits = []
        for i in range(sum(widths)):
            # The first level's second row encrypts the bit times q / B.
            weight = 1 << (64 - base)
            bits.append((signed(rows[2 * levels * i + 1][0]) + weight // 2) // weight % 2)
            key_row = rows[2 * levels * i]
            expected = [(-s * bits[-1] * weight) % Q for s in keys["ring"]]
            small([(x - y) % Q for x, y in zip(key_row, expected)], "a row of an index", weight // 2)
        number = [sum(bit << i for i, bit in enumerate(part)) for part in (bits[:widths[0]], bits[widths[0]:])]
        out["groups"].append(number[0] * fit + number[1])
    return out


def scores_reply(reader, trip, keys, counts):
    ring, slots = trip["ring"], trip["ring"] // trip["features"]
    where = []  # for every ciphertext: coefficient of every score, and whose it is
    if trip["probes"] is None:
        groups = fits(trip)
        lanes = -(-trip["slots"] // slots)
        for column in range(-(-trip["groups"] // groups)):
            for lane in range(lanes):
                here = []
                for block in range(groups):
                    group = column * groups + block
                    for slot in range(counts[group] if group < len(counts) else 0):
                        if slot // slots == lane:
                            here.append((block * trip["slots"] + slot % slots, (group, slot)))
                where.append(here)
    else:
        for probe in range(trip["probes"]):
            for lane in range(-(-trip["slots"] // slots)):
                count = min(slots, trip["slots"] - lane * slots)
                where.append([(i, (probe, lane * slots + i)) for i in range(count)])
    total = sum(ring + len(here) for here in where)
    values = iter(unpacked(reader.take(packed_bytes(total, trip["reply_bits"])), total, trip["reply_bits"]))
    delta, scores = (1 << 63) // (trip["bound"] + 1), {}
    for here in where:
        pad = times_key([next(values) for _ in range(ring)], keys["ring"])
        for coefficient, whose in here:
            phase = signed((next(values) - pad[coefficient]) % Q)
            scores[whose] = (phase + delta // 2) // delta
    groups = range(trip["probes"] or len(counts))
    return [[scores[key] for key in sorted(scores) if key[0] == group] for group in groups]


def numbers(reader, count, keys):
    """The phases of single numbers."""
    ring, out = len(keys["ring"]), []
    seed = reader.take(32) if count else b""
    for j in range(-(-count // ring)):
        here = min(count - j * ring, ring)
        stride = ring // (1 << bits_below(here))
        pad = times_key(struct.unpack(f"<{ring}Q", chacha20(seed, j, 8 * ring)), keys["ring"])
        out += [(reader.number("Q") - pad[i * stride]) % Q for i in range(here)]
    return out


def lightest(count):
    """The words of as few bits as count them, ordered by set bits and then by value."""
    return sorted(range(1 << bits_below(count)), key=lambda word: (bin(word).count("1"), word))[:count]


def asked_groups(reader, said, keys, groups, slots):
    """The groups that a query asks for by the bits of their positions."""
    fit = len(keys["ring"]) // said["stages"][0]["features"] // slots
    columns, low = lightest(-(-groups // fit)), bits_below(min(fit, groups))
    width = bits_below(len(columns)) + low
    rows = numbers(reader, said["probes"] * width * 4, keys)
    bits = []
    for i in range(0, len(rows), 4):
        bits.append((signed(rows[i]) + (1 << 59)) // (1 << 60) % 2)
        for level in range(4):
            small([(rows[i + level] - (bits[-1] << 60 - 4 * level)) % Q], "a row of a selector", 1 << 30)
    out = []
    for i in range(0, len(bits), width):
        position = int("0" + "".join(map(str, bits[i:i + width])), 2)
        out.append(columns.index(position >> low) * fit + position % (1 << low))
    return out


def decided_query(reader, said, keys, widths, counts, slots):
    name = reader.take(32).hex()
    ring = len(keys["ring"])
    small(phases(reader, 1, said["zero_bits"], keys)[0], "zero key", 1 << 63 - said["zero_bits"] + 20)
    vectors = []
    for stage, width in zip(said["stages"], widths[-len(said["stages"]):]):
        lists = phases(reader, -(-width // stage["features"]), stage["body_bits"], keys)
        vectors.append(features(lists, ring, stage["features"], width, stage["delta"]))
    phase = signed(numbers(reader, 1, keys)[0])
    delta = said["stages"][-1]["delta"]
    above = (phase + delta // 2) // delta
    small([(phase - above * delta) % Q], "threshold", 1 << 30)
    groups = asked_groups(reader, said, keys, len(counts[-1]), slots) if said["picked"] else []
    return {"evaluation_key": name, "vectors": vectors, "above": above, "groups": groups}


def decided_reply(reader, said, keys):
    ring, bits = len(keys["ring"]), said["reply_bits"]
    total = (len(reader.data) * 8) // bits
    values = unpacked(reader.take(len(reader.data)), total, bits)
    pad = times_key(values[:ring], keys["ring"])
    answer = [((body - pad[i] + (1 << 62)) % Q) >> 63 for i, body in enumerate(values[ring:])]
    return {"known": bool(answer[0]), "bits": answer}


def evaluation_key(data, keys):
    """Looks into every section: the first list's first ciphertext, and the first row of both keyswitches."""
    content, checksum = opened(data, b"SRDNEVK\x04")
    reader, ring = Reader(content), len(keys["ring"])
    if reader.number("H") != keys["set"]:
        fail("evaluation key: another parameter set")
    square = [0] * ring
    for i, bit in enumerate(times_key(keys["ring"], keys["ring"])):
        square[i] = bit
    exponents, out = [ring // 2 ** i + 1 for i in range(ring.bit_length() - 1)], {}

    def turned(t):
        turned = [0] * ring
        for i, s in enumerate(keys["ring"]):
            at = i * t % (2 * ring)
            turned[at % ring] += s if at < ring else -s
        return turned

    def section(name, lists, rows, base, message):
        size = 32 + packed_bytes(rows * ring, 48)
        for i in range(lists):
            part = reader.take(size)
            if i in (0, lists - 1):
                head = Reader(part[:32] + part[32:32 + packed_bytes(ring, 48)])
                phase = phases(head, 1, 48, keys)[0]
                expected = [m * (1 << (64 - base)) for m in message(i)]
                small([(x - y) % Q for x, y in zip(phase, expected)], name, 1 << 22)
        out[name] = lists

    def only_first(i):
        """Whether of two bits only the first is set: the first pattern of a step of two."""
        return keys["compare"][2 * i] * (1 - keys["compare"][2 * i + 1])

    section("comparisons", len(keys["compare"]) // 2, 6, 23, lambda i: [-s * only_first(i) for s in keys["ring"]])
    section("refreshes", len(keys["refresh"]), 4, 15, lambda i: [-s * keys["refresh"][i] for s in keys["ring"]])
    section("trace", len(exponents), 6, 7, lambda i: [-s for s in turned(exponents[i])])
    section("square", 1, 6, 7, lambda i: square)
    for name, small_key, base, levels in (("compare", keys["compare"], 3, 6), ("refresh", keys["refresh"], 5, 2)):
        seed = reader.take(32)
        bodies = reader.numbers(f"{ring * levels}I")
        for i in (0, ring - 1):
            masks = struct.unpack(f"<{levels * len(small_key)}I", chacha20(seed, i, 4 * levels * len(small_key)))
            for level in range(levels):
                mask = masks[level * len(small_key):(level + 1) * len(small_key)]
                phase = bodies[i * levels + level] - sum(a * s for a, s in zip(mask, small_key))
                message = keys["ring"][i] << (32 - base * (level + 1))
                if abs(signed((phase - message) % (1 << 32), 32)) > 1 << 19:
                    fail(f"keyswitch of {name}, bit {i}, level {level + 1}")
        out[f"keyswitch {name}"] = ring
    reader.end()
    return {"name": checksum.hex(), "sections": out}


def main():
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        return
    folder = pathlib.Path(sys.argv[1])
    read = lambda name: (folder / name).read_bytes()
    shape = json.loads(read("shape.json"))
    keys, said = secret_key(read("secret.key")), hello(read("hello"))
    out = {"hello": {k: said[k] for k in ("model", "protocol", "probes", "answers", "resolution")}, "trips": []}
    if (folder / "evaluation.key").exists():
        out["evaluation_key"] = evaluation_key(read("evaluation.key"), keys)
    trip = 0
    while (folder / f"query-{trip}").exists():
        query, nonce, asked = message(read(f"query-{trip}"), 1, trip, said)
        reply, reference, _ = message(read(f"reply-{trip}"), 2, trip, said)
        if reference != asked:
            fail("the reply is to another query")
        if said["protocol"].endswith("decided"):
            found = decided_query(query, said["plan"], keys, shape["widths"], shape["counts"], shape["slots"])
            found["answer"] = decided_reply(reply, said["plan"], keys)
        else:
            chosen = said["plan"]["trips"][trip]
            found = scores_query(query, chosen, keys)
            found["scores"] = scores_reply(reply, chosen, keys, shape["counts"][chosen["stage"]])
        query.end()
        reply.end()
        out["trips"].append({"nonce": nonce.hex(), **found})
        trip += 1
    print(json.dumps(out))


if __name__ == "__main__":
    main()
