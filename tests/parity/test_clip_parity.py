"""The C++ student against its library: embeddings, L_CLIP, and its gradients of every norm, with random weights.

  test_clip_parity.py PROBE MODEL [DEVICE]

MODEL is a configuration of the paper's tables (`vitb32`) at its real size, another model of open_clip's (`siglip-b16`), a
tiny one of the same architecture, or `tiny-transformers`, a transformers folder instead of an open_clip model.
"""

import sys
import unittest
from pathlib import Path

import open_clip
import safetensors.torch
import torch
import torch.nn.functional as F
import transformers
from open_clip.tokenizer import HFTokenizer
from torch import nn

PROBE, MODEL = sys.argv.pop(1), sys.argv.pop(1)
DEVICE = sys.argv.pop(1) if len(sys.argv) > 1 else "cpu"
sys.path.insert(0, str(Path(__file__).parent))

import hub_tokenizers
import model_support
from export_support import ExportTestCase, read_manifest
from tiny_clips import CLIPA_CONFIGS, CONFIGS, write_tiny_clips, write_tiny_transformers
from tiny_timm import SIGLIP_CONFIGS, TIMM_CONFIGS

import export_clip
from sdsclip_export.bundle import bundle_folder
from sdsclip_export.clip_models import ClipSource, Weights, load_clip

# open_clip's name, and the activation of the weights in this row of the paper's table.
ROWS = {
    "vitb16": ("ViT-B-16-quickgelu", "quick_gelu"),
    "vitb32": ("ViT-B-32-quickgelu", "quick_gelu"),
    "vitl14": ("ViT-L-14-quickgelu", "quick_gelu"),
    "vitl14-336": ("ViT-L-14-336-quickgelu", "quick_gelu"),
    "rn50": ("RN50-quickgelu", "quick_gelu"),
    "vitb16-laion400m": ("ViT-B-16", "gelu"),
    "vitb16-laion2b": ("ViT-B-16", "gelu"),
    "coca": ("coca_ViT-L-14", "gelu"),
    "tiny-vit": ("tiny-vit", "quick_gelu"),
    "tiny-resnet": ("tiny-resnet", "gelu"),
    "tiny-coca": ("tiny-coca", "gelu"),
    "tiny-transformers": ("tiny-transformers", "gelu"),
    # Models that are not in the paper: image towers of timm, and SigLIP's.
    "siglip-b16": ("ViT-B-16-SigLIP", "gelu"),
    "siglip2-b32": ("ViT-B-32-SigLIP2-256", "gelu"),
    "eva02-b16": ("EVA02-B-16", "gelu"),
    "convnext-base": ("convnext_base", "gelu"),
    "mobileclip-s1": ("MobileCLIP-S1", "gelu"),
    "pe-core-b16": ("PE-Core-B-16", "gelu"),
    "clipa-l14": ("ViT-L-14-CLIPA", "gelu"),
} | {name: (name, "gelu") for name in TIMM_CONFIGS | SIGLIP_CONFIGS | CLIPA_CONFIGS}
TOKENIZERS = {
    "ViT-B-16-SigLIP": hub_tokenizers.write_siglip,
    "tiny-siglip": hub_tokenizers.write_siglip,
    "ViT-B-32-SigLIP2-256": hub_tokenizers.write_siglip2,
    "tiny-siglip2": hub_tokenizers.write_siglip2,
    "ViT-L-14-CLIPA": hub_tokenizers.write_bert,
    "tiny-clipa": hub_tokenizers.write_bert,
}
SEED = sum(MODEL.encode())  # other weights for each row
IMAGE_TOWERS = ("visual", "vision_model")  # open_clip's name and transformers'
IMAGES = 4
LEAST_COSINE = 0.99999
EMBEDDING_TOLERANCE = 1e-4
GRADIENT_TOLERANCE = 1e-3


def trained_names(towers: nn.Module) -> set[str]:
    """Returns weights and biases of every LayerNorm (of BatchNorm in a tower without one), and the temperature."""
    norms = {name for name, module in towers.named_modules() if isinstance(module, nn.LayerNorm)}
    if not any(name.startswith(IMAGE_TOWERS) for name in norms):
        batch_norms = {name for name, module in towers.named_modules() if isinstance(module, nn.BatchNorm2d)}
        norms |= {name for name in batch_norms if name.startswith(IMAGE_TOWERS)}
    names = {f"{name}.{kind}" for name in norms for kind in ("weight", "bias")} | {"logit_scale", "logit_bias"}
    return names & set(dict(towers.named_parameters()))  # some norms have no bias, most models no logit_bias


def library_model(name: str, folder: Path) -> ClipSource:
    """Returns the model with random weights, every tensor perturbed."""
    if name == "tiny-transformers":
        write_tiny_transformers(folder / name, eos_token_id=49407)
        return load_clip(str(folder / name), Weights(random=SEED), None, None)
    write_tiny_clips(folder, CONFIGS | TIMM_CONFIGS | SIGLIP_CONFIGS | CLIPA_CONFIGS)
    model = str(folder / f"{name}.json") if name.startswith("tiny") else name
    if name in TOKENIZERS:
        TOKENIZERS[name](folder / "tokenizer")
    tokenizer = folder / "tokenizer" if name in TOKENIZERS else None
    return load_clip(model, Weights(random=SEED), None, None, tokenizer)


