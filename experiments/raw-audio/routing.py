"""What does routing lose of raw sound, without a hidden layer and with a small one?

    python routing.py MUSIC NOISE OUT [--clusters 16] [--draws 2]

Learning is that of accuracy.py, with the front that `train --raw` makes. Rows are clustered by k-means on the sphere. A router learns the cluster of a clip
from its whitened vector: by one linear layer, or behind some hidden units of one table each, an absolute value. A routed clip is named by the best row of the
cluster or of the two likeliest. OUT/routing.csv says how many are named, and how many blind rotations a query takes to come from scores to a winner.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from accuracy import CONDITIONS, NOISE, RATE, TRACK, TRAINED, Front, Space, disturbed, heard_clips, parted, sounds_of

STEPS, BATCH, RATE_OF_LEARNING = 3_000, 512, 0.003


def clustered(rows, count, random):
    """The cluster of every row."""
    centres = rows[random.choice(len(rows), count, replace=False)]
    for _ in range(50):
        own = (rows @ centres.T).argmax(1)
        sums = np.stack([rows[own == c].sum(0) if (own == c).any() else centres[c] for c in range(count)])
        centres = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    return own


class Router:
    """From unit vectors to a score for every cluster: softmax regression by Adam, behind `hidden` absolute values if there are any."""

    def __init__(self, vectors, labels, count, hidden, random):
        width = vectors.shape[1]
        shapes = [(width, hidden), (hidden,), (hidden, count), (count,)] if hidden else [(width, count), (count,)]
        self.hidden = hidden
        self.weights = [random.standard_normal(s) / np.sqrt(s[0]) if len(s) > 1 else np.zeros(s) for s in shapes]
        first, second = ([np.zeros(s) for s in shapes] for _ in range(2))
        for step in range(1, STEPS + 1):
            some = random.integers(0, len(vectors), BATCH)
            for i, slope in enumerate(self.slopes(vectors[some], labels[some])):
                first[i] += 0.1 * (slope - first[i])
                second[i] += 0.001 * (slope**2 - second[i])
                move = first[i] / (1 - 0.9**step) / (np.sqrt(second[i] / (1 - 0.999**step)) + 1e-8)
                self.weights[i] -= RATE_OF_LEARNING * (1 - step / STEPS) * move

    def layers(self, vectors):
        before = vectors @ self.weights[0] + self.weights[1]
        return (before, np.abs(before) @ self.weights[2] + self.weights[3]) if self.hidden else (vectors, before)

    def scores(self, vectors):
        return self.layers(vectors)[1]

    def slopes(self, vectors, labels):
        before, scores = self.layers(vectors)
        scores = np.exp(scores - scores.max(1, keepdims=True))
        error = scores / scores.sum(1, keepdims=True)
        error[np.arange(len(labels)), labels] -= 1
        error /= len(labels)
        if not self.hidden:
            return [vectors.T @ error, error.sum(0)]
        back = error @ self.weights[2].T * np.sign(before)
        return [vectors.T @ back, back.sum(0), np.abs(before).T @ error, error.sum(0)]


def rotations(rows, again=0):
    """Blind rotations of a tournament among so many: one a match, and about four to read a bit of the winner's place. Without the winner its path is played
    again, and read."""
    bits = int(np.ceil(np.log2(rows)))
    return rows - 1 + 4 * bits + again * 5 * bits


def measured(tracks, noises, count, seed):
    """Lines of the table: router, probes, rotations, condition, share named."""
    random = np.random.default_rng(seed)
    heard, unheard = parted(noises, random)
    every = np.arange(len(tracks))

    front = Front(TRAINED, disturbed(tracks, heard, None, TRAINED.samples, random))
    training = heard_clips(front, tracks, heard, random)
    space = Space(training)
    own = clustered(space.rows, count, random)
    vectors, labels = space.unit(training).reshape(-1, space.rows.shape[1]), np.tile(own, len(training))
    routers = {hidden: Router(vectors, labels, count, hidden, random) for hidden in (0, 32, 128)}
    largest = np.bincount(own).max()
    for condition, level in CONDITIONS.items():
        asked = np.concatenate([space.unit(front.features(disturbed(tracks, unheard, level, TRAINED.samples, random))) for _ in range(3)])
        scores, right = asked @ space.rows.T, np.tile(every, 3)
        yield "none", 0, rotations(len(tracks)), condition, (scores.argmax(1) == right).mean()
        for hidden, router in routers.items():
            likeliest = np.argsort(-router.scores(asked), 1)
            for probes in (1, 2):
                reached = (own[None] == likeliest[:, :probes, None]).any(1)
                share = (np.where(reached, scores, -np.inf).argmax(1) == right).mean()
                cost = hidden + rotations(count, again=probes - 1) + rotations(probes * largest)
                yield f"{hidden} hidden units", probes, cost, condition, share


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("music")
    arguments.add_argument("noise")
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--clusters", type=int, default=16)
    arguments.add_argument("--draws", type=int, default=2)
    given = arguments.parse_args()
    (tracks, _), (noises, _) = sounds_of(given.music, TRACK, TRACK), sounds_of(given.noise, 4 * RATE, NOISE)
    given.out.mkdir(parents=True, exist_ok=True)
    with open(given.out / "routing.csv", "w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["router", "probes", "condition", "draw", "tracks", "queries", "rotations", "top1"])
        for draw in range(given.draws):
            for router, probes, cost, condition, share in measured(tracks, noises, given.clusters, draw):
                table.writerow([router, probes, condition, draw, len(tracks), 3 * len(tracks), cost, f"{share:.4f}"])
            file.flush()


if __name__ == "__main__":
    main()
