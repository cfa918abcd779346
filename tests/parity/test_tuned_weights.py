"""The libraries read `tuned.safetensors`, and what `sdsclip export` makes of it.

  test_tuned_weights.py PROGRAM

Tiny models (open_clip's ViT and its ResNet, which has statistics, and transformers' CLIP), with norms tuned, everything
tuned, and LoRA merged.
"""

import json
import subprocess
import sys
import unittest
from functools import cache
from itertools import product
from pathlib import Path

import open_clip
import safetensors.torch
import torch
import transformers
from torch import nn

PROGRAM = sys.argv.pop(1)
sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import model_support
from export_support import ExportTestCase, read_manifest, run_script
from tiny_clips import write_tiny_clips, write_tiny_transformers
from world import draw_world

import export_clip
from sdsclip_export.clip_models import Weights, load_clip

SEED = 11
PICTURES = 4
TOLERANCE = 1e-5
TUNES = {
    "layernorm": ("train.tune=layernorm", "train.tune_temperature=true"),
    "all": ("train.tune=all", "train.tune_temperature=true"),
    "lora": ("train.tune=lora", "train.lora.targets=[attn, mlp]"),
}
OPEN_CLIPS = ("tiny-vit", "tiny-resnet")
MAP = {"sds.h_w.weight", "sds.h_w.bias"}


def run(*arguments: object) -> str:
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


