"""From a sound file to a name, with the model that comes with the repository."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import sordino

COMPOSED = Path(__file__).parents[2] / "models" / "composed"


def test_a_clip_is_named_from_python(tmp_path):
    model = sordino.Model.load(COMPOSED)
    made = [sys.executable, "-m", "sordino", "synth", "--tracks", "3", "--seconds", "30", "--out", str(tmp_path)]
    subprocess.run(made, check=True, capture_output=True)
    song = sorted(tmp_path.glob("*.wav"))[2]
    samples = sordino.decode(song, model.sample_rate)
    assert samples.dtype == np.float32 and abs(len(samples) / model.sample_rate - 30) < 0.1
    features = model.features(samples, start=7.0)
    assert features.shape == (model.width,) and not np.array_equal(features, model.features(samples))
    labels, known = model.predict(features[None, :], "flat")
    assert known[0] and model.labels[labels[0]][1] in song.stem
    # The same, encrypted.
    server = sordino.Server(model.server_bytes(), "flat")
    client = sordino.Client(model.client_bytes(), sordino.SecretKey(), server.hello)
    answer = client.receive(server.answer(client.start(features)))
    assert answer.labels[0] == labels[0]


def test_what_is_no_sound_is_refused(tmp_path):
    (tmp_path / "x.mp3").write_text("no")
    with pytest.raises(sordino.SordinoError, match="x.mp3"):
        sordino.decode(tmp_path / "x.mp3", 8000)
    model = sordino.Model.load(COMPOSED)
    with pytest.raises(sordino.SordinoError):
        model.features(np.zeros(100, dtype=np.float32))
