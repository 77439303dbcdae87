"""Recordings of several songs: how many are named, with which times, and what else is named.

Makes recordings of fifteen songs of a library and fifteen others in turn, each played for 15 to 28 seconds, asks `sordino identify --windows`
about them, and counts. Every line of the CSV is one recording, asked in one protocol; `totals.csv` beside it sums them up.

    pip install numpy
    python recordings.py MODEL --songs DATA/minifma/audio --noise DATA/noise --others OTHERS --out results/RUN/recordings.csv

`sordino` and `ffmpeg` must be on the path. OTHERS is a folder of songs that the model does not know, such as `sordino synth` makes.
"""

import argparse
import csv
import json
import random
import subprocess
import tempfile
import wave
from pathlib import Path

import numpy as np

RATE = 8_000
SONGS = 15


def sound(path):
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-ac", "1", "-ar", str(RATE), "-f", "f32le", "-"]
    return np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, dtype=np.float32)


def level(samples, rms=0.1):
    return samples * (rms / (np.sqrt(np.mean(samples**2)) + 1e-9))


def recording(known, others, noise, snr, rng):
    """Samples, and what is played when: track or None, from, to in seconds."""
    parts, truth, at = [], [], 0.0
    for mine, other in zip(rng.sample(known, SONGS), rng.sample(others, SONGS)):
        for track, path in [(int(mine.stem), mine), (None, other)]:
            samples = sound(path)
            length = int(RATE * rng.uniform(15, 28))
            start = rng.randint(0, max(0, len(samples) - length))
            part = level(samples[start : start + length])
            truth.append((track, at, at + len(part) / RATE))
            at += len(part) / RATE
            parts.append(part)
    mix = np.concatenate(parts)
    if snr is not None:
        rng.shuffle(noise)
        mix = mix + level(np.resize(np.concatenate(noise), len(mix)), 0.1 * 10 ** (-snr / 20))
    return mix, truth


def count(truth, heard):
    row = {"named_right": 0, "named_wrong": 0, "probably_right": 0, "probably_wrong": 0}
    found, errors = set(), []
    for song in heard["songs"]:
        middle = (song["from_seconds"] + song["to_seconds"]) / 2
        hits = [t for t in truth if t[0] == song["track_id"] and t[1] - 5 <= middle <= t[2] + 5]
        row[f"{song['shade']}_{'right' if hits else 'wrong'}"] += 1
        if hits:
            found.add(song["track_id"])
            errors += [abs(song["from_seconds"] - hits[0][1]), abs(song["to_seconds"] - hits[0][2])]
    errors.sort()
    at = lambda share: round(errors[int(share * (len(errors) - 1))], 1) if errors else ""
    return {"songs": SONGS, "found": len(found), **row, "edge_error_median": at(0.5), "edge_error_most": at(1.0)}


def totals(path):
    """Sums over the recordings, and the median of their median errors, by condition and protocol."""
    groups = {}
    with open(path) as file:
        for row in csv.DictReader(file):
            groups.setdefault((row["condition"], row["protocol"]), []).append(row)
    with open(path.with_name("totals.csv"), "w", newline="") as file:
        counted = ["songs", "found", "named_right", "named_wrong", "probably_right", "probably_wrong"]
        writer = csv.writer(file)
        writer.writerow(["condition", "protocol", "recordings", "minutes", *counted, "edge_error_median", "edge_error_most"])
        for key, rows in groups.items():
            minutes = round(sum(float(row["seconds"]) for row in rows) / 60, 1)
            errors = sorted(float(row["edge_error_median"]) for row in rows)
            most = max(float(row["edge_error_most"]) for row in rows)
            sums = [sum(int(row[column]) for row in rows) for column in counted]
            writer.writerow([*key, len(rows), minutes, *sums, errors[len(errors) // 2], most])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--songs", type=Path, required=True, help="folder of sound files whose names are the model's ids")
    parser.add_argument("--others", type=Path, required=True, help="folder of songs that the model does not know")
    parser.add_argument("--noise", type=Path, required=True)
    parser.add_argument("--recordings", type=int, default=4)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    listed = json.loads(subprocess.run(["sordino", "library", "list", args.model, "--json"], capture_output=True, check=True).stdout)
    ids = {track["track_id"] for track in listed}
    known = sorted(path for path in args.songs.rglob("*.mp3") if int(path.stem) in ids)
    others = sorted(args.others.iterdir())
    noise = [sound(path) for path in sorted(args.noise.iterdir()) if path.suffix in (".mp3", ".wav", ".ogg", ".flac")]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with open(args.out, "w", newline="") as file, tempfile.TemporaryDirectory() as folder:
        writer = None
        for seed in range(1, args.recordings + 1):
            for condition, snr in [("clean", None), ("5dB", 5.0), ("0dB", 0.0)]:
                mix, truth = recording(known, others, list(noise), snr, random.Random(seed))
                path = Path(folder) / "mix.wav"
                with wave.open(str(path), "wb") as out:
                    out.setnchannels(1)
                    out.setsampwidth(2)
                    out.setframerate(RATE)
                    out.writeframes((np.clip(mix / 4, -1, 1) * 32767).astype("<i2").tobytes())
                for protocol in ["flat", "routed"]:
                    command = ["sordino", "identify", args.model, str(path), "--windows", "--protocol", protocol, "--json"]
                    said = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["identified"][0]
                    row = {"seed": seed, "condition": condition, "protocol": protocol, "seconds": said["seconds"]}
                    row |= {"windows": said["windows"], **count(truth, said)}
                    row |= {"server_seconds": round(said["server_seconds"], 3), "bytes_up": said["bytes_up"]}
                    writer = writer or csv.DictWriter(file, row)
                    if file.tell() == 0:
                        writer.writeheader()
                    writer.writerow(row)
                    print(row)
    totals(args.out)


if __name__ == "__main__":
    main()
