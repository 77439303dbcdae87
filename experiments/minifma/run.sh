#!/usr/bin/env bash
# The mini-FMA experiment. Usage: experiments/minifma/run.sh DATA OUT
# DATA holds minifma/ (FMA's layout), noise/ and ir/; OUT receives rows.csv, queries.csv and evaluation.json of each part.
set -euo pipefail
data=$1 out=$2
sordino() { cargo run --quiet --release -- "$@"; }
banks=(--noise "$data/noise" --ir "$data/ir")
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT

sordino index --fma "$data/minifma/audio" --metadata "$data/minifma/metadata/tracks.csv" --subset medium --out "$work/index"
# All tracks known: accuracy, and queries encrypted under 5 keys in every protocol.
sordino evaluate --train --effort thorough --index "$work/index" "${banks[@]}" --crops 2 \
  --probes 1,2 --encrypted 100 --one-trip 300 --keys 5 --out "$out/all"
# The bounty's ten folds: a tenth of the songs is left out of the library in turn and must be reported unknown.
sordino evaluate --train --folds 10 --effort quick --index "$work/index" "${banks[@]}" --crops 1 --probes 1,2 --out "$out/folds"
