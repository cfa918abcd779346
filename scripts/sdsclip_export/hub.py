"""The Hugging Face hub: whether it can be reached, and the name of a model in its cache."""

import re
import socket
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

from huggingface_hub import constants

_SECONDS = 5
_PROXIES = {"http", "https", "all"}


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
