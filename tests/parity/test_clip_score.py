"""The CLIP scorer against open_clip, PIL and torchvision: one picture and one text at a time."""

import json
import random
import sys
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from PIL import Image

PROBE = sys.argv.pop(1)
sys.path.insert(0, str(Path(__file__).parent))

import score_data
from export_support import TINY_TEXT, TINY_VISION, run_script

import export_clip
from sdsclip_export import tokenizer as tokenizers
from sdsclip_export.clip_models import Weights, load_clip

CONFIG = {"embed_dim": 24, "vision_cfg": TINY_VISION, "text_cfg": TINY_TEXT, "quick_gelu": True}
TOLERANCE = 2e-6  # of a cosine


class ClipScore(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        torch.set_num_threads(1)
        torch.set_grad_enabled(False)
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        cls.scratch = Path(scratch.name)
        config = cls.scratch / "tiny.json"
        config.write_text(json.dumps(CONFIG))
        cls.bundle = cls.scratch / "bundle"
        code, _, stderr = run_script(export_clip, config, "--random", 5, "--out", cls.bundle)
        assert code == 0, stderr
        cls.model = load_clip(str(config), Weights(random=5), None, None)
        cls.preprocess = open_clip.image_transform(TINY_VISION["image_size"], is_train=False)
        cls.tokenizer = open_clip.SimpleTokenizer(context_length=TINY_TEXT["context_length"])

    def image(self, path: Path) -> torch.Tensor:
        return F.normalize(self.model.encode_image(self.preprocess(Image.open(path)).unsqueeze(0)), dim=-1)

    def texts(self, texts: list[str]) -> torch.Tensor:
        return F.normalize(self.model.encode_text(self.tokenizer(texts)), dim=-1)

    def test_padding_after_the_longest_text_is_cut(self) -> None:
        """Returns ids without padding, which the other tests compare with open_clip's whole contexts."""
        self.assertIs(json.loads((self.bundle / "bundle.json").read_text())["tokenizer"]["any_length"], True)

    def test_cosines_and_decisions_of_winoground(self) -> None:
        data, store = self.scratch / "winoground", self.scratch / "winoground.sqlite"
        examples = score_data.winoground(data, random.Random(3), cases=10)
        metrics = score_data.run_probe(PROBE, "clip", "winoground", data, self.bundle, store)
        ours = score_data.pair_scores(store)
        text_score, image_score = [], []
        for example in examples:
            names = [f"images/{example[f'image_{k}']}" for k in range(2)]
            captions = [example[f"caption_{k}"] for k in range(2)]
            images = torch.cat([self.image(data / name) for name in names])
            cosines = (images @ self.texts(captions).T).numpy()  # [image, caption]
            for i, c in np.ndindex(2, 2):
                actual = ours[str(example["id"]), names[i], captions[c]]
                self.assertAlmostEqual(actual, float(cosines[i, c]), delta=TOLERANCE)
            same = captions[0] == captions[1]  # an exact tie, although rounding may differ here
            text_score.append(not same and cosines[0, 0] > cosines[0, 1] and cosines[1, 1] > cosines[1, 0])
            image_score.append(cosines[0, 0] > cosines[1, 0] and cosines[1, 1] > cosines[0, 1])
        self.assertEqual(metrics["winoground/text"]["value"], np.mean(text_score))
        self.assertEqual(metrics["winoground/image"]["value"], np.mean(image_score))
        self.assertEqual(metrics["winoground/text"]["ties"], 1)

    def test_zero_shot_as_clip_benchmark_averages_templates(self) -> None:
        data, store = self.scratch / "zeroshot", self.scratch / "zeroshot.sqlite"
        classes, templates, images = score_data.zeroshot(data, random.Random(4))
        metrics = score_data.run_probe(PROBE, "clip", "zeroshot", data, self.bundle, store)
        ours = score_data.pair_scores(store)
        weights = []
        for name in classes:  # CLIP_benchmark, zeroshot_classification.py
            embedding = self.texts([template.replace("{c}", name) for template in templates]).mean(dim=0)
            weights.append(embedding / embedding.norm())
        right = []
        for path, label in images:
            cosines = (self.image(data / path) @ torch.stack(weights).T)[0].numpy()
            for column, name in enumerate(classes):
                self.assertAlmostEqual(ours[path, path, name], float(cosines[column]), delta=TOLERANCE)
            right.append(cosines.argmax() == label)
        self.assertAlmostEqual(metrics["zeroshot/acc1"]["value"], np.mean(right), delta=1e-12)


class AnyLength(unittest.TestCase):
    """The exporter detects whether a text tower works on ids without padding."""

    def check(self, expected: bool, encode_text) -> None:
        tokenizer = tokenizers.Tokenizer(tokenizers.openai_merges(), "open_clip", context_length=77, pad=0)
        self.assertIs(export_clip.takes_any_length(SimpleNamespace(encode_text=encode_text), tokenizer), expected)

    def test_a_tower_that_stops_at_the_end_of_the_text(self) -> None:
        self.check(True, lambda ids: (ids * (ids > 0)).cumsum(1).gather(1, ids.argmax(1, keepdim=True)).float())

    def test_a_tower_that_sees_the_padding(self) -> None:
        self.check(False, lambda ids: ids.float().mean(dim=1, keepdim=True))

    def test_a_graph_of_one_length(self) -> None:
        self.check(False, lambda ids: ids.float() + torch.zeros(77))


if __name__ == "__main__":
    unittest.main()
