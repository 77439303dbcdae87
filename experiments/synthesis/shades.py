"""How many clips are named, surely or probably, and how many of those wrongly: shades.csv from the queries of four evaluations.

    python experiments/synthesis/shades.py experiments/synthesis/results/RUN
"""

import csv
import gzip
import sys
from pathlib import Path

# Short of the threshold, where at most this share of strangers comes, an answer is "probably" so (`Reach` in crates/model).
PROBABLE = 0.2


def main(folder):
    counts = {}
    for path in sorted(folder.glob("*-queries.csv.gz")):
        training, noise, _ = path.name.split("-")
        with gzip.open(path, "rt") as file:
            for row in csv.DictReader(file):
                if row["precision"] != "integer":
                    continue
                right = row["top"].split()[:1] == [row["track"]]
                named = row["reported_known"] == "true"
                told = named or float(row["doubt"] or 1) <= PROBABLE
                count = counts.setdefault((training, noise, row["protocol"], row["condition"]), [0, 0, 0, 0, 0])
                for place, hit in enumerate([True, right, right and named, right and told, told and not right]):
                    count[place] += hit
    with open(folder / "shades.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["training", "noise", "protocol", "condition", "queries", "top_1", "named", "named_or_probably", "wrong"])
        for key, (queries, *shares) in counts.items():
            writer.writerow([*key, queries, *(round(100 * share / queries, 1) for share in shares)])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
