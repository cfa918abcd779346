"""The diffusion score of Winoground-shaped cases, beside diffusion-classifier's loop: wall-clock time without loading."""

import json
import random
import shutil
import time

import score_data
import torch
from measure import run_program
from networks import DTYPES, Workplace, teacher_source
from plain_scoring import CLASSIFIER_BATCH, CountingTeacher, diffusion_classifier
from plain_training import seconds_now

TURNS = 2  # of each side


def measure_scores(place: Workplace) -> list[dict]:
    size, precision = place.size, place.size.step_precision
    folder = place.out / "work" / "winoground"
    shutil.rmtree(folder, ignore_errors=True)
    examples = score_data.winoground(folder, random.Random(1), cases=size.cases, tie=False)
    cases = [[folder / "images" / example[f"image_{k}"] for k in range(2)] for example in examples]
    evaluations = 4 * size.cases * size.samples

    source = teacher_source(size.teacher, place.device)
    teacher = CountingTeacher(source, place.device, DTYPES[precision])
    config = source.unet.config
    noise = torch.randn(size.samples, config.in_channels, config.sample_size, config.sample_size, device=place.device)
    theirs = []
    with torch.no_grad():
        for _ in range(1 + TURNS):
            start = time.perf_counter()
            diffusion_classifier(teacher, cases, size.samples, noise)
            seconds_now(place.device)  # all work is done
            theirs.append(time.perf_counter() - start)
    place.free()

    ours = []
    for turn in range(TURNS):
        out = place.out / "work" / f"score-{turn}"
        shutil.rmtree(out, ignore_errors=True)
        run_program([
            place.build / "sdsclip", "diffusion-score", "winoground", "--teacher", place.teacher_bundle,
            "--data", folder, "--samples", size.samples, "--precision", precision, "--device", place.device,
            "--micro-batch", CLASSIFIER_BATCH, "--threads", 1 if place.device == "cpu" else 0, "--out", out, "--quiet",
        ])  # fmt: skip
        result = json.loads((out / "result.json").read_text(encoding="utf-8"))
        if result["work"]["unet_evaluations"] != evaluations:
            raise RuntimeError(f"{result['work']['unet_evaluations']} UNet evaluations, expected {evaluations}")
        ours.append(result["seconds_a_match"] * result["matches"])
    row = {"table": "scores", "precision": precision, "batch": CLASSIFIER_BATCH, "evaluations": evaluations}
    return [
        {**row, "name": "diffusion-classifier's loop", "seconds": theirs[1:]},
        {**row, "name": "sdsclip diffusion-score", "seconds": ours},
    ]
