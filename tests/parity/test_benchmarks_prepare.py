"""The preparation scripts write what the C++ loaders read."""

import io
import json
import os
import random
import re
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import pyarrow
from PIL import Image
from pyarrow import parquet

PROBE = sys.argv.pop(1)
SCRIPTS = Path(__file__).parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))

import prepare_aro_order  # noqa: E402
import prepare_winoground  # noqa: E402


def run_script(name: str, *arguments: str | Path, packages: Path | None = None) -> subprocess.CompletedProcess:
    """Makes Python look into `packages` before the installed ones."""
    environment = os.environ | {"PYTHONPATH": str(packages or "")}
    command = [sys.executable, SCRIPTS / name, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def without(test: unittest.TestCase, package: str) -> Path:
    """Makes a folder for `packages` in which Python does not find `package`, even if it is installed."""
    folder = tempfile.TemporaryDirectory()
    test.addCleanup(folder.cleanup)
    Path(folder.name, "sitecustomize.py").write_text(f"import sys\nsys.modules[{package!r}] = None\n")
    return Path(folder.name)


class WithFolder(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def cases(self, benchmark: str, data: Path) -> dict:
        result = subprocess.run([PROBE, "cases", benchmark, data], capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout)


def png(colour: tuple[int, int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (3, 2), colour).save(file, "png")
    return file.getvalue()


class WinogroundParquet(WithFolder):
    rows = [
        {
            "id": number, "image_0": {"bytes": png((number, 0, 0)), "path": None},
            "image_1": {"bytes": png((0, number, 0)), "path": None}, "caption_0": "a \"ü\"", "caption_1": "b",
            "tag": "Noun", "secondary_tag": "", "num_main_preds": 1, "collapsed_tag": "Object",
        } for number in range(3)
    ]  # fmt: skip

    def check(self, count: int) -> None:
        self.assertEqual(count, 3)
        tables = self.cases("winoground", self.folder)
        self.assertEqual(tables["cases"][2]["images"], ["images/ex_2_img_0.png", "images/ex_2_img_1.png"])
        self.assertEqual(tables["captions"][0]["id"], 'a "ü"')
        self.assertEqual((self.folder / "images/ex_2_img_1.png").read_bytes(), self.rows[2]["image_1"]["bytes"])

    def test_rows_become_examples_and_image_files(self):
        self.check(prepare_winoground.write_examples(self.rows, self.folder))

    def test_parquet_files_are_read(self):
        """Uses two files, because the hub splits large sets."""
        files = [self.folder / f"test-{number}.parquet" for number in range(2)]
        for file, rows in zip(files, [self.rows[:2], self.rows[2:]], strict=True):
            parquet.write_table(pyarrow.Table.from_pylist(rows), file)
        result = run_script("prepare_winoground.py", *files, "--out", self.folder)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.check(3)

    def test_a_missing_package_is_named(self):
        result = run_script("prepare_winoground.py", "x.parquet", "--out", self.folder, packages=without(self, "pyarrow"))
        self.assertEqual(result.returncode, 3)
        self.assertIn("pip install pyarrow", result.stderr)

    def test_a_row_without_an_image_is_named(self):
        rows = [self.rows[0], self.rows[1] | {"image_1": None}]
        with self.assertRaisesRegex(prepare_winoground.ExportError, "row 1: column 'image_1'"):
            prepare_winoground.write_examples(rows, self.folder)
        self.assertFalse((self.folder / "examples.jsonl").exists())


class AroOrder(WithFolder):
    tags = {"cat": "NN", "dogs": "NNS", "mug": "NN", "red": "JJ", "bigger": "JJR"}

    @staticmethod
    def tokens(text: str) -> list[str]:
        return re.findall(r"\w+|[^\w\s]", text)

    def options(self, caption: str) -> list[str]:
        tagger = lambda text: [(token, self.tags.get(token, "XX")) for token in self.tokens(text)]  # noqa: E731
        return prepare_aro_order.options(caption, tagger, self.tokens)

    def test_the_draws_are_the_authors(self):
        """Expects the output of the ARO repository's perturbations.py and `pre_caption` for these tokens and tags."""
        random.seed(1)
        np.random.seed(1)
        self.assertEqual(
            self.options("A red cat, bigger than the dogs, sits beside the mug."),
            [
                "a red cat, bigger than the dogs, sits beside the mug",
                "a bigger cat , red than the mug , sits beside the dogs",
                "than red cat sits bigger beside , dogs a the , the mug",
                "red cat a than , bigger the , dogs sits the beside mug",
                "the dogs , , bigger than mug sits beside the a red cat",
            ],
        )

    def test_captions_are_cut_after_thirty_words(self):
        self.assertEqual(len(prepare_aro_order.clean("word " * 40).split()), 30)

    def test_written_files_are_read(self):
        captions = ["a red cat on the mug", "dogs beside a mug"]
        cases = [{"image": "coco/a.jpg", "caption_options": self.options(caption)} for caption in captions]
        (self.folder / "coco_order.json").write_text(json.dumps(cases))
        (self.folder / "coco").mkdir()
        (self.folder / "coco/a.jpg").touch()
        self.assertEqual(len(self.cases("aro", self.folder)["cases"]), 2)

    def test_a_missing_language_model_is_named(self):
        (self.folder / "captions.json").write_text('[{"image": "a.jpg", "caption": ["x"]}]')
        result = run_script(
            "prepare_aro_order.py", self.folder / "captions.json", "--images", "coco", "--out", self.folder / "o.json",
            packages=without(self, "spacy"),
        )  # fmt: skip
        self.assertEqual(result.returncode, 3)
        self.assertIn("en_core_web_sm", result.stderr)
        self.assertFalse((self.folder / "o.json").exists())


class ZeroshotSets(WithFolder):
    def setUp(self):
        super().setUp()
        self.packages = self.folder / "packages"
        texts = self.packages / "clip_benchmark/datasets"
        texts.mkdir(parents=True)
        (self.packages / "clip_benchmark/__init__.py").touch()
        names = {"mnist": [str(digit) for digit in range(10)], "imagenet1k": ["tench", "goldfish"]}
        templates = {name: ["a photo of {c}."] for name in ["mnist", "imagenet1k", "cifar10"]}
        (texts / "en_classnames.json").write_text(json.dumps(names))
        (texts / "en_zeroshot_classification_templates.json").write_text(json.dumps(templates))

    def prepare(self, *arguments: str | Path) -> subprocess.CompletedProcess:
        return run_script("prepare_zeroshot.py", *arguments, packages=self.packages)

    def write_mnist(self, folder: Path) -> np.ndarray:
        """Writes MNIST's four files; the test images hold the digits 3, 1, 3."""
        folder.mkdir(parents=True)
        images = np.arange(3 * 28 * 28, dtype=np.uint32).astype(np.uint8).reshape(3, 28, 28)
        for part in ["train", "t10k"]:
            (folder / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">4I", 2051, 3, 28, 28) + images.tobytes())
            (folder / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 2049, 3) + bytes([3, 1, 3]))
        return images

    def test_torchvisions_images_become_folders(self):
        images = self.write_mnist(self.folder / "torchvision/MNIST/raw")
        out = self.folder / "mnist"
        result = self.prepare("mnist", "--out", out, "--source", self.folder / "torchvision")
        self.assertEqual(result.returncode, 0, result.stderr)
        tables = self.cases("zeroshot", out)
        self.assertEqual(tables["captions"][3], {"id": "3", "texts": ["a photo of 3."]})
        self.assertEqual(
            [case["images"][0] for case in tables["cases"]], ["0001/000001.png", "0003/000000.png", "0003/000002.png"]
        )
        written = np.array(Image.open(out / "0003/000002.png").convert("L"))
        np.testing.assert_array_equal(written, images[2])

    def test_names_alone_serve_the_binary_files(self):
        out = self.folder / "mnist"
        self.write_mnist(out)
        self.assertEqual(self.prepare("mnist", "--out", out, "--names-only").returncode, 0)
        self.assertEqual(
            [case["id"] for case in self.cases("zeroshot", out)["cases"]],
            [f"t10k-images-idx3-ubyte:{number}" for number in range(3)],
        )

    def test_cifars_names_come_with_its_files(self):
        out = self.folder / "cifar10"
        out.mkdir()
        result = self.prepare("cifar10", "--out", out, "--names-only")
        self.assertEqual(result.returncode, 3)
        self.assertIn("batches.meta.txt", result.stderr)
        (out / "batches.meta.txt").write_text("airplane\nautomobile\n\n")
        (out / "test_batch.bin").write_bytes(bytes([1]) + bytes(3072))
        self.assertEqual(self.prepare("cifar10", "--out", out, "--names-only").returncode, 0)
        self.assertEqual([c["id"] for c in self.cases("zeroshot", out)["captions"]], ["airplane", "automobile"])

    def test_imagenets_folders_are_labelled_in_order(self):
        out = self.folder / "imagenet"
        for name in ["n02", "n01"]:
            (out / name).mkdir(parents=True)
            (out / name / f"{name}.JPEG").touch()
        self.assertEqual(self.prepare("imagenet1k", "--out", out).returncode, 0)
        self.assertEqual([c["id"] for c in self.cases("zeroshot", out)["cases"]], ["n01/n01.JPEG", "n02/n02.JPEG"])
        (out / "n03").mkdir()
        result = self.prepare("imagenet1k", "--out", out)
        self.assertEqual(result.returncode, 3)
        self.assertIn("got 3 folders, expected 2", result.stderr)

    def test_a_missing_package_is_named(self):
        missing = without(self, "clip_benchmark")
        result = run_script("prepare_zeroshot.py", "mnist", "--out", self.folder / "mnist", packages=missing)
        self.assertEqual(result.returncode, 3)
        self.assertIn("clip-benchmark", result.stderr)


if __name__ == "__main__":
    unittest.main()
