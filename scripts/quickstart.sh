#!/usr/bin/env bash
# Runs the paper's method from a bare machine. The script installs what is missing, builds, and draws the shapes world. It
# fine-tunes the shipped CLIP model with L_CLIP alone, with L_SDS and with L_rank, scores the teacher, and ends with one table.
# Finished work is skipped; delete runs/quickstart for a fresh run.
set -euo pipefail
cd "$(dirname "$0")/.."

out=runs/quickstart
seeds=${SDSCLIP_QUICKSTART_SEEDS:-3}
trap 'echo "quickstart: failed (see the message above); run it again to continue" >&2' ERR
say() { echo "quickstart: $*"; }

scripts/setup.sh
scripts/build.sh release sdsclip
sdsclip=build/sdsclip
export SDSCLIP_DATA=$out/data

if [ ! -d "$out/data" ]; then
  say "drawing the shapes world"
  "$sdsclip" synth --out "$out/data" > /dev/null
fi

# evaluate FOLDER [--tuned FILE]: scores the shipped or a tuned CLIP model on Winoground and zero-shot classification
evaluate() {
  local folder=$1
  shift
  for benchmark in winoground zeroshot; do
    [ -f "$folder/$benchmark/result.json" ] && continue
    "$sdsclip" eval "$benchmark" --clip models/shapes-clip "$@" --out "$folder/$benchmark" --resume --quiet > /dev/null
  done
}

# train_run NAME CONFIG SEED [SETTING...]: trains one model and scores it
train_run() {
  local folder=$out/$1 config=$2 seed=$3
  shift 3
  if [ "$seed" -gt 0 ]; then folder=$folder/seed-$seed; fi
  if [ ! -f "$folder/result.json" ]; then
    say "training $folder"
    "$sdsclip" train --config "$config" --seed "$seed" "$@" --out "$folder" --resume --quiet > /dev/null
  fi
  evaluate "$folder" --tuned "$folder/tuned.safetensors"
}

# L_rank learns from swaps of 2,000 captions and the teacher's scores of them, from 4 samples each. The teacher recognises
# places and colours at large timesteps, by the error of its own target, the velocity.
if [ ! -f "$out/targets/result.json" ]; then
  say "scoring candidate captions with the teacher"
  .venv/bin/python scripts/make_candidates.py "$out/data/coco/annotations/captions_train2017.json" \
    --out "$out/candidates.tsv" --captions-per-image 1 --limit 2000 > /dev/null
  "$sdsclip" diffusion-score captions --teacher models/shapes-teacher --data "$out/data/coco/train2017" \
    --candidates "$out/candidates.tsv" --samples 4 --error v --t-range 0.5 1 --out "$out/targets" --resume --quiet \
    > /dev/null
fi

say "scoring the shipped CLIP model"
evaluate "$out/pretrained"
runs=("$out/pretrained")
for name in contrastive sds rank; do
  config=quickstart.yaml
  settings=()
  if [ "$name" = contrastive ]; then settings=(--set sds.lambda=0); fi
  if [ "$name" = rank ]; then config=quickstart-rank.yaml; fi
  for ((seed = 0; seed < seeds; seed++)); do
    train_run "$name" "$config" "$seed" ${settings[@]+"${settings[@]}"}
    if [ "$seed" -gt 0 ]; then runs+=("$out/$name/seed-$seed"); else runs+=("$out/$name"); fi
  done
done
if [ ! -f "$out/teacher/winoground/result.json" ]; then
  say "scoring the teacher with its diffusion score"
  "$sdsclip" diffusion-score winoground --teacher models/shapes-teacher --samples 16 --out "$out/teacher/winoground" \
    --resume --quiet > /dev/null
fi
runs+=("$out/teacher")
echo
"$sdsclip" report "${runs[@]}" --out "$out/report.html"
