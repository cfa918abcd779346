"""A training step: `sdsclip`'s, beside plain PyTorch's, eager and compiled."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
from kernels import top_kernels
from measure import count_flops, profiled, repetitions, run_program
from networks import DTYPES, ROOT, Workplace, plain_training, step_settings, write_step_inputs
from PIL import Image
from plain_training import PlainTraining
from variants import channels_last

import model_support

EAGER = "plain PyTorch, eager"
COMPILED = "plain PyTorch, torch.compile, channels_last"
PICTURES = 64  # files of the training table, which repeats them


class NotHere(Exception):
    """This build cannot run the part; the message says why."""


def row_of(place: Workplace, name: str, batch: int, seconds: list[float], gpu_bytes: int = 0) -> dict:
    return {
        "table": "steps", "name": name, "precision": place.size.step_precision, "batch": batch, "seconds": seconds,
        "gpu_bytes": gpu_bytes,
    }  # fmt: skip


def measure_matmul(place: Workplace) -> list[dict]:
    """The rate of one large product of matrices: what the device reaches at best."""
    rows, n = [], place.size.matrix
    for precision, dtype in DTYPES.items():
        a, b = (torch.randn(n, n, device=place.device).to(dtype) for _ in range(2))
        seconds = repetitions(lambda: a @ b, place.device, 3, place.size.seconds, 10)  # noqa: B023
        rows.append({
            "table": "matmul", "name": f"{n} x {n} matrices", "precision": precision, "batch": 1, "seconds": seconds,
            "flops": 2 * n**3,
        })  # fmt: skip
    return rows


def measure_flops(place: Workplace) -> list[dict]:
    """Counts the FLOPs of the plain step with a batch of 2, per image."""
    training = plain_training(place, 2)
    return [{"table": "flops", "name": "step", "flops_per_image": count_flops(training.step) // 2}]


def reset_gpu_peak(place: Workplace) -> None:
    if place.device != "cpu":
        torch.cuda.reset_peak_memory_stats()


def gpu_peak(place: Workplace) -> int:
    return torch.cuda.max_memory_allocated() if place.device != "cpu" else 0


def measure_plain(place: Workplace, batch: int) -> list[dict]:
    reset_gpu_peak(place)
    training = plain_training(place, batch)
    size = place.size
    seconds = repetitions(training.step, place.device, size.warm_up, size.seconds, size.repetitions)
    return [row_of(place, EAGER, batch, seconds, gpu_peak(place))]


@contextmanager
def compiled_training(place: Workplace, batch: int) -> Iterator[PlainTraining]:
    """Gives the plain loop with UNet and CLIP compiled in channels_last; afterwards both are as before."""
    training = plain_training(place, batch)
    backend = place.size.compiler
    unet = training.teacher.unet
    training.teacher = replace(training.teacher, unet=torch.compile(unet, backend=backend))
    towers = (training.clip.visual, training.clip.transformer)
    for tower in towers:
        tower.compile(backend=backend)
    with channels_last(unet), channels_last(training.clip.visual):
        yield training
    for tower in towers:
        tower._compiled_call_impl = None


def measure_compiled(place: Workplace, batch: int, trace: Path | None = None) -> list[dict]:
    size = place.size
    reset_gpu_peak(place)
    with compiled_training(place, batch) as training:
        seconds = repetitions(training.step, place.device, size.warm_up, size.seconds, size.repetitions)
        if trace is not None:
            profiled(training.step, place.device, trace)
    return [row_of(place, COMPILED, batch, seconds, gpu_peak(place))]


@cache
def has_option(build: Path, name: str) -> bool:
    """Returns whether the program's configuration has `train.NAME`."""
    text = run_program([build / "sdsclip", "train", "--config", "quickstart.yaml", "--print-config"])
    return any(line.strip().startswith(f"{name}:") for line in text.splitlines())


def ours(place: Workplace, deterministic: bool) -> tuple[str, list[str]]:
    """Returns the row's name and the settings of the program's step."""
    # A package that another part compiled must not be used here.
    plain = ["train.compiled=off"] if has_option(place.build, "compiled") else []
    if has_option(place.build, "deterministic"):
        value = str(deterministic).lower()
        return f"sdsclip, train.deterministic={value}", [*plain, f"train.deterministic={value}"]
    if not deterministic:
        raise NotHere("this build has no option train.deterministic")
    return "sdsclip", plain


