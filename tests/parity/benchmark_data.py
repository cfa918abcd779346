"""Small data sets in each benchmark's native layout, with random texts and tags. Images are named, never opened."""

import csv
import io
import json
import random
import tarfile
from pathlib import Path

CLEVR_TASKS = [
    "pair_binding_size", "pair_binding_color", "recognition_color", "recognition_shape",
    "spatial", "binding_color_shape", "binding_shape_color",
]  # fmt: skip
SUGARCREPE_SPLITS = ["add_obj", "add_att", "replace_obj", "replace_att", "replace_rel", "swap_obj", "swap_att"]
WORDS = ["cat", "dog", "red", "blue", "mug", "small", "grass", "über", "the", "on"]


def caption(rng: random.Random) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(3, 7)))


def put_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"image")


def write_json(path: Path, value) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def winoground(folder: Path, rng: random.Random, cases: int = 120) -> None:
    lines = []
    for number in range(cases):
        stems = [f"ex_{number}_img_{k}" for k in range(2)]
        for stem in stems:
            put_image(folder / "images" / f"{stem}.png")
        lines.append(json.dumps({
            "id": number, "image_0": stems[0], "image_1": stems[1],
            "caption_0": caption(rng), "caption_1": caption(rng),
            "tag": rng.choice(["Noun", "Verb", "Scope, Preposition"]),
            "secondary_tag": rng.choice(["", "", "Pragmatics"]),
            "num_main_preds": rng.choice([1, 1, 2]),
            "collapsed_tag": rng.choice(["Object", "Relation", "Both"]),
        }))  # fmt: skip
    (folder / "examples.jsonl").write_text("\n".join(lines) + "\n")
    categories = ["Unusual Text", "Complex Reasoning", "Non Minimal"]
    write_json(
        folder / "new_tag_assignments.json",
        {str(number): rng.sample(categories, rng.randint(0, 2)) for number in range(cases)},
    )


def aro(folder: Path, rng: random.Random, cases: int = 200) -> None:
    for number in range(20):
        put_image(folder / "images" / f"{number}.jpg")
        put_image(folder / "coco" / f"{number}.jpg")

    def boxed(more: dict) -> dict:
        return {
            "image_path": f"{rng.randrange(20)}.jpg",
            "bbox_x": rng.randrange(3), "bbox_y": rng.randrange(3), "bbox_w": 40, "bbox_h": 30,
            "true_caption": caption(rng), "false_caption": caption(rng),
        } | more  # fmt: skip

    relations = ["on", "to the left of", "above", "near", "sitting next to", "by"]
    write_json(
        folder / "visual_genome_relation.json", [boxed({"relation_name": rng.choice(relations)}) for _ in range(cases)]
    )
    attributes = ["red", "blue", "small", "white"]
    write_json(
        folder / "visual_genome_attribution.json",
        [boxed({"attributes": [rng.choice(attributes), rng.choice(attributes[:2])]}) for _ in range(cases)],
    )
    for name in ["coco", "flickr"]:
        order = []
        for _ in range(cases // 2):
            true = caption(rng)
            order.append({
                "image": f"coco/{rng.randrange(20)}.jpg",
                "caption_options": [true] + [" ".join(rng.sample(true.split(), len(true.split()))) for _ in range(4)],
            })  # fmt: skip
        write_json(folder / f"{name}_order.json", order)


def clevr(folder: Path, rng: random.Random, images: int = 15) -> None:
    for number in range(images):
        put_image(folder / "images" / f"{number}.png")
    for task in CLEVR_TASKS:
        pairs = {f"{n}.png": [[caption(rng), caption(rng)] for _ in range(2)] for n in range(images)}
        write_json(folder / "captions" / f"{task}.json", pairs)
    (folder / "captions" / "CLEVR_questions.json").write_text("not one of the tasks")


def sugarcrepe(folder: Path, rng: random.Random) -> None:
    for number in range(12):
        put_image(folder / "val2017" / f"{number}.jpg")
    for split in SUGARCREPE_SPLITS:
        write_json(folder / f"{split}.json", {
            str(3 * key): {
                "filename": f"{rng.randrange(12)}.jpg", "caption": caption(rng), "negative_caption": caption(rng),
            } for key in range(rng.randint(5, 30))
        })  # fmt: skip


def mmvp(folder: Path, rng: random.Random, pairs_a_type: int = 15) -> None:
    types = ["Orientation", "Color, Appearance", "Texts"]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "Questions.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Question ID", "Type", "Statement"])
        for number in range(1, 2 * pairs_a_type * len(types) + 1):
            kind = types[(number - 1) // (2 * pairs_a_type)]
            writer.writerow([number, kind, caption(rng) + rng.choice(["", ', "so to speak"'])])
            put_image(folder / "MLLM_VLM Images" / kind / f"{number}.jpg")


def retrieval(folder: Path, rng: random.Random, images: int = 60) -> None:
    """COCO's own format. Every caption differs, because the reference does not define the order of ties."""
    entries, annotations = [], []
    for number in range(images):
        put_image(folder / "val2017" / f"{number:012}.jpg")
        entries.append({"id": 1000 - number, "file_name": f"{number:012}.jpg"})
        for _ in range(rng.choice([4, 5, 5, 6])):
            annotations.append({
                "image_id": 1000 - number, "id": len(annotations), "caption": f"{caption(rng)} {len(annotations)}",
            })  # fmt: skip
    rng.shuffle(annotations)
    write_json(folder / "annotations" / "captions_val2017.json", {"images": entries, "annotations": annotations})


def zeroshot_folder(folder: Path, rng: random.Random, classes: int = 9) -> None:
    names = [f"class number {index}" for index in range(classes)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "classnames.txt").write_text("\n".join(names) + "\n")
    (folder / "templates.txt").write_text("a photo of a {c}.\na {c} in the wild\n")
    for index, name in enumerate(names):
        (folder / name.replace(" ", "_")).mkdir()
        for number in range(0 if index == 4 else rng.randint(3, 20)):  # one class has no image
            put_image(folder / name.replace(" ", "_") / f"{number}.png")


def zeroshot_webdataset(folder: Path, rng: random.Random, classes: int = 9) -> None:
    (folder / "test").mkdir(parents=True)
    (folder / "classnames.txt").write_text("".join(f"thing {index}\n" for index in range(classes)))
    (folder / "zeroshot_classification_templates.txt").write_text("a photo of a {c}.\n")
    (folder / "test" / "nshards.txt").write_text("3")
    for shard in range(3):
        with tarfile.open(folder / "test" / f"{shard}.tar", "w") as tar:
            for number in range(25):
                key = f"s{shard * 25 + number:07}"
                for name, content in [(f"{key}.cls", str(rng.randrange(classes)).encode()), (f"{key}.jpg", b"image")]:
                    info = tarfile.TarInfo(name)
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
