"""Counts what one training step asks of the device, beside a plain PyTorch step (plain_step.py, foreach AdamW).

  test_step_counts.py PROBE

A device waits for the host at each read of a value (`aten::_local_scalar_dense`, `aten::nonzero`, our own reads), and the
host needs some microseconds per operator. Both are the same on a CPU and on a GPU, so a CPU can check them. The operators
of the networks are counted alone, on each side, and subtracted.
"""

import json
import sys
import tempfile
import unittest
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.profiler import profile

PROBE = sys.argv.pop(1)
sys.path.insert(0, str(Path(__file__).parent))

import model_support
from plain_step import StepInputs, StepSettings, plain_step
from step_models import Student, TeacherBundle, layer_norm_names, normalised, random_student, random_teacher
from tiny_clips import write_tiny_clips

BATCH = 8
SEED = 4
ONE_KERNEL = ("aten::_foreach_", "aten::_fused_", "aten::_amp_")  # loops on a CPU, one kernel on a GPU
SYNCS = ("aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero", "sdsclip::to_host")


def is_inside_a_kernel(event: torch.autograd.profiler_util.FunctionEvent) -> bool:
    parent = event.cpu_parent
    return parent is not None and (parent.name.startswith(ONE_KERNEL) or is_inside_a_kernel(parent))


def count(work: Callable[[], None]) -> Counter:
    """Counts the operators like count_probe.cpp."""
    with profile() as found:
        work()
    names = (event for event in found.events() if event.name.startswith("aten::"))
    return Counter(event.name for event in names if not is_inside_a_kernel(event))


class PlainStep:
    """A plain script's step, with all that it does for the networks only in `networks`."""

    def __init__(self, student: Student, teacher: TeacherBundle):
        self.clip, self.teacher = student.model, teacher.teacher
        norms = layer_norm_names(self.clip)
        for name, parameter in self.clip.named_parameters():
            parameter.requires_grad_(name in norms)
        config = self.teacher.unet.config
        self.latent = (config.in_channels, config.sample_size, config.sample_size)
        self.h_w = nn.Linear(self.clip.visual.output_dim, config.in_channels * config.sample_size**2)
        self.trained = [parameter for parameter in self.clip.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW([*self.trained, *self.h_w.parameters()], lr=1e-6, foreach=True)
        self.pixels = model_support.blurred_images(BATCH, self.clip.visual.preprocess_cfg["size"][0])
        self.text_ids = student.tokenizer.example_ids(BATCH, seed=1)
        self.teacher_ids = teacher.tokenizer.example_ids(BATCH, seed=2)

    def step(self) -> None:
        preprocess = self.clip.visual.preprocess_cfg
        inputs = StepInputs(
            images=normalised(self.pixels, preprocess["mean"], preprocess["std"]),
            text_ids=self.text_ids,
            teacher_ids=self.teacher_ids,
            timesteps=torch.randint(0, self.teacher.scheduler.config.num_train_timesteps, (BATCH,)),
            noise=torch.randn(BATCH, *self.latent),
        )
        losses = plain_step(self.clip, self.teacher, {"sds": self.h_w}, inputs, StepSettings(sds_lambda=0.001))
        losses["total"].backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def networks(self) -> None:
        with torch.no_grad():
            context = self.teacher.text_encoder(self.teacher_ids)[0]
        z = torch.zeros(BATCH, *self.latent, requires_grad=True)
        timesteps = torch.zeros(BATCH, dtype=torch.long)
        size = self.clip.visual.preprocess_cfg["size"][0]
        for output in (
            self.teacher.unet(z, timesteps, context).sample,
            self.clip.encode_image(torch.zeros(BATCH, 3, size, size)),
            self.clip.encode_text(self.text_ids),
        ):
            output.backward(torch.ones_like(output))
        for parameter in self.trained:
            parameter.grad = None


class StepCounts(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.temporary = tempfile.TemporaryDirectory()
        folder = Path(cls.temporary.name)
        torch.set_num_threads(1)
        write_tiny_clips(folder)
        cls.student = random_student(folder / "tiny-vit.json", SEED, folder / "student")
        cls.teacher = random_teacher("tiny", SEED, folder / "teacher")

    @classmethod
    def tearDownClass(cls) -> None:
        cls.temporary.cleanup()

    def ours(self, micro_batches: int, **settings: object) -> Counter:
        keys = {
            "clip": self.student.bundle,
            "teacher": self.teacher.bundle,
            "train.batch_size": BATCH,
            "train.micro_batch_clip": 0,
            "train.micro_batch_unet": BATCH // micro_batches,
        } | settings
        return Counter(model_support.run_probe(PROBE, "step", *(f"{key}={value}" for key, value in keys.items())))

    def networks(self, micro_batches: int) -> Counter:
        bundles = (self.student.bundle, self.teacher.bundle)
        return Counter(
            model_support.run_probe(PROBE, "networks", str(BATCH), str(BATCH // micro_batches), *bundles)
        )

    def check_syncs(self, micro_batches: int, **settings: object) -> None:
        with self.subTest(micro_batches=micro_batches, **settings):
            # The networks read only shapes, which are on the host.
            found = self.ours(micro_batches, **settings) - self.networks(micro_batches)
            syncs = {name: found[name] for name in SYNCS}
            self.assertLessEqual(sum(syncs.values()), 1, syncs)

    def test_the_device_waits_for_the_host_at_most_once(self) -> None:
        for micro_batches in (1, 2, 4):
            self.check_syncs(micro_batches)
        for key, value in (
            ("train.precision", "fp16"),
            ("train.grad_clip_norm", 1.0),
            ("train.tune_temperature", "true"),
        ):
            self.check_syncs(2, **{key: value})

    def test_operators_outside_the_networks(self) -> None:
        """The aim is half of a plain step's; a step also measures gradients and z, which a plain one does not."""
        plain = PlainStep(self.student, self.teacher)
        for work in (plain.step, plain.networks):
            work()  # the first calls set up the optimizer's state and caches
        theirs = (count(plain.step) - count(plain.networks)).total()
        for micro_batches, most in ((1, 1.0), (2, 1.3), (4, 2.0)):
            found = self.ours(micro_batches) - self.networks(micro_batches)
            print(f"UNet micro-batches {micro_batches}: {found.total()} operators, of a plain step {theirs}")
            if "-v" in sys.argv:
                print(json.dumps(dict(found.most_common())))
            with self.subTest(micro_batches=micro_batches):
                self.assertLessEqual(found.total(), most * theirs)


if __name__ == "__main__":
    unittest.main()
