"""The whole program on a bundle whose tokenizer comes from the hub."""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import model_support
import safetensors.torch
import torch
from export_support import ExportTestCase, read_manifest, run_script
from open_clip.tokenizer import HFTokenizer

import export_clip
from sdsclip_export.clip_models import Weights, load_clip

SEED = 12


class ProgramTestCase(ExportTestCase):
    """One bundle, made by `export` in `setUpClass`, and damaged copies of it."""

    program: str  # its path

    @classmethod
    def export(cls, name: str, config: dict, write_tokenizer: Callable[[Path], None]) -> None:
        """Exports the open_clip configuration with random weights and the tokenizer that `write_tokenizer` makes."""
        folder = cls.scratch / "tokenizer"
        write_tokenizer(folder)
        path = cls.write_json(cls, f"{name}.json", config)
        cls.bundle = cls.scratch / "bundle"
        code, _, stderr = run_script(export_clip, path, "--random", SEED, "--tokenizer", folder, "--out", cls.bundle)
        assert code == 0, stderr
        cls.source = load_clip(str(path), Weights(random=SEED), None, None, folder)
        text = config["text_cfg"]
        cls.library = HFTokenizer(str(folder), text["context_length"], **text["tokenizer_kwargs"])

    @classmethod
    def run_program(cls, *arguments: object) -> subprocess.CompletedProcess:
        return subprocess.run([cls.program, *map(str, arguments)], capture_output=True, text=True, check=False)

    def damaged(self, change: Callable[[dict, Path], None]) -> Path:
        """A copy of the bundle after `change(manifest, folder)`, with sizes and digests that hold."""
        folder = self.scratch / "damaged"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.bundle, folder)
        manifest = read_manifest(folder)
        change(manifest, folder)
        for name, entry in manifest["files"].items():
            data = (folder / name).read_bytes()
            entry |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        (folder / "bundle.json").write_text(json.dumps(manifest))
        return folder

    def expect_failure(self, done: subprocess.CompletedProcess, code: int, *parts: str) -> None:
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertTrue(done.stderr.strip().isprintable(), done.stderr)
        for part in parts:
            self.assertIn(part, done.stderr)

    def test_ids_and_embeddings_equal_the_librarys(self) -> None:
        captions = [caption for caption in model_support.CAPTIONS if caption]
        done = self.run_program("tokenize", "--bundle", self.bundle, *captions)
        self.assertEqual(done.returncode, 0, done.stderr)
        ids = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(ids, self.library(captions).tolist())
        texts = self.scratch / "captions.txt"
        texts.write_text("".join(caption + "\n" for caption in captions), encoding="utf-8")
        out = self.scratch / "embeds.safetensors"
        done = self.run_program("embed", "--clip", self.bundle, "--text", texts, "--out", out)
        self.assertEqual(done.returncode, 0, done.stderr)
        with torch.no_grad():
            expected = self.source.encode_text(self.library(captions))
        self.assert_close(safetensors.torch.load_file(out)["text_embeds"], expected, 1e-5)
