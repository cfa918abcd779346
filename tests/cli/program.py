"""Runs the program under test; its path is the first argument of each test file."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))

import world as world_support

PROGRAM = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "sdsclip"


# Fields that may differ between a run and the same run stopped and resumed.
TIMES = ("images_per_second", "wait_share", "peak_memory_bytes", "peak_gpu_memory_bytes")  # of a line of log.jsonl
COSTS = ("seconds", "seconds_a_match", "work")  # of result.json


def run(*arguments, stdin: str | None = None) -> subprocess.CompletedProcess:
    command = [str(PROGRAM), *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, cwd=ROOT)


def train_arguments(world: Path, out: Path, settings: dict[str, object], *more: object) -> list[str]:
    """`sdsclip train` with the quickstart's configuration on the pairs of `ProgramTest.draw_world`."""
    data = {
        "data.annotations": world / "coco/annotations/captions_train2017.json",
        "data.images": world / "coco/train2017",
    }
    words = ["train", "--config", "quickstart.yaml", "--threads", 1, "--out", out, *more]
    for key, value in (data | settings).items():
        words += ["--set", f"{key}={value}"]
    return [str(word) for word in words]


def logged_steps(out: Path) -> int:
    log = out / "log.jsonl"
    return log.read_bytes().count(b"\n") if log.exists() else 0


def untimed_log(out: Path) -> list[dict]:
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in TIMES} for line in lines]


def untimed_result(out: Path) -> dict:
    result = json.loads((out / "result.json").read_text())
    return {key: value for key, value in result.items() if key not in COSTS}


class ProgramTest(unittest.TestCase):
    """Gives each test class its own folder, and checks exit codes and messages."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.temporary = tempfile.TemporaryDirectory(prefix="sdsclip-test-")
        cls.folder = Path(cls.temporary.name)

    @classmethod
    def draw_world(cls, train: int = 8) -> Path:
        """Draws the shapes world with the given number of training images into the class's folder."""
        world = cls.folder / "world"
        world_support.draw_world(PROGRAM, world, train)
        return world

    @classmethod
    def tearDownClass(cls) -> None:
        cls.temporary.cleanup()

    def check_fails(self, code: int, parts: list[str], *arguments, stdin: str | None = None) -> None:
        """Checks that the run ends with `code` and one line on stderr that holds every part."""
        done = run(*arguments, stdin=stdin)
        self.assertEqual(done.returncode, code, done.stderr)
        lines = [line for line in done.stderr.splitlines() if " info " not in line]
        self.assertEqual(len(lines), 1, done.stderr)
        for part in parts:
            self.assertIn(part, lines[0])

    def check_succeeds(self, *arguments, stdin: str | None = None) -> str:
        done = run(*arguments, stdin=stdin)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout


def main() -> None:
    unittest.main(argv=sys.argv[:1])
