"""export_clip.py on models whose image tower comes from timm, tiny ones of each family, and on open_clip's whole list."""

import json
import re
import sys
import unittest
from pathlib import Path
from unittest import mock

import open_clip

sys.path.insert(0, str(Path(__file__).parent))

import test_export_clip
from export_support import ExportTestCase, read_manifest
from hub_tokenizers import write_bert, write_siglip, write_siglip2
from tiny_clips import CLIPA_CONFIGS
from tiny_timm import SIGLIP_CONFIGS, TIMM_CONFIGS

import export_clip
from sdsclip_export.clip_models import Weights, _open_clip_image, _preprocessing_of
from sdsclip_export.errors import ExportError
from sdsclip_export.exportable import reason_against

MODELS_PAGE = Path(__file__).resolve().parents[2] / "docs" / "models.md"


class TimmExport(test_export_clip.ExportedModels, ExportTestCase):
    """Each family of image towers."""

    configs = TIMM_CONFIGS


class SiglipExport(test_export_clip.ExportedModels, ExportTestCase):
    """SigLIP and SigLIP 2, with tokenizers as the hub has them."""

    configs = SIGLIP_CONFIGS

    @classmethod
    def tokenizer_of(cls, name: str) -> Path:
        folder = cls.scratch / f"tokenizer-{name}"
        if not folder.exists():
            (write_siglip2 if name.endswith("2") else write_siglip)(folder)
        return folder

    def test_bundles_hold_the_bias_and_the_tokenizer(self) -> None:
        for name, algorithm, pad in (("tiny-siglip", "unigram", 1), ("tiny-siglip2", "bpe", 0)):
            with self.subTest(name):
                tokenizer = read_manifest(self.bundle[name])["tokenizer"]
                self.assertEqual((tokenizer["kind"], tokenizer["algorithm"]), ("sentencepiece", algorithm))
                self.assertEqual((tokenizer["eot"], tokenizer["pad"], tokenizer["sot"]), (1, pad, -1))
                self.assertFalse(tokenizer["any_length"])
                self.assertTrue((self.bundle[name] / tokenizer["model"]).exists())
                self.assertIn("logit_bias", dict(self.exported[name].named_parameters()))


class ClipaExport(test_export_clip.ExportedModels, ExportTestCase):
    """CLIPA, with BERT's tokenizer as the hub has it."""

    configs = CLIPA_CONFIGS

    @classmethod
    def tokenizer_of(cls, name: str) -> Path:
        folder = cls.scratch / "tokenizer"
        if not folder.exists():
            write_bert(folder)
        return folder

    def test_the_bundle_holds_the_vocabulary(self) -> None:
        tokenizer = read_manifest(self.bundle["tiny-clipa"])["tokenizer"]
        self.assertEqual((tokenizer["kind"], tokenizer["clean"]), ("wordpiece", "whitespace"))
        self.assertEqual((tokenizer["sot"], tokenizer["eot"], tokenizer["pad"]), (101, 0, 0))
        self.assertFalse(tokenizer["any_length"])
        written = (self.bundle["tiny-clipa"] / tokenizer["vocab"]).read_bytes()
        self.assertEqual(written, (self.scratch / "tokenizer/vocab.txt").read_bytes())


