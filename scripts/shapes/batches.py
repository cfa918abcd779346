"""Code that the parts of the teacher's training share: batches of captions with images, and the learning rate."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from world import CaptionedImages

SPATIAL_WORDS = {"left", "right", "above", "below", "over", "under", "higher", "lower"}

TokenIds = Callable[[list[str]], torch.Tensor]  # texts to i64 [B, context_length]


@dataclass(frozen=True)
class CaptionMix:
    """Selects the captions that the teacher sees; the values were chosen on validation."""

    relation_share: float = 0.7  # share of captions with a spatial relation; a third of the data's have one
    dropout: float = 0.1  # share of captions replaced by ''; the empty caption then means "any scene"


def caption_batches(
    data: CaptionedImages,
    token_ids: TokenIds,
    steps: int,
    batch_size: int,
    mix: CaptionMix,
    generator: torch.Generator,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yields `steps` batches: image indices i64 [B], and token ids of a caption of each, i64 [B, context_length]."""
    images = torch.tensor([image for image, captions in enumerate(data.captions) for _ in captions])
    ids = torch.cat([token_ids(captions) for captions in data.captions])
    relational = torch.tensor(
        [
            states_relation(caption, scene)
            for captions, scene in zip(data.captions, data.scenes, strict=True)
            for caption in captions
        ]
    )
    pools = [torch.nonzero(relational).flatten(), torch.nonzero(~relational).flatten()]
    relations = round(mix.relation_share * batch_size)
    empty = token_ids([""])[0]
    for _ in range(steps):
        picked = torch.cat(
            [
                pool[torch.randint(0, len(pool), (count,), generator=generator)]
                for pool, count in zip(pools, (relations, batch_size - relations), strict=True)
            ]
        )
        dropped = torch.rand(len(picked), generator=generator) < mix.dropout
        yield images[picked], torch.where(dropped[:, None], empty, ids[picked])


def states_relation(caption: str, scene: dict) -> bool:
    """Returns whether a caption states the spatial relation of a scene's two objects."""
    return len(scene["objects"]) == 2 and not SPATIAL_WORDS.isdisjoint(caption.lower().split())


def set_learning_rate(optimizer: torch.optim.Optimizer, peaks: list[float], step: int, warmup: int, steps: int) -> None:
    """Sets the learning rate: a linear warm-up to each parameter group's peak, then a cosine down to zero."""
    if step <= warmup:
        factor = step / warmup
    else:
        factor = 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))
    for group, peak in zip(optimizer.param_groups, peaks, strict=True):
        group["lr"] = peak * factor
