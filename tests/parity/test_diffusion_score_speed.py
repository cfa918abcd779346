"""The diffusion score beside the loops of diffusion-itm and diffusion-classifier: work and processor time.

Same teacher, images, number of samples, one thread and float32; all three count processor time without loading the
models, in turns in one run, so that other work on the machine weighs on none.

    test_diffusion_score_speed.py PROBE [CONFIG SAMPLES CASES TURNS]     CONFIG as for export_teacher.py --random

With `sd-v1-4 5 1 1` it is the real-size Stable Diffusion, for a few evaluations (14 GB, half an hour on one core).
"""

import json
import random
import sys
import tempfile
import time
import unittest
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import DDPMScheduler
from PIL import Image
from torchvision import transforms

PROBE = sys.argv.pop(1)
sys.path.insert(0, str(Path(__file__).parent))

import score_data
from export_support import SCRIPTS, run_script

import export_teacher
from sdsclip_export import teacher_models

CONFIG, SAMPLES, CASES, TURNS = sys.argv[1:5] if len(sys.argv) > 4 else ("shapes-teacher", "20", "24", "3")
del sys.argv[1:]
ITM_BATCH = 4  # diffusion_itm.py's default
CLASSIFIER_BATCH = 32  # eval_prob_adaptive.py's default


@dataclass
class Measurement:
    unet_evaluations: int = 0
    vae_encodings: int = 0
    text_encodings: int = 0
    seconds: float = 0.0


