"""Tiny models in folders as open_clip's repositories lie on the hub; see docs/models.md for the sources."""

import json
from pathlib import Path

import open_clip
import safetensors.torch
import torch
from clip_files import CONFIG, random_model

# As open_clip's `push_to_hf_hub` writes it for SigLIP, and as LAION's repositories have it.
SIGLIP_PREPROCESS = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "interpolation": "bicubic", "resize_mode": "squash"}
LAION_PREPROCESS = {"mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711]}


def write_folder(
    folder: Path, name: str, config: dict = CONFIG, preprocess: dict = LAION_PREPROCESS, weights: str = "open_clip_model.safetensors"
) -> None:
    """Writes `open_clip_config.json` and the weights file `weights` of a random model."""
    folder.mkdir(parents=True, exist_ok=True)
    registered = folder.parent / f"{name}.json"
    registered.write_text(json.dumps(config), encoding="utf-8")
    open_clip.add_model_config(registered)
    state = random_model(name).state_dict()
    hub = {"model_cfg": config, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(hub, indent=4), encoding="utf-8")
    if weights.endswith(".safetensors"):
        safetensors.torch.save_file(state, folder / weights)
    else:
        torch.save(state, folder / weights)


def as_cached(folder: Path, cache: Path, owner: str, name: str) -> Path:
    """The same files as the hub's cache has them: links of a snapshot to blobs that are named by their digests."""
    place = cache / f"models--{owner}--{name}"
    snapshot = place / "snapshots/0123456789abcdef0123456789abcdef01234567"
    (place / "blobs").mkdir(parents=True)
    (place / "refs").mkdir()
    (place / "refs/main").write_text(snapshot.name)
    snapshot.mkdir(parents=True)
    for number, path in enumerate(sorted(path for path in folder.rglob("*") if path.is_file())):
        link = snapshot / path.relative_to(folder)
        link.parent.mkdir(parents=True, exist_ok=True)
        blob = place / "blobs" / f"{number:040x}"
        blob.write_bytes(path.read_bytes())
        up = "../" * (len(link.relative_to(snapshot).parts) + 1)
        link.symlink_to(f"{up}blobs/{blob.name}")
    return snapshot
