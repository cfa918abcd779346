#!/usr/bin/env bash
# Tries the models and data sets of two folders, and ends with a table of what is sound:
#
#   scripts/check_real.sh MODELS DATA
#
# MODELS holds bundles (MODELS/NAME/bundle.json), DATA one folder per benchmark (DATA/winoground) and DATA/coco. Each bundle is
# inspected and verified. Each data set is checked and compared with the published counts. Each CLIP bundle scores 20 cases of
# each benchmark, each teacher scores 2 cases, and each pair trains 2 steps. A failure does not stop the rest. A row says
#   sound      it works, and its counts are the published ones;
#   UNSOUND    it fails, or its counts differ from the published ones;
#   other      its counts differ because it is the shapes world of `sdsclip synth`, which has its own counts;
#   not tried  there is nothing to compare with or to train on; the row's detail says what is missing.
# Only UNSOUND rows make the exit code 1.
# Exit codes: 0 all sound, 1 something is unsound, 2 wrong usage. The outputs are in runs/check-real (or $SDSCLIP_CHECK_OUT).
set -uo pipefail

folders=()
for argument in "$@"; do
  case "$argument" in
    -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    -*) echo "check_real: got '$argument', expected MODELS DATA" >&2; exit 2 ;;
    *) folders+=("$argument") ;;
  esac
done
if [ "${#folders[@]}" -ne 2 ] || [ ! -d "${folders[0]}" ] || [ ! -d "${folders[1]}" ]; then
  echo "check_real: got '${folders[*]-}', expected two folders: MODELS DATA" >&2
  exit 2
fi
models=$(realpath "${folders[0]}")
data=$(realpath "${folders[1]}")
cd "$(dirname "$0")/.."
sdsclip=${SDSCLIP_PROGRAM:-build/sdsclip}
if [ ! -x "$sdsclip" ]; then
  echo "check_real: $sdsclip: no such program; build it with scripts/build.sh release sdsclip" >&2
  exit 2
fi
out=${SDSCLIP_CHECK_OUT:-runs/check-real}
rm -rf "$out/work"
mkdir -p "$out/work"
is_shapes_world=no # recognised by its classes, which no other set has
if [ -d "$data/zeroshot/cyan_ring" ] && [ -d "$data/zeroshot/pink_cross" ]; then is_shapes_world=yes; fi
table=$out/table.tsv
printf 'what\tof\tresult\tdetail\n' > "$table"
unsound=0

# row WHAT OF RESULT DETAIL: prints one line of the table at once and keeps it for the end
row() {
  printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4" >> "$table"
  echo "check_real: $1 $2: $3${4:+ ($4)}" >&2
  if [ "$3" = UNSOUND ]; then unsound=1; fi
}

# try WHAT OF COMMAND...: runs a command with its output in a file; if it fails, the detail is its last error line
try() {
  local what=$1 of=$2 log code
  shift 2
  log=$out/work/$(echo "$what-$of" | tr -c 'A-Za-z0-9.\n' '-').log
  "$@" > "$log" 2> "$log.err"
  code=$?
  if [ "$code" -eq 0 ]; then
    row "$what" "$of" sound ""
  else
    row "$what" "$of" UNSOUND "exit code $code: $(tail -n 1 "$log.err" | tr '\t' ' ')"
  fi
  return "$code"
}

# compare_counts LOG OF: compares the counts that `data check` printed with the published ones; a part without cases is absent
compare_counts() {
  local log=$1 of=$2 parts='$NF ~ /^[0-9]+$/ && NF == 3' agree differ first absent
  agree=$(awk "$parts && \$2 == \$3" "$log" | wc -l)
  differ=$(awk "$parts && \$2 != \$3 && \$2 > 0" "$log" | wc -l)
  first=$(awk "$parts && \$2 != \$3 && \$2 > 0 { print \$1 \": \" \$2 \" cases, published \" \$3; exit }" "$log")
  absent=$(awk "$parts && \$2 == 0 { printf \", no %s\", \$1 }" "$log")
  if [ "$differ" -gt 0 ]; then
    local result=UNSOUND
    if [ "$is_shapes_world" = yes ]; then result=other; fi
    row counts "$of" "$result" "$differ of $((agree + differ)) differ, $first"
  elif [ "$agree" -gt 0 ]; then
    row counts "$of" sound "$agree as published$absent"
  else
    row counts "$of" "not tried" "no published counts"
  fi
}

