"""Exports CLIP from transformers folders as on the hub, and compares it with transformers."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for `python -m unittest PATH`, which leaves it out

import torch
import transformers
from support import ExportTestCase, export, read_manifest, run

import export_clip
import hub_clips
from sdsclip_export import verify

TEXTS = ["a cat", "two dogs on a sofa, asleep", "", "don't", "a photo of 12 caf\u00e9s", "wow ! !! ...", "  A  B "]


class ClipFolders(ExportTestCase):
    def assert_like_transformers(self, folder: Path, bundle: Path, variant: str | None = None) -> None:
        """Checks that embeddings equal transformers' with its own ids, and that `sdsclip tokenize` gives these ids."""
        model = transformers.CLIPModel.from_pretrained(folder, dtype=torch.float32, variant=variant)
        tokenizer = transformers.CLIPTokenizer.from_pretrained(folder)
        ids = torch.tensor(tokenizer(TEXTS, padding="max_length", max_length=77, truncation=True).input_ids)
        pixels = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        exported = verify.load_exported(bundle / "clip.ts")
        with torch.no_grad():
            image = model.get_image_features(pixel_values=pixels).pooler_output
            text = model.get_text_features(input_ids=ids).pooler_output
            self.assert_close(exported.encode_image(pixels), image, 1e-5)
            self.assert_close(exported.encode_text(ids), text, 1e-5)
        self.assertTrue(torch.equal(exported.logit_scale, model.logit_scale))
        printed = run("tokenize", "--bundle", bundle, *TEXTS).stdout.splitlines()
        self.assertEqual([eval(line) for line in printed], ids.tolist())  # noqa: S307

    def test_openais_folders_export_what_they_mean(self) -> None:
        folder, out = self.scratch / "openai", self.scratch / "openai-bundle"
        hub_clips.write_clip_folder(folder, hub_clips.openai_config())
        export(export_clip, folder, "--out", out)
        manifest = read_manifest(out)
        self.assertEqual((manifest["activation"], manifest["embed_dim"]), ("quick_gelu", 24))
        self.assertEqual(manifest["tokenizer"]["pad"], 49407)
        self.assertEqual(manifest["image"]["size"], 32)
        self.assertEqual(manifest["image"]["crop_rounding"], "floor")  # as transformers crops
        self.assert_like_transformers(folder, out)

    def test_laions_folders_export_what_they_mean(self) -> None:
        folder, out = self.scratch / "laion", self.scratch / "laion-bundle"
        hub_clips.write_clip_folder(folder, hub_clips.laion_config(), pad="!", name="model.safetensors")
        export(export_clip, folder, "--out", out)
        manifest = read_manifest(out)
        self.assertEqual((manifest["activation"], manifest["embed_dim"]), ("gelu", 24))
        self.assertEqual(manifest["tokenizer"]["pad"], 0)
        self.assert_like_transformers(folder, out)

    def test_half_precision_files_ask_for_their_variant(self) -> None:
        for suffix in ("safetensors", "bin"):
            with self.subTest(suffix):
                stem = "model" if suffix == "safetensors" else "pytorch_model"
                folder, out = self.scratch / f"half-{suffix}", self.scratch / f"half-bundle-{suffix}"
                hub_clips.write_clip_folder(folder, hub_clips.laion_config(), name=f"{stem}.fp16.{suffix}", half=True)
                self.expect_error(export_clip, 3, "add --variant fp16", folder, "--out", out)
                export(export_clip, folder, "--variant", "fp16", "--out", out)
                self.assert_like_transformers(folder, out, variant="fp16")

    def test_half_precision_under_the_plain_name_exports_in_full(self) -> None:
        folder, out = self.scratch / "plain-half", self.scratch / "plain-half-bundle"
        hub_clips.write_clip_folder(folder, hub_clips.openai_config() | {"torch_dtype": "float16"}, half=True)
        export(export_clip, folder, "--out", out)
        self.assertEqual(verify.load_exported(out / "clip.ts").logit_scale.dtype, torch.float32)
        self.assert_like_transformers(folder, out)

    def test_a_damaged_weights_file_is_one_printable_line(self) -> None:
        folder = self.scratch / "damaged"
        hub_clips.write_clip_folder(folder, hub_clips.openai_config())
        (folder / "pytorch_model.bin").write_bytes(b"\x1b[31m\x00\x80" * 40)
        self.expect_error(export_clip, 3, "damaged", folder, "--out", self.scratch / "x")

    def test_weights_that_are_not_the_whole_model_are_refused(self) -> None:
        """transformers would fill what is missing with random numbers."""
        folder, out = self.scratch / "partial", self.scratch / "x"
        hub_clips.write_clip_folder(folder, hub_clips.openai_config())
        path = folder / "pytorch_model.bin"
        state = torch.load(path)
        for content, message in (
            ({name: tensor for name, tensor in state.items() if name != "text_projection.weight"}, "lack 1 of the model's tensors"),
            ({"state_dict": state}, "lack 78 of the model's tensors"),
            (state | {"visual_projection.weight": torch.zeros(3, 3)}, "has the shape [3, 3] in its weights, expected [24, 48]"),
            (state | {"logit_scale": torch.tensor(float("nan"))}, "logit_scale holds NaN"),
        ):
            with self.subTest(message):
                torch.save(content, path)
                self.expect_error(export_clip, 3, message, folder, "--out", out)

    def test_folders_of_other_models_are_named(self) -> None:
        folder = self.scratch / "siglip"
        hub_clips.write_clip_folder(folder, hub_clips.openai_config() | {"model_type": "siglip"})
        self.expect_error(export_clip, 3, "has the model_type 'siglip', expected 'clip'", folder, "--out", self.scratch / "x")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
