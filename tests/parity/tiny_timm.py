"""Tiny models of the timm families that open_clip uses, under names of our own, with open_clip configurations."""

from functools import partial

from export_support import TINY_TEXT
from timm.layers import LayerNorm, LayerNorm2d
from timm.models import convnext, eva, fastvit, register_model, vision_transformer, vision_transformer_hybrid, vitamin
from timm.models.vitamin import GeGluMlp, VitCfg, VitConvCfg
from torch import nn


def built(family: type[nn.Module], **arguments: object) -> nn.Module:
    """Calls `family` without what `timm.create_model` adds for pretrained weights."""
    ours = {name: value for name, value in arguments.items() if not name.startswith(("pretrained_cfg", "cache_dir"))}
    model = family(**ours)
    model.default_cfg = {}
    return model


VIT = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 4}


@register_model
def sdsclip_tiny_siglip(pretrained: bool = False, **kwargs: object) -> nn.Module:
    """SigLIP's and SigLIP 2's tower: no class token, attention pooling."""
    return built(vision_transformer.VisionTransformer, **(VIT | {"class_token": False, "global_pool": "map"} | kwargs))


@register_model
def sdsclip_tiny_eva02(pretrained: bool = False, **kwargs: object) -> nn.Module:
    """EVA02-B-16's tower: rotary positions, SwiGLU, a norm inside attention and the feed-forward layers."""
    arguments = {"qkv_fused": False, "mlp_ratio": 8 / 3, "swiglu_mlp": True, "scale_mlp": True}
    arguments |= {"scale_attn_inner": True, "use_rot_pos_emb": True, "ref_feat_shape": (4, 4), "global_pool": "token"}
    return built(eva.Eva, **(VIT | arguments | kwargs))


@register_model
def sdsclip_tiny_pe_core(pretrained: bool = False, **kwargs: object) -> nn.Module:
    """PE-Core's tower: rotary positions, a norm before the blocks, attention pooling."""
    arguments = {"attn_type": "rope", "use_pre_transformer_norm": True, "use_rot_pos_emb": True, "global_pool": "map"}
    arguments |= {"ref_feat_shape": (4, 4), "rope_grid_offset": 1.0, "rope_grid_indexing": "xy"}
    arguments |= {"attn_pool_num_heads": 4, "attn_pool_mlp_ratio": 4.0, "norm_layer": partial(LayerNorm, eps=1e-5)}
    return built(eva.Eva, **(VIT | arguments | kwargs))


@register_model
def sdsclip_tiny_convnext(pretrained: bool = False, **kwargs: object) -> nn.Module:
    return built(convnext.ConvNeXt, **({"depths": (1, 1, 2, 1), "dims": (8, 16, 24, 32)} | kwargs))


@register_model
def sdsclip_tiny_mobileclip(pretrained: bool = False, **kwargs: object) -> nn.Module:
    """MobileCLIP-S's tower: convolutions with BatchNorm, attention in the last stage."""
    return built(fastvit.FastVit, **(fastvit_arguments() | kwargs))


@register_model
def sdsclip_tiny_mobileclip2(pretrained: bool = False, **kwargs: object) -> nn.Module:
    """MobileCLIP2-S3's and -S4's tower: the same with a LayerNorm in the attention blocks."""
    arguments = {"norm_layer": partial(LayerNorm2d, eps=1e-5), "stem_use_scale_branch": False}
    return built(fastvit.FastVit, **(fastvit_arguments() | arguments | kwargs))


@register_model
def sdsclip_tiny_mobileclip_b(pretrained: bool = False, **kwargs: object) -> nn.Module:
    """MobileCLIP-B's tower: a ViT after a stem of convolutions."""
    stem = vision_transformer_hybrid.ConvStem(
        channels=(8, 8, 32), stride=(4, 2, 1), kernel_size=(4, 2, 1), padding=0, in_chans=3, act_layer=nn.GELU
    )
    embed = partial(vision_transformer_hybrid.HybridEmbed, backbone=stem, proj=False)
    hybrid = {"patch_size": 1, "no_embed_class": True, "embed_layer": embed}
    return built(vision_transformer.VisionTransformer, **(VIT | hybrid | kwargs))


@register_model
def sdsclip_tiny_vitamin(pretrained: bool = False, **kwargs: object) -> nn.Module:
    convolutions = VitConvCfg(norm_layer="layernorm2d", norm_eps=1e-6)
    embed = VitCfg(embed_dim=(8, 16, 32), depths=(1, 1, 1), stem_width=8, conv_cfg=convolutions, head_type="1d")
    arguments = {"depth": 1, "mlp_layer": GeGluMlp, "mlp_ratio": 2.0, "class_token": False, "global_pool": "avg"}
    vit = {key: value for key, value in VIT.items() if key not in ("patch_size", "img_size", "depth")}
    return vitamin._create_vitamin("vitamin_small_224", **(vit | arguments | {"img_size": 64, "embed_cfg": embed} | kwargs))


def fastvit_arguments() -> dict:
    """The settings that both generations of MobileCLIP's small towers share."""
    positions = partial(fastvit.RepConditionalPosEnc, spatial_shape=(3, 3))
    return {
        "layers": (1, 1, 1, 1),
        "embed_dims": (16, 32, 32, 64),
        "mlp_ratios": (2, 2, 2, 2),
        "se_downsamples": (False, False, True, True),
        "pos_embs": (None, None, None, positions),
        "token_mixers": ("repmixer", "repmixer", "repmixer", "attention"),
        "lkc_use_act": True,
    }


def config(model: str, size: int, pool: str, proj: str | None, text: dict | None = None, **more: object) -> dict:
    """Writes an open_clip configuration like those of the published models."""
    vision = {"image_size": size, "timm_model_name": model, "timm_model_pretrained": False}
    vision |= {"timm_pool": pool, "timm_proj": proj}
    return {"embed_dim": 32, "vision_cfg": vision, "text_cfg": TINY_TEXT | (text or {}), "custom_text": True} | more


# SigLIP's text tower: all tokens see each other, and the last one is the text's embedding, padding or not.
SIGLIP_TEXT = {
    "context_length": 16, "vocab_size": 4000, "no_causal_mask": True, "proj_bias": True, "pool_type": "last",
    "norm_kwargs": {"eps": 1e-6}, "hf_tokenizer_name": "timm/ViT-B-16-SigLIP", "tokenizer_kwargs": {"clean": "canonicalize"},
}  # fmt: skip
SIGLIP_CONFIGS = {
    "tiny-siglip": config("sdsclip_tiny_siglip", 32, "map", "none", SIGLIP_TEXT, init_logit_bias=-10),
    "tiny-siglip2": config(
        "sdsclip_tiny_siglip", 32, "map", "none", SIGLIP_TEXT | {"act_kwargs": {"approximate": "tanh"}}, init_logit_bias=-10
    ),
}
TIMM_CONFIGS = {
    "tiny-eva02": config("sdsclip_tiny_eva02", 32, "token", None),
    "tiny-pe-core": config("sdsclip_tiny_pe_core", 32, "map", None),
    "tiny-convnext": config("sdsclip_tiny_convnext", 64, "", "linear"),
    "tiny-mobileclip": config("sdsclip_tiny_mobileclip", 64, "avg", None, {"no_causal_mask": True}),
    "tiny-mobileclip2": config("sdsclip_tiny_mobileclip2", 64, "avg", None),
    "tiny-mobileclip-b": config("sdsclip_tiny_mobileclip_b", 32, "token", None),
    "tiny-vitamin": config("sdsclip_tiny_vitamin", 64, "", "linear"),
}
