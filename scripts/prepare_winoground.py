#!/usr/bin/env python3
"""Converts Winoground's parquet files from the Hugging Face hub to the layout that `sdsclip` reads.

  prepare_winoground.py test-00000-of-00001.parquet --out data/winoground

The data set is gated: accept its terms at huggingface.co/datasets/facebook/winoground and download data/test-*.parquet.
The script writes `examples.jsonl` and `images/`, with the images' bytes unchanged. It needs pyarrow.
"""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path

from sdsclip_export.errors import INPUT, ExportError, run_main

FIELDS = ["id", "caption_0", "caption_1", "tag", "secondary_tag", "num_main_preds", "collapsed_tag"]
SUFFIXES = {b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"RIFF": ".webp"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parquet", nargs="+", type=Path, help="all parquet files of the data set")
    parser.add_argument("--out", required=True, type=Path, help="folder to write, such as data/winoground")
    arguments = parser.parse_args()
    count = write_examples(read_rows(arguments.parquet), arguments.out)
    print(f"{arguments.out}: {count} examples (published: 400)")


def read_rows(paths: list[Path]) -> Iterable[dict]:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise ExportError(INPUT, "the package pyarrow is missing; install it with: pip install pyarrow") from error
    for path in paths:
        if not path.is_file():
            raise ExportError(INPUT, f"{path}: no such file")
        for batch in parquet.ParquetFile(path).iter_batches(batch_size=16):
            yield from batch.to_pylist()


def write_examples(rows: Iterable[dict], out: Path) -> int:
    """Each row holds FIELDS and two images as {bytes, path}. `examples.jsonl` appears after all images."""
    (out / "images").mkdir(parents=True, exist_ok=True)
    lines = []
    for row in rows:
        where = f"row {len(lines)}"
        missing = [field for field in [*FIELDS, "image_0", "image_1"] if field not in row]
        if missing:
            raise ExportError(INPUT, f"{where}: column {missing[0]!r} is missing; is this Winoground's parquet?")
        example = {field: row[field] for field in FIELDS}
        for column in ["image_0", "image_1"]:
            content = (row[column] or {}).get("bytes")
            suffix = next((end for start, end in SUFFIXES.items() if content and content.startswith(start)), None)
            if suffix is None:
                raise ExportError(INPUT, f"{where}: column {column!r} holds no PNG, JPEG or WebP image")
            name = f"ex_{row['id']}_img_{column[-1]}{suffix}"
            (out / "images" / name).write_bytes(content)
            example[column] = name
        lines.append(json.dumps(example, ensure_ascii=False) + "\n")
    temporary = out / "examples.jsonl.tmp"
    temporary.write_text("".join(lines), encoding="utf-8")
    temporary.replace(out / "examples.jsonl")
    return len(lines)


if __name__ == "__main__":
    run_main(main)