clips=() teachers=()
for manifest in "$models"/*/bundle.json; do
  [ -f "$manifest" ] || continue
  bundle=$(dirname "$manifest")
  try inspect "$(basename "$bundle")" "$sdsclip" bundle inspect "$bundle" || continue
  try verify "$(basename "$bundle")" "$sdsclip" bundle verify "$bundle" || continue
  if grep -q '"kind": *"teacher"' "$manifest"; then teachers+=("$bundle"); else clips+=("$bundle"); fi
done
if [ "${#clips[@]}" -eq 0 ]; then row bundles "$models" UNSOUND "no sound CLIP bundle; docs/models.md has the export commands"; fi

# The benchmark names come from the program's error message for an unknown one.
benchmarks=$("$sdsclip" data check "?" --data . 2>&1 | sed -n 's/.*expected one of //p' | tr -d ,)
sets=()
for folder in "$data"/*/; do
  name=$(basename "$folder")
  case " $benchmarks " in *" $name "*) ;; *) continue ;; esac # coco, or a folder of another use
  if try files "$name" "$sdsclip" data check "$name" --data "$folder"; then
    compare_counts "$out/work/files-$name.log" "$name"
    sets+=("$name")
  fi
done
if [ "${#sets[@]}" -eq 0 ]; then row data "$data" UNSOUND "no sound data set; docs/datasets.md says how to prepare them"; fi

for name in ${sets[@]+"${sets[@]}"}; do
  for clip in ${clips[@]+"${clips[@]}"}; do
    try "20 cases" "$name, $(basename "$clip")" "$sdsclip" eval "$name" --clip "$clip" --data "$data/$name" --limit 20 \
      --out "$out/work/eval-$name-$(basename "$clip")" --quiet
  done
done
for teacher in ${teachers[@]+"${teachers[@]}"}; do
  [ "${#sets[@]}" -gt 0 ] || break
  name=${sets[0]}
  for candidate in "${sets[@]}"; do if [ "$candidate" = winoground ]; then name=winoground; fi; done
  try "2 cases" "$name, $(basename "$teacher")" "$sdsclip" diffusion-score "$name" --teacher "$teacher" --data "$data/$name" \
    --limit 2 --samples 1 --out "$out/work/diffusion-$(basename "$teacher")" --quiet
done

annotations=$data/coco/annotations/captions_train2017.json
if [ ! -f "$annotations" ]; then
  row "2 steps" "$data/coco" "not tried" "no annotations/captions_train2017.json there"
else
  # train_with CLIP NAME SETTING...: trains two steps with the paper's losses
  train_with() {
    local clip=$1 name=$2 settings=()
    shift 2
    for setting in "$@"; do settings+=(--set "$setting"); done
    try "2 steps" "$name" "$sdsclip" train --config vitb16.yaml --set "clip=$clip" --set "data.annotations=$annotations" \
      --set "data.images=$data/coco/train2017" --set train.steps=2 --set train.batch_size=4 "${settings[@]}" \
      --out "$out/work/train-${name//[^A-Za-z0-9._-]/-}" --quiet
  }
  for clip in ${clips[@]+"${clips[@]}"}; do
    if [ "${#teachers[@]}" -eq 0 ]; then train_with "$clip" "$(basename "$clip")" sds.lambda=0; fi
    for teacher in ${teachers[@]+"${teachers[@]}"}; do
      train_with "$clip" "$(basename "$clip"), $(basename "$teacher")" "teacher=$teacher"
    done
  done
fi

echo
column -t -s "$(printf '\t')" "$table" 2> /dev/null || cat "$table"
if [ "$unsound" -eq 1 ]; then echo "check_real: something is unsound; the commands' outputs are in $out/work" >&2; fi
exit "$unsound"
