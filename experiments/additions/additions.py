#!/usr/bin/env python3
"""What is lost by adding tracks to a trained model in place of training anew: additions.py MUSIC --out OUT

Splits the songs of a folder in two halves by chance. A model is trained on the first. Then 1, 10, 50 and 100 % as many songs of the second
half are added to it with `sordino library add`, and beside it a model is trained anew on the same songs. Both are asked the same
queries. Writes OUT/additions.csv. Everything is kept in OUT, so a stopped run goes on.
"""

import argparse
import csv
import json
import random
import subprocess
import sys
import time
from pathlib import Path

SHARES = [1, 10, 50, 100]
CONDITIONS = "clean,5dB,0dB,5dB+reverb"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("music", type=Path)
    parser.add_argument("--noise", type=Path)
    parser.add_argument("--ir", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--effort", default="quick")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sordino", default="sordino", help="the program")
    options = parser.parse_args()
    heard = [word for name in ("noise", "ir") if (value := getattr(options, name)) for word in (f"--{name}", value)]

    def sordino(*words):
        started = time.monotonic()
        done = subprocess.run([options.sordino, *map(str, words), "--json"], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"sordino {' '.join(map(str, words))}: {done.stderr[-2000:]}")
        return json.loads(done.stdout), time.monotonic() - started

    def index(name, songs):
        """An index of some songs, by links to them."""
        place = options.out / name
        if not (place / "index/index.json").exists():
            (place / "songs").mkdir(parents=True, exist_ok=True)
            for song in songs:
                link = place / "songs" / song.name
                if not link.is_symlink():
                    link.symlink_to(song.resolve())
            sordino("index", "--music", place / "songs", "--out", place / "index")
        return place / "index"

    songs = sorted(path for path in options.music.rglob("*") if path.is_file() and path.stat().st_size > 1_000)
    random.Random(options.seed).shuffle(songs)
    half = len(songs) // 2
    first = index("first", songs[:half])
    base = options.out / "base/model"
    if not base.exists():
        sordino("train", "--index", first, "--out", base, "--effort", options.effort, *heard)
    rows = []
    for share in [0, *SHARES]:
        more = songs[half : half + max(1, half * share // 100)] if share else []
        indexes = ["--index", first]
        models = {"base": (base, None)} if not more else {}
        if more:
            second = index(f"second-{share}", more)
            indexes += ["--index", second]
            added, anew = options.out / f"added-{share}/model", options.out / f"anew-{share}/model"
            seconds = {}
            if not added.exists():
                added.parent.mkdir(parents=True, exist_ok=True)
                subprocess.run(["cp", "-r", base, added], check=True)
                found, seconds["added"] = sordino("library", "add", added, "--index", second, *heard)
                print(f"{share} %: {len(found['changed'])} added, {len(found.get('known', []))} known", flush=True)
            if not anew.exists():
                _, seconds["anew"] = sordino("train", *indexes, "--out", anew, "--effort", options.effort, *heard)
            models = {"added": (added, seconds.get("added")), "anew": (anew, seconds.get("anew"))}
        for how, (model, seconds) in models.items():
            ask = ["evaluate", model, *indexes, "--conditions", CONDITIONS, "--probes", "1,2", *heard]
            found, _ = sordino(*ask)
            for row in found if isinstance(found, list) else found["rows"]:
                cost = "" if seconds is None else f"{seconds:.1f}"
                rows.append([share, how, len(more), row["condition"], row["protocol"], row["probes"], row["queries"]])
                rows[-1] += [row["top_1"], row["named"], cost]
        with open(options.out / "additions.csv", "w", newline="") as file:
            out = csv.writer(file, lineterminator="\n")
            out.writerow(["share", "how", "new", "condition", "protocol", "probes", "queries", "top_1", "named", "seconds"])
            out.writerows(rows)


if __name__ == "__main__":
    main()
