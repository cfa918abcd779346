"""Tiny Stable Diffusions in the file layouts of the hub, with old names that today's libraries convert.

docs/models.md names the source of each layout. Today's `save_pretrained` would write instead:
tokenizer.json instead of merges.txt, `scaling_factor` and `prediction_type` always, `to_q` for `query` in the VAE, no
`position_ids`, and text encoder names without `text_model.`.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import diffusers
import safetensors.torch
import torch
import transformers
from hub_tokenizer import EOS, write_json, write_old_tokenizer
from torch import nn

_UNET = {
    "act_fn": "silu",
    "attention_head_dim": 8,
    "block_out_channels": [32, 64],
    "center_input_sample": False,
    "cross_attention_dim": 32,
    "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
    "downsample_padding": 1,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "in_channels": 4,
    "layers_per_block": 1,
    "mid_block_scale_factor": 1,
    "norm_eps": 1e-05,
    "norm_num_groups": 32,
    "out_channels": 4,
    "sample_size": 8,
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
}
_UNET_2 = {
    "attention_head_dim": [2, 4],
    "dual_cross_attention": False,
    "num_class_embeds": None,
    "only_cross_attention": False,
    "use_linear_projection": True,
}
_VAE = {
    "act_fn": "silu",
    "block_out_channels": [32, 32, 64],
    "down_block_types": ["DownEncoderBlock2D"] * 3,
    "in_channels": 3,
    "latent_channels": 4,
    "layers_per_block": 1,
    "norm_num_groups": 32,
    "out_channels": 3,
    "sample_size": 32,
    "up_block_types": ["UpDecoderBlock2D"] * 3,
}
_TEXT = {
    "architectures": ["CLIPTextModel"],
    "attention_dropout": 0.0,
    "bos_token_id": 0,
    "dropout": 0.0,
    "eos_token_id": 2,
    "hidden_act": "quick_gelu",
    "hidden_size": 32,
    "initializer_factor": 1.0,
    "initializer_range": 0.02,
    "intermediate_size": 64,
    "layer_norm_eps": 1e-05,
    "max_position_embeddings": 77,
    "model_type": "clip_text_model",
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "pad_token_id": 1,
    "projection_dim": 768,
    "torch_dtype": "float32",
    "transformers_version": "4.21.0.dev0",
    "vocab_size": 49408,
}
_TEXT_2 = {"hidden_act": "gelu", "projection_dim": 512, "transformers_version": "4.25.0.dev0"}
_SCHEDULER = {
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
}


@dataclass
class Layout:
    """A published model: its configurations as written there, and their meaning."""

    unet: dict
    vae: dict
    text_encoder: dict
    scheduler: dict
    pad: str  # the tokenizer's padding token
    prediction_type: str  # what the UNet predicts
    scaling_factor: float = 0.18215
    version: str = "0.2.2"  # diffusers' version in the configurations


def _layout(unet: dict, text: dict, scheduler: dict, pad: str, meaning: str, version: str) -> Layout:
    return Layout(_UNET | unet, dict(_VAE), _TEXT | text, _SCHEDULER | scheduler, pad, meaning, version=version)


PNDM, DDIM = {"_class_name": "PNDMScheduler"}, {"_class_name": "DDIMScheduler"}
V, EPSILON = {"prediction_type": "v_prediction"}, {"prediction_type": "epsilon"}
LAYOUTS = {
    "sd-v1-4": _layout({}, {}, PNDM, EOS, "epsilon", "0.2.2"),
    "sd-v1-5": _layout({}, {"transformers_version": "4.22.0.dev0"}, PNDM, EOS, "epsilon", "0.6.0"),
    "sd-v2-0": _layout(_UNET_2, _TEXT_2, DDIM | V, "!", "v_prediction", "0.8.0"),
    "sd-v2-0-base": _layout(_UNET_2, _TEXT_2, PNDM | EPSILON, "!", "epsilon", "0.8.0"),
    "sd-v2-1": _layout(_UNET_2 | {"upcast_attention": True}, _TEXT_2, DDIM | V, "!", "v_prediction", "0.10.0.dev0"),
    "sd-v2-1-base": _layout(_UNET_2, _TEXT_2, PNDM | EPSILON, "!", "epsilon", "0.10.0.dev0"),
}


@dataclass
class Networks:
    """The three networks in the libraries, with which the exported ones are compared."""

    unet: diffusers.UNet2DConditionModel
    vae: diffusers.AutoencoderKL
    text_encoder: transformers.CLIPTextModel


def random_networks(layout: Layout, seed: int = 0) -> Networks:
    """Makes a layout's networks with seeded random weights that are exact in half precision."""
    torch.manual_seed(seed)
    text = {name: value for name, value in layout.text_encoder.items() if name not in ("architectures", "torch_dtype")}
    networks = Networks(
        diffusers.UNet2DConditionModel(**layout.unet),
        diffusers.AutoencoderKL(**layout.vae),
        transformers.CLIPTextModel(transformers.CLIPTextConfig(**text)),
    )
    for network in (networks.unet, networks.vae, networks.text_encoder):
        network.eval().requires_grad_(False)
        for parameter in network.parameters():
            if parameter.ndim == 1:  # norms and biases would otherwise be ones and zeros
                parameter.add_(0.1 * torch.randn(parameter.shape))
            parameter.copy_(parameter.half())
    return networks


