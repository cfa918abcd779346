"""A training run killed at twenty random moments and resumed each time ends with the uninterrupted run's bits."""

import random
import re
import signal
import subprocess
import time
from pathlib import Path

from program import (
    PROGRAM, ROOT, ProgramTest, logged_steps, main, train_arguments, untimed_log, untimed_result,
)  # fmt: skip

SEED = 20
KILLS = 20
PAIRS, BATCH = 90, 12  # seven steps per epoch, and six pairs left over
STEPS = 45
CHECKPOINT_EVERY = 3
SETTINGS = {
    "train.steps": STEPS,
    "train.batch_size": BATCH,
    "train.micro_batch_clip": 8,
    "train.micro_batch_unet": 8,
    "train.checkpoint_every": CHECKPOINT_EVERY,
    "train.evaluate_every": 10,
    "sds.warmup_steps": 3,
    "evaluate.benchmarks": "[winoground]",
    "evaluate.limit": 20,
}


def files_of(out: Path) -> set[str]:
    """Leaves out event files, because each start of a run writes a new one."""
    names = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    return {name for name in names if "tfevents" not in name}


class TrainKills(ProgramTest):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.world = cls.draw_world(train=PAIRS)

    def command(self, out: Path) -> list[str]:
        return [str(PROGRAM), *train_arguments(self.world, out, SETTINGS | {"evaluate.data": self.world}, "--resume")]

    def kill_once(self, out: Path, step: int, delay: float) -> int:
        """Continues the run, kills it `delay` s after that step is logged, and returns the step it continued after."""
        process = subprocess.Popen(
            self.command(out), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=ROOT
        )
        while logged_steps(out) < step and process.poll() is None:
            time.sleep(0.001)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        messages = process.communicate()[1]
        self.assertEqual(process.returncode, -signal.SIGKILL, f"the run ended before it could be killed: {messages}")
        went_on = re.search(r"continues after step (\d+)", messages)
        return int(went_on[1]) if went_on else -1

    def test_twenty_kills_change_no_bit(self):
        whole, broken = self.folder / "whole", self.folder / "broken"
        start = time.monotonic()
        done = subprocess.run(self.command(whole), capture_output=True, text=True, cwd=ROOT)
        self.assertEqual(done.returncode, 0, done.stderr)
        elapsed = time.monotonic() - start

        draws = random.Random(SEED)
        # The last steps are left out, so that the run cannot end before the signal. If a step is already in the log,
        # the kill comes while the program starts.
        steps = sorted(draws.choices(range(STEPS - 8), k=KILLS))
        reached, redone = 0, []
        for step in steps:
            went_on = self.kill_once(broken, step, delay=draws.uniform(0, 2 * elapsed / STEPS))
            if went_on >= 0:
                redone.append(reached - went_on)
            reached = logged_steps(broken)
        done = subprocess.run(self.command(broken), capture_output=True, text=True, cwd=ROOT)
        self.assertEqual(done.returncode, 0, done.stderr)
        redone.append(reached - int(re.search(r"continues after step (\d+)", done.stderr)[1]))

        print(f"killed after steps {steps}; {sum(redone)} steps done twice, at most {max(redone)} a kill")
        self.assertGreater(len(redone), KILLS // 2, "most processes should have come as far as their first step")
        self.assertLessEqual(max(redone), CHECKPOINT_EVERY)
        for file in ("tuned.safetensors", "best.safetensors", "evaluations.jsonl"):
            self.assertEqual((broken / file).read_bytes(), (whole / file).read_bytes(), file)
        self.assertEqual(untimed_log(broken), untimed_log(whole))
        self.assertEqual(untimed_result(broken), untimed_result(whole))
        self.assertEqual(files_of(broken), files_of(whole))


if __name__ == "__main__":
    main()
