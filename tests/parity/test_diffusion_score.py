"""The diffusion score's stored errors, scores and decisions against plain loops over diffusers' own models.

The loops follow the public implementations (diffusion-itm's pipeline, diffusion-classifier's run_winoground.py), with
one picture and one caption at a time. What they share with our code is the noise eps_k, which is ours, and the
timesteps t_k where these are drawn.
"""

import copy
import functools
import json
import random
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch
import transformers
from diffusers import DDPMScheduler
from PIL import Image
from torchvision import transforms

PROBE = sys.argv.pop(1)
sys.path.insert(0, str(Path(__file__).parent))

import score_data
from export_support import run_script

import export_teacher
from sdsclip_export import teacher_models, tokenizer

TINY = json.loads((teacher_models.BUILT_IN_CONFIGS / "tiny.json").read_text(encoding="utf-8"))
TOLERANCE = 1e-5  # relative
SEED = 11


def like_sd_2(config: dict) -> dict:
    config = copy.deepcopy(config)
    config["scheduler"]["prediction_type"] = "v_prediction"
    config["tokenizer"]["pad"] = 0
    return config


class Teacher:
    """The libraries' models, used as a script of theirs would use them."""

    def __init__(self, config: dict, config_file: Path):
        source = teacher_models.load_random(str(config_file), 3)
        self.unet, self.vae, self.text_encoder = source.unet, source.vae, source.text_encoder
        self.scheduler = DDPMScheduler(**config["scheduler"])
        merges = tokenizer.openai_merges()
        self.tokenizer = transformers.CLIPTokenizer(
            vocab=tokenizer.vocabulary(merges, "<|startoftext|>", "<|endoftext|>"),
            merges=[tuple(merge.split(" ")) for merge in merges],
            pad_token="!" if config["tokenizer"]["pad"] == 0 else "<|endoftext|>",
        )
        self.size = source.image_size()

    @functools.cache
    def context(self, text: str) -> torch.Tensor:
        length = self.text_encoder.config.max_position_embeddings
        ids = self.tokenizer([text], padding="max_length", max_length=length, truncation=True, return_tensors="pt")
        return self.text_encoder(ids.input_ids)[0]

    @functools.cache
    def latent(self, path: Path, squash: bool = False) -> torch.Tensor:
        image = Image.open(path).convert("RGB")
        if squash:
            image = image.resize((self.size, self.size))  # diffusion-itm, datasets_loading.py
        transform = transforms.Compose([  # diffusion-classifier, get_transform
            transforms.Resize(self.size, interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(self.size),
            transforms.ToTensor(),
            transforms.Normalize([0.5], [0.5]),
        ])  # fmt: skip
        mean = self.vae.encode(transform(image).unsqueeze(0)).latent_dist.mean
        return mean * self.vae.config.scaling_factor

    def difference(self, z: torch.Tensor, noise: torch.Tensor, timestep: int, context: torch.Tensor) -> torch.Tensor:
        """eps_hat - eps, a velocity converted by its definition."""
        t = torch.tensor([timestep])
        noised = self.scheduler.add_noise(z, noise, t)
        prediction = self.unet(noised, t, context).sample
        if self.scheduler.config.prediction_type == "v_prediction":
            abar = self.scheduler.alphas_cumprod[timestep].double()
            prediction = abar.sqrt() * prediction.double() + (1 - abar).sqrt() * noised.double()
        return prediction - noise


class DiffusionScore(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        torch.set_num_threads(1)
        torch.set_grad_enabled(False)
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        cls.scratch = Path(scratch.name)
        cls.teachers, cls.bundles = {}, {}
        for name, config in (("epsilon", TINY), ("v_prediction", like_sd_2(TINY))):
            path = cls.scratch / f"{name}.json"
            path.write_text(json.dumps(config))
            cls.bundles[name] = cls.scratch / name
            code, _, stderr = run_script(export_teacher, "--random", 3, "--config", path, "--out", cls.bundles[name])
            assert code == 0, stderr
            cls.teachers[name] = Teacher(config, path)
        cls.winoground = cls.scratch / "winoground"
        cls.examples = score_data.winoground(cls.winoground, random.Random(1), cases=4)
        cls.clevr = cls.scratch / "clevr"
        cls.pairs = score_data.clevr(cls.clevr, random.Random(2))
        cls.stores = 0

    def score(self, benchmark: str, data: Path, teacher: str, *settings: str) -> tuple[dict, Path]:
        type(self).stores += 1
        store = self.scratch / f"{self.stores}.sqlite"
        metrics = score_data.run_probe(
            PROBE, "diffusion", benchmark, data, self.bundles[teacher], store, f"sampling.seed={SEED}", *settings
        )
        return metrics, store

    def noise(self, samples: int) -> torch.Tensor:
        """eps_k, [samples, C, h, w]."""
        path = self.scratch / "noise"
        latent = TINY["unet"]["sample_size"]
        score_data.run_probe(PROBE, "noise", SEED, samples, 4, latent, path)
        return torch.from_numpy(np.fromfile(path, np.float32)).view(samples, 4, latent, latent)

    def assert_relative(self, actual: float, expected: float, what: object) -> None:
        self.assertLessEqual(abs(actual - expected), TOLERANCE * abs(expected), f"{what}: {actual}, expected {expected}")

    def test_every_stored_error_equals_diffusers(self) -> None:
        samples = 9
        noise = self.noise(samples)
        for name, teacher in self.teachers.items():
            _, store = self.score(
                "winoground", self.winoground, name, f"sampling.samples={samples}",
                "estimator.subtract_unconditional=true", "micro_batch=5",
            )  # fmt: skip
            rows = score_data.read_view(store, "sample_error")
            # 3 cases of 2 x 2 captions, one of 2 x 1, and 8 images without a caption.
            self.assertEqual(len(rows), (3 * 4 + 2 + 8) * samples)
            self.assertEqual({sample for _, _, _, sample, _, _ in rows}, set(range(samples)))
            for image, text, timestep, sample, error, error_l1 in rows:
                z = teacher.latent(self.winoground / image)
                difference = teacher.difference(z, noise[sample : sample + 1], timestep, teacher.context(text))
                what = (name, image, text, timestep)
                self.assert_relative(error, float(difference.double().square().sum()), what)
                self.assert_relative(error_l1, float(difference.double().abs().sum()), what)

    def test_scores_are_minus_the_mean_in_every_norm(self) -> None:
        samples = 5
        noise = self.noise(samples)
        norms = {
            "l2": lambda d: float(d.square().sum()),
            "l1": lambda d: float(d.abs().sum()),
            "l2_unsquared": lambda d: float(torch.norm(d.flatten(), p=2)),
        }
        for name, teacher in self.teachers.items():
            stores = {
                (norm, target): self.score(
                    "clevr", self.clevr, name, f"sampling.samples={samples}",
                    f"estimator.norm={norm}", f"estimator.error={target}",
                )[1]
                for norm in norms
                for target in ("eps", "v")
            }  # fmt: skip
            rows = score_data.read_view(stores["l2", "eps"], "sample_error")
            timesteps = dict({(sample, timestep) for _, _, timestep, sample, _, _ in rows})
            ours = {key: score_data.pair_scores(store) for key, store in stores.items()}
            for case, image, text in ours["l2", "eps"]:
                z, context = teacher.latent(self.clevr / image), teacher.context(text)
                eps = [teacher.difference(z, noise[k : k + 1], timesteps[k], context).double() for k in range(samples)]
                abar = teacher.scheduler.alphas_cumprod.double()
                differences = {"eps": eps, "v": [d / abar[timesteps[k]].sqrt() for k, d in enumerate(eps)]}
                for (norm, target), scores in ours.items():
                    expected = -sum(map(norms[norm], differences[target])) / samples
                    self.assert_relative(scores[case, image, text], expected, (name, norm, target, image, text))

    def test_diffusion_itm(self) -> None:
        steps = 10
        noise = self.noise(steps)
        teacher = self.teachers["epsilon"]

        def dists(image: str, text: str, folder: Path, unconditional: bool) -> float:
            """The pipeline's loop and score_batch, in float32."""
            z, context, empty = teacher.latent(folder / image, squash=True), teacher.context(text), teacher.context("")
            found = []
            for k, t in enumerate(range(10, 990, int(1000 / steps))):
                dist = torch.norm(teacher.difference(z, noise[k : k + 1], t, context).flatten(), p=2)
                if unconditional:
                    dist = dist - torch.norm(teacher.difference(z, noise[k : k + 1], t, empty).flatten(), p=2)
                found.append(dist)
            return -float(torch.stack(found).double().mean())

        settings = ("preset=diffusion-itm", f"sampling.samples={steps}")
        metrics, store = self.score("winoground", self.winoground, "epsilon", *settings)
        ours = score_data.pair_scores(store)
        text_score, image_score = [], []
        for example in self.examples:
            images = [f"images/{example[f'image_{k}']}" for k in range(2)]
            texts = [example[f"caption_{k}"] for k in range(2)]
            score = {(c, i): dists(images[i], texts[c], self.winoground, True) for c in range(2) for i in range(2)}
            for (c, i), expected in score.items():
                actual = ours[str(example["id"]), images[i], texts[c]]
                self.assertAlmostEqual(actual, expected, delta=1e-5 * 16)  # a difference of norms of about 16
            plain = {(c, i): dists(images[i], texts[c], self.winoground, False) for c in range(2) for i in range(2)}
            text_score.append(plain[0, 0] > plain[1, 0] and plain[1, 1] > plain[0, 1])
            image_score.append(score[0, 0] > score[0, 1] and score[1, 1] > score[1, 0])
        self.assertEqual(metrics["winoground/text"]["value"], np.mean(text_score))
        self.assertEqual(metrics["winoground/image"]["value"], np.mean(image_score))
        self.assertEqual(metrics["winoground/group"]["value"], np.mean(np.array(text_score) & np.array(image_score)))
        self.assertEqual(metrics["winoground/text"]["ties"], 1)

        metrics, _ = self.score("clevr", self.clevr, "epsilon", *settings)
        correct = [
            np.argmax([dists(image, text, self.clevr, False) for text in texts]) == 0 for image, texts in self.pairs
        ]
        self.assertEqual(metrics["clevr/accuracy"]["value"], np.mean(correct))
        self.assertEqual(metrics["clevr/accuracy"]["ties"], 1)

    def test_diffusion_classifier(self) -> None:
        t_interval = 125
        samples = 1000 // t_interval
        noise = self.noise(samples)
        teacher = self.teachers["epsilon"]
        settings = ("preset=diffusion-classifier", f"sampling.samples={samples}")
        metrics, store = self.score("winoground", self.winoground, "epsilon", *settings)
        ours = score_data.pair_scores(store)
        elements = noise[0].numel()
        text_correct, image_correct = [], []
        for example in self.examples:
            result = {}
            for c in range(2):
                for i in range(2):
                    image, text = f"images/{example[f'image_{i}']}", example[f"caption_{c}"]
                    z, context = teacher.latent(self.winoground / image), teacher.context(text)
                    errors = [
                        teacher.difference(z, noise[k : k + 1], t, context).square().mean()
                        for k, t in enumerate(range(t_interval // 2, 1000, t_interval))
                    ]
                    result[c, i] = -float(torch.stack(errors).double().mean())
                    # Theirs is the mean over the latent, ours the sum.
                    self.assert_relative(ours[str(example["id"]), image, text] / elements, result[c, i], (image, text))
            text_correct.append(result[0, 0] > result[1, 0] and result[1, 1] > result[0, 1])
            image_correct.append(result[0, 0] > result[0, 1] and result[1, 1] > result[1, 0])
        self.assertEqual(metrics["winoground/text"]["value"], np.mean(text_correct))
        self.assertEqual(metrics["winoground/image"]["value"], np.mean(image_correct))

    def test_twenty_samples_extended_to_fifty_equal_a_fresh_run_of_fifty(self) -> None:
        settings = ("micro_batch=3",)
        _, fresh = self.score("clevr", self.clevr, "epsilon", "sampling.samples=50", *settings)
        _, store = self.score("clevr", self.clevr, "epsilon", "sampling.samples=20", *settings)
        score_data.run_probe(
            PROBE, "diffusion", "clevr", self.clevr, self.bundles["epsilon"], store, f"sampling.seed={SEED}",
            "sampling.samples=50", *settings,
        )  # fmt: skip
        self.assertEqual(score_data.read_view(store, "sample_error"), score_data.read_view(fresh, "sample_error"))
        self.assertEqual(score_data.read_view(store, "pair_score"), score_data.read_view(fresh, "pair_score"))


if __name__ == "__main__":
    unittest.main()
