"""CLIP models from open_clip and transformers, ready to be traced: two towers under the library's own names."""

import difflib
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import open_clip
import torch
from torch import nn

from sdsclip_export import sentencepiece_tokenizer
from sdsclip_export import tokenizer as tokenizers
from sdsclip_export.errors import INPUT, USAGE, ExportError, one_line
from sdsclip_export.exportable import reason_against
from sdsclip_export.random_weights import perturb_all
from sdsclip_export.sentencepiece_tokenizer import SentencePieceTokenizer
from sdsclip_export.tokenizer import Tokenizer
from sdsclip_export.tracing import take_token
from sdsclip_export.weight_files import WeightsFile, chosen_variant, read_weights

CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073]
CLIP_STD = [0.26862954, 0.26130258, 0.27577711]


@dataclass
class Weights:
    """Where the weights come from: one of these, or none for a transformers folder, which holds its own."""

    pretrained: str | None = None  # an open_clip tag, which open_clip downloads
    checkpoint: Path | None = None  # a file with open_clip's tensors
    random: int | None = None  # the seed of random weights
    variant: str | None = None  # which of a transformers folder's weights, "fp16" for instance

    def label(self) -> str:
        """What the bundle says as `source.checkpoint`."""
        if self.random is not None:
            return f"random:{self.random}"
        return self.pretrained or (self.checkpoint.name if self.checkpoint else "own")


@dataclass
class ClipSource:
    """A CLIP model of a Python library, and what its bundle says of it."""

    name: str
    source: dict  # library, version, checkpoint
    encode_image: Callable[[torch.Tensor], torch.Tensor]  # the library's own: f32[B,3,H,W] to [B,D], not normalised
    encode_text: Callable[[torch.Tensor], torch.Tensor]  # the library's own: i64[B,L] to [B,D], not normalised
    towers: nn.Module  # what is traced: the same two methods, the library's parameter names
    while_tracing: Callable[[], AbstractContextManager]  # makes the library's code portable
    tokenizer: Tokenizer | SentencePieceTokenizer
    image: dict  # size, resize, mean, std
    embed_dim: int
    activation: str  # "quick_gelu" or "gelu"


def load_clip(
    model: str, weights: Weights, activation: str | None, merges: Path | None, tokenizer: Path | None = None
) -> ClipSource:
    """Loads `model`: an open_clip name, an open_clip JSON config, or a transformers `CLIPModel` folder.

    `activation` overrides the config's (for a checkpoint file, of which open_clip knows nothing), `merges` OpenAI's list,
    `tokenizer` the Hugging Face tokenizer that the config names.
    """
    path = Path(model)
    if path.is_dir():
        if activation or merges or tokenizer:
            raise ExportError(USAGE, f"{model}: a transformers folder says its own activation, merges and tokenizer")
        return _load_transformers(path, weights)
    if weights.variant is not None:
        raise ExportError(USAGE, f"{model}: --variant chooses among the files of a transformers folder")
    if weights == Weights():
        raise ExportError(USAGE, f"{model}: give --pretrained TAG, --checkpoint FILE or --random SEED")
    name = _register_config(path) if path.suffix == ".json" else model
    if name not in open_clip.list_models():
        near = difflib.get_close_matches(model, open_clip.list_models(), n=3)
        hint = f" (near: {', '.join(near)})" if near else ""
        raise ExportError(USAGE, f"{model}: neither an open_clip model{hint} nor a JSON config nor a folder")
    return _load_open_clip(name, weights, activation, merges, tokenizer)


# --- open_clip -------------------------------------------------------------------------------------------------------


class ContrastiveTowers(nn.Module):
    """CoCa without its captioning decoder; its towers also return tokens, which contrast does not need."""

    def __init__(self, coca: nn.Module):
        super().__init__()
        self.visual = coca.visual
        self.text = coca.text
        self.logit_scale = coca.logit_scale

    def encode_image(self, image: torch.Tensor) -> torch.Tensor:
        return self.visual(image)[0]

    def encode_text(self, text: torch.Tensor) -> torch.Tensor:
        return self.text(text)[0]


