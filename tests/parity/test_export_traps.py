"""What TorchScript traces are known to get wrong, looked for in the archives that the exporters write.

Other traps are tested where they show: a baked batch size and bfloat16 after loading in test_export_clip.py and
test_export_teacher.py, inference tensors and the profiling executor in tests/models/teacher_test.cpp.
"""

import io
import sys
import unittest
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))  # for `python -m unittest PATH`, which leaves it out

from export_support import ExportTestCase, run_script
from tiny_clips import CONFIGS, write_tiny_clips

import export_clip
import export_teacher
from sdsclip_export import tracing, verify

METHODS = {"clip.ts": ("encode_image", "encode_text"), "unet.ts": ("forward", "features")}
# Inference-only kernels that `nn.MultiheadAttention` and `nn.TransformerEncoderLayer` choose by themselves.
WITHOUT_DERIVATIVE = ("aten::_native_multi_head_attention", "aten::_transformer_encoder_layer_fwd")


def all_nodes(graph: torch._C.Graph | torch._C.Block) -> Iterator[torch._C.Node]:
    for node in graph.nodes():
        yield node
        for block in node.blocks():
            yield from all_nodes(block)


def fixed_devices(graph: torch._C.Graph) -> list[str]:
    """Every constant that is a device, and every call whose `device` argument is one."""
    found = []
    for node in all_nodes(graph):
        outputs = list(node.outputs())
        if node.kind() == "prim::Constant" and outputs[0].type().kind() == "DeviceObjType":
            found.append(f"constant {outputs[0].toIValue()}")
        for value in node.inputs():
            is_device = value.type().kind() == "DeviceObjType"
            if is_device and value.node().kind() not in ("prim::device", "prim::Constant"):
                found.append(f"{node.kind()} on {value.node().kind()}")
    return found


class Traps(ExportTestCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        write_tiny_clips(cls.scratch)
        bundles = []
        for name in CONFIGS:
            bundles.append(cls.scratch / name)
            code, _, stderr = run_script(
                export_clip, cls.scratch / f"{name}.json", "--random", 1, "--out", bundles[-1]
            )
            assert code == 0, stderr
        bundles.append(cls.scratch / "teacher")
        code, _, stderr = run_script(export_teacher, "--random", 1, "--config", "tiny", "--out", bundles[-1])
        assert code == 0, stderr
        cls.graphs = {
            f"{bundle.name}/{path.name}/{method}": getattr(archive, method).inlined_graph
            for bundle in bundles
            for path in sorted(bundle.glob("*.ts"))
            for archive in [verify.load_exported(path)]
            for method in METHODS.get(path.name, ("forward",))
        }

    def test_no_graph_names_a_device(self) -> None:
        self.assertEqual(len(self.graphs), 3 * 2 + 2 + 1 + 1)
        for name, graph in self.graphs.items():
            with self.subTest(name):
                self.assertEqual(fixed_devices(graph), [])

    def test_no_graph_takes_attentions_path_without_derivative(self) -> None:
        for name, graph in self.graphs.items():
            with self.subTest(name):
                self.assertFalse({node.kind() for node in all_nodes(graph)} & set(WITHOUT_DERIVATIVE))

    def test_no_graph_divides_an_activation_by_one(self) -> None:
        for name, graph in self.graphs.items():
            with self.subTest(name):
                divisors = [list(node.inputs())[1].toIValue() for node in all_nodes(graph) if node.kind() == "aten::div"]
                self.assertNotIn(1.0, divisors)


class Hazards(unittest.TestCase):
    """The traps are real: without the exporter's precautions they show."""

    def attention(self) -> tuple[nn.Module, torch.Tensor]:
        class SelfAttention(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.attention(x, x, x, need_weights=False)[0]

        return SelfAttention().eval().requires_grad_(False), torch.randn(2, 3, 8)

    def test_a_plain_trace_takes_the_path_without_derivative_and_ours_does_not(self) -> None:
        module, x = self.attention()
        with torch.no_grad():
            plain = torch.jit.trace(module, x, check_trace=False)
            ours = tracing.trace_methods(module, {"forward": (x,)})
        kinds = [{node.kind() for node in all_nodes(traced.inlined_graph)} for traced in (plain, ours)]
        self.assertIn(WITHOUT_DERIVATIVE[0], kinds[0])
        self.assertNotIn(WITHOUT_DERIVATIVE[0], kinds[1])

    def test_a_plain_trace_fixes_the_device(self) -> None:
        class Positions(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return x + torch.arange(x.shape[1], device=x.device)

        archive = io.BytesIO()
        torch.jit.save(torch.jit.trace(Positions(), torch.zeros(2, 3), check_trace=False), archive)
        archive.seek(0)
        self.assertEqual(fixed_devices(torch.jit.load(archive).inlined_graph), ["constant cpu"])


if __name__ == "__main__":
    unittest.main()
