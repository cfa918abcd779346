#!/usr/bin/env bash
# Installs what is missing: the Debian packages of scripts/debian-packages.txt, and a .venv with the pinned Python packages of
# scripts/requirements.lock and scripts/requirements-tagger.lock. The torch wheel in .venv is also the LibTorch of the build.
# It is safe to run twice: installed packages are left alone. `scripts/setup.sh --for-build` installs only what the build needs,
# which is a quarter of the downloads: the Debian packages and the torch wheel.
set -Eeuo pipefail
cd "$(dirname "$0")/.."

for_build=no
if [ $# -gt 0 ]; then
  [ "$*" = --for-build ] || { echo "setup: got '$*', expected --for-build or nothing" >&2; exit 2; }
  for_build=yes
fi

step="starting"
trap 'echo "setup: failed while $step (see the message above)" >&2' ERR
say() { echo "setup: $*"; }

step="looking for Debian packages"
mapfile -t packages < <(grep -v -e '^#' -e '^$' scripts/debian-packages.txt)
missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
  [ "$status" = "install ok installed" ] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  say "installing ${#missing[@]} Debian packages: ${missing[*]}"
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi
  step="updating Debian's package lists"
  "${as_root[@]}" apt-get update -qq
  step="installing Debian packages"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" \
    > /dev/null
fi
say "Debian packages are installed"

step="making .venv"
python=/usr/bin/python3
[ -x "$python" ] || python=python3
locks=(scripts/requirements.lock scripts/requirements-tagger.lock)
stamp=.venv/.requirements.sha256
wanted=$(cat "${locks[@]}" | sha256sum)
if [ ! -x .venv/bin/python ]; then
  say "making .venv"
  "$python" -m venv .venv
fi
pip_install() { .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r "$1"; }
install_torch() {
  grep '^torch==' scripts/requirements.lock > .venv/torch.lock
  if cmp -s .venv/torch.lock .venv/.torch.installed; then return; fi
  say "installing LibTorch, the torch wheel"
  pip_install .venv/torch.lock
  cp .venv/torch.lock .venv/.torch.installed
}
if [ "$(cat "$stamp" 2>/dev/null || true)" != "$wanted" ]; then
  step="installing Python packages"
  if [ "$for_build" = yes ]; then
    install_torch
    say "what the build needs is installed"
    exit 0
  fi
  say "installing the pinned Python packages (about 2.5 GB of downloads, LibTorch among them)"
  # pip downloads and unpacks one package after another. Most bytes are NVIDIA's, which a second pip installs beside the first.
  grep '^nvidia-' scripts/requirements.lock > .venv/nvidia.lock
  grep -v -e '^nvidia-' -e '^torch==' scripts/requirements.lock > .venv/others.lock
  pip_install .venv/nvidia.lock &
  nvidia=$!
  install_torch
  pip_install .venv/others.lock
  pip_install scripts/requirements-tagger.lock
  wait "$nvidia"
  echo "$wanted" > "$stamp"
fi
say "Python packages are installed"
