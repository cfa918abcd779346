"""Reads the teachers' built-in configurations, and writes one as the folder that diffusers expects."""

import json
from pathlib import Path

import transformers

from sdsclip_export import tokenizer as tokenizers
from sdsclip_export.errors import INPUT, USAGE, ExportError, one_line

BUILT_IN_CONFIGS = Path(__file__).parent / "teachers"
_CLASSES = {"unet": "UNet2DConditionModel", "vae": "AutoencoderKL", "scheduler": "DDPMScheduler"}


def built_in_names() -> list[str]:
    """Returns the names that `read_config` accepts besides files."""
    return sorted(path.stem for path in BUILT_IN_CONFIGS.glob("*.json"))


def read_config(config: str) -> tuple[Path, dict]:
    """Returns the file and the content of a teacher's configuration: a JSON file, or a name in `teachers/`.

    `based_on` names another configuration in the same folder. It supplies the parts and keys that this one leaves out.
    """
    path = Path(config) if Path(config).exists() else BUILT_IN_CONFIGS / f"{config}.json"
    if not path.exists():
        raise ExportError(USAGE, f"{config}: no such file, nor a built-in configuration ({', '.join(built_in_names())})")
    try:
        parts = json.loads(path.read_text(encoding="utf-8"))
        if based_on := parts.pop("based_on", None):
            _, base = read_config(str(path.with_name(f"{based_on}.json")))
            parts = base | {name: base[name] | part for name, part in parts.items()}
    except (OSError, ValueError, AttributeError) as error:
        raise ExportError(INPUT, f"{path}: {one_line(error)}") from error
    return path, parts


def write_diffusers_folder(parts: dict, folder: Path) -> None:
    """Writes a configuration as a diffusers folder without weights, which `from_single_file` reads."""
    for name, kind in _CLASSES.items():
        file = "scheduler_config.json" if name == "scheduler" else "config.json"
        _write(folder / name / file, {"_class_name": kind} | parts[name])
    text_encoder = {"architectures": ["CLIPTextModel"], "model_type": "clip_text_model"}
    _write(folder / "text_encoder/config.json", text_encoder | parts["text_encoder"])
    merges = tokenizers.openai_merges()
    bos, eos = "<|startoftext|>", "<|endoftext|>"
    transformers.CLIPTokenizer(
        vocab=tokenizers.vocabulary(merges, bos, eos),
        merges=[tuple(merge.split(" ")) for merge in merges],
        pad_token=eos if parts["tokenizer"]["pad"] == "eot" else "!",
    ).save_pretrained(folder / "tokenizer")
    index = {name: ["diffusers", kind] for name, kind in _CLASSES.items()}
    index |= {"text_encoder": ["transformers", "CLIPTextModel"], "tokenizer": ["transformers", "CLIPTokenizer"]}
    index |= {"_class_name": "StableDiffusionPipeline", "safety_checker": [None, None], "feature_extractor": [None, None]}
    _write(folder / "model_index.json", index)


def _write(path: Path, value: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
