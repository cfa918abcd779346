"""Our decoding and preprocessing beside Pillow and torchvision, over images of every kind."""

import io
import sys
import tempfile
import unittest
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import probe
from image_corpus import Case, corpus, jpegs, pngs, webps
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize, ToTensor

PROBE = sys.argv.pop(1)
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
warnings.filterwarnings("ignore", category=UserWarning)  # Pillow's, of palettes with transparency


def pillow_rgb(case: Case) -> Image.Image:
    """What the Python originals see of an image file."""
    return Image.open(io.BytesIO(case.data)).convert("RGB")


def ours(arguments: list[str], cases: Sequence[Case]) -> list[bytes | probe.ProbeError]:
    """The driver's answers for images that are written to files first."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{number:05}-{case.name}") for number, case in enumerate(cases)]
        for path, case in zip(paths, cases, strict=True):
            path.write_bytes(case.data)
        return probe.run([PROBE, *arguments], [str(path).encode() for path in paths])


def pixels(answer: bytes) -> np.ndarray:
    """A decoded image as u8 [height, width, 3]."""
    width, height = np.frombuffer(answer, np.int32, 2)
    return np.frombuffer(answer, np.uint8, offset=8).reshape(height, width, 3)


class Decoding(unittest.TestCase):
    def test_equals_pillow(self):
        cases = corpus()
        for case, answer in zip(cases, ours(["decode"], cases), strict=True):
            with self.subTest(case.name):
                self.assertIsInstance(answer, bytes, str(answer))
                np.testing.assert_array_equal(pixels(answer), np.asarray(pillow_rgb(case)))
        print(f"decoding: {len(cases)} images, every pixel equal to Pillow's")

    def test_what_is_cut_short_is_an_error_that_names_the_file(self):
        whole = [case for part in (jpegs, pngs, webps) for case in part((64, 48), 7)]
        cut = [Case(case.name, case.data[: int(len(case.data) * share)])
               for case in whole for share in (0.02, 0.3, 0.6, 0.9, 0.99)]
        cut += [Case(case.name, case.data[:-2]) for case in whole if case.name.endswith((".jpg", ".png"))]
        for case, answer in zip(cut, ours(["decode"], cut), strict=True):
            with self.subTest(case.name, size=len(case.data)):
                self.assertIsInstance(answer, probe.ProbeError)
                self.assertIn(case.name, str(answer))

    def test_what_is_damaged_is_an_error_or_pillows_pixels(self):
        """Bytes overwritten at random places: never an image that Pillow does not give, never a crash."""
        generator = np.random.default_rng(3)
        damaged = []
        for case in [case for part in (jpegs, pngs, webps) for case in part((40, 30), 5)]:
            for _ in range(15):
                data = bytearray(case.data)
                for place in generator.integers(0, len(data), 3):
                    data[place] = generator.integers(0, 256)
                damaged.append(Case(case.name, bytes(data)))
        answers = ours(["decode"], damaged)
        refused = 0
        for case, answer in zip(damaged, answers, strict=True):
            try:
                expected = np.asarray(pillow_rgb(case))
            except Exception:  # noqa: BLE001 (Pillow raises many kinds)
                expected = None
            with self.subTest(case.name, data=case.data.hex() if len(case.data) < 400 else len(case.data)):
                if isinstance(answer, probe.ProbeError):
                    refused += 1
                    self.assertIn(case.name, str(answer))
                elif expected is not None:
                    np.testing.assert_array_equal(pixels(answer), expected)
        print(f"damaged: {refused} of {len(damaged)} refused, the others as Pillow reads them")


class Preprocessing(unittest.TestCase):
    def check(self, size: int, mode: str, cases: Sequence[Case], interpolation: str = "bicubic") -> None:
        filter_of = InterpolationMode(interpolation)
        resize = Resize(size if mode == "shortest_edge" else (size, size), interpolation=filter_of)
        transform = Compose([resize, CenterCrop(size), ToTensor(), Normalize(MEAN, STD)])
        for case, answer in zip(cases, ours(["preprocess", str(size), mode, interpolation], cases), strict=True):
            with self.subTest(case.name):
                self.assertIsInstance(answer, bytes, str(answer))
                got = np.frombuffer(answer, np.float32).reshape(3, size, size)
                np.testing.assert_array_equal(got, transform(pillow_rgb(case)).numpy())
        print(f"preprocessing {mode} {interpolation} {size}: {len(cases)} images, every float equal to torchvision's")

    def test_shortest_edge_and_crop_equal_torchvision(self):
        cases = [case for case in corpus() if "1200x9" not in case.name and "9x1200" not in case.name]
        self.check(224, "shortest_edge", cases)

    def test_odd_sizes_equal_torchvision(self):
        self.check(57, "shortest_edge", corpus()[::5])
        self.check(336, "shortest_edge", corpus()[:40:5])

    def test_extreme_shapes_equal_torchvision(self):
        self.check(32, "shortest_edge", [case for case in corpus() if "1200" in case.name])

    def test_squashing_equals_torchvision(self):
        self.check(64, "squash", corpus()[::3])
        self.check(512, "squash", corpus()[:40:8])

    def test_bilinear_resizing_equals_torchvision(self):
        self.check(57, "shortest_edge", corpus()[::5], "bilinear")
        self.check(256, "squash", corpus()[::7], "bilinear")
        self.check(32, "shortest_edge", [case for case in corpus() if "1200" in case.name], "bilinear")


if __name__ == "__main__":
    unittest.main()
