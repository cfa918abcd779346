"""Repetitions of a measurement, FLOPs and trace of a computation, and the output of a program."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import torch
from plain_training import seconds_now
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


def repetitions(run: Callable[[], object], device: str, warm_up: int, seconds: float, least: int) -> list[float]:
    """Returns the seconds of each call after the warm-up: at least `least` calls, more until `seconds` have passed."""
    for _ in range(warm_up):
        run()
    found: list[float] = []
    while len(found) < least or (sum(found) < seconds and len(found) < 50):
        start = seconds_now(device)
        run()
        found.append(seconds_now(device) - start)
    return found


def count_flops(run: Callable[[], object]) -> int:
    """Returns the FLOPs of the products and convolutions; attention counts as its two products, without recomputation."""
    with FlopCounterMode(display=False) as counter, sdpa_kernel([SDPBackend.MATH]):
        run()
    return counter.get_total_flops()


def profiled(run: Callable[[], object], device: str, trace: Path) -> None:
    """Writes the Chrome trace of one call."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    if device != "cpu":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities) as profiler:
        run()
        seconds_now(device)
    profiler.export_chrome_trace(str(trace))


def run_program(command: list[object]) -> str:
    """Runs a program and returns its standard output, or raises with the last line of its errors."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [""]
        raise RuntimeError(f"{Path(str(command[0])).name} ended with {done.returncode}: {lines[-1]}")
    return done.stdout
