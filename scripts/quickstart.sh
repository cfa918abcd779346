#!/usr/bin/env bash
# The main job, from a bare machine: installs what is missing, builds, draws the shapes world, fine-tunes the shipped CLIP
# model with and without L_SDS, scores the teacher, and ends with one table. What is done already is not done again;
# delete runs/quickstart for a fresh run.
set -euo pipefail
cd "$(dirname "$0")/.."

out=runs/quickstart
seeds=${SDSCLIP_QUICKSTART_SEEDS:-3}
trap 'echo "quickstart: failed (see the message above); run it again to go on" >&2' ERR
say() { echo "quickstart: $*"; }

scripts/setup.sh
scripts/build.sh release sdsclip
sdsclip=build/sdsclip
export SDSCLIP_DATA=$out/data

if [ ! -d "$out/data" ]; then
  say "drawing the shapes world"
  "$sdsclip" synth --out "$out/data" > /dev/null
fi

# evaluate NAME [TUNED]: Winoground and zero-shot of the shipped or of a tuned CLIP model
evaluate() {
  local folder=$1
  shift
  for benchmark in winoground zeroshot; do
    [ -f "$folder/$benchmark/result.json" ] && continue
    "$sdsclip" eval "$benchmark" --clip models/shapes-clip "$@" --out "$folder/$benchmark" --resume --quiet > /dev/null
  done
}

# arm NAME SEED [SETTING...]: trains one model and scores it
arm() {
  local folder=$out/$1 seed=$2
  shift 2
  if [ "$seed" -gt 0 ]; then folder=$folder/seed-$seed; fi
  if [ ! -f "$folder/result.json" ]; then
    say "training $folder"
    "$sdsclip" train --config quickstart.yaml --seed "$seed" "$@" --out "$folder" --resume --quiet > /dev/null
  fi
  evaluate "$folder" --tuned "$folder/tuned.safetensors"
}

say "scoring the shipped CLIP model"
evaluate "$out/pretrained"
runs=("$out/pretrained")
for name in contrastive sds; do
  settings=()
  if [ "$name" = contrastive ]; then settings=(--set sds.lambda=0); fi
  for ((seed = 0; seed < seeds; seed++)); do
    arm "$name" "$seed" ${settings[@]+"${settings[@]}"}
    if [ "$seed" -gt 0 ]; then runs+=("$out/$name/seed-$seed"); else runs+=("$out/$name"); fi
  done
done
if [ ! -f "$out/teacher/winoground/result.json" ]; then
  say "scoring the teacher by its diffusion score"
  "$sdsclip" diffusion-score winoground --teacher models/shapes-teacher --samples 16 --out "$out/teacher/winoground" \
    --resume --quiet > /dev/null
fi
runs+=("$out/teacher")
echo
"$sdsclip" report "${runs[@]}" --out "$out/report.html"
