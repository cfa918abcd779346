#!/usr/bin/env python3
"""Prints the table of docs/experiments/loss-comparison.md from the runs of `scripts/shapes/arms.sh`.

  arms_table.py runs/arms

A cell holds the mean of a run's seeds and their range. For the shipped model, which has no seeds, it holds the score
with its 95% interval. Missing runs are left out.
"""

import argparse
import json
import statistics
from pathlib import Path

ARMS = (  # folder, losses, what trains
    ("contrastive-layernorm", "`L_CLIP`", "LayerNorm"),
    ("sds-layernorm", "`L_CLIP + lambda L_SDS`", "LayerNorm"),
    ("feature-layernorm", "`L_CLIP` + features (eq. 6)", "LayerNorm"),
    ("negatives-layernorm", "`L_CLIP` with hard negatives", "LayerNorm"),
    ("rank-layernorm", "`L_CLIP + L_rank`", "LayerNorm"),
    ("rank-lora", "`L_CLIP + L_rank`", "LoRA"),
    ("contrastive-all", "`L_CLIP`", "all"),
    ("sds-all", "`L_CLIP + lambda L_SDS`", "all"),
    ("negatives-all", "`L_CLIP` with hard negatives", "all"),
    ("rank-all", "`L_CLIP + L_rank`", "all"),
    ("rank-negatives-all", "`L_CLIP + L_rank` with hard negatives", "all"),
)
COLUMNS = (  # heading, metric
    ("text", "winoground/text"),
    ("image", "winoground/image"),
    ("group", "winoground/group"),
    ("group, colours swapped", "winoground/tag/Relation/group"),
    ("group, objects swapped", "winoground/tag/Object/group"),
    ("zero-shot", "zeroshot/acc1"),
    ("retrieval, text recall@1", "retrieval/text/recall@1"),
)
BENCHMARKS = ("winoground", "zeroshot", "retrieval")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder that `scripts/shapes/arms.sh` wrote")
    out = parser.parse_args().out
    print_row(["loss", "what trains", "seeds", *(heading for heading, _ in COLUMNS)])
    print_row(["---"] * (3 + len(COLUMNS)))
    shipped = read_metrics(out / "pretrained")
    if shipped:
        print_row(["shipped CLIP model", "", "", *(with_interval(shipped[metric]) for _, metric in COLUMNS)])
    for name, losses, tuned in ARMS:
        seeds = [found for folder in seed_folders(out / name) if (found := read_metrics(folder))]
        if seeds:
            cells = [with_range([seed[metric]["value"] for seed in seeds]) for _, metric in COLUMNS]
            print_row([losses, tuned, str(len(seeds)), *cells])


def seed_folders(arm: Path) -> list[Path]:
    return [arm, *sorted(arm.glob("seed-*"))]


def read_metrics(folder: Path) -> dict[str, dict]:
    """Returns all metrics of a run, or none if one of its benchmarks is missing."""
    files = [folder / benchmark / "result.json" for benchmark in BENCHMARKS]
    if not all(file.is_file() for file in files):
        return {}
    metrics: dict[str, dict] = {}
    for file in files:
        metrics |= json.loads(file.read_text(encoding="utf-8"))["metrics"]
    return metrics


def with_interval(metric: dict) -> str:
    low, high = metric["ci95"]
    return f"{metric['value']:.3f} [{low:.3f}, {high:.3f}]"


def with_range(values: list[float]) -> str:
    return f"{statistics.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def print_row(cells: list[str]) -> None:
    print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