def library_ids(name: str, folder: Path, captions: list[str]) -> torch.Tensor:
    """Returns the captions' ids by the library's own tokenizer."""
    if name in TOKENIZERS:
        text = open_clip.get_model_config(name)["text_cfg"]
        library = HFTokenizer(str(folder / "tokenizer"), text["context_length"], **text["tokenizer_kwargs"])
        return library(captions)
    if name != "tiny-transformers":
        return open_clip.get_tokenizer(name)(captions)
    tokenizer = transformers.CLIPTokenizer.from_pretrained(folder / name)
    return torch.tensor(tokenizer(captions, padding="max_length", truncation=True, max_length=20).input_ids)


def reference(source: ClipSource, pixels: torch.Tensor, ids: torch.Tensor) -> dict[str, torch.Tensor]:
    """Computes the probe's results with the library: its towers, torchvision's normalisation, open_clip's loss."""
    wanted = trained_names(source.towers)
    for name, parameter in source.towers.named_parameters():
        parameter.requires_grad_(name in wanted)
    mean, std = (torch.tensor(source.image[key]).view(3, 1, 1) for key in ("mean", "std"))
    # Contiguous, as torchvision's ToTensor leaves pictures: convolutions round otherwise where the channels come last.
    images = source.encode_image((pixels.permute(0, 3, 1, 2).contiguous().float() / 255 - mean) / std)
    texts = source.encode_text(ids)
    scale = source.towers.logit_scale.exp()
    pair = F.normalize(images, dim=-1), F.normalize(texts, dim=-1)
    bias = getattr(source.towers, "logit_bias", None)
    loss = open_clip.ClipLoss()(*pair, scale) if bias is None else open_clip.loss.SigLipLoss()(*pair, scale, bias)
    loss.backward()
    gradients = {f"grad.{name}": source.towers.get_parameter(name).grad for name in wanted}
    return {"image_embeds": images, "text_embeds": texts, "loss": loss} | gradients


class ClipParity(ExportTestCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        folder = cls.scratch
        name, cls.activation = ROWS[MODEL]
        source = library_model(name, folder)
        # Skips the exporter's own check, which takes as long as this test.
        with bundle_folder(folder / "bundle", force=False) as unfinished:
            export_clip.write_clip_bundle(source, unfinished)
        cls.manifest = read_manifest(folder / "bundle")
        pixels = model_support.blurred_images(IMAGES, cls.manifest["image"]["size"])
        captions = model_support.CAPTIONS[:IMAGES]
        safetensors.torch.save_file({"pixels": pixels}, folder / "inputs.safetensors")
        (folder / "captions.txt").write_text("\n".join(captions) + "\n", encoding="utf-8")
        inputs = (folder / "inputs.safetensors", folder / "captions.txt")
        cls.printed = model_support.run_probe(
            PROBE, "clip", folder / "bundle", *inputs, folder / "outputs.safetensors", DEVICE
        )
        cls.actual = safetensors.torch.load_file(folder / "outputs.safetensors")
        cls.expected = reference(source, pixels, library_ids(name, folder, captions))

    def test_embeddings_equal_the_librarys(self) -> None:
        for key in ("image_embeds", "text_embeds"):
            actual, expected = self.actual[key], self.expected[key].detach()
            difference = float((actual - expected).abs().max())
            spread = float(model_support.centred(expected).abs().max())
            cosine = float(
                F.cosine_similarity(model_support.centred(actual), model_support.centred(expected), dim=-1).min()
            )
            print(f"{MODEL} {key}: cosine 1 - {1 - cosine:.1e}, difference {difference:.1e}, spread {spread:.2g}")
            self.assertGreater(cosine, LEAST_COSINE)
            self.assertLess(difference, EMBEDDING_TOLERANCE)
            self.assertLess(difference, EMBEDDING_TOLERANCE * spread)

    def test_loss_and_gradients_of_every_norm_equal_the_librarys(self) -> None:
        expected = {key: value for key, value in self.expected.items() if key.startswith("grad.")}
        self.assertEqual({key for key in self.actual if key.startswith("grad.")}, set(expected))
        self.assertEqual(self.printed["trained"], sum(value.numel() for value in expected.values()))
        self.assertAlmostEqual(self.printed["loss"] / float(self.expected["loss"].detach()), 1.0, delta=1e-5)
        errors = {key: model_support.relative_error(self.actual[key], value) for key, value in expected.items()}
        worst = max(errors, key=errors.get)
        print(f"{MODEL}: {len(errors)} gradients, worst relative error {errors[worst]:.1e} ({worst})")
        self.assertLess(errors[worst], GRADIENT_TOLERANCE)

    def test_the_bundle_says_the_activation_of_the_rows_weights(self) -> None:
        self.assertEqual(self.manifest["activation"], self.activation)


if __name__ == "__main__":
    unittest.main()
