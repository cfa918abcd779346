"""Tiny training data in the layouts of published archives: compares every sample, then trains two steps.

The data sets are tiny and generated (training_layouts.py).
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import training_layouts as layouts
from pyarrow import parquet

ROOT = Path(__file__).resolve().parents[2]
PROGRAM, PROBE = sys.argv.pop(1), sys.argv.pop(1)
CONVERTER = ROOT / "scripts/parquet_to_webdataset.py"


def yaml(value: object) -> str:
    return json.dumps(str(value) if isinstance(value, Path) else value)


def run(*command: object) -> subprocess.CompletedProcess:
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=ROOT)


class Checks(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory(prefix="sdsclip-test-")
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name, "data set")
        self.folder.mkdir()

    def check(self, layout: layouts.Layout) -> None:
        """Checks all samples against the independent reading, each bad record's message, and two training steps."""
        options = layout.options | ({"max_bad": 1} if layout.bad or layout.missing else {})
        done = run(PROBE, "samples", *(f"{key}={yaml(value)}" for key, value in options.items()))
        self.assertEqual(done.returncode, 0, done.stderr)
        found = json.loads(done.stdout)["samples"]
        samples = [sample for sample in found if isinstance(sample, dict)]
        self.assertEqual([(s["name"], s["captions"]) for s in samples], [(name, list(c)) for name, c in layout.samples])
        for sample in samples:
            is_missing = any(name in sample["name"] for name in layout.missing)
            self.assertIsInstance(sample["bytes"], str if is_missing else int, sample)
        messages = done.stderr + "\n".join(sample for sample in found if isinstance(sample, str))
        for part in layout.bad:
            self.assertIn(part, messages)
        self.train(options)
        if layout.bad:
            self.check_refused(layout)

    def train(self, options: dict[str, object]) -> None:
        out = self.folder.parent / "run"
        shutil.rmtree(out, ignore_errors=True)  # from another layout of this test
        settings = {f"data.{key}": yaml(value) for key, value in options.items()}
        settings |= {"train.steps": 2, "train.batch_size": 2, "sds.lambda": 0, "train.evaluate_every": 0}
        words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        done = run(PROGRAM, "train", "--config", "quickstart.yaml", "--threads", 1, "--quiet", "--out", out, *words)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len((out / "log.jsonl").read_text().splitlines()), 2)

    def check_refused(self, layout: layouts.Layout) -> None:
        """With `fail`, the run ends before the first step with one printable line."""
        options = layout.options | {"on_bad_sample": "fail"}
        done = run(PROBE, "samples", *(f"{key}={yaml(value)}" for key, value in options.items()))
        self.assertEqual(done.returncode, 3)
        self.assertEqual(done.stderr.count("\n"), 1)
        self.assertTrue(done.stderr.rstrip("\n").isprintable(), repr(done.stderr))
        self.assertIn(str(self.folder), done.stderr)


class TrainingData(Checks):
    def test_coco_2017(self):
        self.check(layouts.coco_2017(self.folder))

    def test_coco_with_bad_records(self):
        self.check(layouts.coco_with_bad_records(self.folder))

    def test_karpathys_coco(self):
        self.check(layouts.karpathy(self.folder, "dataset_coco.json", with_folders=True))

    def test_karpathys_flickr(self):
        self.check(layouts.karpathy(self.folder, "dataset_flickr8k.json", with_folders=False))

    def test_blip(self):
        self.check(layouts.blip(self.folder))

    def test_hub_image_folder(self):
        self.check(layouts.hub_image_folder(self.folder))

    def test_open_clip_tables(self):
        for name, separator in (("train.csv", "\t"), ("train.csv", ","), ("train.tsv", "\t")):
            with self.subTest(name=name, separator=separator):
                self.check(layouts.open_clip_table(self.folder, name, separator))

    def test_flickr8k_tokens(self):
        self.check(layouts.flickr8k_tokens(self.folder))

    def test_flickr8k_captions(self):
        self.check(layouts.flickr8k_captions(self.folder))

    def test_flickr30k_results(self):
        self.check(layouts.flickr30k_results(self.folder))

    def test_flickr30k_hub(self):
        self.check(layouts.flickr30k_hub(self.folder))

    def test_negclip(self):
        layout = layouts.negclip(self.folder)
        done = run(PROBE, "samples", *(f"{key}={yaml(value)}" for key, value in layout.options.items()))
        self.assertEqual(json.loads(done.stdout)["samples"][0]["negatives"], ["a bone's \"dog\"", "b"])
        self.assertEqual(json.loads(done.stdout)["samples"][0]["captions"], layout.samples[0][1])

    def test_img2dataset_shards(self):
        self.check(layouts.img2dataset_shards(self.folder))

    def test_clip_benchmark_retrieval(self):
        self.check(layouts.clip_benchmark_retrieval(self.folder))

    def test_a_cut_shard(self):
        self.check(layouts.cut_shard(self.folder))

    def test_image_text_folder(self):
        self.check(layouts.image_text_folder(self.folder))

    def test_lists_of_addresses_as_published(self):
        """CC3M's and CC12M's own files hold addresses; the message says how to make shards of them."""
        for name, text in (
            ("Train_GCC-training.tsv", "a very typical bus station\thttp://lh6.ggpht.com/-IvRtNLNcG8o/a.jpg\n"),
            ("cc12m.tsv", "https://us.123rf.com/a.jpg?ver=6\tMetal Design Within A White Circle\n"),
            ("cc3m.tsv", "caption\turl\na very typical bus station\thttp://lh6.ggpht.com/a.jpg\n"),
        ):
            path = layouts.put(self.folder / name, text)
            columns = ["image_column=url", "caption_column=caption"] if name == "cc3m.tsv" else []
            done = run(PROBE, "samples", "format=tsv", f"annotations={yaml(path)}", *columns)
            self.assertEqual(done.returncode, 3, done.stdout)
            self.assertIn("img2dataset", done.stderr)

    def test_files_of_another_kind(self):
        """For every format, the program says in one printable line what the file is."""
        kinds = {"parquet": b"PAR1" + os.urandom(64), "gzip": b"\x1f\x8b\x08" + os.urandom(64),
                 "binary": b"\0\1\2" * 99, "UTF-16": "filepath\ttitle\n".encode("utf-16")}  # fmt: skip
        for kind, content in kinds.items():
            path = layouts.put(self.folder / "file", content)
            for name in ("coco", "tsv", "karpathy", "json", "jsonl", "webdataset"):
                if (kind, name) == ("binary", "webdataset"):
                    continue  # a tar is binary too: libarchive recognizes it
                done = run(PROBE, "samples", f"format={name}", f"annotations={yaml(path)}")
                self.assertEqual(done.returncode, 3, (kind, name, done.stdout))
                self.assertIn(kind, done.stderr.lower() if kind != "UTF-16" else done.stderr, name)
                self.assertTrue(done.stderr.rstrip("\n").isprintable(), repr(done.stderr))


