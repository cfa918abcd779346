"""Trains the small CLIP model of the shapes world: good at classes and retrieval, near chance on swapped captions.

It sees every combination of attributes in one binding only ("a red circle and a blue square", never "a blue circle and
a red square"). A bag of words therefore describes its training data, as it nearly does for real captions.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import open_clip
import torch
from torch import nn
from torch.nn import functional

from scores import clip_similarity, recall_at_1, swap_scores_by_tag, zero_shot_accuracy
from world import CaptionedImages, ClassImages, SwapCases, normalised

CONFIG = Path(__file__).parent / "shapes-clip.json"


@dataclass
class StudentOptions:
    """Options of the student's training; all values were chosen on validation."""

    steps: int = 700  # optimizer steps; zero-shot accuracy is saturated by 600
    batch_size: int = 128  # image-caption pairs per step
    single_share: float = 0.35  # share of a batch that shows one object, less than the data's half
    lr: float = 1e-3  # peak learning rate after the warm-up; then a cosine down to zero
    warmup_steps: int = 100  # linear warm-up
    weight_decay: float = 0.05  # of matrices; biases, norms and the temperature have none
    seed: int = 1  # initial weights and order of the data
    report_every: int = 100  # steps between evaluations on validation


@dataclass
class StudentData:
    """The data of the student's training and evaluation."""

    train: CaptionedImages
    swaps: SwapCases
    classes: ClassImages
    retrieval: CaptionedImages


class Student:
    """The model with its tokenizer and preprocessing; maps pixels and texts to unit embeddings."""

    def __init__(self, model: nn.Module, tokenizer: open_clip.SimpleTokenizer):
        self.model = model
        self.tokenizer = tokenizer

    def preprocess(self, pixels: torch.Tensor) -> torch.Tensor:
        config = self.model.visual.preprocess_cfg
        return normalised(pixels, config["mean"], config["std"])

    @torch.no_grad()
    def embed_images(self, pixels: torch.Tensor) -> torch.Tensor:
        batches = [self.model.encode_image(self.preprocess(batch), normalize=True) for batch in pixels.split(256)]
        return torch.cat(batches)

    @torch.no_grad()
    def embed_texts(self, texts: list[str]) -> torch.Tensor:
        ids = self.tokenizer(texts)
        return torch.cat([self.model.encode_text(batch, normalize=True) for batch in ids.split(256)])

    def scores(self, data: StudentData) -> dict:
        """Returns all scores of the model card."""
        self.model.eval()
        similarity = clip_similarity(data.swaps, self.embed_images, self.embed_texts)
        return {
            "swaps": swap_scores_by_tag(similarity, data.swaps.tags),
            "zero_shot": zero_shot_accuracy(data.classes, self.embed_images, self.embed_texts),
            "recall@1": recall_at_1(data.retrieval, self.embed_images, self.embed_texts),
        }


def train_student(options: StudentOptions, data: StudentData, tokenizer: open_clip.SimpleTokenizer) -> Student:
    """Trains from random weights with the symmetric contrastive loss. The same options give the same weights."""
    torch.manual_seed(options.seed)
    open_clip.add_model_config(CONFIG)
    model = open_clip.create_model(CONFIG.stem)
    student = Student(model, tokenizer)
    optimizer = torch.optim.AdamW(parameter_groups(model, options.weight_decay), lr=options.lr, betas=(0.9, 0.98))
    started = time.process_time()
    for step, (pixels, ids) in enumerate(batches(data.train, tokenizer, options), start=1):
        for group in optimizer.param_groups:
            group["lr"] = options.lr * schedule(step, options.warmup_steps, options.steps)
        model.train()
        loss = contrastive_loss(model, student.preprocess(pixels), ids)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, math.log(100))
        if step % options.report_every == 0 or step == options.steps:
            seconds = time.process_time() - started
            print(f"student {step}: loss {loss.item():.3f}, {seconds:.0f} s, {student.scores(data)}", flush=True)
    return student


def contrastive_loss(model: nn.Module, images: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Returns the symmetric cross entropy over the batch (Radford et al. 2021)."""
    image_embeds = model.encode_image(images, normalize=True)
    text_embeds = model.encode_text(ids, normalize=True)
    logits = model.logit_scale.exp() * image_embeds @ text_embeds.T
    target = torch.arange(len(logits))
    return (functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)) / 2


def batches(
    data: CaptionedImages, tokenizer: open_clip.SimpleTokenizer, options: StudentOptions
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yields `options.steps` batches of pixels and token ids, each image with one of its captions."""
    generator = torch.Generator().manual_seed(options.seed)
    ids = torch.stack([tokenizer(captions) for captions in data.captions])
    is_single = torch.tensor([scene["binding"] == "none" for scene in data.scenes])
    singles_a_batch = round(options.single_share * options.batch_size)
    singles = endless_order(torch.nonzero(is_single)[:, 0], singles_a_batch, generator)
    pairs = endless_order(torch.nonzero(~is_single)[:, 0], options.batch_size - singles_a_batch, generator)
    for _ in range(options.steps):
        picked = torch.cat([next(singles), next(pairs)])
        caption = torch.randint(0, ids.shape[1], (len(picked),), generator=generator)
        yield data.pixels[picked], ids[picked, caption]


def endless_order(items: torch.Tensor, count: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """Yields `count` items at a time, in a new order per epoch. An incomplete last batch of an epoch is dropped."""
    while True:
        for part in items[torch.randperm(len(items), generator=generator)].split(count):
            if len(part) == count:
                yield part


def schedule(step: int, warmup_steps: int, steps: int) -> float:
    """Returns the factor of the learning rate: a linear warm-up, then a cosine down to zero."""
    if step <= warmup_steps:
        return step / warmup_steps
    return 0.5 * (1 + math.cos(math.pi * (step - warmup_steps) / (steps - warmup_steps)))


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Returns AdamW's groups: weight decay for matrices and embeddings, none for vectors and scalars."""
    decayed = [parameter for parameter in model.parameters() if parameter.ndim >= 2]
    others = [parameter for parameter in model.parameters() if parameter.ndim < 2]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
