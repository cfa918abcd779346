"""Compares a new bundle with the eager model that it was made from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from sdsclip_export.errors import RUNTIME, ExportError

TOLERANCE = 1e-5


@dataclass
class Comparison:
    """The differences between the library's model and its export."""

    rows: list[tuple[str, float, float]] = field(default_factory=list)  # what, largest difference, the same / spread

    def add(self, what: str, exported: torch.Tensor, eager: torch.Tensor) -> None:
        """Compares two tensors. The relative difference is to the spread of the eager values around their mean."""
        if exported.shape != eager.shape:
            raise ExportError(RUNTIME, f"{what}: the export gives {list(exported.shape)}, not {list(eager.shape)}")
        eager, exported = eager.detach().double(), exported.detach().double()
        difference = float((exported - eager).abs().max())
        spread = float((eager - eager.mean()).abs().max())
        self.rows.append((what, difference, difference / spread if spread > 0 else float("inf")))

    def finish(self) -> None:
        """Prints the table. Raises ExportError if a relative difference is not below TOLERANCE."""
        width = max(len(what) for what, _, _ in self.rows)
        print(f"{'export against eager model':<{width}}  {'max abs':>9}  {'relative':>9}")
        for what, difference, relative in self.rows:
            print(f"{what:<{width}}  {difference:9.2e}  {relative:9.2e}")
        worst = [what for what, _, relative in self.rows if not relative <= TOLERANCE]
        if worst:
            raise ExportError(RUNTIME, f"the export differs from the eager model by more than {TOLERANCE:g}: {worst[0]}")


def load_exported(path: Path) -> torch.jit.ScriptModule:
    """Loads an export as C++ does.

    The profiling executor is off: with it, gradients change between the first calls of a shape.
    """
    torch._C._jit_set_profiling_mode(False)
    return torch.jit.load(str(path))


def value_and_gradient(
    function: Callable[..., torch.Tensor], inputs: Sequence[torch.Tensor], wanted: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns `function(*inputs)` and the gradient of its seeded random projection with respect to `wanted`."""
    with torch.enable_grad():
        value = function(*inputs)
        direction = torch.randn(value.shape, generator=torch.Generator().manual_seed(1))
        (gradient,) = torch.autograd.grad((value * direction).sum(), [wanted])
    return value.detach(), gradient
