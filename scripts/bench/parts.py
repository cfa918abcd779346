"""The parts of the benchmark in their order. It imports no PyTorch, so that `--list` and `--help` answer at once."""

from dataclasses import dataclass

BATCHES = {"cpu": (2, 4, 8), "cuda": (8, 32, 128)}  # of a training step


@dataclass(frozen=True)
class Part:
    name: str
    what: str
    expected_seconds: int  # on an H200: the part does not start with less time left
    on_cpu: bool = True
    needs_bundles: bool = False


BUNDLES = Part("bundles", "exports the student and the teacher with random weights", 60)


def parts_of(device: str) -> list[Part]:
    """Returns the parts after `BUNDLES`: first what tells most, at the end what takes long."""
    small, medium, large = BATCHES[device.partition(":")[0]]

    def plain(batch: int, seconds: int) -> Part:
        return Part(f"plain-{batch}", f"step of plain PyTorch, batch {batch}", seconds)

    def ours(batch: int, seconds: int) -> list[Part]:
        what = f"step of sdsclip, batch {batch}"
        return [
            Part(f"ours-{batch}", what, seconds, needs_bundles=True),
            Part(f"free-{batch}", f"{what}, train.deterministic=false", seconds, needs_bundles=True),
        ]

    def compiled(batch: int, on_cpu: bool) -> Part:
        return Part(f"compiled-{batch}", f"step of plain PyTorch with torch.compile, batch {batch}", 80, on_cpu)

    def teacher(batch: int) -> Part:
        return Part(f"teacher-{batch}", f"step of sdsclip with a compiled teacher, batch {batch}", 120, False, True)

    return [
        Part("matmul", "rate of a product of matrices", 3),
        Part("flops", "FLOPs of a step", 10),
        Part("A", "UNet: default", 10),
        Part("B", "UNet: cudnn.deterministic", 10, on_cpu=False),
        Part("C", "UNet: use_deterministic_algorithms", 10),
        Part("D", "UNet: attention by FLASH or EFFICIENT only", 10),
        Part("E", "UNet: cudnn.benchmark", 20, on_cpu=False),
        Part("F", "UNet: channels_last", 10),
        Part("G", "UNet: CUDA graph", 10, on_cpu=False),
        plain(small, 5),
        plain(medium, 10),
        Part("kernels-plain", "longest kernels of plain PyTorch's step", 10),
        *ours(small, 15),
        *ours(medium, 15),
        Part("kernels-ours", "longest kernels of sdsclip's step", 15, needs_bundles=True),
        Part("kernels-free", "longest kernels of sdsclip's step, train.deterministic=false", 15, needs_bundles=True),
        Part("scores", "diffusion score beside diffusion-classifier's loop", 40, needs_bundles=True),
        Part("Hc", "UNet: torch.compile, channels_last", 80),
        Part(f"compiled-kernels-{medium}", "step of plain PyTorch with torch.compile, and its longest kernels", 80, False),
        compiled(small, on_cpu=True),
        teacher(medium),
        plain(large, 20),
        *ours(large, 30),
        compiled(large, on_cpu=False),
        Part("H", "UNet: torch.compile", 120, on_cpu=False),
        teacher(small),
    ]
