#!/usr/bin/env python3
"""How many UNet evaluations the adaptive diffusion score needs for the answers of a long uniform run.

  measure_adaptive.py --out runs/adaptive        about half an hour on one core

Two sets of cases of the shapes world: Winoground's as `sdsclip synth` draws them, and a harder one of colour swaps alone,
where one sample a pair often disagrees with 250. On each, the answers (who is right in text and image score, case by case)
of a uniform run of 250 samples are compared with those of its own first samples, and with adaptive runs of the same cost.
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
BUDGETS = [3, 4, 6, 8, 12, 16, 25]  # evaluations a pair, on average
HARD_TAG = "Relation"  # colours swapped between two things that stay where they are
HARD_SEEDS = [11, 12, 13]  # worlds that the harder cases come from; the models have seen none of them


@dataclass
class Answers:
    """What a run says of each case, and what it cost."""

    marks: np.ndarray  # bool [cases, 2]: right in text score, in image score
    evaluations_a_pair: float


def main() -> None:
    arguments = parse_arguments()
    for name, data in (("winoground", draw_easy(arguments)), ("colour swaps", draw_hard(arguments))):
        print_comparison(name, arguments, data, arguments.out / name.replace(" ", "-"))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "adaptive", help="cases and runs; kept and reused")
    parser.add_argument("--sdsclip", type=Path, default=ROOT / "build" / "sdsclip", help="the sdsclip binary")
    parser.add_argument("--teacher", default="shapes-teacher", help="bundle")
    parser.add_argument("--limit", type=int, default=0, help="first cases of each set; 0: all")
    return parser.parse_args()


def draw_world(arguments: argparse.Namespace, seed: int) -> Path:
    world = arguments.out / f"world-{seed}"
    if not world.exists():
        run(arguments, "synth", "--out", world, "--seed", seed, "--train", 1)
    return world


def draw_easy(arguments: argparse.Namespace) -> Path:
    return draw_world(arguments, 0) / "winoground"


def draw_hard(arguments: argparse.Namespace) -> Path:
    """The colour swaps of several worlds as one Winoground folder."""
    folder = arguments.out / "colour-swaps-data"
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    cases = []
    for seed in HARD_SEEDS:
        source = draw_world(arguments, seed) / "winoground"
        for line in (source / "examples.jsonl").read_text(encoding="utf-8").splitlines():
            case = json.loads(line)
            if case["collapsed_tag"] != HARD_TAG:
                continue
            for key in ("image_0", "image_1"):
                name = f"{seed}_{case[key]}"
                shutil.copy(source / "images" / f"{case[key]}.png", images / f"{name}.png")
                case[key] = name
            cases.append({**case, "id": len(cases)})
    text = "".join(json.dumps(case) + "\n" for case in cases)
    (folder / "examples.jsonl").write_text(text, encoding="utf-8")
    return folder


def print_comparison(name: str, arguments: argparse.Namespace, data: Path, out: Path) -> None:
    score(arguments, data, out / "uniform", "--samples", SAMPLES)
    long_run = uniform_answers(out / "uniform", data, SAMPLES)
    disagreement = 1 - agreement(uniform_answers(out / "uniform", data, 1), long_run)
    print(f"\n{name}: {len(long_run.marks)} cases; one sample disagrees with {SAMPLES} on {disagreement:.1%}")
    print(f"{'evaluations a pair':>20} {'uniform':>9} {'adaptive':>9}    cases with the answers of {SAMPLES} samples")
    for budget in BUDGETS:
        adaptive = out / f"adaptive-{budget}"
        score(arguments, data, adaptive, "--samples", SAMPLES, "--adaptive", "--min-samples", 2, "--budget", budget)
        raced = stored_answers(adaptive)
        uniform = agreement(uniform_answers(out / "uniform", data, budget), long_run)
        print(f"{raced.evaluations_a_pair:>9.1f} of {budget:>6} {uniform:>9.1%} {agreement(raced, long_run):>9.1%}")
    score(arguments, data, out / "adaptive", "--samples", SAMPLES, "--adaptive")
    raced = stored_answers(out / "adaptive")
    share = raced.evaluations_a_pair / SAMPLES
    print(f"{raced.evaluations_a_pair:>9.1f} no limit {'':>7} {agreement(raced, long_run):>9.1%}    {share:.1%} of the cost")


def score(arguments: argparse.Namespace, data: Path, out: Path, *more: object) -> None:
    if not (out / "result.json").exists():
        limit = ("--limit", arguments.limit)
        run(arguments, "diffusion-score", "winoground", "--teacher", arguments.teacher, "--data", data, "--out", out,
            "--resume", *limit, *more)  # fmt: skip


def run(arguments: argparse.Namespace, *words: object) -> None:
    command = [str(word) for word in (arguments.sdsclip, *words, "--threads", 1, "--quiet")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def agreement(a: Answers, b: Answers) -> float:
    """Share of cases with the same text and the same image mark."""
    return float((a.marks == b.marks).all(axis=1).mean())


def uniform_answers(out: Path, data: Path, samples: int) -> Answers:
    """Winoground's rule over the mean of each pair's first `samples` stored errors."""
    with sqlite3.connect(out / "scores.sqlite") as store:
        rows = store.execute(
            "SELECT image, caption, avg(error) FROM sample_error WHERE sample < ? GROUP BY image, caption", (samples,)
        )
        error = {(Path(image).stem, caption): mean for image, caption, mean in rows}
    marks = []
    for line in (data / "examples.jsonl").read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        images, captions = ([case[f"{kind}_{k}"] for k in (0, 1)] for kind in ("image", "caption"))
        if (images[0], captions[0]) not in error:
            continue  # left out by --limit
        d = np.array([[error[image, caption] for caption in captions] for image in images])
        marks.append((d[0, 0] < d[0, 1] and d[1, 1] < d[1, 0], d[0, 0] < d[1, 0] and d[1, 1] < d[0, 1]))
    return Answers(np.array(marks), samples)


def stored_answers(out: Path) -> Answers:
    """The marks that the run itself gave."""
    with sqlite3.connect(out / "scores.sqlite") as store:
        query = "SELECT case_id, metric, mark FROM case_mark ORDER BY CAST(case_id AS INTEGER)"
        rows = store.execute(query).fetchall()
        pairs = store.execute("SELECT count(*) FROM (SELECT DISTINCT image, caption FROM sample_error)").fetchone()[0]
    text, image = (
        {case: mark > 0 for case, metric, mark in rows if metric == f"winoground/{kind}"} for kind in ("text", "image")
    )
    settings = json.loads((out / "result.json").read_text(encoding="utf-8"))["settings"]
    return Answers(np.array([(text[case], image[case]) for case in text]), settings["sample_evaluations"] / pairs)


if __name__ == "__main__":
    run_main(main)
