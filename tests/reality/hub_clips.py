"""Tiny CLIP models in the file layouts of OpenAI's, LAION's and open_clip's; docs/models.md names the sources."""

from pathlib import Path

import torch
import transformers
from hub_teachers import write_weights
from hub_tokenizer import EOS, write_json, write_old_tokenizer

# transformers wrote every default into the old nested configurations; these are the ones that could mislead.
_TEXT = {
    "attention_dropout": 0.0,
    "bos_token_id": 0,
    "dropout": 0.0,
    "eos_token_id": 2,
    "hidden_act": "quick_gelu",
    "initializer_factor": 1.0,
    "initializer_range": 0.02,
    "is_decoder": False,
    "layer_norm_eps": 1e-05,
    "model_type": "clip_text_model",
    "pad_token_id": 1,
    "tie_word_embeddings": True,
    "torchscript": False,
    "transformers_version": "4.16.0.dev0",
    "vocab_size": 49408,
}
_VISION = {
    "attention_dropout": 0.0,
    "hidden_act": "quick_gelu",
    "initializer_factor": 1.0,
    "initializer_range": 0.02,
    "layer_norm_eps": 1e-05,
    "model_type": "clip_vision_model",
    "transformers_version": "4.16.0.dev0",
}
_TEXT_SIZE = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "num_hidden_layers": 2}
_VISION_SIZE = {"hidden_size": 48, "intermediate_size": 96, "num_attention_heads": 4, "num_hidden_layers": 2}
_VISION_SIZE |= {"image_size": 32, "patch_size": 8}
_OLD_PREPROCESSOR = {
    "crop_size": 32,
    "do_center_crop": True,
    "do_normalize": True,
    "do_resize": True,
    "feature_extractor_type": "CLIPFeatureExtractor",
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "resample": 3,
    "size": 32,
}


def openai_config() -> dict:
    """Like openai/clip-vit-large-patch14: the sizes are in `text_config` and again in `text_config_dict`."""
    return {
        "_name_or_path": "clip-vit-large-patch14/",
        "architectures": ["CLIPModel"],
        "initializer_factor": 1.0,
        "logit_scale_init_value": 2.6592,
        "model_type": "clip",
        "projection_dim": 24,
        "text_config": _TEXT | _TEXT_SIZE | {"projection_dim": 768, "max_position_embeddings": 77},
        "text_config_dict": _TEXT_SIZE | {"projection_dim": 24},
        "torch_dtype": "float32",
        "transformers_version": None,
        "vision_config": _VISION | _VISION_SIZE | {"projection_dim": 768},
        "vision_config_dict": _VISION_SIZE | {"projection_dim": 24},
    }


def laion_config() -> dict:
    """Like laion/CLIP-ViT-H-14-laion2B-s32B-b79K: GELU, and the towers' own `projection_dim` is not the model's."""
    gelu = {"hidden_act": "gelu", "transformers_version": "4.24.0"}
    return {
        "architectures": ["CLIPModel"],
        "initializer_factor": 1.0,
        "logit_scale_init_value": 2.6592,
        "model_type": "clip",
        "projection_dim": 24,
        "text_config": _TEXT | _TEXT_SIZE | gelu | {"projection_dim": 512, "max_position_embeddings": 77},
        "text_config_dict": _TEXT_SIZE | {"hidden_act": "gelu"},
        "torch_dtype": "float32",
        "transformers_version": None,
        "vision_config": _VISION | _VISION_SIZE | gelu | {"projection_dim": 512},
        "vision_config_dict": _VISION_SIZE | {"hidden_act": "gelu"},
    }


def write_clip_folder(
    folder: Path, config: dict, pad: str = EOS, name: str = "pytorch_model.bin", half: bool = False
) -> None:
    """Writes a `CLIPModel` folder with random weights under `name`; the weights are exact in half precision."""
    write_json(folder / "config.json", config)
    torch.manual_seed(2)
    model = transformers.CLIPModel(transformers.CLIPConfig.from_pretrained(folder))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn(parameter.shape))
            parameter.copy_(parameter.half())
    state = model.state_dict()
    state["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    state["vision_model.embeddings.position_ids"] = torch.arange(17)[None]
    write_weights(state, folder / name, half)
    write_json(folder / "preprocessor_config.json", _OLD_PREPROCESSOR)
    write_old_tokenizer(folder, pad)
