#!/usr/bin/env python3
"""Makes a stand-in for fma_medium: composed music as mp3 in FMA's layout, with a tracks.csv that has FMA's oddities.

The audio goes to OUT/fma_medium/<id / 1000>/<id>.mp3 and the table to OUT/fma_metadata/tracks.csv. Music is composed by
`sordino synth` (CC0) and packed by ffmpeg with libmp3lame. A run that was killed goes on where it was.

    generate.py --out OUT                    25,000 tracks of 30 s: three quarters of an hour on two cores, 6 GB
    generate.py --out OUT --tracks 250

What is odd, and listed in OUT/oddities.json for whoever checks a loader against it:
  - the table has 106,574 rows; all but `tracks` of them are of subset `large` and have no audio
  - fields hold commas, quotes, newlines, HTML and other alphabets
  - files are missing, empty, cut in the middle of a frame, not audio at all, silent, or shorter than a query
  - two recordings are there twice under different ids
"""

import argparse
import csv
import json
import random
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROWS, HIGHEST = 106_574, 155_320
BATCH = 50
# As many of 25,000; a smaller stand-in has one of each at least.
ODD = {"missing": 20, "empty": 5, "cut": 10, "text": 5, "silent": 15, "short": 25, "twice": 20}

GROUPS = [
    ("album", ["comments", "date_created", "date_released", "engineer", "favorites", "id", "information", "listens",
               "producer", "tags", "title", "tracks", "type"]),
    ("artist", ["active_year_begin", "active_year_end", "associated_labels", "bio", "comments", "date_created",
                "favorites", "id", "latitude", "location", "longitude", "members", "name", "related_projects", "tags",
                "website", "wikipedia_page"]),
    ("set", ["split", "subset"]),
    ("track", ["bit_rate", "comments", "composer", "date_created", "date_recorded", "duration", "favorites",
               "genre_top", "genres", "genres_all", "information", "interest", "language_code", "license", "listens",
               "lyricist", "number", "publisher", "tags", "title"]),
]
BIOS = [
    "<p>Recorded at home,\nmixed in the kitchen.</p>",
    'They call it "post-everything", and mean it.\n\n  - first take\n  - no overdubs',
    "Ο ήχος της πόλης, 街の音, звук города",
    "plain",
]
TITLES = ["{}", '{} (the "long" one)', "{}, part 2", "{}\n", "  {}  ", "{} é ü ß", "{} <b>live</b>"]


def chosen(args):
    """The ids of the stand-in, their oddities, and the ids that have a row and no audio."""
    draw = random.Random(args.seed)
    ids = draw.sample(range(2, HIGHEST + 1), max(ROWS, args.tracks))
    audio = sorted(ids[: args.tracks])
    odd, free = {}, audio[:]
    draw.shuffle(free)
    for kind, of_25000 in ODD.items():
        for _ in range(max(1, of_25000 * args.tracks // 25_000)):
            odd[free.pop()] = kind
    sources = {track: free.pop() for track, kind in odd.items() if kind == "twice"}
    return audio, odd, sources, ids[args.tracks :]


def place(args, track):
    return args.out / "fma_medium" / f"{track // 1000:03}" / f"{track:06}.mp3"


def make(args, number, batch):
    """Composes and packs one batch. Returns artist and title of every track of it."""
    work = args.out / "work" / f"{number:05}"
    done = args.out / "work" / f"{number:05}.json"
    if done.is_file():
        return json.loads(done.read_text())
    shutil.rmtree(work, ignore_errors=True)
    subprocess.run(
        [args.sordino, "synth", "--quiet", "--threads", "1", "--tracks", str(len(batch)), "--seconds", "30",
         "--seed", str(args.seed * 1_000_000 + number), "--out", str(work)],
        check=True, stdout=subprocess.DEVNULL,
    )
    names, call = {}, ["ffmpeg", "-v", "error", "-y", "-threads", "1"]
    songs = sorted(work.glob("*.wav"))
    for song in songs:
        call += ["-i", str(song)]
    for at, (track, song) in enumerate(zip(batch, songs, strict=True)):
        place(args, track).parent.mkdir(parents=True, exist_ok=True)
        call += ["-map", f"{at}:a", "-c:a", "libmp3lame", "-ar", "44100", "-ac", "1", "-b:a", "64k",
                 "-compression_level", "9", str(place(args, track))]
        names[track] = song.stem.split(" ", 1)[1].split(" - ", 1)
    subprocess.run(call, check=True)
    shutil.rmtree(work)
    done.write_text(json.dumps(names))
    return names


def spoil(args, odd, sources):
    for track, kind in odd.items():
        path = place(args, track)
        sound = path.read_bytes() if path.is_file() else b""
        if kind == "missing":
            path.unlink(missing_ok=True)
        elif kind == "empty":
            path.write_bytes(b"")
        elif kind == "text":
            path.write_text("<html><body>404 Not Found</body></html>\n")
        elif kind == "cut" and len(sound) > 150_000:
            path.write_bytes(sound[:50_001])
        elif kind == "short" and len(sound) > 20_000:
            path.write_bytes(sound[:12_000])
        elif kind == "silent":
            subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "anullsrc=r=44100:cl=mono", "-t", "30",
                            "-c:a", "libmp3lame", "-b:a", "64k", str(path)], check=True)
        elif kind == "twice":
            shutil.copyfile(place(args, sources[track]), path)


