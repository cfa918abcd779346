"""Images a second and core, from a JPEG of 640 x 480 to CLIP's floats: ours beside torchvision and Pillow.

Both count processor time, in turns in one run, so that other work on the machine weighs on neither.
"""

import statistics
import sys
import tempfile
import time
import unittest
from pathlib import Path

import numpy as np
import probe
import torch
from image_corpus import picture, saved
from PIL import Image, ImageFilter
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize, ToTensor

PROBE = sys.argv.pop(1)
SIZE, IMAGES, ROUNDS, TURNS = 224, 8, 10, 5
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


class LoaderSpeed(unittest.TestCase):
    def test_at_least_1_5_times_as_fast(self):
        torch.set_num_threads(1)
        transform = Compose([Resize(SIZE, interpolation=InterpolationMode.BICUBIC), CenterCrop(SIZE), ToTensor(),
                             Normalize(MEAN, STD)])
        ours, theirs = [], []
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder, f"{number}.jpg") for number in range(IMAGES)]
            for number, path in enumerate(paths):
                image = Image.fromarray(picture(640, 480, 3, number)).filter(ImageFilter.GaussianBlur(number % 3))
                path.write_bytes(saved(image, "JPEG", quality=90))
            size = statistics.mean(path.stat().st_size for path in paths)
            for _ in range(TURNS):
                answers = probe.run([PROBE, "measure", str(SIZE), str(ROUNDS)], [str(path).encode() for path in paths])
                ours.append(statistics.mean(np.frombuffer(answer, np.float64)[0] for answer in answers))
                start = time.process_time()
                for path in paths * ROUNDS:
                    transform(Image.open(path).convert("RGB"))
                theirs.append((time.process_time() - start) / (IMAGES * ROUNDS))
        fast, slow = 1 / statistics.median(ours), 1 / statistics.median(theirs)
        print(f"640 x 480 JPEG of {size / 1024:.0f} KB to {SIZE} x {SIZE}: {fast:.0f} images/s a core, torchvision and "
              f"Pillow {slow:.0f}, ratio {fast / slow:.2f}")
        self.assertGreater(fast / slow, 1.5)


if __name__ == "__main__":
    unittest.main()