def _register_config(path: Path) -> str:
    """Makes an open_clip JSON config known to open_clip, under its file's name."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ExportError(INPUT, f"{path}: not a readable JSON config ({one_line(error)})") from error
    missing = [key for key in ("embed_dim", "vision_cfg", "text_cfg") if key not in config]
    if missing:
        raise ExportError(INPUT, f"{path}: no {', '.join(missing)}; expected an open_clip model config")
    open_clip.add_model_config(path)
    return path.stem


def _load_open_clip(
    name: str, weights: Weights, activation: str | None, merges: Path | None, tokenizer_folder: Path | None
) -> ClipSource:
    config = open_clip.get_model_config(name)
    _refuse_unknown_parts(name, config)
    tokenizer = _open_clip_tokenizer(name, config["text_cfg"], merges, tokenizer_folder)
    file = read_weights(weights.checkpoint) if weights.checkpoint else None
    quick_gelu = _trained_with_quick_gelu(name, config, weights, activation, file)
    if weights.random is not None:
        torch.manual_seed(weights.random)
    try:
        model = open_clip.create_model(name, pretrained=weights.pretrained, force_quick_gelu=quick_gelu)
        if file:
            _load_file(model, weights.checkpoint, file)
    except Exception as error:
        raise ExportError(INPUT, f"{name}, {weights.label()}: open_clip cannot load it ({one_line(error)})") from error
    if weights.random is not None:
        perturb_all(model, weights.random)
    model.eval()
    is_coca = isinstance(model, open_clip.CoCa)
    return ClipSource(
        name=name,
        source={"library": "open_clip", "version": open_clip.__version__, "checkpoint": weights.label()},
        encode_image=lambda image: model.encode_image(image, normalize=False),
        encode_text=lambda text: model.encode_text(text, normalize=False),
        towers=ContrastiveTowers(model) if is_coca else model,
        while_tracing=_portable_open_clip,
        tokenizer=tokenizer,
        image=_open_clip_image(name, _preprocessing_of(name, weights, model)),
        embed_dim=config["embed_dim"],
        activation="quick_gelu" if quick_gelu else "gelu",
    )


def _open_clip_tokenizer(
    name: str, text: dict, merges: Path | None, folder: Path | None
) -> Tokenizer | SentencePieceTokenizer:
    """The tokenizer that open_clip's configuration names, or that of a Hugging Face folder in its place."""
    context_length, vocab_size = text.get("context_length", 77), text.get("vocab_size", 49408)
    source = text.get("hf_tokenizer_name")
    if source is None:
        if folder:
            raise ExportError(USAGE, f"{name}: has CLIP's own tokenizer; leave out --tokenizer, or give --merges")
        if "siglip" in name.lower():
            raise ExportError(INPUT, f"{name}: has no hf_tokenizer_name in its text_cfg, as SigLIP's models have today")
        own = tokenizers.read_merges(merges) if merges else tokenizers.openai_merges()
        tokenizer = Tokenizer(merges=own, clean="open_clip", context_length=context_length, pad=0)
        _check_vocab_size(name, tokenizer, vocab_size)
        return tokenizer
    if merges:
        raise ExportError(USAGE, f"{name}: has the tokenizer {source} and no merges; leave out --merges")
    options = text.get("tokenizer_kwargs") or {}
    tokenizer = sentencepiece_tokenizer.load(str(folder or source), options, context_length, name)
    if tokenizer.vocab_size > vocab_size:
        raise ExportError(
            INPUT,
            f"{name}: the model has {vocab_size} token embeddings, its tokenizer {folder or source} makes "
            f"{tokenizer.vocab_size} ids; give the right one with --tokenizer",
        )
    return tokenizer


def _refuse_unknown_parts(name: str, config: dict) -> None:
    reason = reason_against(config)
    if reason:
        raise ExportError(INPUT, f"{name}: {reason}")


def _load_file(model: nn.Module, path: Path, file: WeightsFile) -> None:
    """Gives `model` the file's tensors by open_clip's own conversions; open_clip itself does not read every such file."""
    with mock.patch("open_clip.factory.load_state_dict", lambda *_, **__: dict(file.state)):
        open_clip.load_checkpoint(model, str(path))


