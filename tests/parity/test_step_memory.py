"""Peak memory of `sdsclip train` at a small and a large batch with the same micro-batches.

    test_step_memory.py PROGRAM [STUDENT MICRO_BATCH LARGE_BATCH]

The student is ViT-B/32 at its real size with 224x224 images (or another model of open_clip), the latent Stable
Diffusion's (so h_w has its 8.4 million parameters), the UNet small. The memory is that of the whole program with loader,
pixels and losses, minus what is resident at the first step: LibTorch and the weights. Takes 15 minutes on one core.
"""

import json
import subprocess
import sys
import tempfile
import unittest
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

PROGRAM = sys.argv.pop(1)
sys.path.insert(0, str(Path(__file__).parent))

import model_support
from export_support import run_script

import export_clip
import export_teacher
from sdsclip_export.teacher_models import BUILT_IN_CONFIGS

STUDENT, *COUNTS = sys.argv[1:4] if len(sys.argv) > 3 else ("ViT-B-32-quickgelu", "8", "1024")
MICRO_BATCH, LARGE_BATCH = map(int, COUNTS)
SMALL_BATCH = 32
del sys.argv[1:]
PICTURES = 64  # number of files; the table repeats them
READY = "trainable parameters"  # what the log says when all is loaded
LARGEST_DIFFERENCE = 0.1


@dataclass
class Memory:
    """Memory of a run, in bytes."""

    resident_before: int
    peak: int
    seconds: float

    @property
    def step(self) -> int:
        """Returns what the step needed beyond what was resident."""
        return self.peak - self.resident_before


def resident_bytes(process: int) -> int:
    for line in Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return 1024 * int(line.split()[1])
    raise AssertionError(f"process {process} has ended")


def write_data(folder: Path) -> Path:
    """Writes a table of 224x224 JPEGs with captions, as long as the large batch."""
    pictures = model_support.blurred_images(PICTURES, 224).numpy()
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{number}.jpg", quality=90)
    table = folder / "pairs.tsv"
    rows = [f"{row % PICTURES}.jpg\tpicture number {row} of a long row of pictures" for row in range(LARGE_BATCH)]
    table.write_text("\n".join(["filepath\ttitle", *rows]) + "\n", encoding="utf-8")
    return table


def small_teacher(folder: Path) -> Path:
    """A configuration with Stable Diffusion's latent and context length, and a UNet that uses only 16x16 of it."""
    config = json.loads((BUILT_IN_CONFIGS / "tiny.json").read_text(encoding="utf-8"))
    config["unet"] |= {
        "sample_size": 64,
        "block_out_channels": [32, 32, 64],
        "down_block_types": ["DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"],
    }
    config["vae"]["block_out_channels"] = [32, 32, 32, 64]
    config["vae"]["down_block_types"] = ["DownEncoderBlock2D"] * 4
    config["vae"]["up_block_types"] = ["UpDecoderBlock2D"] * 4
    config["text_encoder"]["max_position_embeddings"] = 77
    path = folder / "small-teacher.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


class StepMemory(unittest.TestCase):
    def test_a_large_batch_needs_no_more_memory_than_a_small_one(self) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            for script, arguments in (
                (export_clip, (STUDENT, "--random", 1, "--out", folder / "clip")),
                (export_teacher, ("--random", 1, "--config", small_teacher(folder), "--out", folder / "teacher")),
            ):
                code, _, stderr = run_script(script, *arguments)
                self.assertEqual(code, 0, stderr)
            table = write_data(folder)
            print(f"\n{STUDENT}, micro-batches of {MICRO_BATCH}, one step, one thread")
            print(f"{'batch':>6}{'resident before':>18}{'peak':>10}{'the step':>10}{'seconds':>10}")
            found = []
            for batch in (SMALL_BATCH, LARGE_BATCH):
                memory = self.measure(folder, table, batch)
                found.append(memory)
                before, peak, step = (f"{n / 1e6:.0f} MB" for n in (memory.resident_before, memory.peak, memory.step))
                print(f"{batch:6}{before:>18}{peak:>10}{step:>10}{memory.seconds:10.0f}")
        difference = found[1].step / found[0].step - 1
        print(f"difference: {difference:+.1%}")
        self.assertLess(abs(difference), LARGEST_DIFFERENCE)

    def measure(self, folder: Path, table: Path, batch: int) -> Memory:
        out = folder / f"run-{batch}"
        keys = {
            "clip": folder / "clip",
            "teacher": folder / "teacher",
            "data.format": "tsv",
            "data.annotations": table,
            "data.images": folder,
            "train.steps": 1,
            "train.batch_size": batch,
            "train.micro_batch_clip": MICRO_BATCH,
            "train.micro_batch_unet": MICRO_BATCH,
            "train.diagnose_every": 0,
        }
        config = folder / "config.yaml"
        config.write_text("{}\n", encoding="utf-8")
        settings = [part for key, value in keys.items() for part in ("--set", f"{key}={value}")]
        command = [PROGRAM, "train", "--config", config, "--out", out, "--device", "cpu", "--threads", "1", *settings]
        process = subprocess.Popen(
            list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        log = ""
        resident = 0
        for line in process.stderr:
            log += line
            if READY in line:
                resident = resident_bytes(process.pid)
        self.assertEqual(process.wait(), 0, log)
        step = json.loads((out / "log.jsonl").read_text(encoding="utf-8").splitlines()[-1])
        return Memory(resident, step["peak_memory_bytes"], batch / step["images_per_second"])


if __name__ == "__main__":
    unittest.main()
