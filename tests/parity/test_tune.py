"""Compares `train.tune`, from the configuration to `tuned.safetensors`, with the modules of open_clip's own models.

  test_tune.py PROGRAM

The image tower of a ResNet has only BatchNorm, that of a ViT only LayerNorm.
"""

import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import open_clip
import safetensors.torch
import torch
from PIL import Image
from torch import nn

PROGRAM = sys.argv.pop(1)
sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import model_support
from export_support import ExportTestCase, run_script
from tiny_clips import write_tiny_clips
from world import draw_world

import export_clip
from sdsclip_export.clip_models import Weights, load_clip

SEED = 6
RANK = 2
LORA = ("--set", "train.tune=lora", "--set", f"train.lora.rank={RANK}", "--set", "train.lora.targets=[attn]")


def run(*arguments: str | Path) -> str:
    """Runs the program and returns its log."""
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def norm_names(model: nn.Module, kind: type[nn.Module]) -> set[str]:
    names = {name for name, module in model.named_modules() if isinstance(module, kind)}
    return {f"{name}.{part}" for name in names for part in ("weight", "bias")}


class Tune(ExportTestCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        write_tiny_clips(cls.scratch)
        draw_world(PROGRAM, cls.scratch / "world", 24)
        cls.models = {}
        for name in ("tiny-vit", "tiny-resnet"):
            config = cls.scratch / f"{name}.json"
            code, _, stderr = run_script(export_clip, config, "--random", SEED, "--out", cls.scratch / name)
            assert code == 0, stderr
            cls.models[name] = load_clip(str(config), Weights(random=SEED), None, None).towers

    def train(self, name: str, *settings: str) -> tuple[dict[str, torch.Tensor], int]:
        """Returns the content of `tuned.safetensors` after three steps, and the printed number of parameters."""
        out = Path(tempfile.mkdtemp(dir=self.scratch)) / "run"
        config = out.parent / "config.yaml"
        config.write_text(
            f"clip: {self.scratch / name}\n"
            f"data: {{annotations: {self.scratch}/world/coco/annotations/captions_train2017.json, "
            f"images: {self.scratch}/world/coco/train2017}}\n"
            "train: {steps: 3, batch_size: 8, micro_batch_clip: 4, lr: 1e-2}\n"
            "sds: {lambda: 0}\n",
            encoding="utf-8",
        )
        log = run("train", "--config", config, "--out", out, "--device", "cpu", "--threads", 1, *settings)
        count = int(re.search(r"(\d+) trainable parameters", log)[1])
        return safetensors.torch.load_file(out / "tuned.safetensors"), count

    def check(self, name: str, expected: set[str], *settings: str) -> dict[str, torch.Tensor]:
        """Checks that exactly the expected parameters train and that their number is printed."""
        tuned, count = self.train(name, *settings)
        parameters = dict(self.models[name].named_parameters())
        self.assertEqual(count, sum(parameters[key].numel() for key in expected))
        # A parameter with a zero gradient does not change: the keys' bias, which softmax does not see.
        self.assertLessEqual(set(tuned), expected)
        self.assertLessEqual(expected - set(tuned), {key for key in expected if key.endswith("k_proj.bias")})
        return tuned

    def test_layernorm(self) -> None:
        vit, resnet = self.models["tiny-vit"], self.models["tiny-resnet"]
        layer_norms = norm_names(vit, nn.LayerNorm)
        self.check("tiny-vit", layer_norms)
        text_norms, batch_norms = norm_names(resnet, nn.LayerNorm), norm_names(resnet, nn.BatchNorm2d)
        self.assertFalse(any(name.startswith("visual") for name in text_norms))
        self.assertTrue(batch_norms and all(name.startswith("visual") for name in batch_norms))
        self.check("tiny-resnet", text_norms | batch_norms)

    def test_layernorm_and_bias(self) -> None:
        for name, model in self.models.items():
            norms = norm_names(model, nn.LayerNorm) | norm_names(model, nn.BatchNorm2d)
            biases = {key for key, _ in model.named_parameters() if key.endswith("bias")}
            self.check(name, norms | biases, "--set", "train.tune=layernorm+bias")

    def test_all(self) -> None:
        for name, model in self.models.items():
            everything = {key for key, _ in model.named_parameters()} - {"logit_scale"}
            self.check(name, everything, "--set", "train.tune=all")

    def test_lora_of_the_attention_of_both_towers(self) -> None:
        for name, model in self.models.items():
            tuned, count = self.train(name, *LORA)
            parameters = dict(model.named_parameters())
            targets = {
                key for key in parameters if "attn" in key and key.endswith("weight") and parameters[key].ndim == 2
            }
            self.assertTrue(any(key.startswith("visual") for key in targets))
            self.assertEqual(set(tuned), targets)
            self.assertEqual(count, sum(RANK * sum(parameters[key].shape) for key in targets))
            for key, value in tuned.items():
                update = (value - parameters[key].detach()).double()
                self.assertEqual(int(torch.linalg.matrix_rank(update, rtol=1e-4)), RANK, key)

    def test_a_tuned_resnet_embeds_as_open_clips_with_its_old_statistics(self) -> None:
        tuned, _ = self.train("tiny-resnet")
        self.assertFalse([key for key in tuned if "running" in key])
        model = load_clip(str(self.scratch / "tiny-resnet.json"), Weights(random=SEED), None, None).towers
        model.load_state_dict(model.state_dict() | tuned)
        captions = model_support.CAPTIONS
        (self.scratch / "captions.txt").write_text("\n".join(captions) + "\n", encoding="utf-8")
        out = self.scratch / "embeddings.safetensors"
        safetensors.torch.save_file(tuned, self.scratch / "tuned.safetensors")
        pictures = sorted((self.scratch / "world/coco/train2017").iterdir())[:4]
        (self.scratch / "pictures.txt").write_text("".join(f"{picture}\n" for picture in pictures), encoding="utf-8")
        run(
            *("embed", "--clip", self.scratch / "tiny-resnet", "--tuned", self.scratch / "tuned.safetensors"),
            *("--images", self.scratch / "pictures.txt", "--text", self.scratch / "captions.txt"),
            *("--out", out, "--device", "cpu", "--threads", "1"),
        )
        found = safetensors.torch.load_file(out)
        preprocess = open_clip.image_transform(64, is_train=False)
        pixels = torch.stack([preprocess(Image.open(picture)) for picture in pictures])
        with torch.no_grad():
            images = model.encode_image(pixels)
            texts = model.encode_text(open_clip.get_tokenizer("tiny-resnet")(captions))
        for actual, expected in ((found["image_embeds"], images), (found["text_embeds"], texts)):
            spread = float(model_support.centred(expected).abs().max())
            self.assertLess(float((actual - expected).abs().max()), 1e-4 * spread)


if __name__ == "__main__":
    unittest.main()
