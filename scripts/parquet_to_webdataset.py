#!/usr/bin/env python3
"""Writes the parquet files of an image-caption data set as WebDataset shards, which `sdsclip train` reads.

  parquet_to_webdataset.py data/train-*.parquet --out data/flickr30k
  parquet_to_webdataset.py data/*.parquet --out data/mine --image-column jpg --caption-column text --shard-size 5000

The image column holds the encoded images, as the Hugging Face hub stores them: bytes, or a struct with a field `bytes`.
The caption column holds a text or a list of texts. A list becomes a `.txt` with one caption per line.
Images are copied as they are. Files are read a few rows at a time. Each shard appears whole or not at all, and the same
command continues where it stopped. Needs pyarrow.
"""

import argparse
import io
import json
import math
import os
import sys
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from sdsclip_export.errors import INPUT, RUNTIME, USAGE, ExportError, one_line, run_main

IMAGE_COLUMNS = ("image", "jpg", "img")
CAPTION_COLUMNS = ("caption", "captions", "text", "txt")
ROWS_AT_A_TIME = 32
SETTINGS = "parquet_to_webdataset.json"  # in the output folder: the settings and files of its shards
ENDINGS = {b"\xff\xd8\xff": "jpg", b"\x89PNG": "png", b"RIFF": "webp", b"BM": "bmp", b"II*\0": "tif", b"MM\0*": "tif"}


@dataclass
class Counts:
    """Counts and problems of the run."""

    samples: int = 0
    bad_rows: int = 0
    first_problems: list[str] = field(default_factory=list)

    def leave_out(self, problem: str, fail: bool) -> None:
        if fail:
            raise ExportError(INPUT, f"{problem}; --on-bad-row skip leaves bad rows out")
        self.bad_rows += 1
        if len(self.first_problems) < 5:
            self.first_problems.append(problem)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parquet", nargs="+", type=Path, help="the data set's files, in their order")
    parser.add_argument("--out", required=True, type=Path, help="folder of the shards")
    parser.add_argument("--image-column", default="", help=f"default: one of {', '.join(IMAGE_COLUMNS)}")
    parser.add_argument("--caption-column", default="", help=f"default: one of {', '.join(CAPTION_COLUMNS)}")
    parser.add_argument("--shard-size", type=int, default=10_000, help="rows per shard (default: 10000)")
    parser.add_argument("--on-bad-row", choices=("skip", "fail"), default="skip", help="a row without image or caption")
    arguments = parser.parse_args()
    if arguments.shard_size < 1:
        raise ExportError(USAGE, f"--shard-size: got {arguments.shard_size}, expected 1 or more")
    rows = [count_rows(path) for path in arguments.parquet]
    if sum(rows) == 0:
        raise ExportError(INPUT, f"{arguments.parquet[0]}: holds no row")
    columns = find_columns(arguments)
    keep_settings(arguments, columns, rows)
    counts = write_shards(arguments, columns, rows)
    report(arguments, counts, sum(rows), holds_lists(arguments.parquet[0], columns[1]))


def open_parquet(path: Path):
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise ExportError(INPUT, "the package pyarrow is missing; install it with: pip install pyarrow") from error
    if not path.is_file():
        raise ExportError(INPUT, f"{path}: no such file")
    try:
        return parquet.ParquetFile(path)
    except (ArrowException, OSError) as error:
        raise ExportError(INPUT, f"{path}: cannot be read as Parquet: {one_line(error)}; fetch it again") from error


def count_rows(path: Path) -> int:
    return open_parquet(path).metadata.num_rows


def find_columns(arguments: argparse.Namespace) -> tuple[str, str]:
    """Returns the image column and the caption column, which are the same in all files."""
    first = open_parquet(arguments.parquet[0]).schema_arrow.names
    image = arguments.image_column or next((name for name in IMAGE_COLUMNS if name in first), "")
    caption = arguments.caption_column or next((name for name in CAPTION_COLUMNS if name in first), "")
    for path in arguments.parquet:
        names = open_parquet(path).schema_arrow.names
        for option, name in (("--image-column", image), ("--caption-column", caption)):
            if name not in names:
                wrong = f", not {name}" if name else ""
                message = f"has the columns {', '.join(names)}{wrong}; name the right one with {option}"
                raise ExportError(INPUT, f"{path}: {message}")
    return image, caption


def holds_lists(path: Path, column: str) -> bool:
    from pyarrow import types

    kind = open_parquet(path).schema_arrow.field(column).type
    return types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)


def keep_settings(arguments: argparse.Namespace, columns: tuple[str, str], rows: list[int]) -> None:
    """Refuses an output folder with shards of other settings, because they would not fit together."""
    settings = {
        "files": [path.name for path in arguments.parquet],
        "rows": rows,
        "columns": list(columns),
        "shard_size": arguments.shard_size,
    }
    path = arguments.out / SETTINGS
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        different = [name for name in settings if found.get(name) != settings[name]]
        if different:
            raise ExportError(USAGE, f"{arguments.out}: was made with other {different[0]}; choose another --out")
        return
    if arguments.out.is_dir() and any(arguments.out.glob("*.tar")):
        raise ExportError(USAGE, f"{arguments.out}: holds other shards; choose another --out")
    arguments.out.mkdir(parents=True, exist_ok=True)
    write_whole(path, lambda file: file.write((json.dumps(settings, indent=1) + "\n").encode()))


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Writes a file with `write`; it appears when it is complete."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise ExportError(RUNTIME, f"{path}: cannot be written: {error.strerror}") from error


