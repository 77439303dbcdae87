#!/usr/bin/env python3
"""Every system on every dataset, in turn, each in the Python that has it; a row of rows.csv for each.
What is there already is not run again.

    compare.py --sordino venv/bin/python --concrete-ml cml/bin/python --out results/DATE
"""

import argparse
import csv
import json
import subprocess
from pathlib import Path

SIZES = [("digits", 10), ("planted", 200), ("planted", 1_000), ("planted", 5_000), ("planted", 20_000)]
SYSTEMS = [("sordino", "flat"), ("sordino", "routed"), ("sordino", "decided"), ("concrete-ml", "scores")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sordino", required=True, help="a Python with this project's package and scikit-learn")
    parser.add_argument("--concrete-ml", required=True, help="a Python with concrete-ml")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=1_200, help="seconds after which a run is given up, and said to be")
    parser.add_argument("--most", type=int, default=20_000, help="the most classes")
    parser.add_argument("--leave-out", nargs="*", default=[], help="protocols, or concrete-ml, that are not run")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    kept = args.out / "rows.csv"
    rows = list(csv.DictReader(kept.open())) if kept.exists() else []
    done = {(row["system"], row["protocol"], row["dataset"], int(row["classes"])) for row in rows}
    for dataset, classes in SIZES:
        for system, protocol in SYSTEMS:
            if classes > args.most or (system, protocol, dataset, classes) in done or {system, protocol} & set(args.leave_out):
                continue
            python = args.sordino if system == "sordino" else args.concrete_ml
            command = [python, str(Path(__file__).with_name("system.py")), system, protocol, dataset, str(classes)]
            named = {"system": system, "protocol": protocol, "dataset": dataset, "classes": classes}
            try:
                ran = subprocess.run(command, capture_output=True, text=True, timeout=args.limit)
                row = json.loads(ran.stdout.splitlines()[-1]) if ran.returncode == 0 else {
                    **named, "gave_up": (ran.stderr.strip().splitlines() or ["killed"])[-1][:200]}
            except subprocess.TimeoutExpired:
                row = {**named, "gave_up": f"no answer in {args.limit} s"}
            print(json.dumps(row), flush=True)
            rows.append(row)
            columns = list(dict.fromkeys(name for row in rows for name in row))
            with kept.open("w", newline="") as file:
                out = csv.DictWriter(file, columns, lineterminator="\n")
                out.writeheader()
                out.writerows(rows)


if __name__ == "__main__":
    main()
