"""The Hugging Face hub: whether it can be reached, and the name of a model in its cache."""

import re
import socket
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

from huggingface_hub import constants

from sdsclip_export.errors import INPUT, ExportError

_SECONDS = 5
_PROXIES = {"http", "https", "all"}
_DEEPEST = 4  # folders from a parent to its models: hub/models--OWNER--NAME/snapshots/COMMIT
_MOST_NAMED = 5  # models of a parent folder in an error


def use_cache_if_unreachable() -> None:
    """Makes the hub's libraries use their cache alone where the hub cannot be reached.

    They would otherwise try again for a minute. Behind a proxy nothing changes, because only the libraries use the proxy.
    """
    if constants.HF_HUB_OFFLINE or _PROXIES & getproxies().keys():
        return
    hub = urlsplit(constants.ENDPOINT)
    port = hub.port or (80 if hub.scheme == "http" else 443)
    try:
        socket.create_connection((hub.hostname, port), timeout=_SECONDS).close()
    except OSError:
        constants.HF_HUB_OFFLINE = True


def folder_name(folder: Path) -> str:
    """Returns a folder's name; for `models--OWNER--NAME/snapshots/COMMIT`, as the hub's cache has it, NAME."""
    folder = folder.absolute()
    cached = re.fullmatch(r"models--.+?--(.+)", folder.parent.parent.name) if folder.parent.name == "snapshots" else None
    return cached[1] if cached else folder.resolve().name


def snapshot_of(folder: Path) -> Path:
    """Returns the current snapshot of a model in the hub's cache (`models--OWNER--NAME`), or any other path unchanged."""
    current = folder / "refs/main"
    if not folder.name.startswith("models--") or not current.is_file():
        return folder
    snapshot = folder / "snapshots" / current.read_text(encoding="utf-8").strip()
    return snapshot if snapshot.is_dir() else folder


def refuse_parent(folder: Path, *markers: str) -> None:
    """Raises ExportError if a folder has none of the files of a model, but folders below it do, and names these."""
    if any((folder / marker).exists() for marker in markers):
        return
    files = [file for depth in range(1, _DEEPEST + 1) for marker in markers for file in folder.glob("*/" * depth + marker)]
    models = sorted({_model_folder(file, folder) for file in files})
    if models:
        named = ", ".join(str(model) for model in models[:_MOST_NAMED])
        more = f", and {len(models) - _MOST_NAMED} more" if len(models) > _MOST_NAMED else ""
        raise ExportError(INPUT, f"{folder}: a folder of models, not a model; give one of them: {named}{more}")


def _model_folder(file: Path, parent: Path) -> Path:
    """Returns what to give for the model that `file` belongs to: its folder, or the one of the hub's cache around it."""
    marker_depth = 2 if file.parent.name == "unet" else 1
    folder = file.parents[marker_depth - 1]
    cached = folder.parent.parent
    return cached if cached != parent and snapshot_of(cached) == folder else folder
