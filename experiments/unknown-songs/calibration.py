"""How far strangers reach, by the model's own word and as measured.

`doubt` in queries.csv.gz is the share of strangers that a model says reach as far as an answer. Of strangers that were asked, a share s
should have a doubt of at most s. Every line of the CSV is one share under one condition, for `flat` and for `routed` with two probes.

    python experiments/unknown-songs/calibration.py results/RUN/queries.csv.gz results/RUN/calibration.csv
"""

import csv
import gzip
import sys

SHARES = [0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002]


def main(queries, out):
    groups = {}
    with gzip.open(queries, "rt") as file:
        for row in csv.DictReader(file):
            asked = row["precision"] == "integer" and row["probes"] in ("0", "2") and row["in_library"] == "false"
            if asked and row["doubt"]:
                key = (row["grid"], row["protocol"], row["condition"])
                groups.setdefault(key, []).append(float(row["doubt"]))
    with open(out, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["grid", "protocol", "condition", "strangers", "promised", "measured", "measured_error"])
        for key, doubts in groups.items():
            for share in SHARES:
                measured = sum(doubt <= share * 1.0001 for doubt in doubts) / len(doubts)
                error = (measured * (1 - measured) / len(doubts)) ** 0.5
                writer.writerow([*key, len(doubts), round(100 * share, 2), round(100 * measured, 2), round(100 * error, 2)])


if __name__ == "__main__":
    main(*sys.argv[1:])
