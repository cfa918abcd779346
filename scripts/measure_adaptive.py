#!/usr/bin/env python3
"""Measures how many UNet evaluations the adaptive diffusion score needs for the answers of a long uniform run.

  measure_adaptive.py --out runs/adaptive        about 40 minutes on one core

The script uses two sets of cases of the shapes world: the Winoground cases of `sdsclip synth`, and a harder set of
colour swaps only, where one sample per pair often disagrees with 250. An answer is whether a case is right in the text
and in the image score. The answers of a uniform run of 250 samples are compared with:

- the answers of its own first samples;
- the answers of adaptive runs of equal cost on the same stored errors (`--judge-only --adaptive`).

All cases of a run share the samples' timesteps, and two or three of them may suit a whole set by chance. The harder set
is therefore drawn in parts, each with its own noise and timesteps.
"""

import argparse
import json
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from sdsclip_export.errors import run_main

SAMPLES = 250
BUDGETS = [3, 4, 6, 8, 12, 16, 25, 50, 100]  # evaluations per pair, on average
EASY_SEEDS = [0]  # of the world, and of the noise
HARD_SEEDS = [21, 22, 23, 24, 25, 26]  # the models have seen none of these worlds
HARD_TAG = "Relation"  # colours swapped between two things that stay where they are


@dataclass
class Answers:
    """The answers of a run for each case, and its cost."""

    marks: np.ndarray  # bool [cases, 2]: right in text score, in image score
    evaluations_a_pair: float


@dataclass
class Part:
    """A set of cases, scored with one seed, and its uniform run."""

    data: Path
    run: Path
    seed: int


def main() -> None:
    arguments = parse_arguments()
    compare("winoground", arguments, [easy_part(arguments, seed) for seed in EASY_SEEDS])
    compare("colour swaps", arguments, [hard_part(arguments, seed) for seed in HARD_SEEDS])


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "adaptive", help="folder of cases and runs, reused")
    parser.add_argument("--sdsclip", type=Path, default=ROOT / "build" / "sdsclip", help="the sdsclip binary")
    parser.add_argument("--teacher", default="shapes-teacher", help="bundle of the teacher")
    parser.add_argument("--limit", type=int, default=0, help="first cases of each part; 0: all")
    return parser.parse_args()


def draw_world(arguments: argparse.Namespace, seed: int) -> Path:
    world = arguments.out / f"world-{seed}"
    if not world.exists():
        run(arguments, "synth", "--out", world, "--seed", seed, "--train", 1)
    return world


def easy_part(arguments: argparse.Namespace, seed: int) -> Part:
    run_folder = arguments.out / "winoground" / str(seed) / "uniform"
    return Part(draw_world(arguments, seed) / "winoground", run_folder, seed)


def hard_part(arguments: argparse.Namespace, seed: int) -> Part:
    """Writes the colour swaps of a world as a Winoground folder."""
    source = draw_world(arguments, seed) / "winoground"
    folder = arguments.out / "colour-swaps" / str(seed)
    images = folder / "data" / "images"
    images.mkdir(parents=True, exist_ok=True)
    cases = []
    for case in read_cases(source):
        if case["collapsed_tag"] != HARD_TAG:
            continue
        for key in ("image_0", "image_1"):
            shutil.copy(source / "images" / f"{case[key]}.png", images)
        cases.append({**case, "id": len(cases)})
    text = "".join(json.dumps(case) + "\n" for case in cases)
    (folder / "data" / "examples.jsonl").write_text(text, encoding="utf-8")
    return Part(folder / "data", folder / "uniform", seed)


def read_cases(data: Path) -> list[dict]:
    return [json.loads(line) for line in (data / "examples.jsonl").read_text(encoding="utf-8").splitlines()]


def compare(name: str, arguments: argparse.Namespace, parts: list[Part]) -> None:
    for part in parts:
        if not (part.run / "result.json").exists():
            score(arguments, part, "--resume", "--samples", SAMPLES, "--seed", part.seed)
    long_runs = [uniform_answers(part, SAMPLES) for part in parts]
    firsts = [uniform_answers(part, 1) for part in parts]
    disagreement = 1 - np.concatenate([agreement(a, b) for a, b in zip(firsts, long_runs)]).mean()
    cases = sum(len(answers.marks) for answers in long_runs)
    print(f"\n{name}: {cases} cases in {len(parts)} parts; one sample disagrees with {SAMPLES} on {disagreement:.1%}")
    columns = f"{'uniform':>9} {'adaptive':>9}   {'difference [95%]':<24} parts where it is better"
    print(f"{'evaluations per pair':>20} {columns}")
    for budget in BUDGETS:
        raced = [race(arguments, part, "--min-samples", 2, "--budget", budget) for part in parts]
        print_row(f"of {budget:>4}", raced, [uniform_answers(part, budget) for part in parts], long_runs)
    print_row("no limit", [race(arguments, part) for part in parts], None, long_runs)


