"""Folders in open_clip's own layout, and in that of the hub's cache, exported and held against open_clip."""

import json
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for `python -m unittest PATH`, which leaves it out

import open_clip
import torch
from support import ExportTestCase, export, read_manifest, run, run_script

import hub_clips
import open_clip_folders
from clip_files import CONFIG, random_model
from hub_tokenizers import write_bert, write_siglip
from tiny_clips import CLIPA
from tiny_timm import SIGLIP_CONFIGS

import export_clip
from sdsclip_export import verify

TEXTS = ["a cat", "Two dogs on a sofa, asleep", "don't", "a photo of 12 caf\u00e9s"]


class OpenClipFolders(ExportTestCase):
    def assert_like_open_clip(self, folder: Path, bundle: Path) -> None:
        """Embeddings, ids and preprocessing equal those of open_clip's `local-dir:`."""
        model = open_clip.create_model(f"local-dir:{folder}").eval()
        ids = open_clip.get_tokenizer(f"local-dir:{folder}")(TEXTS)
        manifest = read_manifest(bundle)
        pixels = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        exported = verify.load_exported(bundle / "clip.ts")
        with torch.no_grad():
            self.assert_close(exported.encode_image(pixels), model.encode_image(pixels), 1e-5)
            self.assert_close(exported.encode_text(ids), model.encode_text(ids), 1e-5)
        done = run("tokenize", "--bundle", bundle, *TEXTS)
        self.assertEqual([json.loads(line) for line in done.stdout.splitlines()], ids.tolist(), done.stderr)
        own, image = model.visual.preprocess_cfg, manifest["image"]
        self.assertEqual((image["mean"], image["std"]), (list(own["mean"]), list(own["std"])))
        resize = {"shortest": "shortest_edge", "squash": "squash"}[own["resize_mode"]]
        self.assertEqual((image["resize"], image["interpolation"]), (resize, own["interpolation"]))

    def test_each_familys_folder_exports_what_open_clip_reads(self) -> None:
        siglip = SIGLIP_CONFIGS["tiny-siglip"]
        for name, config, preprocess, weights, write_tokenizer in (
            ("safetensors", CONFIG, open_clip_folders.LAION_PREPROCESS, "open_clip_model.safetensors", None),
            ("bin", CONFIG | {"quick_gelu": True}, {}, "open_clip_pytorch_model.bin", None),
            ("siglip", siglip, open_clip_folders.SIGLIP_PREPROCESS, "open_clip_model.safetensors", write_siglip),
            ("clipa", CLIPA, open_clip_folders.SIGLIP_PREPROCESS, "open_clip_pytorch_model.bin", write_bert),
        ):
            with self.subTest(name):
                folder, out = self.scratch / name / "model", self.scratch / f"{name}-bundle"
                folder.parent.mkdir()
                if write_tokenizer:
                    write_tokenizer(folder)
                open_clip_folders.write_folder(folder, f"folder-{name}", config, preprocess, weights)
                export(export_clip, folder, "--out", out)
                manifest = read_manifest(out)
                self.assertEqual((manifest["name"], manifest["source"]["checkpoint"]), ("model", weights))
                self.assertEqual(manifest["activation"], "quick_gelu" if name == "bin" else "gelu")
                self.assert_like_open_clip(folder, out)

    def test_a_snapshot_in_the_hubs_cache_is_named_after_its_model(self) -> None:
        plain, out = self.scratch / "plain", self.scratch / "cached-bundle"
        open_clip_folders.write_folder(plain, "folder-cached")
        snapshot = open_clip_folders.as_cached(plain, self.scratch / "hub", "laion", "CLIP-ViT-B-32-laion2B-s34B-b79K")
        export(export_clip, snapshot, "--out", out)
        self.assertEqual(read_manifest(out)["name"], "CLIP-ViT-B-32-laion2B-s34B-b79K")
        self.assert_like_open_clip(snapshot, out)
        hub_clips.write_clip_folder(self.scratch / "transformers", hub_clips.openai_config())
        snapshot = open_clip_folders.as_cached(self.scratch / "transformers", self.scratch / "hub", "openai", "clip-vit-base-patch32")
        export(export_clip, snapshot.parent.parent, "--out", self.scratch / "cached-transformers")
        write_siglip(self.scratch / "siglip-files")
        config = self.write_json("cached-siglip.json", SIGLIP_CONFIGS["tiny-siglip"])
        snapshot = open_clip_folders.as_cached(self.scratch / "siglip-files", self.scratch / "hub", "timm", "ViT-B-16-SigLIP")
        arguments = (config, "--random", 0, "--tokenizer", snapshot.parent.parent, "--out", self.scratch / "cached-siglip")
        export(export_clip, *arguments)
        self.assertEqual(read_manifest(self.scratch / "cached-transformers")["name"], "clip-vit-base-patch32")

    def test_of_a_folder_with_both_layouts_the_transformers_model_is_taken_where_its_weights_are_there(self) -> None:
        folder = self.scratch / "both"
        hub_clips.write_clip_folder(folder, hub_clips.laion_config(), name="pytorch_model.bin")
        open_clip_folders.write_folder(folder, "folder-both", weights="open_clip_pytorch_model.bin")
        export(export_clip, folder, "--out", self.scratch / "both-bundle")
        self.assertEqual(read_manifest(self.scratch / "both-bundle")["source"]["library"], "transformers")
        (folder / "pytorch_model.bin").unlink()
        export(export_clip, folder, "--out", self.scratch / "one-bundle")
        self.assertEqual(read_manifest(self.scratch / "one-bundle")["source"]["library"], "open_clip")

    def test_what_a_folder_says_itself_must_not_be_contradicted(self) -> None:
        folder, out = self.scratch / "says", self.scratch / "x"
        open_clip_folders.write_folder(folder, "folder-says")
        command = (folder, "--out", out)
        self.expect_error(export_clip, 2, "says gelu; leave out --activation", *command, "--activation", "quick_gelu")
        self.expect_error(export_clip, 2, "leave out --pretrained", *command, "--pretrained", "openai")
        self.expect_error(export_clip, 2, "leave out --pretrained and --preprocess", *command, "--preprocess", "openai")
        (folder / "open_clip_model.safetensors").unlink()
        self.expect_error(export_clip, 3, "no weights beside open_clip_config.json", *command)
        for content, message in (
            ('{"preprocess_cfg": {}}', "no 'model_cfg'"),
            ('{"model_cfg": {"embed_dim": 3}}', "no vision_cfg, text_cfg"),
            ("[]", "not a readable JSON config"),
            ('{"model_cfg": 3}', "not a readable JSON config"),
            ("\x1b[31m", "not a readable JSON config"),
        ):
            with self.subTest(content):
                (folder / "open_clip_config.json").write_text(content)
                self.expect_error(export_clip, 3, message, *command)


