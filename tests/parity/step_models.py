"""The students and teachers of the step's tests: bundles, and the libraries' models with the same weights."""

from dataclasses import dataclass
from pathlib import Path

import diffusers
import torch
from export_support import SCRIPTS, run_script
from plain_step import Teacher
from torch import nn

import export_clip
import export_teacher
from sdsclip_export import tokenizer as tokenizers
from sdsclip_export.bundle import bundle_folder
from sdsclip_export.clip_models import ClipSource, Weights, load_clip
from sdsclip_export.teacher_models import TeacherSource, load_random
from sdsclip_export.tokenizer import Tokenizer

ROOT = SCRIPTS.parent


@dataclass
class Student:
    """A CLIP bundle and open_clip's own model with the same weights."""

    bundle: Path
    model: nn.Module
    tokenizer: Tokenizer


@dataclass
class TeacherBundle:
    """A teacher's bundle and the libraries' own models with the same weights."""

    bundle: Path
    teacher: Teacher
    tokenizer: Tokenizer


def student_of(bundle: Path, source: ClipSource) -> Student:
    return Student(bundle, source.towers, source.tokenizer)


def random_student(config: str | Path, seed: int, bundle: Path) -> Student:
    """Makes the student of an open_clip name or JSON file."""
    code, _, stderr = run_script(export_clip, config, "--random", seed, "--out", bundle)
    assert code == 0, stderr
    return student_of(bundle, load_clip(str(config), Weights(random=seed), None, None))


def shapes_student() -> Student:
    """Returns the shipped student with its weights in a model of open_clip."""
    bundle = ROOT / "models" / "shapes-clip"
    config = SCRIPTS / "shapes" / "shapes-clip.json"
    source = load_clip(str(config), Weights(random=0), None, bundle / tokenizers.MERGES_FILE)
    weights = torch.jit.load(str(bundle / "clip.ts")).state_dict()
    assert set(dict(source.towers.named_parameters())) <= set(weights)
    source.towers.load_state_dict(weights, strict=False)
    return student_of(bundle, source)


def teacher_of(source: TeacherSource) -> Teacher:
    """Returns the teacher of the plain script, with the scheduler of the source's noise schedule."""
    scheduler = diffusers.DDPMScheduler(
        num_train_timesteps=source.schedule["train_timesteps"],
        beta_schedule=source.schedule["beta_schedule"],
        beta_start=source.schedule["beta_start"],
        beta_end=source.schedule["beta_end"],
        prediction_type=source.prediction_type,
    )
    return Teacher(source.unet, source.vae, source.text_encoder, scheduler)


def random_teacher(config: str | Path, seed: int, bundle: Path) -> TeacherBundle:
    """Makes the teacher of a built-in configuration of export_teacher.py or of a JSON file."""
    source = load_random(str(config), seed)
    # Skips the exporter's own check, which takes minutes at real size.
    with bundle_folder(bundle, force=False) as unfinished:
        export_teacher.write_teacher_bundle(source, "shortest_edge", unfinished)
    return TeacherBundle(bundle, teacher_of(source), source.tokenizer)


def normalised(pixels: torch.Tensor, mean: list[float], std: list[float]) -> torch.Tensor:
    """Converts u8[B, H, W, 3] like torchvision's ToTensor and Normalize: f32[B, 3, H, W]."""
    scaled = pixels.permute(0, 3, 1, 2).contiguous().float() / 255
    mean, std = (torch.tensor(values, device=pixels.device).view(3, 1, 1) for values in (mean, std))
    return (scaled - mean) / std


def layer_norm_names(model: nn.Module) -> set[str]:
    """Returns the parameters that `train.tune: layernorm` trains in a ViT."""
    norms = {name for name, module in model.named_modules() if isinstance(module, nn.LayerNorm)}
    return {f"{name}.{part}" for name in norms for part in ("weight", "bias")}
