"""Candidate captions: the tagger beside captions tagged by hand, the swaps beside hand-worked ones."""

import ast
import csv
import json
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).parent
SCRIPTS = HERE.parents[1] / "scripts"
sys.path.insert(0, str(SCRIPTS))

import make_candidates  # noqa: E402
from make_candidates import all_candidates, tag_captions  # noqa: E402


def tagged_by_hand(path: Path) -> list[tuple[str, list[str]]]:
    """Captions, and each word's kind: `word_N` is a noun, `word_J` an adjective, any other is neither."""
    captions = []
    for line in path.read_text().splitlines():
        words = [word for word in line.split() if re.match(r"\w", word)]
        kinds = [{"_N": "NOUN", "_J": "ADJ"}.get(word[-2:], "") for word in words]
        captions.append((" ".join(re.sub("_[NJ]$", "", word) for word in words), kinds))
    return captions


def tokens_of(caption: str) -> list[make_candidates.Token]:
    return next(tag_captions([("", caption)]))[2]


def candidates(caption: str, kind: str) -> list[str]:
    return all_candidates(caption, tokens_of(caption), kind)


def read_rows(path: Path) -> list[dict]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


class Tagger(unittest.TestCase):
    def share_right(self, path: Path) -> float:
        captions = tagged_by_hand(path)
        right = total = 0
        for (_, kinds), (_, _, tokens) in zip(captions, tag_captions(("", text) for text, _ in captions), strict=True):
            self.assertEqual(len(tokens), len(kinds))
            given = [token.kind if token.kind in ("NOUN", "ADJ") else "" for token in tokens]
            right += sum(a == b for a, b in zip(given, kinds, strict=True))
            total += len(kinds)
        print(f"{path.name}: {right} of {total} words as by hand, {right / total:.3f}")
        return right / total

    def test_tells_nouns_and_adjectives_of_captions_like_cocos(self):
        self.assertGreater(self.share_right(HERE / "tagged_captions.txt"), 0.97)

    def test_tells_those_of_the_shapes_world(self):
        self.assertGreater(self.share_right(HERE / "tagged_shapes.txt"), 0.97)


class Swaps(unittest.TestCase):
    def test_swap_colours_and_things_with_their_articles(self):
        caption = "an orange square to the left of a purple circle"
        self.assertEqual(candidates(caption, "adjective"), ["a purple square to the left of an orange circle"])
        self.assertEqual(candidates(caption, "noun"), ["an orange circle to the left of a purple square"])
        self.assertEqual(candidates(caption, "phrase"), ["a purple circle to the left of an orange square"])

    def test_keep_the_capital_and_the_full_stop(self):
        self.assertEqual(
            candidates("A small red ring is above an old umbrella.", "phrase"),
            ["An old umbrella is above a small red ring."],
        )
        self.assertEqual(candidates("Snow covers water.", "noun"), ["Water covers snow."])

    def test_exchange_sizes_with_sizes_and_colours_with_colours(self):
        self.assertEqual(
            candidates("a small red ring and a large blue cross", "adjective"),
            ["a small blue ring and a large red cross", "a large red ring and a small blue cross"],
        )

    def test_keep_other_numbers_and_missing_determiners(self):
        self.assertEqual(candidates("Two dogs sit on a bench.", "noun"), [])
        self.assertEqual(candidates("A zebra drinks water.", "noun"), [])

    def test_a_place_in_the_picture_is_not_a_thing(self):
        self.assertEqual(candidates("a picture of a dog on the left side", "noun"), [])

    def test_move_a_compound_as_a_whole(self):
        self.assertEqual(candidates("A coffee mug beside a lamp.", "noun"), ["A lamp beside a coffee mug."])

    def test_that_change_nothing_are_dropped(self):
        self.assertEqual(candidates("a red ring and a red cross", "adjective"), [])
        self.assertEqual(candidates("A dog beside a dog.", "noun"), [])

    def test_that_stutter_are_dropped(self):
        self.assertTrue(make_candidates.has_double("a red red ring"))
        self.assertFalse(make_candidates.has_double("a red ring"))


class Table(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def run_script(self, *arguments) -> subprocess.CompletedProcess:
        command = [sys.executable, SCRIPTS / "make_candidates.py", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def coco(self, captions: list[tuple[int, str]]) -> Path:
        path = self.folder / "captions.json"
        images = [{"id": number, "file_name": f"{number}.jpg"} for number in sorted({image for image, _ in captions})]
        annotations = [{"image_id": image, "caption": caption} for image, caption in captions]
        path.write_text(json.dumps({"images": images, "annotations": annotations}))
        return path

    def test_has_the_captions_to_the_letter_in_the_order_of_the_images(self):
        awkward = 'A red dog\tbeside a blue cat, "Tom".\n'
        source = self.coco([(2, "A cat on a mat."), (1, awkward), (2, "Nothing here"), (2, "A cat on a mat.")])
        done = self.run_script(source, "--out", self.folder / "out.tsv")
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = read_rows(self.folder / "out.tsv")
        pairs = [(row["filepath"], row["title"]) for row in rows]
        self.assertEqual(pairs, [("1.jpg", awkward), ("2.jpg", "A cat on a mat.")])
        self.assertEqual(ast.literal_eval(rows[1]["neg_caption"]), ["A mat on a cat."])

    def test_depends_on_the_seed_and_not_on_the_rest_of_the_data_set(self):
        captions = [(number, f"A red dog, a blue cat and a green bird near house {number}.") for number in range(6)]
        source = self.coco(captions)
        outputs = []
        for name, seed in (("a", 0), ("b", 0), ("c", 1)):
            self.run_script(source, "--out", self.folder / f"{name}.tsv", "--per-caption", 2, "--seed", seed)
            outputs.append(read_rows(self.folder / f"{name}.tsv"))
        self.assertEqual(outputs[0], outputs[1])
        self.assertNotEqual(outputs[0], outputs[2])
        self.run_script(self.coco(captions[3:]), "--out", self.folder / "part.tsv", "--per-caption", 2)
        self.assertEqual(read_rows(self.folder / "part.tsv"), outputs[0][3:])

    def test_draws_every_kind_of_swap_even_if_few_are_wanted(self):
        captions = [(number, f"A red dog chases a blue cat near hut {number}.") for number in range(30)]
        done = self.run_script(self.coco(captions), "--out", self.folder / "out.tsv", "--per-caption", 1)
        counts = dict(re.findall(r"(noun|adjective|phrase) (\d+)", done.stdout))
        self.assertEqual(len(counts), 3)
        self.assertGreater(min(map(int, counts.values())), 3)

    def test_errors_are_one_line_that_says_what_to_do(self):
        empty = self.coco([(1, "Nothing here")])
        for code, part, arguments in (
            (3, "no such file", ["nowhere.json"]),
            (3, "none of 1 captions", [empty]),
            (2, "--kinds", [empty, "--kinds", "verb"]),
        ):
            done = self.run_script(*arguments, "--out", self.folder / "out.tsv")
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn(part, done.stderr)
            self.assertEqual(len(done.stderr.splitlines()), 1)
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()), ["captions.json"])


if __name__ == "__main__":
    unittest.main()
