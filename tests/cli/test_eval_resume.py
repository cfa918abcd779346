"""A scoring run that is killed ten times and resumed gives the uninterrupted run's result and repeats almost no work."""

import json
import shutil
import signal
import sqlite3
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from program import PROGRAM, ROOT, ProgramTest, main, untimed_result

KILLS = 10


@dataclass
class Scorer:
    """A scoring command with many units, and how its store shows its progress."""

    arguments: list[str]
    progress: str  # a query for the number of stored units, or of their rows
    work: str  # the counter of `work` that grows with each of them
    work_a_step: float  # counts per unit of progress


def query(store: Path, sql: str):
    """Returns None if the store does not exist yet."""
    if not store.exists():
        return None
    connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=5)
    try:
        return connection.execute(sql).fetchone()[0]
    finally:
        connection.close()


def work_of(out: Path) -> dict:
    return json.loads((out / "result.json").read_text())["work"]


class EvaluationResume(ProgramTest):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.world = cls.draw_world()

    def command(self, scorer: Scorer, out: Path, *more: str) -> list[str]:
        places = ["--data", str(self.world / "winoground"), "--out", str(out)]
        return [str(PROGRAM), *scorer.arguments, *places, "--threads", "1", "--quiet", *more]

    def run_to_end(self, scorer: Scorer, out: Path, *more: str) -> None:
        done = subprocess.run(self.command(scorer, out, *more), capture_output=True, text=True, cwd=ROOT)
        self.assertEqual(done.returncode, 0, done.stderr)

    def kill_at(self, scorer: Scorer, out: Path, progress: int) -> None:
        """Continues the run and kills it when that much is stored."""
        command = self.command(scorer, out, "--resume")
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
        store = out / "scores.sqlite"
        while process.poll() is None and (query(store, scorer.progress) or 0) < progress:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        self.assertEqual(process.wait(), -signal.SIGKILL, "the run ended before it could be killed")

    def check_killed_ten_times(self, scorer: Scorer) -> None:
        whole, broken = (self.folder / f"{name}-{scorer.arguments[0]}" for name in ("whole", "broken"))
        self.run_to_end(scorer, whole)
        total = query(whole / "scores.sqlite", scorer.progress)
        reached = []
        for kill in range(1, KILLS + 1):
            # The last kill leaves a fifth of the run, so that the run cannot end before the signal arrives.
            self.kill_at(scorer, broken, kill * total * 4 // (KILLS * 5))
            reached.append(query(broken / "scores.sqlite", scorer.progress))
            # Every stored unit was computed once: only work in progress at a kill is repeated.
            spent = query(broken / "scores.sqlite", f"SELECT {scorer.work} FROM work")
            self.assertEqual(spent, reached[-1] * scorer.work_a_step)
        self.assertEqual(reached, sorted(set(reached)))
        self.assertLess(reached[-1], total)
        self.run_to_end(scorer, broken, "--resume")
        self.assertEqual(untimed_result(broken), untimed_result(whole))
        self.assertEqual(work_of(broken)[scorer.work], work_of(whole)[scorer.work])
        scores = "SELECT group_concat(case_id || image || caption || hex(score)) FROM pair_score"
        self.assertEqual(query(broken / "scores.sqlite", scores), query(whole / "scores.sqlite", scores))
        print(f"{scorer.arguments[0]}: killed with {reached} of {total} stored; the same result")

    def check_interrupted(self, scorer: Scorer) -> None:
        """A run that SIGINT ends has stored all that it computed, and --resume gives the same result."""
        whole, broken = (self.folder / f"{name}-{scorer.arguments[0]}" for name in ("calm", "interrupted"))
        self.run_to_end(scorer, whole)
        total = query(whole / "scores.sqlite", scorer.progress)
        process = subprocess.Popen(self.command(scorer, broken, "--workers", "8"), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True, cwd=ROOT)  # fmt: skip
        store = broken / "scores.sqlite"
        while process.poll() is None and (query(store, scorer.progress) or 0) < total // 3:
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        _, text = process.communicate(timeout=60)
        self.assertEqual((process.returncode, text.count("\n")), (130, 1), text)
        reached = query(store, scorer.progress)
        self.assertEqual(query(store, f"SELECT {scorer.work} FROM work"), reached * scorer.work_a_step)
        self.run_to_end(scorer, broken, "--resume", "--workers", "1")
        self.assertEqual(work_of(broken)[scorer.work], work_of(whole)[scorer.work])
        results = [untimed_result(run) for run in (broken, whole)]
        for result in results:
            result["settings"].pop("workers")
        self.assertEqual(*results)

    def test_interrupted_runs(self):
        images = "SELECT count(*) FROM embedding WHERE kind = 'image'"
        self.check_interrupted(Scorer(["eval", "winoground", "--batch", "4"], images, "image_encodings", 4))
        arguments = ["diffusion-score", "winoground", "--limit", "24", "--samples", "6", "--micro-batch", "8"]
        rows = "SELECT count(*) FROM error"
        self.check_interrupted(Scorer(arguments, rows, "unet_evaluations", 1))

    def test_clip_scores(self):
        images = "SELECT count(*) FROM embedding WHERE kind = 'image'"
        arguments = ["eval", "winoground", "--batch", "4"]
        self.check_killed_ten_times(Scorer(arguments, images, "image_encodings", 4))

    def test_diffusion_scores(self):
        rows = "SELECT count(*) FROM error"
        arguments = ["diffusion-score", "winoground", "--limit", "24", "--samples", "6", "--micro-batch", "8"]
        self.check_killed_ten_times(Scorer(arguments, rows, "unet_evaluations", 1))


class StoresThatAreNotTrusted(ProgramTest):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.data = cls.draw_world() / "winoground"
        cls.done = cls.folder / "done"
        subprocess.run(cls.command(cls.done), check=True, capture_output=True, cwd=ROOT)

    @classmethod
    def command(cls, out: Path, *more: str) -> list[str]:
        arguments = ["eval", "winoground", "--data", cls.data, "--out", out, "--limit", "20", "--quiet", *more]
        return [str(PROGRAM), *map(str, arguments)]

    def check_refused(self, name: str, content: bytes, reason: str) -> None:
        """Tries --resume and --judge-only; the file must not change."""
        out = self.folder / name
        out.mkdir()
        (out / "scores.sqlite").write_bytes(content)
        for how in ("--resume", "--judge-only"):
            self.check_fails(3, ["scores.sqlite", reason], *self.command(out, how)[1:])
        self.assertEqual((out / "scores.sqlite").read_bytes(), content)
        self.assertFalse((out / "result.json").exists())

    def test_half_written(self):
        content = (self.done / "scores.sqlite").read_bytes()
        self.check_refused("half", content[: len(content) // 2], "damaged")
        self.check_refused("short", content[:-100], "damaged")

    def test_foreign(self):
        self.check_refused("text", b"scores of another program, and no data base at all\n" * 10, "SQLite")
        other = self.folder / "other.sqlite"
        with sqlite3.connect(other) as connection:
            connection.execute("CREATE TABLE score (a)")
        self.check_refused("foreign", other.read_bytes(), "not a score store")

    def test_of_another_run(self):
        out = self.folder / "other-batch"
        shutil.copytree(self.done, out)
        command = self.command(out, "--resume", "--precision", "bf16")
        self.check_fails(2, ["another run", "precision is fp32", "bf16"], *command[1:])


if __name__ == "__main__":
    main()
