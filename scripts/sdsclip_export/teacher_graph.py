"""Captures a bundle's UNet as graphs that AOTInductor compiles, with the archive's own tensors as their constants."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.fx.experimental.proxy_tensor import make_fx

from sdsclip_export.bundle import sha256_of
from sdsclip_export.errors import INPUT, USAGE, ExportError
from sdsclip_export.verify import load_exported

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_CPU_INSTRUCTIONS = re.compile(r"^(sse|ssse|avx|fma|f16c|bmi|abm|popcnt|movbe|adx|amx)")


@dataclass
class BundleTeacher:
    """A teacher's UNet as `sdsclip` runs it: cast to `precision`, on `device`."""

    folder: Path
    manifest: dict
    unet: torch.jit.ScriptModule
    precision: str
    device: str

    def residual(self, noised, t, context, target) -> torch.Tensor:
        """Returns the UNet's prediction (noise or velocity) less `target`, f32[N,C,h,w]."""
        dtype = DTYPES[self.precision]
        return self.unet.forward(noised.to(dtype), t, context.to(dtype)).float() - target

    def step(self, noised, t, context, target, weight) -> tuple[torch.Tensor, ...]:
        """Returns the squared error per item, f32[N], and the gradients of their weighted sum in `noised` and `target`."""
        with torch.enable_grad():
            noised = noised.detach().requires_grad_(True)
            residual = self.residual(noised, t, context, target)
            errors = residual.pow(2).sum((1, 2, 3))
            (gradient,) = torch.autograd.grad((errors * weight).sum(), noised)
        return errors.detach(), gradient, -2 * weight.view(-1, 1, 1, 1) * residual.detach()

    def score(self, noised, t, context, target) -> tuple[torch.Tensor, ...]:
        """Returns the sums of the error's squares and absolute values per item, f64[N] each."""
        with torch.no_grad():
            residual = self.residual(noised, t, context, target)
            return tuple(part.sum((1, 2, 3), dtype=torch.float64) for part in (residual.square(), residual.abs()))

    def function(self, graph: str) -> Callable[..., tuple[torch.Tensor, ...]]:
        method = {"step": self.step, "score": self.score}[graph]
        return lambda *inputs: method(*inputs)  # make_fx would count the `self` of a method as an input

    def example(self, graph: str, batch: int) -> tuple[torch.Tensor, ...]:
        """Returns seeded inputs of a graph, on the device."""
        generator = torch.Generator().manual_seed(batch)
        latent, tokens = self.manifest["latent"], self.manifest["tokenizer"]["context_length"]
        shape = (batch, latent["channels"], latent["size"], latent["size"])
        inputs = [
            torch.randn(shape, generator=generator),
            torch.randint(0, self.manifest["schedule"]["train_timesteps"], (batch,), generator=generator),
            torch.randn(batch, tokens, self.manifest["context_dim"], generator=generator),
            torch.randn(shape, generator=generator),
        ]
        if graph == "step":
            inputs.append(torch.rand(batch, generator=generator) + 0.5)
        return tuple(tensor.to(self.device) for tensor in inputs)


def load_teacher(folder: Path, precision: str, device: str) -> BundleTeacher:
    """Loads the UNet of a teacher's bundle. Raises ExportError if the folder is none or its archive was changed."""
    manifest_path = folder / "bundle.json"
    if not manifest_path.is_file():
        raise ExportError(USAGE, f"{folder}: no bundle (it has no bundle.json); make one with scripts/export_teacher.py")
    try:
        manifest = json.loads(manifest_path.read_text(encoding="utf-8"))
        kind, digest = manifest["kind"], manifest["files"]["unet.ts"]["sha256"] if manifest["kind"] == "teacher" else None
    except (ValueError, KeyError, TypeError) as error:
        raise ExportError(INPUT, f"{manifest_path}: not the bundle.json of a teacher ({error!r}); export it again") from error
    if kind != "teacher":
        raise ExportError(USAGE, f"{folder}: got a bundle of kind '{kind}', expected 'teacher'")
    archive = folder / "unet.ts"
    if not archive.is_file() or sha256_of(archive) != digest:
        raise ExportError(INPUT, f"{archive}: missing or not the file that bundle.json names; export or copy the bundle again")
    unet = load_exported(archive).to(device).eval()
    for tensor in [*unet.parameters(), *unet.buffers()]:
        tensor.requires_grad_(False)
        if tensor.is_floating_point():
            tensor.data = tensor.data.to(DTYPES[precision])
    return BundleTeacher(folder, manifest, unet, precision, device)


@dataclass
class CapturedGraph:
    """A graph as an exported program, and the archive's name of each of its constants."""

    program: torch.export.ExportedProgram
    constants: dict[str, str]


def capture(teacher: BundleTeacher, graph: str, batch: int) -> CapturedGraph:
    """Records the operators that the TorchScript interpreter runs, forward and backward, for a batch of this size."""
    inputs = teacher.example(graph, batch)
    recorded = make_fx(teacher.function(graph), tracing_mode="fake", _allow_non_fake_inputs=True)(*inputs)
    recorded.graph.eliminate_dead_code()
    recorded.recompile()
    names = {_identity(tensor): name for name, tensor in [*teacher.unet.named_parameters(), *teacher.unet.named_buffers()]}
    constants = {}
    for node in recorded.graph.nodes:
        if node.op != "get_attr" or node.target in constants:
            continue
        tensor = getattr(recorded, node.target)
        if _identity(tensor) not in names:
            raise ExportError(INPUT, f"{teacher.folder}: the UNet's trace holds a constant {list(tensor.shape)}; export it again")
        constants[node.target] = names[_identity(tensor)]
    return CapturedGraph(torch.export.export(recorded, inputs, strict=False), constants)


def _identity(tensor: torch.Tensor) -> tuple:
    return tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype


def architecture(device: str) -> tuple[str, list[str]]:
    """Returns the name of the device's architecture, and of a CPU the instruction sets that compiled code may use."""
    if device != "cpu":
        return "sm_{}{}".format(*torch.cuda.get_device_capability(device)), []
    flags = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags"))
    instructions = sorted(flag for flag in flags.partition(":")[2].split() if _CPU_INSTRUCTIONS.match(flag))
    digest = hashlib.sha256(" ".join(instructions).encode()).hexdigest()[:8]
    return f"cpu-{digest}", instructions
