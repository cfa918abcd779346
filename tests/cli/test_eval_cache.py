"""`sdsclip eval --cache DIR` reuses embeddings if model and image are the same, and only then."""

import json
import sqlite3
import subprocess
from pathlib import Path

from PIL import Image
from program import PROGRAM, ProgramTest, main

BATCH = 8
CASES = 40


def stored(out: Path) -> tuple[list, list]:
    """Returns the embeddings and scores of a run, bit for bit."""
    with sqlite3.connect(out / "scores.sqlite") as connection:
        embeddings = connection.execute("SELECT kind, unit, data FROM embedding ORDER BY kind, unit").fetchall()
        scores = connection.execute("SELECT case_id, image, caption, score FROM pair_score ORDER BY rowid").fetchall()
    return embeddings, scores


class EvaluationCache(ProgramTest):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.world = cls.draw_world()
        cls.cache = cls.folder / "cache"
        cls.first = cls.folder / "first"
        cls.evaluate(cls.first, "--cache", cls.cache)

    @classmethod
    def evaluate(cls, out: Path, *more: str | Path) -> dict:
        """Reads the run's `result.json`."""
        limit = () if "--limit" in more else ("--limit", str(CASES))
        arguments = ["eval", "winoground", "--data", cls.world / "winoground", "--out", out, "--batch", str(BATCH)]
        command = [PROGRAM, *arguments, "--threads", "1", "--quiet", *limit, *more]
        subprocess.run([str(word) for word in command], check=True, capture_output=True)
        return json.loads((out / "result.json").read_text())

    def test_a_second_run_encodes_nothing_and_has_the_same_bits(self):
        first = json.loads((self.first / "result.json").read_text())
        self.assertEqual(first["work"]["image_encodings"], 2 * CASES)
        again = self.evaluate(self.folder / "again", "--cache", self.cache)
        self.assertEqual(again["work"]["image_encodings"], 0)
        self.assertEqual(again["work"]["text_encodings"], 0)
        self.assertEqual(again["metrics"], first["metrics"])
        self.assertEqual(stored(self.folder / "again"), stored(self.first))

    def test_a_run_without_it_has_the_same_bits(self):
        without = self.evaluate(self.folder / "without")
        self.assertEqual(without["work"]["image_encodings"], 2 * CASES)
        self.assertEqual(stored(self.folder / "without"), stored(self.first))

    def test_a_larger_run_encodes_only_what_is_new(self):
        larger = self.evaluate(self.folder / "larger", "--cache", self.folder / "growing", "--limit", "8")
        self.assertEqual(larger["work"]["image_encodings"], 16)
        larger = self.evaluate(self.folder / "largest", "--cache", self.folder / "growing")
        self.assertEqual(larger["work"]["image_encodings"], 2 * CASES - 16)
        self.assertEqual(stored(self.folder / "largest"), stored(self.first))

    def test_another_precision_is_another_model(self):
        other = self.evaluate(self.folder / "bf16", "--cache", self.cache, "--precision", "bf16")
        self.assertEqual(other["work"]["image_encodings"], 2 * CASES)

    def test_an_image_that_changed_is_encoded_again(self):
        cache, out = self.folder / "changing", self.folder / "changed"
        self.evaluate(self.folder / "unchanged", "--cache", cache)
        path = sorted((self.world / "winoground" / "images").iterdir())[0]
        before = path.read_bytes()
        self.addCleanup(path.write_bytes, before)
        Image.open(path).rotate(90).save(path)
        self.assertEqual(self.evaluate(out, "--cache", cache)["work"]["image_encodings"], BATCH)
        self.evaluate(self.folder / "changed-without")
        self.assertEqual(stored(out), stored(self.folder / "changed-without"))

    def test_a_foreign_file_is_refused(self):
        folder = self.folder / "foreign"
        folder.mkdir()
        with sqlite3.connect(folder / "embeddings.sqlite") as connection:
            connection.execute("CREATE TABLE other (a)")
        data = self.world / "winoground"
        command = ["eval", "winoground", "--data", data, "--out", self.folder / "refused", "--cache", folder]
        self.check_fails(3, ["embeddings.sqlite", "not a cache", "--cache"], *command)


if __name__ == "__main__":
    main()
