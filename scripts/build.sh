#!/usr/bin/env bash
# Builds a preset of CMakePresets.json, or only the given targets: `scripts/build.sh [release|debug|asan] [TARGET...]`.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:-release}
targets=()
for target in "${@:2}"; do targets+=(--target "$target"); done
trap 'echo "build: failed (see the message above)" >&2' ERR
echo "build: preset $preset"
cmake --preset "$preset" > "/tmp/sdsclip-cmake-$$.log" 2>&1 || { cat "/tmp/sdsclip-cmake-$$.log" >&2; false; }
rm -f "/tmp/sdsclip-cmake-$$.log"
cmake --build --preset "$preset" ${targets[@]+"${targets[@]}"}
