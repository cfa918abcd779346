#!/usr/bin/env bash
# Searches for inputs on which a reader fails, in the sanitizer build: `scripts/fuzz.sh [TARGET|all] [HOURS]`. TARGET is one of
# tests/fuzz/, such as image; the default is 1 hour per target. Each run prints its random seed. A failing input is written into
# build-asan/; move it into tests/fuzz/regressions/TARGET.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:-all}
hours=${2:-1}
seconds=$(awk -v hours="$hours" 'BEGIN { printf "%d", hours * 3600 }')
targets=("$target")
if [ "$target" = all ]; then
  mapfile -t targets < <(sed -n 's/^sdsclip_fuzz(\([a-z_]*\) .*/\1/p' tests/fuzz/CMakeLists.txt)
elif ! grep -q "^sdsclip_fuzz($target " tests/fuzz/CMakeLists.txt; then
  echo "fuzz: got '$target', expected all or a target of tests/fuzz/CMakeLists.txt" >&2
  exit 2
fi
scripts/build.sh asan "${targets[@]/#/fuzz_}"
export OMP_NUM_THREADS=1 \
  ASAN_OPTIONS=detect_leaks=0:detect_container_overflow=0:max_allocation_size_mb=1024:hard_rss_limit_mb=3072
cd build-asan
code=0
for name in "${targets[@]}"; do
  program=tests/fuzz/fuzz_$name
  "$program" --seconds "$seconds" --seed "$(date +%s)" "../tests/fuzz/regressions/$name" || code=1
done
exit "$code"
