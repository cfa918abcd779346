"""Shared by the tests of the scorers: writes small data sets with real images and reads `scores.sqlite`."""

import json
import random
import sqlite3
import subprocess
from pathlib import Path

import numpy as np
from benchmark_data import CLEVR_TASKS
from PIL import Image

WORDS = ["cat", "dog", "red", "blue", "mug", "small", "grass", "the", "on", "under", "two", "white"]


def caption(rng: random.Random) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(3, 9)))


def put_image(path: Path, rng: random.Random) -> None:
    """Returns smooth random colours of a random size, so that resizing matters and noise does not hide it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(rng.getrandbits(32))
    coarse = Image.fromarray(generator.integers(0, 256, (5, 7, 3), dtype=np.uint8))
    coarse.resize((rng.randint(36, 70), rng.randint(36, 70)), Image.Resampling.BICUBIC).save(path)


def winoground(folder: Path, rng: random.Random, cases: int, tie: bool = True) -> list[dict]:
    """Writes Winoground's layout; with `tie`, the last case has the same caption twice."""
    examples = []
    for number in range(cases):
        names = [f"ex_{number}_img_{k}.png" for k in range(2)]
        for name in names:
            put_image(folder / "images" / name, rng)
        texts = [caption(rng), caption(rng)]
        if tie and number == cases - 1:
            texts[1] = texts[0]
        examples.append({
            "id": number, "image_0": names[0], "image_1": names[1], "caption_0": texts[0], "caption_1": texts[1],
            "tag": "Noun", "secondary_tag": "", "num_main_preds": 1, "collapsed_tag": "Object",
        })  # fmt: skip
    (folder / "examples.jsonl").write_text("".join(json.dumps(example) + "\n" for example in examples))
    return examples


def clevr(folder: Path, rng: random.Random) -> list[tuple[str, list[str]]]:
    """Writes CLEVR as diffusion-itm releases it, one image per task: (image, [true, false]). The last pair is a tie."""
    pairs = []
    (folder / "captions").mkdir(parents=True)
    for task in CLEVR_TASKS:
        image = f"{task}.png"
        put_image(folder / "images" / image, rng)
        both = [[caption(rng), caption(rng)] for _ in range(2)]
        if task == CLEVR_TASKS[-1]:
            both[1][1] = both[1][0]
        (folder / "captions" / f"{task}.json").write_text(json.dumps({image: both}))
        pairs += [(f"images/{image}", texts) for texts in both]
    return pairs


def zeroshot(folder: Path, rng: random.Random) -> tuple[list[str], list[str], list[tuple[str, int]]]:
    """Writes an image folder; returns class names, templates, and (image id, label)."""
    classes, templates = ["red mug", "dog", "two cats"], ["a photo of a {c}.", "a drawing of the {c}.", "{c}"]
    images = []
    for label, name in enumerate(classes):
        for number in range(4):
            path = Path(name.replace(" ", "_"), f"{number}.png")
            put_image(folder / path, rng)
            images.append((str(path), label))
    (folder / "classnames.txt").write_text("\n".join(classes) + "\n")
    (folder / "templates.txt").write_text("\n".join(templates) + "\n")
    return classes, templates, images


def run_probe(probe: str, *arguments: str | Path | int) -> dict:
    result = subprocess.run([probe, *map(str, arguments)], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise AssertionError(result.stderr)
    return json.loads(result.stdout)


def read_view(store: Path, view: str) -> list[tuple]:
    with sqlite3.connect(store) as connection:
        return connection.execute(f"SELECT * FROM {view}").fetchall()


def pair_scores(store: Path) -> dict[tuple[str, str, str], float]:
    return {(case, image, text): score for case, image, text, score in read_view(store, "pair_score")}
