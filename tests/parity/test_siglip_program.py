"""The whole program on a SigLIP-shaped bundle with a tokenizer as the hub has it, beside open_clip; and its bad input.

  test_siglip_program.py PROGRAM
"""

import hashlib
import json
import shutil
import subprocess
import sys
import unittest
from collections.abc import Callable
from pathlib import Path

import safetensors.torch
import torch
from open_clip.tokenizer import HFTokenizer

PROGRAM = sys.argv.pop(1)
sys.path.insert(0, str(Path(__file__).parent))

import model_support
from export_support import ExportTestCase, read_manifest, run_script
from hub_tokenizers import write_siglip
from tiny_timm import SIGLIP_CONFIGS

import export_clip
from sdsclip_export.clip_models import Weights, load_clip

SEED = 12
CONTEXT = SIGLIP_CONFIGS["tiny-siglip"]["text_cfg"]["context_length"]


def run(*arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, check=False)


class SiglipProgram(ExportTestCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        write_siglip(cls.scratch / "tokenizer")
        config = cls.write_json(cls, "tiny-siglip.json", SIGLIP_CONFIGS["tiny-siglip"])
        cls.bundle = cls.scratch / "bundle"
        command = (config, "--random", SEED, "--tokenizer", cls.scratch / "tokenizer", "--out", cls.bundle)
        code, _, stderr = run_script(export_clip, *command)
        assert code == 0, stderr
        cls.source = load_clip(str(config), Weights(random=SEED), None, None, cls.scratch / "tokenizer")
        cls.library = HFTokenizer(str(cls.scratch / "tokenizer"), CONTEXT, clean="canonicalize")
        done = run("synth", "--out", cls.scratch / "world", "--train", 24, "--quiet")
        assert done.returncode == 0, done.stderr

    def train(self, bundle: Path, *settings: str) -> subprocess.CompletedProcess:
        world = self.scratch / "world/coco"
        data = (f"data.annotations={world}/annotations/captions_train2017.json", f"data.images={world}/train2017")
        shared = (f"clip={bundle}", "sds.lambda=0", "train.steps=2", "train.batch_size=8", "train.lr=1e-2")
        command = ["train", "--config", "quickstart.yaml", "--quiet", "--out", self.scratch / "run"]
        shutil.rmtree(self.scratch / "run", ignore_errors=True)
        for setting in (*data, *shared, *settings):
            command += ["--set", setting]
        return run(*command)

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
        done = run("tokenize", "--bundle", self.bundle, *captions)
        self.assertEqual(done.returncode, 0, done.stderr)
        ids = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(ids, self.library(captions).tolist())
        texts = self.scratch / "captions.txt"
        texts.write_text("".join(caption + "\n" for caption in captions), encoding="utf-8")
        out = self.scratch / "embeds.safetensors"
        done = run("embed", "--clip", self.bundle, "--text", texts, "--out", out)
        self.assertEqual(done.returncode, 0, done.stderr)
        with torch.no_grad():
            expected = self.source.encode_text(self.library(captions))
        self.assert_close(safetensors.torch.load_file(out)["text_embeds"], expected, 1e-5)

    def test_the_sigmoid_loss_trains_the_bias_with_the_temperature(self) -> None:
        done = self.train(self.bundle, "contrastive.kind=sigmoid", "train.tune_temperature=true")
        self.assertEqual(done.returncode, 0, done.stderr)
        tuned = safetensors.torch.load_file(self.scratch / "run/tuned.safetensors")
        own = self.source.towers.state_dict()
        for name in ("logit_bias", "logit_scale"):
            self.assertFalse(torch.equal(tuned[name], own[name]), name)
        done = self.train(self.bundle, "train.tune_temperature=true")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("logit_bias", safetensors.torch.load_file(self.scratch / "run/tuned.safetensors"))

    def test_the_sigmoid_loss_needs_a_model_that_has_the_bias(self) -> None:
        done = self.train(Path("models/shapes-clip"), "contrastive.kind=sigmoid")
        self.expect_failure(done, 2, "contrastive.kind", "models/shapes-clip", "logit_bias")

    def test_damaged_files_are_named(self) -> None:
        def cut_model(_: dict, folder: Path) -> None:
            (folder / "tokenizer.model").write_bytes((self.bundle / "tokenizer.model").read_bytes()[:-7])

        def no_model(_: dict, folder: Path) -> None:
            (folder / "tokenizer.model").write_bytes(b"\x1b[31m\0 no model")

        def cut_charsmap(_: dict, folder: Path) -> None:
            (folder / "charsmap.bin").write_bytes(b"\x08\0")

        for change, parts in (
            (cut_model, ("tokenizer.model", "SentencePiece model")),
            (no_model, ("tokenizer.model", "SentencePiece model")),
            (cut_charsmap, ("tokenizer.model", "table of characters")),
        ):
            with self.subTest(change.__name__):
                self.expect_failure(run("tokenize", "--bundle", self.damaged(change), "a cat"), 3, *parts)

    def test_wrong_values_in_the_manifest_are_named(self) -> None:
        for values, parts in (
            ({"kind": "wordpiece2"}, ("tokenizer.kind", "wordpiece2", "clip_bpe or sentencepiece")),
            ({"kind": "clip_bpe", "clean": "open_clip", "sot": 0}, ("files", "no 'merges.txt'")),
            ({"algorithm": "words"}, ("tokenizer.algorithm", "words", "unigram or bpe")),
            ({"clean": "open_clip"}, ("tokenizer.clean", "open_clip", "canonicalize")),
            ({"model": "other.model"}, ("files", "no 'other.model'")),
            ({"vocab_size": 12}, ("tokenizer.vocab_size", "12")),
            ({"eot": 100_000}, ("100000",)),
        ):
            with self.subTest(**values):
                folder = self.damaged(lambda manifest, _, values=values: manifest["tokenizer"].update(values))
                self.expect_failure(run("tokenize", "--bundle", folder, "a cat"), 3, *parts)


if __name__ == "__main__":
    unittest.main()
