#!/usr/bin/env bash
# Builds a preset of CMakePresets.json: `scripts/build.sh [release|debug|asan]`.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:-release}
trap 'echo "build: failed (see the message above)" >&2' ERR
echo "build: preset $preset"
cmake --preset "$preset" > "/tmp/sdsclip-cmake-$$.log" 2>&1 || { cat "/tmp/sdsclip-cmake-$$.log" >&2; false; }
rm -f "/tmp/sdsclip-cmake-$$.log"
cmake --build --preset "$preset"
