"""Keys, halves and messages: bytes in, bytes out."""

import numpy as np
import pytest

import sordino


@pytest.fixture(scope="module")
def planted():
    """Forty classes around centres, twelve vectors of each to learn from and two to ask about."""
    rng = np.random.default_rng(1)
    centres = 3 * rng.normal(size=(40, 24))
    draw = lambda each: (np.repeat(centres, each, axis=0) + rng.normal(size=(40 * each, 24))).astype(np.float32)
    x, y = draw(12), np.repeat(np.arange(40, dtype=np.uint32), 12)
    model = sordino.train(x, y, [f"class {i}" for i in range(40)], effort="quick", jitter=0.2,
                          settings='{"least_clips": 0, "clips_per_track": 16, "router": {"hidden": [64]}}')
    return model, draw(2), np.repeat(np.arange(40), 2)


@pytest.fixture(scope="module")
def key():
    return sordino.SecretKey()


@pytest.fixture(scope="module")
def evaluation_key(key):
    return sordino.EvaluationKey(key)


def ask(client, server, row):
    step = client.start(row)
    while isinstance(step, bytes):
        step = client.receive(server.answer(step))
    return step


def test_a_model_names_what_it_learned(planted):
    model, x, y = planted
    assert (model.width, len(model.titles), model.titles[3]) == (24, 40, "class 3")
    for protocol in ["flat", "routed", "decided"]:
        labels, known = model.predict(x, protocol)
        assert labels.shape == known.shape == y.shape
        assert (labels == y).mean() > 0.9, protocol
    scores = model.scores(x)
    assert scores.shape == (len(x), 40) and (scores.argmax(axis=1) == model.predict(x, "flat")[0]).all()


@pytest.mark.parametrize("protocol", ["flat", "routed", "decided"])
def test_encrypted_is_as_in_the_clear(planted, key, evaluation_key, protocol):
    model, x, _ = planted
    server = sordino.Server(model.server_bytes(), protocol, probes=1 if protocol == "decided" else 2)
    # Keys travel as bytes.
    sent = sordino.EvaluationKey.from_bytes(evaluation_key.to_bytes())
    name = server.register(sent) if protocol == "decided" else None
    assert name in (None, evaluation_key.id)
    client = sordino.Client(model.client_bytes(), sordino.SecretKey.from_bytes(key.to_bytes()), server.hello, name)
    clear, known = model.predict(x[:6], protocol, probes=1 if protocol == "decided" else 2)
    answers = [ask(client, server, row) for row in x[:6]]
    assert [answer.labels[0] if answer.labels else -1 for answer in answers] == clear.tolist()
    assert [answer.known for answer in answers] == known.tolist()
    assert all(bool(answer.scores) == (protocol != "decided") for answer in answers)


def test_halves_come_back_from_bytes_and_folders(planted, tmp_path):
    model, x, _ = planted
    again = sordino.Model.from_bytes(model.client_bytes(), model.server_bytes())
    assert (again.scores(x) == model.scores(x)).all()
    model.save(tmp_path / "planted")
    assert {path.name for path in (tmp_path / "planted").iterdir()} == {"card.md", "client", "server", "train.toml"}
    assert sordino.Model.load(tmp_path / "planted").client_bytes() == model.client_bytes()


def test_mistakes_say_what_was_expected(planted, key, tmp_path):
    model, x, _ = planted
    with pytest.raises(ValueError, match='"flat", "routed", "decided", "picked", "picked-decided"'):
        model.predict(x, "magic")
    with pytest.raises(ValueError, match="at least 1"):
        model.predict(x, "routed", probes=0)
    with pytest.raises(sordino.SordinoError, match="24"):
        model.predict(x[:, :5].copy())
    with pytest.raises(sordino.SordinoError, match="nowhere"):
        sordino.Model.load(tmp_path / "nowhere")
    with pytest.raises(sordino.SordinoError, match="spilll"):
        sordino.train(x, np.arange(len(x)), [str(i) for i in range(len(x))], settings='{"spilll": 2}')
    with pytest.raises(ValueError, match="label -1"):
        sordino.train(x, np.arange(len(x)) - 1, [])
    with pytest.raises(TypeError):
        sordino.train(x, np.linspace(0, 1, len(x)), [])
    with pytest.raises(ValueError, match="names has 1"):
        sordino.train(x, np.arange(len(x)), ["one"])
    with pytest.raises(ValueError, match='"quick"'):
        sordino.default_settings("fast")
    server = sordino.Server(model.server_bytes(), "routed")
    client = sordino.Client(model.client_bytes(), key, server.hello)
    for share in [0, -1, 0.7, 2, float("nan")]:
        with pytest.raises(ValueError, match="0.001 to 0.5"):
            client.accept(share)
    message = client.start(x[0])
    with pytest.raises(sordino.SordinoError):
        server.answer(message[:-1])
    with pytest.raises(sordino.SordinoError):
        client.receive(message)
    with pytest.raises(sordino.SordinoError, match="evaluation key"):
        decided = sordino.Server(model.server_bytes(), "decided")
        sordino.Client(model.client_bytes(), key, decided.hello)
    assert "..." in repr(key), "a key does not print itself"


def test_progress_is_told_and_may_stop(planted):
    _, x, y = planted
    told = []
    settings = '{"least_clips": 0, "clips_per_track": 16, "router": {"hidden": [64]}}'
    sordino.train(x, y.astype(np.uint32), [str(i) for i in range(40)], settings=settings, jitter=0.2,
                  progress=lambda *step: told.append(step))
    assert told and all(0 <= step <= steps for _, step, steps in told)

    def stop(phase, step, steps):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sordino.train(x, y.astype(np.uint32), [str(i) for i in range(40)], settings=settings, jitter=0.2, progress=stop)
