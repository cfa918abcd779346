#!/usr/bin/env python3
"""Compiles a teacher bundle's UNet for one device, precision and batch.

  compile_teacher.py models/shapes-teacher --device cpu --precision fp32 --batch 16

The packages go into the bundle's folder `compiled/` and hold machine code without weights. `step` is for `sdsclip train`,
`score` for `sdsclip diffusion-score`. They are for this LibTorch and this machine's kind of processor or GPU. Before a
package appears, its results are compared with TorchScript's.
"""

import argparse
import contextlib
import ctypes
import json
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from sdsclip_export.bundle import sha256_of
from sdsclip_export.errors import RUNTIME, USAGE, ExportError, one_line, run_main
from sdsclip_export.teacher_graph import DTYPES, BundleTeacher, CapturedGraph, architecture, capture, load_teacher

FORMAT = "sdsclip-compiled"
SCHEMA = 1
GRAPHS = ("step", "score")
TOLERANCE = {"fp32": 1e-5, "bf16": 2e-2, "fp16": 2e-2}  # of a norm, against TorchScript in the same precision


def main() -> None:
    arguments = parse_arguments()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise ExportError(USAGE, "--device: got cuda, but PyTorch sees no GPU here; compile where the package will run")
    if arguments.batch < 1:
        raise ExportError(USAGE, f"--batch: got {arguments.batch}, expected 1 or more")
    teacher = load_teacher(arguments.bundle, arguments.precision, arguments.device)
    with inductor_cache():
        for graph in GRAPHS if arguments.graph == "both" else (arguments.graph,):
            compile_graph(teacher, graph, arguments.batch)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", metavar="BUNDLE", type=Path, help="a teacher's folder, as export_teacher.py makes it")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="where the package runs (default: cpu)")
    parser.add_argument("--precision", choices=list(DTYPES), default="fp32", help="of the networks (default: fp32)")
    parser.add_argument("--batch", metavar="N", type=int, required=True, help="the UNet's micro-batch")
    parser.add_argument("--graph", choices=[*GRAPHS, "both"], default="both", help="which package to make (default: both)")
    return parser.parse_args()


@contextlib.contextmanager
def inductor_cache() -> Iterator[None]:
    """Keeps the compiler's files in a temporary folder, unless the caller has chosen one."""
    with tempfile.TemporaryDirectory(prefix="compile_teacher.") as folder:
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", folder)
        try:
            yield
        finally:
            if os.environ["TORCHINDUCTOR_CACHE_DIR"] == folder:
                del os.environ["TORCHINDUCTOR_CACHE_DIR"]


def compile_graph(teacher: BundleTeacher, graph: str, batch: int) -> None:
    """Writes one package and its description; a package without its description is not looked at."""
    start = time.monotonic()
    captured = capture(teacher, graph, batch)
    arch, instructions = architecture(teacher.device)
    version = torch.__version__.partition("+")[0]
    folder = teacher.folder / "compiled"
    folder.mkdir(exist_ok=True)
    stem = f"{graph}-torch{version}-{arch}-{teacher.precision}-b{batch}"
    with tempfile.TemporaryDirectory(prefix=".compiling.", dir=folder) as unfinished:
        package = Path(unfinished, f"{stem}.pt2")
        build(captured, package, teacher.device)
        differences = compare(teacher, graph, captured, package, batch)
        latent = teacher.manifest["latent"]
        details = {
            "format": FORMAT,
            "schema": SCHEMA,
            "graph": graph,
            "sha256": sha256_of(package),
            "unet_sha256": teacher.manifest["files"]["unet.ts"]["sha256"],
            "libtorch": version,
            "device": teacher.device,
            "architecture": arch,
            "instructions": instructions,
            "precision": teacher.precision,
            "batch": batch,
            "latent": [latent["channels"], latent["size"], latent["size"]],
            "context": [teacher.manifest["tokenizer"]["context_length"], teacher.manifest["context_dim"]],
            "constants": [f"{name}={tensor}" for name, tensor in captured.constants.items()],
        }
        description = Path(unfinished, f"{stem}.json")
        description.write_text(json.dumps(details, indent=1) + "\n", encoding="utf-8")
        (folder / description.name).unlink(missing_ok=True)
        package.replace(folder / package.name)
        description.replace(folder / description.name)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{folder / stem}.pt2: {time.monotonic() - start:.0f} s, peak memory {memory:.1f} GiB; differences {differences}")


def build(captured: CapturedGraph, path: Path, device: str) -> None:
    settings = {
        "aot_inductor.package_constants_in_so": False,
        "aot_inductor.link_libtorch": False,  # the program has LibTorch loaded, from wherever it is
        "cpp.dynamic_threads": True,  # as many as the program is told to use
        "aot_inductor.precompile_headers": False,  # a header is read once here
    }
    if device == "cuda":
        settings["aot_inductor.embed_kernel_binary"] = True  # no unpacked file is needed once the package is loaded
    try:
        torch._inductor.aoti_compile_and_package(captured.program, package_path=str(path), inductor_configs=settings)
    except Exception as error:
        raise ExportError(RUNTIME, f"{path.parent}: PyTorch could not compile the UNet ({one_line(error)})") from error


def compare(teacher: BundleTeacher, graph: str, captured: CapturedGraph, path: Path, batch: int) -> str:
    """Compares the package with TorchScript on made-up inputs. Raises ExportError where they differ."""
    ctypes.CDLL(str(Path(torch.__file__).with_name("lib") / "libtorch_cpu.so"), mode=ctypes.RTLD_GLOBAL)
    compiled = torch._inductor.aoti_load_package(str(path))
    tensors = dict([*teacher.unet.named_parameters(), *teacher.unet.named_buffers()])
    constants = {name: tensors[captured.constants[name]] for name in compiled.get_constant_fqns()}
    compiled.load_constants(constants, check_full_update=True, user_managed=True)
    inputs = teacher.example(graph, batch)
    pairs = zip(compiled(*inputs), teacher.function(graph)(*inputs), strict=True)
    differences = [float((one - other).norm() / other.norm()) for one, other in pairs]
    shown = ", ".join(f"{difference:.1e}" for difference in differences)
    if not all(difference <= TOLERANCE[teacher.precision] for difference in differences):
        raise ExportError(RUNTIME, f"{path.parent}: the compiled {graph} differs from TorchScript by {shown} of the norm")
    return shown


if __name__ == "__main__":
    run_main(main)
