"""The UNet's forward pass and the gradient of its input, in the ways that PyTorch can run them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import torch
from diffusers import UNet2DConditionModel
from measure import count_flops, repetitions
from networks import DTYPES, Workplace, teacher_source
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from sdsclip_export.teacher_configs import read_config

VARIANTS = {
    "A": "default",
    "B": "cudnn.deterministic",
    "C": "use_deterministic_algorithms, no fill",
    "D": "attention by FLASH or EFFICIENT only",
    "E": "cudnn.benchmark",
    "F": "channels_last",
    "G": "CUDA graph of A",
    "H": "torch.compile",
    "Hc": "torch.compile, channels_last",
}

Inputs = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]  # z, timesteps, context, noise


@contextmanager
def changed(owner: object, name: str, value: object) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def deterministic() -> Iterator[None]:
    """Asks for the same bits each time, as `sdsclip` does, without filling new tensors with NaN."""
    torch.use_deterministic_algorithms(True)
    try:
        with changed(torch.utils.deterministic, "fill_uninitialized_memory", False):
            yield
    finally:
        torch.use_deterministic_algorithms(False)


@contextmanager
def channels_last(network: nn.Module) -> Iterator[None]:
    network.to(memory_format=torch.channels_last)
    try:
        yield
    finally:
        network.to(memory_format=torch.contiguous_format)


@contextmanager
def conditions(variant: str, unet: nn.Module) -> Iterator[None]:
    contexts = {
        "B": lambda: changed(torch.backends.cudnn, "deterministic", True),
        "C": deterministic,
        "D": lambda: sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION]),
        "E": lambda: changed(torch.backends.cudnn, "benchmark", True),
        "F": lambda: channels_last(unet),
        "Hc": lambda: channels_last(unet),
    }
    if variant not in contexts:
        yield
        return
    with contexts[variant]():
        yield


def inputs_of(unet: UNet2DConditionModel, text_length: int, batch: int, device: str, precision: str) -> Inputs:
    config = unet.config
    z = torch.randn(batch, config.in_channels, config.sample_size, config.sample_size, device=device)
    context = torch.randn(batch, text_length, config.cross_attention_dim, device=device)
    t = torch.randint(0, 1000, (batch,), device=device)
    dtype = DTYPES[precision]
    return z.to(dtype).requires_grad_(), t, context.to(dtype), torch.randn_like(z)


def input_gradient(unet: Callable, inputs: Inputs) -> torch.Tensor:
    z, t, context, noise = inputs
    error = unet(z, t, context).sample.float() - noise
    return torch.autograd.grad(error.square().sum(), z)[0]


def cuda_graph(unet: Callable, inputs: Inputs) -> Callable[[], None]:
    """Captures one call, after some on a stream of their own, as PyTorch's documentation asks."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            input_gradient(unet, inputs)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        input_gradient(unet, inputs)
    return graph.replay


@cache
def flops_per_image(config: str) -> int:
    """Counts one image's FLOPs on PyTorch's meta device, which has shapes without numbers."""
    _, parts = read_config(config)
    with torch.device("meta"):
        unet = UNet2DConditionModel(**parts["unet"]).requires_grad_(False)
    z, t, context, noise = inputs_of(unet, parts["text_encoder"]["max_position_embeddings"], 1, "meta", "fp32")

    def run() -> None:
        (unet(z, t, context).sample - noise).square().sum().backward()

    return count_flops(run)


def measure_variant(place: Workplace, variant: str) -> list[dict]:
    size, source = place.size, teacher_source(place.size.teacher, place.device)
    rows = []
    for precision, batch in size.compiled if variant.startswith("H") else size.variants:
        unet = source.unet.to(DTYPES[precision])
        inputs = inputs_of(unet, source.tokenizer.context_length, batch, place.device, precision)
        with conditions(variant, unet):
            if variant == "G":
                run = cuda_graph(unet, inputs)
            else:
                called = torch.compile(unet, backend=size.compiler) if variant.startswith("H") else unet
                run = lambda: input_gradient(called, inputs)  # noqa: B023, E731  called before the next turn
            seconds = repetitions(run, place.device, size.warm_up, size.seconds, size.repetitions)
        rows.append({
            "table": "variants", "name": f"{variant:2} {VARIANTS[variant]}", "precision": precision, "batch": batch,
            "seconds": seconds, "flops": batch * flops_per_image(size.teacher),
        })  # fmt: skip
        del run, inputs
        place.free()
    return rows
