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

# Most Python packages serve the tests alone, so they are installed while the build runs.
scripts/setup.sh --for-build
scripts/setup.sh &
setup=$!
built=0
scripts/build.sh release || built=$?
wait "$setup"
[ "$built" = 0 ] || exit "$built"

# Without a ctest option, tests/order makes the order random but for the longest tests, which start first.
order=()
exclude=(--label-exclude 'slow|single')
jobs=$(nproc)  # every test has one thread
if [ "$slow" = yes ]; then
  exclude=(--label-exclude single)
  jobs=1  # some of the slow tests measure time
  order=(--schedule-random)  # ctest uses tests/order only for tests side by side
fi

slowest() {  # of the run whose report is $1; what ctest keeps of earlier runs is averaged
  [ -r "$1" ] || return 0
  echo "test: slowest (seconds)"
  sed -n 's/.*<testcase name="\([^"]*\)".* time="\([0-9.e+]*\)".*/\2 \1/p' "$1" |
    awk '{printf "  %8.1f  %s\n", $1, $2}' | sort -rn | sed -n 1,10p
}
run_tests() {
  local folder=$1
  shift
  local code=0 report=$PWD/$folder/tests.xml
  rm -f "$report"
  ctest --test-dir "$folder" ${order[@]+"${order[@]}"} --parallel "$jobs" --output-on-failure \
    --output-junit "$report" "$@" || code=$?
  slowest "$report"
  return "$code"
}

echo "test: release build"
run_tests build ${exclude[@]+"${exclude[@]}"}
if [ "$quick" = no ]; then
  modules=(base data models benchmarks scoring losses training reporting)
  scripts/build.sh asan "${modules[@]/%/_test}" cli_table_test fuzz
  echo "test: sanitizers"
  run_tests build-asan --label-regex fast --label-exclude 'slow|gpu'
fi
