#!/usr/bin/env python3
"""Exports a latent diffusion model from diffusers as an sdsclip bundle.

  export_teacher.py --diffusers CompVis/stable-diffusion-v1-4 --out models/sd-v1-4
  export_teacher.py --diffusers path/to/folder --variant fp16 --out models/mine
  export_teacher.py --diffusers v2-1_768-ema-pruned.ckpt --config sd-v2-1 --out models/sd-v2-1
  export_teacher.py --diffusers sd-v1-5 --unet my-tuned-unet --lora style.safetensors --out models/tuned
  export_teacher.py --random 0 --config sd-v2-1 --out models/random-sd-v2-1

Before the bundle appears, the script loads the export again and compares it with the libraries' models.
"""

import argparse
from pathlib import Path

import torch
from sdsclip_export.bundle import bundle_folder, write_manifest
from sdsclip_export.errors import USAGE, ExportError, run_main
from sdsclip_export.teacher_configs import built_in_names
from sdsclip_export.teacher_models import (
    Changes,
    TeacherSource,
    TextEncoderExport,
    UnetExport,
    VaeEncoderExport,
    load_diffusers,
    load_random,
    portable_time_embedding,
)
from sdsclip_export.tracing import save_without_sources, trace_methods
from sdsclip_export.verify import Comparison, load_exported, value_and_gradient


