"""Each benchmark's published rule, computed directly from its data files: a second implementation for comparison.

`score(image, caption)` is all that the rules need from a model. Each function returns {metric: (value, n)}.
"""

import csv
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

Score = Callable[[str, str], float]
Metrics = dict[str, tuple[float, int]]

# Of the 157 relations that ARO's notebook drops, those that occur in the test's data.
SYMMETRIC = ["near", "sitting next to", "by"]


def add_mean(metrics: Metrics, name: str, values) -> None:
    values = list(values)
    if values:
        metrics[name] = (float(np.mean(values)), len(values))


def winoground(folder: Path, score: Score) -> Metrics:
    """The data set card's `text_correct`, `image_correct`, `group_correct`."""
    categories = json.loads((folder / "new_tag_assignments.json").read_text())
    groups: dict[str, list[tuple[bool, bool, bool]]] = {}
    for line in (folder / "examples.jsonl").read_text().splitlines():
        example = json.loads(line)
        images = [f"images/{example[f'image_{k}']}.png" for k in range(2)]
        c0_i0, c0_i1 = (score(image, example["caption_0"]) for image in images)
        c1_i0, c1_i1 = (score(image, example["caption_1"]) for image in images)
        text = c0_i0 > c1_i0 and c1_i1 > c0_i1
        image = c0_i0 > c0_i1 and c1_i1 > c1_i0
        names = ["", f"tag/{example['collapsed_tag']}/", f"fine_tag/{example['tag']}/"]
        names += [f"preds/{example['num_main_preds']}/"]
        names += [f"secondary_tag/{example['secondary_tag']}/"] if example["secondary_tag"] else []
        names += [f"diwan/{category}/" for category in categories[str(example["id"])] or ["No Tag"]]
        for name in names:
            groups.setdefault(name, []).append((text, image, text and image))
    metrics: Metrics = {}
    for name, marks in groups.items():
        for column, kind in enumerate(["text", "image", "group"]):
            add_mean(metrics, f"winoground/{name}{kind}", [mark[column] for mark in marks])
    return metrics


def boxed_scores(folder: Path, case: dict, score: Score) -> np.ndarray:
    box = ",".join(str(case[f"bbox_{side}"]) for side in "xywh")
    image = f"images/{case['image_path']}#{box}"
    return np.array([score(image, case["false_caption"]), score(image, case["true_caption"])])


def aro(folder: Path, score: Score) -> Metrics:
    """`evaluate_scores` of aro_datasets.py and the notebook "Replicate ARO!"."""
    metrics: Metrics = {}
    micro = []
    for task, key in [("relation", "relation_name"), ("attribution", "attributes")]:
        cases = json.loads((folder / f"visual_genome_{task}.json").read_text())
        right = np.array([np.argmax(boxed_scores(folder, case, score)) == 1 for case in cases])
        groups = np.array([case[key] if task == "relation" else "_".join(case[key]) for case in cases])
        names, counts = np.unique(groups, return_counts=True)
        if task == "relation":
            kept = [name for name in names if name not in SYMMETRIC]
        else:
            kept = [name for name, count in zip(names, counts, strict=True) if count >= 25]
        filtered = np.isin(groups, kept)
        if kept:
            macro = float(np.mean([right[groups == name].mean() for name in kept]))
            metrics[f"aro/vg_{task}/macro"] = (macro, int(filtered.sum()))
        add_mean(metrics, f"aro/vg_{task}/micro_filtered", right[filtered])
        add_mean(metrics, f"aro/vg_{task}/micro", right)
        micro.append(right)
    metrics["aro/overall"] = ((micro[0].mean() + micro[1].mean()) / 2, len(micro[0]) + len(micro[1]))
    for name in ["coco", "flickr"]:
        cases = json.loads((folder / f"{name}_order.json").read_text())
        scores = [[score(case["image"], option) for option in case["caption_options"]] for case in cases]
        add_mean(metrics, f"aro/{name}_order/accuracy", np.argmax(np.array(scores), axis=-1) == 0)
    return metrics


def clevr(folder: Path, score: Score) -> Metrics:
    """diffusion-itm: `argmax == 0`, the true caption first."""
    metrics: Metrics = {}
    right_of_all = []
    for path in (folder / "captions").glob("*.json"):
        if path.name.startswith("CLEVR_"):
            continue
        right = []
        for image, pairs in json.loads(path.read_text()).items():
            right += [np.argmax([score(f"images/{image}", text) for text in pair]) == 0 for pair in pairs]
        add_mean(metrics, f"clevr/{path.stem}/accuracy", right)
        right_of_all += right
    add_mean(metrics, "clevr/accuracy", right_of_all)
    return metrics


