"""Types for a CLIP model of a Python library: the model for tracing and the source of its weights."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from sdsclip_export.tokenizer import BundleTokenizer


@dataclass
class Weights:
    """The source of the weights: one of the first three, or none for a folder, which holds its own."""

    pretrained: str | None = None  # an open_clip tag, which open_clip downloads
    checkpoint: Path | None = None  # a file with open_clip's tensors
    random: int | None = None  # the seed of random weights
    variant: str | None = None  # which weights of a transformers folder, for example "fp16"
    preprocess_of: str | None = None  # the open_clip tag whose preprocessing a file's weights have

    def is_given(self) -> bool:
        return self.pretrained is not None or self.checkpoint is not None or self.random is not None

    def label(self) -> str:
        """Returns the bundle's `source.checkpoint`."""
        if self.random is not None:
            return f"random:{self.random}"
        return self.pretrained or (self.checkpoint.name if self.checkpoint else "own")


@dataclass
class ClipSource:
    """A CLIP model of a Python library, and the entries of its bundle."""

    name: str
    source: dict  # library, version, checkpoint
    encode_image: Callable[[torch.Tensor], torch.Tensor]  # the library's own: f32[B,3,H,W] to [B,D], not normalised
    encode_text: Callable[[torch.Tensor], torch.Tensor]  # the library's own: i64[B,L] to [B,D], not normalised
    towers: nn.Module  # what is traced: the same two methods, the library's parameter names
    while_tracing: Callable[[], AbstractContextManager]  # makes the library's trace portable
    tokenizer: BundleTokenizer
    image: dict  # size, resize, mean, std
    embed_dim: int
    activation: str  # "quick_gelu" or "gelu"
