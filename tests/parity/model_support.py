"""Shared by test_clip_parity.py and test_teacher_parity.py: inputs, the probe, and the distance of two tensors."""

import json
import subprocess
from pathlib import Path

import export_support  # noqa: F401  puts the exporters on the path
import torch
import torch.nn.functional as F

CAPTIONS = [
    "a red mug to the left of a laptop",
    "",
    "two dogs chase a cat; the cat isn't amused",
    " ".join(["a very long caption that no context holds,"] * 20),
    "the woman’s umbrella is above the man’s hat & coat",
    "some grass is eaten by a horse",
]


def run_probe(probe: str, *arguments: str | Path) -> dict:
    """Runs `model_probe` and returns what it printed."""
    result = subprocess.run([probe, *map(str, arguments)], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise AssertionError(result.stderr)
    return json.loads(result.stdout)


def blurred_images(count: int, size: int) -> torch.Tensor:
    """Returns pictures of a few blurred colours with some grain, u8[count, size, size, 3]."""
    generator = torch.Generator().manual_seed(11)
    colours = torch.rand(count, 3, 3, 3, generator=generator) * 255
    smooth = F.interpolate(colours, size=size, mode="bicubic", align_corners=False)
    grain = 12 * torch.randn(smooth.shape, generator=generator)
    return (smooth + grain).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def relative_error(actual: torch.Tensor, expected: torch.Tensor) -> float:
    """Returns the norm of the difference, divided by the norm of the expected value."""
    assert actual.shape == expected.shape, f"got shape {list(actual.shape)}, expected {list(expected.shape)}"
    expected = expected.detach().double()
    return float((actual.double() - expected).norm() / expected.norm())


def centred(values: torch.Tensor) -> torch.Tensor:
    """Subtracts the rows' mean, which random networks give every input and which would hide an error."""
    values = values.detach().double()
    return values - values.mean(dim=0)
