"""A model that is spread over a cluster by Ray Serve, behind the server that clients know."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import sordino

ray = pytest.importorskip("ray")
pytest.importorskip("ray.serve")

from ray import serve  # noqa: E402

import sordino.ray  # noqa: E402

COMPOSED = Path(__file__).parents[2] / "models" / "composed"
SHARES = 2


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a coordinator whose workers are Ray's."""
    home = tmp_path_factory.mktemp("server")
    try:
        ray.init(num_cpus=4, log_to_driver=False)
    except (RuntimeError, TimeoutError) as error:
        pytest.skip(f"no Ray starts on this machine: {error}")
    model = sordino.Model.load(COMPOSED)
    workers = sordino.ray.serve_workers(model, name="composed", shares=SHARES, cpus=0.5, compact=True)
    command = [sys.executable, "-m", "sordino", "serve", str(COMPOSED), "--listen", "127.0.0.1:0", "--budget", "none"]
    for worker in workers:
        command += ["--worker", worker]
    command += ["--store", str(home / "store"), "--deadline", "120"]
    environment = os.environ | {"XDG_CACHE_HOME": str(home / "cache")}
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    assert running.stdout is not None
    yield running.stdout.readline().split()[-1]
    running.terminate()
    running.wait(60)
    serve.shutdown()
    ray.shutdown()


def test_a_worker_that_is_killed_costs_time_and_no_answer(address: str, tmp_path: Path) -> None:
    made = [sys.executable, "-m", "sordino", "synth", "--tracks", "4", "--seconds", "30", "--out", str(tmp_path)]
    subprocess.run(made, check=True, capture_output=True)
    model = sordino.Model.load(COMPOSED)
    songs = [sordino.decode(song, model.sample_rate) for song in sorted(tmp_path.glob("*.wav"))]
    asked = np.stack([model.features(song[: int(model.sample_rate * model.query_seconds)]) for song in songs])
    expected, known = model.predict(asked, "decided")
    assert known.sum() > len(songs) / 2
    secret, token = sordino.SecretKey(), "a-token-of-thirty-two-characters"
    client = sordino.RemoteClient(
        address, secret, protocol="decided", evaluation_key=sordino.EvaluationKey(secret), token=token
    )
    killed: list[str] = []

    def kill() -> None:
        time.sleep(0.5)
        actors = ray.util.list_named_actors(all_namespaces=True)
        replica = next(actor for actor in actors if actor["name"].startswith("SERVE_REPLICA"))
        ray.kill(ray.get_actor(replica["name"], replica["namespace"]))
        killed.append(replica["name"])

    killer = threading.Thread(target=kill)
    killer.start()
    answers = [client.ask(features) for features in asked]
    killer.join()
    assert killed
    for answer, label, is_known in zip(answers, expected, known, strict=True):
        assert answer.known == is_known and (not is_known or answer.labels[0] == label)
