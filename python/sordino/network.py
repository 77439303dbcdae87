"""An embedding network of one's own: trained anywhere, given by its weights, run by every client in the clear.

A network takes a log-mel spectrogram of shape (frames, bands), as ``sordino.log_mel`` makes it. Steps act on its frames, a pooling makes one vector
of them, and layers act on that. ``sordino train --network FILE`` puts the embedding beside the hand-made statistics.

>>> import numpy as np, sordino
>>> from sordino import network
>>> rng = np.random.default_rng(0)
>>> steps = [network.conv1d(rng.normal(size=(16, 64, 5)), np.zeros(16), stride=2, padding=2), network.relu()]
>>> mine = network.build(steps, pool="mean-std", layers=[network.affine(rng.normal(size=(8, 32)), np.zeros(8)), network.unit_norm()])
>>> mine
Network(64 bands to 8 numbers)
>>> mine.embed(sordino.log_mel(rng.normal(size=80_000))).shape
(8,)
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sordino._sordino import Network

__all__ = [
    "Layer",
    "Network",
    "Step",
    "affine",
    "batch_norm",
    "build",
    "conv1d",
    "gelu",
    "relu",
    "residual",
    "standardise",
    "unit_norm",
]

_Arrays = dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Step:
    """What acts on frames, shape (frames, channels)."""

    description: Any
    arrays: _Arrays = field(default_factory=dict)


@dataclass(frozen=True)
class Layer:
    """What acts on the pooled vector, shape (channels,)."""

    description: Any
    arrays: _Arrays = field(default_factory=dict)


def _array(values: npt.ArrayLike) -> npt.NDArray[np.float32]:
    return np.asarray(values, dtype=np.float32)


def conv1d(
    weight: npt.ArrayLike, bias: npt.ArrayLike, *, stride: int = 1, dilation: int = 1, padding: int = 0
) -> Step:
    """A convolution along time, as ``torch.nn.Conv1d`` computes it: ``weight`` of shape (out, in, taps), ``bias`` of shape (out,)."""
    description = {"conv1d": {"stride": stride, "dilation": dilation, "padding": padding}}
    return Step(description, {"weight": _array(weight), "bias": _array(bias)})


def relu() -> Step:
    """``max(x, 0)``."""
    return Step({"activation": "relu"})


def gelu() -> Step:
    """``x (1 + erf(x / sqrt 2)) / 2``, exact and not the tanh approximation."""
    return Step({"activation": "gelu"})


def standardise(mean: npt.ArrayLike, inv_std: npt.ArrayLike) -> Step:
    """``(x - mean) * inv_std`` of every channel, both of shape (channels,)."""
    return Step("standardise", {"mean": _array(mean), "inv_std": _array(inv_std)})


def batch_norm(
    weight: npt.ArrayLike, bias: npt.ArrayLike, mean: npt.ArrayLike, variance: npt.ArrayLike, *, eps: float = 1e-5
) -> Step:
    """A batch normalisation as it runs after training, such as ``torch.nn.BatchNorm1d``: a scale and a shift of every channel.

    ``weight`` must not hold a zero: such a channel is constant, and a convolution with a zero filter says so better.
    """
    gain = np.asarray(weight, dtype=np.float64) / np.sqrt(np.asarray(variance, dtype=np.float64) + eps)
    if not np.all(gain):
        raise ValueError("weight holds a zero, expected none: give its channel a zero filter and a bias instead")
    return standardise(np.asarray(mean, dtype=np.float64) - np.asarray(bias, dtype=np.float64) / gain, gain)


def residual(steps: Sequence[Step]) -> Step:
    """``x + f(x)``, where the steps ``f`` keep frames and channels."""
    return Step({"residual": [step.description for step in steps]}, _named("steps", steps))


def affine(weight: npt.ArrayLike, bias: npt.ArrayLike) -> Layer:
    """``W x + b``, as ``torch.nn.Linear`` computes it: ``weight`` of shape (out, in), ``bias`` of shape (out,)."""
    return Layer("affine", {"weight": _array(weight), "bias": _array(bias)})


def unit_norm() -> Layer:
    """``x / |x|``, Euclidean."""
    return Layer("unit-norm")


def build(
    steps: Sequence[Step],
    *,
    pool: Literal["mean", "max", "mean-std", "mean-max"] = "mean",
    layers: Sequence[Layer | Step] = (),
    bands: int = 64,
) -> Network:
    """A network for spectrograms of ``bands`` bands. ``relu``, ``gelu`` and ``standardise`` may stand among the layers, too.

    ``mean-std`` and ``mean-max`` make twice as many numbers as there are channels; the deviation is ``sqrt(variance + 1e-5)``, of the population.
    Raises ``SordinoError`` where parts do not fit together.
    """
    description = {
        "format": "sordino-network",
        "version": 1,
        "bands": bands,
        "steps": [step.description for step in steps],
        "pool": pool,
        "layers": [layer.description for layer in layers],
    }
    arrays = _named("network.steps", steps) | _named("network.layers", layers)
    return Network.assemble(json.dumps(description), arrays)


def _named(part: str, parts: Sequence[Step | Layer]) -> _Arrays:
    every = enumerate(parts)
    return {f"{part}.{i}.{name}": array for i, step in every for name, array in step.arrays.items()}
