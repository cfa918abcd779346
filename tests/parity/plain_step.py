"""One training step as a researcher writes it from the paper: open_clip, diffusers, autograd over the whole batch.

It shares no code with the C++ program, and has no cache and no micro-batches, so that it can check the program's step.
The caller passes the draws.
"""

from dataclasses import dataclass, field

import open_clip
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from torch import nn

Losses = dict[str, torch.Tensor]


@dataclass
class StepSettings:
    """The options of the losses, under the names of a training configuration."""

    contrastive_weight: float = 1.0
    contrastive_kind: str = "softmax"
    sds_lambda: float = 0.0
    noising: str = "ddpm"
    embedding: str = "projected"
    reduction: str = "sum"
    jacobian: str = "full"
    error: str = "eps"
    weight: str = "one"
    samples: int = 1
    feature_weight: float = 0.0
    feature_block: int = -1
    feature_reduction: str = "sum"
    rank_weight: float = 0.0
    rank_temperature: float = 0.01
    warm_up: bool = False  # h_w alone, on L_SDS alone


@dataclass
class StepInputs:
    """A batch and its draws."""

    images: torch.Tensor  # f32[B, 3, H, W], normalised for CLIP
    text_ids: torch.Tensor  # i64[B, L]
    teacher_ids: torch.Tensor | None = None  # i64[B, L']
    teacher_images: torch.Tensor | None = None  # f32[B, 3, H', W'], normalised for the VAE
    hard_negative_ids: torch.Tensor | None = None  # i64[K, L]
    timesteps: torch.Tensor | None = None  # i64[B * samples], image by image
    noise: torch.Tensor | None = None  # f32[B * samples, C, h, w]
    candidates: list[tuple[int, torch.Tensor, torch.Tensor]] = field(default_factory=list)  # image, ids, distances


@dataclass
class Teacher:
    """The frozen diffusion model, from diffusers and transformers."""

    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text_encoder: nn.Module
    scheduler: DDPMScheduler


