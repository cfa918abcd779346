"""Loads fine-tunes that hold only a part of a diffusion model: a UNet's folder or a LoRA's file."""

from pathlib import Path

import torch
from diffusers import DDPMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from torch import nn

from sdsclip_export.errors import INPUT, ExportError, one_line
from sdsclip_export.hub import snapshot_of
from sdsclip_export.weight_files import (
    chosen_variant,
    is_pickled,
    read_weights,
    refuse_incomplete,
    report_plain_weights,
)

_FIRST_FACTORS = (".lora_down.weight", ".lora_A.weight", "_lora.down.weight", ".lora_linear_layer.down.weight")


def load_unet(folder: Path, variant: str | None) -> UNet2DConditionModel:
    """Loads a UNet from its own diffusers folder, or from `unet/` in a whole model's folder."""
    folder = snapshot_of(folder)
    folder = folder / "unet" if (folder / "unet").is_dir() else folder
    try:
        chosen = chosen_variant(folder, variant)
        report_plain_weights(str(folder), variant, {"the UNet": chosen})
        pickled = {"use_safetensors": False} if is_pickled(folder, chosen) else {}
        unet, loading = UNet2DConditionModel.from_pretrained(
            folder, variant=chosen, torch_dtype=torch.float32, output_loading_info=True, **pickled
        )
        refuse_incomplete(str(folder), loading)
        return unet
    except ExportError:
        raise
    except Exception as error:
        raise ExportError(INPUT, f"{folder}: not a diffusers UNet folder ({one_line(error)})") from error


def merge_lora(path: Path, scale: float, unet: nn.Module, text_encoder: nn.Module, others: dict) -> None:
    """Adds a LoRA's products to the weights of `unet` and `text_encoder`, in place, as diffusers reads and scales it.

    `others` are the remaining parts of the pipeline, which diffusers wants to see. Raises ExportError where a part of
    the LoRA has no place in the model, which diffusers would leave out.
    """
    state = read_weights(path).state
    layers = sum(name.endswith(_FIRST_FACTORS) for name in state)
    if layers == 0:
        raise ExportError(INPUT, f"{path}: no LoRA (it holds {next(iter(state))}, ...); expected kohya's or diffusers' names")
    pipeline = StableDiffusionPipeline(
        unet=unet,
        text_encoder=text_encoder,
        scheduler=DDPMScheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
        **others,
    )
    try:
        if path.suffix == ".safetensors":  # its metadata can hold the scale
            pipeline.load_lora_weights(str(path.parent), weight_name=path.name)
        else:
            pipeline.load_lora_weights(state)
        _refuse_left_out(path, layers, unet, text_encoder)
        pipeline.fuse_lora(lora_scale=scale, safe_fusing=True)
        pipeline.unload_lora_weights()
    except ExportError:
        raise
    except Exception as error:
        raise ExportError(INPUT, f"{path}: diffusers cannot merge it as a LoRA ({one_line(error)})") from error


def _refuse_left_out(path: Path, expected: int, *models: nn.Module) -> None:
    """Raises ExportError if fewer layers got a LoRA than the file has."""
    given = sum(hasattr(module, "lora_A") and len(module.lora_A) > 0 for model in models for module in model.modules())
    if given != expected:
        raise ExportError(INPUT, f"{path}: {given} of its {expected} layers have a place in the model; is it for another one?")
