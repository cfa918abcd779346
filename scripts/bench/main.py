"""Measures how fast a GPU runs the networks, a training step and the diffusion score, beside plain PyTorch.

The parts are measured one after another. A part that is done is not repeated: run the script again to continue. A part that
fails says so, and the next one goes on. In the end the script prints all tables and the state of each part. Each part's rows
are in OUT/PART.jsonl, with all repetitions in seconds. The networks have the real size and random weights; with --device cpu
they are tiny, which tries the script and says nothing about speed.

Exit codes: 0 all parts are done, 1 the time was up before all were (run it again), 2 wrong usage, 3 OUT is of other
conditions, 4 a part failed, 130 interrupted.
"""

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

from parts import BUNDLES, Part, parts_of
from results import done_file, failed_file, read_rows, write_whole
from tables import show_all, state_of

ROOT = Path(__file__).resolve().parents[2]
TIME_IS_UP, USAGE, INPUT, FAILED, INTERRUPTED = 1, 2, 3, 4, 130


def fail(code: int, message: str) -> NoReturn:
    print(f"bench_gpu: {message}", file=sys.stderr)
    sys.exit(code)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "bench_gpu.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help="what to measure (default: cuda)")
    parser.add_argument("--out", metavar="FOLDER", type=Path, help="results (default: runs/bench-DEVICE)")
    parser.add_argument("--only", metavar="PART,...", help="measure only these parts; --list names all")
    parser.add_argument(
        "--seconds", metavar="N", type=float, default=290, help="stop after N seconds; 0 prints what is there (default: 290)"
    )
    parser.add_argument("--fresh", action="store_true", help="delete the results in OUT first")
    parser.add_argument("--list", action="store_true", help="print the names of the parts and exit")
    arguments = parser.parse_args()
    if not 0 <= arguments.seconds <= 86400:
        fail(USAGE, f"--seconds: got {arguments.seconds:g}, expected 0 to 86400")
    return arguments


def chosen_parts(device: str, only: str | None) -> list[Part]:
    parts = parts_of(device)
    if only is None:
        return parts
    wanted = only.split(",")
    unknown = [name for name in wanted if name not in {part.name for part in parts}]
    if unknown:
        fail(USAGE, f"--only: got '{unknown[0]}', expected a part of --list: {', '.join(part.name for part in parts)}")
    return [part for part in parts if part.name in wanted]


def build_folder() -> Path:
    folder = Path(os.environ.get("SDSCLIP_BUILD", ROOT / "build")).resolve()
    for program in ("sdsclip", "tests/parity/step_probe"):
        if not os.access(folder / program, os.X_OK):
            fail(USAGE, f"{folder / program}: no such program; build it with scripts/build.sh release sdsclip step_probe")
    return folder


def conditions(device: str, build: Path) -> dict[str, str]:
    """Returns what the results of one folder have in common."""
    gpus = [path.read_text(errors="replace") for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))]
    models = [line.split(":", 1)[1].strip() for text in gpus for line in text.splitlines() if line.startswith("Model:")]
    programs = hashlib.sha256()
    for program in (build / "sdsclip", *sorted(build.glob("libsdsclip*.so")), build / "tests/parity/step_probe"):
        programs.update(program.read_bytes())
    return {
        "device": device,
        "GPU": ", ".join(models) if device == "cuda" else "-",
        "torch": version("torch"),
        "diffusers": version("diffusers"),
        "programs": programs.hexdigest()[:16],
    }


