"""Tiny CLIP models: one open_clip configuration per architecture of the paper, and a transformers folder."""

import json
from pathlib import Path

import transformers
from export_support import TINY_TEXT, TINY_VISION

from sdsclip_export import tokenizer as tokenizers

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
# No norm before the blocks, the mean of the patches, texts without a causal mask, read at the last id, padding or not.
CLIPA = {
    "embed_dim": 24,
    "vision_cfg": TINY_VISION | {"no_ln_pre": True, "pool_type": "avg", "final_ln_after_pool": True},
    "text_cfg": TINY_TEXT
    | {"context_length": 12, "vocab_size": 8500, "no_causal_mask": True, "pool_type": "last"}
    | {"hf_tokenizer_name": "bert-base-uncased", "tokenizer_kwargs": {"strip_sep_token": True}},
}
CLIPA_CONFIGS = {"tiny-clipa": CLIPA}
CONFIGS = {"tiny-vit": VIT, "tiny-resnet": RESNET, "tiny-coca": COCA}


def write_tiny_clips(folder: Path, configs: dict[str, dict] = CONFIGS) -> None:
    """Writes each configuration as `NAME.json`, which `export_clip.py` reads."""
    for name, config in configs.items():
        (folder / f"{name}.json").write_text(json.dumps(config), encoding="utf-8")


def write_tiny_transformers(folder: Path, eos_token_id: int) -> None:
    """Writes a transformers `CLIPModel` folder with random weights and OpenAI's merges."""
    text = {"vocab_size": 49408, "hidden_size": 32, "intermediate_size": 64, "max_position_embeddings": 20}
    vision = {"hidden_size": 32, "intermediate_size": 64, "image_size": 32, "patch_size": 8}
    layers = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_act": "gelu"}
    config = transformers.CLIPConfig(
        text_config=text | layers | {"eos_token_id": eos_token_id, "bos_token_id": 49406},
        vision_config=vision | layers,
        projection_dim=24,
    )
    transformers.CLIPModel(config).save_pretrained(folder)
    merges = tokenizers.openai_merges()
    transformers.CLIPTokenizer(
        vocab=tokenizers.vocabulary(merges, "<|startoftext|>", "<|endoftext|>"),
        merges=[tuple(merge.split(" ")) for merge in merges],
    ).save_pretrained(folder)
