"""Reads the shapes world that `sdsclip synth` writes: images as the bundles preprocess them, captions, test cases."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

IMAGE_SIZE = 32  # pixels per side that both models see; the world's images have twice that


@dataclass
class CaptionedImages:
    """Training or retrieval data: image i has the captions `captions[i]` and shows `scenes[i]`."""

    pixels: torch.Tensor  # u8 [N, 3, IMAGE_SIZE, IMAGE_SIZE]
    captions: list[list[str]]
    scenes: list[dict]  # as `sdsclip synth` writes them: background, objects, relation, binding

    def only(self, bindings: set[str]) -> "CaptionedImages":
        """Returns the images whose binding ("canonical", "swapped" or "none") is one of `bindings`."""
        kept = [index for index, scene in enumerate(self.scenes) if scene["binding"] in bindings]
        return CaptionedImages(
            self.pixels[kept], [self.captions[index] for index in kept], [self.scenes[index] for index in kept]
        )


@dataclass
class SwapCases:
    """Winoground cases: `captions[n][k]` is true of `pixels[n, k]` and false of the other image."""

    pixels: torch.Tensor  # u8 [N, 2, 3, IMAGE_SIZE, IMAGE_SIZE]
    captions: list[tuple[str, str]]
    tags: list[str]  # Object, Relation or Both


@dataclass
class ClassImages:
    """Zero-shot classification."""

    pixels: torch.Tensor  # u8 [N, 3, IMAGE_SIZE, IMAGE_SIZE]
    labels: torch.Tensor  # i64 [N], index into class_names
    class_names: list[str]
    templates: list[str]  # with {c} where the class name goes


def draw_world(sdsclip: Path, out: Path, seed: int, train: int) -> None:
    """Runs `sdsclip synth`, unless `out` exists."""
    if not out.exists():
        subprocess.run([sdsclip, "synth", "--out", out, "--seed", str(seed), "--train", str(train)], check=True)


def read_captioned(coco: Path, split: str) -> CaptionedImages:
    """Reads the images of `coco/<split>2017` with their captions."""
    data = json.loads((coco / "annotations" / f"captions_{split}2017.json").read_text(encoding="utf-8"))
    captions = {image["id"]: [] for image in data["images"]}
    for annotation in data["annotations"]:
        captions[annotation["image_id"]].append(annotation["caption"])
    pixels = [read_pixels(coco / f"{split}2017" / image["file_name"]) for image in data["images"]]
    return CaptionedImages(
        pixels=torch.stack(pixels),
        captions=[captions[image["id"]] for image in data["images"]],
        scenes=[image["scene"] for image in data["images"]],
    )


def read_swaps(folder: Path) -> SwapCases:
    """Reads the cases of a `winoground` folder."""
    lines = (folder / "examples.jsonl").read_text(encoding="utf-8").splitlines()
    cases = [json.loads(line) for line in lines]
    pixels = [
        torch.stack([read_pixels(folder / "images" / f"{case[f'image_{k}']}.png") for k in (0, 1)]) for case in cases
    ]
    return SwapCases(
        pixels=torch.stack(pixels),
        captions=[(case["caption_0"], case["caption_1"]) for case in cases],
        tags=[case["collapsed_tag"] for case in cases],
    )


def read_classes(folder: Path) -> ClassImages:
    """Reads the images of a `zeroshot` folder."""
    class_names = (folder / "classnames.txt").read_text(encoding="utf-8").splitlines()
    pixels, labels = [], []
    for label, name in enumerate(class_names):
        for path in sorted((folder / name.replace(" ", "_")).glob("*.png")):
            pixels.append(read_pixels(path))
            labels.append(label)
    templates = (folder / "templates.txt").read_text(encoding="utf-8").splitlines()
    return ClassImages(torch.stack(pixels), torch.tensor(labels), class_names, templates)


def read_pixels(path: Path) -> torch.Tensor:
    """Reads an image as u8 [3, IMAGE_SIZE, IMAGE_SIZE], resized as the bundles' preprocessing does."""
    image = Image.open(path).convert("RGB").resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)


def normalised(pixels: torch.Tensor, mean: list[float], std: list[float]) -> torch.Tensor:
    """Maps u8 pixels [..., 3, H, W] to f32, scaled to [0, 1] and normalised per channel."""
    return (pixels.float() / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
