#!/usr/bin/env bash
# Installs what is missing, builds, and runs the tests: all fast tests, the tests against the Python originals, and the module
# tests again under AddressSanitizer and UndefinedBehaviorSanitizer. `scripts/test.sh --quick` leaves out the sanitizers, and
# `--slow` adds the tests with the label slow.
set -euo pipefail
cd "$(dirname "$0")/.."

quick=no
slow=no
for argument in "$@"; do
  case "$argument" in
    --quick) quick=yes ;;
    --slow) slow=yes ;;
    *) echo "test: got '$argument', expected --quick or --slow" >&2; exit 2 ;;
  esac
done

scripts/setup.sh
scripts/build.sh release
exclude=(--label-exclude slow)
jobs=$(nproc)  # every test has one thread
if [ "$slow" = yes ]; then
  exclude=()
  jobs=1  # some of the slow tests measure time
fi

slowest() {
  local times=$1/Testing/Temporary/CTestCostData.txt
  [ -r "$times" ] || return 0
  echo "test: slowest (seconds)"
  sed '/^---$/,$d' "$times" | awk '$3 > 0 {printf "  %8.1f  %s\n", $3, $1}' | sort -rn | sed -n 1,10p
}
run_tests() {
  local folder=$1
  shift
  local code=0
  ctest --test-dir "$folder" --schedule-random --parallel "$jobs" --output-on-failure "$@" || code=$?
  slowest "$folder"
  return "$code"
}

echo "test: release build"
run_tests build ${exclude[@]+"${exclude[@]}"}
if [ "$quick" = no ]; then
  modules=(base data models benchmarks scoring losses training reporting)
  scripts/build.sh asan "${modules[@]/%/_test}" fuzz
  echo "test: sanitizers"
  run_tests build-asan --label-regex fast --label-exclude 'slow|gpu'
fi