class WithGradient(torch.autograd.Function):
    """Returns a value with the given gradient in `z`: the vector-Jacobian trick of DreamFusion's reimplementations."""

    @staticmethod
    def forward(ctx, value: torch.Tensor, z: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(gradient)
        return value.detach().clone()

    @staticmethod
    def backward(ctx, upstream: torch.Tensor) -> tuple:
        (gradient,) = ctx.saved_tensors
        return None, upstream * gradient, None


class AutocastClip:
    """CLIP's two encoders under autocast; embeddings have the images' own type."""

    def __init__(self, clip: nn.Module, precision: str):
        self.clip, self.enabled, self.logit_scale = clip, precision == "bf16", clip.logit_scale

    def encode_image(self, images: torch.Tensor) -> torch.Tensor:
        with torch.autocast(self.logit_scale.device.type, torch.bfloat16, enabled=self.enabled):
            return self.clip.encode_image(images).to(images.dtype)

    def encode_text(self, ids: torch.Tensor) -> torch.Tensor:
        with torch.autocast(self.logit_scale.device.type, torch.bfloat16, enabled=self.enabled):
            return self.clip.encode_text(ids).to(self.logit_scale.dtype)


def contrastive(
    images: torch.Tensor, texts: torch.Tensor, negatives: torch.Tensor, scale: torch.Tensor
) -> torch.Tensor:
    """open_clip's loss; with hard negatives it is NegCLIP's, in which only the images see them."""
    images, texts, negatives = (F.normalize(features, dim=-1) for features in (images, texts, negatives))
    if len(negatives) == 0:
        return open_clip.ClipLoss()(images, texts, scale)
    own = torch.arange(len(images), device=images.device)
    by_image = F.cross_entropy(scale * images @ torch.cat([texts, negatives]).T, own)
    by_text = F.cross_entropy(scale * texts @ images.T, own)
    return (by_image + by_text) / 2


def sigmoid_contrastive(
    images: torch.Tensor, texts: torch.Tensor, negatives: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    """open_clip's loss for SigLIP; each hard negative is one more pair that does not match."""
    images, texts, negatives = (F.normalize(features, dim=-1) for features in (images, texts, negatives))
    loss = open_clip.loss.SigLipLoss()(images, texts, scale, bias)
    for negative in negatives:
        for image in images:
            loss = loss - F.logsigmoid(-(scale * image @ negative + bias)).squeeze() / len(images)
    return loss


def sds(
    embeddings: torch.Tensor, h_w: nn.Linear, teacher: Teacher, inputs: StepInputs, how: StepSettings
) -> torch.Tensor:
    """Eq. 3, the mean over images and draws."""
    items = torch.arange(len(embeddings), device=embeddings.device).repeat_interleave(how.samples)
    z = h_w(F.normalize(embeddings, dim=-1) if how.embedding == "unit" else embeddings)[items]
    z = z.view(inputs.noise.shape)
    context = text_context(teacher, inputs)[items]
    t, eps = inputs.timesteps, inputs.noise
    abar = teacher.scheduler.alphas_cumprod.to(z)[t].view(-1, 1, 1, 1)
    noised = teacher.scheduler.add_noise(z, eps, t) if how.noising == "ddpm" else z
    prediction = teacher.unet(noised.to(teacher.unet.dtype), t, context).sample.to(z.dtype)
    # Both kinds of network use v = (eps - sqrt(1 - abar) z_t) / sqrt(abar) (Salimans and Ho, 2022).
    if teacher.scheduler.config.prediction_type == "epsilon":
        eps_hat, v_hat = prediction, (prediction - (1 - abar).sqrt() * noised) / abar.sqrt()
    else:
        eps_hat, v_hat = abar.sqrt() * prediction + (1 - abar).sqrt() * noised, prediction
    error = eps_hat - eps if how.error == "eps" else v_hat - teacher.scheduler.get_velocity(z, eps, t)
    weight = 1 - abar if how.weight == "1-abar" else torch.ones_like(abar)
    if how.reduction == "mean":
        weight = weight / eps[0].numel()
    value = (weight * error.square()).sum() / len(items)
    if how.jacobian == "full":
        return value
    # DreamFusion drops the UNet's Jacobian from the chain rule; 2 w (eps_hat - eps) dz_t/dz remains.
    dz_t = abar.sqrt() if how.noising == "ddpm" else 1.0
    scale = weight / abar if how.error == "v" else weight
    return WithGradient.apply(value, z, (2 * scale * dz_t * (eps_hat - eps) / len(items)).detach())


def text_context(teacher: Teacher, inputs: StepInputs) -> torch.Tensor:
    with torch.no_grad():
        return teacher.text_encoder(inputs.teacher_ids)[0]


def feature(
    embeddings: torch.Tensor, h_w: nn.Linear, teacher: Teacher, inputs: StepInputs, how: StepSettings
) -> torch.Tensor:
    """Eq. 6: h_w must reproduce the UNet's output for the real image's noised latent."""
    kept = {}
    blocks = [*teacher.unet.down_blocks, teacher.unet.mid_block, *teacher.unet.up_blocks]

    def keep(block: nn.Module, arguments: tuple, output: torch.Tensor | tuple) -> None:
        kept["output"] = output[0] if isinstance(output, tuple) else output

    with torch.no_grad():
        v = teacher.vae.encode(inputs.teacher_images).latent_dist.mode() * teacher.vae.config.scaling_factor
        noised = teacher.scheduler.add_noise(v, inputs.noise, inputs.timesteps)
        handle = blocks[how.feature_block].register_forward_hook(keep) if how.feature_block >= 0 else None
        target = teacher.unet(noised, inputs.timesteps, text_context(teacher, inputs)).sample
        if handle is not None:
            handle.remove()
            target = kept["output"]
    errors = (h_w(embeddings) - target.flatten(1)).square()
    per_image = errors.sum(dim=1) if how.feature_reduction == "sum" else errors.mean(dim=1)
    return per_image.mean()


def ranking(clip: AutocastClip, embeddings: torch.Tensor, inputs: StepInputs, how: StepSettings) -> torch.Tensor:
    """L_rank, image by image: KL(teacher's soft targets || student)."""
    terms = []
    for image, ids, distances in inputs.candidates:
        cosines = F.cosine_similarity(embeddings[image : image + 1], clip.encode_text(ids))
        student = F.log_softmax(clip.logit_scale.exp() * cosines, dim=0)
        terms.append(F.kl_div(student, F.softmax(-distances / how.rank_temperature, dim=0), reduction="sum"))
    return torch.stack(terms).mean()


def plain_step(
    model: nn.Module,
    teacher: Teacher | None,
    maps: dict[str, nn.Linear],
    inputs: StepInputs,
    how: StepSettings,
    precision: str = "fp32",
) -> Losses:
    """All terms of L_total and their weighted sum, `total`, ready for `backward`. `maps`: h_w of `sds`, `feature`.

    `bf16`: CLIP under autocast, and the teacher, which the caller has cast, in its own type.
    """
    clip = AutocastClip(model, precision)
    embeddings = clip.encode_image(inputs.images)
    losses: Losses = {}
    weights = {
        "contrastive": 0 if how.warm_up else how.contrastive_weight,
        "sds": how.sds_lambda,
        "feature": how.feature_weight,
        "rank": 0 if how.warm_up else how.rank_weight,
    }
    if weights["contrastive"]:
        texts = clip.encode_text(inputs.text_ids)
        no_negatives = inputs.hard_negative_ids is None
        negatives = texts[:0] if no_negatives else clip.encode_text(inputs.hard_negative_ids)
        scale = clip.logit_scale.exp()
        if how.contrastive_kind == "sigmoid":
            losses["contrastive"] = sigmoid_contrastive(embeddings, texts, negatives, scale, model.logit_bias)
        else:
            losses["contrastive"] = contrastive(embeddings, texts, negatives, scale)
    if how.warm_up:
        embeddings = embeddings.detach()
    if weights["sds"]:
        losses["sds"] = sds(embeddings, maps["sds"], teacher, inputs, how)
    if weights["feature"]:
        losses["feature"] = feature(embeddings, maps["feature"], teacher, inputs, how)
    if weights["rank"]:
        losses["rank"] = ranking(clip, embeddings, inputs, how)
    losses["total"] = sum(weights[name] * loss for name, loss in losses.items())
    return losses
