"""Compares `sdsclip eval` with CLIP_benchmark's own evaluators, on one model with random weights: a ViT-B-32 of less width
and depth, since only its images and texts must be a real model's.

Both read the same generated data with their own code: decoding, preprocessing, tokenizing, both encoders, the rule.
CLIP_benchmark lacks ARO, CLEVR and MMVP; these are compared with `benchmark_rules.py` on open_clip's cosines.
"""

import io
import json
import os
import random
import subprocess
import sys
import tarfile
import tempfile
import unittest
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import cycle
from pathlib import Path
from unittest import mock

PROGRAM = sys.argv.pop(1)
sys.path.insert(0, str(Path(__file__).parent))

os.environ["TQDM_DISABLE"] = "1"

import benchmark_data
import benchmark_rules
import open_clip
import score_data
import torch
import torch.nn.functional as F
from clip_benchmark.datasets.builder import build_dataset, image_captions_collate_fn
from clip_benchmark.datasets.sugar_crepe import SugarCrepe
from clip_benchmark.metrics import image_caption_selection, zeroshot_classification, zeroshot_retrieval
from export_support import run_script
from PIL import Image
from torch.utils.data import DataLoader, Dataset

import export_clip
from sdsclip_export.clip_models import ClipSource, Weights, load_clip

SEED = 9  # one whose scores are neither all right nor all wrong
TOLERANCE = 1e-6  # of a metric
CAPTIONS = 16  # different captions per data set; encoding them takes the time
SMALL_VIT = {
    "embed_dim": 64,
    "vision_cfg": {"image_size": 224, "patch_size": 32, "width": 96, "head_width": 32, "layers": 3},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 4, "layers": 3},
}


class Listed(Dataset):
    """A data set as CLIP_benchmark expects it, with items made on demand."""

    def __init__(self, items: list, load: Callable):
        self.items, self.load = items, load

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int):
        return self.load(self.items[index])


def draw_pictures(folder: Path, rng: random.Random) -> None:
    """Draws a picture for each placeholder of `benchmark_data`."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.read_bytes() == b"image":
            score_data.put_image(path, rng)


def shorten(path: Path, cases: int) -> None:
    content = json.loads(path.read_text())
    kept = content[:cases] if isinstance(content, list) else dict(list(content.items())[:cases])
    path.write_text(json.dumps(kept))


def write_webdataset(folder: Path, rng: random.Random) -> None:
    shards, images_a_shard = 2, 12
    (folder / "test").mkdir(parents=True)
    names = [f"{colour} {thing}" for colour in ("red", "blue") for thing in ("cat", "mug", "dog")]
    (folder / "classnames.txt").write_text("".join(f"{name}\n" for name in names))
    (folder / "zeroshot_classification_templates.txt").write_text("a photo of a {c}.\na drawing of the {c}\n{c}\n")
    (folder / "test" / "nshards.txt").write_text(str(shards))
    for shard in range(shards):
        with tarfile.open(folder / "test" / f"{shard}.tar", "w") as tar:
            for number in range(images_a_shard):
                picture = folder / "picture.png"
                score_data.put_image(picture, rng)
                label = rng.randrange(len(names))
                for suffix, content in [("cls", str(label).encode()), ("png", picture.read_bytes())]:
                    info = tarfile.TarInfo(f"s{shard * images_a_shard + number:07}.{suffix}")
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
    picture.unlink()


def numbers_of_one_element() -> mock._patch:
    """Works around CLIP_benchmark's `float` of one-element arrays, which NumPy no longer allows."""
    library = torch.Tensor.numpy
    return mock.patch.object(torch.Tensor, "numpy", lambda self: library(self.squeeze() if self.numel() == 1 else self))


@dataclass
class Reference:
    """The same model as a bundle and as open_clip's own."""

    bundle: Path
    model: ClipSource
    preprocess: Callable[[Image.Image], torch.Tensor]
    tokenizer: Callable[[list[str]], torch.Tensor]


