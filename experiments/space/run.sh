#!/usr/bin/env bash
# Real clips among composed ones. Usage: experiments/space/run.sh DATA OUT
# DATA holds minifma/ (FMA's layout), noise/ and ir/; OUT receives rows.csv, queries.csv and evaluation.json of each part.
set -euo pipefail
data=$1 out=$2 here=$(dirname "$0")
sordino() { cargo run --quiet --release -p sordino-cli -- "$@"; }
banks=(--noise "$data/noise" --ir "$data/ir")

sordino index --fma "$data/minifma/audio" --metadata "$data/minifma/metadata/tracks.csv" --subset medium --out "$out/real"
sordino index --synth 25000 --out "$out/composed"
for size in 5000 25000; do
  sordino evaluate --train --config "$here/$size.toml" --index "$out/real" --index "$out/composed" --tracks "$size" --ask recorded \
    "${banks[@]}" --crops 2 --probes 1,2 --out "$out/$size"
done
sordino evaluate --train --config "$here/5000.toml" --index "$out/real" --index "$out/composed" --tracks 5000 --query-seconds 5 --ask recorded \
  "${banks[@]}" --crops 2 --probes 1,2 --out "$out/5000-5s"
