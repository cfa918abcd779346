#!/usr/bin/env bash
# Writes docs/configuration.md from what the program itself prints. A test compares the two.
set -euo pipefail
cd "$(dirname "$0")/.."
{
  cat <<'PAGE'
# Configuration

A training configuration is YAML, read strictly: an unknown key is an error that names the nearest known one, and a wrong
kind one that names file and line. `include: FILE` (or a list of files) is read first and overlaid by the file itself;
`--set key=value` overrides both. `sdsclip train --config NAME --print-config` prints the resolved configuration with each
option's text. For `vitb16.yaml`, the paper's first row:

```yaml
PAGE
  build/sdsclip train --config vitb16.yaml --print-config
  echo '```'
} > docs/configuration.md
