"""Compares the images/s of a training step with the same step in open_clip and diffusers (plain_step.py).

Batch, weights, precision and the single thread are the same. Both sides measure processor time of whole optimizer steps
(normalising pixels, draws, forward, backward, AdamW) without loading the models. They run in turns, so that other work
on the machine affects both.

    test_step_speed.py PROBE [CLIP TEACHER BATCH STEPS TURNS] [cuda]  an open_clip model, a config of export_teacher.py

With `ViT-B-32-quickgelu sd-v1-4 1 1 1` it is the paper's student and Stable Diffusion at their real size, with random
weights (14 GB, some minutes per step on one core). On a GPU it measures wall-clock time, after some steps of warm-up.
"""

import gc
import json
import sys
import tempfile
import unittest
from pathlib import Path

import diffusers
import safetensors.torch
import torch

PROBE = sys.argv.pop(1)
sys.path.insert(0, str(Path(__file__).parent))

import model_support
from export_support import SCRIPTS, run_script
from plain_training import LAMBDA, LR, PlainTraining
from step_models import random_student, random_teacher, shapes_student

import compile_teacher

DEVICE = sys.argv.pop() if sys.argv[-1] == "cuda" else "cpu"
REAL_SIZE = len(sys.argv) > 5
CLIP, TEACHER, *COUNTS = sys.argv[1:6] if REAL_SIZE else ("shapes-clip", "shapes-teacher", "32", "6", "4")
BATCH, STEPS, TURNS = map(int, COUNTS)
del sys.argv[1:]
PRECISIONS = ("fp32", "bf16")
WARM_UP = {"cpu": 1, "cuda": 4}[DEVICE]  # steps before the clock starts; a step of minutes needs none


def warm_up() -> int:
    return 0 if REAL_SIZE and DEVICE == "cpu" else WARM_UP


def measure_ours(
    scratch: Path, student: Path, teacher: Path, precision: str, micro_batch: int, compiled: str = "off"
) -> float:
    """Returns the time of the quickest step of the C++ program in seconds."""
    keys = {
        "clip": student,
        "teacher": teacher,
        "sds.lambda": LAMBDA,
        "train.lr": LR,
        "train.precision": precision,
        "train.compiled": compiled,
        "train.micro_batch_clip": micro_batch,
        "train.micro_batch_unet": 0,
    }
    settings = [f"{key}={value}" for key, value in keys.items()]
    inputs = scratch / "inputs.safetensors"
    found = model_support.run_probe(PROBE, "measure", DEVICE, inputs, str(warm_up()), str(STEPS), *settings)
    return min(found["seconds"])


def teacher_config(scratch: Path) -> str:
    """Returns the configuration to export; the shapes world's networks get OpenAI's tokenizer."""
    if REAL_SIZE:
        return TEACHER
    config = json.loads((SCRIPTS / "shapes" / "shapes-teacher.json").read_text(encoding="utf-8"))
    config["text_encoder"]["vocab_size"] = 49408
    config["tokenizer"] = {"merges": "openai", "pad": "eot"}
    path = scratch / "shapes-teacher.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    return str(path)


class StepSpeed(unittest.TestCase):
    def test_not_slower_than_the_plain_script(self) -> None:
        torch.backends.cudnn.allow_tf32 = False  # float32 is float32, on both sides
        diffusers.utils.logging.set_verbosity_error()  # the cast to bfloat16 is intended
        with tempfile.TemporaryDirectory() as folder:
            self.compare(Path(folder))

    def compare(self, scratch: Path) -> None:
        student = random_student(CLIP, 3, scratch / "clip") if REAL_SIZE else shapes_student()
        teacher = random_teacher(teacher_config(scratch), 3, scratch / "teacher")
        inputs = {
            "pixels": model_support.blurred_images(BATCH, student.model.visual.preprocess_cfg["size"][0]),
            "text_ids": student.tokenizer.example_ids(BATCH, seed=1),
            "teacher_ids": teacher.tokenizer.example_ids(BATCH, seed=2),
        }
        safetensors.torch.save_file(inputs, scratch / "inputs.safetensors")
        for precision in PRECISIONS:
            words = ("--device", DEVICE, "--precision", precision, "--batch", BATCH, "--graph", "step")
            code, _, stderr = run_script(compile_teacher, teacher.bundle, *words)
            self.assertEqual(code, 0, stderr)
        torch.set_num_threads(1)  # from here on: the exports may take all
        what = "one thread, processor seconds a step" if DEVICE == "cpu" else torch.cuda.get_device_name()
        print(f"\n{CLIP}, {TEACHER}, batch {BATCH}, {what}")
        print(f"{'':8}{'plain':>10}{'ours':>10}{'ratio':>8}{'compiled':>10}{'ratio':>8}{'micro-batches':>16}{'overhead':>10}")
        for precision in PRECISIONS:
            plain = PlainTraining(student, teacher, inputs, precision, DEVICE)
            found: dict[str, list[float]] = {"plain": [], "ours": [], "compiled": [], "cached": []}
            for _ in range(TURNS):
                found["plain"].append(min(plain.measure(warm_up(), STEPS)))
                gc.collect()
                torch.cuda.empty_cache()  # does nothing without a GPU
                models = (scratch, student.bundle, teacher.bundle)
                found["ours"].append(measure_ours(*models, precision, 0))
                found["compiled"].append(measure_ours(*models, precision, 0, compiled="require"))
                if BATCH > 1:
                    found["cached"].append(measure_ours(*models, precision, BATCH // 4))
            best = {name: min(turns, default=float("nan")) for name, turns in found.items()}
            ratio, overhead = best["plain"] / best["ours"], best["cached"] / best["ours"] - 1
            print(
                f"{precision:8}{best['plain']:10.3f}{best['ours']:10.3f}{ratio:8.2f}"
                f"{best['compiled']:10.3f}{best['plain'] / best['compiled']:8.2f}"
                f"{best['cached']:16.3f}{overhead:10.0%}"
            )
            with self.subTest(precision):
                self.assertGreaterEqual(ratio, 1.0)


if __name__ == "__main__":
    unittest.main()
