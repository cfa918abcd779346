"""Loads CLIP models from open_clip and transformers for tracing: two towers under the library's own names."""

import difflib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest import mock

import open_clip
import torch
from torch import nn

from sdsclip_export import hub_tokenizer
from sdsclip_export import tokenizer as tokenizers
from sdsclip_export.clip_source import ClipSource, Weights
from sdsclip_export.errors import INPUT, USAGE, ExportError, one_line
from sdsclip_export.exportable import reason_against
from sdsclip_export.hub import refuse_parent, snapshot_of, use_cache_if_unreachable
from sdsclip_export.open_clip_folder import CONFIG_FILE, is_open_clip_folder, read_model_config, read_open_clip_folder
from sdsclip_export.random_weights import perturb_all
from sdsclip_export.tokenizer import BundleTokenizer, Tokenizer
from sdsclip_export.tracing import take_token
from sdsclip_export.transformers_clip import load_transformers
from sdsclip_export.weight_files import WeightsFile, read_weights, refuse_non_finite


def load_clip(
    model: str, weights: Weights, activation: str | None, merges: Path | None, tokenizer: Path | None = None
) -> ClipSource:
    """Loads `model`: an open_clip name, an open_clip JSON config, or a folder of open_clip's or transformers' layout.

    `activation` overrides the config's (for a checkpoint file, of which open_clip knows nothing), `merges` OpenAI's list,
    and `tokenizer` the Hugging Face tokenizer that the config names.
    """
    path = snapshot_of(Path(model))
    if path.is_dir():
        refuse_parent(path, "config.json", "open_clip_config.json", "model_index.json")
    if path.is_dir() and not is_open_clip_folder(path):
        if activation or merges or tokenizer:
            raise ExportError(USAGE, f"{model}: a transformers folder says its own activation, merges and tokenizer")
        return load_transformers(path, weights)
    if weights.variant is not None:
        raise ExportError(USAGE, f"{model}: --variant chooses among the files of a transformers folder")
    if path.is_dir():
        return _load_open_clip_folder(path, weights, activation, merges, tokenizer)
    if not weights.is_given():
        raise ExportError(USAGE, f"{model}: give --pretrained TAG, --checkpoint FILE or --random SEED")
    name = _register_config(path) if path.suffix == ".json" else model
    if name not in open_clip.list_models():
        near = difflib.get_close_matches(model, open_clip.list_models(), n=3)
        hint = f" (near: {', '.join(near)})" if near else ""
        raise ExportError(USAGE, f"{model}: neither an open_clip model{hint} nor a JSON config nor a folder")
    config = open_clip.get_model_config(name)
    _refuse_unknown_parts(name, config)
    _check_preprocess_of(name, weights)
    tokens = _open_clip_tokenizer(name, config["text_cfg"], merges, tokenizer)
    file = read_weights(weights.checkpoint) if weights.checkpoint else None
    quick_gelu = _trained_with_quick_gelu(name, config, weights, activation, file)
    model = _create_open_clip(name, name, weights, quick_gelu, file)
    image = _open_clip_image(name, _preprocessing_of(name, weights, model))
    return _open_clip_source(name, config, model, weights, tokens, image, quick_gelu)


class ContrastiveTowers(nn.Module):
    """CoCa's two towers without the captioning decoder and without the tokens that the towers also return."""

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
    """Registers a JSON config with open_clip and returns its name, which is the file's."""
    read_model_config(path)
    open_clip.add_model_config(path)
    return path.stem


def _load_open_clip_folder(
    path: Path, weights: Weights, activation: str | None, merges: Path | None, tokenizer: Path | None
) -> ClipSource:
    """Loads a folder of open_clip's layout, whose config sets the activation and the preprocessing."""
    folder = read_open_clip_folder(path)
    if weights.pretrained or weights.preprocess_of:
        raise ExportError(USAGE, f"{path}: holds its own weights and preprocessing; leave out --pretrained and --preprocess")
    if weights.random is None and weights.checkpoint is None:
        weights = replace(weights, checkpoint=folder.weights)
        if folder.weights is None:
            raise ExportError(INPUT, f"{path}: no weights beside {CONFIG_FILE}; expected open_clip_model.safetensors")
    quick_gelu = bool(folder.config.get("quick_gelu", False))
    if activation and (activation == "quick_gelu") != quick_gelu:
        says = "quick_gelu" if quick_gelu else "gelu"
        raise ExportError(USAGE, f"{path}: {CONFIG_FILE} says {says}; leave out --activation")
    _refuse_unknown_parts(folder.name, folder.config)
    tokens = _open_clip_tokenizer(folder.name, folder.config["text_cfg"], merges, tokenizer, folder.tokenizer)
    file = read_weights(weights.checkpoint) if weights.checkpoint else None
    model = _create_open_clip(folder.name, folder.identifier, weights, quick_gelu, file)
    image = _open_clip_image(folder.name, model.visual.preprocess_cfg)
    return _open_clip_source(folder.name, folder.config, model, weights, tokens, image, quick_gelu)