def _trained_with_quick_gelu(
    name: str, config: dict, weights: Weights, activation: str | None, file: WeightsFile | None = None
) -> bool:
    """Whether the weights were trained with QuickGELU: what open_clip's table says of a tag, else the name or the user."""
    configured = bool(config.get("quick_gelu", False))
    if weights.pretrained is None:
        return _quick_gelu_of_a_file(name, configured, activation, file)
    tag = open_clip.get_pretrained_cfg(name, weights.pretrained)
    if not tag:
        known = ", ".join(open_clip.list_pretrained_tags_by_model(name)) or "none"
        raise ExportError(USAGE, f"{name}: no pretrained tag {weights.pretrained}; open_clip knows {known}")
    trained = bool(tag.get("quick_gelu", False))
    wanted = trained if activation is None else activation == "quick_gelu"
    if wanted != trained or (configured and not trained):
        raise ExportError(
            USAGE,
            f"{name}, {weights.pretrained}: these weights were trained with {'quick_gelu' if trained else 'gelu'}; "
            f"{'leave out --activation' if wanted != trained else 'use the model name without -quickgelu'}",
        )
    return trained


def _quick_gelu_of_a_file(name: str, configured: bool, activation: str | None, file: WeightsFile | None) -> bool:
    """The same for a file or random weights. OpenAI's own archives are known; of any other file only the user knows."""
    if file is not None and file.is_openai_archive:
        if activation == "gelu":
            raise ExportError(USAGE, f"{name}: OpenAI's archives were trained with quick_gelu; leave out --activation")
        return True
    if configured and activation == "gelu":
        raise ExportError(USAGE, f"{name}: this model has quick_gelu; use one without it, or leave out --activation gelu")
    if file is not None and activation is None and not configured and f"{name}-quickgelu" in open_clip.list_models():
        raise ExportError(
            USAGE,
            f"{name}: there is {name}-quickgelu too, and a file does not say which it was trained as; add --activation "
            "quick_gelu (as OpenAI, DFN and MetaCLIP trained) or --activation gelu (as LAION trained most of its models)",
        )
    return configured if activation is None else activation == "quick_gelu"


def _check_vocab_size(name: str, tokenizer: Tokenizer, vocab_size: int) -> None:
    if tokenizer.vocab_size != vocab_size:
        raise ExportError(
            INPUT,
            f"{name}: the model has {vocab_size} token embeddings, its {len(tokenizer.merges)} merges make "
            f"{tokenizer.vocab_size} tokens; give the right list with --merges",
        )


def _open_clip_image(name: str, preprocess: dict) -> dict:
    size = preprocess["size"]
    width, height = (size, size) if isinstance(size, int) else size
    resize = {"shortest": "shortest_edge", "squash": "squash"}.get(preprocess["resize_mode"])
    # open_clip evaluates "random" with bicubic.
    interpolation = {"random": "bicubic"}.get(preprocess["interpolation"], preprocess["interpolation"])
    if width != height or resize is None or interpolation not in ("bicubic", "bilinear"):
        raise ExportError(
            INPUT, f"{name}: preprocessing {preprocess}; expected a square, bicubic or bilinear, shortest or squash"
        )
    mean, std = (_three(preprocess[key]) for key in ("mean", "std"))
    return {"size": width, "resize": resize, "interpolation": interpolation, "mean": mean, "std": std}


def _preprocessing_of(name: str, weights: Weights, model: nn.Module) -> dict:
    """open_clip's preprocessing of the weights. It knows a tag's; of a file it says CLIP's, whatever the model.

    So for weights without a tag it is the one that all tags of this model share.
    """
    own = model.visual.preprocess_cfg
    if weights.pretrained is not None:
        return own
    tags = [open_clip.get_pretrained_cfg(name, tag) for tag in open_clip.list_pretrained_tags_by_model(name)]
    keys = ("mean", "std", "interpolation", "resize_mode")
    shared = {key: {_hashable(tag[key]) for tag in tags if key in tag} for key in keys}
    return own | {key: next(iter(values)) for key, values in shared.items() if len(values) == 1}


def _three(value: float | list[float] | tuple[float, ...]) -> list[float]:
    """One number per channel; open_clip takes one for all."""
    return list(value) if isinstance(value, (list, tuple)) else [value] * 3


