"""By what can a server tell an unknown song, if it cannot divide by the length of a vector?

    python unknown.py MUSIC METADATA NOISE OUT [--draws 2]

Two thirds of the songs are learned as in accuracy.py, the others are unknown. METADATA is FMA's tracks.csv: excerpts of one song, which end in (1/3)
and so on, stay together. For every test the threshold is that which refuses 95 % of the unknown clips without noise. OUT/unknown.csv says at every
noise how many unknown clips are refused, and how many known ones are lost, those among them that are named wrongly.
"""

import argparse
import csv
import re
from pathlib import Path

import numpy as np
from accuracy import CONDITIONS, DIRECTIONS, NOISE, RATE, TRACK, TRAINED, Front, Space, disturbed, heard_clips, parted, sounds_of

REFUSED = 0.95


def measures(vectors, rows, turned):
    """Every test's evidence, and the row that is named; `vectors` of shape (n, directions)."""
    scores = vectors @ rows.T
    ordered = np.sort(scores, 1)
    best, length = ordered[:, -1], np.linalg.norm(vectors, axis=1)
    along = np.abs(vectors @ turned)
    found = {"cosine": best / length, "score": best, "lead over the third": best - ordered[:, -3]}
    found["lead over the third, of the length"] = (best - ordered[:, -3]) / length
    for count in (16, 32, 64, DIRECTIONS):
        found[f"absolute values along {count} directions"] = best / along[:, :count].mean(1)
    return found, scores.argmax(1)


def songs_of(files, metadata):
    """The number of every file's song."""
    with open(metadata, encoding="utf-8", newline="") as file:
        groups, names, _, *rows = csv.reader(file)
    head = list(zip(groups, names))
    artist, title = head.index(("artist", "name")), head.index(("track", "title"))
    songs = {int(row[0]): (row[artist], re.sub(r" \(\d+/\d+\)$", "", row[title])) for row in rows}
    return np.unique([" / ".join(songs[int(path.stem)]) for path in files], return_inverse=True)[1]


def tested(tracks, songs, noises, seed):
    """For every test and condition, the shares of known clips lost and of unknown ones refused."""
    random = np.random.default_rng(seed)
    order = random.permutation(songs.max() + 1)
    is_known = np.isin(songs, order[: 2 * len(order) // 3])
    known, unknown = tracks[is_known], tracks[~is_known]
    heard, unheard = parted(noises, random)

    front = Front(TRAINED, disturbed(known, heard, None, TRAINED.samples, random))
    space = Space(heard_clips(front, known, heard, random))
    turned = np.linalg.qr(random.standard_normal((DIRECTIONS, DIRECTIONS)))[0]
    found = {}
    for condition, level in CONDITIONS.items():
        for which, some in (("known", known), ("unknown", unknown)):
            asked = [space.project(front.features(disturbed(some, unheard, level, TRAINED.samples, random))) for _ in range(3)]
            found[condition, which] = measures(np.concatenate(asked), space.rows, turned)
    right = {c: found[c, "known"][1] == np.tile(np.arange(len(known)), 3) for c in CONDITIONS}
    out = []
    for test in found["clean", "known"][0]:
        evidence = {c: np.where(right[c], found[c, "known"][0][test], -np.inf) for c in CONDITIONS}
        threshold = np.quantile(found["clean", "unknown"][0][test], REFUSED, method="higher")
        for c in CONDITIONS:
            refused = float((found[c, "unknown"][0][test] < threshold).mean())
            out.append([test, c, len(right[c]), len(found[c, "unknown"][1]), float((evidence[c] < threshold).mean()), refused])
    return out


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("music")
    arguments.add_argument("metadata")
    arguments.add_argument("noise")
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--draws", type=int, default=2)
    given = arguments.parse_args()
    (tracks, files), (noises, _) = sounds_of(given.music, TRACK, TRACK), sounds_of(given.noise, 4 * RATE, NOISE)
    songs = songs_of(files, given.metadata)
    given.out.mkdir(parents=True, exist_ok=True)
    with open(given.out / "unknown.csv", "w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["test", "condition", "draw", "known", "unknown", "lost", "refused"])
        for draw in range(given.draws):
            for test, condition, known, unknown, lost, refused in tested(tracks, songs, noises, draw):
                table.writerow([test, condition, draw, known, unknown, f"{lost:.4f}", f"{refused:.4f}"])
            file.flush()


if __name__ == "__main__":
    main()
