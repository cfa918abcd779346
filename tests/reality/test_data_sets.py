"""Tiny benchmark data sets in the layouts of published archives, compared with independent readings of the files.

The reference of a zero-shot set is a plain image folder. This test fills it with another reader: NumPy for CIFAR and
MNIST, torchvision's ImageFolder, CLIP_benchmark's own `build_dataset`. Scores and marks of the two must be equal. Sources of the layouts, looked up on 2026-11-28:

- CIFAR: cs.toronto.edu/~kriz/cifar.html ("Binary version"); the archive unpacks to cifar-10-batches-bin/, cifar-100-binary/
- MNIST: ossci-datasets.s3.amazonaws.com/mnist/*.gz, which torchvision keeps in MNIST/raw/
- ImageNet: validation images in n01440764/..., as the usual script sorts them; strays as Windows and macOS leave them
- CLIP_benchmark: huggingface.co/datasets/clip-benchmark/wds_*: classnames.txt, zeroshot_classification_templates.txt,
  test/nshards.txt, test/0.tar
- FGVC Aircraft: fgvc-aircraft-2013b.tar.gz as torchvision's FGVCAircraft reads it
- Winoground: huggingface.co/datasets/facebook/winoground, formerly data/examples.jsonl and data/images.zip, now parquet
- MMVP-VLM: huggingface.co/datasets/MMVP/MMVP_VLM: Questions.csv, "MLLM_VLM Images/TYPE/NUMBER.jpg"
- ARO: github.com/mertyg/vision-language-models-are-bows, dataset_zoo/aro_datasets.py: the keys of both lists, Pillow's crop by
  the box, vgr_vga_images.zip, which unpacks to images/
- SugarCrepe: github.com/RAIVNLab/sugar-crepe, data/*.json (indented, keys "0", "1", ... with gaps, spaces behind captions)
  and main_eval.py; the images are COCO's val2017, some of them grey
- CLEVR: github.com/McGill-NLP/diffusion-itm, data/clevr/captions/*.json beside CLEVR_questions.json and CLEVR_scenes.json
"""

import gzip
import io
import json
import sqlite3
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from support import run, run_script  # first: it makes the modules of the other tests known

import prepare_winoground
import prepare_zeroshot
import pyarrow
from clip_benchmark.datasets.builder import build_dataset
from PIL import Image
from program import ProgramTest, main
from pyarrow import parquet
from torchvision.datasets import ImageFolder

TEMPLATES = "a photo of a {c}.\na picture of the {c}.\n"