def _hashable(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


@contextmanager
def _portable_open_clip() -> Iterator[None]:
    """Replaces three functions of open_clip by exact equals: they would put a device, a dtype or a length into the trace."""
    from open_clip import model as model_module
    from open_clip import transformer as transformer_module

    library_pool = transformer_module.text_global_pool
    library_mask = transformer_module.TextTransformer._build_additive_mask
    library_encode_text = model_module.CLIP.encode_text

    def encode_text(self, text, normalize=False):
        length = text.shape[1]
        hidden = self.token_embedding(text) + self.positional_embedding[:length]
        hidden = self.ln_final(self.transformer(hidden, attn_mask=self.attn_mask[:length, :length]))
        pooled = pool(hidden, text, self.text_pool_type, eos_token_id=getattr(self, "text_eos_id", None))
        if self.text_projection is None:
            return pooled
        return self.text_projection(pooled) if isinstance(self.text_projection, nn.Linear) else pooled @ self.text_projection

    def pool(x, text=None, pool_type="argmax", eos_token_id=None):
        if pool_type == "argmax":
            return take_token(x, text.argmax(dim=-1))
        if pool_type == "eos":
            return take_token(x, (text == eos_token_id).int().argmax(dim=-1))
        return library_pool(x, text, pool_type, eos_token_id)

    def additive_mask(self, text, seq_len, dtype):
        valid = text != self.pad_id
        if self.cls_emb is not None:
            cls_valid = torch.ones_like(valid[:, :1])
            valid = torch.cat([valid, cls_valid] if self.correct_cls_mask else [cls_valid, valid], 1)
        key_mask = valid.unsqueeze(1).expand(-1, seq_len, -1)
        additive = torch.zeros_like(key_mask).type_as(self.positional_embedding)
        return additive.masked_fill(~key_mask, float("-inf")).repeat_interleave(self.heads, 0)

    model_module.text_global_pool = transformer_module.text_global_pool = pool
    transformer_module.TextTransformer._build_additive_mask = additive_mask
    model_module.CLIP.encode_text = encode_text
    try:
        yield
    finally:
        model_module.text_global_pool = transformer_module.text_global_pool = library_pool
        transformer_module.TextTransformer._build_additive_mask = library_mask
        model_module.CLIP.encode_text = library_encode_text


# --- transformers ----------------------------------------------------------------------------------------------------


class TransformersTowers(nn.Module):
    """A transformers `CLIPModel` as two towers; the causal mask is attention's own, without a mask tensor."""

    def __init__(self, clip: "transformers.CLIPModel"):
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
        # Configurations from before transformers' correction say 2 and mean "the largest id".
        position = (input_ids if eos == 2 else (input_ids == eos).int()).argmax(dim=-1)
        return self.text_projection(take_token(hidden, position))


def causal_text_states(text_model: "transformers.CLIPTextModel", input_ids: torch.Tensor) -> torch.Tensor:
    """The last hidden states of a `CLIPTextModel`, i64[B,L] to f[B,L,E], without the mask that tracing would bake in."""
    hidden = text_model.embeddings(input_ids=input_ids)
    hidden = text_model.encoder(inputs_embeds=hidden, attention_mask=None, is_causal=True).last_hidden_state
    return text_model.final_layer_norm(hidden)


def _load_transformers(folder: Path, weights: Weights) -> ClipSource:
    import transformers

    if weights.pretrained or weights.checkpoint:
        raise ExportError(USAGE, f"{folder}: a transformers folder holds its own weights; only --random goes with it")
    try:
        config = transformers.CLIPConfig.from_pretrained(folder)
        if weights.random is not None:
            torch.manual_seed(weights.random)
            model = transformers.CLIPModel(config)
        else:
            variant = chosen_variant(folder, weights.variant)
            model = transformers.CLIPModel.from_pretrained(folder, dtype=torch.float32, variant=variant)
        library_tokenizer = transformers.CLIPTokenizer.from_pretrained(folder)
    except Exception as error:
        raise ExportError(INPUT, f"{folder}: not a transformers CLIPModel folder ({one_line(error)})") from error
    if weights.random is not None:
        perturb_all(model, weights.random)
    model.eval()
    context_length = config.text_config.max_position_embeddings
    tokenizer = tokenizers.from_transformers(library_tokenizer, context_length, str(folder))
    _check_vocab_size(str(folder), tokenizer, config.text_config.vocab_size)
    return ClipSource(
        name=folder.resolve().name,
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


def _transformers_activation(folder: Path, config: "transformers.CLIPConfig") -> str:
    acts = {config.text_config.hidden_act, config.vision_config.hidden_act}
    if acts not in ({"quick_gelu"}, {"gelu"}):
        raise ExportError(INPUT, f"{folder}: hidden_act is {sorted(acts)}; expected quick_gelu or gelu in both towers")
    return acts.pop()


def _transformers_image(folder: Path, image_size: int) -> dict:
    """`image` of the bundle, from preprocessor_config.json; CLIP's own numbers where a folder has none."""
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
