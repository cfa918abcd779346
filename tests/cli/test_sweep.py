"""`sdsclip sweep` trains once per grid point, skips finished points and resumes a killed one."""

import json
import signal
import subprocess
import time
from pathlib import Path

from program import PROGRAM, ROOT, ProgramTest, logged_steps, main, train_arguments

STEPS = 8
SETTINGS = {"train.steps": STEPS, "train.batch_size": 12, "train.checkpoint_every": 3, "sds.lambda": 0}
RATES, SEEDS = ("1e-4", "1e-3"), ("0", "1")
GRID = ("--grid", f"train.lr={','.join(RATES)}", "--grid", f"seed={','.join(SEEDS)}")
POINTS = [f"train.lr={rate},seed={seed}" for rate in RATES for seed in SEEDS]
LOSS = "train/last_loss/total"


def state_of(out: Path) -> dict:
    return json.loads((out / "sweep.json").read_text())


def metric_of(point: Path, name: str = LOSS) -> float:
    return json.loads((point / "result.json").read_text())["metrics"][name]["value"]


class Sweep(ProgramTest):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.world = cls.draw_world(train=36)
        cls.whole = cls.folder / "whole"
        cls.printed = subprocess.run(
            [PROGRAM, *cls.arguments(cls.whole, *GRID)], check=True, capture_output=True, text=True, cwd=ROOT
        ).stdout

    @classmethod
    def arguments(cls, out: Path, *more: str) -> list[str]:
        return ["sweep", *train_arguments(cls.world, out, SETTINGS, "--quiet", *more)[1:]]

    def check_same_runs(self, out: Path) -> None:
        for name in POINTS:
            tuned = [(sweep / name / "tuned.safetensors").read_bytes() for sweep in (out, self.whole)]
            self.assertEqual(*tuned)
        self.assertEqual(state_of(out), state_of(self.whole))
        self.assertEqual((out / "table.md").read_text(), (self.whole / "table.md").read_text())

    def test_each_point_is_the_training_run_of_its_settings(self):
        self.assertEqual({path.name for path in self.whole.iterdir()}, {*POINTS, "sweep.json", "table.md"})
        alone = self.folder / "alone"
        settings = SETTINGS | {"train.lr": RATES[1], "seed": SEEDS[1]}
        self.check_succeeds(*train_arguments(self.world, alone, settings, "--quiet"))
        for file in ("config.yaml", "tuned.safetensors"):
            self.assertEqual((self.whole / POINTS[3] / file).read_bytes(), (alone / file).read_bytes())

    def test_the_best_by_a_loss_is_the_lowest(self):
        losses = {name: metric_of(self.whole / name) for name in POINTS}
        best = min(losses, key=losses.get)
        state = state_of(self.whole)
        self.assertEqual((state["metric"], state["better"], state["best"]), (LOSS, "lower", best))
        self.assertEqual({point["name"]: point["value"] for point in state["points"]}, losses)
        self.assertEqual(state["points"][2]["settings"], {"train.lr": RATES[1], "seed": SEEDS[0]})
        lines = self.printed.splitlines()
        self.assertIn(best, lines[-1])
        for row, name in zip(lines[2:-1], POINTS, strict=True):
            self.assertEqual(row.split()[-1], "best" if name == best else "done")
            self.assertAlmostEqual(float(row.split()[2]), losses[name], delta=1e-4 * losses[name])

    def test_the_best_by_a_benchmark_is_the_highest(self):
        out = self.folder / "evaluated"
        evaluate = ("benchmarks=[winoground]", f"data={self.world}", "limit=40")
        settings = [word for setting in evaluate for word in ("--set", f"evaluate.{setting}")]
        self.check_succeeds(*self.arguments(out, "--grid", "train.lr=1e-5,3e-2,1e-3", *settings))
        state = state_of(out)
        self.assertEqual((state["metric"], state["better"]), ("winoground/text", "higher"))
        scores = {point["name"]: metric_of(out / point["name"], "winoground/text") for point in state["points"]}
        self.assertGreater(len(set(scores.values())), 1)
        self.assertEqual(state["best"], max(scores, key=scores.get))
        known = [LOSS, "winoground/group"]
        arguments = self.arguments(out, "--grid", "train.lr=1e-5", *settings, "--resume", "--metric", "winoground/tex")
        self.check_fails(2, ["winoground/tex", *known], *arguments)

    def test_a_killed_sweep_continues_and_keeps_finished_points(self):
        out = self.folder / "killed"
        for point, how, code in ((POINTS[1], signal.SIGKILL, -signal.SIGKILL), (POINTS[2], signal.SIGINT, 130)):
            process = subprocess.Popen(
                [PROGRAM, *self.arguments(out, *GRID, "--resume")], stderr=subprocess.PIPE, text=True, cwd=ROOT
            )
            while process.poll() is None and logged_steps(out / point) < 2:
                time.sleep(0.001)
            process.send_signal(how)
            messages = process.communicate()[1]
            self.assertEqual(process.returncode, code, messages)
        done = out / POINTS[0] / "result.json"
        before = done.stat().st_mtime_ns
        states = [point["status"] for point in state_of(out)["points"]]
        self.assertEqual(states, ["done", "done", "pending", "pending"])
        self.check_succeeds(*self.arguments(out, *GRID, "--resume"))
        self.assertEqual(done.stat().st_mtime_ns, before)
        self.check_same_runs(out)

    def test_a_point_that_fails_is_recorded_and_the_others_run(self):
        out = self.folder / "failing"
        done = subprocess.run(
            [PROGRAM, *self.arguments(out, "--grid", "train.lr=1e30,1e-3", "--grid", "seed=0")],
            capture_output=True, text=True, cwd=ROOT,
        )  # fmt: skip
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertIn("1 of 2 points failed", done.stderr.splitlines()[-1])
        failed, good = state_of(out)["points"]
        self.assertEqual((failed["status"], good["status"]), ("failed", "done"))
        self.assertRegex(failed["failure"], "step .*expected a finite number")
        self.assertNotIn("value", failed)
        self.assertEqual(good["value"], metric_of(self.whole / POINTS[2]))
        self.assertEqual(state_of(out)["best"], good["name"])

    def test_a_wrong_grid_runs_nothing(self):
        out = self.folder / "nothing"
        for grid, parts in {
            "train.lr": ["key=value"],
            "train.lr=1e-4,1e-4": ["train.lr", "twice"],
            "train.lrr=1e-4": ["train.lrr=1e-4", "'lr'"],
            "train.lr=1e-4,fast": ["train.lr=fast", "a number"],
            "train.lr=1e-4,-1": ["train.lr=-1", "above 0"],
            "train.tune=layernorm,everything": ["train.tune=everything", "layernorm"],
        }.items():
            with self.subTest(grid):
                self.check_fails(2, parts, *self.arguments(out, "--grid", grid))
        self.check_fails(2, ["--grid"], *self.arguments(out))
        self.check_fails(2, ["winoground/text", "evaluate.benchmarks"],
                         *self.arguments(out, *GRID, "--metric", "winoground/text"))  # fmt: skip
        self.assertFalse(out.exists())

    def test_another_sweeps_folder_is_not_changed(self):
        self.check_fails(2, ["whole", "--resume"], *self.arguments(self.whole, *GRID))
        other = self.arguments(self.whole, *GRID, "--resume", "--set", "train.weight_decay=0")
        self.check_fails(2, ["config.yaml", "another run"], *other)


if __name__ == "__main__":
    main()
