"""Loads latent diffusion teachers from diffusers for tracing: UNet, VAE encoder and text encoder."""

import json
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import diffusers
import torch
import transformers
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from torch import nn

from sdsclip_export import tokenizer as tokenizers
from sdsclip_export.errors import INPUT, USAGE, ExportError, one_line
from sdsclip_export.fine_tunes import load_unet, merge_lora
from sdsclip_export.hub import folder_name, refuse_parent, snapshot_of, use_cache_if_unreachable
from sdsclip_export.random_weights import perturb_all
from sdsclip_export.single_file import SUFFIXES as SINGLE_FILE_SUFFIXES
from sdsclip_export.single_file import single_file_parts
from sdsclip_export.teacher_configs import BUILT_IN_CONFIGS, read_config
from sdsclip_export.tokenizer import Tokenizer
from sdsclip_export.transformers_clip import causal_text_states
from sdsclip_export.weight_files import (
    chosen_variant,
    is_pickled,
    refuse_incomplete,
    refuse_non_finite,
    report_plain_weights,
)

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_SCHEDULE_KEYS = {"beta_schedule": str, "beta_start": float, "beta_end": float}


@dataclass
class TeacherSource:
    """A diffusion model of the Python libraries, and the entries of its bundle."""

    name: str
    source: dict  # library, version, checkpoint
    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text_encoder: transformers.CLIPTextModel
    tokenizer: Tokenizer
    schedule: dict  # beta_schedule, beta_start, beta_end, train_timesteps
    prediction_type: str  # "epsilon" or "v_prediction"

    def latent(self) -> dict:
        """Returns the `latent` object of `bundle.json`."""
        return {
            "channels": self.unet.config.in_channels,
            "size": self.unet.config.sample_size,
            "scaling_factor": self.vae.config.scaling_factor,
        }

    def image_size(self) -> int:
        """Returns the width and height in pixels of an image that encodes to the latent's size."""
        return self.unet.config.sample_size * 2 ** (len(self.vae.config.block_out_channels) - 1)

    def context_dim(self) -> int:
        """Returns the width of the text encoder's states, which the UNet's cross attention reads."""
        return self.unet.config.cross_attention_dim


@dataclass
class Changes:
    """Weights that replace a part of the model or are added to it."""

    unet: Path | None = None  # a fine-tuned UNet's folder
    lora: Path | None = None  # a LoRA's file
    lora_scale: float = 1.0

    def label(self) -> str:
        """Returns the changes' part of the bundle's `source.checkpoint`."""
        unet = f" + unet {self.unet.resolve().name}" if self.unet else ""
        return f"{unet} + {self.lora_scale:g} lora {self.lora.name}" if self.lora else unet


def load_diffusers(
    model: str, config: str | None, variant: str | None = None, changes: Changes | None = None
) -> TeacherSource:
    """Loads a hub id, a diffusers folder, or a single-file checkpoint.

    For a single file, `config` is the diffusers folder (or hub id, or built-in name) whose configuration it has. For
    the others, `variant` chooses among the weights that a folder holds, "fp16" for instance.
    """
    changes = changes or Changes()
    path = snapshot_of(Path(model))
    if path.is_dir():
        refuse_parent(path, "unet/config.json", "model_index.json")
        model = str(path)
    is_file = path.suffix in SINGLE_FILE_SUFFIXES and not path.is_dir()
    if is_file and variant:
        raise ExportError(USAGE, f"{model}: --variant chooses among the files of a folder, and this is one file")
    place = "" if path.exists() or is_file else "no such folder here, and from the hub "
    if place and not _HUB_ID.fullmatch(model):
        raise ExportError(INPUT, f"{model}: cannot load it: no such folder or file, nor a hub id (owner/name)")
    try:
        parts = single_file_parts(path, config) if is_file else _folder_parts(model, variant)
    except ExportError as error:
        if error.exit_code == USAGE:
            raise
        raise ExportError(error.exit_code, f"{model}: diffusers cannot load it ({error})") from error
    except Exception as error:
        lacks_plain = place and variant is None and re.search(r"file named \S*model", str(error))
        hint = "; if it has half precision alone, add --variant fp16" if lacks_plain else ""
        raise ExportError(INPUT, f"{model}: {place}diffusers cannot load it ({one_line(error)}){hint}") from error
    unet, vae, text_encoder, library_tokenizer, scheduler = parts
    if changes.unet:
        unet = load_unet(changes.unet, variant)
    if changes.lora:
        others = {"vae": vae, "tokenizer": library_tokenizer}
        merge_lora(changes.lora, changes.lora_scale, unet, text_encoder, others)
    tokenizer = tokenizers.from_transformers(
        library_tokenizer, text_encoder.config.max_position_embeddings, f"{model}, tokenizer"
    )
    name = folder_name(path) if path.is_dir() else path.name
    checkpoint = (name if path.exists() else model) + changes.label()
    return _checked_source(name, checkpoint, unet, vae, text_encoder, tokenizer, scheduler)