def measure_ours(place: Workplace, batch: int, deterministic: bool) -> list[dict]:
    name, more = ours(place, deterministic)
    size = place.size
    steps = max(size.repetitions, 10) if batch < 100 else size.repetitions
    place.free()
    found = json.loads(run_program([
        place.build / "tests/parity/step_probe", "measure", place.device, write_step_inputs(place, batch),
        size.warm_up, steps, *step_settings(place, batch), *more,
    ]))  # fmt: skip
    return [row_of(place, name, batch, found["seconds"], found["peak_gpu_bytes"])]


def kernels_of(name: str, place: Workplace, trace: Path) -> list[dict]:
    rows = top_kernels(trace)
    trace.unlink()
    return [{"table": "kernels", "of": name, "batch": place.size.kernels_batch, **row} for row in rows]


def profile_plain(place: Workplace) -> list[dict]:
    trace = place.out / "work" / "plain.json"
    training = plain_training(place, place.size.kernels_batch)
    training.step()
    profiled(training.step, place.device, trace)
    return kernels_of(EAGER, place, trace)


def profile_compiled(place: Workplace) -> list[dict]:
    """Measures the compiled step at the kernels' batch too, because compiling it again would take a minute."""
    trace = place.out / "work" / "compiled.json"
    rows = measure_compiled(place, place.size.kernels_batch, trace)
    return rows + kernels_of(COMPILED, place, trace)


def profile_ours(place: Workplace, deterministic: bool) -> list[dict]:
    name, more = ours(place, deterministic)
    batch, trace = place.size.kernels_batch, place.out / "work" / "ours.json"
    place.free()
    run_program([
        place.build / "tests/parity/step_probe", "profile", place.device, write_step_inputs(place, batch), 2, trace,
        *step_settings(place, batch), *more,
    ])  # fmt: skip
    return kernels_of(name, place, trace)


def write_pairs(place: Workplace, rows: int) -> Path:
    """Writes a table of `rows` image-caption pairs."""
    folder = place.out / "work" / "pairs"
    folder.mkdir(exist_ok=True)
    for number, picture in enumerate(model_support.blurred_images(PICTURES, 224).numpy()):
        Image.fromarray(picture).save(folder / f"{number}.jpg", quality=90)
    table = folder / f"pairs-{rows}.tsv"
    lines = [f"{row % PICTURES}.jpg\tpicture number {row}" for row in range(rows)]
    table.write_text("\n".join(["filepath\ttitle", *lines]) + "\n", encoding="utf-8")
    return table


def measure_compiled_teacher(place: Workplace, batch: int) -> list[dict]:
    """Compares `sdsclip train --compiled require` with `--compiled off`: whole steps of the program, its loader included."""
    script = ROOT / "scripts" / "compile_teacher.py"
    if not script.exists() or "--compiled" not in run_program([place.build / "sdsclip", "train", "--help"]):
        raise NotHere("this version has no compiled teacher")
    place.free()
    precision = place.size.step_precision
    run_program([
        ROOT / ".venv/bin/python", script, place.teacher_bundle, "--device", place.device.partition(":")[0],
        "--precision", precision, "--batch", batch, "--graph", "step",
    ])  # fmt: skip
    return [
        row_of(place, f"sdsclip train --compiled {choice}", batch, train_seconds(place, batch, choice))
        for choice in ("off", "require")
    ]


def train_seconds(place: Workplace, batch: int, compiled: str) -> list[float]:
    steps = place.size.warm_up + place.size.repetitions
    table, out = write_pairs(place, batch * steps), place.out / "work" / f"train-{batch}-{compiled}"
    settings = {
        "data.format": "tsv", "data.annotations": table, "data.images": table.parent, "train.steps": steps,
        "train.batch_size": batch, "train.diagnose_every": 0, "sds.warmup_steps": 0,
        "train.micro_batch_unet": min(batch, place.size.largest_unet_batch),
    }  # fmt: skip
    words = [*step_settings(place, batch), *(f"{key}={value}" for key, value in settings.items())]
    run_program([
        place.build / "sdsclip", "train", "--config", ROOT / "configs/vitb16.yaml", "--device", place.device,
        "--compiled", compiled, "--out", out, "--quiet", *(part for word in words for part in ("--set", word)),
    ])  # fmt: skip
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return [batch / line["images_per_second"] for line in lines[place.size.warm_up :]]