def picture(number: int, size: tuple[int, int] = (40, 30)) -> Image.Image:
    pixels = np.random.default_rng(number).integers(0, 256, (4, 5, 3)).astype(np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def write(path: Path, content: bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def add_to_tar(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


class DataSets(ProgramTest):
    def scores(self, benchmark: str, data: Path) -> tuple[np.ndarray, dict]:
        """Returns the scores of each image of each case, in an order independent of file names, and the metrics."""
        out = self.folder / f"run-{len(list(self.folder.glob('run-*')))}"
        self.check_succeeds("eval", benchmark, "--data", data, "--out", out, "--threads", 1, "--quiet")
        with sqlite3.connect(out / "scores.sqlite") as database:
            rows = database.execute("SELECT case_id, image, score FROM pair_score").fetchall()
        images: dict[tuple, list] = {}
        for case, image, score in rows:
            images.setdefault((case, image), []).append(score)
        metrics = json.loads((out / "result.json").read_text())["metrics"]
        return np.array(sorted(map(sorted, images.values()))), {name: one["value"] for name, one in metrics.items()}

    def check_same(self, benchmark: str, data: Path, reference: Path) -> None:
        scores, metrics = self.scores(benchmark, data)
        expected_scores, expected_metrics = self.scores(benchmark, reference)
        np.testing.assert_allclose(scores, expected_scores, rtol=0, atol=1e-6)
        self.assertEqual(metrics, expected_metrics)

    def check_zeroshot(self, data: Path, classes: list[str], labelled: list[tuple[Image.Image, int]]) -> None:
        """Checks that `data` scores like `labelled` when written as PNGs into one folder per class."""
        plain = data.with_name(data.name + "-plain")
        write(plain / "classnames.txt", "".join(name + "\n" for name in classes))
        write(plain / "folders.txt", "".join(f"{label:03}\n" for label in range(len(classes))))
        write(plain / "templates.txt", TEMPLATES)
        for label in range(len(classes)):
            (plain / f"{label:03}").mkdir()
        for number, (image, label) in enumerate(labelled):
            write(plain / f"{label:03}" / f"{number:05}.png", encoded(image.convert("RGB"), "PNG"))
        self.check_same("zeroshot", data, plain)

    def zeroshot_folder(self, name: str, classes: str) -> Path:
        data = self.folder / name
        write(data / "classnames.txt", classes)
        write(data / "zeroshot_classification_templates.txt", TEMPLATES)
        return data

    def test_cifar_archives(self):
        for name, label_bytes, file in (("cifar-10", 1, "test_batch.bin"), ("cifar-100", 2, "test.bin")):
            data = self.zeroshot_folder(name, "cat\nred dog\nbird\n")
            generator = np.random.default_rng(1)
            pixels = generator.integers(0, 256, (6, 3, 32, 32)).astype(np.uint8)
            labels = [2, 0, 1, 1, 0, 2]
            records = b"".join(bytes([9] * (label_bytes - 1) + [label]) + image.tobytes()
                               for label, image in zip(labels, pixels, strict=True))
            folder = "cifar-10-batches-bin" if name == "cifar-10" else "cifar-100-binary"
            archive = data / f"{name}-binary.tar.gz"
            with tarfile.open(archive, "w:gz") as tar:
                add_to_tar(tar, f"{folder}/{file}", records)
                add_to_tar(tar, f"{folder}/readme.html", b"<html>")
            told = run("eval", "zeroshot", "--data", data, "--out", self.folder / "refused")
            self.assertEqual(told.returncode, 3)
            self.assertIn("tar xzf", told.stderr)
            with tarfile.open(archive) as tar:
                tar.extractall(data)
            expected = [(Image.fromarray(image.transpose(1, 2, 0)), label)
                        for image, label in zip(pixels, labels, strict=True)]
            self.check_zeroshot(data, ["cat", "red dog", "bird"], expected)

    def test_mnist_as_published(self):
        for name, below in (("mnist", ""), ("mnist-torchvision", "MNIST/raw")):
            data = self.zeroshot_folder(name, "0\n1\n2\n")
            pixels = np.random.default_rng(2).integers(0, 256, (5, 28, 28)).astype(np.uint8)
            labels = [2, 0, 1, 1, 2]
            write(data / below / "t10k-images-idx3-ubyte.gz",
                  gzip.compress(struct.pack(">IIII", 0x803, 5, 28, 28) + pixels.tobytes()))
            write(data / below / "t10k-labels-idx1-ubyte.gz", gzip.compress(struct.pack(">II", 0x801, 5) + bytes(labels)))
            expected = [(Image.fromarray(image), label) for image, label in zip(pixels, labels, strict=True)]
            self.check_zeroshot(data, ["0", "1", "2"], expected)

    def test_imagenet_folders_with_strays(self):
        data = self.zeroshot_folder("imagenet", "tench\n goldfish \nmissile\n")
        write(data / "folders.txt", "n01440764\nn01443537\nn04008634\n")
        images = self.folder / "torchvision"
        for number, name in enumerate(["n01440764/ILSVRC2012_val_00000293.JPEG", "n01440764/more/ILSVRC2012_val_2.JPEG",
                                       "n01443537/b.bmp", "n01443537/a.TIF", "n04008634/c.ppm", "n04008634/d.webp"]):
            kind = {"JPEG": "JPEG", "bmp": "BMP", "TIF": "TIFF", "ppm": "PPM", "webp": "WEBP"}[name.rsplit(".", 1)[1]]
            for root in (data, images):
                write(root / name, encoded(picture(number), kind))
        for stray in ("n01440764/Thumbs.db", "n01443537/README.md"):
            for root in (data, images):
                write(root / stray, "no image")
        write(data / "n01440764/.DS_Store", "no image")
        write(data / "__MACOSX/n01440764/._ILSVRC2012_val_00000293.JPEG", "no image")
        self.check_zeroshot(data, ["tench", "goldfish", "missile"], list(ImageFolder(images)))

    def test_clip_benchmark_web_datasets(self):
        data = self.zeroshot_folder("wds_tiny", "cat \ndog\n\nbird\n")
        write(data / "dataset_type.txt", "classification\n")
        write(data / "test/nshards.txt", "2")
        for shard, numbers in enumerate(([0, 1, 2], [3, 4])):
            with tarfile.open(data / f"test/{shard}.tar", "w") as tar:
                for number in numbers:
                    ending, kind = [("webp", "WEBP"), ("JPG", "JPEG"), ("png", "PNG")][number % 3]
                    add_to_tar(tar, f"s{number:07}.{ending}", encoded(picture(number), kind))
                    add_to_tar(tar, f"s{number:07}.cls", str([0, 1, 3, 2, 3][number]).encode())
        theirs = build_dataset("wds/tiny", root=str(data), transform=lambda image: image, split="test",
                               task="zeroshot_classification")
        self.assertEqual(theirs.classes, ["cat", "dog", "", "bird"])
        self.assertEqual(theirs.templates, TEMPLATES.splitlines())
        self.check_zeroshot(data, theirs.classes, list(theirs))

    def test_fgvc_aircraft_archive(self):
        source = self.folder / "aircraft"
        root = source / "fgvc-aircraft-2013b/data"
        variants = ["Boeing 737-700", "F-16A/B", "A320"]
        write(root / "variants.txt", "".join(name + "\n" for name in variants))
        lines = []
        for number in range(6):
            write(root / f"images/{1000 + number}.jpg", encoded(picture(number, (60, 50)), "JPEG"))
            lines.append(f"{1000 + number} {variants[number % 3]}\n")
        write(root / "images_variant_test.txt", "".join(lines))
        data = self.folder / "fgvc_aircraft"
        code, _, stderr = run_script(prepare_zeroshot, "fgvc_aircraft", "--out", data, "--source", source)
        self.assertEqual(code, 0, stderr)
        report = run("data", "check", "zeroshot", "--data", data)
        self.assertEqual(report.returncode, 0, report.stderr)
        self.assertIn("6", report.stdout)

    def test_winoground_as_it_was_and_as_it_is(self):
        old = self.folder / "winoground-old"
        parquet_rows, lines = [], []
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as images:
            for number in range(3):
                row = {"id": number, "caption_0": f"a cat {number}", "caption_1": f"{number} a cat", "tag": "Noun",
                       "secondary_tag": "", "num_main_preds": 1, "collapsed_tag": "Object"}
                stems = {f"image_{k}": f"ex_{number}_img_{k}" for k in (0, 1)}
                contents = {name: encoded(picture(2 * number + k), "PNG") for k, name in enumerate(stems)}
                for column, stem in stems.items():
                    images.writestr(f"images/{stem}.png", contents[column])
                lines.append(json.dumps(row | stems) + "\n")
                parquet_rows.append(row | {column: {"bytes": data, "path": None} for column, data in contents.items()})
        write(old / "examples.jsonl", "".join(lines))
        with zipfile.ZipFile(archive) as images:
            images.extractall(old)
        published = self.folder / "test-00000-of-00001.parquet"
        parquet.write_table(pyarrow.Table.from_pylist(parquet_rows), published)
        new = self.folder / "winoground-new"
        code, _, stderr = run_script(prepare_winoground, published, "--out", new)
        self.assertEqual(code, 0, stderr)
        self.check_same("winoground", new, old)

    def test_mmvp_folder(self):
        data = self.folder / "mmvp"
        rows = ["Question ID,Type,Statement\n"]
        for number in range(1, 5):
            rows.append(f"{number},Color,\"a, thing {number}\"\n")
            write(data / f"MLLM_VLM Images/Color/{number}.jpg", encoded(picture(number), "JPEG"))
        write(data / "Questions.csv", "".join(rows))
        report = run("data", "check", "mmvp", "--data", data)
        self.assertEqual(report.returncode, 0, report.stderr)

    def test_aro_as_its_authors_read_it(self):
        published, cropped = self.folder / "aro", self.folder / "aro-cropped"
        # Within the image, over its borders (Pillow fills with black), and the whole.
        boxes = [(3, 5, 20, 10), (-4, -2, 30, 20), (25, 10, 40, 40), (0, 0, 40, 30)]
        rows, own = [], []
        for number, (x, y, width, height) in enumerate(boxes):
            image, name = picture(number), f"{2370799 + number}.jpg"
            write(published / "images" / name, encoded(image, "JPEG", quality=95))
            box = {"bbox_x": x, "bbox_y": y, "bbox_w": width, "bbox_h": height}
            texts = {"true_caption": f"the cat is on the dog {number}", "false_caption": f"the dog is on the cat {number}"}
            rows.append({"image_id": 2370799 + number, "image_path": name} | box | texts)
            with Image.open(published / "images" / name) as opened:
                part = opened.convert("RGB").crop((x, y, x + width, y + height))
            write(cropped / f"images/{number}.png", encoded(part, "PNG"))
            whole = {"bbox_x": 0, "bbox_y": 0, "bbox_w": width, "bbox_h": height}
            own.append({"image_path": f"{number}.png"} | whole | texts)
        write(published / "__MACOSX/images/._2370799.jpg", b"\0")
        write(published / "vgr_vga_images.zip", b"PK")
        for folder, cases in ((published, rows), (cropped, own)):
            write(folder / "visual_genome_relation.json", json.dumps([case | {"relation_name": "on"} for case in cases]))
            attributes = [case | {"attributes": ["red", "big"], "obj1_name": "cat", "obj2_name": "dog"} for case in cases]
            write(folder / "visual_genome_attribution.json", json.dumps(attributes))
        self.check_same("aro", published, cropped)

    def test_sugarcrepe_of_its_repository(self):
        published, plain = self.folder / "sugarcrepe", self.folder / "sugarcrepe-plain"
        for split in ("replace_obj", "replace_att", "replace_rel", "swap_obj", "swap_att", "add_obj", "add_att"):
            cases, own = {}, {}
            for place, key in enumerate(("0", "1", "7", "12")):
                number = len(split) + place
                image = picture(number).convert("L") if place == 1 else picture(number)
                name = f"{number:012}.jpg"
                write(published / "val2017" / name, encoded(image, "JPEG", quality=95))
                with Image.open(published / "val2017" / name) as opened:
                    write(plain / f"val2017/{number}.png", encoded(opened.convert("RGB"), "PNG"))
                texts = {"caption": f"a cat {split} {key} ", "negative_caption": f"a dog {split} {key}."}
                cases[key] = {"filename": name} | texts
                own[str(place)] = {"filename": f"{number}.png"} | texts
            write(published / f"{split}.json", json.dumps(cases, indent=4))
            write(plain / f"{split}.json", json.dumps(own))
        for name in ("LICENSE", "README.md", "data_card.pdf", "swap_ent.json"):
            write(published / name, b"?")
        self.check_same("sugarcrepe", published, plain)

    def test_clevr_of_diffusion_itm(self):
        published, plain = self.folder / "clevr", self.folder / "clevr-plain"
        names = ["CLEVR_val2_000138.png", "CLEVR_train3_000425.png", "CLEVR_new_000366.png"]
        for number, name in enumerate(names):
            image = picture(number).convert("RGBA")  # as Blender renders
            write(published / "images" / name, encoded(image, "PNG"))
            write(plain / "images" / name, encoded(image.convert("RGB"), "PNG"))
        for task in ("pair_binding_size", "pair_binding_color", "recognition_color", "recognition_shape", "spatial",
                     "binding_color_shape", "binding_shape_color"):
            cases = {name: [[f"A gray cylinder {task}.", f"A red cube {task}."], [f"Red {task}.", f"Gray {task}."]]
                     for name in names}
            for folder in (published, plain):
                write(folder / f"captions/{task}.json", json.dumps(cases))
        write(published / "captions/CLEVR_questions.json", json.dumps({"info": {}, "questions": []}))
        write(published / "captions/CLEVR_scenes.json", json.dumps({"info": {}, "scenes": []}))
        self.check_same("clevr", published, plain)


if __name__ == "__main__":
    main()
