"""Asks a server what song a recording holds, without a model: by encrypted samples.

    python raw_client.py http://127.0.0.1:7664 mine client.key client.eval clip.wav

A second implementation of the messages of the protocol raw, in NumPy: docs/formats.md describes them. The clip is a WAV file of 16 bits
and ten seconds or more. Keys come from `sordino keygen --out client.key --evaluation client.eval --samples`; every run brings the second one along,
under a new token.
"""

import hashlib
import json
import secrets
import struct
import sys
import urllib.request
import wave

import numpy as np

U = np.uint64
SET, RING, SAMPLE_RING, NOISE, SAMPLE_NOISE = 1, 2048, 4096, 17, 3


def chacha(seed, stream, count):
    """The first `count` numbers of 64 bits of ChaCha20 with a counter and a stream of 64 bits each."""
    block = np.arange((count + 7) // 8, dtype=U)
    words = struct.unpack("<12I", b"expand 32-byte k" + seed)
    words = [*words, block & U(0xFFFFFFFF), block >> U(32), stream & 0xFFFFFFFF, stream >> 32]
    start = [np.broadcast_to(np.asarray(word, dtype=np.uint32), block.shape) for word in words]
    x = [word.copy() for word in start]
    for step in range(80):
        a, b, c, d = (4 * row + (step + row * (step % 8 >= 4)) % 4 for row in range(4))
        for to, by, turned, left in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            x[to] += x[by]
            x[turned] ^= x[to]
            x[turned] = x[turned] << np.uint32(left) | x[turned] >> np.uint32(32 - left)
    out = np.stack([a + b for a, b in zip(x, start)], 1).astype("<u4").tobytes()
    return np.frombuffer(out, dtype="<u8")[:count].astype(U)


def times(mask, key):
    """A product modulo X^N + 1 and 2^64, with a polynomial of bits."""
    whole = np.convolve(mask, key)
    return whole[: len(key)] - np.append(whole[len(key) :], U(0))


def encrypt(key, noise, message, bits=64, sent=None):
    """A seed, and the leading bits of the bodies of some polynomials, or of so many coefficients of each."""
    seed, bodies = secrets.token_bytes(32), []
    for j, m in enumerate(message):
        word = np.frombuffer(secrets.token_bytes(4 * len(key)), dtype="<u4").astype(U) >> U(30 - noise)
        body = times(chacha(seed, j, len(key)), key) + m + (word >> U(1)) + (word & U(1)) - U(1 << noise)
        bodies.append(body[:sent] + U(1 << 64 - bits >> 1) >> U(64 - bits))
    each = np.concatenate(bodies)[:, None] >> np.arange(bits, dtype=U) & U(1)
    return seed + np.packbits(each.astype(np.uint8), bitorder="little").tobytes()


def read(clip, length, rate, emphasis):
    """The middle of a clip, so many samples at this rate, as a plan wants them."""
    with wave.open(clip) as file:
        native, channels = length * file.getframerate() // rate, file.getnchannels()
        if file.getsampwidth() != 2 or file.getnframes() < native:
            seconds = f"{file.getnframes() / file.getframerate():.1f} s in {8 * file.getsampwidth()} bits"
            sys.exit(f"{clip}: {seconds}; expected at least {length / rate:.1f} s in 16")
        sound = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, channels).mean(1)
    sound = np.fft.rfft(sound[(len(sound) - native) // 2 :][:native])
    sound = np.fft.irfft(np.pad(sound, (0, length))[: length // 2 + 1], length)
    sound[1:], sound[0] = sound[1:] - emphasis * sound[:-1], (1 - emphasis) * sound[0]
    return sound / np.sqrt((sound**2).mean())


def main(server, model, key_file, evaluation_file, clip):
    token = {"Authorization": "Bearer " + secrets.token_hex(32), "Content-Type": "application/octet-stream"}

    def ask(path, body=None, method=None):
        try:
            return urllib.request.urlopen(urllib.request.Request(f"{server}/v1/{path}", body, token, method=method)).read()
        except urllib.error.HTTPError as refused:
            sys.exit(f"{refused}: {refused.read().decode()}")

    hello, rows = ask(f"models/{model}/protocols/raw/hello"), json.loads(ask(f"models/{model}/rows"))["rows"]
    plan, form = hello[50:-32], "<If2Qif2Q2dI2dIQ"
    rate, emphasis, cell, cells, most, peak, *_, product, _, _, _, lags = struct.unpack_from(form, plan, 10)
    _, _, spare, *_, zero_bits, reply_bits = struct.unpack_from("<2QIQId2I", plan, 10 + struct.calcsize(form) + 8 * lags)

    secret, evaluation = open(key_file, "rb").read(), open(evaluation_file, "rb").read()
    key = np.unpackbits(np.frombuffer(secret, np.uint8, RING // 8, 10), bitorder="little").astype(U)
    words = chacha(hashlib.sha256(b"sordino key of samples 1" + secret).digest(), 0, SAMPLE_RING // 64)
    sample_key = np.unpackbits(words.astype("<u8").view(np.uint8), bitorder="little").astype(U)
    ask(f"keys/{evaluation[-32:].hex()}", evaluation, "PUT")

    samples = np.clip(np.round(read(clip, cell * cells, rate, emphasis) * most / peak), -most, most).astype(np.int64)
    message, nothing = np.zeros((cells, SAMPLE_RING), dtype=U), np.zeros((1, RING), dtype=U)
    message[:, :cell] = samples.reshape(cells, cell).astype(U) << U(64 - product)
    query = b"SRDN\x02\x01" + struct.pack("<2H", 0, SET) + hello[8:40] + hashlib.sha256(plan).digest()
    query += secrets.token_bytes(32) + evaluation[-32:] + encrypt(key, NOISE, nothing, zero_bits)
    query += encrypt(key, NOISE, nothing, sent=1) + encrypt(sample_key, SAMPLE_NOISE, message)
    query += hashlib.sha256(query).digest()
    reply = ask(f"models/{model}/protocols/raw/queries", query)
    assert hashlib.sha256(reply[:-32]).digest() == reply[-32:] and reply[74:106] == query[-32:], "not the reply"

    count = 1 + spare + (len(rows) - 1).bit_length()
    bits = np.unpackbits(np.frombuffer(reply[106:-32], dtype=np.uint8), bitorder="little")
    bits = bits[: (RING + count) * reply_bits].reshape(-1, reply_bits).astype(U)
    values = (bits << np.arange(64 - reply_bits, 64, dtype=U)).sum(1, dtype=U)
    known, *place = (values[RING:] - times(values[:RING], key)[:count] + U(1 << 62) >> U(63)).tolist()
    light = sorted(range(1 << len(place)), key=lambda word: (word.bit_count(), word))
    print(rows[light.index(int("".join(map(str, place)), 2))] if known else "unknown")


if __name__ == "__main__":
    main(*sys.argv[1:])
