"""LoRAs of Stable Diffusion under the names of kohya's trainer and of diffusers; see docs/models.md."""

import json
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import nn

RANK = 4


@dataclass
class Layer:
    """One layer's update: alpha / rank * up @ down."""

    part: str  # "unet" or "text_encoder"
    name: str  # the layer's name in the part
    down: torch.Tensor
    up: torch.Tensor
    alpha: float


def random_lora(unet: nn.Module, text_encoder: nn.Module, alpha: float = 2.0) -> list[Layer]:
    """Makes updates of the attention matrices of both networks from their own seed."""
    generator = torch.Generator().manual_seed(3)
    layers = []
    for part, model in (("unet", unet), ("text_encoder", text_encoder)):
        for name, module in model.named_modules():
            is_attention = any(kind in name for kind in (".attn1.", ".attn2.", ".self_attn."))
            if isinstance(module, nn.Linear) and is_attention:
                down = torch.randn(RANK, module.in_features, generator=generator) / 8
                up = torch.randn(module.out_features, RANK, generator=generator) / 8
                layers.append(Layer(part, name.removeprefix("text_model."), down, up, alpha))
    return layers


def write_kohya(layers: list[Layer], path: Path) -> None:
    """Names like `lora_unet_down_blocks_..._to_q.lora_down.weight`, each with its alpha, and the trainer's metadata."""
    state = {}
    for layer in layers:
        prefix = "lora_unet_" if layer.part == "unet" else "lora_te_text_model_"
        name = prefix + layer.name.replace(".", "_")
        state |= {f"{name}.lora_down.weight": layer.down, f"{name}.lora_up.weight": layer.up}
        state[f"{name}.alpha"] = torch.tensor(layer.alpha)
    metadata = {"ss_network_dim": str(RANK), "ss_network_alpha": "2.0", "ss_network_module": "networks.lora"}
    safetensors.torch.save_file(state, path, metadata=metadata)


def write_diffusers(layers: list[Layer], path: Path) -> None:
    """Names like `unet.down_blocks....to_q.lora_A.weight`; rank and alpha are in the file's metadata."""
    state = {}
    for layer in layers:
        name = layer.name if layer.part == "unet" else f"text_model.{layer.name}"
        state |= {f"{layer.part}.{name}.lora_A.weight": layer.down, f"{layer.part}.{name}.lora_B.weight": layer.up}
    adapter = {"r": RANK, "lora_alpha": layers[0].alpha, "peft_type": "LORA"}
    adapter |= {"target_modules": ["k_proj", "out_proj", "q_proj", "to_k", "to_out.0", "to_q", "to_v", "v_proj"]}
    both = {f"{part}.{key}": value for part in ("unet", "text_encoder") for key, value in adapter.items()}
    metadata = {"format": "pt", "lora_adapter_metadata": json.dumps(both, indent=2, sort_keys=True)}
    safetensors.torch.save_file(state, path, metadata=metadata)


def write_attention_processors(layers: list[Layer], path: Path) -> None:
    """Names from before diffusers 0.21: `unet.down_blocks....processor.to_q_lora.down.weight`; alpha is the rank."""
    state = {}
    for layer in layers:
        if layer.part == "unet":
            block, matrix = layer.name.replace("to_out.0", "to_out").rsplit(".", 1)
            name = f"unet.{block}.processor.{matrix}_lora"
        else:
            name = f"text_encoder.text_model.{layer.name}.lora_linear_layer"
        state |= {f"{name}.down.weight": layer.down, f"{name}.up.weight": layer.up}
    safetensors.torch.save_file(state, path, metadata={"format": "pt"})


# How each form is written, and the alpha that it can state.
FORMS = {"kohya": (write_kohya, 2.0), "diffusers": (write_diffusers, 2.0), "processors": (write_attention_processors, RANK)}
