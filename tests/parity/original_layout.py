"""Converts a diffusers model to Stable Diffusion's original layout, as in a `.ckpt` or `.safetensors` file.

The names are those of CompVis's `ldm/modules/diffusionmodules/openaimodel.py` and `model.py`.
"""

import re

import torch
from torch import nn

_RESNET = {"norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0"}
_RESNET |= {"conv2": "out_layers.3", "conv_shortcut": "skip_connection"}
_UNET_ENDS = {"conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2"}
_UNET_ENDS |= {"time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2"}
_VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def single_file(unet: nn.Module, vae: nn.Module, text_encoder: nn.Module) -> dict[str, torch.Tensor]:
    """Returns the state dict of the three networks under their original names."""
    layers = unet.config.layers_per_block
    levels = len(vae.config.block_out_channels)
    state = {f"model.diffusion_model.{unet_name(key, layers)}": value for key, value in unet.state_dict().items()}
    for key, value in vae.state_dict().items():
        is_attention_matrix = ".attentions." in key and value.ndim == 2
        # The original's attention uses 1x1 convolutions.
        state[f"first_stage_model.{vae_name(key, levels)}"] = value[:, :, None, None] if is_attention_matrix else value
    for key, value in text_encoder.state_dict().items():
        state[f"cond_stage_model.transformer.text_model.{key}"] = value
    return {key: value.contiguous() for key, value in state.items()}


def unet_name(key: str, layers: int) -> str:
    """Returns the original name of a UNet tensor; `layers` is diffusers' layers_per_block."""
    for ours, theirs in _UNET_ENDS.items():
        if key.startswith(ours + "."):
            return key.replace(ours, theirs, 1)
    side, block, kind, index, rest = re.match(
        r"(down_blocks|up_blocks|mid_block)\.?(\d*)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.*)", key
    ).groups()
    if kind == "resnets":
        part, _, tensor = rest.partition(".")
        rest = f"{_RESNET[part]}.{tensor}"
    if side == "mid_block":
        return f"middle_block.{1 if kind == 'attentions' else 2 * int(index)}.{rest}"
    first = int(block) * (layers + 1)
    if kind == "downsamplers":
        return f"input_blocks.{first + layers + 1}.0.{rest.replace('conv', 'op')}"
    if side == "down_blocks":
        return f"input_blocks.{first + int(index) + 1}.{0 if kind == 'resnets' else 1}.{rest}"
    if kind == "upsamplers":
        return f"output_blocks.{first + layers}.{'1' if block == '0' else '2'}.{rest}"
    return f"output_blocks.{first + int(index)}.{0 if kind == 'resnets' else 1}.{rest}"


def vae_name(key: str, levels: int) -> str:
    """Returns the original name of an autoencoder tensor; `levels` is the number of resolutions."""
    key = key.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    key = key.replace("downsamplers.0", "downsample").replace("upsamplers.0", "upsample")
    if ".mid_block.attentions.0." in key:
        for ours, theirs in _VAE_ATTENTION.items():
            key = key.replace(f".{ours}.", f".{theirs}.")
    key = key.replace("mid_block.attentions.0", "mid.attn_1")
    key = re.sub(r"mid_block\.resnets\.(\d)", lambda found: f"mid.block_{int(found[1]) + 1}", key)
    key = re.sub(r"up_blocks\.(\d)", lambda found: f"up.{levels - 1 - int(found[1])}", key)
    return re.sub(r"down_blocks\.(\d)", r"down.\1", key).replace(".resnets.", ".block.")
