#!/usr/bin/env python3
"""Exports a CLIP model from open_clip or transformers as an sdsclip bundle.

  export_clip.py ViT-B-16 --pretrained openai --out models/vitb16
  export_clip.py my-model.json --checkpoint weights.pt --merges merges.txt --out models/mine
  export_clip.py path/to/ViT-B-16-SigLIP --out models/siglip    (a folder with open_clip_config.json)
  export_clip.py path/to/transformers/CLIPModel --out models/hf

Before the bundle appears, the script loads the export again and compares it with the library's model.
"""

import argparse
from pathlib import Path

import torch
from sdsclip_export.bundle import bundle_folder, write_manifest
from sdsclip_export.clip_models import load_clip
from sdsclip_export.clip_source import ClipSource, Weights
from sdsclip_export.errors import run_main
from sdsclip_export.tokenizer import BundleTokenizer
from sdsclip_export.tracing import save_without_sources, trace_methods
from sdsclip_export.verify import TOLERANCE, Comparison, load_exported, value_and_gradient
from torch import nn


def main() -> None:
    arguments = parse_arguments()
    weights = Weights(
        arguments.pretrained, arguments.checkpoint, arguments.random, arguments.variant, arguments.preprocess
    )
    clip = load_clip(arguments.model, weights, arguments.activation, arguments.merges, arguments.tokenizer)
    clip.name = arguments.name or clip.name
    with bundle_folder(arguments.out, arguments.force) as folder:
        write_clip_bundle(clip, folder)
        compare(clip, folder)
    print(f"{arguments.out}: {clip.name}, {clip.source['checkpoint']}, {clip.activation}, {clip.embed_dim} dimensions")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="open_clip model name, open_clip JSON config, or folder with open_clip_config.json or a transformers CLIPModel")
    weights = parser.add_mutually_exclusive_group()
    weights.add_argument("--pretrained", metavar="TAG", help="open_clip tag of the weights to download")
    weights.add_argument("--checkpoint", metavar="FILE", type=Path, help="file of weights under open_clip's names")
    weights.add_argument("--random", metavar="SEED", type=int, help="random weights, every tensor perturbed")
    parser.add_argument("--out", metavar="BUNDLE", type=Path, required=True, help="folder to write")
    parser.add_argument(
        "--activation",
        choices=["quick_gelu", "gelu"],
        help="activation of a --checkpoint's training (required where the model's name has a -quickgelu twin)",
    )
    parser.add_argument(
        "--preprocess",
        metavar="TAG",
        help="open_clip tag whose preprocessing a --checkpoint has (default: what all tags of the model share)",
    )
    parser.add_argument("--variant", metavar="NAME", help="which of a transformers folder's weights, such as fp16")
    parser.add_argument("--merges", metavar="FILE", type=Path, help="merges list, text or .gz (default: OpenAI's)")
    parser.add_argument(
        "--tokenizer",
        metavar="FOLDER",
        type=Path,
        help="Hugging Face tokenizer folder (default: the one that the model's configuration names, from the hub)",
    )
    parser.add_argument("--name", help="name of the bundle (default: the model's)")
    parser.add_argument("--force", action="store_true", help="replace an existing bundle")
    return parser.parse_args()


def write_clip_bundle(clip: ClipSource, folder: Path) -> None:
    """Writes `clip.ts`, the tokenizer's files and `bundle.json` into `folder`."""
    # Gradients on while tracing: the exported parameters keep requires_grad.
    clip.towers.requires_grad_(True)
    with torch.enable_grad(), clip.while_tracing():
        traced = trace_methods(
            clip.towers,
            {"encode_image": example_images(clip, 2), "encode_text": clip.tokenizer.example_ids(2, seed=2)},
        )
    save_without_sources(traced, folder / "clip.ts")
    clip.tokenizer.write_files(folder)
    any_length = takes_any_length(load_exported(folder / "clip.ts"), clip.tokenizer)
    details = {
        "image": clip.image,
        "embed_dim": clip.embed_dim,
        "activation": clip.activation,
        "tokenizer": clip.tokenizer.manifest() | {"any_length": any_length},
    }
    write_manifest(folder, "clip", clip.name, clip.source, details)


def takes_any_length(exported: torch.jit.ScriptModule, tokenizer: BundleTokenizer) -> bool:
    """Returns whether `encode_text` gives the same result for ids that are cut after the end of the longest text.

    This holds where attention is causal and the embedding is taken at the end of the text. It does not hold for CoCa,
    whose token for the whole text comes after the padding.
    """
    ids = tokenizer.example_ids(8, seed=4)
    ends = (ids == tokenizer.eot).int().argmax(dim=1)
    shorter = ends + 1 < tokenizer.context_length  # the others have no padding to cut
    ids, length = ids[shorter], int(ends[shorter].max()) + 1
    with torch.no_grad():
        whole = exported.encode_text(ids)
        try:
            cut = exported.encode_text(ids[:, :length])
        except RuntimeError:  # the graph accepts only one length
            return False
    spread = float((whole - whole.mean()).abs().max())
    return float((cut - whole).abs().max()) <= TOLERANCE * spread


def compare(clip: ClipSource, folder: Path) -> None:
    """Compares the written export with the eager model, on a batch of another size than the traced one."""
    exported = load_exported(folder / "clip.ts")
    images = example_images(clip, 3).requires_grad_(True)
    ids = clip.tokenizer.example_ids(3, seed=3)
    norm = first_text_norm(clip.towers)
    comparison = Comparison()

    value, gradient = value_and_gradient(exported.encode_image, [images], images)
    eager_value, eager_gradient = value_and_gradient(clip.encode_image, [images], images)
    comparison.add("image embedding", value, eager_value)
    comparison.add("  gradient of the pixels", gradient, eager_gradient)

    value, gradient = value_and_gradient(exported.encode_text, [ids], dict(exported.named_parameters())[norm])
    eager_value, eager_gradient = value_and_gradient(clip.encode_text, [ids], clip.towers.get_parameter(norm))
    comparison.add("text embedding", value, eager_value)
    comparison.add(f"  gradient of {norm}", gradient, eager_gradient)
    comparison.finish()


def example_images(clip: ClipSource, batch: int) -> torch.Tensor:
    """Returns random pixels in the range of preprocessed ones, f32[batch, 3, size, size]."""
    size = clip.image["size"]
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(batch))


def first_text_norm(towers: nn.Module) -> str:
    """Returns the weight name of the text tower's first LayerNorm, whose gradient passes through the whole tower."""
    return next(
        f"{name}.weight"
        for name, module in towers.named_modules()
        if isinstance(module, nn.LayerNorm) and not name.startswith(("visual", "vision_model"))
    )


if __name__ == "__main__":
    run_main(main)
