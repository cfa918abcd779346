"""Loads transformers' CLIP models from local folders."""

import json
from contextlib import nullcontext
from pathlib import Path

import torch
import transformers
from torch import nn

from sdsclip_export import tokenizer as tokenizers
from sdsclip_export.clip_source import ClipSource, Weights
from sdsclip_export.errors import INPUT, USAGE, ExportError, one_line
from sdsclip_export.hub import folder_name
from sdsclip_export.random_weights import perturb_all
from sdsclip_export.tracing import take_token
from sdsclip_export.weight_files import chosen_variant, refuse_incomplete, refuse_non_finite, report_plain_weights

CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073]
CLIP_STD = [0.26862954, 0.26130258, 0.27577711]


class TransformersTowers(nn.Module):
    """The two towers of a transformers `CLIPModel`. Attention itself is causal, so the trace holds no mask tensor."""

    def __init__(self, clip: transformers.CLIPModel):
        super().__init__()
        self.text_model = clip.text_model
        self.vision_model = clip.vision_model
        self.visual_projection = clip.visual_projection
        self.text_projection = clip.text_projection
        self.logit_scale = clip.logit_scale

    def encode_image(self, pixel_values: torch.Tensor) -> torch.Tensor:
        return self.visual_projection(self.vision_model(pixel_values, return_dict=False)[1])

    def encode_text(self, input_ids: torch.Tensor) -> torch.Tensor:
        hidden = causal_text_states(self.text_model, input_ids)
        eos = self.text_model.eos_token_id
        # Old configurations say 2 and mean the largest id.
        position = (input_ids if eos == 2 else (input_ids == eos).int()).argmax(dim=-1)
        return self.text_projection(take_token(hidden, position))


def causal_text_states(text_model: transformers.CLIPTextModel, input_ids: torch.Tensor) -> torch.Tensor:
    """Returns the last hidden states of a `CLIPTextModel`, i64[B,L] to f[B,L,E], without a mask of a fixed length."""
    hidden = text_model.embeddings(input_ids=input_ids)
    hidden = text_model.encoder(inputs_embeds=hidden, attention_mask=None, is_causal=True).last_hidden_state
    return text_model.final_layer_norm(hidden)


def load_transformers(folder: Path, weights: Weights) -> ClipSource:
    if weights.pretrained or weights.checkpoint or weights.preprocess_of:
        raise ExportError(USAGE, f"{folder}: a transformers folder holds its own weights; only --random goes with it")
    try:
        config = transformers.CLIPConfig.from_pretrained(folder)
        _refuse_other_models(folder)
        model = _random_model(config, weights.random) if weights.random is not None else _own_model(folder, weights.variant)
        library_tokenizer = transformers.CLIPTokenizer.from_pretrained(folder)
    except ExportError:
        raise
    except Exception as error:
        raise ExportError(INPUT, f"{folder}: not a transformers CLIPModel folder ({one_line(error)})") from error
    model.eval()
    context_length = config.text_config.max_position_embeddings
    tokenizer = tokenizers.from_transformers(library_tokenizer, context_length, str(folder))
    tokenizers.check_vocab_size(str(folder), tokenizer, config.text_config.vocab_size)
    return ClipSource(
        name=folder_name(folder),
        source={"library": "transformers", "version": transformers.__version__, "checkpoint": weights.label()},
        encode_image=lambda pixels: model.get_image_features(pixel_values=pixels).pooler_output,
        encode_text=lambda ids: model.get_text_features(input_ids=ids).pooler_output,
        towers=TransformersTowers(model),
        while_tracing=nullcontext,
        tokenizer=tokenizer,
        image=_transformers_image(folder, config.vision_config.image_size),
        embed_dim=config.projection_dim,
        activation=_transformers_activation(folder, config),
    )


def _refuse_other_models(folder: Path) -> None:
    """Raises ExportError if `config.json` names another kind of model, which transformers would read as a CLIP."""
    kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type", "clip")
    if kind != "clip":
        raise ExportError(
            INPUT,
            f"{folder}: config.json has the model_type {kind!r}, expected 'clip'; SigLIP and others export by the names that "
            "open_clip has for them, or from folders with open_clip_config.json",
        )


def _random_model(config: transformers.CLIPConfig, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    model = transformers.CLIPModel(config)
    perturb_all(model, seed)
    return model


def _own_model(folder: Path, wanted: str | None) -> nn.Module:
    """Loads the folder's model, and raises ExportError if its weights are incomplete."""
    variant = chosen_variant(folder, wanted)
    report_plain_weights(str(folder), wanted, {"the model": variant})
    model, loading = transformers.CLIPModel.from_pretrained(
        folder, dtype=torch.float32, variant=variant, output_loading_info=True, ignore_mismatched_sizes=True
    )
    refuse_incomplete(str(folder), loading)
    refuse_non_finite(str(folder), model)
    return model


def _transformers_activation(folder: Path, config: transformers.CLIPConfig) -> str:
    acts = {config.text_config.hidden_act, config.vision_config.hidden_act}
    if acts not in ({"quick_gelu"}, {"gelu"}):
        raise ExportError(INPUT, f"{folder}: hidden_act is {sorted(acts)}; expected quick_gelu or gelu in both towers")
    return acts.pop()


def _transformers_image(folder: Path, image_size: int) -> dict:
    """Returns the bundle's `image` from preprocessor_config.json; CLIP's own values if the folder has no such file."""
    path = folder / "preprocessor_config.json"
    image = {
        "size": image_size,
        "resize": "shortest_edge",
        "interpolation": "bicubic",
        "crop_rounding": "floor",  # `(side - size) // 2`, where torchvision and open_clip round half to even
        "mean": CLIP_MEAN,
        "std": CLIP_STD,
    }
    if not path.exists():
        return image
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ExportError(INPUT, f"{path}: not JSON ({one_line(error)})") from error
    size, crop = config.get("size", image_size), config.get("crop_size", image_size)
    edge = size.get("shortest_edge", size.get("height")) if isinstance(size, dict) else size
    crop = crop.get("height") if isinstance(crop, dict) else crop
    if edge != image_size or crop != image_size or config.get("resample", 3) != 3:
        raise ExportError(INPUT, f"{path}: size {size}, crop {crop}; expected bicubic to the model's {image_size}")
    if isinstance(size, dict) and "shortest_edge" not in size:
        image["resize"] = "squash"
    image["mean"], image["std"] = config.get("image_mean", CLIP_MEAN), config.get("image_std", CLIP_STD)
    return image
