"""scripts/bench_gpu.sh on a CPU: every part at a reduced size, what it does about failures, and its tables by hand.

    test_bench_gpu.py STEP_PROBE
"""

import io
import json
import os
import subprocess
import sys
import tempfile
import time
import unittest
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

BUILD = Path(sys.argv.pop(1)).resolve().parents[2]
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts/bench"))

import kernels
import main as bench
import tables
from parts import Part, parts_of
from results import done_file, read_rows

# `compiled-2` compiles the network of `Hc`, and two batches show what three do.
LEFT_OUT = ("Hc", "plain-8", "ours-8", "free-8")

# A worker without PyTorch: parts are named for what they do.
FAKE_WORKER = """
import os, pathlib, signal, sys, time
_, device, out, build, deadline, *parts = sys.argv
for part in parts:
    name, _, needs_bundles = part.split(":")
    out = pathlib.Path(out)
    if name != "bundles":
        (out / "current").write_text(name)
    while needs_bundles == "yes" and not (out / "bundles.jsonl").exists():
        time.sleep(0.05)
    if name == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "hangs":
        time.sleep(60)
    if name == "fails":
        (out / "fails.failed").write_text("failed: out of memory")
        sys.exit(1)
    (out / f"{name}.jsonl").write_text("")
"""


