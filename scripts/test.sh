#!/usr/bin/env bash
# Installs what is missing, builds, and runs the tests: all fast ones, those against the Python originals, and those of
# the rooms again under AddressSanitizer and UndefinedBehaviorSanitizer. `scripts/test.sh --quick` leaves the sanitizers
# out, `--slow` adds the tests that are labelled slow.
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
if [ "$slow" = yes ]; then exclude=(); fi
echo "test: release build"
ctest --test-dir build --schedule-random --output-on-failure ${exclude[@]+"${exclude[@]}"}
if [ "$quick" = no ]; then
  rooms=(base data models benchmarks scoring losses training reporting)
  scripts/build.sh asan "${rooms[@]/%/_test}"
  echo "test: sanitizers"
  ctest --test-dir build-asan --schedule-random --output-on-failure --label-regex fast --label-exclude 'slow|gpu'
fi
