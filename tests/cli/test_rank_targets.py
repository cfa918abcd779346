"""Candidate captions are scored by the teacher, also after a stop and a resume, and become the targets of L_rank."""

import json
import re
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

from program import PROGRAM, ROOT, ProgramTest, main, train_arguments

COLOURS = "red|orange|yellow|green|cyan|blue|purple|pink"


def swapped(caption: str) -> str | None:
    """Returns the caption with its two colours swapped; None if it does not have two."""
    colours = re.findall(COLOURS, caption)
    if len(set(colours)) != 2:
        return None
    other = {colours[0]: colours[1], colours[1]: colours[0]}
    return re.sub(COLOURS, lambda match: other[match[0]], caption)


class RankTargets(ProgramTest):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.world = cls.draw_world(24)
        document = json.loads((cls.world / "coco/annotations/captions_train2017.json").read_text())
        names = {image["id"]: image["file_name"] for image in document["images"]}
        cls.pairs = [
            (names[entry["image_id"]], entry["caption"], swapped(entry["caption"]))
            for entry in document["annotations"]
            if swapped(entry["caption"])
        ]
        cls.candidates = cls.table("candidates.tsv", cls.pairs)

    @classmethod
    def table(cls, name: str, rows: list[tuple[str, str, str]]) -> Path:
        path = cls.folder / name
        lines = ["filepath\ttitle\tneg_caption", *("\t".join(row) for row in rows)]
        path.write_text("\n".join(lines) + "\n")
        return path

    def words(self, out: str, *more: object, candidates: Path | None = None) -> list[str]:
        places = ["--data", self.world / "coco/train2017", "--candidates", candidates or self.candidates]
        words = ["diffusion-score", "captions", *places, "--out", self.folder / out, "--threads", 1, "--quiet"]
        return [str(word) for word in [*words, "--micro-batch", 8, *more]]

    def scores(self, out: str) -> list[tuple]:
        with sqlite3.connect(self.folder / out / "scores.sqlite") as store:
            return store.execute("SELECT * FROM pair_score").fetchall()

    def test_a_run_killed_and_resumed_gives_the_scores_of_the_uninterrupted_one(self):
        self.check_succeeds(*self.words("whole", "--samples", 4))
        kills = 0
        for _ in range(50):
            process = subprocess.Popen([PROGRAM, *self.words("killed", "--samples", 4, "--resume")], cwd=ROOT,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
            before = self.stored_errors("killed")
            while process.poll() is None and self.stored_errors("killed") <= before:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            if process.wait() == 0:
                break
            kills += 1
            if kills == 3:
                self.check_succeeds(*self.words("killed", "--samples", 4, "--resume"))
                break
        self.assertGreater(kills, 0)
        self.assertEqual(self.scores("killed"), self.scores("whole"))
        result = json.loads((self.folder / "whole/result.json").read_text())
        own_first = result["metrics"]["captions/own_first"]
        by_case: dict[str, list[float]] = {}
        for case, _, _, score in self.scores("whole"):
            by_case.setdefault(case, []).append(score)
        self.assertEqual(own_first["n"], len(by_case))
        self.assertAlmostEqual(
            own_first["value"], sum(row[0] > max(row[1:]) for row in by_case.values()) / len(by_case)
        )

    def stored_errors(self, out: str) -> int:
        try:
            with sqlite3.connect(f"file:{self.folder / out / 'scores.sqlite'}?mode=ro", uri=True) as store:
                return store.execute("SELECT count(*) FROM error").fetchone()[0]
        except sqlite3.OperationalError:
            return 0

    def test_training_uses_targets_of_known_images_and_captions(self):
        self.check_succeeds(*self.words("targets", "--samples", 2))
        out = self.folder / "trained"
        settings = {"data.format": "tsv", "data.annotations": self.candidates, "train.batch_size": 8,
                    "train.steps": 3, "sds.lambda": 0, "rank.weight": 1, "train.tune": "all"}  # fmt: skip
        known = settings | {"rank.targets": self.folder / "targets"}
        self.check_succeeds(*train_arguments(self.world, out, known, "--quiet"))
        losses = [json.loads(line)["loss"] for line in (out / "log.jsonl").read_text().splitlines()]
        self.assertEqual(len(losses), 3)
        for loss in losses:
            self.assertGreater(loss["rank"], 0)
            self.assertAlmostEqual(loss["total"], loss["contrastive"] + loss["rank"], places=5)

        none = self.folder / "none"
        nowhere = settings | {"rank.targets": "nowhere"}
        self.check_fails(3, ["nowhere", "no such file"], *train_arguments(self.world, none, nowhere, "--quiet"))
        self.check_fails(2, ["rank.targets"], *train_arguments(self.world, none, settings, "--quiet"))

    def test_wrong_use_is_refused(self):
        self.check_fails(2, ["--candidates"], "diffusion-score", "captions", "--data", self.world)
        self.check_fails(2, ["--data"], "diffusion-score", "captions", "--candidates", self.candidates)
        self.check_fails(
            2, ["--candidates", "winoground"],
            "diffusion-score", "winoground", "--data", self.world / "winoground", "--candidates", self.candidates,
        )  # fmt: skip
        self.check_fails(2, ["l2_unsquared"], *self.words("none", "--norm", "l2_unsquared"))
        self.check_fails(2, ["captions"], "eval", "captions", "--data", self.world)

    def test_bad_tables_are_an_error_that_names_the_row(self):
        image, caption, other = self.pairs[0]
        missing = self.table("missing.tsv", [self.pairs[0], ("nowhere.png", caption, other)])
        self.check_fails(3, ["missing.tsv", "row 2", "nowhere.png"], *self.words("none", candidates=missing))
        empty = self.table("empty.tsv", [(image, caption, "[]")])
        self.check_fails(3, ["empty.tsv", "make_candidates.py"], *self.words("none", candidates=empty))
        self.assertFalse((self.folder / "none").exists())


if __name__ == "__main__":
    main()
