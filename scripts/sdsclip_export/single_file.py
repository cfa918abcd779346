"""Reads Stable Diffusion from one file, `.ckpt` or `.safetensors`, as its authors and most fine-tunes publish it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import diffusers
import torch
from diffusers import StableDiffusionPipeline
from diffusers.loaders import single_file, single_file_utils

from sdsclip_export.errors import INPUT, USAGE, ExportError
from sdsclip_export.hub import use_cache_if_unreachable
from sdsclip_export.teacher_configs import built_in_names, read_config, write_diffusers_folder
from sdsclip_export.weight_files import read_weights

SUFFIXES = (".safetensors", ".ckpt")
_NETWORKS = {
    "UNet": ("model.diffusion_model.",),
    "VAE": ("first_stage_model.",),
    "text encoder": ("cond_stage_model.transformer.", "cond_stage_model.model."),
}
_EMA = "model_ema."


def single_file_parts(path: Path, config: str | None) -> tuple:
    """Returns UNet, VAE, text encoder, tokenizer and scheduler configuration of a single file, converted by diffusers.

    `config` is a built-in name, a diffusers folder or a hub id. A file of Stable Diffusion 1 needs none.
    """
    state = read_weights(path).state
    _refuse_partial_files(path, state)
    diffusers.utils.logging.disable_progress_bar()
    with _config_folder(path, state, config) as folder:
        # diffusers would unpickle the whole file, which fails on the trainer's objects in a `.ckpt`.
        with mock.patch.object(single_file, "load_single_file_checkpoint", lambda *_, **__: state):
            pipeline = StableDiffusionPipeline.from_single_file(
                str(path),
                config=folder,
                safety_checker=None,
                torch_dtype=torch.float32,
                extract_ema=any(name.startswith(_EMA) for name in state),
            )
    for network in (pipeline.unet, pipeline.vae, pipeline.text_encoder):
        missing = [name for name, tensor in network.named_parameters() if tensor.is_meta]
        if missing:
            raise ExportError(INPUT, f"{path}: {len(missing)} tensors are not in the file, {missing[0]} for one")
    return pipeline.unet, pipeline.vae, pipeline.text_encoder, pipeline.tokenizer, dict(pipeline.scheduler.config)


def _refuse_partial_files(path: Path, state: dict[str, torch.Tensor]) -> None:
    """Raises ExportError if the file lacks one of the three networks, as a LoRA, a VAE or a UNet alone does."""
    missing = [what for what, prefixes in _NETWORKS.items() if not any(name.startswith(prefixes) for name in state)]
    if missing:
        raise ExportError(
            INPUT, f"{path}: no {', no '.join(missing)} (it holds {next(iter(state))}, ...); expected a whole checkpoint"
        )


@contextmanager
def _config_folder(path: Path, state: dict[str, torch.Tensor], config: str | None) -> Iterator[str]:
    """Yields a diffusers folder with the file's configuration. It is temporary if `config` is a built-in name or left out."""
    name = config if config is not None else _config_of(path, state)
    if name not in built_in_names() and not name.endswith(".json"):
        if not Path(name).is_dir():
            use_cache_if_unreachable()
        yield name
        return
    with tempfile.TemporaryDirectory() as folder:
        write_diffusers_folder(read_config(name)[1], Path(folder))
        yield folder


def _config_of(path: Path, state: dict[str, torch.Tensor]) -> str:
    """Returns the configuration that the weights imply. Stable Diffusion 2's do not show what they predict, and raise."""
    kind = single_file_utils.infer_diffusers_model_type(state)
    if kind == "v1":
        return "sd-v1-4"
    if kind == "v2":
        raise ExportError(
            USAGE,
            f"{path}: Stable Diffusion 2, whose files do not say what the UNet predicts; add --config sd-v2-1 for the 768 "
            "pixels models (v-prediction) or --config sd-v2-1-base for the 512 pixels ones (epsilon), also of 2.0",
        )
    raise ExportError(INPUT, f"{path}: a model of kind {kind}; expected Stable Diffusion 1 or 2")
