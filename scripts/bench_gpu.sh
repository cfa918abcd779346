#!/usr/bin/env bash
# Measures how fast this machine's GPU runs the networks, a training step and the diffusion score, beside plain PyTorch:
#
#   scripts/bench_gpu.sh [--device cuda|cpu] [--out FOLDER] [--only PART,...] [--seconds N] [--fresh] [--list]
#
# `--help` explains the options. Set SDSCLIP_BUILD to use another build folder than build/.
set -euo pipefail
cd "$(dirname "$0")/.."
python=.venv/bin/python
if [ ! -x "$python" ]; then
  echo "bench_gpu: $python: no such program; scripts/setup.sh installs it" >&2
  exit 2
fi
export PYTHONDONTWRITEBYTECODE=1
exec "$python" scripts/bench/main.py "$@"
