"""The whole program on a SigLIP-shaped bundle with a tokenizer as the hub has it, beside open_clip; and its bad input.

  test_siglip_program.py PROGRAM
"""

import shutil
import subprocess
import sys
import unittest
from pathlib import Path

import safetensors.torch
import torch

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import program_case
from hub_tokenizers import write_siglip
from tiny_timm import SIGLIP_CONFIGS
from world import draw_world

program_case.ProgramTestCase.program = sys.argv.pop(1)


class SiglipProgram(program_case.ProgramTestCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.export("tiny-siglip", SIGLIP_CONFIGS["tiny-siglip"], write_siglip)
        draw_world(cls.program, cls.scratch / "world", 24)

    def train(self, bundle: Path, *settings: str) -> subprocess.CompletedProcess:
        world = self.scratch / "world/coco"
        data = (f"data.annotations={world}/annotations/captions_train2017.json", f"data.images={world}/train2017")
        shared = (f"clip={bundle}", "sds.lambda=0", "train.steps=2", "train.batch_size=8", "train.lr=1e-2")
        command = ["train", "--config", "quickstart.yaml", "--quiet", "--out", self.scratch / "run"]
        shutil.rmtree(self.scratch / "run", ignore_errors=True)
        for setting in (*data, *shared, *settings):
            command += ["--set", setting]
        return self.run_program(*command)

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
                self.expect_failure(self.run_program("tokenize", "--bundle", self.damaged(change), "a cat"), 3, *parts)

    def test_wrong_values_in_the_manifest_are_named(self) -> None:
        for values, parts in (
            ({"kind": "wordpiece2"}, ("tokenizer.kind", "wordpiece2", "clip_bpe, sentencepiece or wordpiece")),
            ({"kind": "clip_bpe", "clean": "open_clip", "sot": 0}, ("files", "no 'merges.txt'")),
            ({"algorithm": "words"}, ("tokenizer.algorithm", "words", "unigram or bpe")),
            ({"clean": "open_clip"}, ("tokenizer.clean", "open_clip", "canonicalize")),
            ({"model": "other.model"}, ("files", "no 'other.model'")),
            ({"vocab_size": 12}, ("tokenizer.vocab_size", "12")),
            ({"eot": 100_000}, ("100000",)),
        ):
            with self.subTest(**values):
                folder = self.damaged(lambda manifest, _, values=values: manifest["tokenizer"].update(values))
                self.expect_failure(self.run_program("tokenize", "--bundle", folder, "a cat"), 3, *parts)


if __name__ == "__main__":
    unittest.main()
