#!/usr/bin/env python3
"""Prepares a zero-shot classification set in a layout that `sdsclip eval zeroshot` reads.

  prepare_zeroshot.py cifar10 --out data/zeroshot/cifar10 --source ~/torchvision --download
  prepare_zeroshot.py imagenet1k --out data/zeroshot/imagenet1k      (with the validation folders n01440764/... there)
  prepare_zeroshot.py cifar100 --out data/zeroshot/cifar100 --names-only      (with the binary test.bin there)

Class names and templates come from CLIP_benchmark (pip install --no-deps clip-benchmark==1.6.2), or from torchvision
where CLIP_benchmark uses torchvision's. Images come from torchvision's copy of the test split at `--source`. Each image
is written as PNG to one folder per class, and `folders.txt` names the folders. `--names-only` writes only the text
files, for images that exist already: CIFAR's and MNIST's binary files, or ImageNet's folders. The WebDataset folders
of CLIP_benchmark need no preparation.
"""

import argparse
import importlib.util
import json
from dataclasses import dataclass, field
from pathlib import Path

from sdsclip_export.errors import INPUT, USAGE, ExportError, one_line, run_main


@dataclass
class SetSource:
    torchvision_class: str | None  # None: folders as the archive has them
    options: dict = field(default_factory=dict)  # of the class, to get the split that CLIP_benchmark measures on
    separators: str = ""  # what CLIP_benchmark replaces by spaces in torchvision's class names
    names_file: str | None = None  # of the binary distribution, torchvision's class names


TEST = {"split": "test"}
NOT_TRAIN = {"train": False}

# By CLIP_benchmark's names.
SETS = {
    "imagenet1k": SetSource(None),
    "cifar10": SetSource("CIFAR10", NOT_TRAIN, names_file="batches.meta.txt"),
    "cifar100": SetSource("CIFAR100", NOT_TRAIN, names_file="fine_label_names.txt"),
    "mnist": SetSource("MNIST", NOT_TRAIN),
    "fgvc_aircraft": SetSource("FGVCAircraft", TEST | {"annotation_level": "variant"}),
    "food101": SetSource("Food101", TEST, separators="_"),
    "cars": SetSource("StanfordCars", TEST),
    "dtd": SetSource("DTD", TEST),
    "pets": SetSource("OxfordIIITPet", TEST),
    "flowers": SetSource("Flowers102", TEST),
    "stl10": SetSource("STL10", TEST),
    "svhn": SetSource("SVHN", TEST),
    "gtsrb": SetSource("GTSRB", TEST),
    "country211": SetSource("Country211", TEST),
    "pcam": SetSource("PCAM", TEST),
    "renderedsst2": SetSource("RenderedSST2", TEST),
    "caltech101": SetSource("Caltech101"),
    "eurosat": SetSource("EuroSAT"),
    "sun397": SetSource("SUN397", separators="_/"),
}


def main() -> None:
    arguments = parse_arguments()
    names, templates = published_texts(arguments.name)
    arguments.out.mkdir(parents=True, exist_ok=True)
    source = SETS[arguments.name]
    if source.torchvision_class is None:
        folders = class_folders(arguments.out, len(names))
    elif arguments.names_only:
        names, folders = names or distributed_names(source, arguments.name, arguments.out), []
    else:
        dataset = load_images(source, arguments.source, arguments.download)
        names = names or torchvision_names(dataset, source.separators)
        folders = write_images(dataset, len(names), arguments.out)
    write_lines(arguments.out / "templates.txt", templates)
    if folders:
        write_lines(arguments.out / "folders.txt", folders)
    write_lines(arguments.out / "classnames.txt", names)
    print(f"{arguments.out}: {len(names)} classes, {len(templates)} templates")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=SETS, help="CLIP_benchmark's name of the set")
    parser.add_argument("--out", required=True, type=Path, help="folder to write")
    parser.add_argument("--source", type=Path, default=Path("data/torchvision"), help="torchvision's root folder")
    parser.add_argument("--download", action="store_true", help="let torchvision download the set into --source")
    parser.add_argument("--names-only", action="store_true", help="write class names and templates, but no images")
    return parser.parse_args()


def published_texts(name: str) -> tuple[list[str], list[str]]:
    """CLIP_benchmark's class names (empty where it takes torchvision's) and templates."""
    found = importlib.util.find_spec("clip_benchmark")
    if found is None or not found.submodule_search_locations:
        message = "the package clip_benchmark is missing; install it with: pip install --no-deps clip-benchmark==1.6.2"
        raise ExportError(INPUT, message)
    folder = Path(found.submodule_search_locations[0], "datasets")
    names = json.loads((folder / "en_classnames.json").read_text())
    templates = json.loads((folder / "en_zeroshot_classification_templates.json").read_text())
    return names.get(name, []), templates[name]


def load_images(source: SetSource, root: Path, download: bool):
    from torchvision import datasets  # takes seconds, which the other paths need not wait for

    if download:
        root.mkdir(parents=True, exist_ok=True)
    try:
        return getattr(datasets, source.torchvision_class)(root, download=download, **source.options)
    except (RuntimeError, FileNotFoundError) as error:
        raise ExportError(INPUT, f"{root}: {one_line(error)}; put the set there, or let --download do it") from error


def torchvision_names(dataset, separators: str) -> list[str]:
    return [name.translate(str.maketrans(separators, " " * len(separators))) for name in dataset.classes]


def distributed_names(source: SetSource, name: str, out: Path) -> list[str]:
    """The class names that come with the binary files."""
    if source.names_file is None:
        message = f"--names-only: {name} takes its class names from torchvision's copy; leave the option out"
        raise ExportError(USAGE, message)
    path = out / source.names_file
    try:
        return path.read_text(encoding="utf-8").split()
    except OSError as error:
        raise ExportError(INPUT, f"{path}: {error.strerror}; it comes with the binary files") from error


def write_images(dataset, classes: int, out: Path) -> list[str]:
    folders = [f"{label:04}" for label in range(classes)]
    for folder in folders:
        (out / folder).mkdir(exist_ok=True)
    for number in range(len(dataset)):
        image, label = dataset[number]
        if not 0 <= label < classes:
            raise ExportError(INPUT, f"image {number}: got label {label}, expected one below {classes}")
        image.convert("RGB").save(out / folders[label] / f"{number:06}.png")
    return folders


def class_folders(out: Path, classes: int) -> list[str]:
    """ImageNet's labels count its folders in alphabetical order."""
    folders = sorted(path.name for path in out.iterdir() if path.is_dir() and not path.name.startswith("."))
    if len(folders) != classes:
        message = f"{out}: got {len(folders)} folders, expected {classes}, one per class (n01440764, ...)"
        raise ExportError(INPUT, message)
    return folders


def write_lines(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    run_main(main)
