"""Compares loaders and judges with a direct transcription of each benchmark's published rule, on random scores.

Every data set is written in its native layout and read twice: by the C++ code and by `benchmark_rules.py`. They share
only the scores of (image, caption) pairs.
"""

import hashlib
import json
import random
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path

import benchmark_data
import benchmark_rules
import numpy as np
from scipy.stats import binomtest

PROBE = sys.argv.pop(1)


def tie_free(image: str, caption: str) -> float:
    digest = hashlib.sha256(f"{image}\0{caption}".encode()).digest()
    return int.from_bytes(digest[:6]) / 2**48


def with_ties(image: str, caption: str) -> float:
    """Returns one of four values, so that two scores are equal in a quarter of the cases."""
    return int(4 * tie_free(image, caption)) / 4


def probe(*arguments: str | Path) -> dict:
    result = subprocess.run([PROBE, *map(str, arguments)], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise AssertionError(result.stderr)
    return json.loads(result.stdout)


class WithData(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name, "data")
        self.scores = Path(temporary.name, "scores")

    def write_scores(self, benchmark: str, score: benchmark_rules.Score, path: Path | None = None) -> Path:
        tables = probe("cases", benchmark, self.folder)
        names = [caption["id"] for caption in tables["captions"]]
        values = []
        for case in tables["cases"]:
            columns = [names[row] for row in case["captions"]] or names
            values += [score(image, name) for image in case["images"] for name in columns]
        path = path or self.scores
        np.array(values, np.float64).tofile(path)
        return path


class Rules(WithData):
    def check(
        self,
        benchmark: str,
        write: Callable[[Path, random.Random], None],
        rule: Callable[[Path, benchmark_rules.Score], benchmark_rules.Metrics],
        ties: bool,
    ) -> None:
        write(self.folder, random.Random(1))
        for score in [tie_free, with_ties] if ties else [tie_free]:
            ours = probe("judge", benchmark, self.folder, self.write_scores(benchmark, score))
            expected = rule(self.folder, score)
            self.assertEqual(set(ours), set(expected))
            for name, (value, n) in expected.items():
                with self.subTest(name, score=score.__name__):
                    self.assertAlmostEqual(ours[name]["value"], value, delta=1e-12)
                    self.assertEqual(ours[name]["n"], n)
            tied = sum(metric["ties"] for metric in ours.values())
            if score is with_ties:
                self.assertGreater(tied, 0)
            print(f"{benchmark}, {score.__name__}: {len(ours)} metrics equal")

    def test_winoground(self):
        self.check("winoground", benchmark_data.winoground, benchmark_rules.winoground, ties=True)

    def test_aro(self):
        self.check("aro", benchmark_data.aro, benchmark_rules.aro, ties=True)

    def test_clevr(self):
        self.check("clevr", benchmark_data.clevr, benchmark_rules.clevr, ties=True)

    def test_sugarcrepe(self):
        self.check("sugarcrepe", benchmark_data.sugarcrepe, benchmark_rules.sugarcrepe, ties=True)

    def test_mmvp(self):
        self.check("mmvp", benchmark_data.mmvp, benchmark_rules.mmvp, ties=True)

    # torch.topk leaves the order of ties open: these two are compared without.
    def test_retrieval(self):
        self.check("retrieval", benchmark_data.retrieval, benchmark_rules.retrieval, ties=False)

    def test_zeroshot_folder(self):
        self.check("zeroshot", benchmark_data.zeroshot_folder, benchmark_rules.zeroshot, ties=False)

    def test_zeroshot_webdataset(self):
        self.check("zeroshot", benchmark_data.zeroshot_webdataset, benchmark_rules.zeroshot, ties=False)


def drawn_intervals(draw: Callable[[np.ndarray], float], cases: int) -> np.ndarray:
    """Computes the percentile bootstrap directly: draws the cases 10,000 times."""
    rng = np.random.default_rng(0)
    values = [draw(rng.integers(0, cases, cases)) for _ in range(10_000)]
    return np.nanpercentile(values, [2.5, 97.5])


class Intervals(WithData):
    """Both sides draw 10,000 resamples from their own generator, so the ends agree within the sampling error."""

    def test_a_proportion(self):
        benchmark_data.winoground(self.folder, random.Random(2))
        ours = probe("judge", "winoground", self.folder, self.write_scores("winoground", tie_free))
        metric = ours["winoground/text"]
        right = binomtest(round(metric["value"] * metric["n"]), metric["n"])
        expected = right.proportion_ci(method="wilson" if metric["n"] >= 20 else "exact")
        np.testing.assert_allclose(metric["ci95"], expected, atol=1e-9)

    def test_a_macro_average(self):
        benchmark_data.zeroshot_folder(self.folder, random.Random(3))
        ours = probe("judge", "zeroshot", self.folder, self.write_scores("zeroshot", tie_free))
        names = (self.folder / "classnames.txt").read_text().splitlines()
        images = benchmark_rules.labelled_images(self.folder, names)
        labels = np.array([label for _, label in images])
        right = np.array([
            np.argmax([tie_free(image, name) for name in names]) == label for image, label in images
        ])  # fmt: skip

        def macro(rows: np.ndarray) -> float:
            counts = np.bincount(labels[rows], minlength=len(names))
            sums = np.bincount(labels[rows], weights=right[rows], minlength=len(names))
            return (sums[counts > 0] / counts[counts > 0]).mean()

        expected = drawn_intervals(macro, len(labels))
        np.testing.assert_allclose(ours["zeroshot/mean_per_class_recall"]["ci95"], expected, atol=0.006)

    def test_marks_that_come_in_clusters(self):
        benchmark_data.retrieval(self.folder, random.Random(4))
        ours = probe("judge", "retrieval", self.folder, self.write_scores("retrieval", tie_free))
        file = json.loads((self.folder / "annotations" / "captions_val2017.json").read_text())
        names = {image["id"]: f"val2017/{image['file_name']}" for image in file["images"]}
        sums, counts = np.zeros(len(names)), np.zeros(len(names))
        for annotation in file["annotations"]:
            scores = {image: tie_free(name, annotation["caption"]) for image, name in names.items()}
            best = sorted(scores, key=scores.get, reverse=True)[:10]
            row = list(names).index(annotation["image_id"])
            sums[row] += annotation["image_id"] in best
            counts[row] += 1
        expected = drawn_intervals(lambda rows: sums[rows].sum() / counts[rows].sum(), len(names))
        np.testing.assert_allclose(ours["retrieval/image/recall@10"]["ci95"], expected, atol=0.006)


class Comparison(WithData):
    def test_two_runs_on_the_same_cases(self):
        benchmark_data.winoground(self.folder, random.Random(5))
        a = self.write_scores("winoground", tie_free, self.folder.parent / "a")
        b = self.write_scores("winoground", lambda image, caption: tie_free(caption, image), self.folder.parent / "b")
        ours = probe("compare", "winoground", self.folder, a, b)["winoground/text"]
        values_a, values_b = (np.fromfile(path).reshape(-1, 2, 2) for path in (a, b))
        marks = [(v[:, 0, 0] > v[:, 0, 1]) & (v[:, 1, 1] > v[:, 1, 0]) for v in (values_a, values_b)]
        self.assertEqual(ours["only_a"], int((marks[0] & ~marks[1]).sum()))
        self.assertEqual(ours["only_b"], int((marks[1] & ~marks[0]).sum()))
        difference = marks[1].astype(float) - marks[0]
        self.assertAlmostEqual(ours["difference"], difference.mean(), delta=1e-12)
        expected = drawn_intervals(lambda rows: difference[rows].mean(), len(difference))
        np.testing.assert_allclose(ours["ci95"], expected, atol=1.01 / len(difference))


if __name__ == "__main__":
    unittest.main()