class TunedWeights(ExportTestCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        draw_world(PROGRAM, cls.scratch / "world", 24)
        write_tiny_clips(cls.scratch)
        open_clip.add_model_config(cls.scratch)
        write_tiny_transformers(cls.scratch / "tiny-transformers", eos_token_id=49407)
        sources = {f"{name}.json": ("--random", SEED) for name in OPEN_CLIPS} | {"tiny-transformers": ()}
        for source, more in sources.items():
            model = cls.scratch / source
            code, _, stderr = run_script(export_clip, model, *more, "--out", cls.bundle(model.stem))
            assert code == 0, stderr
        pictures = sorted((cls.scratch / "world/coco/train2017").iterdir())[:PICTURES]
        (cls.scratch / "pictures.txt").write_text("".join(f"{picture}\n" for picture in pictures), encoding="utf-8")
        captions = model_support.CAPTIONS
        (cls.scratch / "captions.txt").write_text("".join(f"{caption}\n" for caption in captions), encoding="utf-8")
        cls.pictures, cls.captions = pictures, captions

    @classmethod
    def bundle(cls, name: str) -> Path:
        return cls.scratch / f"{name}-bundle"

    @classmethod
    @cache
    def tuned(cls, name: str, tune: str) -> Path:
        """Returns `tuned.safetensors` after four steps of L_CLIP + L_SDS."""
        out = cls.scratch / f"run-{name}-{tune}"
        world = cls.scratch / "world/coco"
        settings = [
            f"clip={cls.bundle(name)}", f"data.annotations={world}/annotations/captions_train2017.json",
            f"data.images={world}/train2017", "train.steps=4", "train.batch_size=8", "train.lr=1e-2",
            "train.warmup_steps=0", "sds.warmup_steps=0", *TUNES[tune],
        ]  # fmt: skip
        words = [word for setting in settings for word in ("--set", setting)]
        run("train", "--config", "quickstart.yaml", "--out", out, "--device", "cpu", "--threads", 1, "--quiet", *words)
        return out / "tuned.safetensors"

    @classmethod
    @cache
    def exported(cls, name: str, tune: str, form: str) -> Path:
        out = cls.scratch / f"exported-{name}-{tune}{'.safetensors' if form == 'safetensors' else ''}"
        run("export", "--clip", cls.bundle(name), "--tuned", cls.tuned(name, tune), "--format", form, "--out", out)
        return out

    @classmethod
    @cache
    def ours(cls, bundle: Path, tuned: Path | None = None) -> dict[str, torch.Tensor]:
        out = cls.scratch / "embeddings.safetensors"
        lists = ("--images", cls.scratch / "pictures.txt", "--text", cls.scratch / "captions.txt")
        over = ("--tuned", tuned) if tuned else ()
        run("embed", "--clip", bundle, *over, *lists, "--out", out, "--device", "cpu", "--threads", 1)
        return safetensors.torch.load_file(out)

    @classmethod
    @cache
    def inputs(cls, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns pixels and token ids made by the C++ side, so that only weights can differ."""
        out = cls.scratch / "pixels.safetensors"
        run("preprocess", "--bundle", cls.bundle(name), *cls.pictures, "--out", out)
        lines = run("tokenize", "--bundle", cls.bundle(name), *cls.captions).splitlines()
        return safetensors.torch.load_file(out)["pixel_values"], torch.tensor([json.loads(line) for line in lines])

    def check_embeds_as_ours(self, name: str, tune: str, model: nn.Module) -> None:
        pixels, ids = self.inputs(name)
        model.eval()
        with torch.no_grad():
            if isinstance(model, transformers.CLIPModel):
                images = model.get_image_features(pixel_values=pixels).pooler_output
                texts = model.get_text_features(input_ids=ids, attention_mask=torch.ones_like(ids)).pooler_output
            else:
                images, texts = model.encode_image(pixels), model.encode_text(ids)
        found = self.ours(self.bundle(name), self.tuned(name, tune))
        self.assert_close(found["image_embeds"], images, TOLERANCE)
        self.assert_close(found["text_embeds"], texts, TOLERANCE)
        untuned = self.ours(self.bundle(name))
        self.assertGreater(float((untuned["image_embeds"] - images).abs().max()), 1e-3)

    def test_open_clip_loads_the_tuned_tensors_over_its_own_weights(self) -> None:
        for name, tune in product(OPEN_CLIPS, TUNES):
            with self.subTest(name, tune=tune):
                model = load_clip(str(self.scratch / f"{name}.json"), Weights(random=SEED), None, None).towers
                keys = open_clip.load_checkpoint(model, str(self.tuned(name, tune)), strict=False)
                self.assertEqual(set(keys.unexpected_keys), MAP)
                self.check_embeds_as_ours(name, tune, model)

    def test_open_clip_makes_a_model_of_the_exported_weights(self) -> None:
        for name, tune in product(OPEN_CLIPS, TUNES):
            with self.subTest(name, tune=tune):
                weights = self.exported(name, tune, "safetensors")
                self.check_embeds_as_ours(name, tune, open_clip.create_model(name, pretrained=str(weights)))

    def test_transformers_loads_the_tuned_tensors_over_its_own_weights(self) -> None:
        for tune in TUNES:
            with self.subTest(tune):
                model = transformers.CLIPModel.from_pretrained(self.scratch / "tiny-transformers")
                _, unexpected = safetensors.torch.load_model(
                    model, self.tuned("tiny-transformers", tune), strict=False
                )
                self.assertEqual(set(unexpected), MAP)
                self.check_embeds_as_ours("tiny-transformers", tune, model)

    def test_transformers_makes_a_model_of_the_exported_weights(self) -> None:
        for tune in TUNES:
            with self.subTest(tune):
                folder = self.scratch / f"transformers-{tune}"
                folder.mkdir()
                config = (self.scratch / "tiny-transformers/config.json").read_bytes()
                (folder / "config.json").write_bytes(config)
                weights = self.exported("tiny-transformers", tune, "safetensors")
                (folder / "model.safetensors").write_bytes(weights.read_bytes())
                model, report = transformers.CLIPModel.from_pretrained(folder, output_loading_info=True)
                self.assertFalse(any(report.values()), report)
                self.check_embeds_as_ours("tiny-transformers", tune, model)

    def test_the_exported_bundle_embeds_as_the_bundle_with_the_tuned_tensors(self) -> None:
        for name, tune in product((*OPEN_CLIPS, "tiny-transformers"), TUNES):
            with self.subTest(name, tune=tune):
                exported = self.exported(name, tune, "bundle")
                run("bundle", "verify", exported)
                before, after = read_manifest(self.bundle(name)), read_manifest(exported)
                self.assertEqual(set(after["files"]), set(before["files"]))
                for key in set(before) - {"name", "files"}:
                    self.assertEqual(after[key], before[key], key)
                found = self.ours(exported)
                for key, value in self.ours(self.bundle(name), self.tuned(name, tune)).items():
                    self.assertTrue(torch.equal(found[key], value), key)


if __name__ == "__main__":
    unittest.main()
