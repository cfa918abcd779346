"""A repeated scoring command prints a complete run's result at once, and continues an unfinished run.

It refuses another run's folder and names the setting that differs, with both values.
"""

import json
import shutil
import sqlite3
from pathlib import Path

from program import ProgramTest, main, run

MODELS = Path(__file__).resolve().parents[2] / "models"


class SameRun(ProgramTest):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.world = cls.draw_world()
        cls.candidates = cls.folder / "candidates.tsv"
        names = sorted(path.name for path in (cls.world / "coco/train2017").iterdir())
        rows = [f"{name}\ta red square\ta blue square" for name in names[:4]]
        cls.candidates.write_text("\n".join(["filepath\ttitle\tneg_caption", *rows]) + "\n")
        cls.done = {name: cls.folder / f"{name}-done" for name in cls.commands()}
        cls.printed = {name: run(*cls.command(name, out)).stdout for name, out in cls.done.items()}

    @classmethod
    def commands(cls) -> dict[str, list[object]]:
        winoground = ["winoground", "--data", cls.world / "winoground", "--limit", 12]
        return {
            "eval": ["eval", *winoground, "--batch", 8],
            "diffusion-score": ["diffusion-score", *winoground, "--samples", 4, "--micro-batch", 8],
            "adaptive": ["diffusion-score", *winoground, "--samples", 9, "--adaptive", "--confidence", 0.9],
            "captions": ["diffusion-score", "captions", "--data", cls.world / "coco/train2017", "--samples", 2,
                         "--candidates", cls.candidates],
        }  # fmt: skip

    @classmethod
    def command(cls, name: str, out: Path, *more: object) -> list[object]:
        return [*cls.commands()[name], "--out", out, "--threads", 1, "--quiet", *more]

    def copy_of(self, name: str) -> Path:
        out = self.folder / f"{name}-{self.id().rsplit('.', 1)[-1]}"
        shutil.copytree(self.done[name], out)
        return out

    def check_refused(self, difference: list[str], *command: object) -> None:
        self.check_fails(2, ["another run", *difference, "--out"], *command)

    def test_a_complete_run_prints_its_result_and_computes_nothing(self):
        for name, out in self.done.items():
            before = {path: path.read_bytes() for path in out.iterdir()}
            for more in ([], ["--resume"]):
                self.assertEqual(self.check_succeeds(*self.command(name, out, *more)), self.printed[name])
            self.assertEqual({path: path.read_bytes() for path in out.iterdir()}, before)

    def test_a_complete_run_needs_no_more_than_its_models_name(self):
        bundle = self.folder / "bundle"
        shutil.copytree(MODELS / "shapes-clip", bundle)
        out = self.folder / "own-bundle"
        command = self.command("eval", out, "--clip", bundle)
        printed = self.check_succeeds(*command)
        weights = bundle / "clip.ts"
        weights.write_bytes(b"\0" * weights.stat().st_size)
        self.assertEqual(self.check_succeeds(*command), printed)

    def test_an_unfinished_run_continues_without_resume(self):
        for name, table in (("eval", "embedding"), ("diffusion-score", "error")):
            out = self.copy_of(name)
            (out / "result.json").unlink()
            with sqlite3.connect(out / "scores.sqlite") as store:
                rest = "kind = 'image' AND unit > 0" if table == "embedding" else "sample > 1"
                store.execute(f"DELETE FROM {table} WHERE {rest}")
                store.execute("DELETE FROM mark")
            self.check_succeeds(*self.command(name, out))
            metrics = [json.loads((path / "result.json").read_text())["metrics"] for path in (out, self.done[name])]
            self.assertEqual(metrics[0], metrics[1])

    def test_another_runs_folder_is_refused_by_what_differs(self):
        world, out = self.world, self.done["eval"]
        start = ["eval", "winoground", "--out", out, "--quiet"]
        data = ["--data", world / "winoground"]
        self.check_refused(["--limit is 12", "this run's is 11"], *start, *data, "--limit", 11, "--batch", 8)
        self.check_refused(["image_batch is 8", "is 4", "--resume"], *start, *data, "--limit", 12, "--batch", 4)
        precision = ["--limit", 12, "--batch", 8, "--precision", "bf16"]
        self.check_refused(["precision is fp32", "is bf16"], *start, *data, *precision)
        self.check_refused(["precision is fp32", "is bf16"], *start, *data, *precision, "--resume")
        self.check_refused(
            ["benchmark is winoground", "is clevr"], "eval", "clevr", "--data", world / "clevr", "--out", out
        )
        self.check_refused(["command is eval", "is diffusion-score"], *self.command("diffusion-score", out))
        self.check_refused(
            ["sampling.seed is 0", "is 5"], *self.command("diffusion-score", self.done["diffusion-score"], "--seed", 5)
        )
        self.check_refused(
            ["adaptive.confidence is 0.9", "is 0.8"],
            *[0.8 if word == 0.9 else word for word in self.command("adaptive", self.done["adaptive"])],
        )

    def test_judging_options_are_refused_too_without_judge_only(self):
        out = self.copy_of("diffusion-score")
        more = self.command("diffusion-score", out)
        more[more.index("--samples") + 1] = 6
        self.check_refused(["sampling.samples is 4", "this run's is 6", "--resume"], *more)
        self.check_succeeds(*more, "--resume")
        self.assertEqual(self.check_succeeds(*more).splitlines()[-1], "288 sample evaluations used of 288")
        other_norm = [*more, "--norm", "l1"]
        self.check_refused(['estimator.norm is "l2"', 'this run\'s is "l1"', "--resume"], *other_norm)
        self.check_succeeds(*other_norm, "--resume")
        self.check_refused(['estimator.norm is "l1"', 'is "l2"'], *more)

    def test_a_smaller_batch_continues_with_resume(self):
        for name, option in (("eval", "--batch"), ("diffusion-score", "--micro-batch")):
            out = self.copy_of(name)
            (out / "result.json").unlink()
            command = self.command(name, out, "--resume")
            command[command.index(option) + 1] = 3
            self.check_succeeds(*command)
            results = [json.loads((path / "result.json").read_text()) for path in (out, self.done[name])]
            # Nothing was computed again, so the results are the same bit for bit.
            self.assertEqual(results[0]["metrics"], results[1]["metrics"])
            counts = [{key: n for key, n in result["work"].items()} for result in results]
            self.assertEqual(counts[0]["unet_evaluations"], counts[1]["unet_evaluations"])

    def test_a_training_runs_folder_is_refused_for_scoring(self):
        out = self.folder / "trained"
        out.mkdir()
        result = json.loads((self.done["eval"] / "result.json").read_text())
        (out / "result.json").write_text(json.dumps(result | {"command": "train", "benchmark": ""}))
        self.check_refused(["command is train", "is eval"], *self.command("eval", out))
        self.assertEqual([path.name for path in out.iterdir()], ["result.json"])

    def test_an_unreadable_result_is_written_again(self):
        out = self.copy_of("eval")
        (out / "result.json").write_text("{")
        done = run(*self.command("eval", out))
        self.assertEqual((done.returncode, done.stdout), (0, self.printed["eval"]))
        self.assertIn("written again", done.stderr)
        self.assertEqual(json.loads((out / "result.json").read_text())["command"], "eval")


if __name__ == "__main__":
    main()