def _create_open_clip(
    name: str, identifier: str, weights: Weights, quick_gelu: bool, file: WeightsFile | None
) -> nn.Module:
    """Builds the model that open_clip calls `identifier`, with its weights."""
    if weights.random is not None:
        torch.manual_seed(weights.random)
    if weights.pretrained is not None:
        use_cache_if_unreachable()
    try:
        model = open_clip.create_model(
            identifier, weights.pretrained, load_weights=weights.pretrained is not None, force_quick_gelu=quick_gelu
        )
        if file:
            _load_file(model, weights.checkpoint, file)
    except ExportError:
        raise
    except Exception as error:
        raise ExportError(INPUT, f"{name}, {weights.label()}: open_clip cannot load it ({one_line(error)})") from error
    if weights.random is not None:
        perturb_all(model, weights.random)
    return model.eval()


def _open_clip_source(
    name: str, config: dict, model: nn.Module, weights: Weights, tokenizer: BundleTokenizer, image: dict, quick_gelu: bool
) -> ClipSource:
    return ClipSource(
        name=name,
        source={"library": "open_clip", "version": open_clip.__version__, "checkpoint": weights.label()},
        encode_image=lambda image: model.encode_image(image, normalize=False),
        encode_text=lambda text: model.encode_text(text, normalize=False),
        towers=ContrastiveTowers(model) if isinstance(model, open_clip.CoCa) else model,
        while_tracing=_portable_open_clip,
        tokenizer=tokenizer,
        image=image,
        embed_dim=config["embed_dim"],
        activation="quick_gelu" if quick_gelu else "gelu",
    )


def _open_clip_tokenizer(
    name: str, text: dict, merges: Path | None, folder: Path | None, own: Path | None = None
) -> BundleTokenizer:
    """Returns the tokenizer of `folder`, or else of the model's `own` folder, or else the one that its config names."""
    context_length, vocab_size = text.get("context_length", 77), text.get("vocab_size", 49408)
    source = text.get("hf_tokenizer_name")
    if source is None:
        if folder:
            raise ExportError(USAGE, f"{name}: has CLIP's own tokenizer; leave out --tokenizer, or give --merges")
        if "siglip" in name.lower():
            raise ExportError(INPUT, f"{name}: has no hf_tokenizer_name in its text_cfg, as SigLIP's models have today")
        lines = tokenizers.read_merges(merges) if merges else tokenizers.openai_merges()
        tokenizer = Tokenizer(merges=lines, clean="open_clip", context_length=context_length, pad=0)
        tokenizers.check_vocab_size(name, tokenizer, vocab_size)
        return tokenizer
    if merges:
        raise ExportError(USAGE, f"{name}: has the tokenizer {source} and no merges; leave out --merges")
    options, source = text.get("tokenizer_kwargs") or {}, str(folder or own or source)
    tokenizer = hub_tokenizer.load(source, options, context_length, name)
    if tokenizer.vocab_size > vocab_size:
        raise ExportError(
            INPUT,
            f"{name}: the model has {vocab_size} token embeddings, its tokenizer {source} makes "
            f"{tokenizer.vocab_size} ids; give the right one with --tokenizer",
        )
    return tokenizer


def _refuse_unknown_parts(name: str, config: dict) -> None:
    reason = reason_against(config)
    if reason:
        raise ExportError(INPUT, f"{name}: {reason}")


def _load_file(model: nn.Module, path: Path, file: WeightsFile) -> None:
    """Loads the file's tensors into `model` with open_clip's conversions; open_clip cannot read every such file."""
    state = dict(file.state)
    # The tensors of a CLIP never share the first part of their names. A shared one is a wrapper's: `model.`, `clip.`.
    while len(first := {name.partition(".")[0] for name in state}) == 1 and all("." in name for name in state):
        state = {name.removeprefix(f"{min(first)}."): tensor for name, tensor in state.items()}
    with mock.patch("open_clip.factory.load_state_dict", lambda *_, **__: state):
        open_clip.load_checkpoint(model, str(path))
    refuse_non_finite(str(path), model)


def _trained_with_quick_gelu(
    name: str, config: dict, weights: Weights, activation: str | None, file: WeightsFile | None = None
) -> bool:
    """Returns whether the weights were trained with QuickGELU, by open_clip's table of tags, the name or the user."""
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
    """Returns the same for a file or random weights. Of files, only OpenAI's archives are known without asking."""
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


