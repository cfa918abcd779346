"""Local folders in open_clip's own layout: `open_clip_config.json` beside the weights, as its repositories on the hub."""

import json
from dataclasses import dataclass
from pathlib import Path

from sdsclip_export.errors import INPUT, ExportError, one_line
from sdsclip_export.hub import folder_name
from sdsclip_export.weight_files import variants_in

CONFIG_FILE = "open_clip_config.json"
# The first of these is taken, as open_clip does.
_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin")
_WEIGHTS += ("open_clip_pytorch_model.pth", "model.safetensors", "pytorch_model.bin", "pytorch_model.pth", "model.pth")
_TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "spiece.model", "tokenizer.model")


@dataclass
class OpenClipFolder:
    """What lies in a folder of open_clip's layout."""

    name: str
    identifier: str  # open_clip's name of the model
    config: dict  # an open_clip model configuration
    weights: Path | None
    tokenizer: Path | None  # the folder, where it holds a Hugging Face tokenizer


def is_open_clip_folder(folder: Path) -> bool:
    """Returns whether a folder is of open_clip's layout and holds no transformers model, which is preferred."""
    return (folder / CONFIG_FILE).is_file() and not (_model_type(folder) == "clip" and variants_in(folder))


def read_open_clip_folder(folder: Path) -> OpenClipFolder:
    path = folder / CONFIG_FILE
    config = read_model_config(path, "model_cfg")
    weights = next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)
    has_tokenizer = any((folder / name).is_file() for name in _TOKENIZER_FILES)
    return OpenClipFolder(
        name=folder_name(folder),
        identifier=f"local-dir:{folder}",
        config=config,
        weights=weights,
        tokenizer=folder if has_tokenizer else None,
    )


def read_model_config(path: Path, key: str | None = None) -> dict:
    """Returns the open_clip model configuration of a JSON file, or what it has under `key`."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        config = config if key is None else config[key]
        missing = [name for name in ("embed_dim", "vision_cfg", "text_cfg") if name not in config]
    except KeyError as error:
        raise ExportError(INPUT, f"{path}: no {error}; expected open_clip's description of a model") from error
    except (OSError, ValueError, TypeError) as error:
        raise ExportError(INPUT, f"{path}: not a readable JSON config ({one_line(error)})") from error
    if missing:
        raise ExportError(INPUT, f"{path}: no {', '.join(missing)}; expected an open_clip model config")
    return config


def _model_type(folder: Path) -> str | None:
    """Returns the kind of transformers model that `config.json` names."""
    try:
        return json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError):
        return None
