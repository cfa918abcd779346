"""Shared with the parity tests: runs the exporters in this process, and the program."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "tests/parity"), str(ROOT / "tests/cli")]

from export_support import ExportTestCase, read_manifest, run_script
from program import run, train_arguments

__all__ = ["ROOT", "ExportTestCase", "export", "read_manifest", "run", "run_script", "train_arguments"]


def export(script, *arguments: object) -> None:
    """Runs an exporter and checks that it succeeds."""
    code, _, stderr = run_script(script, *arguments)
    assert code == 0, stderr