def _open_clip_image(name: str, preprocess: dict) -> dict:
    size = preprocess["size"]
    width, height = (size, size) if isinstance(size, int) else size
    resize = {"shortest": "shortest_edge", "squash": "squash"}.get(preprocess["resize_mode"])
    # "random" is for training; open_clip evaluates it as bicubic.
    interpolation = {"random": "bicubic"}.get(preprocess["interpolation"], preprocess["interpolation"])
    if width != height or resize is None or interpolation not in ("bicubic", "bilinear"):
        raise ExportError(
            INPUT, f"{name}: preprocessing {preprocess}; expected a square, bicubic or bilinear, shortest or squash"
        )
    mean, std = (_three(preprocess[key]) for key in ("mean", "std"))
    return {"size": width, "resize": resize, "interpolation": interpolation, "mean": mean, "std": std}


_IMAGE_KEYS = ("mean", "std", "interpolation", "resize_mode")


def _preprocessing_of(name: str, weights: Weights, model: nn.Module) -> dict:
    """Returns open_clip's preprocessing of the weights.

    open_clip knows that of a tag. For a file it returns OpenAI's, whatever the model. For weights without a tag this
    function therefore takes the preprocessing of `weights.preprocess_of`, or what all tags of the model share.
    """
    own = model.visual.preprocess_cfg
    if weights.pretrained is not None:
        return own
    tags = {tag: open_clip.get_pretrained_cfg(name, tag) for tag in open_clip.list_pretrained_tags_by_model(name)}
    if weights.preprocess_of is not None:
        tags = {weights.preprocess_of: tags[weights.preprocess_of]}
    found = {key: {_hashable(tag[key]) for tag in tags.values() if key in tag} for key in _IMAGE_KEYS}
    chosen = own | {key: next(iter(values)) for key, values in found.items() if len(values) == 1}
    if weights.checkpoint is not None:
        _report_choice(name, chosen, tags)
    return chosen


def _report_choice(name: str, chosen: dict, tags: dict[str, dict]) -> None:
    """Prints a line if a tag of the model has another preprocessing than the chosen one."""
    others = {}
    for tag, config in tags.items():
        own = {key: config.get(key, chosen[key]) for key in _IMAGE_KEYS}
        differing = {key: own[key] for key in _IMAGE_KEYS if _hashable(own[key]) != _hashable(chosen[key])}
        others.setdefault(_described(differing), tag)
    others.pop("", None)
    if others:
        keys = {key: chosen[key] for key in _IMAGE_KEYS}
        print(
            f"{name}: a file does not say how its images were prepared; taken: {_described(keys)}; other weights of this "
            f"model have {', or '.join(f'{what} ({tag})' for what, tag in others.items())}: choose with --preprocess TAG",
            file=sys.stderr,
        )


def _described(values: dict) -> str:
    return ", ".join(f"{key} {_hashable(value)}" for key, value in values.items())


def _check_preprocess_of(name: str, weights: Weights) -> None:
    """Raises ExportError if `weights.preprocess_of` is not a tag of the model, or if the weights have a tag."""
    if weights.preprocess_of is None:
        return
    if weights.pretrained is not None:
        raise ExportError(USAGE, f"{name}, {weights.pretrained}: a tag has its own preprocessing; leave out --preprocess")
    tags = open_clip.list_pretrained_tags_by_model(name)
    if weights.preprocess_of not in tags:
        known = ", ".join(tags) or "none"
        what = f"no pretrained tag {weights.preprocess_of} for --preprocess"
        raise ExportError(USAGE, f"{name}: {what}; open_clip knows {known}")


def _three(value: float | list[float] | tuple[float, ...]) -> list[float]:
    """Returns one number per channel; open_clip also takes one number for all."""
    return list(value) if isinstance(value, (list, tuple)) else [value] * 3


def _hashable(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


@contextmanager
def _portable_open_clip() -> Iterator[None]:
    """Replaces three functions of open_clip by equal ones whose traces fix no device, dtype or length."""
    from open_clip import model as model_module
    from open_clip import transformer as transformer_module

    library_pool = transformer_module.text_global_pool
    library_mask = transformer_module.TextTransformer._build_additive_mask
    library_encode_text = model_module.CLIP.encode_text

    def encode_text(self, text, normalize=False):
        length = text.shape[1]
        hidden = self.token_embedding(text) + self.positional_embedding[:length]
        mask = None if self.attn_mask is None else self.attn_mask[:length, :length]
        hidden = self.ln_final(self.transformer(hidden, attn_mask=mask))
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