def shard_name(number: int, shards: int) -> str:
    return f"{number:0{max(5, len(str(shards - 1)))}}.tar"


def write_shards(arguments: argparse.Namespace, columns: tuple[str, str], rows: list[int]) -> Counts:
    """Writes shard k with the rows from k * size on. Each shard can therefore be made independently."""
    counts = Counts()
    size = arguments.shard_size
    shards = math.ceil(sum(rows) / size)
    start = time.monotonic()
    done = 0
    for number in range(shards):
        path = arguments.out / shard_name(number, shards)
        if path.exists():
            continue
        first, last = number * size, min((number + 1) * size, sum(rows))
        found = read_rows(arguments.parquet, rows, columns, first, last)
        write_whole(path, lambda file, found=found: write_shard(file, found, counts, arguments.on_bad_row == "fail"))
        done += last - first
        rate = done / (time.monotonic() - start)
        left = (sum(rows) - last) / rate
        print(f"shard {number + 1} of {shards}: {rate:.0f} rows per second, {left:.0f} s left", file=sys.stderr)
    return counts


def write_shard(file: BinaryIO, rows: Iterable[tuple[int, str, object, object]], counts: Counts, fail: bool) -> None:
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for number, where, image, caption in rows:
            parts = sample_of(image, caption)
            if isinstance(parts, str):
                counts.leave_out(f"{where}: {parts}", fail)
                continue
            counts.samples += 1
            ending, image_bytes, text = parts
            for name, part in ((f"{number:09}.{ending}", image_bytes), (f"{number:09}.txt", text)):
                member = tarfile.TarInfo(name)
                member.size = len(part)
                tar.addfile(member, io.BytesIO(part))


def sample_of(image, caption) -> tuple[str, bytes, bytes] | str:
    """Returns the image's ending, its bytes and the text, or the reason why the row is bad."""
    content = image.get("bytes") if isinstance(image, dict) else image
    if isinstance(content, str):
        return "the image is a text; if it is an address, download the images with img2dataset"
    if not isinstance(content, bytes) or not content:
        return "has no image bytes"
    ending = next((name for start, name in ENDINGS.items() if content.startswith(start)), None)
    if ending is None:
        return "the image is no JPEG, PNG, WebP, BMP or TIFF"
    captions = caption if isinstance(caption, list) else [caption]
    if not captions or not all(isinstance(text, str) and text for text in captions):
        return "has no caption, or one that is no text"
    if isinstance(caption, list):
        captions = [" ".join(text.splitlines()) for text in captions]
    return ending, content, "\n".join(captions).encode()


def read_rows(
    paths: list[Path], rows: list[int], columns: tuple[str, str], first: int, last: int
) -> Iterator[tuple[int, str, object, object]]:
    """Yields rows [first, last) of all files as (number, where, image, caption)."""
    from pyarrow import ArrowException

    start = 0
    for path, count in zip(paths, rows, strict=True):
        if start < last and start + count > first:
            try:
                for number, row in read_file_rows(path, columns, max(first - start, 0), min(last - start, count)):
                    yield start + number, f"{path}: row {number}", row[columns[0]], row[columns[1]]
            except (ArrowException, OSError) as error:
                raise ExportError(INPUT, f"{path}: is damaged: {one_line(error)}; fetch it again") from error
        start += count


def read_file_rows(path: Path, columns: tuple[str, str], first: int, last: int) -> Iterator[tuple[int, dict]]:
    """Yields rows [first, last) of one file. Reads only their row groups, a few rows at a time."""
    file = open_parquet(path)
    number = 0
    for group in range(file.num_row_groups):
        count = file.metadata.row_group(group).num_rows
        if number + count <= first or number >= last:
            number += count
            continue
        for batch in file.iter_batches(ROWS_AT_A_TIME, row_groups=[group], columns=list(columns)):
            if number < last and number + batch.num_rows > first:
                for offset, row in enumerate(batch.to_pylist()):
                    if first <= number + offset < last:
                        yield number + offset, row
            number += batch.num_rows


def report(arguments: argparse.Namespace, counts: Counts, rows: int, has_lists: bool) -> None:
    shards = math.ceil(rows / arguments.shard_size)
    for problem in counts.first_problems:
        print(f"warning: left out {problem}", file=sys.stderr)
    pattern = shard_name(0, shards)
    if shards > 1:
        pattern = f"{{{shard_name(0, shards)[:-4]}..{shard_name(shards - 1, shards)[:-4]}}}.tar"
    print(f"{arguments.out}: {shards} shards of {rows} rows; this run wrote {counts.samples} samples and left out "
          f"{counts.bad_rows} bad rows")  # fmt: skip
    lines = " --set data.captions_per_file=lines" if has_lists else ""
    print(f"train on it with: --set data.format=webdataset --set 'data.annotations={arguments.out}/{pattern}'{lines}")


if __name__ == "__main__":
    run_main(main)
