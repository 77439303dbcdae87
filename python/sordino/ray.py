"""Work in parts on a Ray cluster: indexes, models and evaluations that are those of one machine, to the bit.

:func:`train_vectors` learns a model of vectors. A part's vectors are made where they are needed, and what parts leave for each other travels
through Ray's object store: nodes need no folder in common, objects that do not fit in memory are spilled to disk, and what a lost node held
is computed again elsewhere.

:func:`index`, :func:`train`, :func:`evaluate` and :func:`lab_run` run the ``sordino`` program on music. Their folders must be ones that all nodes
see, such as a network file system. Each call takes the arguments of the verb.

:func:`serve_workers` spreads the last stage of a model over a cluster with Ray Serve, for ``sordino serve --worker``.

``pip install "sordino[ray]"`` brings Ray. Without ``ray.init`` before the first call, Ray starts on this machine alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import ray

from sordino._sordino import Model, SordinoError, descends, merge_parts, merged_file, part_files, part_labels, train_part

__all__ = ["Report", "evaluate", "index", "lab_run", "serve_workers", "train", "train_vectors"]

Source = Callable[[int, int], tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]]
Progress = Callable[[str, int, int], None]
_STEPS = ("clips", "covariance", "projection")


@dataclass
class Report:
    """What a training in parts took.

    Attributes
    ----------
    seconds : dict of str to float
        Seconds of every step of the parts and of every merge, by the clock of the caller.
    bytes_moved : dict of str to int
        Bytes that parts and merges left in the object store, by step.
    peak_bytes : dict of str to int
        Largest memory of a process that took a step, by step: its resident set, shared pages included.
    parts : int
        Number of parts.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    bytes_moved: dict[str, int] = field(default_factory=dict)
    peak_bytes: dict[str, int] = field(default_factory=dict)
    parts: int = 0

    def _add(self, step: str, seconds: float, facts: Sequence[_Fact]) -> None:
        self.seconds[step] = seconds
        self.bytes_moved[step] = sum(fact.moved for fact in facts)
        self.peak_bytes[step] = max(fact.peak for fact in facts)


def train_vectors(
    source: Source,
    *,
    labels: int,
    parts: int,
    most: int,
    names: Sequence[str] | None = None,
    effort: Literal["quick", "standard", "thorough"] = "quick",
    settings: dict[str, Any] | None = None,
    held_out: float = 0.2,
    cpus: float = 1,
    memory: int | None = None,
    retries: int = 3,
    checkpoints: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    report: Report | None = None,
) -> Model:
    """Learns a model of vectors on all nodes of a Ray cluster.

    Parameters
    ----------
    source : callable
        Given the first label of a part and the one behind its last, returns their vectors, shape (n, width), and the label of each, shape (n,):
        whole numbers in that range, each at least once. It runs on the nodes, once a step, and must return the same every time.
    labels : int
        Labels in the whole library.
    parts : int
        Parts it is divided into. A part needs memory for its own vectors; more parts than nodes share the work better.
    most : int
        Vectors of the label that has the most: no more and no fewer, since training draws as many examples of every label.
    names : sequence of str, optional
        A title for each label; its number by default.
    effort, settings, held_out
        As of :class:`sordino.EncryptedClassifier` and :func:`sordino.train`.
    cpus : float, default 1
        Processors that a part takes.
    memory : int, optional
        Bytes of memory that Ray sets aside for a part.
    retries : int, default 3
        How often a part is tried again when its node or its process is lost.
    checkpoints : path, optional
        A folder on every node for the checkpoints of the last merge.
    progress : callable, optional
        Called with the name of the step, the parts done and the parts in all.
    report : Report, optional
        Is filled with times, bytes and memory.

    Returns
    -------
    Model
        That of one machine, to the bit.

    Raises
    ------
    SordinoError
        For settings or vectors that do not fit. ``ray.exceptions.RayError`` where a part is lost more often than it is tried again.
    """
    if labels < 2 or parts < 1:
        raise ValueError(f"labels is {labels} and parts {parts}, expected at least 2 and 1")
    titles = [str(label) for label in range(labels)] if names is None else [str(name) for name in names]
    if len(titles) != labels:
        raise ValueError(f"names has {len(titles)} titles, expected {labels}, one for each label")
    _start()
    report = Report() if report is None else report
    report.parts = parts
    laid = json.dumps(settings or {})
    job = _Job(labels, most, effort, laid, held_out, descends(effort=effort, settings=laid))
    options: dict[str, Any] = {"num_cpus": cpus, "max_retries": retries, "runtime_env": _threads(cpus)}
    if memory is not None:
        options["memory"] = memory
    take = ray.remote(_take).options(**options, num_returns=3)
    merge = ray.remote(_merge).options(**options, num_returns=2)
    shipped, name_ref = ray.put(source), ray.put(titles)

    own: list[Any] = [None] * parts
    merged: list[Any] = []
    shared: dict[str, list[Any]] = {}
    files: dict[str, _Bytes] = {}
    width = 0
    for step in _STEPS:
        started = time.monotonic()
        taken = [take.remote(job, step, f"{i + 1}/{parts}", shipped, own[i], *merged) for i in range(parts)]
        shared[step] = [refs[0] for refs in taken]
        if step == "clips":
            own = [refs[1] for refs in taken]
        facts = _watch([refs[2] for refs in taken], step, progress)
        _check(facts, most if step == "clips" else None)
        width = facts[0].width
        report._add(step, time.monotonic() - started, facts)
        # A merge reads what its own step left; the last one also what the first left. It takes the objects one at a time.
        reads = [*merged, *shared[step]] if step != "projection" else [*merged, *shared["clips"], *shared[step]]
        started = time.monotonic()
        left, fact = merge.remote(job, step, width, name_ref, checkpoints, reads)
        facts = _watch([fact], f"merging {step}", progress)
        report._add(f"merging {step}", time.monotonic() - started, facts)
        merged = [*merged, left]
        if step == "projection":
            files = ray.get(left)
    with tempfile.TemporaryDirectory() as folder:
        _put(Path(folder) / "model", files)
        return Model.load(Path(folder) / "model")


