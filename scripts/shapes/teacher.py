"""Trains the small latent diffusion model of the shapes world, on scenes with both bindings of every combination.

It uses the classes of diffusers and transformers. First the autoencoder is trained, then the text encoder alone
(`reading.py`), then UNet and text encoder together on the autoencoder's latents. The noise schedule is Stable
Diffusion's, with v-prediction as in its version 2.1.
"""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from batches import CaptionMix, caption_batches, set_learning_rate
from reading import ReadingOptions, teach_reading
from scores import swap_scores_by_tag
from world import CaptionedImages, SwapCases, normalised

CONFIG = Path(__file__).parent / "shapes-teacher.json"
HALF = [0.5, 0.5, 0.5]  # mean and standard deviation of the teacher's pixels


@dataclass
class TeacherOptions:
    """Options of the teacher's training; all values were chosen on validation."""

    vae_steps: int = 1000  # optimizer steps of the autoencoder
    vae_batch_size: int = 32  # images per step
    vae_lr: float = 2e-3  # peak learning rate of the autoencoder
    kl_weight: float = 1e-4  # weight of the latent's KL term; the squared error is summed over an image
    reading: ReadingOptions = field(default_factory=ReadingOptions)  # training of the text encoder alone
    steps: int = 6000  # optimizer steps of UNet and text encoder
    batch_size: int = 32  # image-caption pairs per step
    lr: float = 1e-3  # peak learning rate of the UNet
    text_lr: float = 1e-4  # peak learning rate of the text encoder, which is trained by then
    warmup_steps: int = 100  # linear warm-up of both
    mix: CaptionMix = CaptionMix()
    least_weight: float = 0.25  # smallest weight of a timestep; see `timestep_weights`
    most_weight: float = 5.0  # largest weight of a timestep
    ema_decay: float = 0.999  # decay of the averaged weights that are kept
    seed: int = 1  # initial weights, order of the data, noise
    report_every: int = 500  # steps between evaluations on validation
    score_samples: int = 16  # noise draws per image of the diffusion score
    score_cases: int = 400  # swap cases scored during training


class Teacher:
    """Autoencoder, UNet and text encoder with their tokenizer and noise schedule."""

    def __init__(self, tokenizer: CLIPTokenizer):
        config = json.loads(CONFIG.read_text(encoding="utf-8"))
        self.vae = AutoencoderKL(**config["vae"])
        self.unet = UNet2DConditionModel(**config["unet"])
        self.text_encoder = CLIPTextModel(CLIPTextConfig(**config["text_encoder"]))
        self.scheduler = DDPMScheduler(**config["scheduler"])
        self.tokenizer = tokenizer

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """Maps u8 pixels [B, 3, H, W] to scaled latents f32 [B, C, h, w], the posterior's mean."""
        latents = [self.vae.encode(batch).latent_dist.mean for batch in normalised(pixels, HALF, HALF).split(256)]
        return torch.cat(latents) * self.vae.config.scaling_factor

    def token_ids(self, captions: list[str]) -> torch.Tensor:
        """Returns i64 [B, context_length], padded as Stable Diffusion 1 does."""
        length = self.text_encoder.config.max_position_embeddings
        encoded = self.tokenizer(
            captions, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
        )
        return encoded.input_ids

    def velocity_error(
        self, latents: torch.Tensor, ids: torch.Tensor, timestep: torch.Tensor, noise: torch.Tensor
    ) -> torch.Tensor:
        """Returns the squared error of the predicted velocity (Salimans and Ho 2022), f32 [B], mean over the latent.

        Multiplied by `alphas_cumprod` it is the squared error of the noise that the prediction implies.
        """
        noised = self.scheduler.add_noise(latents, noise, timestep)
        velocity = self.scheduler.get_velocity(latents, noise, timestep)
        predicted = self.unet(noised, timestep, self.text_encoder(ids)[0], return_dict=False)[0]
        return (predicted - velocity).square().mean(dim=(1, 2, 3))

    @torch.no_grad()
    def diffusion_scores(self, cases: SwapCases, samples: int, seed: int) -> torch.Tensor:
        """Returns minus the mean noise error f[N, 2, 2] of each case's images and captions, over common noise draws.

        SDS-CLIP eqs. 1-2. The timesteps are the middles of equal parts of the schedule.
        """
        generator = torch.Generator().manual_seed(seed)
        steps = self.scheduler.config.num_train_timesteps
        timesteps = ((torch.arange(samples) + 0.5) * steps / samples).long()
        noise = torch.randn(samples, *self.latent_shape(), generator=generator)
        latents = self.encode(cases.pixels.flatten(0, 1)).unflatten(0, (-1, 2))
        ids = self.token_ids([caption for pair in cases.captions for caption in pair]).unflatten(0, (-1, 2))
        scores = torch.empty(len(latents), 2, 2)
        for case, image, caption in torch.cartesian_prod(torch.arange(len(latents)), torch.arange(2), torch.arange(2)):
            latent = latents[case, image].expand(samples, -1, -1, -1)
            errors = self.velocity_error(latent, ids[case, caption].expand(samples, -1), timesteps, noise)
            scores[case, image, caption] = -(self.scheduler.alphas_cumprod[timesteps] * errors).mean()
        return scores

    def latent_shape(self) -> tuple[int, int, int]:
        return self.unet.config.in_channels, self.unet.config.sample_size, self.unet.config.sample_size

    def save(self, folder: Path) -> None:
        """Writes a diffusers folder."""
        self.vae.save_pretrained(folder / "vae")
        self.unet.save_pretrained(folder / "unet")
        self.text_encoder.save_pretrained(folder / "text_encoder")
        self.tokenizer.save_pretrained(folder / "tokenizer")
        self.scheduler.save_pretrained(folder / "scheduler")


