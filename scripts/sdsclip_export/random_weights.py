"""Makes random weights in which no tensor keeps a value that could hide an error."""

import torch
from torch import nn


def perturb_all(model: nn.Module, seed: int) -> None:
    """Adds seeded noise to every stored floating tensor of `model`, in place.

    Initialisations leave norm weights at one, biases and some last norms at zero, and running statistics unchanged. An
    export that lost such a tensor would still look right. The noise is small compared with a tensor's own spread, and
    never below 0.02.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in sorted(model.state_dict().items()):
            if not tensor.is_floating_point():
                continue
            spread = float(tensor.std()) if tensor.numel() > 1 else 0.0
            noise = torch.randn(tensor.shape, generator=generator)
            if name.endswith("running_var"):
                tensor.mul_(torch.exp(0.2 * noise))
            else:
                tensor.add_(noise, alpha=max(0.2 * spread, 0.02))