def index(arguments: Sequence[str], *, parts: int, cpus: float = 1, retries: int = 3, progress: Progress | None = None) -> Any:
    """``sordino index`` in parts: ``index(["--music", "/shared/music", "--out", "/shared/index"], parts=8)``.

    Returns what the program prints with ``--json``. Raises :class:`SordinoError` with its last words where it fails.
    """
    words = _words(arguments)
    _in_parts(["index", *words], parts, cpus, retries, progress)
    return _finished(["index", *words], cpus, retries)


def train(
    arguments: Sequence[str],
    *,
    parts: int,
    folder: str | os.PathLike[str],
    cpus: float = 1,
    retries: int = 3,
    progress: Progress | None = None,
) -> Any:
    """``sordino train`` in parts, with ``folder`` between them: ``train(["--index", "/shared/index", "--out", "/shared/model"], parts=8,
    folder="/shared/parts")``.

    Returns and raises as :func:`index`.
    """
    command = ["train", *_words(arguments), "--parts", os.fspath(folder)]
    done: Any = None
    for step in _STEPS:
        _in_parts(command, parts, cpus, retries, progress, step)
        done = _finished([*command, "--merge"], cpus, retries)
    return done


def evaluate(
    arguments: Sequence[str], *, parts: int, cpus: float = 1, retries: int = 3, progress: Progress | None = None
) -> Any:
    """``sordino evaluate`` in parts: ``evaluate(["/shared/model", "--index", "/shared/index", "--out", "/shared/results"], parts=8)``.

    Returns and raises as :func:`index`.
    """
    words = _words(arguments)
    _in_parts(["evaluate", *words], parts, cpus, retries, progress)
    return _finished(["evaluate", *words, "--merge"], cpus, retries)


def lab_run(
    arguments: Sequence[str], *, parts: int, cpus: float = 1, retries: int = 3, progress: Progress | None = None
) -> Any:
    """``sordino lab run`` in parts, and ``sordino lab merge``: ``lab_run(["/shared/question", "--cache", "/shared/lab"], parts=8)``.

    Returns and raises as :func:`index`.
    """
    words = _words(arguments)
    _in_parts(["lab", "run", *words], parts, cpus, retries, progress)
    return _finished(["lab", "merge", *words], cpus, retries)


