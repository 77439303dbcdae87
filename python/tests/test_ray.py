"""Training in parts on a Ray cluster of several nodes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import sordino

ray = pytest.importorskip("ray")

from ray.cluster_utils import Cluster  # noqa: E402

import sordino.ray  # noqa: E402

# Nodes cannot import this file.
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])

LABELS, EACH, WIDTH = 400, 6, 48
SETTINGS = {"width": 32, "least_clips": 0, "flat": False, "public_routing": True, "router": {"learned": False}}


class Planted:
    """Vectors around a centre for each label, which any range of labels can be made of alone."""

    def __call__(self, first: int, last: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        rows, labels = [], []
        for label in range(first, last):
            rng = np.random.default_rng(label)
            rows.append(4 * rng.standard_normal(WIDTH) + rng.standard_normal((EACH, WIDTH)))
            labels.append(np.full(EACH, label))
        x = np.concatenate(rows) if rows else np.zeros((0, WIDTH))
        return x.astype(np.float32), np.concatenate(labels) if labels else np.zeros(0, np.int64)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    try:
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 200_000_000})
        for _ in range(2):
            cluster.add_node(num_cpus=1, object_store_memory=100_000_000)
        ray.init(address=cluster.address, log_to_driver=False)
        cluster.wait_for_nodes()
    except (RuntimeError, TimeoutError) as error:
        pytest.skip(f"no Ray cluster starts on this machine: {error}")
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def whole(settings: dict[str, Any]) -> sordino.Model:
    x, y = Planted()(0, LABELS)
    return sordino.train(x, y, [str(i) for i in range(LABELS)], effort="quick", settings=json.dumps(settings))


def test_what_is_learned_by_descent_is_the_same(cluster: Any) -> None:
    settings = {"width": 32, "least_clips": 0, "flat": False, "router": {"hidden": [64], "most_steps": 30, "least_steps": 30}}
    model = sordino.ray.train_vectors(Planted(), labels=LABELS, parts=3, most=EACH, settings=settings)
    assert model.server_bytes() == whole(settings).server_bytes()


def test_errors_are_those_of_one_machine(cluster: Any) -> None:
    def incomplete(first: int, last: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        x, y = Planted()(first, last)
        return x[y != 70], y[y != 70]

    with pytest.raises(sordino.SordinoError, match="label 70 has no example"):
        sordino.ray.train_vectors(incomplete, labels=LABELS, parts=3, most=EACH, settings=SETTINGS)
    with pytest.raises(sordino.SordinoError, match="at most 5"):
        sordino.ray.train_vectors(Planted(), labels=LABELS, parts=3, most=5, settings=SETTINGS)
    with pytest.raises(ValueError, match="most is 9, expected 6"):
        sordino.ray.train_vectors(Planted(), labels=LABELS, parts=3, most=9, settings=SETTINGS)
    with pytest.raises(TypeError, match="one for each word"):
        sordino.ray.index("--synth 5", parts=2)
    with pytest.raises(ValueError, match="expected 400"):
        sordino.ray.train_vectors(Planted(), labels=LABELS, parts=3, most=EACH, names=["one"])


def test_music_goes_in_parts(cluster: Any, tmp_path: Path) -> None:
    few = tmp_path / "few.toml"
    few.write_text("clips_per_track = 6\nleast_clips = 0\nunknown.clips = 1\n")
    made = sordino.ray.index(["--synth", "140", "--out", str(tmp_path / "index")], parts=2)
    assert made["tracks"] == 140
    learn = ["--index", str(tmp_path / "index"), "--effort", "quick", "--config", str(few), "--out"]
    done = sordino.ray.train([*learn, str(tmp_path / "parts/model")], parts=2, folder=tmp_path / "between")
    assert done["tracks"] == 140
    alone = [sys.executable, "-m", "sordino", "train", *learn, str(tmp_path / "whole/model"), "--quiet"]
    subprocess.run(alone, check=True, capture_output=True)
    one, other = (sordino.Model.load(tmp_path / name / "model").server_bytes() for name in ("parts", "whole"))
    assert one == other
    asked = sordino.ray.evaluate(
        [str(tmp_path / "whole/model"), "--index", str(tmp_path / "index"), "--out", str(tmp_path / "asked"), "--crops", "1"],
        parts=2,
    )
    assert {row["condition"] for row in asked["rows"]} >= {"clean", "0dB"}
    with pytest.raises(sordino.SordinoError, match="No such file"):
        sordino.ray.train(["--index", str(tmp_path / "none"), "--out", str(tmp_path / "m")], parts=2, folder=tmp_path / "p")


def test_a_node_that_dies_changes_nothing(cluster: Any) -> None:
    # The last test: the cluster has a node less behind it.
    expected = whole(SETTINGS)
    told: list[tuple[str, int, int]] = []

    def kill(step: str, done: int, parts: int) -> None:
        told.append((step, done, parts))
        # Its parts' vectors are lost with it, and made again elsewhere.
        if (step, done) == ("covariance", 1):
            cluster.remove_node(cluster.list_all_nodes()[1], allow_graceful=False)

    report = sordino.ray.Report()
    model = sordino.ray.train_vectors(
        Planted(), labels=LABELS, parts=5, most=EACH, settings=SETTINGS, progress=kill, report=report
    )
    assert len(cluster.list_all_nodes()) == 2
    assert (model.client_bytes(), model.server_bytes()) == (expected.client_bytes(), expected.server_bytes())
    assert ("projection", 5, 5) in told
    assert report.parts == 5 and set(report.seconds) == set(report.peak_bytes) == set(report.bytes_moved)
    assert all(report.bytes_moved[step] > 0 for step in ("clips", "covariance", "projection", "merging projection"))