@cache
def reference() -> Reference:
    scratch = tempfile.TemporaryDirectory()
    unittest.addModuleCleanup(scratch.cleanup)
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    bundle, config = Path(scratch.name, "bundle"), Path(scratch.name, "small-vit.json")
    config.write_text(json.dumps(SMALL_VIT), encoding="utf-8")
    code, _, stderr = run_script(export_clip, config, "--random", SEED, "--out", bundle)
    assert code == 0, stderr
    model = load_clip(str(config), Weights(random=SEED), None, None)
    return Reference(bundle, model, open_clip.image_transform(224, is_train=False), open_clip.get_tokenizer("ViT-B-32"))


class WithModel(unittest.TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder, self.out = Path(scratch.name, "data"), Path(scratch.name, "run")
        self.model, self.tokenizer = reference().model, reference().tokenizer
        self.preprocess = reference().preprocess

    def draw_captions(self, draw: Callable[[random.Random], str]) -> None:
        patch = mock.patch.object(benchmark_data, "caption", draw)
        patch.start()
        self.addCleanup(patch.stop)

    def ours(self, benchmark: str) -> dict:
        """Returns the metrics of `result.json`."""
        command = [PROGRAM, "eval", benchmark, "--clip", reference().bundle, "--data", self.folder, "--out", self.out]
        options = ["--threads", "1", "--batch", "16", "--quiet"]
        done = subprocess.run([*map(str, command), *options], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads((self.out / "result.json").read_text())["metrics"]


class ClipBenchmark(WithModel):
    def setUp(self) -> None:
        super().setUp()
        # Consecutive captions differ, so nothing ties.
        texts = cycle([f"{score_data.caption(random.Random(n))} {n}" for n in range(CAPTIONS)])
        self.draw_captions(lambda rng: next(texts))

    def image(self, name: str | Path) -> torch.Tensor:
        return self.preprocess(Image.open(self.folder / name))

    def check(self, ours: dict, expected: dict[str, float]) -> None:
        for name, value in expected.items():
            with self.subTest(name):
                self.assertAlmostEqual(ours[name]["value"], value, delta=TOLERANCE)
                self.assertEqual(ours[name]["ties"], 0)
        print("CLIP_benchmark:", ", ".join(f"{name} {value:.3f}" for name, value in expected.items()))

    def caption_selection(self, data: Dataset) -> dict[str, float]:
        loader = DataLoader(data, batch_size=8, collate_fn=image_captions_collate_fn)
        return image_caption_selection.evaluate(self.model, loader, self.tokenizer, "cpu", amp=False)

    def test_winoground(self):
        benchmark_data.winoground(self.folder, random.Random(1), cases=14)
        draw_pictures(self.folder, random.Random(2))
        examples = [json.loads(line) for line in (self.folder / "examples.jsonl").read_text().splitlines()]

        def load(example: dict):
            images = [self.image(f"images/{example[f'image_{k}']}.png") for k in range(2)]
            return torch.stack(images), [example["caption_0"], example["caption_1"]]

        theirs = self.caption_selection(Listed(examples, load))
        names = {"text": "text_acc", "image": "image_acc", "group": "acc"}
        self.check(self.ours("winoground"), {f"winoground/{ours}": theirs[name] for ours, name in names.items()})

    def test_sugarcrepe(self):
        benchmark_data.sugarcrepe(self.folder, random.Random(3))
        draw_pictures(self.folder, random.Random(4))
        expected = {}
        for split in benchmark_data.SUGARCREPE_SPLITS:
            shorten(self.folder / f"{split}.json", 5)
            data = SugarCrepe(str(self.folder / "val2017"), str(self.folder / f"{split}.json"), self.preprocess)
            expected[f"sugarcrepe/{split}/accuracy"] = self.caption_selection(data)["text_acc"]
        expected["sugarcrepe/accuracy"] = sum(expected.values()) / len(expected)
        self.check(self.ours("sugarcrepe"), expected)

    def test_zeroshot(self):
        write_webdataset(self.folder, random.Random(5))
        data = build_dataset("wds/generated", root=str(self.folder), transform=self.preprocess)
        loader = DataLoader(data.batched(8), batch_size=None)
        with numbers_of_one_element():
            theirs = zeroshot_classification.evaluate(
                self.model, loader, self.tokenizer, data.classes, data.templates, "cpu", amp=False
            )
        self.check(self.ours("zeroshot"), {f"zeroshot/{name}": value for name, value in theirs.items()})

    def test_retrieval(self):
        benchmark_data.retrieval(self.folder, random.Random(6), images=14)
        draw_pictures(self.folder, random.Random(7))
        file = json.loads((self.folder / "annotations" / "captions_val2017.json").read_text())

        def load(entry: dict):
            texts = [note["caption"] for note in file["annotations"] if note["image_id"] == entry["id"]]
            return self.image(f"val2017/{entry['file_name']}"), texts

        loader = DataLoader(Listed(file["images"], load), batch_size=8, collate_fn=image_captions_collate_fn)
        theirs = zeroshot_retrieval.evaluate(
            self.model, loader, self.tokenizer, "cpu", amp=False, recall_k_list=[1, 5, 10]
        )
        expected = {f"retrieval/{name.replace('_retrieval_', '/')}": value for name, value in theirs.items()}
        self.check(self.ours("retrieval"), expected)


class PublishedRules(WithModel):
    def setUp(self) -> None:
        super().setUp()
        # So few captions that some pairs have the same caption twice, which is a tie.
        texts = [score_data.caption(random.Random(n)) for n in range(CAPTIONS // 2)]
        self.draw_captions(lambda rng: rng.choice(texts))
        self.of_image, self.of_text = cache(self.embed_image), cache(self.embed_text)

    def embed_image(self, name: str) -> torch.Tensor:
        path, _, box = name.partition("#")
        image = Image.open(self.folder / path).convert("RGB")
        if box:
            x, y, width, height = map(int, box.split(","))
            image = image.crop((x, y, x + width, y + height))
        return F.normalize(self.model.encode_image(self.preprocess(image).unsqueeze(0)), dim=-1)[0].double()

    def embed_text(self, text: str) -> torch.Tensor:
        return F.normalize(self.model.encode_text(self.tokenizer([text])), dim=-1)[0].double()

    def check_rule(self, benchmark: str) -> None:
        rule = getattr(benchmark_rules, benchmark)
        expected = rule(self.folder, lambda image, text: float(self.of_image(image) @ self.of_text(text)))
        ours = self.ours(benchmark)
        self.assertEqual(set(ours), set(expected))
        for name, (value, n) in expected.items():
            with self.subTest(name):
                self.assertAlmostEqual(ours[name]["value"], value, delta=TOLERANCE)
                self.assertEqual(ours[name]["n"], n)
        ties = sum(metric["ties"] for metric in ours.values())
        if benchmark != "mmvp":  # whose questions tie between images alone
            self.assertGreater(ties, 0)
        print(f"{benchmark}: {len(ours)} metrics as by the published rule, {ties} ties")

    def test_aro(self):
        benchmark_data.aro(self.folder, random.Random(8), cases=220)
        for task in ("relation", "attribution"):
            path = self.folder / f"visual_genome_{task}.json"
            cases = json.loads(path.read_text())
            for case in cases:
                number = int(case["image_path"].split(".")[0])
                case |= {"image_path": f"{number % 4}.jpg", "bbox_x": number % 3, "bbox_w": 30, "bbox_y": 1}
            path.write_text(json.dumps(cases))
        for name in ("coco", "flickr"):
            shorten(self.folder / f"{name}_order.json", 6)
        draw_pictures(self.folder, random.Random(9))
        self.check_rule("aro")

    def test_clevr(self):
        benchmark_data.clevr(self.folder, random.Random(10), images=10)
        draw_pictures(self.folder, random.Random(11))
        self.check_rule("clevr")

    def test_mmvp(self):
        benchmark_data.mmvp(self.folder, random.Random(12), pairs_a_type=4)
        draw_pictures(self.folder, random.Random(13))
        self.check_rule("mmvp")


if __name__ == "__main__":
    unittest.main()