class Parquet(Checks):
    def convert(self, paths: list[Path], *more: object) -> subprocess.CompletedProcess:
        return run(sys.executable, CONVERTER, *paths, "--out", self.folder / "shards", *more)

    def shards(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted((self.folder / "shards").glob("*"))}

    def test_files_of_the_hub(self):
        paths = layouts.hub_parquet(self.folder / "data")
        done = self.convert(paths, "--shard-size", 5)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("left out 2 bad rows", done.stdout)
        self.assertIn("data.captions_per_file=lines", done.stdout)
        rows = [row for path in paths for row in parquet.read_table(path).to_pylist()]
        expected = [
            [("jpg", "png", "webp")[number % 9 % 3], *(" ".join(text.split()) for text in row["caption"])]
            for number, row in enumerate(rows)
            if row["image"] and row["caption"]
        ]
        samples = layouts.read_shards(self.folder / "shards", str.splitlines)
        self.assertEqual([[name.rsplit(".")[-1], *captions] for name, captions in samples], expected)
        options = {"format": "webdataset", "annotations": self.folder / "shards" / "{00000..00003}.tar",
                   "captions_per_file": "lines"}  # fmt: skip
        self.check(layouts.Layout(options, samples))

    def test_continues_where_it_stopped(self):
        paths = layouts.hub_parquet(self.folder / "data")
        self.convert(paths, "--shard-size", 5)
        whole = self.shards()
        (self.folder / "shards/00001.tar").unlink()
        layouts.put(self.folder / "shards/00003.tar.tmp", b"of a killed run")
        (self.folder / "shards/00003.tar").unlink()
        kept = (self.folder / "shards/00000.tar").stat().st_mtime_ns
        self.assertEqual(self.convert(paths, "--shard-size", 5).returncode, 0)
        self.assertEqual(self.shards(), whole)
        self.assertEqual((self.folder / "shards/00000.tar").stat().st_mtime_ns, kept)
        done = self.convert(paths, "--shard-size", 6)
        self.assertEqual(done.returncode, 2)
        self.assertIn("other shard_size", done.stderr)

    def test_names_what_is_wrong(self):
        paths = layouts.hub_parquet(self.folder / "data")
        for code, parts, arguments in (
            (3, ["has the columns image, caption, split, not words"], [*paths, "--caption-column", "words"]),
            (3, ["row 2: has no image bytes", "--on-bad-row skip"], [*paths, "--on-bad-row", "fail"]),
            (3, ["cannot be read as Parquet"], [layouts.put(self.folder / "cut.parquet", paths[0].read_bytes()[:500])]),
            (3, ["no such file"], [self.folder / "absent.parquet"]),
            (2, ["--shard-size"], [*paths, "--shard-size", 0]),
        ):
            done = run(sys.executable, CONVERTER, *arguments, "--out", self.folder / f"out{code}{len(parts[0])}")
            self.assertEqual(done.returncode, code, done.stderr)
            last = done.stderr.splitlines()[-1]
            for part in parts:
                self.assertIn(part, last)


if __name__ == "__main__":
    unittest.main()