class Folder(unittest.TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)

    def run_script(self, *arguments: object, build: Path = BUILD) -> subprocess.CompletedProcess:
        command = [str(ROOT / "scripts/bench_gpu.sh"), *map(str, arguments)]
        environment = os.environ | {"SDSCLIP_BUILD": str(build)}
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=self.folder)

    def expect_failure(self, code: int, message: str, *arguments: object, build: Path = BUILD) -> None:
        done = self.run_script(*arguments, build=build)
        self.assertEqual((done.returncode, done.stdout), (code, ""), done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertIn(message, done.stderr)


class WholeRun(Folder):
    def test_every_part_is_measured_once_and_shown(self) -> None:
        out = self.folder / "out"
        parts = [part for part in parts_of("cpu") if part.name not in LEFT_OUT]
        arguments = ("--device", "cpu", "--out", out, "--only", ",".join(part.name for part in parts))
        first = self.run_script(*arguments, "--seconds", 3600)
        self.assertEqual(first.returncode, 0, first.stderr)
        states = dict(line.split(maxsplit=1) for line in first.stdout.partition("\nParts\n")[2].splitlines())
        self.assertEqual(set(states), {part.name for part in parts})
        for part in parts:
            allowed = ("done", "skipped: this build") if part.on_cpu else ("not on a CPU",)
            self.assertTrue(states[part.name].startswith(allowed), (part.name, states[part.name]))
        self.assertNotIn("no rows", first.stdout)

        rows = read_rows(out, [part.name for part in parts])
        steps = {(row["name"].split(",")[0], row["batch"]) for row in rows if row["table"] == "steps"}
        self.assertEqual(steps, {(name, batch) for name in ("plain PyTorch", "sdsclip") for batch in (2, 4)})
        for row in rows:
            self.assertTrue(all(second > 0 for second in row.get("seconds", [1])), row)
        for row in (row for row in rows if row["table"] == "kernels"):
            self.assertTrue(0 < row["share"] <= 1, row)

        before = {path: path.stat().st_mtime_ns for path in out.glob("*.jsonl")}
        second = self.run_script(*arguments, "--seconds", 0)
        self.assertEqual((second.returncode, second.stdout), (0, first.stdout), second.stderr)
        self.assertEqual({path: path.stat().st_mtime_ns for path in out.glob("*.jsonl")}, before)


class Failures(Folder):
    def measure(self, *names: str, seconds: float = 30, needs_bundles: bool = False) -> dict[str, str]:
        """Returns the state of each part after a run with the fake worker."""
        worker = self.folder / "worker.py"
        worker.write_text(FAKE_WORKER)
        parts = [Part(name, "", 0, needs_bundles=needs_bundles) for name in names]
        runner = bench.Runner("cpu", self.folder, BUILD, time.monotonic() + seconds)
        runner.worker = worker
        with redirect_stderr(io.StringIO()):
            runner.measure(parts)
        return {part.name: tables.state_of(part, self.folder, is_cpu=True) for part in parts}

    def test_a_part_that_fails_says_so_and_the_next_one_goes_on(self) -> None:
        states = self.measure("first", "fails", "second", "dies", "third")
        self.assertEqual(
            states,
            {"first": "done", "fails": "failed: out of memory", "second": "done",
             "dies": "failed: its process ended with -9", "third": "done"},
        )  # fmt: skip
        self.assertEqual(bench.exit_code(list(states.values())), bench.FAILED)

    def test_a_part_that_hangs_is_stopped_when_the_time_is_up(self) -> None:
        states = self.measure("first", "hangs", "second", seconds=2)
        self.assertEqual(
            states, {"first": "done", "hangs": "stopped: the time was up", "second": "not started"}
        )
        self.assertEqual(bench.exit_code(list(states.values())), bench.TIME_IS_UP)

    def test_bundles_are_exported_once_for_the_parts_that_need_them(self) -> None:
        self.measure("first")
        self.assertFalse(done_file(self.folder, "bundles").exists())
        self.assertEqual(self.measure("second", needs_bundles=True), {"second": "done"})
        exported = done_file(self.folder, "bundles").stat().st_mtime_ns
        self.assertEqual(self.measure("third", needs_bundles=True), {"third": "done"})
        self.assertEqual(done_file(self.folder, "bundles").stat().st_mtime_ns, exported)


class Usage(Folder):
    def test_wrong_usage_is_exit_code_2(self) -> None:
        self.expect_failure(2, "got 'Z', expected a part of --list: matmul, flops, A", "--device", "cpu", "--only", "A,Z")
        self.expect_failure(2, "--seconds: got -1, expected 0 to 86400", "--seconds", -1)
        self.expect_failure(2, "scripts/build.sh release", "--device", "cpu", build=self.folder)
        (self.folder / "mine").write_text("not a result")
        self.expect_failure(2, "is not a folder of this script", "--device", "cpu", "--out", self.folder, "--fresh")
        self.assertEqual((self.folder / "mine").read_text(), "not a result")
        if not os.path.exists("/dev/nvidiactl"):
            self.expect_failure(2, "no GPU driver; --device cpu")

    def test_results_of_other_conditions_are_not_mixed(self) -> None:
        out = self.folder / "out"
        self.assertEqual(self.run_script("--device", "cpu", "--out", out, "--seconds", 0).returncode, 1)
        conditions = json.loads((out / "conditions.json").read_text())
        (out / "conditions.json").write_text(json.dumps(conditions | {"torch": "2.0.0"}))
        arguments = ("--device", "cpu", "--out", out, "--seconds", 0)
        self.expect_failure(3, "torch was 2.0.0, now", *arguments)
        (out / "conditions.json").write_text("{")
        self.expect_failure(3, "damaged; give --fresh", *arguments)
        done_file(out, "A").write_text("")
        self.assertEqual(self.run_script(*arguments, "--fresh").returncode, 1)
        self.assertFalse(done_file(out, "A").exists())

    def test_list_and_help_need_nothing(self) -> None:
        listed = self.run_script("--list", build=self.folder)
        self.assertEqual((listed.returncode, listed.stderr), (0, ""))
        self.assertEqual(len(listed.stdout.splitlines()), len(parts_of("cuda")))
        self.assertIn("--only PART,...", self.run_script("--help", build=self.folder).stdout)


class Tables(Folder):
    def shown(self, show, rows: list[dict]) -> list[str]:
        text = io.StringIO()
        with redirect_stdout(text):
            show(rows)
        return text.getvalue().splitlines()

    def test_a_steps_row_worked_by_hand(self) -> None:
        step = {"table": "steps", "precision": "bf16", "batch": 8}
        rows = [
            {"table": "matmul", "name": "m", "precision": "bf16", "batch": 1, "seconds": [0.5], "flops": 400e12},
            {"table": "flops", "name": "step", "flops_per_image": 2e12},
            step | {"name": "plain PyTorch, eager", "seconds": [0.4, 0.1, 0.2], "gpu_bytes": 0},
            step | {"name": "plain PyTorch, torch.compile, channels_last", "seconds": [0.08], "gpu_bytes": 0},
            step | {"name": "sdsclip", "seconds": [0.16], "gpu_bytes": 31_800_000_000},
        ]
        lines = self.shown(tables.show_steps, rows)
        # 8 images of 2 TFLOP in a median of 0.2 s; the card reaches 800 TFLOP/s.
        self.assertEqual(
            lines[3].split()[3:],
            ["bf16", "8", "3", "200", "[100,", "400]", "40", "80", "10.0%", "1.00", "0.40", "-"],
        )
        self.assertEqual(
            lines[5].split(),
            ["sdsclip", "bf16", "8", "1", "160", "[160,", "160]", "50", "100", "12.5%", "1.25", "0.50", "31.8", "GB"],
        )

    def top_kernels(self, events: list[dict]) -> dict[str, tuple[int, float, float]]:
        trace = self.folder / "trace.json"
        trace.write_text(json.dumps({"traceEvents": events}))
        return {row["name"]: (row["calls"], row["milliseconds"], row["share"]) for row in kernels.top_kernels(trace)}

    def test_kernels_of_a_gpus_trace_are_summed_by_name(self) -> None:
        def event(name: str, category: str, start: float, duration: float) -> dict:
            return {"ph": "X", "name": name, "cat": category, "ts": start, "dur": duration, "tid": 7}

        events = [
            event("aten::mm", "cpu_op", 0, 9000), event("gemm", "kernel", 0, 2000), event("gemm", "kernel", 5, 4000),
            event("copy", "gpu_memcpy", 9, 2000), {"ph": "M", "name": "thread_name"},
        ]  # fmt: skip
        self.assertEqual(self.top_kernels(events), {"gemm": (2, 6.0, 0.75), "copy": (1, 2.0, 0.25)})

    def test_an_operators_own_time_leaves_out_those_inside_it(self) -> None:
        def event(name: str, thread: int, start: float, duration: float) -> dict:
            return {"ph": "X", "name": name, "cat": "cpu_op", "ts": start, "dur": duration, "tid": thread}

        # linear holds addmm, which holds copy; the second copy has a thread of its own.
        events = [event("copy", 1, 20, 3000), event("linear", 1, 0, 10000), event("addmm", 1, 10, 6000),
                  event("copy", 2, 20, 2000)]  # fmt: skip
        self.assertEqual(
            self.top_kernels(events),
            {"linear": (1, 4.0, 4 / 12), "addmm": (1, 3.0, 3 / 12), "copy": (2, 5.0, 5 / 12)},
        )


if __name__ == "__main__":
    unittest.main()
