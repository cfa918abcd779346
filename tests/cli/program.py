"""Runs the program under test; its path is the first argument of each test file."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "sdsclip"


def run(*arguments, stdin: str | None = None) -> subprocess.CompletedProcess:
    command = [str(PROGRAM), *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, cwd=ROOT)


class ProgramTest(unittest.TestCase):
    """A folder of its own for each test class, and checks of exit code and message."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.temporary = tempfile.TemporaryDirectory(prefix="sdsclip-test-")
        cls.folder = Path(cls.temporary.name)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.temporary.cleanup()

    def check_fails(self, code: int, parts: list[str], *arguments, stdin: str | None = None) -> None:
        """The run must end with `code` and one line on stderr that holds every part."""
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
