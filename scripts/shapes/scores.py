"""Computes scores of the two models on validation or test, by the rules of the benchmarks they replace."""

from collections.abc import Callable

import torch

from world import CaptionedImages, ClassImages, SwapCases

Embed = Callable[..., torch.Tensor]


def swap_scores(similarity: torch.Tensor) -> dict[str, float]:
    """Returns Winoground's text, image and group score from f[N, 2, 2] [case, image, caption]; ties are wrong.

    Thrush et al. 2022, section 3.3.
    """
    right_caption = (similarity[:, 0, 0] > similarity[:, 0, 1]) & (similarity[:, 1, 1] > similarity[:, 1, 0])
    right_image = (similarity[:, 0, 0] > similarity[:, 1, 0]) & (similarity[:, 1, 1] > similarity[:, 0, 1])
    marks = {"text": right_caption, "image": right_image, "group": right_caption & right_image}
    return {name: share(mark) for name, mark in marks.items()}


def swap_scores_by_tag(similarity: torch.Tensor, tags: list[str]) -> dict[str, dict[str, float]]:
    """Returns `swap_scores` of all cases and of the cases of each tag."""
    scores = {"all": swap_scores(similarity)}
    for tag in sorted(set(tags)):
        scores[tag] = swap_scores(similarity[torch.tensor([other == tag for other in tags])])
    return scores


def clip_similarity(cases: SwapCases, embed_images: Embed, embed_texts: Embed) -> torch.Tensor:
    """Returns the cosines f[N, 2, 2] of each case's two images with its two captions."""
    images = embed_images(cases.pixels.flatten(0, 1)).unflatten(0, (-1, 2))
    texts = embed_texts([caption for pair in cases.captions for caption in pair]).unflatten(0, (-1, 2))
    return images @ texts.transpose(1, 2)


def zero_shot_accuracy(classes: ClassImages, embed_images: Embed, embed_texts: Embed) -> float:
    """Returns the share of images with the right nearest class.

    A class is the mean of its templates' unit embeddings.
    """
    prompts = [template.replace("{c}", name) for name in classes.class_names for template in classes.templates]
    centres = embed_texts(prompts).unflatten(0, (len(classes.class_names), -1)).mean(dim=1)
    nearest = (embed_images(classes.pixels) @ torch.nn.functional.normalize(centres, dim=-1).T).argmax(dim=1)
    return share(nearest == classes.labels)


def recall_at_1(data: CaptionedImages, embed_images: Embed, embed_texts: Embed) -> dict[str, float]:
    """Returns retrieval scores on images with several captions each, by the rule of COCO retrieval.

    An image is right if its best caption is one of its own. A caption is right if its best image is its own.
    """
    images = embed_images(data.pixels)
    texts = embed_texts([caption for captions in data.captions for caption in captions])
    owner = torch.tensor([image for image, captions in enumerate(data.captions) for _ in captions])
    similarity = images @ texts.T
    image_to_text = owner[similarity.argmax(dim=1)] == torch.arange(len(images))
    text_to_image = similarity.argmax(dim=0) == owner
    return {"image_to_text": share(image_to_text), "text_to_image": share(text_to_image)}


def share(marks: torch.Tensor) -> float:
    """Returns the share of true marks, to four digits."""
    return round(marks.double().mean().item(), 4)
