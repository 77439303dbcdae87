#!/usr/bin/env bash
# The baselines. Usage: experiments/baselines/run.sh DATA OUT
# DATA holds minifma/ (FMA's layout), noise/ and ir/; OUT receives one CSV file a part. An hour on two cores.
set -euo pipefail
data=$1 out=$2
mkdir -p "$out"
baselines() { cargo run --quiet -p sordino-lab --example baselines -- music="$data/minifma" noise="$data/noise" ir="$data/ir" "$@"; }

baselines systems=landmarks,regression,tree crops=2 aligned=yes out="$out/minifma.csv"
# The honest split: the first 15 s are heard, queries lie behind them.
baselines systems=landmarks,regression,tree crops=2 train=15 conditions=clean,10dB out="$out/minifma-first-15-s.csv"
# A tenth of the songs is not in the library.
baselines systems=landmarks,regression crops=2 unknown=0.1 out="$out/minifma-unknown.csv"
# 1,000 and 5,000 tracks: the real ones among composed ones; the real ones are asked about.
baselines systems=landmarks,regression,tree composed=702 aligned=yes out="$out/1000.csv"
baselines systems=regression composed=702 train=15 conditions=clean,10dB out="$out/1000-first-15-s.csv"
baselines systems=tree composed=4702 out="$out/5000-tree.csv"
baselines systems=landmarks composed=4702 out="$out/5000-landmarks.csv"
printf '[softmax]\nepochs = 10\n' > "$out/ten-passes.toml"
baselines systems=regression-8k composed=4702 settings="$out/ten-passes.toml" out="$out/5000-regression-8-khz.csv"
baselines systems=regression-8k crops=2 out="$out/minifma-8-khz.csv"
# One network, trained on the real tracks, for all three libraries.
baselines systems=neural,centroid composed=0,702,4702 crops=2 out="$out/neural.csv"
# Encrypted: 15-s clips at 1,000 tracks, as published for the entry. On a quiet machine.
baselines systems=regression composed=702 conditions=clean ask=20 seconds=15 encrypted=20 | tee "$out/1000-encrypted.txt"
