"""The program on a GPU agrees with the CPU up to rounding, and gives the same bits twice; not run without a GPU."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

from program import PROGRAM, ROOT, ProgramTest, main, train_arguments, untimed_log

NOT_RUN = 77  # reported by ctest as "not run"
STEPS = 4
SETTINGS = {
    "train.steps": STEPS,
    "train.batch_size": 12,
    "train.micro_batch_clip": 8,
    "train.micro_batch_unet": 8,
    "train.checkpoint_every": 2,
    "sds.warmup_steps": 1,
}


class Gpu(ProgramTest):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.world = cls.draw_world(train=48)

    def train(self, name: str, device: str, settings: dict[str, object], *more: object) -> list[dict]:
        """Returns the lines of its log."""
        out = self.folder / name
        self.check_succeeds(*train_arguments(self.world, out, SETTINGS | settings, "--device", device, *more))
        return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]

    def test_training_follows_the_cpus_losses(self):
        # In AdamW's first steps a gradient near zero, whose sign is rounding, moves a weight as far as any other.
        variants = {
            "sds": {},
            "features": {"sds.lambda": 0, "feature.weight": 0.02},
            "lora": {"train.tune": "lora", "train.lora.rank": 2},
            "all": {"train.tune": "all"},
        }
        for name, settings in variants.items():
            on_cpu, on_gpu = (self.train(f"{name}-{device}", device, settings) for device in ("cpu", "cuda"))
            self.assertEqual(len(on_gpu), STEPS)
            for step, (expected, actual) in enumerate(zip(on_cpu, on_gpu, strict=True)):
                tolerance = 1e-4 if step == 0 else 1e-2
                self.assertEqual(set(actual["loss"]), set(expected["loss"]))
                for term, loss in expected["loss"].items():
                    with self.subTest(name, step=step, term=term):
                        self.assertAlmostEqual(actual["loss"][term] / loss, 1, delta=tolerance)
                self.assertNotIn("peak_gpu_memory_bytes", expected)
                self.assertGreater(actual["peak_gpu_memory_bytes"], 1 << 20)

    def test_lower_precisions_stay_close_to_fp32(self):
        exact = self.train("fp32", "cuda", {})
        for precision in ("bf16", "fp16"):
            for step, line in enumerate(self.train(precision, "cuda", {"train.precision": precision})):
                for term, loss in exact[step]["loss"].items():
                    with self.subTest(precision, step=step, term=term):
                        self.assertAlmostEqual(line["loss"][term] / loss, 1, delta=0.05)
                self.assertEqual(line.get("skipped"), None)

    def test_the_same_run_has_the_same_bits_whole_or_stopped_and_resumed(self):
        for precision in ("fp32", "bf16"):
            with self.subTest(precision):
                whole, parts = self.folder / f"whole-{precision}", self.folder / f"parts-{precision}"
                self.train(whole.name, "cuda", {"train.precision": precision})
                self.train(parts.name, "cuda", {"train.precision": precision})
                self.assertEqual(untimed_log(parts), untimed_log(whole))
                # The last checkpoint is damaged, so the run goes back to the one before.
                (parts / "tuned.safetensors").unlink()
                state = parts / "checkpoints" / f"step-{STEPS}" / "state.json"
                state.write_text(state.read_text()[: state.stat().st_size // 2])
                self.train(parts.name, "cuda", {"train.precision": precision}, "--resume")
                self.assertEqual(untimed_log(parts), untimed_log(whole))
                self.assertEqual((parts / "tuned.safetensors").read_bytes(), (whole / "tuned.safetensors").read_bytes())

    def test_automatic_micro_batches_fit(self):
        settings = {"train.micro_batch_clip": "auto", "train.micro_batch_unet": "auto"}
        automatic = self.train("auto", "cuda", settings)
        # Any GPU that holds a model holds twelve of these images.
        self.assertEqual(
            json.loads((self.folder / "auto" / "auto.json").read_text()), {"micro_batch_clip": 12, "micro_batch_unet": 12}
        )
        fixed = self.train("fixed", "cuda", {"train.micro_batch_clip": 12, "train.micro_batch_unet": 12})
        self.assertEqual([line["loss"] for line in automatic], [line["loss"] for line in fixed])

    def scores(self, command: str, device: str, *more: object) -> tuple[dict, dict[tuple, float]]:
        """Returns `result.json` and the score of each pair."""
        out = self.folder / f"{command}-{device}-{len(more)}"
        places = ["--data", self.world / "winoground", "--out", out, "--limit", 24, "--device", device]
        self.check_succeeds(command, "winoground", *places, "--quiet", *more)
        with sqlite3.connect(out / "scores.sqlite") as store:
            rows = store.execute("SELECT case_id, image, caption, score FROM pair_score").fetchall()
        return json.loads((out / "result.json").read_text()), {tuple(row[:3]): row[3] for row in rows}

    def test_scores_equal_the_cpus(self):
        for command, more, tolerance in (
            ("eval", (), 1e-5),  # of a cosine
            ("diffusion-score", ("--samples", 6), 1e-5),  # of a mean squared error, relative
        ):
            expected_result, expected = self.scores(command, "cpu", *more)
            result, actual = self.scores(command, "cuda", *more)
            self.assertEqual(set(actual), set(expected))
            worst = max(abs(actual[pair] - score) / max(1.0, abs(score)) for pair, score in expected.items())
            print(f"{command}: largest difference of {len(expected)} scores {worst:.1e}")
            self.assertLess(worst, tolerance)
            for name, metric in expected_result["metrics"].items():
                self.assertEqual(result["metrics"][name]["value"], metric["value"], name)

    def test_a_gpu_that_is_not_there_is_refused(self):
        self.check_fails(2, ["cuda:63", "GPU(s)"], "eval", "winoground", "--data", self.world / "winoground",
                         "--device", "cuda:63")  # fmt: skip

    def test_the_cpu_is_used_without_loading_cuda(self):
        """A run with `--device cpu` must not load the CUDA libraries."""
        arguments = ["eval", "winoground", "--data", self.world / "winoground", "--out", self.folder / "traced"]
        command = [PROGRAM, *arguments, "--limit", 2, "--device", "cpu", "--quiet"]
        environment = os.environ | {"LD_DEBUG": "files", "LD_DEBUG_OUTPUT": str(self.folder / "libraries")}
        subprocess.run([str(word) for word in command], check=True, capture_output=True, cwd=ROOT, env=environment)
        libraries = "".join(path.read_text() for path in Path(self.folder).glob("libraries.*"))
        self.assertIn("libtorch_cpu", libraries)
        self.assertNotIn("libtorch_cuda.so", libraries)


if __name__ == "__main__":
    if not os.path.exists("/dev/nvidiactl"):
        print("not run, this machine has no GPU")
        sys.exit(NOT_RUN)
    main()