class Refusals(ExportTestCase):
    """What does not export is named with the reason, before anything is downloaded."""

    def setUp(self) -> None:
        self.out = self.scratch / "out"

    def test_models_of_open_clips_list(self) -> None:
        with mock.patch("huggingface_hub.file_download.hf_hub_download", side_effect=AssertionError("a download")):
            for name, reason in (
                ("roberta-ViT-B-32", "its text tower is roberta-base of transformers"),
                ("nllb-clip-base-siglip", "its text tower is facebook/nllb-200-distilled-600M"),
                ("ViT-H-14-worldwide", "its tokenizer is facebook/xlm-v-base"),
            ):
                with self.subTest(name):
                    self.expect_error(export_clip, 3, f"{name}: {reason}", name, "--random", 0, "--out", self.out)

    def test_the_documented_counts_are_those_of_open_clips_list(self) -> None:
        reasons = [reason_against(open_clip.get_model_config(name)) or "| yes |" for name, _ in open_clip.list_pretrained()]
        page = MODELS_PAGE.read_text(encoding="utf-8")
        rows = [line for line in page.splitlines() if re.match(r"\| \d+[^|]* \| (yes|no) \|", line)]
        counted = 0
        for words in ("| yes |", "XLM-V", "text tower"):
            (row,) = (row for row in rows if words in row)
            expected = sum(words in reason for reason in reasons)
            self.assertEqual(int(row.split()[1]), expected, words)
            counted += expected
        self.assertEqual(counted, len(reasons))

    def test_the_documented_commands_name_weights_that_open_clip_knows(self) -> None:
        section = MODELS_PAGE.read_text(encoding="utf-8").split("## Other students")[1].split("\n## ")[0]
        rows = re.findall(r"\| `(\S+) --pretrained (\S+) --out models/(\S+)` \|", section)
        self.assertGreater(len(rows), 5)
        for name, tag, out in rows:
            with self.subTest(name):
                self.assertIn((name, tag), open_clip.list_pretrained())
                self.assertIsNone(reason_against(open_clip.get_model_config(name)))
                self.assertEqual(out, f"{name}-{tag}")

    def test_tokenizers(self) -> None:
        siglip = self.write_json("tiny-siglip.json", SIGLIP_CONFIGS["tiny-siglip"])
        command = (siglip, "--random", 0, "--out", self.out, "--tokenizer")
        self.expect_error(export_clip, 3, "no tokenizer from", *command, self.scratch)
        bert = self.scratch / "bert"
        write_bert(bert)
        self.expect_error(export_clip, 3, "goes with clean='canonicalize'", *command, bert)
        left = self.scratch / "left"
        write_siglip(left)
        config = json.loads((left / "tokenizer_config.json").read_text())
        (left / "tokenizer_config.json").write_text(json.dumps(config | {"padding_side": "left"}))
        self.expect_error(export_clip, 3, "pads or cuts on the left", *command, left)
        small = SIGLIP_CONFIGS["tiny-siglip"]["text_cfg"] | {"vocab_size": 100}
        few = self.write_json("few-siglip.json", SIGLIP_CONFIGS["tiny-siglip"] | {"text_cfg": small})
        whole = self.scratch / "whole"
        write_siglip(whole)
        self.expect_error(export_clip, 3, "100 token embeddings", few, *command[1:], whole)

    def test_wordpiece_tokenizers(self) -> None:
        clipa = CLIPA_CONFIGS["tiny-clipa"]
        command = ("--random", 0, "--out", self.out, "--tokenizer")
        configs = {"tiny-clipa": self.write_json("tiny-clipa.json", clipa)}
        for name, changes in (
            ("few-clipa", {"vocab_size": 100}),
            ("lower-clipa", {"tokenizer_kwargs": {"strip_sep_token": True, "clean": "lower"}}),
            ("fox-clipa", {"tokenizer_kwargs": {"strip_sep_token": True, "language": "x"}}),
        ):
            configs[name] = self.write_json(f"{name}.json", clipa | {"text_cfg": clipa["text_cfg"] | changes})
        whole, cased, named = (self.scratch / f"bert-{name}" for name in ("whole", "cased", "named"))
        for folder in (whole, cased, named):
            write_bert(folder)
        (cased / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer", "do_lower_case": false}')
        (named / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer", "mask_token": "<mask>"}')
        siglip = self.scratch / "siglip-folder"
        write_siglip(siglip)
        for name, folder, message in (
            ("few-clipa", whole, "the model has 100 token embeddings"),
            ("lower-clipa", whole, "goes with clean='lower'"),
            ("fox-clipa", whole, "has the option language"),
            ("tiny-clipa", cased, "has the normalizer"),
            ("tiny-clipa", named, "has the added tokens"),
            ("tiny-clipa", siglip, "has the option strip_sep_token"),
        ):
            with self.subTest(message):
                self.expect_error(export_clip, 3, message, configs[name], *command, folder)

    def test_options_that_do_not_go_together(self) -> None:
        siglip = self.write_json("tiny-siglip.json", SIGLIP_CONFIGS["tiny-siglip"])
        command = ("--random", 0, "--out", self.out)
        self.expect_error(export_clip, 2, "leave out --merges", siglip, *command, "--merges", siglip)
        self.expect_error(export_clip, 2, "leave out --tokenizer", "ViT-B-32", *command, "--tokenizer", self.scratch)


class Preprocessing(ExportTestCase):
    """The image part of a bundle is open_clip's preprocessing, or the export is refused."""

    def image(self, **changes: object) -> dict:
        own = {"size": 224, "mean": (0.5,) * 3, "std": (0.5,) * 3, "interpolation": "bicubic", "resize_mode": "squash"}
        return _open_clip_image("model", own | changes)

    def test_every_pretrained_tag_is_known(self) -> None:
        for name, tag in open_clip.list_pretrained():
            with self.subTest(name, tag=tag):
                given = open_clip.get_pretrained_cfg(name, tag)
                keys = ("mean", "std", "interpolation", "resize_mode")
                image = self.image(**{key: given[key] for key in keys})
                self.assertEqual(image["interpolation"], given["interpolation"])
                self.assertEqual(image["mean"], list(given["mean"]))

    def test_unsupported_parts_are_named(self) -> None:
        for changes in ({"resize_mode": "longest"}, {"interpolation": "nearest"}, {"size": (224, 256)}):
            with self.subTest(**changes), self.assertRaisesRegex(ExportError, "expected a square, bicubic or bilinear"):
                self.image(**changes)

    def test_weights_from_a_file_are_preprocessed_as_all_tags_of_the_model_are(self) -> None:
        class Model:
            class visual:  # noqa: N801
                preprocess_cfg = {"size": 256, "mean": (1.0,) * 3, "std": (1.0,) * 3} | {
                    "interpolation": "bicubic", "resize_mode": "shortest"
                }  # fmt: skip

        of_a_file = _preprocessing_of("ViT-B-16-SigLIP", Weights(checkpoint=Path("x.pt")), Model)
        self.assertEqual((of_a_file["resize_mode"], of_a_file["mean"]), ("squash", (0.5,) * 3))
        mobile = _preprocessing_of("MobileCLIP-S1", Weights(random=0), Model)
        self.assertEqual((mobile["interpolation"], mobile["std"]), ("bilinear", (1.0,) * 3))
        of_a_tag = _preprocessing_of("ViT-B-16-SigLIP", Weights(pretrained="webli"), Model)
        self.assertEqual(of_a_tag, Model.visual.preprocess_cfg)


if __name__ == "__main__":
    unittest.main()
