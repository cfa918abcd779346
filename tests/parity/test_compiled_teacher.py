"""A compiled teacher beside TorchScript's: losses, gradients and scores, packages that do not fit, damage, kill and resume.

    test_compiled_teacher.py STEP_PROBE SDSCLIP
"""

import glob
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import unittest
from pathlib import Path

import safetensors.torch
import torch

PROBE, PROGRAM = sys.argv.pop(1), sys.argv.pop(1)
sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import model_support
import world
from compiled_bundles import write_small_teacher
from export_support import SCRIPTS, ExportTestCase, run_script
from step_models import shapes_student

import compile_teacher

BATCH = 6
MICRO_BATCH = 4  # so that the last micro-batch is padded
TOLERANCE = {"fp32": 1e-5, "bf16": 2e-2}
OPTIONS = [
    {},
    {"sds.noising": "none"},
    {"sds.embedding": "unit", "sds.reduction": "mean"},
    {"sds.error": "v", "sds.weight": "1-abar"},
    {"sds.samples": 2, "sds.timesteps": "stratified"},
    {"sds.timesteps": "logit_normal", "sds.t_min": 0.2},
    {"sds.jacobian": "dropped"},
]


class CompiledTeacher(ExportTestCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.teacher = write_small_teacher(cls.scratch / "epsilon", "epsilon")
        for precision, graph in (("fp32", "both"), ("bf16", "step")):
            words = (cls.teacher, "--precision", precision, "--batch", MICRO_BATCH, "--graph", graph)
            code, _, stderr = run_script(compile_teacher, *words)
            assert code == 0, stderr
        # The same UNet as a predictor of velocities: the graph is the same, too.
        cls.velocity_teacher = cls.scratch / "velocity"
        shutil.copytree(cls.teacher, cls.velocity_teacher)
        manifest = cls.velocity_teacher / "bundle.json"
        manifest.write_text(manifest.read_text(encoding="utf-8").replace('"epsilon"', '"v_prediction"'), encoding="utf-8")
        cls.world = cls.scratch / "world"
        world.draw_world(PROGRAM, cls.world, 24)
        cls.student = shapes_student()

    def copied_teacher(self) -> Path:
        folder = self.scratch / "copy"
        shutil.rmtree(folder, ignore_errors=True)
        return Path(shutil.copytree(self.teacher, folder))

    # One step of the library

    def step(self, teacher: Path, keys: dict[str, object]) -> dict[str, torch.Tensor]:
        inputs, out = self.scratch / "inputs.safetensors", self.scratch / "outputs.safetensors"
        ids = self.student.tokenizer.example_ids(2 * BATCH, seed=1)
        pixels = model_support.blurred_images(BATCH, 32)
        safetensors.torch.save_file({"pixels": pixels, "text_ids": ids[:BATCH], "teacher_ids": ids[BATCH:]}, inputs)
        settings = {
            "clip": self.student.bundle,
            "teacher": teacher,
            "sds.lambda": 0.1,
            "contrastive.weight": 0,
            "train.micro_batch_unet": MICRO_BATCH,
        } | keys
        words = [f"{key}={value}" for key, value in settings.items()]
        model_support.run_probe(PROBE, "gradients", "cpu", inputs, out, *words)
        return safetensors.torch.load_file(out)

    def check_equal_steps(self, teacher: Path, keys: dict[str, object], precision: str) -> None:
        keys = keys | {"train.precision": precision}
        compiled = self.step(teacher, keys | {"train.compiled": "require"})
        plain = self.step(teacher, keys | {"train.compiled": "off"})
        self.assertEqual(compiled.keys(), plain.keys())
        differs = False
        for name, expected in plain.items():
            if not name.startswith("draw."):
                self.assertLess(model_support.relative_error(compiled[name], expected), TOLERANCE[precision], name)
                differs |= not torch.equal(compiled[name], expected)
        self.assertEqual(differs, keys.get("sds.jacobian") != "dropped", "which of the two did the package compute?")

    def test_losses_and_gradients_equal_those_of_torchscript(self) -> None:
        for keys in OPTIONS:
            with self.subTest(**keys):
                self.check_equal_steps(self.teacher, keys, "fp32")
        with self.subTest("bf16"):
            self.check_equal_steps(self.teacher, {}, "bf16")

    def test_those_of_a_velocity_predicting_teacher_too(self) -> None:
        for keys in ({}, {"sds.error": "v", "sds.reduction": "mean"}):
            with self.subTest(**keys):
                self.check_equal_steps(self.velocity_teacher, keys, "fp32")

    # The program

    def run_program(self, *words: object) -> subprocess.CompletedProcess:
        return subprocess.run([PROGRAM, *map(str, words)], capture_output=True, text=True, cwd=SCRIPTS.parent, check=False)

    def train_words(self, teacher: Path, out: Path, *more: object) -> list[str]:
        keys = {
            "data.annotations": self.world / "coco/annotations/captions_train2017.json",
            "data.images": self.world / "coco/train2017",
            "teacher": teacher,
            "train.steps": 12,
            "train.batch_size": BATCH,
            "train.micro_batch_unet": MICRO_BATCH,
            "train.checkpoint_every": 2,
            "sds.warmup_steps": 0,
        }
        settings = [word for key, value in keys.items() for word in ("--set", f"{key}={value}")]
        words = ["train", "--config", "quickstart.yaml", "--threads", 1, "--out", out, *settings, *more]
        return [str(word) for word in words]

    def trained(self, out: str, *more: object, teacher: Path | None = None) -> subprocess.CompletedProcess:
        shutil.rmtree(self.scratch / out, ignore_errors=True)
        return self.run_program(*self.train_words(teacher or self.teacher, self.scratch / out, *more))

    def graph_of(self, out: str) -> str:
        return json.loads((self.scratch / out / "result.json").read_text())["settings"]["teacher_graph"]

    def losses(self, out: str) -> list[dict]:
        return [json.loads(line)["loss"] for line in (self.scratch / out / "log.jsonl").read_text().splitlines()]

    def test_a_run_says_which_graph_it_used_and_leaves_no_unpacked_file(self) -> None:
        before = set(glob.glob("/tmp/*/*/data/aotinductor"))
        for out, use, graph in (("auto", "auto", "compiled"), ("off", "off", "torchscript")):
            done = self.trained(out, "--compiled", use)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(self.graph_of(out), graph)
            self.assertEqual("runs compiled" in done.stderr, graph == "compiled", done.stderr)
        for one, other in zip(self.losses("auto"), self.losses("off"), strict=True):
            self.assertAlmostEqual(one["sds"] / other["sds"], 1, delta=1e-4)
        self.assertEqual(set(glob.glob("/tmp/*/*/data/aotinductor")), before)

    def kill_a_run(self, out: Path, teacher: Path) -> None:
        process = subprocess.Popen(
            [PROGRAM, *self.train_words(teacher, out)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            cwd=SCRIPTS.parent,
        )  # fmt: skip
        log = out / "log.jsonl"
        while (not log.exists() or log.read_bytes().count(b"\n") < 5) and process.poll() is None:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        self.assertEqual(process.wait(), -signal.SIGKILL)

    def resume(self, out: Path, teacher: Path) -> str:
        done = self.run_program(*self.train_words(teacher, out, "--resume"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("continues after step", done.stderr)
        return done.stderr

    def test_a_killed_and_resumed_run_ends_with_the_same_bits(self) -> None:
        done = self.trained("whole")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.kill_a_run(self.scratch / "broken", self.teacher)
        self.resume(self.scratch / "broken", self.teacher)
        self.assertEqual(self.graph_of("broken"), "compiled")
        self.assertEqual(self.losses("whole"), self.losses("broken"))
        self.assertEqual(
            *((self.scratch / name / "tuned.safetensors").read_bytes() for name in ("whole", "broken"))
        )

    def test_a_resumed_run_that_has_lost_its_package_says_so(self) -> None:
        teacher = self.copied_teacher()
        self.kill_a_run(self.scratch / "lost", teacher)
        shutil.rmtree(teacher / "compiled")
        self.assertIn("began with a compiled UNet", self.resume(self.scratch / "lost", teacher))
        self.assertEqual(self.graph_of("lost"), "torchscript")

    def test_a_package_that_does_not_fit_is_passed_over_with_one_warning(self) -> None:
        for what, keys in (
            ("LibTorch is 2.99.0", {"libtorch": "2.99.0"}),
            ("device is cuda", {"device": "cuda"}),
            ("UNet is 000000000000", {"unet_sha256": "0" * 64}),
            ("avx9999", {"instructions": ["avx9999"]}),
            ("unknown format", {"schema": 2}),
        ):
            teacher = self.copied_teacher()
            for description in teacher.glob("compiled/step*fp32*.json"):
                details = json.loads(description.read_text(encoding="utf-8")) | keys
                description.write_text(json.dumps(details), encoding="utf-8")
            with self.subTest(what):
                done = self.trained("passed-over", "--set", "train.steps=1", teacher=teacher)
                self.check_one_warning(done, what)
        with self.subTest("another batch"):
            done = self.trained("other-batch", "--set", "train.micro_batch_unet=3", "--set", "train.steps=1")
            self.check_one_warning(done, "batch is 4, this run's 3")
        with self.subTest("required"):
            done = self.trained("required", "--set", "train.micro_batch_unet=3", "--compiled", "require")
            self.expect_one_line(done, 2, "--batch 3 --graph step")

    def check_one_warning(self, done: subprocess.CompletedProcess, what: str) -> None:
        self.assertEqual(done.returncode, 0, done.stderr)
        warnings = [line for line in done.stderr.splitlines() if " warning " in line]
        self.assertEqual(len(warnings), 1, done.stderr)
        self.assertIn(what, warnings[0])

    def test_a_damaged_package_is_bad_input(self) -> None:
        def truncated(package: Path) -> None:
            package.write_bytes(package.read_bytes()[:-100])

        def altered(package: Path) -> None:
            data = bytearray(package.read_bytes())
            data[len(data) // 2] ^= 1
            package.write_bytes(data)

        def no_json(package: Path) -> None:
            package.with_suffix(".json").write_text("{", encoding="utf-8")

        for damage in (truncated, altered, Path.unlink, no_json):
            teacher = self.copied_teacher()
            (package,) = teacher.glob("compiled/step*fp32*.pt2")
            damage(package)
            with self.subTest(damage.__name__):
                self.expect_one_line(self.trained("damaged", teacher=teacher), 3, str(teacher / "compiled"))

    def expect_one_line(self, done: subprocess.CompletedProcess, code: int, part: str) -> None:
        self.assertEqual(done.returncode, code, done.stderr)
        lines = [line for line in done.stderr.splitlines() if " info " not in line]
        self.assertEqual(len(lines), 1, done.stderr)
        self.assertIn(part, lines[0])

    def test_diffusion_scores_equal_those_of_torchscript(self) -> None:
        for teacher in (self.teacher, self.velocity_teacher):
            scores = {}
            for use in ("require", "off"):
                out = self.scratch / f"score-{teacher.name}-{use}"
                data = ("--data", self.world / "winoground", "--out", out, "--limit", 3, "--samples", 3)
                batch = ("--micro-batch", MICRO_BATCH, "--threads", 1, "--compiled", use)
                done = self.run_program("diffusion-score", "winoground", "--teacher", teacher, *data, *batch)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(self.graph_of(out.name), {"require": "compiled", "off": "torchscript"}[use])
                scores[use] = self.stored_errors(out)
            for one, other in zip(scores["require"], scores["off"], strict=True):
                self.assertAlmostEqual(one / other, 1, delta=1e-5)

    def stored_errors(self, out: Path) -> list[float]:
        with sqlite3.connect(out / "scores.sqlite") as store:
            query = "SELECT error, error_l1 FROM sample_error ORDER BY image, caption, sample"
            return [value for row in store.execute(query) for value in row]


class CompileTeacher(ExportTestCase):
    def test_what_cannot_be_compiled_is_an_error_of_one_line(self) -> None:
        teacher = write_small_teacher(self.scratch / "teacher", "epsilon")
        self.expect_error(compile_teacher, 2, "no bundle.json", self.scratch / "absent", "--batch", 1)
        self.expect_error(compile_teacher, 2, "--batch", teacher, "--batch", 0)
        self.expect_error(compile_teacher, 2, "kind 'clip'", SCRIPTS.parent / "models/shapes-clip", "--batch", 1)
        with open(teacher / "unet.ts", "ab") as file:
            file.write(b"x")
        self.expect_error(compile_teacher, 3, "unet.ts", teacher, "--batch", 1)


if __name__ == "__main__":
    unittest.main()
