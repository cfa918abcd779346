"""One training step against a plain PyTorch step (plain_step.py): losses, and the gradient of every trained tensor.

  test_step.py PROBE [DEVICE]

The C++ step runs in micro-batches through its cache, on the device. The plain step is one graph in float64 on the CPU.
It gets only the draws from the C++ step.
"""

import copy
import math
import sys
import unittest
from dataclasses import dataclass, field
from pathlib import Path

import safetensors.torch
import torch
from torch import nn
from torch.nn.utils import parametrize

PROBE = sys.argv.pop(1)
DEVICE = sys.argv.pop(1) if sys.argv[1:2] in (["cpu"], ["cuda"]) else "cpu"
sys.path.insert(0, str(Path(__file__).parent))

import model_support
from export_support import ExportTestCase
from plain_step import StepInputs, StepSettings, plain_step
from step_models import (
    Student,
    TeacherBundle,
    layer_norm_names,
    normalised,
    random_student,
    random_teacher,
    shapes_student,
)
from tiny_clips import CONFIGS, write_tiny_clips

from sdsclip_export.teacher_models import BUILT_IN_CONFIGS

SEED = 8
BATCH = 6
TOLERANCE = 1e-4
RANK = 2
ALPHA = 3.0

# The options that the losses know, by their configuration keys; all others concern only the C++ side.
SETTINGS = {f"sds.{name}": name for name in (
    "noising", "embedding", "reduction", "jacobian", "error", "weight", "samples",
)} | {f"{section}.{name}": f"{section}_{name}" for section, name in (
    ("contrastive", "weight"), ("contrastive", "kind"), ("sds", "lambda"), ("feature", "weight"), ("feature", "block"),
    ("feature", "reduction"), ("rank", "weight"), ("rank", "temperature"),
)}  # fmt: skip
SDS = {"sds.lambda": 0.01}
FEATURE = {"sds.lambda": 0, "feature.weight": 0.02}


@dataclass
class Outcome:
    """The results of a step, from either side."""

    losses: dict[str, float]
    gradients: dict[str, torch.Tensor]


@dataclass
class Case:
    """One step: configuration keys, and the texts beside the captions."""

    keys: dict[str, object]
    teacher: str = "epsilon"
    student: str = "tiny-vit"
    hard_negatives: bool = False
    starts: dict[str, torch.Tensor] = field(default_factory=dict)  # of trained tensors, beside the models' own

    def settings(self) -> StepSettings:
        return StepSettings(
            **{SETTINGS[key]: value for key, value in self.keys.items() if key in SETTINGS},
            warm_up=bool(self.keys.get("sds.warmup_steps")),
        )


class LowRank(nn.Module):
    """Parametrizes W as W + (alpha / r) B A."""

    def __init__(self, a: torch.Tensor, b: torch.Tensor):
        super().__init__()
        self.a, self.b = nn.Parameter(a.double()), nn.Parameter(b.double())

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight + (ALPHA / RANK) * (self.b @ self.a).view_as(weight)


def tiny_teachers(scratch: Path) -> dict[str, TeacherBundle]:
    """Exports one teacher per prediction type, with random weights."""
    text = (BUILT_IN_CONFIGS / "tiny.json").read_text(encoding="utf-8")
    teachers = {}
    for prediction_type in ("epsilon", "v_prediction"):
        config = scratch / f"{prediction_type}.json"
        config.write_text(text.replace('"epsilon"', f'"{prediction_type}"'), encoding="utf-8")
        teachers[prediction_type] = random_teacher(config, SEED, scratch / prediction_type)
    return teachers


