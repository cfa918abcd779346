"""One process writes a run's folder at a time, and --resume recognizes a run by the values of its options."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from program import PROGRAM, ROOT, ProgramTest, logged_steps, main, run, train_arguments

SETTINGS = {"train.steps": 400, "train.batch_size": 8, "train.checkpoint_every": 1, "sds.lambda": 0}


class RunFolders(ProgramTest):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.world = cls.draw_world(train=16)

    def train(self, out: Path, *more: str, **settings: object) -> list[str]:
        return train_arguments(self.world, out, SETTINGS | settings, "--quiet", *more)

    def start(self, *arguments: object) -> subprocess.Popen:
        return subprocess.Popen(
            [str(PROGRAM), *map(str, arguments)], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def test_a_second_process_ends_at_once_and_names_the_first(self):
        out = self.folder / "twice"
        first = self.start(*self.train(out))
        while logged_steps(out) < 2 and first.poll() is None:
            time.sleep(0.01)
        who = [str(out), f"process {first.pid} on {os.uname().nodename} since 2", "train --config"]
        for more in ([], ["--resume"]):
            self.check_fails(2, who, *self.train(out, *more))
        scoring = ["eval", "winoground", "--data", self.world / "winoground", "--out", out]
        self.check_fails(2, who, *scoring)
        self.check_fails(2, who, "diffusion-score", *scoring[1:])
        self.assertIsNone(first.poll())
        first.send_signal(signal.SIGKILL)
        first.wait()
        first.stderr.close()
        # The lock file of a killed process blocks nobody, and the next process removes it.
        self.assertTrue((out / ".lock").exists())
        interrupted = self.start(*self.train(out, "--resume"))
        steps = logged_steps(out)
        while logged_steps(out) <= steps and interrupted.poll() is None:
            time.sleep(0.01)
        interrupted.send_signal(signal.SIGTERM)
        self.assertEqual(interrupted.communicate()[1].count("\n"), 1)
        self.assertEqual(interrupted.returncode, 130)
        self.assertFalse((out / ".lock").exists())

    def test_a_second_sweep_ends_at_once(self):
        out = self.folder / "sweeps"
        words = ["sweep", *self.train(out)[1:], "--grid", "seed=0,1"]
        first = self.start(*words)
        while logged_steps(out / "seed=0") < 1 and first.poll() is None:
            time.sleep(0.01)
        self.check_fails(2, [str(out), f"process {first.pid}", "sweep --config"], *words, "--resume")
        self.check_fails(2, ["seed=0", f"process {first.pid}"], *self.train(out / "seed=0", "--resume"))
        first.send_signal(signal.SIGKILL)
        first.communicate()

    def test_the_command_lines_precision_wins_even_if_it_is_the_default(self):
        for given, expected in ((["--precision", "fp32"], "fp32"), ([], "bf16"), (["--precision", "fp16"], "fp16")):
            words = ["train", "--config", "quickstart.yaml", "--set", "train.precision=bf16", *given]
            self.assertIn(f"precision: {expected}\n", self.check_succeeds(*words, "--print-config"))

    def test_numbers_that_no_run_can_use_are_refused_before_the_first_step(self):
        out = self.folder / "numbers"
        for key, value, part in (
            ("train.grad_clip_norm", ".inf", "finite"),
            ("sds.t_max", ".inf", "finite"),
            ("train.lr", "1e999", "finite"),
            ("train.checkpoint_minutes", ".nan", "finite"),
            ("train.epochs", "1e300", "train.epochs"),
            ("train.batch_size", str(2**62), "train.batch_size"),
            ("sds.samples", str(2**62), "sds.samples"),
            ("data.workers", "100000", "data.workers"),
            ("train.micro_batch_clip", str(2**63 - 1), f"at most {2**31}"),
            ("train.steps", str(2**63 - 1), f"0 to {2**31 - 1}"),
            ("train.keep_checkpoints", "0", f"1 to {2**31 - 1}"),
            ("train.lora.rank", str(2**40), "1 to 65536"),
            ("evaluate.limit", str(2**40), f"0 to {2**31 - 1}"),
        ):
            more = {"train.steps": 0} if key == "train.epochs" else {}
            shown = value.replace("1e300", "1e+300")
            self.check_fails(2, [key, shown, part], *self.train(out, **{key: value}, **more))
        self.check_fails(2, ["--threads"], *self.train(out), "--threads", str(2**32 + 1))
        # A number so small that only some conversions accept it must not fail at the end.
        self.check_succeeds(*self.train(out, **{"train.steps": 1, "train.weight_decay": "1e-310"}))

    def test_an_option_that_has_no_effect_is_named(self):
        out = self.folder / "unused"
        settings = {"train.steps": 1, "train.lora.targets": "[mlp]", "train.evaluate_every": 5}
        done = run(*self.train(out, **settings))
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = done.stderr.splitlines()
        self.assertEqual(len(lines), 2, done.stderr)
        self.assertRegex(lines[0], "train.lora.targets is set but has no effect, as train.tune is not lora")
        self.assertRegex(lines[1], "train.evaluate_every is set .* evaluate.benchmarks is empty")

    def test_a_complete_run_given_again_prints_what_it_has_stored(self):
        out = self.folder / "complete"
        short = {"train.steps": 2}
        first = run(*self.train(out, **short))
        self.assertIn("steps in this process", first.stdout)
        result = out / "result.json"
        stored = json.loads(result.read_text()) | {"seconds": 1234.5}
        result.write_text(json.dumps(stored))
        arguments = [word for word in self.train(out, **short) if word != "--quiet"]
        for more in ([], ["--resume"]):
            again = run(*arguments, *more)
            self.assertEqual(again.returncode, 0, again.stderr)
            self.assertRegex(again.stdout, r"seconds +1234\.5\n")
            self.assertNotIn("this process", again.stdout)
            self.assertNotIn("continues", again.stderr)
            self.assertEqual(again.stderr.count("had finished already"), 1)
            self.assertEqual(json.loads(result.read_text()), stored)
        result.write_text("{")
        self.assertRegex(run(*arguments).stderr, "result.json.* it is written again")
        self.assertEqual(json.loads(result.read_text())["metrics"], stored["metrics"])

    def test_a_wrong_metric_is_refused_before_the_first_step(self):
        out = self.folder / "metric"
        evaluate = {"evaluate.benchmarks": "[winoground]", "evaluate.data": self.world, "evaluate.limit": 4}
        settings = evaluate | {"evaluate.metric": "winoground/grup"}
        self.check_fails(2, ["evaluate.metric", "winoground/group"], *self.train(out, **settings))
        words = ["sweep", *self.train(out, **evaluate)[1:], "--grid", "seed=0,1"]
        for metric, meant in (("winoground/grup", "winoground/group"), ("train/last_loss/sds", "train/last_loss/total")):
            self.check_fails(2, ["--metric", metric, meant], *words, "--metric", metric)
        self.assertFalse(out.exists())

    def test_another_run_is_refused_option_by_option(self):
        out = self.folder / "other"
        short = {"train.steps": 2}
        self.check_succeeds(*self.train(out, **short))
        config = out / "config.yaml"
        # The file as an older version wrote it.
        config.write_text(config.read_text().replace("  keep_checkpoints: 2\n", "").replace("rank:\n", "rank: {}\n#"))
        text = config.read_text()
        config.write_text("\n".join(line for line in text.splitlines() if "temperature: 0.01" not in line
                                    and "targets: \"\"" not in line) + "\n")  # fmt: skip
        self.check_succeeds(*self.train(out, "--resume", **short, **{"train.micro_batch_clip": 4}))
        wrong = short | {"train.lr": 1, "sds.t_min": 0.25}
        parts = ["another run", "train.lr was", "and is 1 now", "sds.t_min was 0.5 and is 0.25 now"]
        self.check_fails(2, parts, *self.train(out, "--resume", **wrong))
        done = run(*train_arguments(self.world, out, SETTINGS | short | {"train.micro_batch_clip": 2}, "--resume"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, "train.micro_batch_clip was 4 and is 2 now; .* last bits may differ")


if __name__ == "__main__":
    main()
