#!/usr/bin/env python3
"""Vectors learned in one process and in parts on a Ray cluster on this machine, under a limit on the memory of every process.

    run.py --labels 200000 --parts 24 --nodes 3 --limit-gb 3 --out results/DATE

Writes runs.json: for every run its seconds, its memory and the hash of the server's half. The cluster loses a node in its last step.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

WIDTH, EACH, NOISE, BLOCK = 512, 6, 1.5, 64
SETTINGS = {"width": 256, "least_clips": 0, "flat": False, "public_routing": True, "router": {"learned": False}}


def planted(first: int, last: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Vectors around a centre for each label of a range; they are made block by block, so that parts make what the whole does."""
    rows, labels = [np.zeros((0, WIDTH), np.float32)], [np.zeros(0, np.int64)]
    for block in range(first // BLOCK, -(-last // BLOCK)):
        centres = np.random.default_rng([1, block]).standard_normal((BLOCK, 1, WIDTH), np.float32)
        noise = np.random.default_rng([2 + seed, block]).standard_normal((BLOCK, EACH, WIDTH), np.float32)
        own = np.arange(BLOCK * block, BLOCK * (block + 1))
        kept = (own >= first) & (own < last)
        rows.append((centres + NOISE * noise)[kept].reshape(-1, WIDTH))
        labels.append(np.repeat(own[kept], EACH))
    return np.concatenate(rows), np.concatenate(labels)


def top_1(model, labels: int) -> float:
    """Share of 2,000 new vectors that are named rightly, by 16 clusters."""
    asked = np.linspace(0, labels - 1, 2_000).astype(int)
    queries = [planted(label, label + 1, seed=1)[0][0] for label in asked]
    found, _ = model.predict(np.stack(queries), "picked", probes=16)
    return float((found == asked).mean())


def peak() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def digest(model) -> str:
    return hashlib.sha256(model.server_bytes()).hexdigest()


def whole(labels: int) -> dict:
    import sordino

    x, y = planted(0, labels)
    names = [str(label) for label in range(labels)]
    started = time.monotonic()
    model = sordino.train(x, y, names, effort="quick", settings=json.dumps(SETTINGS))
    seconds = time.monotonic() - started
    return {"run": "one process", "seconds": seconds, "peak_bytes": peak(), "server": digest(model), "top_1": top_1(model, labels)}


def cluster(labels: int, parts: int, nodes: int, store_gb: float, limit_gb: float) -> dict:
    import ray
    from ray.cluster_utils import Cluster

    import sordino.ray

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    # Every process of the cluster inherits it.
    limit(limit_gb)
    node = {"num_cpus": 1, "object_store_memory": int(store_gb * 1e9)}
    machine = Cluster(initialize_head=True, head_node_args={**node, "num_cpus": 0})
    for _ in range(nodes):
        machine.add_node(**node)
    ray.init(address=machine.address, log_to_driver=False)
    machine.wait_for_nodes()
    told = []

    def tell(step: str, done: int, of: int) -> None:
        print(step, done, of, file=sys.stderr, flush=True)
        if not told and step == "projection" and 2 * done >= of:
            told.append(f"a node was killed after {done} of {of} parts of the step \"{step}\"")
            machine.remove_node(machine.list_all_nodes()[-1], allow_graceful=False)

    report = sordino.ray.Report()
    started = time.monotonic()
    model = sordino.ray.train_vectors(
        planted, labels=labels, parts=parts, most=EACH, settings=SETTINGS, progress=tell, report=report
    )
    seconds = time.monotonic() - started
    row = {
        "run": f"{parts} parts on {nodes} nodes", "seconds": seconds, "steps": report.seconds, "bytes_moved": report.bytes_moved,
        "peak_bytes": max(report.peak_bytes.values()), "peak_bytes_by_step": report.peak_bytes, "told": told,
        "server": digest(model), "top_1": top_1(model, labels),
    }
    ray.shutdown()
    machine.shutdown()
    return row


def limit(gigabytes: float) -> None:
    """Limits what this process and its children may allocate, each for itself; shared memory, as of the object store, is not counted."""
    resource.setrlimit(resource.RLIMIT_DATA, (int(gigabytes * 1e9),) * 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, default=200_000)
    parser.add_argument("--parts", type=int, default=24)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--limit-gb", type=float, default=3.0, help="for every process, in gigabytes")
    parser.add_argument("--store-gb", type=float, default=1.0, help="object store of every node, in gigabytes")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", choices=["whole", "limited", "cluster"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.only:
        if args.only == "limited":
            limit(args.limit_gb)
        row = cluster(args.labels, args.parts, args.nodes, args.store_gb, args.limit_gb) if args.only == "cluster" else whole(args.labels)
        print(json.dumps(row))
        return
    args.out.mkdir(parents=True, exist_ok=True)
    runs = []
    for only in ("limited", "whole", "cluster"):
        done = subprocess.run([sys.executable, __file__, *sys.argv[1:], "--only", only], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode == 0:
            row = json.loads(done.stdout.splitlines()[-1])
        else:
            lines = [line for line in done.stderr.splitlines() if "memory" in line.lower()] or [f"exit code {done.returncode}"]
            row = {"run": "one process", "failed": lines[0][:200]}
        row |= {"labels": args.labels, "limit_gb": None if only == "whole" else args.limit_gb}
        print(json.dumps(row), flush=True)
        runs.append(row)
        (args.out / "runs.json").write_text(json.dumps(runs, indent=1) + "\n")


if __name__ == "__main__":
    main()
