"""Encrypted samples: the package's client, and a client of the wire format that shares no code with it."""

import os
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

import sordino

CLIENT = Path(__file__).parents[1] / "examples" / "raw_client.py"

# A front of three seconds and six bands, so that a query takes a second.
CONFIG = """
least_clips = 100
flat = false
stages = []

[unknown]
lost = 0.3

[raw]
directions = 8
accepted = 0.5
lost = 0.0

[raw.spec]
emphasis = 0.5
cells = 6
bands = 6
lags = [1]
"""


def run(*arguments):
    done = subprocess.run([sys.executable, "-m", "sordino", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A model of eight composed songs that hears encrypted samples, and its keys."""
    home = tmp_path_factory.mktemp("raw")
    (home / "train.toml").write_text(CONFIG)
    run("synth", "--tracks", 8, "--seconds", 20, "--out", home / "music")
    run("index", "--music", home / "music", "--out", home / "index")
    run("train", "--index", home / "index", "--out", home / "eight", "--effort", "quick", "--config", home / "train.toml")
    run("keygen", "--out", home / "client.key", "--evaluation", home / "client.eval", "--samples")
    return home


@pytest.fixture(scope="module")
def server(home):
    os.environ["XDG_CACHE_HOME"] = str(home / "cache")
    serve = ["serve", home / "eight", "--listen", "127.0.0.1:0", "--budget", "none", "--store", home / "store"]
    command = [sys.executable, "-m", "sordino", *map(str, serve)]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    yield running.stdout.readline().split()[-1].rstrip("/")
    running.terminate()
    assert running.wait(60) == 0


def test_a_client_in_numpy_is_answered_as_the_package_is(home, server):
    model = sordino.Model.load(home / "eight")
    secret = sordino.SecretKey.from_bytes((home / "client.key").read_bytes())
    evaluation = sordino.EvaluationKey.from_bytes((home / "client.eval").read_bytes())
    client = sordino.RemoteClient(server, secret, protocol="raw", evaluation_key=evaluation, token="a" * 32)
    for number, song in enumerate(sorted((home / "music").glob("*.wav"))[:3]):
        # Both take the middle of ten seconds; the other client resamples, and so rounds a few samples otherwise.
        sound = sordino.decode(song, 8_000)[32_000:112_000]
        clip = home / "clip.wav"
        with wave.open(str(clip), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8_000)
            file.writeframes(np.round(sound / np.abs(sound).max() * 32_000).astype("<i2").tobytes())
        heard = client.features(sordino.decode(clip, 8_000))
        assert np.array_equal(heard, model.features(sordino.decode(clip, 8_000), protocol="raw")) and len(heard) == 23_040
        answer = client.ask(heard)
        labels, known = model.predict(heard[None], "raw")
        assert (answer.known, answer.labels[:1]) == (known[0], [labels[0]] if known[0] else [])
        command = [CLIENT, server, "eight", home / "client.key", home / "client.eval", clip]
        said = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True)
        assert said.returncode == 0, said.stderr
        title = client.labels[answer.labels[0]][1] if answer.known else "unknown"
        assert title in said.stdout, (number, said.stdout)


def test_a_key_without_a_part_for_samples_is_refused(server):
    secret = sordino.SecretKey()
    client = sordino.RemoteClient(
        server, secret, protocol="raw", evaluation_key=sordino.EvaluationKey(secret), token="b" * 32
    )
    with pytest.raises(sordino.SordinoError, match="keygen --samples"):
        client.ask(np.sin(np.arange(23_040, dtype=np.float32)))
