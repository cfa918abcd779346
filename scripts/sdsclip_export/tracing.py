"""Makes TorchScript traces without a device or a floating dtype, so that C++ can move and cast them after loading."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from sdsclip_export.errors import RUNTIME, ExportError

_DEBUG_SUFFIX = ".debug_pkl"
_WRITTEN_BY_TORCH = ("version", "byteorder", ".data/")


@contextmanager
def portable_tracing() -> Iterator[None]:
    """Keeps no-op casts and divisions by one out of the trace, and turns off attention's inference-only path.

    - A `Tensor.to` that changes nothing would still be recorded with the dtype and device of the example. It would fail
      or move data back when the model is cast to bfloat16 or is on a GPU.
    - diffusers divides the output of every residual and attention block by a factor that is 1 in all of Stable
      Diffusion. Each division is a pass over the whole activation, forward and backward.
    - `nn.MultiheadAttention`'s fast path has no derivative.
    """
    original_to = torch.Tensor.to
    original_divide = torch.Tensor.__truediv__
    fast_path = torch.backends.mha.get_fastpath_enabled()

    def to_unless_already(self: torch.Tensor, *args, **kwargs) -> torch.Tensor:
        if "copy" not in kwargs:
            device, dtype, _, memory_format = torch._C._nn._parse_to(*args, **kwargs)
            if dtype in (None, self.dtype) and device in (None, self.device) and memory_format is None:
                return self
        return original_to(self, *args, **kwargs)

    def divide_unless_by_one(self: torch.Tensor, divisor: object) -> torch.Tensor:
        if isinstance(divisor, (int, float)) and divisor == 1 and self.is_floating_point():
            return self
        return original_divide(self, divisor)

    torch.backends.mha.set_fastpath_enabled(False)
    torch.Tensor.to = to_unless_already
    torch.Tensor.__truediv__ = divide_unless_by_one
    try:
        yield
    finally:
        torch.Tensor.to = original_to
        torch.Tensor.__truediv__ = original_divide
        torch.backends.mha.set_fastpath_enabled(fast_path)


def trace_methods(module: nn.Module, examples: dict[str, tuple[torch.Tensor, ...]]) -> torch.jit.ScriptModule:
    """Traces the named methods of `module` on example inputs. Raises ExportError if a graph is not portable."""
    module.eval()
    with portable_tracing():
        traced = torch.jit.trace_module(module, examples, check_trace=False, strict=False)
    for method in examples:
        refuse_fixed_devices(getattr(traced, method).inlined_graph, method)
    return traced


def take_token(hidden: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
    """Returns `hidden[row, position[row]]` for every row: f[B, L, D] and i64[B] to f[B, D].

    The libraries index with `torch.arange(B, device=...)`, which a trace would pin to the CPU.
    """
    rows = torch.ones_like(position).cumsum(0) - 1
    return hidden[rows, position]


def refuse_fixed_devices(graph: torch._C.Graph, method: str) -> None:
    """Raises ExportError if `graph` names a device or holds the values of a tensor."""
    for node in _all_nodes(graph):
        if node.kind() != "prim::Constant":
            continue
        output = node.output()
        users = ", ".join(sorted({use.user.kind() for use in output.uses()})) or "nothing"
        if output.type().kind() == "DeviceObjType":
            raise ExportError(RUNTIME, f"{method}: the trace fixes device {output.toIValue()} in {users}")
        value = output.toIValue()
        if isinstance(value, torch.Tensor) and value.dim() > 0:
            raise ExportError(RUNTIME, f"{method}: the trace holds a tensor of shape {list(value.shape)} for {users}")


def save_without_sources(traced: torch.jit.ScriptModule, path: Path) -> None:
    """Saves `traced` without TorchScript's debug records, which hold file names of this machine."""
    complete = path.with_suffix(".complete")
    torch.jit.save(traced, str(complete))
    reader = torch._C.PyTorchFileReader(str(complete))
    writer = torch._C.PyTorchFileWriter(str(path))
    writer.set_min_version(_format_version(complete))
    for record in reader.get_all_records():
        if not record.endswith(_DEBUG_SUFFIX) and not record.startswith(_WRITTEN_BY_TORCH):
            data = reader.get_record(record)
            writer.write_record(record, data, len(data))
    writer.write_end_of_file()
    del reader
    complete.unlink()


def _format_version(archive: Path) -> int:
    """The version of the format, which says how operators are read: GELU by tanh needs a newer one than most archives."""
    with zipfile.ZipFile(archive) as content:
        name = next(name for name in content.namelist() if name.endswith("version"))
        return int(content.read(name))


def _all_nodes(block: torch._C.Graph | torch._C.Block) -> Iterator[torch._C.Node]:
    for node in block.nodes():
        yield node
        for inner in node.blocks():
            yield from _all_nodes(inner)
