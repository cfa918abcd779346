"""`sdsclip compare` prints what follows from the two runs' stored scores, recomputed here."""

import re
import shutil
import sqlite3
import subprocess
from pathlib import Path

import numpy as np
from program import PROGRAM, ProgramTest, main
from scipy.stats import binomtest

CASES = 60
DRAWS = 10_000


def winoground_marks(store: Path) -> dict[str, np.ndarray]:
    """Applies the data set card's rules to the view `pair_score`: one row per case, in the order of the cases."""
    with sqlite3.connect(store) as connection:
        rows = connection.execute("SELECT case_id, score FROM pair_score ORDER BY rowid").fetchall()
    scores = np.array([score for _, score in rows]).reshape(-1, 2, 2)  # [case, image, caption]
    text = (scores[:, 0, 0] > scores[:, 0, 1]) & (scores[:, 1, 1] > scores[:, 1, 0])
    image = (scores[:, 0, 0] > scores[:, 1, 0]) & (scores[:, 1, 1] > scores[:, 0, 1])
    return {"text": text, "image": image, "group": text & image}


def drawn_interval(difference: np.ndarray) -> np.ndarray:
    rows = np.random.default_rng(0).integers(0, len(difference), (DRAWS, len(difference)))
    return np.percentile(difference[rows].mean(axis=1), [2.5, 97.5])


class Compare(ProgramTest):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.world = cls.draw_world()
        cls.clip, cls.teacher = cls.folder / "clip", cls.folder / "teacher"
        data = cls.world / "winoground"
        limit = ("--limit", str(CASES), "--threads", "1")
        for command in (
            ["eval", "winoground", "--data", data, "--out", cls.clip, *limit],
            ["diffusion-score", "winoground", "--data", data, "--out", cls.teacher, "--samples", "2", *limit],
        ):
            subprocess.run([PROGRAM, *command], check=True, capture_output=True)

    def rows(self, printed: str) -> dict[str, list[str]]:
        """Returns the table's rows by metric: A, B, B - A with its interval, only A, only B, p, n, better."""
        cells = [re.split(r"  +", line) for line in printed.splitlines()]
        return {name: row for name, *row in cells if name.startswith("winoground/")}

    def test_differences_intervals_and_tests_follow_from_the_scores(self):
        rows = self.rows(self.check_succeeds("compare", self.clip, self.teacher))
        marks_a, marks_b = (winoground_marks(run / "scores.sqlite") for run in (self.clip, self.teacher))
        for name, a in marks_a.items():
            b = marks_b[name]
            cells = rows[f"winoground/{name}"]
            difference, low, high = map(float, re.findall(r"[-+.\d]+", cells[2]))
            value_a, value_b, only_a, only_b, p, n = map(float, cells[:2] + cells[3:7])
            self.assertEqual((only_a, only_b, n), (sum(a & ~b), sum(b & ~a), CASES))
            for ours, expected in [(value_a, a.mean()), (value_b, b.mean()), (difference, b.mean() - a.mean())]:
                self.assertAlmostEqual(ours, expected, delta=0.0006)  # printed to three places
            discordant = int(only_a + only_b)
            expected_p = binomtest(int(only_a), discordant).pvalue if discordant else 1.0
            self.assertAlmostEqual(p, expected_p, delta=0.006 * expected_p)
            # Both draw from their own generators, so the ends agree within a step of 1/n.
            np.testing.assert_allclose([low, high], drawn_interval(b.astype(float) - a), atol=1.01 / CASES + 0.0005)

    def test_a_run_compared_with_itself_shows_no_difference(self):
        for cells in self.rows(self.check_succeeds("compare", self.clip, self.clip)).values():
            self.assertEqual(cells[2:6], ["+0.000 [+0.000, +0.000]", "0", "0", "1"])
            self.assertEqual(cells[7], "not shown")

    def test_folders_of_several_runs_are_paired_by_name(self):
        one, other = self.folder / "one", self.folder / "other"
        for folder, source in [(one, self.clip), (other, self.teacher)]:
            shutil.copytree(source, folder / "winoground")
        whole = self.check_succeeds("compare", self.clip, self.teacher)
        self.assertEqual(self.rows(self.check_succeeds("compare", one, other)), self.rows(whole))

    def test_other_benchmarks_and_other_cases_are_refused(self):
        clevr, fewer = self.folder / "clevr", self.folder / "fewer"
        self.check_succeeds("eval", "clevr", "--data", self.world / "clevr", "--out", clevr, "--limit", "2", "--quiet")
        self.check_fails(3, ["benchmark winoground", "clevr"], "compare", self.clip, clevr)
        data = self.world / "winoground"
        self.check_succeeds("eval", "winoground", "--data", data, "--out", fewer, "--limit", "50", "--quiet")
        self.check_fails(3, ["other cases", "--limit"], "compare", self.clip, fewer)

    def test_an_unfinished_run_is_refused(self):
        unfinished, foreign = self.folder / "unfinished", self.folder / "foreign"
        shutil.copytree(self.clip, unfinished)
        with sqlite3.connect(unfinished / "scores.sqlite") as connection:
            connection.execute("DELETE FROM mark")
        self.check_fails(3, ["not finished", "--resume"], "compare", unfinished, self.clip)
        foreign.mkdir()
        sqlite3.connect(foreign / "scores.sqlite").execute("CREATE TABLE other (a)")
        self.check_fails(3, ["not a score store"], "compare", self.clip, foreign)
        self.check_fails(3, ["nowhere"], "compare", self.clip, self.folder / "nowhere")
        self.check_fails(2, ["run_b"], "compare", self.clip)


if __name__ == "__main__":
    main()
