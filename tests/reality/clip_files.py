"""Files of CLIP weights, wrapped like those of the programs that publish them; docs/models.md names the sources."""

import argparse
from pathlib import Path

import numpy as np
import open_clip
import torch
from torch import nn

CONFIG = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 64, "head_width": 64, "layers": 2},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 2},
}


def random_model(name: str, quick_gelu: bool = False) -> nn.Module:
    """A registered model with seeded weights that are exact in half precision."""
    torch.manual_seed(4)
    model = open_clip.create_model(name, force_quick_gelu=quick_gelu).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn(parameter.shape))
            parameter.copy_(parameter.half())
    return model


def write_epoch(model: nn.Module, path: Path) -> None:
    """Writes `epoch_K.pt` like open_clip's training with several processes, with additions that people make."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    sum(parameter.sum() for parameter in model.parameters()).backward()
    optimizer.step()
    optimizer.zero_grad()
    torch.save(
        {
            "epoch": 3,
            "name": "2026_01_01-model_ViT-B-32-lr_0.001",
            "state_dict": {f"module.{name}": tensor for name, tensor in model.state_dict().items()},
            "optimizer": optimizer.state_dict(),
            "scaler": {"scale": 65536.0, "growth_factor": 2.0, "_growth_tracker": 7},
            "best_accuracy": np.float64(0.31),
            "history": np.arange(3, dtype=np.float32),
            "args": argparse.Namespace(lr=1e-3, logs=Path("logs")),
        },
        path,
    )


def write_openai_archive(model: nn.Module, path: Path) -> None:
    """Writes a model like OpenAI's: a TorchScript archive with matrices in half precision and three numbers."""
    del model.context_length, model.vocab_size
    mask = model.attn_mask
    del model.attn_mask
    model.attn_mask = mask  # not a buffer: a constant of the graph
    for name, value in (("input_resolution", 32), ("context_length", 77), ("vocab_size", 49408)):
        model.register_buffer(name, torch.tensor(value))
    inputs = {"encode_image": torch.zeros(1, 3, 32, 32), "encode_text": torch.zeros(1, 77, dtype=torch.long)}
    archive = torch.jit.trace_module(model, inputs, check_trace=False)
    for parameter in archive.parameters():
        if parameter.ndim > 1:
            parameter.data = parameter.data.half()
    torch.jit.save(archive, str(path))