def load_random(config: str, seed: int) -> TeacherSource:
    """Builds a teacher with random weights from a JSON file or a name in `teachers/`.

    The file holds the configurations `unet`, `vae`, `text_encoder` and `scheduler` as the libraries write them, and
    `tokenizer`: {merges: "openai" or a file beside the JSON, pad: "eot" or an id}.
    """
    path, parts = read_config(config)
    try:
        torch.manual_seed(seed)
        unet = UNet2DConditionModel(**parts["unet"])
        vae = AutoencoderKL(**parts["vae"])
        text_encoder = transformers.CLIPTextModel(transformers.CLIPTextConfig(**parts["text_encoder"]))
        wanted_merges, pad = parts["tokenizer"]["merges"], parts["tokenizer"]["pad"]
        scheduler = parts["scheduler"]
    except KeyError as error:
        raise ExportError(INPUT, f"{path}: no key {error}; expected unet, vae, text_encoder, scheduler, tokenizer") from error
    except Exception as error:
        raise ExportError(INPUT, f"{path}: {one_line(error)}") from error
    for model in (unet, vae, text_encoder):
        perturb_all(model, seed)
    merges = (
        tokenizers.openai_merges() if wanted_merges == "openai" else tokenizers.read_merges(path.parent / wanted_merges)
    )
    tokenizer = Tokenizer(merges, "transformers", text_encoder.config.max_position_embeddings, pad=0)
    tokenizer.pad = tokenizer.eot if pad == "eot" else pad
    return _checked_source(path.stem, f"random:{seed}", unet, vae, text_encoder, tokenizer, scheduler)


def _folder_parts(model: str, variant: str | None) -> tuple:
    """Loads the parts of a diffusers folder or a hub id. `variant` chooses the weights of UNet, VAE and text encoder."""
    chosen = dict.fromkeys(("unet", "vae", "text_encoder"), variant)
    if Path(model).is_dir():
        chosen = {part: chosen_variant(Path(model) / part, variant) for part in chosen}
        report_plain_weights(model, variant, chosen)
    else:
        use_cache_if_unreachable()

    return (
        _load_part(UNet2DConditionModel, model, "unet", chosen["unet"]),
        _load_part(AutoencoderKL, model, "vae", chosen["vae"]),
        _load_text_encoder(model, chosen["text_encoder"]),
        transformers.CLIPTokenizer.from_pretrained(model, subfolder="tokenizer"),
        DDPMScheduler.load_config(model, subfolder="scheduler"),
    )


