"""Writes a bundle: `bundle.json` and the files that it names, each with its size and SHA-256."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sdsclip_export.errors import USAGE, ExportError

FORMAT = "sdsclip-bundle"
VERSION = 1
_CHUNK_BYTES = 1 << 20


def sha256_of(path: Path) -> str:
    """Returns the SHA-256 of a file's bytes, in hex."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def bundle_folder(out: Path, force: bool) -> Iterator[Path]:
    """Yields a temporary folder next to `out`. It replaces `out` if the block succeeds and is removed otherwise."""
    if out.exists() and not force:
        raise ExportError(USAGE, f"{out} exists already; remove it, choose another --out, or add --force")
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.parent / f".{out.name}.{os.getpid()}.tmp"
    temporary.mkdir()
    try:
        yield temporary
        _replace(temporary, out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_manifest(folder: Path, kind: str, name: str, source: dict, details: dict) -> None:
    """Writes `bundle.json` for the current files of `folder`.

    `source` is {library, version, checkpoint}; `details` holds what this kind of bundle adds.
    """
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": sha256_of(path)} for path in sorted(folder.iterdir())
    }
    manifest = {"format": FORMAT, "version": VERSION, "kind": kind, "name": name, "source": source}
    manifest |= details | {"files": files}
    (folder / "bundle.json").write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _replace(new: Path, old: Path) -> None:
    """Replaces folder `old` by `new`; a rename alone cannot replace a folder that holds files."""
    if not old.exists():
        new.rename(old)
        return
    aside = old.parent / f".{old.name}.{os.getpid()}.old"
    old.rename(aside)
    new.rename(old)
    shutil.rmtree(aside) if aside.is_dir() else aside.unlink()
