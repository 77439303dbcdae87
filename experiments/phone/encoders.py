#!/usr/bin/env python3
"""A library's own clips through real encoders and a chain of real filters, asked of a model: encoders.py MODEL MUSIC --out OUT

What Sordino's conditions imitate, ffmpeg does here: a small loudspeaker, a room, noise, gain control, noise suppression, and the
codecs of calls. MUSIC holds files whose names are the ids of the model's tracks, as in the FMA (`000002.mp3`). Writes
OUT/encoders.csv. Needs ffmpeg with libopus, libgsm and libspeex.
"""

import argparse
import csv
import json
import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

LOUDSPEAKER = (
    "highpass=f=350,highpass=f=350,equalizer=f=1100:t=q:w=1.2:g=7,"
    "acompressor=threshold=-24dB:ratio=6:attack=5:release=80:makeup=6,alimiter=limit=0.7:level=0"
)
GAIN_CONTROL = "highpass=f=120,dynaudnorm=f=150:g=5:p=0.9:m=20"
FILTERS = {
    "loudspeaker": LOUDSPEAKER,
    "gain control": GAIN_CONTROL,
    "clipping, 18 dB": "volume=18dB,asoftclip=type=hard",
    "noise suppression": "afftdn=nr=24:nf=-30:tn=1",
}
CODECS = {
    "Opus, 12 kbps": ("ogg", ["-ar", "16000", "-c:a", "libopus", "-b:a", "12k", "-application", "voip"]),
    "Opus, 6 kbps": ("ogg", ["-ar", "8000", "-c:a", "libopus", "-b:a", "6k", "-application", "voip"]),
    "AAC, 16 kbps": ("m4a", ["-ar", "16000", "-c:a", "aac", "-b:a", "16k"]),
    "GSM, 13 kbps": ("gsm", ["-ar", "8000", "-c:a", "libgsm"]),
    "Speex, 8 kbps": ("spx", ["-ar", "8000", "-c:a", "libspeex", "-b:a", "8k"]),
}
# Both at one level, then noise 10 dB below.
NOISE = (
    "[1:a]aresample=16000,dynaudnorm,volume=-16dB[n];[0:a]dynaudnorm,volume=-6dB[m];"
    "[m][n]amix=inputs=2:duration=first:normalize=0"
)


def ffmpeg(*arguments):
    subprocess.run(["ffmpeg", "-loglevel", "error", "-y", *map(str, arguments)], check=True)


def coded(source, out, name):
    extension, options = CODECS[name]
    middle = out.with_suffix(f".{extension}")
    ffmpeg("-i", source, *options, middle)
    ffmpeg("-i", middle, "-ar", 16000, out)
    middle.unlink()


def clips(number, track, noises, rooms, place):
    """One excerpt of a track under every condition, as files `place/<condition>/<id>.wav`; none where one cannot be made."""
    try:
        make(number, track, noises, rooms, place)
    except subprocess.CalledProcessError:
        for condition in CONDITIONS:
            (place / condition / f"{track.stem}.wav").unlink(missing_ok=True)


def make(number, track, noises, rooms, place):
    rng = random.Random(number)
    noise, room = rng.choice(noises), rng.choice(rooms)
    at = lambda condition: place / condition / f"{track.stem}.wav"
    ffmpeg("-ss", 3 + 14 * rng.random(), "-t", 10.4, "-i", track, "-ac", 1, "-ar", 16000, at("clean"))
    for name, chain in FILTERS.items():
        ffmpeg("-i", at("clean"), "-af", chain, at(name))
    for name in CODECS:
        coded(at("clean"), at(name), name)
    mixed = lambda source, out: ffmpeg("-i", source, "-stream_loop", "-1", "-i", noise, "-filter_complex", NOISE, out)
    mixed(at("clean"), at("noise"))
    reverberant = f"[0:a]{LOUDSPEAKER}[s];[1:a]aresample=16000[r];[s][r]afir=irfmt=input"
    ffmpeg("-i", at("clean"), "-i", room, "-filter_complex", reverberant, at("loudspeaker, room"))
    mixed(at("loudspeaker, room"), at("loudspeaker, room, noise"))
    whole = at("loudspeaker, room, noise, gain control, Opus")
    controlled = whole.with_suffix(".controlled.wav")
    ffmpeg("-i", at("loudspeaker, room, noise"), "-af", GAIN_CONTROL, controlled)
    coded(controlled, whole, "Opus, 12 kbps")
    controlled.unlink()


SOUND = {".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a"}
CONDITIONS = ["clean", *FILTERS, *CODECS, "noise", "loudspeaker, room", "loudspeaker, room, noise"]
CONDITIONS.append("loudspeaker, room, noise, gain control, Opus")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("music", type=Path)
    parser.add_argument("--noise", type=Path, required=True, help="folder of noise recordings")
    parser.add_argument("--ir", type=Path, required=True, help="folder of impulse responses")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tracks", type=int, default=120)
    parser.add_argument("--sordino", default="sordino", help="the program")
    options = parser.parse_args()
    files = lambda folder: sorted(path for path in folder.rglob("*") if path.suffix in SOUND)
    tracks = [path for path in files(options.music) if path.stem.isdigit()]
    random.Random(5).shuffle(tracks)
    place = options.out / "clips"
    for condition in CONDITIONS:
        (place / condition).mkdir(parents=True, exist_ok=True)
    disturbed = lambda numbered: clips(*numbered, files(options.noise), files(options.ir), place)
    if not any((place / "clean").iterdir()):
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(disturbed, enumerate(tracks[: options.tracks])))
    with open(options.out / "encoders.csv", "w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["condition", "clips", "top 1, %", "named, %", "named wrongly, %"])
        for condition in CONDITIONS:
            out.writerow([condition, *ask(options, files(place / condition))])
            file.flush()


def ask(options, clips):
    """Clips, and in per cent those whose best track is right, those named rightly and those named wrongly."""
    command = [options.sordino, "identify", options.model, *map(str, clips), "--json", "--protocol", "flat"]
    done = subprocess.run(command, capture_output=True, text=True)
    if not done.stdout:
        sys.exit(done.stderr)
    answers = json.loads(done.stdout)["identified"]
    right = [int(Path(answer["clip"]).stem) == answer["best"][0]["track_id"] for answer in answers]
    named = [answer["known"] for answer in answers]
    percent = lambda hits: f"{100 * sum(hits) / len(answers):.1f}"
    both = list(zip(right, named))
    return [len(answers), percent(right), percent(r and n for r, n in both), percent(n and not r for r, n in both)]


if __name__ == "__main__":
    main()
