"""Trains the teacher's text encoder alone, before the denoiser, on what a caption says about the object of each colour.

Stable Diffusion's text encoder is trained in advance too. Without this step the denoiser learns word order very late,
if at all: "a red circle left of a blue square" and the reverse differ only in what the noise hides longest.
"""

import time
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional
from transformers import CLIPTextModel

from batches import CaptionMix, TokenIds, caption_batches, set_learning_rate
from world import CaptionedImages

UNKNOWN = -100  # target that the loss ignores
SAME_LINE = 8.0  # pixels; of two nearer objects, neither is left of (or above) the other


@dataclass
class ReadingOptions:
    """Options of the text encoder's training; the values were chosen on validation."""

    steps: int = 2500  # optimizer steps
    batch_size: int = 64  # captions per step
    lr: float = 2e-3  # peak learning rate
    warmup_steps: int = 100  # linear warm-up
    mix: CaptionMix = CaptionMix()
    report_every: int = 500  # steps between progress lines


def teach_reading(
    options: ReadingOptions, text_encoder: CLIPTextModel, data: CaptionedImages, token_ids: TokenIds, seed: int
) -> None:
    """Trains `text_encoder` in place, with linear heads on its end-of-text state that are then discarded."""
    targets = scene_targets(data.scenes)
    classes = [int(target.max()) + 1 for target in targets.values()]
    colours = next(iter(targets.values())).shape[1]
    head = nn.Linear(text_encoder.config.hidden_size, colours * sum(classes))
    networks = nn.ModuleList([text_encoder, head]).train()
    optimizer = torch.optim.AdamW(networks.parameters(), lr=options.lr, weight_decay=0.0, fused=True)
    generator = torch.Generator().manual_seed(seed)
    batches = caption_batches(data, token_ids, options.steps, options.batch_size, options.mix, generator)
    started = time.process_time()
    for step, (picked, ids) in enumerate(batches, start=1):
        set_learning_rate(optimizer, [options.lr], step, options.warmup_steps, options.steps)
        logits = head(text_encoder(ids).pooler_output).unflatten(1, (colours, -1)).split(classes, dim=-1)
        losses = {
            name: functional.cross_entropy(part.flatten(0, 1), target[picked].flatten(), ignore_index=UNKNOWN)
            for (name, target), part in zip(targets.items(), logits, strict=True)
        }
        optimizer.zero_grad()
        sum(losses.values()).backward()
        nn.utils.clip_grad_norm_(networks.parameters(), 1.0)
        optimizer.step()
        if step % options.report_every == 0:
            parts = ", ".join(f"{name} {loss.item():.3f}" for name, loss in losses.items())
            print(f"reading {step}: {parts}, {time.process_time() - started:.0f} s", flush=True)


def scene_targets(scenes: list[dict]) -> dict[str, torch.Tensor]:
    """Returns targets i64 [N, colours] for each scene and colour.

    They are the shape (one more value for "no such object") and size of that colour's object, whether it is left of,
    level with or right of the other one, and whether it is above, level with or below it.
    """
    colours = sorted({thing["color"] for scene in scenes for thing in scene["objects"]})
    shapes = sorted({thing["shape"] for scene in scenes for thing in scene["objects"]})
    size, across, down = (torch.full((len(scenes), len(colours)), UNKNOWN) for _ in range(3))
    shape = torch.full((len(scenes), len(colours)), len(shapes))
    for row, scene in enumerate(scenes):
        for place, thing in enumerate(scene["objects"]):
            column = colours.index(thing["color"])
            shape[row, column] = shapes.index(thing["shape"])
            size[row, column] = int(thing["size"] == "large")
            if len(scene["objects"]) == 2:
                other = scene["objects"][1 - place]
                across[row, column] = side(thing["x"] - other["x"])
                down[row, column] = side(thing["y"] - other["y"])
    return {"shape": shape, "size": size, "across": across, "down": down}


def side(distance: float) -> int:
    """Returns 0 for before, 1 for level, 2 for behind."""
    if abs(distance) < SAME_LINE:
        return 1
    return 0 if distance < 0 else 2
