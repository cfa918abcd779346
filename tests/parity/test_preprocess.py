"""Compares decoding and preprocessing with Pillow and torchvision, on images of every kind."""

import io
import sys
import tempfile
import unittest
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import probe
from image_corpus import Case, corpus, jpegs, others, picture, pngs, refused_variants, saved, webps
from open_clip.transform import image_transform
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize, ToTensor
from transformers import CLIPImageProcessor, CLIPImageProcessorPil

PROBE = sys.argv.pop(1)
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
warnings.filterwarnings("ignore", category=UserWarning)  # Pillow warns about palettes with transparency


def pillow_rgb(case: Case) -> Image.Image:
    """Returns what the Python originals make of an image file."""
    return Image.open(io.BytesIO(case.data)).convert("RGB")


def ours(arguments: list[str], cases: Sequence[Case]) -> list[bytes | probe.ProbeError]:
    """Writes images to files and returns the driver's answers."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{number:05}-{case.name}") for number, case in enumerate(cases)]
        for path, case in zip(paths, cases, strict=True):
            path.write_bytes(case.data)
        return probe.run([PROBE, *arguments], [str(path).encode() for path in paths])


def pixels(answer: bytes) -> np.ndarray:
    """Returns a decoded image as u8 [height, width, 3]."""
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

    def test_other_formats_equal_pillow_or_are_refused_by_name(self):
        read, refused = others((61, 43), 3), refused_variants((61, 43), 3)
        for case, answer in zip(read, ours(["decode"], read), strict=True):
            with self.subTest(case.name):
                self.assertIsInstance(answer, bytes, str(answer))
                np.testing.assert_array_equal(pixels(answer), np.asarray(pillow_rgb(case)))
        for case, answer in zip(refused, ours(["decode"], refused), strict=True):
            with self.subTest(case.name):
                self.assertIsInstance(answer, probe.ProbeError)
                self.assertIn("save it as PNG", str(answer))
        print(f"BMP, TIFF, PPM, animations: {len(read)} as Pillow reads them, {len(refused)} refused")

    def test_a_truncated_file_is_an_error_that_names_it(self):
        whole = [case for part in (jpegs, pngs, webps, others) for case in part((64, 48), 7)]
        cut = [Case(case.name, case.data[: int(len(case.data) * share)])
               for case in whole for share in (0.02, 0.3, 0.6, 0.9, 0.99)]
        cut += [Case(case.name, case.data[:-2]) for case in whole if case.name.endswith((".jpg", ".png", ".ppm"))]
        for case, answer in zip(cut, ours(["decode"], cut), strict=True):
            with self.subTest(case.name, size=len(case.data)):
                self.assertIsInstance(answer, probe.ProbeError)
                self.assertIn(case.name, str(answer))

    def test_a_damaged_file_gives_an_error_or_pillows_pixels(self):
        """Overwrites bytes at random places: never gives an image that Pillow does not give, and never crashes."""
        generator = np.random.default_rng(3)
        damaged = []
        for case in [case for part in (jpegs, pngs, webps, others) for case in part((40, 30), 5)]:
            for _ in range(10):
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
        arguments = ["preprocess", str(size), mode, interpolation, "round", "first"]
        for case, answer in zip(cases, ours(arguments, cases), strict=True):
            with self.subTest(case.name):
                self.assertIsInstance(answer, bytes, str(answer))
                got = np.frombuffer(answer, np.float32).reshape(3, size, size)
                np.testing.assert_array_equal(got, transform(pillow_rgb(case)).numpy())
        print(f"preprocessing {mode} {interpolation} {size}: {len(cases)} images, every float equal to torchvision's")

    def test_shortest_edge_and_crop_equal_torchvision(self):
        cases = [case for case in corpus() if "1200x9" not in case.name and "9x1200" not in case.name]
        self.check(224, "shortest_edge", cases)

    def test_many_sizes_equal_transformers(self):
        """transformers floors the crop's corner. Its Pillow-backed processor is exact; see the next test for the other.

        640x427 to 224 leaves 111 columns over: the crop starts at 55 there, at 56 in torchvision.
        """
        generator = np.random.default_rng(1)
        sizes = [(640, 427), (41, 37), (427, 640), *generator.integers(20, 400, (60, 2)).tolist()]
        for size in (32, 224):
            cases = [Case(f"{width}x{height}.png", saved(Image.fromarray(picture(width, height, 3, 1)), "PNG"))
                     for width, height in sizes]
            processor = CLIPImageProcessorPil(size={"shortest_edge": size}, crop_size={"height": size, "width": size})
            answers = ours(["preprocess", str(size), "shortest_edge", "bicubic", "floor", "first"], cases)
            for case, answer in zip(cases, answers, strict=True):
                with self.subTest(case.name, size=size):
                    self.assertIsInstance(answer, bytes, str(answer))
                    got = np.frombuffer(answer, np.float32).reshape(3, size, size)
                    expected = processor(pillow_rgb(case), return_tensors="np")["pixel_values"][0]
                    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6)
        print(f"preprocessing as transformers: {2 * len(sizes)} images, within 1e-6")

    def test_transformers_torchvision_processor_crops_at_the_same_place(self):
        """transformers 5's default processor resizes tensors with PyTorch's own weights: one grey level off at most."""
        case = Case("photo.png", saved(Image.fromarray(picture(640, 427, 3, 1)), "PNG"))
        answer = ours(["preprocess", "224", "shortest_edge", "bicubic", "floor", "first"], [case])[0]
        got = np.frombuffer(answer, np.float32).reshape(3, 224, 224)
        expected = CLIPImageProcessor()(pillow_rgb(case), return_tensors="np")["pixel_values"][0]
        np.testing.assert_allclose(got, expected, rtol=0, atol=1.01 / 255 / min(STD))

    def test_converting_after_the_resize_equals_open_clip(self):
        """Compares with open_clip's transform on images of every mode: palettes, 1 bit, alpha, CMYK, 16-bit grey."""
        for size, mode in ((224, "shortest"), (37, "shortest"), (48, "squash")):
            transform = image_transform(size, is_train=False, resize_mode=mode, mean=MEAN, std=STD)
            rule = "squash" if mode == "squash" else "shortest_edge"
            cases = [case for case in corpus() if "1200" not in case.name] if size == 224 else corpus()[:60:3]
            cases = [*cases, *others((61, 43), 3)]
            answers = ours(["preprocess", str(size), rule, "bicubic", "round", "after_resize"], cases)
            for case, answer in zip(cases, answers, strict=True):
                with self.subTest(case.name, size=size):
                    self.assertIsInstance(answer, bytes, str(answer))
                    got = np.frombuffer(answer, np.float32).reshape(3, size, size)
                    expected = transform(Image.open(io.BytesIO(case.data))).numpy()
                    np.testing.assert_array_equal(got, expected)
            print(f"preprocessing {rule} {size}, converted after: {len(cases)} images, every float equal to open_clip's")

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
