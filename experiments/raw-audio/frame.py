"""Draws what the encrypted front makes of ten seconds: python frame.py CLIP OUT.svg

Needs NumPy, Matplotlib and the package `sordino`.
"""

import sys
from dataclasses import replace

import matplotlib
import numpy as np
import sordino
from accuracy import BASE, RATE, Front

matplotlib.use("svg")
import matplotlib.pyplot as plt

plt.rcParams.update({"svg.hashsalt": "sordino", "font.size": 10, "axes.spines.top": False, "axes.spines.right": False})


def main():
    clip, out = sys.argv[1:]
    spec = replace(BASE, bands=48, emphasis=0.0, table_noise=0.0)
    sound = sordino.decode(clip, RATE)[None, : spec.samples]
    front = Front(spec, sound)
    samples = front.rounded(sound)
    r = front.correlations(samples)
    energies = r[0] @ front.weights.T
    steps = np.searchsorted(front.bounds, np.clip(energies, 0, front.full - 1), side="right")
    figure, ((a, b), (c, d)) = plt.subplots(2, 2, figsize=(9, 6), layout="constrained")
    cell = 4
    a.plot(samples[0, cell * spec.cell :][:400], color="black", linewidth=0.8)
    a.set(title="1. Samples on 6 bits, encrypted", xlabel="sample of one cell", ylabel="integer")
    b.plot(r[0, cell] / r[0, cell, 0], color="black", linewidth=1)
    b.set(title="2. Autocorrelation: one product", xlabel="lag in samples", ylabel="share of lag 0")
    for band, style in [(4, "-"), (16, "--"), (36, ":")]:
        c.plot(front.weights[band] / np.abs(front.weights[band]).max(), "k" + style, linewidth=1, label=f"band {band}")
    c.set(title="3. Weights of bands: public, linear", xlabel="lag in samples", ylabel="share of the largest", xlim=(0, 128))
    c.legend(frameon=False)
    shown = d.imshow(steps.T, origin="lower", aspect="auto", cmap="gray_r", vmin=0, vmax=31)
    d.set(title="4. Logarithms by table, on 5 bits", xlabel="cell of half a second", ylabel="mel band")
    figure.colorbar(shown, ax=d, label="level")
    figure.savefig(out, metadata={"Date": None})


if __name__ == "__main__":
    main()
