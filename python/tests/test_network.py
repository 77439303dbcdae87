"""A network of one's own: what it computes, what is refused, and a model of music that hears through it."""

import doctest
import json
import subprocess
import sys

import numpy as np
import pytest

import sordino
from sordino import network

RNG = np.random.default_rng(7)


def convolved(x, weight, bias, stride, dilation, padding):
    """Tap by tap, from the definition."""
    frames, (out, _, taps) = len(x), weight.shape
    padded = np.vstack([np.zeros((padding, x.shape[1])), x, np.zeros((padding, x.shape[1]))])
    count = (frames + 2 * padding - dilation * (taps - 1) - 1) // stride + 1
    y = np.zeros((count, out))
    for t in range(count):
        for tap in range(taps):
            y[t] += weight[:, :, tap] @ padded[t * stride + tap * dilation]
    return y + bias


def parts(bands=64):
    """Arrays of a small network with everything in it."""
    shapes = {"w1": (12, bands, 5), "b1": 12, "gain": 12, "shift": 12, "mean": 12, "w2": (12, 12, 3), "b2": 12}
    arrays = {name: RNG.normal(size=shape) / 4 for name, shape in shapes.items()}
    arrays |= {"variance": RNG.uniform(0.5, 2, size=12), "w3": RNG.normal(size=(6, 24)), "b3": RNG.normal(size=6)}
    return arrays


def built(a, bands=64):
    return network.build(
        [
            network.conv1d(a["w1"], a["b1"], stride=2, padding=2),
            network.batch_norm(a["gain"], a["shift"], a["mean"], a["variance"]),
            network.relu(),
            network.residual([network.conv1d(a["w2"], a["b2"], dilation=2, padding=2), network.relu()]),
        ],
        pool="mean-std",
        layers=[network.affine(a["w3"], a["b3"]), network.unit_norm()],
        bands=bands,
    )


def test_it_computes_what_its_definition_says():
    a, x = parts(), RNG.normal(size=(50, 64))
    y = convolved(x, a["w1"], a["b1"], 2, 1, 2)
    y = a["gain"] * (y - a["mean"]) / np.sqrt(a["variance"] + 1e-5) + a["shift"]
    y = np.maximum(y, 0)
    y = y + np.maximum(convolved(y, a["w2"], a["b2"], 1, 2, 2), 0)
    pooled = np.concatenate([y.mean(0), np.sqrt(y.var(0) + 1e-5)])
    expected = a["w3"] @ pooled + a["b3"]
    expected /= np.linalg.norm(expected)
    np.testing.assert_allclose(built(a).embed(x), expected, atol=1e-5)


def test_it_is_a_file(tmp_path):
    a, x = parts(), RNG.normal(size=(50, 64))
    mine = built(a)
    mine.save(tmp_path / "mine.safetensors")
    again = sordino.Network.load(tmp_path / "mine.safetensors")
    assert np.array_equal(mine.embed(x), again.embed(x)) and (again.width, again.bands) == (6, 64)
    # Any program that reads safetensors finds the description and the arrays.
    data = (tmp_path / "mine.safetensors").read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert json.loads(header["__metadata__"]["sordino"])["pool"] == "mean-std"
    assert header["network.steps.0.weight"]["shape"] == [12, 64, 5]
    assert header["network.steps.3.steps.0.weight"]["shape"] == [12, 12, 3]


def test_what_does_not_fit_is_refused(tmp_path):
    a = parts()
    with pytest.raises(sordino.SordinoError, match="input channels"):
        network.build([network.conv1d(a["w1"], a["b1"])], bands=32)
    with pytest.raises(sordino.SordinoError, match="not finite"):
        network.build([network.conv1d(np.full((1, 64, 1), np.nan), [0.0])])
    with pytest.raises(sordino.SordinoError, match="length"):
        network.build([network.conv1d(a["w1"], a["b1"]), network.residual([network.conv1d(a["w2"], a["b2"])])])
    with pytest.raises(ValueError, match="zero"):
        network.batch_norm([0.0], [0.0], [0.0], [1.0])
    with pytest.raises(sordino.SordinoError, match="frames"):
        built(a).embed(np.zeros((0, 64)))
    (tmp_path / "other.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    with pytest.raises(sordino.SordinoError, match="no entry \"sordino\""):
        sordino.Network.load(tmp_path / "other.safetensors")


def program(*arguments, code=0):
    done = subprocess.run([sys.executable, "-m", "sordino", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done.stderr


def test_a_model_hears_through_it(tmp_path):
    mine = built(parts())
    mine.save(tmp_path / "mine.safetensors")
    program("synth", "--tracks", 6, "--seconds", 30, "--out", tmp_path / "music")
    program("index", "--music", tmp_path / "music", "--out", tmp_path / "index")
    (tmp_path / "small.toml").write_text("clips_per_track = 4\nleast_clips = 0\n")
    train = ("train", "--index", tmp_path / "index", "--clusters", "flat", "--effort", "quick", "--config", tmp_path / "small.toml")
    program(*train, "--network", tmp_path / "mine.safetensors", "--out", tmp_path / "model")
    model = sordino.Model.load(tmp_path / "model")
    samples = sordino.decode(next((tmp_path / "music").glob("*.wav")), model.sample_rate)
    features = model.features(samples, start=0.0)
    clip = samples[: int(model.query_seconds * model.sample_rate)]
    np.testing.assert_allclose(features[-mine.width :], mine.embed(sordino.log_mel(clip)), atol=1e-5)
    said = program(*train, "--network", tmp_path / "small.toml", "--out", tmp_path / "other", code=1)
    assert "small.toml" in said and not (tmp_path / "other").exists()


def test_the_example_runs():
    assert doctest.testmod(network).failed == 0