class Step(ExportTestCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        write_tiny_clips(cls.scratch)
        tiny_vit = random_student(cls.scratch / "tiny-vit.json", SEED, cls.scratch / "tiny-vit")
        cls.students = {"tiny-vit": tiny_vit, "shapes-clip": shapes_student(), "tiny-sigmoid": cls.sigmoid_student()}
        cls.teachers = tiny_teachers(cls.scratch)
        for student in cls.students.values():
            student.model.double()
        for one in cls.teachers.values():
            for network in (one.teacher.unet, one.teacher.vae, one.teacher.text_encoder):
                network.double()
        cls.pixels = model_support.blurred_images(BATCH, 32)
        cls.worst = 0.0

    @classmethod
    def sigmoid_student(cls) -> Student:
        """Returns the tiny ViT with SigLIP's `logit_bias`."""
        config = cls.write_json(cls, "tiny-sigmoid.json", CONFIGS["tiny-vit"] | {"init_logit_bias": -3.0})
        return random_student(config, SEED, cls.scratch / "tiny-sigmoid")

    @classmethod
    def tearDownClass(cls) -> None:
        print(f"largest relative error of a loss or a gradient: {cls.worst:.1e}")

    def start_values(self, case: Case) -> dict[str, torch.Tensor]:
        """Returns start values of h_w like torch's own Linear; otherwise the bias would be zero."""
        torch.manual_seed(SEED)
        width = self.students[case.student].model.visual.output_dim
        starts = {}
        for name, weight, outputs in (
            ("sds", "sds.lambda", self.latent_elements()),
            ("feature", "feature.weight", self.feature_elements(case)),
        ):
            if case.keys.get(weight):
                linear = nn.Linear(width, outputs)
                starts |= {f"{name}.h_w.weight": linear.weight.detach(), f"{name}.h_w.bias": linear.bias.detach()}
        return starts | case.starts

    def latent_elements(self) -> int:
        config = self.teachers["epsilon"].teacher.unet.config
        return config.in_channels * config.sample_size**2

    def feature_elements(self, case: Case) -> int:
        """Returns the map for the UNet's output, or for its mid block with the most channels and half the size."""
        if case.keys.get("feature.block", -1) < 0:
            return self.latent_elements()
        config = self.teachers["epsilon"].teacher.unet.config
        return config.block_out_channels[-1] * (config.sample_size // 2) ** 2

    def text_ids(self, case: Case) -> torch.Tensor:
        """Returns captions, hard negatives and further candidates, i64[3 * BATCH, L]."""
        return self.students[case.student].tokenizer.example_ids(3 * BATCH, seed=1)

    def teacher_ids(self, case: Case) -> torch.Tensor:
        return self.teachers[case.teacher].tokenizer.example_ids(BATCH, seed=2)

    def ranked(self) -> list[tuple[int, list[int], list[float]]]:
        """Returns the images with candidates: rows of their own captions and of further ones, with distances."""
        return [
            (0, [0, 2 * BATCH, 2 * BATCH + 1], [0.11, 0.12, 0.14]),
            (2, [2, 2 * BATCH + 2], [0.21, 0.20]),
            (5, [5, 2 * BATCH + 3, 2 * BATCH + 4, 2 * BATCH + 5], [0.30, 0.31, 0.295, 0.33]),
        ]

    def write_inputs(self, case: Case) -> Path:
        ids = self.text_ids(case)
        tensors = {"pixels": self.pixels, "text_ids": ids[:BATCH], "teacher_ids": self.teacher_ids(case)}
        if case.keys.get("feature.weight"):
            tensors["teacher_pixels"] = self.pixels.flip(2)
        if case.hard_negatives or case.keys.get("rank.weight"):
            tensors["hard_negative_ids"] = ids[BATCH : 2 * BATCH]
        if case.keys.get("rank.weight"):
            tensors["candidate_ids"] = ids[2 * BATCH :]
            tensors["rank.images"] = torch.tensor([image for image, _, _ in self.ranked()])
            tensors["rank.texts"] = torch.full((3, 4), -1)
            tensors["rank.distances"] = torch.full((3, 4), math.nan)
            for row, (_, texts, distances) in enumerate(self.ranked()):
                tensors["rank.texts"][row, : len(texts)] = torch.tensor(texts)
                tensors["rank.distances"][row, : len(texts)] = torch.tensor(distances)
        path = self.scratch / "inputs.safetensors"
        contiguous = {name: tensor.contiguous() for name, tensor in (tensors | self.start_values(case)).items()}
        safetensors.torch.save_file(contiguous, path)
        return path

    def our_step(self, case: Case, micro_batch: int) -> tuple[Outcome, dict[str, torch.Tensor]]:
        """Returns losses, gradients and draws of the C++ step."""
        keys = {
            "clip": self.students[case.student].bundle,
            "teacher": self.teachers[case.teacher].bundle,
            "seed": SEED,
            "train.micro_batch_clip": micro_batch,
            "train.micro_batch_unet": micro_batch,
            "train.tune_temperature": "true",
        } | case.keys
        out = self.scratch / "outputs.safetensors"
        settings = [f"{key}={value}" for key, value in keys.items()]
        model_support.run_probe(PROBE, "gradients", DEVICE, self.write_inputs(case), out, *settings)
        outputs = safetensors.torch.load_file(out)

        def named(prefix: str) -> dict[str, torch.Tensor]:
            return {name.removeprefix(prefix): value for name, value in outputs.items() if name.startswith(prefix)}

        losses = {name: float(value) for name, value in named("loss.").items()}
        return Outcome(losses, named("gradient.")), named("draw.")

    def plain_step(self, case: Case, draws: dict[str, torch.Tensor]) -> Outcome:
        """Returns the same by autograd; every parameter has a gradient, also those that are not trained."""
        model = copy.deepcopy(self.students[case.student].model).requires_grad_(True)
        ids = self.text_ids(case)
        starts = self.start_values(case)
        trained = dict(model.named_parameters()) | self.add_low_rank(model, starts)
        maps = {}
        for name in ("sds", "feature"):
            if f"{name}.h_w.weight" in starts:
                weight, bias = starts[f"{name}.h_w.weight"], starts[f"{name}.h_w.bias"]
                maps[name] = nn.Linear(*weight.shape[::-1]).double()
                maps[name].load_state_dict({"weight": weight, "bias": bias})
                trained |= {f"{name}.h_w.{part}": value for part, value in maps[name].named_parameters()}
        ranked = self.ranked() if case.keys.get("rank.weight") else []
        preprocess = model.visual.preprocess_cfg
        inputs = StepInputs(
            images=normalised(self.pixels, preprocess["mean"], preprocess["std"]).double(),
            text_ids=ids[:BATCH],
            teacher_ids=self.teacher_ids(case),
            teacher_images=normalised(self.pixels.flip(2), [0.5] * 3, [0.5] * 3).double(),
            hard_negative_ids=ids[BATCH : 2 * BATCH] if case.hard_negatives or ranked else None,
            timesteps=draws.get("timesteps"),
            noise=draws["noise"].double() if "noise" in draws else None,
            candidates=[(image, ids[texts], torch.tensor(distances).double()) for image, texts, distances in ranked],
        )
        losses = plain_step(model, self.teachers[case.teacher].teacher, maps, inputs, case.settings())
        losses["total"].backward()
        gradients = {name: value.grad for name, value in trained.items() if value.grad is not None}
        return Outcome({name: float(loss.detach()) for name, loss in losses.items()}, gradients)

    def add_low_rank(self, model: nn.Module, starts: dict[str, torch.Tensor]) -> dict[str, nn.Parameter]:
        """Applies the low-rank updates to the model's weights; returns the trained factors by name."""
        factors = {}
        for key in [key for key in starts if key.startswith("lora.") and key.endswith(".a")]:
            weight = key.removeprefix("lora.").removesuffix(".a")
            owner, _, attribute = weight.rpartition(".")
            update = LowRank(starts[f"lora.{weight}.a"], starts[f"lora.{weight}.b"])
            parametrize.register_parametrization(model.get_submodule(owner), attribute, update)
            factors |= {f"lora.{weight}.a": update.a, f"lora.{weight}.b": update.b}
        return factors

    def check(self, case: Case, trained: set[str] | None = None, micro_batches: tuple[int, ...] = (3,)) -> None:
        """`trained` names CLIP's tensors that must have gradients; by default the LayerNorms and the temperature."""
        for micro_batch in micro_batches:
            ours, draws = self.our_step(case, micro_batch)
            plain = self.plain_step(case, draws)
            if trained is None:
                trained = layer_norm_names(self.students[case.student].model) | {"logit_scale"}
            maps = {name for name in self.start_values(case) if ".h_w." in name}
            self.assertEqual(set(ours.gradients), trained | maps)
            self.assertEqual(set(ours.losses), set(plain.losses))
            for name, expected in plain.losses.items():
                self.assert_equal(f"loss {name}", torch.tensor(ours.losses[name]), torch.tensor(expected))
            for name, gradient in ours.gradients.items():
                self.assert_equal(name, gradient, plain.gradients[name])

    def assert_equal(self, name: str, actual: torch.Tensor, expected: torch.Tensor) -> None:
        self.assertGreater(float(expected.norm()), 0, f"{name}: nothing to compare")
        error = model_support.relative_error(actual, expected)
        type(self).worst = max(self.worst, error)
        self.assertLess(error, TOLERANCE, name)

    def check_each(self, variants: list[dict[str, object]], **fields: object) -> None:
        for keys in variants:
            with self.subTest(**keys):
                self.check(Case(SDS | keys, **fields))

    def test_any_micro_batches(self) -> None:
        self.check(Case(SDS | {"sds.samples": 3}), micro_batches=(0, 4, 3, 1))

    def test_the_shipped_student(self) -> None:
        self.check(Case(SDS, student="shapes-clip"), micro_batches=(0, 4))

    def test_options_of_l_sds_with_a_noise_predicting_teacher(self) -> None:
        self.check_each([
            {"sds.noising": "none"},
            {"sds.noising": "none", "sds.jacobian": "dropped", "sds.weight": "1-abar"},
            {"sds.embedding": "unit"},
            {"sds.reduction": "mean", "sds.lambda": 2.0},
            {"sds.jacobian": "dropped"},
            {"sds.jacobian": "dropped", "sds.error": "v", "sds.weight": "1-abar", "sds.reduction": "mean"},
            {"sds.error": "v"},
            {"sds.weight": "1-abar"},
            {"sds.samples": 3, "sds.timesteps": "stratified"},
            {"sds.timesteps": "logit_normal"},
            {"sds.t_min": 0.3, "sds.t_max": 0.6},
            {"contrastive.weight": 0.25},
        ])  # fmt: skip

    def test_options_of_l_sds_with_a_velocity_predicting_teacher(self) -> None:
        self.check_each([
            {},
            {"sds.error": "v"},
            {"sds.jacobian": "dropped"},
            {"sds.jacobian": "dropped", "sds.error": "v", "sds.samples": 2},
            {"sds.embedding": "unit", "sds.reduction": "mean", "sds.weight": "1-abar", "sds.error": "v"},
        ], teacher="v_prediction")  # fmt: skip

    def test_l_clip_alone_and_l_sds_alone(self) -> None:
        self.check(Case({"sds.lambda": 0}))
        images_alone = {name for name in layer_norm_names(self.students["tiny-vit"].model) if name.startswith("visual")}
        self.check(Case(SDS | {"contrastive.weight": 0}), images_alone)

    def test_the_warm_up_trains_only_the_map(self) -> None:
        self.check(Case(SDS | {"sds.warmup_steps": 100}), set())

    def test_all_parameters(self) -> None:
        everything = set(dict(self.students["tiny-vit"].model.named_parameters()))
        self.check(Case(SDS | {"train.tune": "all"}), everything, micro_batches=(0, 4))

    def test_low_rank_updates(self) -> None:
        generator = torch.Generator().manual_seed(SEED)
        weights = dict(self.students["tiny-vit"].model.named_parameters())
        starts = {}
        for name in (name for name in weights if "attn" in name and name.endswith("weight")):
            rows, columns = weights[name].shape[0], weights[name][0].numel()
            starts[f"lora.{name}.a"] = 0.1 * torch.randn(RANK, columns, generator=generator)
            starts[f"lora.{name}.b"] = 0.1 * torch.randn(rows, RANK, generator=generator)
        keys = {"train.tune": "lora", "train.lora.rank": RANK, "train.lora.alpha": ALPHA}
        self.check(Case(SDS | keys, starts=starts), set(starts) | {"logit_scale"}, micro_batches=(0, 4))

    def test_hard_negatives(self) -> None:
        self.check(Case(SDS, hard_negatives=True), micro_batches=(0, 4))

    def test_the_sigmoid_loss(self) -> None:
        sigmoid = {"sds.lambda": 0, "contrastive.kind": "sigmoid"}
        model = self.students["tiny-sigmoid"].model
        trained = layer_norm_names(model) | {"logit_scale", "logit_bias"}
        self.check(Case(sigmoid, student="tiny-sigmoid"), trained, micro_batches=(0, 4))
        self.check(Case(sigmoid, student="tiny-sigmoid", hard_negatives=True), trained)
        everything = set(dict(model.named_parameters()))
        self.check(Case(sigmoid | {"train.tune": "all"}, student="tiny-sigmoid"), everything)
        with_bias = trained | {name for name in everything if name.endswith("bias")}
        self.check(Case(sigmoid | {"train.tune": "layernorm+bias"}, student="tiny-sigmoid"), with_bias)

    def test_the_bias_of_the_logits_has_no_part_in_the_softmax_loss(self) -> None:
        trained = layer_norm_names(self.students["tiny-sigmoid"].model) | {"logit_scale"}
        self.check(Case({"sds.lambda": 0}, student="tiny-sigmoid"), trained)

    def test_feature_distillation(self) -> None:
        for keys in ({}, {"feature.block": 2}, {"feature.reduction": "mean", "feature.weight": 1.0}):
            with self.subTest(**keys):
                self.check(Case(FEATURE | keys), micro_batches=(0, 4))
        with self.subTest("beside L_SDS"):
            self.check(Case(SDS | {"feature.weight": 0.02}))

    def test_score_ranking(self) -> None:
        self.check(Case({"sds.lambda": 0, "rank.weight": 0.7, "rank.temperature": 0.02}), micro_batches=(0, 4))
        self.check(Case(SDS | {"rank.weight": 0.7, "contrastive.weight": 0.3}))


if __name__ == "__main__":
    unittest.main()
