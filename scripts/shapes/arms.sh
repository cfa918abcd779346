#!/usr/bin/env bash
# Trains and scores every loss of the paper, and those beyond it, on the shapes world. Each line at the end of this script is
# one run with three seeds. All runs use the same 2,000 pairs and the same number of steps. Finished work is skipped.
# Prints the table of docs/experiments/loss-comparison.md to standard output, as `scripts/shapes/arms_table.py OUT` does, and
# writes OUT/report.html with every interval.
#
#   scripts/shapes/arms.sh [NAME...]    only these runs; all by default
set -euo pipefail
cd "$(dirname "$0")/../.."

sdsclip=${SDSCLIP:-build/sdsclip}
out=${SDSCLIP_ARMS_OUT:-runs/arms}
seeds=${SDSCLIP_ARMS_SEEDS:-3}
threads=${SDSCLIP_ARMS_THREADS:-0}
export SDSCLIP_DATA=$out/data
say() { echo "arms: $*" >&2; }

[ -d "$out/data" ] || "$sdsclip" synth --out "$out/data" > /dev/null
candidates=$out/candidates.tsv
[ -f "$candidates" ] || .venv/bin/python scripts/make_candidates.py \
  "$out/data/coco/annotations/captions_train2017.json" --captions-per-image 1 --per-caption 2 --kinds noun,adjective --limit 2000 \
  --out "$candidates"
if [ ! -f "$out/targets/result.json" ]; then
  say "scoring the candidates"
  "$sdsclip" diffusion-score captions --teacher models/shapes-teacher --data "$out/data/coco/train2017" \
    --candidates "$candidates" --samples 4 --error v --t-range 0.5 1 --threads "$threads" --out "$out/targets" --resume \
    --quiet > /dev/null
fi

runs=()
wanted=("$@")
is_wanted() { [ ${#wanted[@]} -eq 0 ] || [[ " ${wanted[*]} " == *" $1 "* ]]; }

# evaluate FOLDER [--tuned FILE]: scores a model on the test split
evaluate() {
  local folder=$1 benchmark
  shift
  for benchmark in winoground zeroshot retrieval; do
    [ -f "$folder/$benchmark/result.json" ] && continue
    "$sdsclip" eval "$benchmark" --clip models/shapes-clip "$@" --threads "$threads" --out "$folder/$benchmark" --resume \
      --quiet > /dev/null
  done
}

# train_run NAME SETTING...: trains each seed with the common settings and the given ones, and scores it
train_run() {
  local name=$1 seed folder setting settings=()
  shift
  is_wanted "$name" || return 0
  for setting in data.format=tsv "data.annotations=$candidates" "data.images=$out/data/coco/train2017" train.steps=250 \
    train.checkpoint_every=0 train.diagnose_every=0 sds.lambda=0 "$@"; do
    settings+=(--set "$setting")
  done
  for ((seed = 0; seed < seeds; seed++)); do
    folder=$out/$name
    if [ "$seed" -gt 0 ]; then folder=$folder/seed-$seed; fi
    if [ ! -f "$folder/result.json" ]; then
      say "training $folder"
      "$sdsclip" train --config quickstart.yaml --seed "$seed" "${settings[@]}" --threads "$threads" --out "$folder" --resume \
        --quiet > /dev/null
    fi
    evaluate "$folder" --tuned "$folder/tuned.safetensors"
    runs+=("$folder")
  done
}

layernorm=(train.tune=layernorm train.lr=1e-3)
lora=(train.tune=lora train.lr=1e-3 "train.lora.targets=[attn, mlp]")
all=(train.tune=all train.lr=5e-4)
sds=(sds.lambda=0.064)
rank=(rank.weight=1 "rank.targets=$out/targets")
negatives=(contrastive.hard_negatives=true)

if is_wanted pretrained; then
  evaluate "$out/pretrained"
  runs+=("$out/pretrained")
fi
train_run contrastive-layernorm "${layernorm[@]}"
train_run sds-layernorm "${layernorm[@]}" "${sds[@]}"
train_run feature-layernorm "${layernorm[@]}" feature.weight=0.064 feature.t_min=0.5
train_run negatives-layernorm "${layernorm[@]}" "${negatives[@]}"
train_run rank-layernorm "${layernorm[@]}" "${rank[@]}"
train_run rank-lora "${lora[@]}" "${rank[@]}"
train_run contrastive-all "${all[@]}"
train_run sds-all "${all[@]}" "${sds[@]}"
train_run negatives-all "${all[@]}" "${negatives[@]}"
train_run rank-all "${all[@]}" "${rank[@]}"
train_run rank-negatives-all "${all[@]}" "${rank[@]}" "${negatives[@]}"
"$sdsclip" report "${runs[@]}" --out "$out/report.html" > /dev/null
.venv/bin/python scripts/shapes/arms_table.py "$out"