def sugarcrepe(folder: Path, score: Score) -> Metrics:
    """The authors' evaluation: the caption's score is greater than the negative's."""
    metrics: Metrics = {}
    for path in folder.glob("*.json"):
        right = []
        for case in json.loads(path.read_text()).values():
            image = f"val2017/{case['filename']}"
            right.append(score(image, case["caption"]) > score(image, case["negative_caption"]))
        add_mean(metrics, f"sugarcrepe/{path.stem}/accuracy", right)
    values = list(metrics.values())
    metrics["sugarcrepe/accuracy"] = (float(np.mean([v for v, _ in values])), sum(n for _, n in values))
    return metrics


def mmvp(folder: Path, score: Score) -> Metrics:
    """evaluate_vlm.py: a softmax over both images for each statement, the first where it is above one half."""
    with (folder / "Questions.csv").open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    right: dict[str, list[bool]] = {}
    for (number_1, kind, statement_1), (number_2, _, statement_2) in zip(rows[::2], rows[1::2], strict=True):
        images = [f"MLLM_VLM Images/{kind}/{number}.jpg" for number in (number_1, number_2)]
        answers = []
        for statement in (statement_1, statement_2):
            logits = torch.tensor([score(image, f"a photo of {statement}") for image in images], dtype=torch.float64)
            answers.append("img1" if logits.softmax(dim=-1)[0] > 0.5 else "img2")
        right.setdefault(kind, []).append(answers == ["img1", "img2"])
    metrics: Metrics = {}
    for kind, marks in right.items():
        add_mean(metrics, f"mmvp/type/{kind}/accuracy", marks)
    metrics["mmvp/accuracy"] = (float(np.mean([np.mean(m) for m in right.values()])), sum(map(len, right.values())))
    return metrics


def retrieval(folder: Path, score: Score) -> Metrics:
    """CLIP_benchmark, zeroshot_retrieval.py: 1 where a positive is among `topk`; the order of ties is not defined."""
    file = json.loads((folder / "annotations" / "captions_val2017.json").read_text())
    images = [image["id"] for image in file["images"]]
    names = [f"val2017/{image['file_name']}" for image in file["images"]]
    texts = [annotation["caption"] for annotation in file["annotations"]]
    scores = torch.tensor([[score(name, text) for name in names] for text in texts], dtype=torch.float64)
    positive = torch.zeros_like(scores, dtype=torch.bool)
    for row, annotation in enumerate(file["annotations"]):
        positive[row, images.index(annotation["image_id"])] = True
    metrics: Metrics = {}
    for k in [1, 5, 10]:
        for kind, matrix, pairs in [("image", scores, positive), ("text", scores.T, positive.T)]:
            top = torch.topk(matrix, k, dim=1)[1]
            hits = torch.gather(pairs, 1, top).any(dim=1)
            metrics[f"retrieval/{kind}/recall@{k}"] = (hits.double().mean().item(), len(hits))
    return metrics


def labelled_images(folder: Path, names: list[str]) -> list[tuple[str, int]]:
    if not (folder / "test").exists():
        folders = [name.replace(" ", "_") for name in names]
        return [
            (f"{name}/{path.name}", label)
            for label, name in enumerate(folders)
            for path in sorted((folder / name).iterdir())
        ]
    images = []
    for path in sorted((folder / "test").glob("*.tar")):
        with tarfile.open(path) as tar:
            content = {member.name: tar.extractfile(member).read() for member in tar}
        for name in content:
            if name.endswith(".jpg"):
                images.append((f"test/{path.name}:{name}", int(content[name.replace(".jpg", ".cls")])))
    return images


def zeroshot(folder: Path, score: Score) -> Metrics:
    """CLIP_benchmark, zeroshot_classification.py: `topk` accuracy and scikit-learn's balanced accuracy."""
    names = (folder / "classnames.txt").read_text().splitlines()
    images = labelled_images(folder, names)
    output = torch.tensor([[score(image, name) for name in names] for image, _ in images], dtype=torch.float64)
    target = torch.tensor([label for _, label in images])
    correct = output.topk(5, dim=1)[1].eq(target[:, None])
    first = correct[:, 0].double()
    recalls = [first[target == label].mean().item() for label in target.unique()]
    return {
        "zeroshot/acc1": (first.mean().item(), len(images)),
        "zeroshot/acc5": (correct.any(dim=1).double().mean().item(), len(images)),
        "zeroshot/mean_per_class_recall": (float(np.mean(recalls)), len(images)),
    }
