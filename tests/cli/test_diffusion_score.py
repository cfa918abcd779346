"""The diffusion score as a user runs it: extended, judged again, made adaptive later, refused, timed beside CLIP."""

import json
import sqlite3
from pathlib import Path

from program import ProgramTest, main

LIMIT = 4


class DiffusionScore(ProgramTest):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.data = cls.draw_world() / "winoground"

    def words(self, out: str, *more: object, command: str = "diffusion-score") -> list[object]:
        places = ["--data", self.data, "--out", self.folder / out]
        return [command, "winoground", *places, "--limit", LIMIT, "--threads", 1, "--quiet", *more]

    def score(self, out: str, *more: object) -> dict:
        self.check_succeeds(*self.words(out, *more))
        return json.loads((self.folder / out / "result.json").read_text())

    def stored(self, out: str, view: str) -> list[tuple]:
        with sqlite3.connect(Path(self.folder, out, "scores.sqlite")) as store:
            return sorted(store.execute(f"SELECT * FROM {view}").fetchall())

    def test_samples_extended_from_20_to_50_are_a_fresh_run_of_50(self):
        self.score("extended", "--samples", 20)
        self.score("extended", "--samples", 50, "--resume")
        self.score("fresh", "--samples", 50)
        for view in ("sample_error", "pair_score", "case_mark"):
            self.assertEqual(self.stored("extended", view), self.stored("fresh", view))
        self.assertEqual(len(self.stored("fresh", "sample_error")), LIMIT * 4 * 50)

    def test_a_presets_grid_that_is_not_nested_is_neither_extended_nor_adaptive(self):
        for preset in ("diffusion-itm", "diffusion-classifier"):
            self.score(preset, "--preset", preset, "--samples", 5)
            more = self.words(preset, "--preset", preset, "--samples", 10, "--resume")
            self.check_fails(2, ["samples: got 10", "has 5"], *more)
            self.check_fails(2, ["adaptive"], *self.words(preset, "--preset", preset, "--judge-only", "--adaptive"))

    def test_a_judged_run_states_its_options(self):
        made = self.score("judged", "--samples", 6, "--t-range", 0.2, 0.8, "--seed", 3, "--precision", "bf16")
        timesteps = [row[2] for row in self.stored("judged", "sample_error")]
        self.assertTrue(all(200 <= timestep < 800 for timestep in timesteps))
        judged = self.score("judged", "--judge-only", "--norm", "l1")
        self.assertEqual(judged["settings"]["estimator"]["norm"], "l1")
        self.assertEqual(judged["settings"]["sampling"], made["settings"]["sampling"])
        self.assertEqual(judged["settings"]["precision"], "bf16")
        self.check_fails(2, ["precision is bf16"], *self.words("judged", "--samples", 6, "--t-range", 0.2, 0.8,
                                                               "--seed", 3, "--resume"))  # fmt: skip

    def test_a_uniform_run_can_be_judged_adaptively(self):
        race = ["--adaptive", "--min-samples", 2, "--budget", 4]
        raced = self.score("raced", "--samples", 30, *race)
        self.score("uniform", "--samples", 30)
        replayed = self.score("uniform", "--judge-only", *race)
        self.assertLessEqual(raced["settings"]["sample_evaluations"], LIMIT * 4 * 4)
        self.assertEqual(raced["settings"]["full_evaluations"], LIMIT * 4 * 30)
        self.assertEqual(replayed["settings"]["sample_evaluations"], raced["settings"]["sample_evaluations"])
        self.assertEqual(replayed["metrics"], raced["metrics"])
        self.check_fails(2, ["scored adaptively with", "budget 4"], *self.words("raced", "--judge-only", "--adaptive"))

    def test_its_time_per_match_is_reported_beside_clips(self):
        self.score("teacher", "--samples", 2)
        self.check_succeeds(*self.words("clip", command="eval"))
        lines = self.check_succeeds("report", self.folder / "clip", self.folder / "teacher").splitlines()
        times = {line.split()[0]: line.split() for line in lines[lines.index("") + 1 :] if line.startswith("/")}
        seconds = {
            name: json.loads((self.folder / name / "result.json").read_text())["seconds_a_match"]
            for name in ("clip", "teacher")
        }
        ratio = float(times[str(self.folder / "teacher")][-1])
        self.assertAlmostEqual(ratio, seconds["teacher"] / seconds["clip"], delta=0.051)
        self.assertEqual(times[str(self.folder / "clip")][-1], "1.0")


if __name__ == "__main__":
    main()