def write_folder(
    layout: Layout, networks: Networks, folder: Path, variants: tuple[str, ...] = ("",), suffix: str = "safetensors"
) -> None:
    """Writes the diffusers folder; `variants` are "" (float32) and "fp16", `suffix` safetensors or bin."""
    about = {"_diffusers_version": layout.version}
    write_json(folder / "unet/config.json", {"_class_name": "UNet2DConditionModel"} | about | layout.unet)
    write_json(folder / "vae/config.json", {"_class_name": "AutoencoderKL"} | about | layout.vae)
    write_json(folder / "text_encoder/config.json", layout.text_encoder)
    write_json(folder / "scheduler/scheduler_config.json", layout.scheduler | about)
    write_old_tokenizer(folder / "tokenizer", layout.pad)
    write_json(folder / "model_index.json", {"_class_name": "StableDiffusionPipeline"} | about | _index(layout))
    states = {
        "unet/diffusion_pytorch_model": networks.unet.state_dict(),
        "vae/diffusion_pytorch_model": old_vae_names(networks.vae),
        f"text_encoder/{'model' if suffix == 'safetensors' else 'pytorch_model'}": old_text_names(networks.text_encoder),
    }
    for stem, state in states.items():
        for variant in variants:
            write_weights(state, folder / f"{stem}{'.' + variant if variant else ''}.{suffix}", half=variant == "fp16")


def _index(layout: Layout) -> dict:
    parts = {"unet": "UNet2DConditionModel", "vae": "AutoencoderKL", "scheduler": layout.scheduler["_class_name"]}
    index = {name: ["diffusers", kind] for name, kind in parts.items()}
    index |= {"text_encoder": ["transformers", "CLIPTextModel"], "tokenizer": ["transformers", "CLIPTokenizer"]}
    safety = ["stable_diffusion", "StableDiffusionSafetyChecker"] if layout.pad == EOS else [None, None]
    return index | {"feature_extractor": ["transformers", "CLIPImageProcessor"], "safety_checker": safety}


def write_weights(state: dict[str, torch.Tensor], path: Path, half: bool = False) -> None:
    """Writes a state dict in the format of its file's ending; half precision keeps integers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {
        name: (tensor.half() if half and tensor.is_floating_point() else tensor).contiguous().clone()
        for name, tensor in state.items()
    }
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(state, path, metadata={"format": "pt"})
    else:
        torch.save(state, path)


def split_weights(folder: Path, stem: str, suffix: str, variant: str = "") -> None:
    """Puts a network's weights into two files with an index, as the libraries write large ones."""
    whole = folder / f"{stem}.{suffix}"
    state = safetensors.torch.load_file(whole) if suffix == "safetensors" else torch.load(whole)
    whole.unlink()
    names, dotted = sorted(state), f".{variant}" if variant else ""
    files = {}
    for number, part in enumerate((names[: len(names) // 2], names[len(names) // 2 :]), start=1):
        file = f"{stem}{dotted}-0000{number}-of-00002.{suffix}"
        write_weights({name: state[name] for name in part}, folder / file, half=variant == "fp16")
        files |= dict.fromkeys(part, file)
    write_json(folder / f"{stem}.{suffix}.index{dotted}.json", {"metadata": {"total_size": 1}, "weight_map": files})


def old_vae_names(vae: nn.Module) -> dict[str, torch.Tensor]:
    """Returns the VAE's tensors with the attention names from before diffusers 0.15."""
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    pattern = re.compile(r"(mid_block\.attentions\.0)\.(to_q|to_k|to_v|to_out\.0)\.")
    return {
        pattern.sub(lambda found: f"{found[1]}.{old[found[2]]}.", name): tensor for name, tensor in vae.state_dict().items()
    }


def old_text_names(text_encoder: nn.Module) -> dict[str, torch.Tensor]:
    """Returns the text encoder's tensors under `text_model.`, with the `position_ids` that older transformers kept."""
    state = {
        f"text_model.{name.removeprefix('text_model.')}": tensor for name, tensor in text_encoder.state_dict().items()
    }
    positions = torch.arange(text_encoder.config.max_position_embeddings)[None]
    return state | {"text_model.embeddings.position_ids": positions}


