#!/usr/bin/env python3
"""Whether an index left out exactly what generate.py made odd, each for the right reason.

    check.py OUT/oddities.json INDEX/rejected.csv
"""

import csv
import json
import re
import sys

# What the loader says of each; it must decode to find out, but for what is missing.
REASONS = {"missing": "missing", "empty": "empty", "text": "not audio", "silent": "silent", "short": "too short", "cut": "too short"}


def main():
    odd, listed = json.load(open(sys.argv[1])), list(csv.DictReader(open(sys.argv[2])))
    found = {int(row["id"]): row["reason"] for row in listed}
    wrong = []
    for kind, reason in REASONS.items():
        for track in odd[kind]:
            said = found.pop(track, "nothing")
            # Some ids are on FMA's own list of bad clips.
            if reason not in said and not re.search("mdeff|known-bad", said):
                wrong.append(f"{kind} {track}: {said}")
    known = [track for track, said in found.items() if re.search("mdeff|known-bad", said)]
    unknown = {track: said for track, said in found.items() if track not in known}
    print(json.dumps({"left_out": len(listed), "odd": {kind: len(odd[kind]) for kind in REASONS}, "on_fma_s_list": len(known), "wrong": wrong,
                      "unexpected": unknown}, indent=1))
    sys.exit(bool(wrong or unknown))


if __name__ == "__main__":
    main()