def open_folder(out: Path, fresh: bool, found: dict[str, str]) -> None:
    """Makes OUT, or checks that its results are of the same conditions."""
    file = out / "conditions.json"
    if out.exists() and not file.exists() and (not out.is_dir() or any(out.iterdir())):
        fail(USAGE, f"--out: {out} is not a folder of this script; give another one")
    if fresh and out.exists():
        shutil.rmtree(out)
    if file.exists():
        try:
            before = dict(json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            fail(INPUT, f"{file}: it is damaged; give --fresh to measure again")
        for name, value in found.items():
            if before.get(name) != value:
                fail(INPUT, f"{file}: {name} was {before.get(name)}, now {value}; give --fresh or another --out")
    (out / "work").mkdir(parents=True, exist_ok=True)
    write_whole(file, json.dumps(found, indent=1) + "\n")


class Runner:
    """Starts the processes that measure, and notes the parts that they did not finish."""

    worker = ROOT / "scripts/bench/worker.py"

    def __init__(self, device: str, out: Path, build: Path, deadline: float):
        self.device, self.out, self.build, self.deadline = device, out, build, deadline
        self.processes: list[subprocess.Popen] = []

    def start(self, parts: list[Part]) -> subprocess.Popen:
        is_cpu = self.device == "cpu"
        words = [
            f"{part.name}:{0 if is_cpu else part.expected_seconds}:{'yes' if part.needs_bundles else 'no'}"
            for part in parts
        ]
        command = [sys.executable, self.worker, self.device, self.out, self.build, self.deadline]
        # cuBLAS needs the workspace for results that do not depend on its order of work.
        environment = os.environ | {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
        if is_cpu:
            environment |= {"OMP_NUM_THREADS": "1", "KINETO_LOG_LEVEL": "5"}  # the profiler looks for a GPU
        process = subprocess.Popen(
            [*map(str, command), *words], stdout=2, env=environment, start_new_session=True  # 2: stderr
        )
        self.processes.append(process)
        return process

    def note_unfinished(self, part: str, text: str) -> None:
        if not done_file(self.out, part).exists() and not failed_file(self.out, part).exists():
            write_whole(failed_file(self.out, part), text)
            print(f"bench_gpu: {part}: {text}", file=sys.stderr)

    def wait(self, process: subprocess.Popen, part_now, bundles: subprocess.Popen | None) -> int:
        """Waits for the process until the time is up."""
        while process.poll() is None:
            if bundles is not None and bundles.poll() is not None:
                self.note_unfinished(BUNDLES.name, f"failed: its process ended with {bundles.returncode}")
            if time.monotonic() > self.deadline:
                self.stop()
                self.note_unfinished(part_now(), "stopped: the time was up")
                return TIME_IS_UP
            time.sleep(0.05)
        return process.returncode

    def measure(self, parts: list[Part]) -> None:
        needed = any(part.needs_bundles for part in parts) and not done_file(self.out, BUNDLES.name).exists()
        if needed:
            failed_file(self.out, BUNDLES.name).unlink(missing_ok=True)
        bundles = self.start([Part(BUNDLES.name, "", 0)]) if needed else None
        current = self.out / "current"

        def part_now() -> str:
            return current.read_text(encoding="utf-8") if current.exists() else "start"

        while parts and time.monotonic() < self.deadline:
            current.unlink(missing_ok=True)
            code = self.wait(self.start(parts), part_now, bundles)
            if code == 0:
                break
            if not current.exists():
                fail(FAILED, f"the measuring process ended with {code} before its first part (see above)")
            self.note_unfinished(part_now(), f"failed: its process ended with {code}")
            names = [part.name for part in parts]
            parts = parts[names.index(part_now()) + 1 :]
        self.stop()

    def stop(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def exit_code(states: list[str]) -> int:
    if any(state.startswith("failed") for state in states):
        return FAILED
    return TIME_IS_UP if any(state.startswith(("not started", "stopped")) for state in states) else 0


def main() -> None:
    arguments = parse_arguments()
    parts = chosen_parts(arguments.device, arguments.only)
    is_cpu = arguments.device == "cpu"
    if arguments.list:
        for part in parts:
            print(f"{part.name:20}  {part.what}{' (not on a CPU)' if is_cpu and not part.on_cpu else ''}")
        return
    if not is_cpu and not os.path.exists("/dev/nvidiactl"):
        fail(USAGE, "--device: got cuda, but this machine has no GPU driver; --device cpu tries the script")
    build = build_folder()
    deadline = time.monotonic() + arguments.seconds
    out = (arguments.out or ROOT / "runs" / f"bench-{arguments.device}").absolute()
    found = conditions(arguments.device, build)
    open_folder(out, arguments.fresh, found)
    lock = (out / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        fail(USAGE, f"--out: another run measures in {out}; wait for it or give another folder")
    waiting = [part for part in parts if not done_file(out, part.name).exists() and (part.on_cpu or not is_cpu)]
    runner = Runner(arguments.device, out, build, deadline)
    try:
        runner.measure(waiting)
    except KeyboardInterrupt:
        runner.stop()
        fail(INTERRUPTED, f"interrupted; run it again to continue ({out} has the parts that are done)")
    print(f"{arguments.device}, GPU: {found['GPU']}, torch {found['torch']}, {time.strftime('%d %B %Y')}")
    if is_cpu:
        print("Tiny networks on one CPU thread, processor seconds: this tries the script and says nothing about speed.")
    show_all(read_rows(out, [part.name for part in parts]), parts, out, is_cpu)
    code = exit_code([state_of(part, out, is_cpu) for part in parts])
    if code == TIME_IS_UP:
        print("bench_gpu: the time was up; run it again to continue", file=sys.stderr)
    elif code == FAILED:
        print("bench_gpu: a part failed; run it again to repeat it", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
