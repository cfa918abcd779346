"""Shared by the exporters' tests: runs an exporter in a scratch folder and reads what it wrote."""

import hashlib
import io
import json
import sys
import tempfile
import unittest
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import ModuleType

import torch

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))

torch.set_num_threads(1)  # the models are tiny; more threads than free cores only wait for each other

TINY_TEXT = {"context_length": 20, "vocab_size": 49408, "width": 32, "heads": 4, "layers": 2}
TINY_VISION = {"image_size": 32, "patch_size": 8, "width": 32, "head_width": 16, "layers": 2}


class ExportTestCase(unittest.TestCase):
    """A test with a scratch folder, which is removed afterwards."""

    @classmethod
    def setUpClass(cls) -> None:
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        cls.scratch = Path(scratch.name)

    def write_json(self, name: str, value: object) -> Path:
        path = self.scratch / name
        path.write_text(json.dumps(value), encoding="utf-8")
        return path

    def expect_error(self, script: ModuleType, exit_code: int, message: str, *arguments: object) -> None:
        """Checks that the script fails with `exit_code` and one line that holds `message`, and leaves no bundle."""
        before = set(self.scratch.iterdir())
        code, _, stderr = run_script(script, *arguments)
        self.assertEqual(code, exit_code, stderr)
        lines = [line for line in stderr.splitlines() if line.startswith("error: ")]
        self.assertEqual(len(lines), 1, stderr)
        self.assertIn(message, lines[0])
        self.assertEqual(set(self.scratch.iterdir()), before)

    def assert_close(self, actual: torch.Tensor, expected: torch.Tensor, tolerance: float) -> None:
        """Returns the largest difference, in units of the expected values' spread around their mean."""
        self.assertEqual(actual.shape, expected.shape)
        expected = expected.detach()
        spread = (expected - expected.mean()).abs().max()
        self.assertLessEqual(float((actual.detach().float() - expected).abs().max() / spread), tolerance)

    def assert_manifest_matches_files(self, bundle: Path) -> None:
        manifest = read_manifest(bundle)
        self.assertEqual(set(manifest["files"]) | {"bundle.json"}, {path.name for path in bundle.iterdir()})
        for name, entry in manifest["files"].items():
            data = (bundle / name).read_bytes()
            self.assertEqual(entry, {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}, name)

    def assert_no_machine_names(self, bundle: Path) -> None:
        """Checks that TorchScript's debug records hold no paths of the exporting machine."""
        for path in bundle.iterdir():
            data = path.read_bytes()
            for fragment in (b"site-packages", str(SCRIPTS.parent).encode(), b"debug_pkl"):
                self.assertNotIn(fragment, data, path.name)


def run_script(script: ModuleType, *arguments: object) -> tuple[int, str, str]:
    """Runs an exporter in this process; returns its exit code, stdout and stderr."""
    from sdsclip_export.errors import run_main

    stdout, stderr, argv = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = [script.__name__, *map(str, arguments)]
    try:
        with redirect_stdout(stdout), redirect_stderr(stderr):
            run_main(script.main)
        code = 0
    except SystemExit as error:
        code = error.code
    finally:
        sys.argv = argv
    return code, stdout.getvalue(), stderr.getvalue()


def read_manifest(bundle: Path) -> dict:
    return json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))


def load_bfloat16(path: Path) -> torch.jit.ScriptModule:
    """Loads a graph and casts only its floating-point tensors, as the C++ side does."""
    module = torch.jit.load(str(path))
    for tensor in [*module.parameters(), *module.buffers()]:
        if tensor.is_floating_point():
            tensor.data = tensor.data.bfloat16()
    return module
