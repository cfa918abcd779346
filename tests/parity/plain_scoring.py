"""The diffusion score as two public repositories compute it: diffusion-itm and diffusion-classifier."""

from dataclasses import dataclass
from pathlib import Path

import export_support  # noqa: F401  puts the exporters on the path
import torch
from diffusers import DDPMScheduler
from PIL import Image
from torchvision import transforms

from sdsclip_export import teacher_models

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

    def __init__(
        self, source: teacher_models.TeacherSource, device: str = "cpu", precision: torch.dtype = torch.float32
    ):
        self.source, self.device, self.precision = source, device, precision
        for network in (source.unet, source.vae, source.text_encoder):
            network.to(device, precision)
        self.scheduler = DDPMScheduler(
            num_train_timesteps=source.schedule["train_timesteps"],
            beta_schedule=source.schedule["beta_schedule"],
            beta_start=source.schedule["beta_start"],
            beta_end=source.schedule["beta_end"],
        )
        # Ids are given to all three alike: how they are made is no part of the comparison.
        self.ids = source.tokenizer.example_ids(64, seed=1).to(device)
        self.count = Measurement()
        self.transform = transforms.Compose([
            transforms.Resize(source.image_size(), interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(source.image_size()), transforms.ToTensor(), transforms.Normalize([0.5], [0.5]),
        ])  # fmt: skip

    def pixels(self, path: Path) -> torch.Tensor:
        return self.transform(Image.open(path).convert("RGB"))

    def posterior(self, pixels: torch.Tensor):
        self.count.vae_encodings += len(pixels)
        return self.source.vae.encode(pixels.to(self.device, self.precision)).latent_dist

    def context(self, captions: list[int]) -> torch.Tensor:
        self.count.text_encodings += len(captions)
        return self.source.text_encoder(self.ids[[caption % 64 for caption in captions]])[0]

    def unet(self, noised: torch.Tensor, t: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        self.count.unet_evaluations += len(noised)
        return self.source.unet(noised.to(self.precision), t, encoder_hidden_states=context).sample.float()


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
                    t = torch.full((len(batch),), 10 + 980 * k // samples, device=teacher.device)
                    z = teacher.posterior(images[i]).sample() * scaling
                    eps = noise[k].expand(len(batch), -1, -1, -1)
                    prediction = teacher.unet(teacher.scheduler.add_noise(z, eps, t), t, context)
                    dists.append(torch.norm((eps - prediction).flatten(1), p=2, dim=1))
                torch.stack(dists).mean(dim=0)


def diffusion_classifier(teacher: CountingTeacher, cases: list[list[Path]], samples: int, noise: torch.Tensor) -> None:
    """run_winoground.py: an example at a time, its four pairs one after another, timesteps in batches."""
    abar = teacher.scheduler.alphas_cumprod.to(teacher.device)
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
                    t = torch.tensor(ts[first : first + CLASSIFIER_BATCH], device=teacher.device)
                    eps = noise[first : first + len(t)]
                    a = abar[t].view(-1, 1, 1, 1)
                    noised = latents[i] * a.sqrt() + eps * (1 - a).sqrt()
                    prediction = teacher.unet(noised, t, contexts[c].expand(len(t), -1, -1))
                    (eps - prediction).square().mean(dim=(1, 2, 3))
