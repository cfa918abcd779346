"""TensorBoard itself reads from a training run's event files the values of `log.jsonl`, also after a kill."""

import json
import logging
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
from program import PROGRAM, ROOT, ProgramTest, logged_steps, main, train_arguments
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

STEPS = 12


def scalars_of(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Returns steps and values per tag, as TensorBoard shows them."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def flattened(value: dict, prefix: str = "") -> dict[str, float]:
    numbers = {}
    for key, item in value.items():
        numbers |= flattened(item, f"{prefix}{key}/") if isinstance(item, dict) else {prefix + key: item}
    return numbers


class TensorBoard(ProgramTest):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        logging.getLogger("tensorboard").setLevel(logging.ERROR)  # it reports the events that it drops
        cls.world = cls.draw_world(train=48)

    def command(self, out: Path) -> list[str]:
        settings = {
            "train.steps": STEPS,
            "train.batch_size": 12,
            "train.checkpoint_every": 5,
            "train.evaluate_every": 6,
            "evaluate.benchmarks": "[winoground]",
            "evaluate.data": self.world,
            "evaluate.limit": 20,
            "sds.warmup_steps": 3,
            "train.diagnose_every": 4,
        }
        return [str(PROGRAM), *train_arguments(self.world, out, settings, "--quiet", "--resume")]

    def check_shows_the_log(self, out: Path) -> None:
        expected: dict[str, list[tuple[int, float]]] = {}
        for line in (out / "log.jsonl").read_text().splitlines():
            numbers = flattened(json.loads(line))
            step = numbers.pop("step")
            for tag, value in numbers.items():
                expected.setdefault(tag, []).append((step, float(np.float32(value))))
        for line in (out / "evaluations.jsonl").read_text().splitlines():
            evaluation = json.loads(line)
            for name, metric in evaluation["metrics"].items():
                value = float(np.float32(metric["value"]))
                expected.setdefault(f"evaluation/{name}", []).append((evaluation["step"], value))
        self.assertEqual(scalars_of(out / "tensorboard"), expected)
        self.assertEqual(len(expected["loss/total"]), STEPS)
        self.assertEqual([step for step, _ in expected["evaluation/winoground/text"]], [6, STEPS])

    def test_the_scalars_are_those_of_the_log(self):
        out = self.folder / "whole"
        self.check_succeeds(*self.command(out)[1:])
        self.check_shows_the_log(out)

    def test_steps_after_a_killed_runs_checkpoint_are_not_shown_twice(self):
        out = self.folder / "killed"
        for step in (2, 8):  # before the first checkpoint, and after one
            process = subprocess.Popen(self.command(out), stdout=subprocess.DEVNULL, cwd=ROOT)
            while process.poll() is None and logged_steps(out) < step:
                time.sleep(0.001)
            process.send_signal(signal.SIGKILL)
            self.assertEqual(process.wait(), -signal.SIGKILL)
            # A record that was half written when the process died.
            newest = max((out / "tensorboard").iterdir())
            newest.write_bytes(newest.read_bytes()[:-7])
        self.check_succeeds(*self.command(out)[1:])
        self.assertEqual(len(list((out / "tensorboard").iterdir())), 3)
        self.check_shows_the_log(out)


if __name__ == "__main__":
    main()