def serve_workers(
    model: Model,
    *,
    name: str,
    shares: int,
    protocol: Literal["decided", "picked-decided"] = "decided",
    probes: int = 1,
    answers: int = 1,
    resolution: Literal["standard", "fine", "finest"] = "standard",
    compact: bool = False,
    cpus: float = 1,
    replicas: int = 1,
    host: str = "127.0.0.1",
    port: int = 8000,
) -> list[str]:
    """Starts the workers of a model as Ray Serve deployments, and returns their addresses in order.

    ``name`` is that of the model's folder, which ``sordino serve FOLDER --worker ADDRESS ...`` coordinates: plan and protocol must be the same.
    Every share is an application of its own with so many ``replicas`` of ``cpus`` processors; Ray Serve starts them anew where they die, and the
    coordinator asks again. ``host`` and ``port`` are where the coordinator reaches Ray Serve: by default on the cluster's head node. ``compact`` holds weights as bytes. Workers have no keys and see ciphertexts alone. ``serve.shutdown()`` ends them.
    """
    from ray import serve

    _start()
    half = ray.put(np.frombuffer(model.server_bytes(), np.uint8))
    kinds = {"probes": probes, "answers": answers, "resolution": resolution, "compact": compact}
    options = {"num_cpus": cpus, "runtime_env": _threads(cpus)}
    addresses = []
    for i in range(shares):
        prefix = f"/{name}/{protocol}/{i + 1}-of-{shares}"
        deployment = serve.deployment(_Worker).options(num_replicas=replicas, ray_actor_options=options)
        app = deployment.bind([half], f"{i + 1}/{shares}", protocol, kinds)
        serve.run(app, name=prefix.strip("/").replace("/", "-"), route_prefix=prefix)
        addresses.append(f"http://{host}:{port}{prefix}")
    return addresses


class _Worker:
    """A share of a model behind Ray Serve."""

    def __init__(self, half: list[Any], share: str, protocol: str, kinds: dict[str, Any]) -> None:
        from sordino._sordino import Worker

        self.share = share
        self.worker = Worker(ray.get(half[0]).tobytes(), share, protocol, **kinds)

    async def __call__(self, request: Any) -> Any:
        import asyncio

        from starlette.responses import JSONResponse, Response

        if request.url.path.endswith("/v1/share"):
            return JSONResponse({"share": self.share, "held": [], "weight_bytes": self.worker.weight_bytes})
        try:
            reply = await asyncio.to_thread(self.worker.answer, await request.body())
        except SordinoError as error:
            return Response(str(error), status_code=409)
        return Response(reply, media_type="application/octet-stream")


_Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class _Fact:
    """What a call took."""

    moved: int
    peak: int
    width: int = 0
    # Most vectors of a label.
    most: int = 0


@dataclass(frozen=True)
class _Job:
    """What every call has in common."""

    labels: int
    most: int
    effort: Literal["quick", "standard", "thorough"]
    settings: str
    held_out: float
    rows: bool


def _take(
    job: _Job, step: str, part: str, source: Source, own: dict[str, _Bytes] | None, *merged: dict[str, _Bytes]
) -> tuple[dict[str, _Bytes], dict[str, _Bytes], _Fact]:
    """Takes a step of a part: files for merges, files for its own next steps, and what it took."""
    _, for_merges, for_itself = part_files(step, part, job.rows)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for files in (own or {}, *merged):
            _put(root, files)
        first, last = part_labels(part, job.labels)
        given, named = source(first, last)
        x, y = np.ascontiguousarray(given, np.float32), np.asarray(named, np.int64)
        if x.ndim != 2 or y.shape != x.shape[:1]:
            raise ValueError(
                f"labels {first} to below {last} have vectors of shape {x.shape} and labels of shape {y.shape}, "
                "expected (n, width) and (n,)"
            )
        taken = train_part(
            x,
            y,
            part=part,
            labels=job.labels,
            most=job.most,
            folder=folder,
            effort=job.effort,
            settings=job.settings,
            held_out=job.held_out,
        )
        if taken != step:
            raise SordinoError(f"part {part} took the step {taken!r}, expected {step!r}")
        left, kept = _get(root, for_merges), _get(root, for_itself)
        counts = np.bincount(y - first) if len(y) else np.zeros(1, np.int64)
        return left, kept, _Fact(_size(left) + _size(kept), _peak(), x.shape[1], int(counts.max()))