def _load_part(kind: type, model: str, part: str, variant: str | None) -> nn.Module:
    """Loads one of diffusers' networks. All its tensors must be there; a VAE needs only its encoder."""
    # diffusers looks for the index of pickled shards only if it is told to.
    pickled = {"use_safetensors": False} if Path(model).is_dir() and is_pickled(Path(model) / part, variant) else {}
    network, loading = kind.from_pretrained(
        model, subfolder=part, variant=variant, torch_dtype=torch.float32, output_loading_info=True, **pickled
    )
    refuse_incomplete(f"{model}, {part}", loading, without=("decoder.", "post_quant_conv.") if part == "vae" else ())
    return network


def _load_text_encoder(model: str, variant: str | None) -> transformers.CLIPTextModel:
    text_encoder, loading = transformers.CLIPTextModel.from_pretrained(
        model,
        subfolder="text_encoder",
        variant=variant,
        dtype=torch.float32,
        output_loading_info=True,
        ignore_mismatched_sizes=True,
    )
    refuse_incomplete(f"{model}, text_encoder", loading)
    return text_encoder


def _checked_source(
    name: str,
    checkpoint: str,
    unet: UNet2DConditionModel,
    vae: AutoencoderKL,
    text_encoder: transformers.CLIPTextModel,
    tokenizer: Tokenizer,
    scheduler: dict,
) -> TeacherSource:
    """Returns the teacher, or raises ExportError if a bundle cannot describe it and C++ would run it wrongly."""
    extras = ("class_embed_type", "addition_embed_type", "encoder_hid_dim_type", "time_cond_proj_dim")
    used = [key for key in extras if unet.config.get(key) is not None]
    if used or unet.config.time_embedding_type != "positional":
        raise ExportError(INPUT, f"{name}: the UNet uses {', '.join(used) or 'its own time embedding'}; expected SD 1 or 2")
    if vae.config.get("shift_factor") or vae.config.get("latents_mean"):
        raise ExportError(INPUT, f"{name}: the VAE shifts its latents; expected a scaling_factor alone")
    if tokenizer.vocab_size > text_encoder.config.vocab_size:
        raise ExportError(
            INPUT,
            f"{name}: {tokenizer.vocab_size} tokens, but {text_encoder.config.vocab_size} embeddings in the text encoder",
        )
    if text_encoder.config.hidden_size != unet.config.cross_attention_dim:
        raise ExportError(
            INPUT,
            f"{name}: text states of width {text_encoder.config.hidden_size}, but the UNet reads "
            f"{unet.config.cross_attention_dim}",
        )
    for part, model in (("unet", unet), ("vae", vae), ("text encoder", text_encoder)):
        refuse_non_finite(f"{name}, {part}", model)
        model.eval().requires_grad_(False)
    return TeacherSource(
        name=name,
        source={"library": "diffusers", "version": diffusers.__version__, "checkpoint": checkpoint},
        unet=unet,
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        schedule=_schedule(name, scheduler),
        prediction_type=_prediction_type(name, scheduler),
    )


def _schedule(name: str, scheduler: dict) -> dict:
    missing = [key for key in (*_SCHEDULE_KEYS, "num_train_timesteps") if key not in scheduler]
    if missing or scheduler.get("trained_betas") is not None or scheduler.get("rescale_betas_zero_snr"):
        what = f"no {', '.join(missing)}" if missing else "betas outside the formula"
        raise ExportError(INPUT, f"{name}: the scheduler has {what}; expected beta_schedule, beta_start, beta_end")
    if scheduler["beta_schedule"] not in ("linear", "scaled_linear"):
        raise ExportError(
            INPUT, f"{name}: beta_schedule {scheduler['beta_schedule']!r}; expected linear or scaled_linear"
        )
    schedule = {key: kind(scheduler[key]) for key, kind in _SCHEDULE_KEYS.items()}
    return schedule | {"train_timesteps": int(scheduler["num_train_timesteps"])}


def _prediction_type(name: str, scheduler: dict) -> str:
    prediction_type = scheduler.get("prediction_type", "epsilon")
    if prediction_type not in ("epsilon", "v_prediction"):
        raise ExportError(INPUT, f"{name}: prediction_type {prediction_type!r}; expected epsilon or v_prediction")
    return prediction_type


