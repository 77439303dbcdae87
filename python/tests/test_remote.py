"""Asking a server over HTTP."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import sordino

COMPOSED = Path(__file__).parents[2] / "models" / "composed"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    home = tmp_path_factory.mktemp("server")
    os.environ["XDG_CACHE_HOME"] = str(home / "cache")
    serve = [sys.executable, "-m", "sordino", "serve", str(COMPOSED), "--listen", "127.0.0.1:0", "--budget", "none"]
    running = subprocess.Popen(
        [*serve, "--store", str(home / "store")], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    yield running.stdout.readline().split()[-1]
    running.terminate()
    assert running.wait(60) == 0


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    music = tmp_path_factory.mktemp("music")
    made = [sys.executable, "-m", "sordino", "synth", "--tracks", "3", "--seconds", "30", "--out", str(music)]
    subprocess.run(made, check=True, capture_output=True)
    song = sorted(music.glob("*.wav"))[1]
    return song.stem, sordino.decode(song, sordino.Model.load(COMPOSED).sample_rate)


def test_a_clip_is_named_over_http_in_every_protocol(server, clip):
    title, samples = clip
    secret = sordino.SecretKey()
    evaluation = sordino.EvaluationKey(secret)
    assert sordino.RemoteClient.models(server) == ["composed"]
    model = sordino.Model.load(COMPOSED)
    for protocol in ["flat", "routed", "decided"]:
        owned = {"evaluation_key": evaluation, "token": "a-token-of-enough-letters"} if protocol == "decided" else {}
        client = sordino.RemoteClient(server, secret, protocol=protocol, **owned)
        features = client.features(samples, start=7.0)
        assert np.array_equal(features, model.features(samples, start=7.0)) and client.labels == model.labels
        answer = client.ask(features)
        assert answer.known and client.labels[answer.labels[0]][1] in title
    with pytest.raises(sordino.SordinoError, match="train it"):
        client.accept(0.01)  # this model was trained before there was such a thing
    with pytest.raises(ValueError, match="0.001"):
        client.accept(2.0)


def test_what_is_wrong_is_said(server):
    secret = sordino.SecretKey()
    with pytest.raises(sordino.SordinoError, match="composed"):
        sordino.RemoteClient(server, secret, model="nothing")
    with pytest.raises(sordino.SordinoError, match="https"):
        sordino.RemoteClient("http://music.example.org", secret)
    with pytest.raises(sordino.SordinoError):
        sordino.RemoteClient(server, secret, protocol="decided")
    with pytest.raises(sordino.SordinoError, match="16"):
        sordino.RemoteClient(server, secret, token="short")
