#!/usr/bin/env python3
"""Draws the shapes world, trains both of its models from scratch, and exports them as bundles.

  train_models.py                      both models into models/shapes-clip and models/shapes-teacher
  train_models.py --only student       one of them

It takes about an hour and a half on one core. The same options and machine give the same weights. The script prints
scores on validation during training. --test also prints the scores on the test split at the end; use it only when the
settings are fixed.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import torch
from merges import learn_merges, open_clip_tokenizer, transformers_tokenizer
from sdsclip_export.errors import run_main
from student import CONFIG as STUDENT_CONFIG
from student import Student, StudentData, StudentOptions, train_student
from teacher import Teacher, TeacherOptions, teacher_scores, train_teacher
from world import CaptionedImages, draw_world, read_captioned, read_classes, read_swaps

WORLD_SEED = 1  # the quickstart fine-tunes on seed 0
TRAIN_IMAGES = 40_000
CONTEXT_LENGTH = 28  # tokens; the world's longest caption has 24


def main() -> None:
    arguments = parse_arguments()
    # One thread: sums are always in the same order, and both models can train in parallel.
    torch.set_num_threads(1)
    world = arguments.work / "world"
    arguments.work.mkdir(parents=True, exist_ok=True)
    draw_world(arguments.sdsclip, world, WORLD_SEED, TRAIN_IMAGES)
    train = read_captioned(world / "coco", "train")
    merges = learn_merges(caption for captions in train.captions for caption in captions)
    merges_file = arguments.work / "merges.txt"
    merges_file.write_text("".join(merge + "\n" for merge in merges), encoding="utf-8")

    if arguments.only in (None, "student"):
        started = time.process_time()
        tokenizer = open_clip_tokenizer(merges, CONTEXT_LENGTH, arguments.work)
        # Canonical bindings only: the student never sees a swapped binding.
        student = train_student(StudentOptions(), student_data(world, "val", train.only({"canonical", "none"})), tokenizer)
        print(f"student: {time.process_time() - started:.0f} CPU seconds", flush=True)
        if arguments.test:
            print_scores("student, test", student.scores(student_data(world, "test", train)))
        export_student(student, merges_file, arguments)

    if arguments.only in (None, "teacher"):
        started = time.process_time()
        options = TeacherOptions()
        swaps = read_swaps(world / "val" / "winoground")
        teacher = train_teacher(options, train, swaps, transformers_tokenizer(merges, CONTEXT_LENGTH))
        print(f"teacher: {time.process_time() - started:.0f} CPU seconds", flush=True)
        if arguments.test:
            print_scores("teacher, test", teacher_scores(options, teacher, read_swaps(world / "winoground")))
        export_teacher(teacher, arguments)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "shapes-training", help="world and weights folder")
    parser.add_argument("--out", type=Path, default=ROOT / "models", help="folder of the two bundles")
    parser.add_argument("--sdsclip", type=Path, default=ROOT / "build" / "sdsclip", help="the sdsclip binary")
    parser.add_argument("--only", choices=["student", "teacher"], help="train only this model")
    parser.add_argument("--test", action="store_true", help="also score on the test split")
    return parser.parse_args()


def student_data(world: Path, split: str, train: CaptionedImages) -> StudentData:
    """Returns the student's data, with scores on the split "val" or "test"."""
    root = world / "val" if split == "val" else world
    retrieval = world / ("coco" if split == "val" else "retrieval")
    return StudentData(
        train=train,
        swaps=read_swaps(root / "winoground"),
        classes=read_classes(root / "zeroshot"),
        retrieval=read_captioned(retrieval, "val"),
    )


def export_student(student: Student, merges_file: Path, arguments: argparse.Namespace) -> None:
    checkpoint = arguments.work / "shapes-clip.pt"
    torch.save(student.model.state_dict(), checkpoint)
    run_exporter(
        "export_clip.py", STUDENT_CONFIG, "--checkpoint", checkpoint, "--merges", merges_file,
        "--out", arguments.out / "shapes-clip",
    )  # fmt: skip


def export_teacher(teacher: Teacher, arguments: argparse.Namespace) -> None:
    folder = arguments.work / "shapes-teacher"
    teacher.save(folder)
    run_exporter("export_teacher.py", "--diffusers", folder, "--out", arguments.out / "shapes-teacher")


def run_exporter(script: str, *arguments: str | Path) -> None:
    subprocess.run([sys.executable, ROOT / "scripts" / script, *arguments, "--force"], check=True)


def print_scores(what: str, scores: dict) -> None:
    print(f"{what}: {json.dumps(scores)}", flush=True)


if __name__ == "__main__":
    run_main(main)