class CountingTeacher:
    """diffusers' models as the two scripts call them, their calls counted."""

    def __init__(self, source: teacher_models.TeacherSource):
        self.source = source
        self.scheduler = DDPMScheduler(
            num_train_timesteps=source.schedule["train_timesteps"],
            beta_schedule=source.schedule["beta_schedule"],
            beta_start=source.schedule["beta_start"],
            beta_end=source.schedule["beta_end"],
        )
        # Ids are given to all three alike: how they are made is no part of the comparison.
        self.ids = source.tokenizer.example_ids(64, seed=1)
        self.count = Measurement()
        self.transform = transforms.Compose([
            transforms.Resize(source.image_size(), interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(source.image_size()), transforms.ToTensor(), transforms.Normalize([0.5], [0.5]),
        ])  # fmt: skip

    def pixels(self, path: Path) -> torch.Tensor:
        return self.transform(Image.open(path).convert("RGB"))

    def posterior(self, pixels: torch.Tensor):
        self.count.vae_encodings += len(pixels)
        return self.source.vae.encode(pixels).latent_dist

    def context(self, captions: list[int]) -> torch.Tensor:
        self.count.text_encodings += len(captions)
        return self.source.text_encoder(self.ids[[caption % 64 for caption in captions]])[0]

    def unet(self, noised: torch.Tensor, t: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        self.count.unet_evaluations += len(noised)
        return self.source.unet(noised, t, encoder_hidden_states=context).sample


def diffusion_itm(teacher: CountingTeacher, cases: list[list[Path]], samples: int, noise: torch.Tensor) -> None:
    """score_batch and the pipeline's __call__: a batch of examples, caption by caption, image by image."""
    scaling = teacher.source.vae.config.scaling_factor
    for first in range(0, len(cases), ITM_BATCH):
        batch = cases[first : first + ITM_BATCH]
        images = [torch.stack([teacher.pixels(case[i]) for case in batch]) for i in range(2)]
        for c in range(2):
            for i in range(2):
                context = teacher.context([2 * (first + row) + c for row in range(len(batch))])
                dists = []
                for k in range(samples):
                    t = torch.full((len(batch),), 10 + 980 * k // samples)
                    z = teacher.posterior(images[i]).sample() * scaling
                    eps = noise[k].expand(len(batch), -1, -1, -1)
                    prediction = teacher.unet(teacher.scheduler.add_noise(z, eps, t), t, context)
                    dists.append(torch.norm((eps - prediction).flatten(1), p=2, dim=1))
                torch.stack(dists).mean(dim=0)


def diffusion_classifier(teacher: CountingTeacher, cases: list[list[Path]], samples: int, noise: torch.Tensor) -> None:
    """run_winoground.py: an example at a time, its four pairs one after another, timesteps in batches."""
    abar = teacher.scheduler.alphas_cumprod
    ts = [1000 // samples // 2 + k * (1000 // samples) for k in range(samples)]
    for number, case in enumerate(cases):
        latents = [
            teacher.posterior(teacher.pixels(path).unsqueeze(0)).mean * teacher.source.vae.config.scaling_factor
            for path in case
        ]
        contexts = [teacher.context([2 * number + c]) for c in range(2)]
        for c in range(2):
            for i in range(2):
                for first in range(0, samples, CLASSIFIER_BATCH):
                    t = torch.tensor(ts[first : first + CLASSIFIER_BATCH])
                    eps = noise[first : first + len(t)]
                    a = abar[t].view(-1, 1, 1, 1)
                    noised = latents[i] * a.sqrt() + eps * (1 - a).sqrt()
                    prediction = teacher.unet(noised, t, contexts[c].expand(len(t), -1, -1))
                    (eps - prediction).square().mean(dim=(1, 2, 3))


def config_path(scratch: Path) -> str:
    """The configuration to export; the shapes world's networks are given OpenAI's tokenizer."""
    if CONFIG != "shapes-teacher":
        return CONFIG
    config = json.loads((SCRIPTS / "shapes" / "shapes-teacher.json").read_text(encoding="utf-8"))
    config["text_encoder"]["vocab_size"] = 49408
    config["tokenizer"] = {"merges": "openai", "pad": "eot"}
    path = scratch / "shapes-teacher.json"
    path.write_text(json.dumps(config))
    return str(path)


class DiffusionScoreSpeed(unittest.TestCase):
    def test_twice_as_fast_as_the_first_and_not_slower_than_the_second(self) -> None:
        torch.set_num_threads(1)
        torch.set_grad_enabled(False)
        samples = int(SAMPLES)
        with tempfile.TemporaryDirectory() as scratch:
            folder, bundle = Path(scratch, "data"), Path(scratch, "teacher")
            examples = score_data.winoground(folder, random.Random(1), cases=int(CASES), tie=False)
            cases = [[folder / "images" / example[f"image_{k}"] for k in range(2)] for example in examples]
            config = config_path(Path(scratch))
            code, _, stderr = run_script(export_teacher, "--random", 3, "--config", config, "--out", bundle)
            self.assertEqual(code, 0, stderr)
            teacher = CountingTeacher(teacher_models.load_random(config, 3))
            latent = teacher.source.latent()
            noise = torch.randn(samples, latent["channels"], latent["size"], latent["size"])
            found: dict[str, list[Measurement]] = {"ours": [], "diffusion-itm": [], "diffusion-classifier": []}
            for turn in range(int(TURNS)):
                for name, loop in (("diffusion-itm", diffusion_itm), ("diffusion-classifier", diffusion_classifier)):
                    teacher.count = Measurement()
                    start = time.process_time()
                    loop(teacher, cases, samples, noise)
                    teacher.count.seconds = time.process_time() - start
                    found[name].append(teacher.count)
                ours = score_data.run_probe(
                    PROBE, "measure", "winoground", folder, bundle, Path(scratch, f"{turn}.sqlite"),
                    f"sampling.samples={samples}",
                )  # fmt: skip
                found["ours"].append(
                    Measurement(
                        ours["unet_evaluations"], ours["vae_encodings"], ours["text_encodings"], ours["processor_seconds"]
                    )
                )
        best = {name: min(turns, key=lambda turn: turn.seconds) for name, turns in found.items()}
        print(f"\n{Path(CONFIG).stem}, {len(cases)} Winoground cases, {samples} samples, one thread, float32")
        print(f"{'':21}{'UNet':>8}{'VAE':>8}{'text':>8}{'seconds':>10}{'ratio':>8}")
        for name, one in best.items():
            ratio = one.seconds / best["ours"].seconds
            counts = f"{one.unet_evaluations:8}{one.vae_encodings:8}{one.text_encodings:8}"
            print(f"{name:21}{counts}{one.seconds:10.3f}{ratio:8.2f}")
        self.assertGreaterEqual(best["diffusion-itm"].seconds, 2 * best["ours"].seconds)
        self.assertGreaterEqual(best["diffusion-classifier"].seconds, best["ours"].seconds)


if __name__ == "__main__":
    unittest.main()
