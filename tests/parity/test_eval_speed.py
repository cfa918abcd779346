"""`sdsclip eval` on data of VG-Relation's shape: pairs and images a second beside plain PyTorch, and peak memory.

The plain way is what an evaluation script does: open_clip, Pillow, batches of 64 cases, each case's image opened and
cropped and both captions encoded as they come. One thread and float32 on both sides. Both count processor time, ours
without that of starting and loading, so that other work on the machine weighs on neither.
"""

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

PROGRAM = sys.argv.pop(1)
CASES = int(sys.argv.pop(1))
sys.path.insert(0, str(Path(__file__).parent))

import open_clip
import torch
import torch.nn.functional as F
from export_support import run_script
from image_corpus import picture, saved
from PIL import Image

import export_clip
from sdsclip_export.clip_models import Weights, load_clip

ROOT = Path(__file__).parents[2]
WIDTH, HEIGHT, PICTURES, BATCH = 640, 480, 50, 64
NOUNS = [f"{colour} {thing}" for colour in ("red", "old", "tall", "small", "wooden", "striped")
         for thing in ("man", "dog", "table", "bus", "tree", "cup", "horse", "shirt", "window", "bag")]  # fmt: skip
RELATIONS = ["on", "under", "holding", "wearing", "behind", "in front of", "to the left of", "looking at"]


def write_cases(folder: Path, cases: int, width: int, height: int) -> list[dict]:
    """VG-Relation's layout: photograph-like JPEGs, a crop of its own for each case."""
    rng = random.Random(1)
    (folder / "images").mkdir(parents=True)
    for number in range(PICTURES):
        (folder / "images" / f"{number}.jpg").write_bytes(
            saved(Image.fromarray(picture(width, height, 3, number)), "JPEG", quality=90)
        )
    boxes, questions = set(), []
    while len(questions) < cases:
        box = (rng.randrange(PICTURES), rng.randrange(width // 2), rng.randrange(height // 2),
               rng.randint(width // 8, width // 2), rng.randint(height // 8, height // 2))  # fmt: skip
        if box in boxes:
            continue
        boxes.add(box)
        first, second, relation = *rng.sample(NOUNS, 2), rng.choice(RELATIONS)
        questions.append({
            "image_path": f"{box[0]}.jpg", "bbox_x": box[1], "bbox_y": box[2], "bbox_w": box[3], "bbox_h": box[4],
            "true_caption": f"the {first} is {relation} the {second}",
            "false_caption": f"the {second} is {relation} the {first}", "relation_name": relation,
        })  # fmt: skip
    (folder / "visual_genome_relation.json").write_text(json.dumps(questions))
    return questions


def evaluate(bundle: Path, data: Path, out: Path, *more: str) -> resource.struct_rusage:
    """Runs `sdsclip eval aro` on one thread; gives what the process used."""
    command = [PROGRAM, "eval", "aro", "--clip", bundle, "--data", data, "--out", out, *more]
    command += ["--threads", "1", "--quiet"]
    with open(os.devnull, "w") as nowhere:
        process = subprocess.Popen([str(word) for word in command], stdout=nowhere)
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise AssertionError(f"sdsclip ended with exit code {process.returncode}")
    return used


def processor_seconds(used: resource.struct_rusage) -> float:
    return used.ru_utime + used.ru_stime


class EvaluationSpeed(unittest.TestCase):
    def test_at_least_1_5_times_as_fast_as_plain_pytorch(self):
        torch.set_num_threads(1)
        torch.set_grad_enabled(False)
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            code, _, stderr = run_script(export_clip, "ViT-B-32", "--random", 5, "--out", folder / "bundle")
            self.assertEqual(code, 0, stderr)
            self.model = load_clip("ViT-B-32", Weights(random=5), None, None)
            self.preprocess = open_clip.image_transform(224, is_train=False)
            self.tokenizer = open_clip.get_tokenizer("ViT-B-32")
            data = folder / "aro"
            questions = write_cases(data, CASES, WIDTH, HEIGHT)
            # Ours between two halves of the plain way, so that both see the same machine.
            plain = [self.plain(data, questions[: CASES // 2])]
            loading = processor_seconds(evaluate(folder / "bundle", data, folder / "one", "--limit", "1"))
            ours = processor_seconds(evaluate(folder / "bundle", data, folder / "run")) - loading
            plain.append(self.plain(data, questions[CASES // 2 :]))
            result = json.loads((folder / "run" / "result.json").read_text())
        theirs = sum(seconds for seconds, _ in plain)
        right = sum(right for _, right in plain) / CASES
        self.assertEqual(result["matches"], 2 * CASES)
        # The same work was done: rounding may decide a case or two in which the scores all but tie.
        self.assertAlmostEqual(result["metrics"]["aro/vg_relation/micro"]["value"], right, delta=2.5 / CASES)
        print(f"{CASES} cases of {WIDTH} x {HEIGHT} JPEG, ViT-B-32, float32, one thread, a processor second:")
        for name, seconds in [("sdsclip", ours), ("open_clip", theirs)]:
            print(f"  {name:9} {2 * CASES / seconds:6.1f} pairs, {CASES / seconds:6.1f} images")
        print(f"  ratio {theirs / ours:.2f} (loading left out: {loading:.1f} s); {result['work']}")
        self.assertGreater(theirs / ours, 1.5)

    def plain(self, data: Path, questions: list[dict]) -> tuple[float, int]:
        """Processor seconds, and how many cases are right."""
        start, right = time.process_time(), 0
        for first in range(0, len(questions), BATCH):
            batch = questions[first : first + BATCH]
            crops = [Image.open(data / "images" / case["image_path"]).convert("RGB").crop((
                case["bbox_x"], case["bbox_y"], case["bbox_x"] + case["bbox_w"], case["bbox_y"] + case["bbox_h"],
            )) for case in batch]  # fmt: skip
            pixels = torch.stack([self.preprocess(crop) for crop in crops])
            images = F.normalize(self.model.encode_image(pixels), dim=-1)
            false, true = (
                F.normalize(self.model.encode_text(self.tokenizer([case[key] for case in batch])), dim=-1)
                for key in ("false_caption", "true_caption")
            )
            right += int(((images * true).sum(-1) > (images * false).sum(-1)).sum())
        return time.process_time() - start, right


class EvaluationMemory(unittest.TestCase):
    def test_ten_times_the_cases_take_hardly_more_memory(self):
        peaks = {}
        for cases in (2_000, 20_000):
            with tempfile.TemporaryDirectory() as scratch:
                data = Path(scratch, "aro")
                write_cases(data, cases, 160, 120)
                used = evaluate(ROOT / "models" / "shapes-clip", data, Path(scratch, "run"))
                peaks[cases] = used.ru_maxrss / 1024
        print("peak memory, shapes-clip:", ", ".join(f"{n} cases {peak:.0f} MiB" for n, peak in peaks.items()))
        self.assertLess(peaks[20_000], 1.15 * peaks[2_000])


if __name__ == "__main__":
    unittest.main()
