"""Crude estimate of the primal attack (core-SVP, uSVP condition) on the three keys of the standard set: smallest block size.

Only to compare keys with each other; tfhe-rs's authors chose all three for 128 bits with better estimates. Prints beta for (n, b of TUniform(b)).
"""
from math import e, log2, pi, sqrt

def delta(b):
    return ((pi * b) ** (1 / b) * b / (2 * pi * e)) ** (1 / (2 * (b - 1)))

def block_size(n, noise_log2, q=64):
    sigma = 0.5 * log2((2 ** (2 * noise_log2 + 1) + 1) / 6)
    for b in range(60, 900):
        for m in range(50, 3000, 10):
            d = n + m + 1
            volume = (m * q + n * (sigma + 1)) / d  # the secret's deviation is 1/2
            if log2(sqrt(b)) + sigma <= log2(delta(b)) * (2 * b - d) + volume:
                return b

for n, noise in [(2048, 17), (918, 45), (720, 50)]:
    print(n, noise, block_size(n, noise))