class Preprocessing(ExportTestCase):
    """A file of weights does not say how its images were prepared."""

    def test_a_file_of_a_model_whose_tags_disagree_names_the_choice(self) -> None:
        config = self.write_json("tags-disagree.json", CONFIG)
        open_clip.add_model_config(config)
        path, out = self.scratch / "weights.pt", self.scratch / "out"
        torch.save(random_model("tags-disagree").state_dict(), path)
        tags = open_clip.pretrained._PRETRAINED
        tags["tags-disagree"] = {"first": tags["ViT-L-14"]["openai"], "second": tags["ViT-L-14"]["laion2b_s32b_b82k"]}
        self.addCleanup(tags.pop, "tags-disagree")
        command = (config, "--checkpoint", path, "--force", "--out", out)
        code, _, stderr = run_script(export_clip, *command)
        self.assertEqual(code, 0, stderr)
        self.assertEqual(len(stderr.splitlines()), 1, stderr)
        for part in ("taken: mean (0.48145466,", "mean (0.5, 0.5, 0.5), std (0.5, 0.5, 0.5) (second)", "--preprocess TAG"):
            self.assertIn(part, stderr)
        code, _, stderr = run_script(export_clip, *command, "--preprocess", "second")
        self.assertEqual((code, stderr), (0, ""))
        self.assertEqual(read_manifest(out)["image"]["mean"], [0.5, 0.5, 0.5])
        code, _, stderr = run_script(export_clip, *command, "--preprocess", "third")
        self.assertEqual(code, 2, stderr)
        self.assertIn("no pretrained tag third for --preprocess; open_clip knows first, second", stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
