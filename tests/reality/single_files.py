"""Stable Diffusion in one file, as its authors and trainers publish it; docs/models.md names the sources."""

import sys
from pathlib import Path

import torch
from foreign_objects import foreign_class
from hub_teachers import Layout, Networks
from hub_tokenizer import EOS
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "parity"))
import original_layout

# Entries beside the networks in a training checkpoint's state dict.
_SCHEDULE = ("betas", "alphas_cumprod", "alphas_cumprod_prev", "sqrt_alphas_cumprod", "sqrt_one_minus_alphas_cumprod")


def state_of(layout: Layout, networks: Networks) -> dict[str, torch.Tensor]:
    """Returns the state dict under the original names, with the schedule's buffers."""
    state = original_layout.single_file(networks.unet, networks.vae, networks.text_encoder)
    if layout.pad == EOS:
        positions = torch.arange(77)[None]
        state["cond_stage_model.transformer.text_model.embeddings.position_ids"] = positions
    else:
        state = {name: tensor for name, tensor in state.items() if not name.startswith("cond_stage_model.")}
        text = open_clip_names(networks.text_encoder)
        state |= {f"cond_stage_model.model.{name}": tensor for name, tensor in text.items()}
    return state | {name: torch.linspace(0, 1, 1000) for name in _SCHEDULE} | {"logvar": torch.zeros(1000)}


def open_clip_names(text_encoder: nn.Module) -> dict[str, torch.Tensor]:
    """Returns the text encoder as in Stable Diffusion 2's files: OpenCLIP's names, and an unused last block."""
    source = {name.removeprefix("text_model."): tensor for name, tensor in text_encoder.state_dict().items()}
    width = text_encoder.config.hidden_size
    state = {
        "positional_embedding": source["embeddings.position_embedding.weight"],
        "token_embedding.weight": source["embeddings.token_embedding.weight"],
        "ln_final.weight": source["final_layer_norm.weight"],
        "ln_final.bias": source["final_layer_norm.bias"],
        "text_projection": torch.randn(width, width),
        "logit_scale": torch.tensor(4.6),
    }
    layers = text_encoder.config.num_hidden_layers
    for index in range(layers + 1):
        ours = f"encoder.layers.{min(index, layers - 1)}"
        theirs = f"transformer.resblocks.{index}"
        for kind in ("weight", "bias"):
            stacked = [source[f"{ours}.self_attn.{part}_proj.{kind}"] for part in "qkv"]
            state[f"{theirs}.attn.in_proj_{kind}"] = torch.cat(stacked)
            state[f"{theirs}.attn.out_proj.{kind}"] = source[f"{ours}.self_attn.out_proj.{kind}"]
            state[f"{theirs}.ln_1.{kind}"] = source[f"{ours}.layer_norm1.{kind}"]
            state[f"{theirs}.ln_2.{kind}"] = source[f"{ours}.layer_norm2.{kind}"]
            state[f"{theirs}.mlp.c_fc.{kind}"] = source[f"{ours}.mlp.fc1.{kind}"]
            state[f"{theirs}.mlp.c_proj.{kind}"] = source[f"{ours}.mlp.fc2.{kind}"]
    return state


def with_average(state: dict[str, torch.Tensor], unet: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Returns `state` with another UNet as its exponential moving average, whose names have no dots."""
    averaged = {
        "model_ema." + name.removeprefix("model.").replace(".", ""): tensor
        for name, tensor in unet.items()
        if name.startswith("model.diffusion_model.")
    }
    return state | averaged | {"model_ema.decay": torch.tensor(0.9999), "model_ema.num_updates": torch.tensor(3)}


def write_ckpt(state: dict[str, torch.Tensor], path: Path) -> None:
    """Writes a file like PyTorch Lightning 1.4, with its callbacks as pickled objects."""
    with foreign_class("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint") as callback:
        content = {
            "epoch": 12,
            "global_step": 470000,
            "pytorch-lightning_version": "1.4.2",
            "state_dict": state,
            "callbacks": {callback: {"monitor": "val/loss", "best_model_score": torch.tensor(0.1)}},
            "optimizer_states": [],
            "lr_schedulers": [],
        }
        torch.save(content, path)


