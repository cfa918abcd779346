"""A training run that is killed half-way and resumed leaves what the uninterrupted run leaves, bit for bit."""

import signal
import subprocess
import time
from pathlib import Path

from program import PROGRAM, ROOT, ProgramTest, logged_steps, main, train_arguments, untimed_log

STEPS = 24
CHECKPOINT_EVERY = 5


class Resume(ProgramTest):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.world = cls.draw_world(train=96)
        cls.whole = cls.folder / "whole"
        subprocess.run(cls.command(cls.whole), check=True, capture_output=True, cwd=ROOT)

    @classmethod
    def command(cls, out: Path, *more: str) -> list[str]:
        settings = {
            "train.steps": STEPS,
            "train.batch_size": 12,
            "train.micro_batch_unet": 8,
            "train.checkpoint_every": CHECKPOINT_EVERY,
            "sds.warmup_steps": 3,
        }
        return [str(PROGRAM), *train_arguments(cls.world, out, settings, *more)]

    def stop_at(self, out: Path, step: int, how: signal.Signals) -> int:
        """Starts a run, sends the signal when that many steps are logged, and returns the exit code."""
        process = subprocess.Popen(self.command(out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
        while logged_steps(out) < step and process.poll() is None:
            time.sleep(0.005)
        self.assertIsNone(process.poll(), "the run ended before it could be stopped")
        process.send_signal(how)
        return process.wait()

    def check_resumed(self, out: Path, steps_before: int) -> None:
        done = subprocess.run(self.command(out, "--resume"), capture_output=True, text=True, cwd=ROOT)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((out / "tuned.safetensors").read_bytes(), (self.whole / "tuned.safetensors").read_bytes())
        self.assertEqual(untimed_log(out), untimed_log(self.whole))
        row = next(line for line in done.stdout.splitlines() if line.startswith("steps in this process"))
        again = int(row.split()[-1])
        self.assertLessEqual(steps_before + again, STEPS + CHECKPOINT_EVERY)

    def test_killed_half_way(self):
        out = self.folder / "killed"
        self.assertEqual(self.stop_at(out, STEPS // 2, signal.SIGKILL), -signal.SIGKILL)
        self.check_resumed(out, logged_steps(out))

    def test_killed_before_the_first_checkpoint(self):
        out = self.folder / "killed-early"
        self.stop_at(out, 2, signal.SIGKILL)
        self.check_resumed(out, logged_steps(out))

    def test_interrupted_saves_its_state_and_exits_130(self):
        out = self.folder / "interrupted"
        self.assertEqual(self.stop_at(out, STEPS // 2, signal.SIGTERM), 130)
        steps = logged_steps(out)
        self.assertTrue((out / "checkpoints" / f"step-{steps}" / "state.json").exists())
        self.check_resumed(out, steps)


if __name__ == "__main__":
    main()
