"""Logistic regression of Concrete ML, as a system that the laboratory asks.

The model of Concrete_Shazam, the entry that won Zama's bounty for encrypted music recognition: twenty MFCC summed over every half second,
one class a track, a vote of a clip's windows. Here they are standardised first, as 8 bits for all features need it.

It speaks the lines of JSON that `crates/lab/src/system/external.rs` describes. Every query is answered by Concrete ML's integers in the
clear; the first few are asked encrypted too, and what that takes is written to `concrete-ml-TRACKS.json` in the working folder.

    python3 -m venv venv && venv/bin/pip install -r requirements.txt
    sordino lab run experiments/baselines/concrete-ml --size full
"""

import json
import sys
import time

import librosa
import numpy as np
from concrete.ml.sklearn import LogisticRegression

WINDOW_SECONDS = 0.5
COEFFICIENTS = 20
BITS = 8
# Windows that must agree for a track to be known.
VOTES = 5


def say(line):
    print(json.dumps(line), flush=True)


def windows(path, rate):
    """Summed MFCC of every whole half second: [windows, 20]."""
    samples, _ = librosa.load(path, sr=rate)
    length = int(WINDOW_SECONDS * rate)
    pieces = [samples[at : at + length] for at in range(0, len(samples) - length + 1, length)]
    return np.array([librosa.feature.mfcc(y=piece, sr=rate, n_mfcc=COEFFICIENTS).sum(axis=1) for piece in pieces])


def vote(classes, count):
    votes = np.bincount(classes, minlength=count)
    best = np.argsort(-votes, kind="stable")[:3]
    return [int(track) for track in best if votes[track] > 0], int(votes.max())


def main():
    start = json.loads(sys.stdin.readline())
    rate, settings = start["rate"], start["settings"]
    ids = [sound["track"] for sound in start["library"]]
    features, labels = [], []
    for place, sound in enumerate(start["library"]):
        heard = windows(sound["file"], rate)
        features.append(heard)
        labels.extend([place] * len(heard))
        say({"progress": 0.5 * place / len(ids)})
    features, labels = np.concatenate(features).astype(np.float32), np.array(labels)
    mean, deviation = features.mean(axis=0), features.std(axis=0) + 1e-9
    standard = lambda x: ((x - mean) / deviation).astype(np.float32)

    took = {}
    now = time.perf_counter()
    model = LogisticRegression(n_bits=BITS, max_iter=settings.get("passes", 300))
    model.fit(standard(features), labels)
    took["fit_seconds"] = time.perf_counter() - now
    encrypted = settings.get("encrypted", 0)
    if encrypted:
        now = time.perf_counter()
        circuit = model.compile(standard(features[:: max(1, len(features) // 2000)]))
        took["compile_seconds"] = time.perf_counter() - now
        now = time.perf_counter()
        circuit.keygen(force=True)
        took["keygen_seconds"] = time.perf_counter() - now
        took["evaluation_key_bytes"] = circuit.size_of_bootstrap_keys + circuit.size_of_keyswitch_keys
        took["bytes_up_a_window"] = circuit.size_of_inputs
        took["bytes_down_a_window"] = circuit.size_of_outputs
    say({"ready": True})

    asked = []
    for line in sys.stdin:
        heard = standard(windows(json.loads(line)["query"], rate))
        clear = model.predict(heard)
        tracks, votes = vote(clear, len(ids))
        if len(asked) < encrypted:
            now = time.perf_counter()
            found = model.predict(heard, fhe="execute")
            seconds = time.perf_counter() - now
            asked.append({"windows": len(heard), "seconds": seconds, "equal": int((found == clear).sum())})
            report(took, ids, asked)
        say({"tracks": [ids[track] for track in tracks], "known": votes >= VOTES})


def report(took, ids, asked):
    """What encryption took, so far."""
    import concrete.ml

    total = sum(query["windows"] for query in asked)
    summary = {
        "concrete_ml": concrete.ml.version.__version__,
        "tracks": len(ids),
        **took,
        "queries": len(asked),
        "windows": total,
        "windows_equal_to_clear": sum(query["equal"] for query in asked),
        "seconds_a_window": sum(query["seconds"] for query in asked) / total,
        "seconds_a_query": [query["seconds"] for query in asked],
    }
    with open(f"concrete-ml-{len(ids)}.json", "w") as file:
        json.dump(summary, file, indent=2)


if __name__ == "__main__":
    main()
