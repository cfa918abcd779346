"""The networks, inputs and sizes of the benchmark: the paper's at their real size, or tiny ones for a CPU."""

import gc
import json
import os
import sys
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/parity"), str(ROOT / "scripts")]

import export_support  # noqa: F401  sets the libraries quiet, and one thread
import model_support
import safetensors.torch
import tiny_clips
import torch
import transformers
from diffusers import AutoencoderKL, UNet2DConditionModel
from plain_training import LAMBDA, LR, PlainTraining
from step_models import Student, TeacherBundle, random_student, random_teacher, teacher_of

from sdsclip_export import tokenizer as tokenizers
from sdsclip_export.clip_models import Weights, load_clip
from sdsclip_export.teacher_configs import read_config
from sdsclip_export.teacher_models import TeacherSource

torch.backends.cudnn.allow_tf32 = False  # float32 is float32, as in sdsclip
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
SEED = 3


@dataclass(frozen=True)
class Size:
    """What is measured on a device, and how often."""

    teacher: str  # a built-in configuration of export_teacher.py
    clip: str  # an open_clip name, or one of tests/parity/tiny_clips.py
    variants: list[tuple[str, int]]  # precision and batch of the UNet's variants
    compiled: list[tuple[str, int]]  # the same for torch.compile, which takes a minute for each
    step_precision: str
    largest_unet_batch: int  # a step's larger batches are run in parts of this size
    kernels_batch: int
    matrix: int  # rows and columns of the matrices whose product is the card's rate
    cases: int  # of the diffusion score
    samples: int
    warm_up: int
    seconds: float  # of each measurement, at least
    repetitions: int  # at least
    compiler: str  # torch.compile's backend


REAL = Size(
    teacher="sd-v1-4", clip="ViT-B-16-quickgelu", variants=[("bf16", 8), ("bf16", 32), ("fp32", 8)],
    compiled=[("bf16", 32), ("bf16", 8)], step_precision="bf16", largest_unet_batch=32,
    kernels_batch=32, matrix=8192, cases=6, samples=50, warm_up=3, seconds=1.0, repetitions=5, compiler="inductor",
)  # fmt: skip
REDUCED = Size(
    teacher="tiny", clip="tiny-vit", variants=[("bf16", 2), ("fp32", 2)], compiled=[("fp32", 2)],
    step_precision="bf16", largest_unet_batch=4, kernels_batch=4, matrix=256, cases=2, samples=3,
    warm_up=1, seconds=0.0, repetitions=3, compiler="eager",
)  # fmt: skip


@dataclass
class Workplace:
    """Where a run measures: the device, its size, the programs, and the folder of the results."""

    device: str
    out: Path
    build: Path
    size: Size = field(init=False)

    def __post_init__(self) -> None:
        self.size = REDUCED if self.device == "cpu" else REAL

    @property
    def clip_bundle(self) -> Path:
        return self.out / "bundles" / "clip"

    @property
    def teacher_bundle(self) -> Path:
        return self.out / "bundles" / "teacher"

    @cached_property
    def clip_config(self) -> str:
        """Returns what `load_clip` reads."""
        config = tiny_clips.CONFIGS.get(self.size.clip)
        if config is None:
            return self.size.clip
        path = self.out / f"{self.size.clip}.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        return str(path)

    def export(self) -> None:
        """Writes the two bundles with random weights."""
        if self.device != "cpu":
            torch.set_num_threads(os.cpu_count() or 1)  # `export_support` asks for one
        self.clip_bundle.parent.mkdir(exist_ok=True)
        random_student(self.clip_config, SEED, self.clip_bundle)
        random_teacher(self.size.teacher, SEED, self.teacher_bundle)

    def free(self) -> None:
        """Returns memory that no network needs to the device, on which other programs run too."""
        if self.device != "cpu":
            gc.collect()
            torch.cuda.empty_cache()


@cache
def teacher_source(config: str, device: str) -> TeacherSource:
    """Returns a teacher with random weights, made on the device itself, because a CPU takes half a minute for them."""
    _, parts = read_config(config)
    torch.manual_seed(SEED)
    with torch.device(device):
        unet = UNet2DConditionModel(**parts["unet"])
        vae = AutoencoderKL(**parts["vae"])
        text_encoder = transformers.CLIPTextModel(transformers.CLIPTextConfig(**parts["text_encoder"]))
    for network in (unet, vae, text_encoder):
        network.eval().requires_grad_(False)
    tokenizer = tokenizers.Tokenizer(
        tokenizers.openai_merges(), "transformers", text_encoder.config.max_position_embeddings, pad=0
    )
    schedule = {key: parts["scheduler"][key] for key in ("beta_schedule", "beta_start", "beta_end")}
    schedule["train_timesteps"] = parts["scheduler"]["num_train_timesteps"]
    prediction = parts["scheduler"].get("prediction_type", "epsilon")
    return TeacherSource(config, {}, unet, vae, text_encoder, tokenizer, schedule, prediction)


def step_inputs(place: Workplace, batch: int) -> dict[str, torch.Tensor]:
    """Returns the pixels and token ids of one step."""
    clip = load_clip_once(place.clip_config)
    return {
        "pixels": model_support.blurred_images(batch, clip.towers.visual.preprocess_cfg["size"][0]),
        "text_ids": clip.tokenizer.example_ids(batch, seed=1),
        "teacher_ids": teacher_source(place.size.teacher, place.device).tokenizer.example_ids(batch, seed=2),
    }


@cache
def load_clip_once(config: str):
    return load_clip(config, Weights(random=SEED), None, None)


def plain_training(place: Workplace, batch: int) -> PlainTraining:
    """Returns the plain script's training loop on the device."""
    clip = load_clip_once(place.clip_config)
    source = teacher_source(place.size.teacher, place.device)
    training = PlainTraining(
        Student(place.clip_bundle, clip.towers, clip.tokenizer),
        TeacherBundle(place.teacher_bundle, teacher_of(source), source.tokenizer),
        step_inputs(place, batch),
        place.size.step_precision,
        place.device,
    )
    training.set_precision()
    return training


def write_step_inputs(place: Workplace, batch: int) -> Path:
    """Writes the same inputs for the C++ step."""
    path = place.out / "work" / f"inputs-{batch}.safetensors"
    if not path.exists():
        safetensors.torch.save_file(step_inputs(place, batch), path)
    return path


def step_settings(place: Workplace, batch: int) -> list[str]:
    """Returns the configuration of the C++ step: the plain step's, with the UNet's batch limited."""
    keys = {
        "clip": place.clip_bundle,
        "teacher": place.teacher_bundle,
        "sds.lambda": LAMBDA,
        "train.lr": LR,
        "train.precision": place.size.step_precision,
        "train.micro_batch_clip": 0,
        "train.micro_batch_unet": place.size.largest_unet_batch if batch > place.size.largest_unet_batch else 0,
    }
    return [f"{key}={value}" for key, value in keys.items()]
