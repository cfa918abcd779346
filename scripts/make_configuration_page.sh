#!/usr/bin/env bash
# Writes docs/configuration.md from the program's own output. A test compares the two.
set -euo pipefail
cd "$(dirname "$0")/.."
{
  cat <<'PAGE'
# Configuration

A training configuration is a YAML file. It is read strictly:

- An unknown key is an error that names the nearest known key.
- A value of the wrong type, or out of its range, is an error that names the file and the line.

`include: FILE` (or a list of files) is read first, and the file's own values override it. `--set key=value` overrides both.
`sdsclip train --config NAME --print-config` prints the resolved configuration with the text of each option. This is
`vitb16.yaml`, the first row of the paper's Table 1:

```yaml
PAGE
  build/sdsclip train --config vitb16.yaml --print-config
  echo '```'
} > docs/configuration.md