def print_row(label: str, raced: list[Answers], plain: list[Answers] | None, long_runs: list[Answers]) -> None:
    adaptive = [agreement(a, b) for a, b in zip(raced, long_runs)]
    spent = np.average([part.evaluations_a_pair for part in raced], weights=[len(part) for part in adaptive])
    row = f"{spent:>11.1f} {label}"
    if plain is None:
        print(f"{row:>20} {'':>9} {np.concatenate(adaptive).mean():>9.1%}")
        return
    uniform = [agreement(a, b) for a, b in zip(plain, long_runs)]
    gain = np.concatenate(adaptive).astype(float) - np.concatenate(uniform)
    width = 1.96 * gain.std(ddof=1) / np.sqrt(len(gain))
    interval = f"{gain.mean():+.1%} [{gain.mean() - width:+.1%}, {gain.mean() + width:+.1%}]"
    better = sum(a.mean() > b.mean() for a, b in zip(adaptive, uniform))
    shares = f"{np.concatenate(uniform).mean():>9.1%} {np.concatenate(adaptive).mean():>9.1%}"
    print(f"{row:>20} {shares}   {interval:<24} {better} of {len(adaptive)}")


def score(arguments: argparse.Namespace, part: Part, *more: object) -> None:
    run(arguments, "diffusion-score", "winoground", "--teacher", arguments.teacher, "--data", part.data,
        "--out", part.run, "--limit", arguments.limit, *more)  # fmt: skip


def race(arguments: argparse.Namespace, part: Part, *options: object) -> Answers:
    score(arguments, part, "--judge-only", "--adaptive", *options)
    return judged_answers(part.run)


def run(arguments: argparse.Namespace, *words: object) -> None:
    command = [str(word) for word in (arguments.sdsclip, *words, "--threads", 1, "--quiet")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def agreement(a: Answers, b: Answers) -> np.ndarray:
    """Returns, for each case, whether the text and the image mark are the same."""
    return (a.marks == b.marks).all(axis=1)


def uniform_answers(part: Part, samples: int) -> Answers:
    """Applies Winoground's rule to the mean of each pair's first `samples` stored errors."""
    with sqlite3.connect(part.run / "scores.sqlite") as store:
        rows = store.execute(
            "SELECT image, caption, avg(error) FROM sample_error WHERE sample < ? GROUP BY image, caption", (samples,)
        )
        error = {(Path(image).stem, caption): mean for image, caption, mean in rows}
    marks = []
    for case in read_cases(part.data):
        images, captions = ([case[f"{kind}_{k}"] for k in (0, 1)] for kind in ("image", "caption"))
        if (images[0], captions[0]) not in error:
            continue  # left out by --limit
        d = np.array([[error[image, caption] for caption in captions] for image in images])
        marks.append((d[0, 0] < d[0, 1] and d[1, 1] < d[1, 0], d[0, 0] < d[1, 0] and d[1, 1] < d[0, 1]))
    return Answers(np.array(marks), samples)


def judged_answers(out: Path) -> Answers:
    """Reads the marks that the run gave when it was last judged."""
    with sqlite3.connect(out / "scores.sqlite") as store:
        query = "SELECT case_id, metric, mark FROM case_mark ORDER BY CAST(case_id AS INTEGER)"
        rows = store.execute(query).fetchall()
    text, image = (
        {case: mark > 0 for case, metric, mark in rows if metric == f"winoground/{kind}"} for kind in ("text", "image")
    )
    settings = json.loads((out / "result.json").read_text(encoding="utf-8"))["settings"]
    pairs = settings["full_evaluations"] / SAMPLES
    return Answers(np.array([(text[case], image[case]) for case in text]), settings["sample_evaluations"] / pairs)


if __name__ == "__main__":
    run_main(main)
