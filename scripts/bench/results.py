"""The files of a run: `PART.jsonl` holds the rows of a part that is done, `PART.failed` says why there are none."""

import json
import os
from pathlib import Path


def done_file(out: Path, part: str) -> Path:
    return out / f"{part}.jsonl"


def failed_file(out: Path, part: str) -> Path:
    return out / f"{part}.failed"


def write_whole(path: Path, text: str) -> None:
    """Writes a file that appears whole or not at all."""
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, path)


def read_rows(out: Path, parts: list[str]) -> list[dict]:
    """Returns the rows of all parts that are done."""
    rows = []
    for part in parts:
        if done_file(out, part).exists():
            rows += [json.loads(line) for line in done_file(out, part).read_text(encoding="utf-8").splitlines()]
    return rows
