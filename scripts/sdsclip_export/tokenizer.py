"""The tokenizer part of a bundle: CLIP's byte-pair merges and the numbers that go with them.

The vocabulary of a merges list is, in this order, CLIP's 256 byte symbols, the same with `</w>`, one token per merge, the
start and the end of the text (OpenAI CLIP, `simple_tokenizer.py`). The merges alone therefore determine every id.
"""

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch
from open_clip.tokenizer import bytes_to_unicode, default_bpe

from sdsclip_export.errors import INPUT, ExportError, one_line

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

MERGES_FILE = "merges.txt"
OPENAI_MERGES = 49152 - 256 - 2  # the lines of CLIP's own list that CLIP uses


@dataclass
class Tokenizer:
    """The entries of CLIP's tokenizer in `bundle.json`, and its merges."""

    merges: list[str]  # "a b</w>", first merge first
    clean: str  # whose text cleaning applies: "open_clip" or "transformers"
    context_length: int  # tokens per caption, with start and end
    pad: int  # the id that fills the rest

    @property
    def sot(self) -> int:
        return 2 * 256 + len(self.merges)

    @property
    def eot(self) -> int:
        return self.sot + 1

    @property
    def vocab_size(self) -> int:
        return self.eot + 1

    def manifest(self) -> dict:
        """Returns the `tokenizer` object of `bundle.json`."""
        return {"kind": "clip_bpe", "merges": MERGES_FILE} | shared_keys(self)

    def write_files(self, folder: Path) -> None:
        """Writes `merges.txt`: one merge per line, without a header."""
        (folder / MERGES_FILE).write_text("".join(merge + "\n" for merge in self.merges), encoding="utf-8")

    def example_ids(self, batch: int, seed: int) -> torch.Tensor:
        """Returns random captions, i64 [batch, context_length]; the last one is as long as possible."""
        return random_texts(self, batch, seed, range(self.sot))


class BundleTokenizer(Protocol):
    """The part that every kind of tokenizer has."""

    clean: str  # whose text cleaning applies
    context_length: int
    vocab_size: int
    sot: int  # -1: none
    eot: int
    pad: int

    def manifest(self) -> dict: ...
    def write_files(self, folder: Path) -> None: ...
    def example_ids(self, batch: int, seed: int) -> torch.Tensor: ...


def shared_keys(tokenizer: BundleTokenizer) -> dict:
    """Returns the keys of `bundle.json`'s `tokenizer` that every kind has."""
    names = ("clean", "context_length", "vocab_size", "sot", "eot", "pad")
    return {name: getattr(tokenizer, name) for name in names} | {"overflow": "truncate"}


def random_texts(tokenizer: BundleTokenizer, batch: int, seed: int, words: range) -> torch.Tensor:
    """Returns random texts of different lengths from the ids `words`; the last one is as long as possible."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.full((batch, tokenizer.context_length), tokenizer.pad, dtype=torch.int64)
    first = 0 if tokenizer.sot < 0 else 1
    ids[:, :first] = tokenizer.sot
    longest = tokenizer.context_length - first - 1
    for row in range(batch):
        length = longest if row == batch - 1 else int(torch.randint(1, longest + 1, (), generator=generator))
        ids[row, first : first + length] = torch.randint(words.start, words.stop, (length,), generator=generator)
        ids[row, first + length] = tokenizer.eot
    return ids


def expect_part(got: object, expected: object, part: str, where: str) -> None:
    """Raises ExportError unless a part of a tokenizer's description is the one that the C++ side runs."""
    if got != expected:
        raise ExportError(INPUT, f"{where} has the {part} {json.dumps(got)[:120]}, expected {json.dumps(expected)[:120]}")


def openai_merges() -> list[str]:
    """Returns the 48,894 merges of OpenAI's CLIP from open_clip's own copy."""
    lines = gzip.open(default_bpe(), "rt", encoding="utf-8").read().split("\n")
    return lines[1 : OPENAI_MERGES + 1]


def read_merges(path: Path) -> list[str]:
    """Reads a merges list from a text file or its .gz, and skips a header line ("#version: 0.2", or quoted)."""
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8", newline="\n") as file:
            lines = file.read().split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(INPUT, f"{path}: not a readable merges list ({one_line(error)})") from error
    if lines and (lines[0].startswith("#version") or lines[0].startswith('"')):
        lines = lines[1:]
    merges = [line for line in lines if line]
    for number, merge in enumerate(merges, start=1):
        if len(merge.split(" ")) != 2 or not all(merge.split(" ")):
            raise ExportError(INPUT, f"{path}: merge {number} is {merge!r}; expected two symbols and one space")
    return merges


def vocabulary(merges: list[str], sot: str, eot: str) -> dict[str, int]:
    """Returns the ids of all tokens in CLIP's order."""
    symbols = list(bytes_to_unicode().values())
    tokens = symbols + [symbol + "</w>" for symbol in symbols]
    tokens += [merge.replace(" ", "") for merge in merges] + [sot, eot]
    return {token: index for index, token in enumerate(tokens)}


def from_transformers(library: "CLIPTokenizer", context_length: int, where: str) -> Tokenizer:
    """Returns the bundle's form of a transformers `CLIPTokenizer`; `where` names it in errors.

    Raises ExportError if its ids are not those that its merges imply.
    """
    # The wrapper around the tokenizer keeps a path in place of merges if the folder has no tokenizer.json.
    model = json.loads(library.backend_tokenizer.to_str())["model"]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    expected = vocabulary(merges, library.bos_token, library.eos_token)
    if library.get_vocab() != expected:
        raise ExportError(
            INPUT,
            f"{where}: the tokenizer's {len(library.get_vocab())} ids are not the {len(expected)} that CLIP derives "
            "from its merges; added tokens are not supported",
        )
    return Tokenizer(merges, "transformers", context_length, library.pad_token_id)


def check_vocab_size(name: str, tokenizer: Tokenizer, vocab_size: int) -> None:
    if tokenizer.vocab_size != vocab_size:
        raise ExportError(
            INPUT,
            f"{name}: the model has {vocab_size} token embeddings, its {len(tokenizer.merges)} merges make "
            f"{tokenizer.vocab_size} tokens; give the right list with --merges",
        )
