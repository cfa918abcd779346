"""A teacher's bundle whose UNet is small enough to be compiled in a test."""

import hashlib
import json
import shutil
from pathlib import Path

import torch
from export_support import SCRIPTS
from torch import nn

from sdsclip_export.tracing import trace_methods

SHAPES_TEACHER = SCRIPTS.parent / "models" / "shapes-teacher"


class SmallUnet(nn.Module):
    """One of each layer of a UNet: strided convolution, group norm, cross-attention, upsampling and a skip."""

    def __init__(self, channels: int, context: int, width: int = 8):
        super().__init__()
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.time = nn.Linear(1, width)
        self.norm = nn.GroupNorm(2, width)
        self.down = nn.Conv2d(width, width, 3, stride=2, padding=1)
        self.query, self.key, self.value = (nn.Linear(size, width) for size in (width, context, context))
        self.up = nn.Upsample(scale_factor=2.0)
        self.last = nn.Conv2d(2 * width, channels, 3, padding=1)

    def forward(self, z: torch.Tensor, t: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        time = self.time(t.unsqueeze(1).type_as(z) / 1000)
        first = nn.functional.silu(self.norm(self.first(z) + time[:, :, None, None]))
        inner = self.down(first)
        rows = inner.flatten(2).transpose(1, 2)
        attended = nn.functional.scaled_dot_product_attention(self.query(rows), self.key(context), self.value(context))
        inner = inner + attended.transpose(1, 2).reshape(inner.shape)
        return self.last(torch.cat([first, self.up(inner)], 1))


def write_small_teacher(folder: Path, prediction_type: str) -> Path:
    """Writes the shapes world's teacher with a `SmallUnet` of seeded random weights."""
    shutil.copytree(SHAPES_TEACHER, folder)
    manifest = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
    latent = manifest["latent"]
    torch.manual_seed(5)
    unet = SmallUnet(latent["channels"], manifest["context_dim"])
    z = torch.randn(2, latent["channels"], latent["size"], latent["size"])
    context = torch.randn(2, manifest["tokenizer"]["context_length"], manifest["context_dim"])
    trace_methods(unet, {"forward": (z, torch.tensor([3, 900]), context)}).save(str(folder / "unet.ts"))
    data = (folder / "unet.ts").read_bytes()
    manifest["files"]["unet.ts"] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    manifest |= {"prediction_type": prediction_type, "features": []}
    (folder / "bundle.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder
