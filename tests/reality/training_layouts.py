"""Writes tiny training data sets in the layouts, and with the quirks, of published ones.

Each function writes one data set below a folder. It returns the options for `sdsclip`, and the content by an independent
reading (json, csv, webdataset): a list of (image's name, captions). docs/datasets.md has the sources of the layouts.
"""

import csv
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow
import webdataset
from PIL import Image
from pyarrow import parquet

CAPTIONS = [
    "A woman wearing a net on her head cutting a cake. ",
    'A sign that says "STOP", on a pole.\n',
    "Un café à côté d'une église",
    "two \U0001f600 dogs",
]


@dataclass
class Layout:
    options: dict[str, object]  # of the section `data`
    samples: list[tuple[str, list[str]]]  # by an independent reading
    bad: list[str] = field(default_factory=list)  # parts of the messages about bad records
    missing: list[str] = field(default_factory=list)  # images that the published data set lacks


def image(number: int, kind: str = "JPEG") -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (12 + number, 10), (number * 40 % 256, 90, 30)).save(content, kind)
    return content.getvalue()


def put(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def coco_2017(folder: Path) -> Layout:
    """Writes annotations_trainval2017.zip and train2017.zip, unpacked side by side."""
    images, annotations = [], []
    for number, image_id in enumerate((391895, 522418, 184613)):
        name = f"{image_id:012}.jpg"
        put(folder / "train2017" / name, image(number))
        images.append({
            "license": 3, "file_name": name, "coco_url": f"http://images.cocodataset.org/train2017/{name}",
            "height": 10, "width": 12 + number, "date_captured": "2013-11-14 11:18:45",
            "flickr_url": "http://farm9.staticflickr.com/a.jpg", "id": image_id,
        })  # fmt: skip
    for number, caption in enumerate(CAPTIONS * 3):  # not in the order of the images, as in the published file
        annotations.append({"image_id": images[number * 7 % 3]["id"], "id": 700 + number, "caption": caption})
    info = {"description": "COCO 2017 Dataset", "url": "http://cocodataset.org", "version": "1.0", "year": 2017}
    licenses = [{"url": "http://creativecommons.org/licenses/by-nc-sa/2.0/", "id": 1, "name": "Attribution"}]
    document = {"info": info, "licenses": licenses, "images": images, "annotations": annotations}
    path = put(folder / "annotations" / "captions_train2017.json", json.dumps(document))
    read = json.loads(path.read_text())
    samples = [
        (entry["file_name"], [a["caption"] for a in read["annotations"] if a["image_id"] == entry["id"]])
        for entry in read["images"]
    ]
    return Layout({"format": "coco", "annotations": path, "images": folder / "train2017"}, samples)


def coco_with_bad_records(folder: Path) -> Layout:
    """Writes a user's subset: an annotation without its image, NaN, a null caption, a lone surrogate, text ids."""
    layout = coco_2017(folder)
    path = Path(layout.options["annotations"])
    document = json.loads(path.read_text())
    for entry in document["images"]:
        entry["id"] = f"coco_{entry['id']}"
    for entry in document["annotations"]:
        entry["image_id"] = f"coco_{entry['image_id']}"
    document["images"][0]["aesthetic"] = float("nan")
    document["info"]["contributor"] = "\ud800"
    first = document["images"][0]["id"]
    for number, caption in ((3, None), (5, "\udc00 lone")):
        document["annotations"].insert(number, {"image_id": first, "id": number, "caption": caption})
    document["annotations"].insert(0, {"image_id": "coco_9", "id": 9, "caption": "of an image that is not listed"})
    put(path, json.dumps(document))
    bad = ["'caption' is null", "lone surrogate", 'no image has the id "coco_9"']
    return Layout(layout.options, layout.samples, bad)


def karpathy(folder: Path, name: str, with_folders: bool) -> Layout:
    """Writes caption_datasets.zip: dataset_coco.json has `filepath` and `cocoid`, the Flickr files do not."""
    images = []
    for number, split in enumerate(("train", "test", "restval", "val")):
        filepath = "val2014" if split != "train" else "train2014"
        filename = f"COCO_{filepath}_{number:012}.jpg" if with_folders else f"{1000 + number}.jpg"
        put(folder / (f"{filepath}/{filename}" if with_folders else f"images/{filename}"), image(number))
        sentences = [
            {"tokens": caption.lower().split(), "raw": caption, "imgid": number, "sentid": 5 * number + i}
            for i, caption in enumerate(CAPTIONS[: 2 + number % 2])
        ]
        entry = {"sentids": [s["sentid"] for s in sentences], "filename": filename, "imgid": number, "split": split,
                 "sentences": sentences}  # fmt: skip
        images.append({"filepath": filepath, **entry, "cocoid": number} if with_folders else entry)
    path = put(folder / name, json.dumps({"images": images, "dataset": "coco"}))
    samples = [
        ("/".join(filter(None, (e.get("filepath"), e["filename"]))), [s["raw"] for s in e["sentences"]])
        for e in json.loads(path.read_text())["images"]
        if e["split"] in ("train", "restval")
    ]
    images_folder = folder if with_folders else folder / "images"
    return Layout({"format": "karpathy", "annotations": path, "images": images_folder}, samples)


def blip(folder: Path) -> Layout:
    """Writes coco_karpathy_train.json: one record per caption; test files have one list per image."""
    records = []
    for number, caption in enumerate(CAPTIONS):
        name = f"val2014/COCO_val2014_{number // 2:012}.jpg"
        put(folder / name, image(number))
        records.append({"caption": caption, "image": name, "image_id": f"coco_{number // 2}"})
    records.append({"image": records[0]["image"], "caption": CAPTIONS})
    path = put(folder / "coco_karpathy_train.json", json.dumps(records))
    samples = [(r["image"], r["caption"] if isinstance(r["caption"], list) else [r["caption"]]) for r in records]
    return Layout({"format": "json", "annotations": path, "images": folder}, samples)


def hub_image_folder(folder: Path) -> Layout:
    """Writes the hub's `imagefolder`: metadata.jsonl beside the images."""
    lines = []
    for number, caption in enumerate(CAPTIONS):
        put(folder / f"{number:04}.png", image(number, "PNG"))
        lines.append({"file_name": f"{number:04}.png", "text": caption})
    path = put(folder / "metadata.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    samples = [(line["file_name"], [line["text"]]) for line in map(json.loads, path.read_text().splitlines())]
    return Layout({"format": "jsonl", "annotations": path, "images": folder}, samples)


def open_clip_table(folder: Path, name: str, separator: str) -> Layout:
    """Writes what open_clip's README makes with pandas: to_csv(sep="\t"), for any file ending."""
    path = folder / name
    for number in range(len(CAPTIONS)):
        put(folder / f"{number}.jpg", image(number))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=separator, lineterminator="\n")
        writer.writerow(["", "filepath", "title"])  # with pandas' index column
        writer.writerows([number, f"{number}.jpg", caption] for number, caption in enumerate(CAPTIONS))
    with path.open(encoding="utf-8", newline="") as file:
        samples = [(row["filepath"], [row["title"]]) for row in csv.DictReader(file, delimiter=separator)]
    return Layout({"format": "tsv", "annotations": path, "images": folder}, samples)


def flickr8k_tokens(folder: Path) -> Layout:
    """Writes Flickr8k_text.zip: Flickr8k.token.txt names an image `....jpg.1` that Flickr8k_Dataset.zip lacks."""
    lines = [f'{n % 2}_693b08cb0e.jpg#{n // 2}\t"A dog" runs , n {n} .' for n in range(4)]
    lines.insert(2, "2258277193_586949ec62.jpg.1#0\tA child and a woman are at waters edge in a big city .")
    path = put(folder / "Flickr8k.token.txt", "".join(line + "\n" for line in lines))
    for number in range(2):
        put(folder / "Flicker8k_Dataset" / f"{number}_693b08cb0e.jpg", image(number))
    samples = [(line.split("#")[0], [line.split("\t")[1]]) for line in lines]
    options = {"format": "tsv", "annotations": path, "images": folder / "Flicker8k_Dataset"}
    return Layout(options, samples, missing=["2258277193_586949ec62.jpg.1"])


def flickr8k_captions(folder: Path) -> Layout:
    """Writes the usual archive of Flickr8k: captions.txt, commas, Images/."""
    path = folder / "captions.txt"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "caption"])
        writer.writerows([["0_a.jpg", "A dog , a cat ."], ["0_a.jpg", 'A child says "hi" .'], ["1_b.jpg", "Plain ."]])
    for number, name in enumerate(("0_a.jpg", "1_b.jpg")):
        put(folder / "Images" / name, image(number))
    options = {"format": "tsv", "annotations": path, "images": folder / "Images", "image_column": "image",
               "caption_column": "caption"}  # fmt: skip
    with path.open(newline="") as file:
        samples = [(row["image"], [row["caption"]]) for row in csv.DictReader(file)]
    return Layout(options, samples)


def flickr30k_results(folder: Path) -> Layout:
    """Writes flickr30k_images/results.csv: `|` and spaces; the row of 2199200615.jpg lacks a separator."""
    path = put(folder / "results.csv", "image_name| comment_number| comment\n1000092795.jpg| 0| Two young guys .\n"
               "2199200615.jpg| 4   A dog runs across the grass .\n1000092795.jpg| 1| Two men , \"big\" ones .\n")  # fmt: skip
    put(folder / "flickr30k_images" / "1000092795.jpg", image(1))
    options = {"format": "tsv", "annotations": path, "images": folder / "flickr30k_images", "image_column": "image_name",
               "caption_column": "comment"}  # fmt: skip
    samples = [("1000092795.jpg", [" Two young guys ."]), ("1000092795.jpg", [' Two men , "big" ones .'])]
    return Layout(options, samples, bad=["row 2 (line 3)", "got 2 columns, expected 3"])


def flickr30k_hub(folder: Path) -> Layout:
    """Writes flickr_annotations_30k.csv: one row per image, captions as a JSON list in a cell, a column `split`."""
    path = folder / "flickr_annotations_30k.csv"
    rows = [("train", "1.jpg", CAPTIONS[:2]), ("test", "2.jpg", CAPTIONS[2:3]), ("train", "3.jpg", CAPTIONS[2:])]
    folder.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["raw", "sentids", "split", "filename", "img_id"])
        writer.writerows([json.dumps(captions), "[0, 1]", split, name, 7] for split, name, captions in rows)
    for number, (_, name, _) in enumerate(rows):
        put(folder / "flickr30k-images" / name, image(number))
    options = {"format": "tsv", "annotations": path, "images": folder / "flickr30k-images", "image_column": "filename",
               "caption_column": "raw", "split": ["train"]}  # fmt: skip
    with path.open(newline="", encoding="utf-8") as file:
        samples = [(r["filename"], json.loads(r["raw"])) for r in csv.DictReader(file) if r["split"] == "train"]
    return Layout(options, samples)


def negclip(folder: Path) -> Layout:
    """train_neg_clip.tsv as pandas wrote it: a nameless column of numbers first, Python lists in others."""
    path = folder / "train_neg_clip.tsv"
    put(folder / "a.jpg", image(1))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(["", "title", "filepath", "neg_caption", "neg_image"])
        writer.writerow([0, "a dog's \"bone\"", "a.jpg", str(["a bone's \"dog\"", "b"]), str([2973, 1515, 2235])])
    return Layout({"format": "tsv", "annotations": path, "images": folder}, [("a.jpg", ["a dog's \"bone\""])])


def img2dataset_shards(folder: Path) -> Layout:
    """Writes img2dataset's `webdataset` output: jpg, json, txt per key; empty texts; a parquet file per shard."""
    for shard in range(2):
        with webdataset.TarWriter(str(folder / f"{shard:05}.tar")) as tar:
            for number in range(3):
                key = f"{shard:05}{number:04}"
                if number == 1 and shard == 0:
                    continue  # a failed download
                caption = "" if number == 2 else CAPTIONS[number + shard]
                meta = {"key": key, "url": "http://e.org/x.jpg", "caption": caption, "status": "success"}
                tar.write({"__key__": key, "jpg": image(number), "txt": caption, "json": json.dumps(meta, indent=4)})
        parquet.write_table(pyarrow.table({"key": ["x"]}), folder / f"{shard:05}.parquet")
        put(folder / f"{shard:05}_stats.json", json.dumps({"count": 3, "successes": 2}))
    options = {"format": "webdataset", "annotations": folder / "{00000..00001}.tar"}
    return Layout(options, read_shards(folder, lambda text: [text]))


def read_shards(folder: Path, captions: Callable[[str], list[str]]) -> list[tuple[str, list[str]]]:
    samples = []
    for path in sorted(folder.glob("*.tar")):
        for sample in webdataset.WebDataset(str(path), shardshuffle=False, empty_check=False):
            ending = next(key for key in ("jpg", "png", "webp") if key in sample)
            samples.append((f"{path}:{sample['__key__']}.{ending}", captions(sample["txt"].decode())))
    return samples


def clip_benchmark_retrieval(folder: Path) -> Layout:
    """Writes clip_benchmark_export_wds of a retrieval set: train/0.tar, train/nshards.txt, one caption per line."""
    split = folder / "train"
    split.mkdir()
    with webdataset.TarWriter(str(split / "0.tar")) as tar:
        for number in range(3):
            text = "\n".join(caption.strip() for caption in CAPTIONS[: number + 1])
            tar.write({"__key__": f"s{number:07}", "webp": image(number, "WEBP"), "txt": text})
    put(split / "nshards.txt", "1")
    put(folder / "dataset_type.txt", "retrieval")
    options = {"format": "webdataset", "annotations": split / "0.tar", "captions_per_file": "lines"}
    return Layout(options, read_shards(split, str.splitlines))


def cut_shard(folder: Path) -> Layout:
    """Writes an interrupted download: the second of three shards ends inside its second image."""
    for shard in range(3):
        with webdataset.TarWriter(str(folder / f"{shard:05}.tar")) as tar:
            for number in range(2):
                tar.write({"__key__": f"{shard}{number}", "jpg": image(number), "txt": CAPTIONS[number]})
    whole = read_shards(folder, lambda text: [text])
    path = folder / "00001.tar"
    with tarfile.open(path) as tar:
        end = tar.getmember("11.jpg").offset_data + 100
    path.write_bytes(path.read_bytes()[:end])
    samples = [sample for sample in whole if "00001.tar:11" not in sample[0]]
    options = {"format": "webdataset", "annotations": folder / "{00000..00002}.tar"}
    return Layout(options, samples, bad=["00001.tar: ends inside '11.jpg'", "1 samples before the damage are used"])


def image_text_folder(folder: Path) -> Layout:
    """Writes img2dataset's `files` output, which many trainers use: NAME.jpg beside NAME.txt, here with a .json."""
    for number, caption in enumerate(CAPTIONS):
        stem = folder / f"{number // 2:05}" / f"{number:09}"
        put(stem.with_suffix(".JPG" if number == 1 else ".jpg"), image(number))
        put(stem.with_suffix(".txt"), caption)
        put(stem.with_suffix(".json"), "{}")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".jpg")
    samples = [(str(p.relative_to(folder)), [p.with_suffix(".txt").read_bytes().decode()]) for p in paths]
    return Layout({"format": "folder", "images": folder}, samples)


def hub_parquet(folder: Path) -> list[Path]:
    """Writes train-00000-of-00002.parquet and so on: structs of bytes and path, several captions, two bad rows."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for part in range(2):
        rows = [
            {
                "image": {"bytes": image(n, ("JPEG", "PNG", "WEBP")[n % 3]), "path": f"{n}.jpg"},
                "caption": [f"{part} {n} one", f"{part} {n}\ntwo"],
                "split": "train",
            }
            for n in range(9)
        ]
        if part == 1:
            rows[2]["image"] = None
            rows[3]["caption"] = []
        paths.append(folder / f"train-{part:05}-of-00002.parquet")
        parquet.write_table(pyarrow.Table.from_pylist(rows), paths[-1], row_group_size=4)
    return paths