def _merge(
    job: _Job,
    step: str,
    width: int,
    names: list[str],
    checkpoints: str | os.PathLike[str] | None,
    reads: list[Any],
) -> tuple[dict[str, _Bytes], _Fact]:
    """Merges a step of all parts: the file for the next step, or the files of the model, and what it took."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for ref in reads:
            _put(root, ray.get(ref))
        _, model = merge_parts(
            names,
            width=width,
            most=job.most,
            folder=folder,
            effort=job.effort,
            settings=job.settings,
            held_out=job.held_out,
            checkpoints=checkpoints,
        )
        name = merged_file(step)
        if name is not None:
            left = _get(root, [name])
        elif model is None:
            raise SordinoError("the last merge left no model")
        else:
            saved = root / "model"
            model.save(saved)
            left = _get(saved, [str(path.relative_to(saved)) for path in saved.rglob("*") if path.is_file()])
        return left, _Fact(_size(left), _peak())


def _check(facts: Sequence[_Fact], most: int | None) -> None:
    """Refuses parts that do not fit together."""
    for part, fact in enumerate(facts):
        if fact.width != facts[0].width:
            found, expected = fact.width, facts[0].width
            raise ValueError(f"part {part + 1} has vectors of {found} numbers, expected {expected}, as in part 1")
    found = max(fact.most for fact in facts)
    if most is not None and found != most:
        raise ValueError(f"most is {most}, expected {found}: so many vectors has the label that has the most")


def _put(folder: Path, files: dict[str, _Bytes]) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data.tofile(path)


def _get(folder: Path, names: Sequence[str]) -> dict[str, _Bytes]:
    # Arrays, unlike bytes, are read from the object store without a copy.
    return {name: np.fromfile(folder / name, np.uint8) for name in names}


def _size(files: dict[str, _Bytes]) -> int:
    return sum(data.size for data in files.values())


def _peak() -> int:
    """Bytes of the largest resident set of this process so far."""
    import resource

    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes if sys.platform == "darwin" else 1024 * kilobytes


def _start() -> None:
    if not ray.is_initialized():
        ray.init()


def _threads(cpus: float) -> dict[str, Any]:
    """Every task computes on the processors that it has."""
    return {"env_vars": {"RAYON_NUM_THREADS": str(max(1, int(cpus)))}}


def _watch(refs: list[Any], step: str, progress: Progress | None) -> list[Any]:
    """The results of tasks, in order. The first that fails stops the others."""
    left = list(refs)
    while left:
        done, left = ray.wait(left, num_returns=1)
        try:
            ray.get(done)
        except BaseException:
            for ref in left:
                ray.cancel(ref, force=True)
            raise
        if progress is not None:
            progress(step, len(refs) - len(left), len(refs))
    return list(ray.get(refs))


def _words(arguments: Sequence[str]) -> list[str]:
    if isinstance(arguments, str):
        raise TypeError(f"arguments is one string, expected one for each word: {arguments.split()}")
    return list(arguments)


def _in_parts(
    command: list[str], parts: int, cpus: float, retries: int, progress: Progress | None, step: str | None = None
) -> None:
    """Runs the program on every part."""
    if parts < 1:
        raise ValueError(f"parts is {parts}, expected at least 1")
    _start()
    run = ray.remote(_program).options(num_cpus=cpus, max_retries=retries)
    commands = [[*command, "--part", f"{i + 1}/{parts}"] for i in range(parts)]
    _watch([run.remote(one, max(1, int(cpus)), os.getcwd()) for one in commands], step or command[0], progress)


def _finished(command: list[str], cpus: float, retries: int) -> Any:
    """Runs the program once, and returns what it prints."""
    run = ray.remote(_program).options(num_cpus=cpus, max_retries=retries)
    return json.loads(ray.get(run.remote(command, max(1, int(cpus)), os.getcwd())))


def _program(command: list[str], threads: int, folder: str) -> str:
    """Runs the program; it ends with the process that runs it, so that a part that is taken again is alone."""
    arguments = [sys.executable, "-m", "sordino", *command, "--json", "--quiet", "--threads", str(threads)]
    done = subprocess.run(
        arguments, cwd=folder, capture_output=True, text=True, check=False, preexec_fn=_end_with_parent
    )
    if done.returncode != 0:
        raise SordinoError(f"{' '.join(command)}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def _end_with_parent() -> None:
    if sys.platform == "linux":
        import ctypes
        import signal

        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