def table(args, audio, names, others):
    draw = random.Random(args.seed + 1)
    path = args.out / "fma_metadata" / "tracks.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = [(group, field) for group, fields in GROUPS for field in fields]
    small = set(draw.sample(audio, len(audio) * 8 // 25))
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow([""] + [group for group, _ in fields])
        out.writerow([""] + [field for _, field in fields])
        out.writerow(["track_id"] + [""] * len(fields))
        for track in sorted(audio + others):
            artist, title = names.get(track, ("Somebody", "Elsewhere"))
            known = {
                ("album", "title"): draw.choice(TITLES).format(f"Album {track % 977}"),
                ("album", "information"): draw.choice(BIOS),
                ("artist", "bio"): draw.choice(BIOS),
                ("artist", "name"): artist,
                ("set", "split"): draw.choice(["training", "validation", "test"]),
                ("set", "subset"): "small" if track in small else "medium" if track in names else "large",
                ("track", "bit_rate"): "64000",
                ("track", "duration"): "30",
                ("track", "genres"): "[21, 45]",
                ("track", "license"): "CC0 1.0",
                ("track", "title"): draw.choice(TITLES).format(title),
            }
            out.writerow([track] + [known.get(field, "") for field in fields])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to write to; made if missing")
    parser.add_argument("--tracks", type=int, default=25_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--sordino", default="sordino")
    args = parser.parse_args()
    if not 100 <= args.tracks <= ROWS:
        parser.error(f"--tracks: expected 100 to {ROWS}, found {args.tracks}")
    (args.out / "work").mkdir(parents=True, exist_ok=True)
    audio, odd, sources, others = chosen(args)
    batches = [audio[at : at + BATCH] for at in range(0, len(audio), BATCH)]
    names = {}
    with ThreadPoolExecutor(args.jobs) as pool:
        for number, made in enumerate(pool.map(lambda job: make(args, *job), enumerate(batches))):
            names |= {int(track): name for track, name in made.items()}
            if number % 20 == 19 or number + 1 == len(batches):
                print(f"{len(names)} of {len(audio)} tracks", file=sys.stderr, flush=True)
    spoil(args, odd, sources)
    table(args, audio, names, others)
    found = {kind: sorted(track for track in odd if odd[track] == kind) for kind in ODD}
    (args.out / "oddities.json").write_text(json.dumps({**found, "copy_of": sources}, indent=1) + "\n")


if __name__ == "__main__":
    main()
