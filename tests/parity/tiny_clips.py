"""Tiny open_clip configurations, one of each architecture of the paper's tables."""

import json
from pathlib import Path

from export_support import TINY_TEXT, TINY_VISION

VIT = {"embed_dim": 24, "vision_cfg": TINY_VISION, "text_cfg": TINY_TEXT, "quick_gelu": True}
RESNET = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 64, "patch_size": None, "width": 16, "layers": [1, 1, 1, 1]},
    "text_cfg": TINY_TEXT,
}
COCA = {
    "embed_dim": 32,
    "vision_cfg": TINY_VISION | {"attentional_pool": True, "attn_pooler_heads": 4, "output_tokens": True},
    "text_cfg": TINY_TEXT | {"context_length": 19, "embed_cls": True, "output_tokens": True},
    "multimodal_cfg": TINY_TEXT | {"context_length": 19, "attn_pooler_heads": 4},
    "custom_text": True,
}
CONFIGS = {"tiny-vit": VIT, "tiny-resnet": RESNET, "tiny-coca": COCA}


def write_tiny_clips(folder: Path) -> None:
    """Writes each configuration as `NAME.json`, which `export_clip.py` reads."""
    for name, config in CONFIGS.items():
        (folder / f"{name}.json").write_text(json.dumps(config), encoding="utf-8")