def train_teacher(
    options: TeacherOptions, data: CaptionedImages, swaps: SwapCases, tokenizer: CLIPTokenizer
) -> Teacher:
    """Trains from random weights. The same options give the same weights."""
    torch.manual_seed(options.seed)
    teacher = Teacher(tokenizer)
    train_autoencoder(options, teacher, data.pixels)
    teach_reading(options.reading, teacher.text_encoder, data, teacher.token_ids, options.seed)
    train_denoiser(options, teacher, data, swaps)
    return teacher


def train_autoencoder(options: TeacherOptions, teacher: Teacher, pixels: torch.Tensor) -> None:
    """Trains with squared error plus a small KL term, then sets the scaling factor for latents of unit variance."""
    vae = teacher.vae.train()
    optimizer = torch.optim.AdamW(vae.parameters(), lr=options.vae_lr, weight_decay=0.0)
    generator = torch.Generator().manual_seed(options.seed)
    started = time.process_time()
    for step in range(1, options.vae_steps + 1):
        set_learning_rate(optimizer, [options.vae_lr], step, options.warmup_steps, options.vae_steps)
        picked = torch.randint(0, len(pixels), (options.vae_batch_size,), generator=generator)
        images = normalised(pixels[picked], HALF, HALF)
        posterior = vae.encode(images).latent_dist
        rebuilt = vae.decode(posterior.sample(generator)).sample
        squared_error = (rebuilt - images).square().sum(dim=(1, 2, 3)).mean()
        loss = squared_error + options.kl_weight * posterior.kl().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(vae.parameters(), 10.0)
        optimizer.step()
        if step % options.report_every == 0 or step == options.vae_steps:
            error = squared_error.item() / images[0].numel()
            print(f"autoencoder {step}: mse {error:.5f}, {time.process_time() - started:.0f} s", flush=True)
    vae.eval().requires_grad_(False)
    with torch.no_grad():
        spread = vae.encode(normalised(pixels[:2000], HALF, HALF)).latent_dist.mean.std()
    vae.register_to_config(scaling_factor=round(1.0 / spread.item(), 5))


def train_denoiser(options: TeacherOptions, teacher: Teacher, data: CaptionedImages, swaps: SwapCases) -> None:
    """Trains UNet and text encoder together and keeps the averaged weights.

    The UNet predicts the velocity, not the noise. The place of a shape matters only at the largest timesteps, where the
    noise hides the colours too. An error of the noise is almost zero there.
    """
    with torch.no_grad():
        latents = teacher.encode(data.pixels)
    networks = nn.ModuleList([teacher.unet, teacher.text_encoder]).train()
    average = {name: tensor.clone() for name, tensor in networks.state_dict().items()}
    groups = [{"params": teacher.unet.parameters()}, {"params": teacher.text_encoder.parameters()}]
    optimizer = torch.optim.AdamW(groups, lr=options.lr, weight_decay=0.0, fused=True)
    weights = timestep_weights(teacher.scheduler.alphas_cumprod, options)
    started = time.process_time()
    generator = torch.Generator().manual_seed(options.seed)
    batches = caption_batches(data, teacher.token_ids, options.steps, options.batch_size, options.mix, generator)
    for step, (picked, ids) in enumerate(batches, start=1):
        set_learning_rate(optimizer, [options.lr, options.text_lr], step, options.warmup_steps, options.steps)
        timestep = torch.multinomial(weights, len(picked), replacement=True, generator=generator)
        noise = torch.randn(len(picked), *teacher.latent_shape(), generator=generator)
        loss = teacher.velocity_error(latents[picked], ids, timestep, noise).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(networks.parameters(), 1.0)
        optimizer.step()
        update_average(average, networks, min(options.ema_decay, step / (step + 10)))
        if step % options.report_every == 0 or step == options.steps:
            trained = {name: tensor.clone() for name, tensor in networks.state_dict().items()}
            networks.load_state_dict(average)
            scores = teacher_scores(options, teacher, swaps)
            seconds = time.process_time() - started
            print(f"teacher {step}: loss {loss.item():.4f}, {seconds:.0f} s, {scores}", flush=True)
            if step < options.steps:
                networks.load_state_dict(trained)
    networks.eval().requires_grad_(False)


def timestep_weights(alphas_cumprod: torch.Tensor, options: TeacherOptions) -> torch.Tensor:
    """Returns how often each timestep is drawn, f32 [T], up to a factor: noise over signal, within the options' bounds.

    The small timesteps teach little: the noise hides almost nothing there that the caption could tell.
    """
    return ((1 - alphas_cumprod) / alphas_cumprod).clamp(options.least_weight, options.most_weight)


def teacher_scores(options: TeacherOptions, teacher: Teacher, swaps: SwapCases) -> dict:
    """Returns the Winoground scores of the diffusion score, on the first `options.score_cases` cases."""
    cases = SwapCases(
        swaps.pixels[: options.score_cases], swaps.captions[: options.score_cases], swaps.tags[: options.score_cases]
    )
    return swap_scores_by_tag(teacher.diffusion_scores(cases, options.score_samples, seed=0), cases.tags)


def update_average(average: dict[str, torch.Tensor], networks: nn.Module, decay: float) -> None:
    """Updates the exponential moving average of the weights, in place."""
    for name, tensor in networks.state_dict().items():
        if tensor.is_floating_point():
            average[name].lerp_(tensor, 1 - decay)