# --- what is traced --------------------------------------------------------------------------------------------------


class UnetExport(nn.Module):
    """Gives the UNet's prediction and the outputs of its blocks."""

    def __init__(self, unet: UNet2DConditionModel):
        super().__init__()
        self.unet = unet

    def forward(self, z: torch.Tensor, t: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """Maps z f[B,C,h,w], t i64[B] and context f[B,L,E] to the prediction f[B,C,h,w]."""
        return self.unet(z, t, context, return_dict=False)[0]

    def features(self, z: torch.Tensor, t: torch.Tensor, context: torch.Tensor) -> list[torch.Tensor]:
        """Returns the outputs of the down blocks, the mid block and the up blocks in the order in which they run."""
        outputs = []

        def keep(block: nn.Module, inputs: tuple, output: torch.Tensor | tuple) -> None:
            outputs.append(output[0] if isinstance(output, tuple) else output)

        blocks = [*self.unet.down_blocks, self.unet.mid_block, *self.unet.up_blocks]
        handles = [block.register_forward_hook(keep) for block in blocks]
        self.forward(z, t, context)
        for handle in handles:
            handle.remove()
        return outputs


class VaeEncoderExport(nn.Module):
    """Maps pixels f[B,3,H,W] to the latent's moments f[B,2C,h,w]: first the mean, then the logarithm of the variance."""

    def __init__(self, vae: AutoencoderKL):
        super().__init__()
        self.encoder = vae.encoder
        self.quant_conv = vae.quant_conv if vae.quant_conv is not None else nn.Identity()

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.quant_conv(self.encoder(pixels))


class TextEncoderExport(nn.Module):
    """Maps token ids i64[B,L] to the context f[B,L,E] that Stable Diffusion's pipeline gives to the UNet."""

    def __init__(self, text_encoder: transformers.CLIPTextModel):
        super().__init__()
        self.text_model = text_encoder

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return causal_text_states(self.text_model, ids)


class TimeProjection(nn.Module):
    """diffusers' sinusoidal embedding of the timestep, with its frequencies as a buffer instead of CPU constants.

    The buffer holds them as integers, in units of 2^-40, which is exact for float32 numbers in [1e-4, 1]: a cast of the
    model to bfloat16 leaves them alone, and the embedding is computed in float32 whatever the model's type, as in
    diffusers.
    """

    UNIT = 2.0**-40

    def __init__(self, library: nn.Module):
        super().__init__()
        self.half_dim = library.num_channels // 2
        self.is_odd = library.num_channels % 2 == 1
        self.flip_sin_to_cos = library.flip_sin_to_cos
        self.scale = library.scale
        exponent = -math.log(10000) * torch.arange(0, self.half_dim, dtype=torch.float32)
        frequencies = torch.exp(exponent / (self.half_dim - library.downscale_freq_shift))
        self.register_buffer("frequencies", (frequencies.double() / self.UNIT).to(torch.int64))

    def forward(self, timestep: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        frequencies = self.frequencies.float() * self.UNIT
        angles = self.scale * (timestep[:, None].float() * frequencies[None, :])
        halves = [torch.sin(angles), torch.cos(angles)]
        embedding = torch.cat(halves[::-1] if self.flip_sin_to_cos else halves, dim=-1)
        if self.is_odd:
            embedding = nn.functional.pad(embedding, (0, 1, 0, 0))
        return embedding.type_as(like)


@contextmanager
def portable_time_embedding(unet: UNet2DConditionModel) -> Iterator[None]:
    """Replaces the UNet's own time projection by `TimeProjection` during tracing."""
    library = unet.time_proj
    unet.time_proj = TimeProjection(library)
    unet.get_time_embed = lambda sample, timestep: unet.time_proj(timestep, sample)
    try:
        yield
    finally:
        unet.time_proj = library
        del unet.get_time_embed