def main() -> None:
    arguments = parse_arguments()
    teacher = load_teacher(arguments)
    teacher.name = arguments.name or teacher.name
    with bundle_folder(arguments.out, arguments.force) as folder:
        write_teacher_bundle(teacher, arguments.resize, folder)
        compare(teacher, folder)
    print(f"{arguments.out}: {teacher.name}, {teacher.source['checkpoint']}, {teacher.prediction_type}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    weights = parser.add_mutually_exclusive_group(required=True)
    weights.add_argument("--diffusers", metavar="MODEL", help="hub id, diffusers folder, or .safetensors/.ckpt file")
    weights.add_argument("--random", metavar="SEED", type=int, help="random weights, every tensor perturbed")
    parser.add_argument(
        "--config",
        help=f"with --random: a JSON file, or {', '.join(built_in_names())}; with a single file: one of these names, or "
        "the diffusers folder or hub id that has its configuration",
    )
    parser.add_argument("--variant", metavar="NAME", help="which of a folder's weights, such as fp16 (default: the plain ones)")
    parser.add_argument("--unet", metavar="FOLDER", type=Path, help="a fine-tuned UNet instead of the model's own")
    parser.add_argument("--lora", metavar="FILE", type=Path, help="a LoRA (kohya's or diffusers' names) to merge")
    parser.add_argument("--lora-scale", metavar="S", type=float, default=1.0, help="how much of the LoRA (default: 1)")
    parser.add_argument("--out", metavar="BUNDLE", type=Path, required=True, help="folder to write")
    parser.add_argument(
        "--resize",
        choices=["shortest_edge", "squash"],
        default="shortest_edge",
        help="how images become square: cut the longer side (default, as diffusion-classifier does) or squash it",
    )
    parser.add_argument("--name", help="name of the bundle (default: the model's)")
    parser.add_argument("--force", action="store_true", help="replace an existing bundle")
    return parser.parse_args()


def load_teacher(arguments: argparse.Namespace) -> TeacherSource:
    if arguments.random is None:
        changes = Changes(arguments.unet, arguments.lora, arguments.lora_scale)
        return load_diffusers(arguments.diffusers, arguments.config, arguments.variant, changes)
    if arguments.unet or arguments.lora or arguments.variant:
        raise ExportError(USAGE, "--random: --unet, --lora and --variant go with --diffusers alone")
    if arguments.config is None:
        raise ExportError(USAGE, f"--random needs --config: a JSON file, or {', '.join(built_in_names())}")
    return load_random(arguments.config, arguments.random)


def write_teacher_bundle(teacher: TeacherSource, resize: str, folder: Path) -> None:
    """Writes the three networks, the merges and `bundle.json` into `folder`."""
    z, t, context = example_unet_inputs(teacher, 2)
    unet = UnetExport(teacher.unet)
    with torch.no_grad():
        with portable_time_embedding(teacher.unet):
            traced_unet = trace_methods(unet, {"forward": (z, t, context), "features": (z, t, context)})
        traced_vae = trace_methods(VaeEncoderExport(teacher.vae), {"forward": (example_pixels(teacher, 2),)})
        ids = teacher.tokenizer.example_ids(2, seed=2)
        traced_text = trace_methods(TextEncoderExport(teacher.text_encoder), {"forward": (ids,)})
        features = [list(feature.shape[1:]) for feature in unet.features(z[:1], t[:1], context[:1])]
    save_without_sources(traced_unet, folder / "unet.ts")
    save_without_sources(traced_vae, folder / "vae_encoder.ts")
    save_without_sources(traced_text, folder / "text_encoder.ts")
    teacher.tokenizer.write_files(folder)
    details = {
        "schedule": teacher.schedule,
        "prediction_type": teacher.prediction_type,
        "latent": teacher.latent(),
        "context_dim": teacher.context_dim(),
        "features": features,
        "image": {"size": teacher.image_size(), "resize": resize, "mean": [0.5] * 3, "std": [0.5] * 3},
        "tokenizer": teacher.tokenizer.manifest(),
    }
    write_manifest(folder, "teacher", teacher.name, teacher.source, details)


def compare(teacher: TeacherSource, folder: Path) -> None:
    """Compares the written exports with the eager models, on a batch of another size than the traced one."""
    comparison = Comparison()
    compare_unet(teacher, folder / "unet.ts", comparison)
    compare_vae_encoder(teacher, folder / "vae_encoder.ts", comparison)
    compare_text_encoder(teacher, folder / "text_encoder.ts", comparison)
    comparison.finish()


def compare_unet(teacher: TeacherSource, path: Path, comparison: Comparison) -> None:
    exported = load_exported(path)
    z, t, context = example_unet_inputs(teacher, 1)
    z.requires_grad_(True)
    eager = UnetExport(teacher.unet)
    value, gradient = value_and_gradient(exported, [z, t, context], z)
    eager_value, eager_gradient = value_and_gradient(eager, [z, t, context], z)
    comparison.add("UNet prediction", value, eager_value)
    comparison.add("  gradient of the latent", gradient, eager_gradient)
    with torch.no_grad():
        pairs = zip(exported.features(z, t, context), eager.features(z, t, context), strict=True)
        for index, (feature, eager_feature) in enumerate(pairs):
            comparison.add(f"  features[{index}]", feature, eager_feature)


def compare_vae_encoder(teacher: TeacherSource, path: Path, comparison: Comparison) -> None:
    exported = load_exported(path)
    pixels = example_pixels(teacher, 1).requires_grad_(True)

    def moments(pixels: torch.Tensor) -> torch.Tensor:
        return teacher.vae.encode(pixels).latent_dist.parameters

    value, gradient = value_and_gradient(exported, [pixels], pixels)
    eager_value, eager_gradient = value_and_gradient(moments, [pixels], pixels)
    comparison.add("VAE moments", value, eager_value)
    comparison.add("  gradient of the pixels", gradient, eager_gradient)


def compare_text_encoder(teacher: TeacherSource, path: Path, comparison: Comparison) -> None:
    exported = load_exported(path)
    ids = teacher.tokenizer.example_ids(3, seed=3)
    norm = "encoder.layers.0.layer_norm1.weight"
    exported_norm = dict(exported.named_parameters())[f"text_model.{norm}"].requires_grad_(True)
    eager_norm = teacher.text_encoder.get_parameter(norm).requires_grad_(True)
    value, gradient = value_and_gradient(exported, [ids], exported_norm)
    eager_value, eager_gradient = value_and_gradient(lambda ids: teacher.text_encoder(ids)[0], [ids], eager_norm)
    comparison.add("text context", value, eager_value)
    comparison.add(f"  gradient of {norm}", gradient, eager_gradient)


def example_unet_inputs(teacher: TeacherSource, batch: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Random latents, timesteps and contexts: f32[batch,C,h,w], i64[batch], f32[batch,L,E]."""
    generator = torch.Generator().manual_seed(batch)
    latent = teacher.latent()
    z = torch.randn(batch, latent["channels"], latent["size"], latent["size"], generator=generator)
    t = torch.randint(0, teacher.schedule["train_timesteps"], (batch,), generator=generator)
    context = torch.randn(batch, teacher.tokenizer.context_length, teacher.context_dim(), generator=generator)
    return z, t, context


def example_pixels(teacher: TeacherSource, batch: int) -> torch.Tensor:
    """Random pixels in [-1, 1], f32[batch, 3, size, size]."""
    size = teacher.image_size()
    return torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(batch)) * 2 - 1


if __name__ == "__main__":
    run_main(main)
