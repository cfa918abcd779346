"""The tokenizer part of a bundle for CLIPA: BERT's WordPiece in lower case, with its vocabulary as `vocab.txt`."""

from dataclasses import dataclass
from pathlib import Path

import torch

from sdsclip_export.errors import INPUT, ExportError
from sdsclip_export.tokenizer import expect_part, random_texts, shared_keys

VOCAB_FILE = "vocab.txt"
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
NORMALIZER = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "lowercase": True}
MODEL = {"unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100}
PLAIN = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}


@dataclass
class WordPieceTokenizer:
    """The entries of a WordPiece tokenizer in `bundle.json`, and its vocabulary."""

    pieces: list[str]  # in the order of their ids
    clean: str  # open_clip's "whitespace"
    context_length: int
    sot: int  # the id of [CLS]
    eot: int  # the id of [SEP], or 0 where open_clip strips it
    pad: int

    @property
    def vocab_size(self) -> int:
        return len(self.pieces)

    def manifest(self) -> dict:
        """Returns the `tokenizer` object of `bundle.json`."""
        return {"kind": "wordpiece", "vocab": VOCAB_FILE} | shared_keys(self)

    def write_files(self, folder: Path) -> None:
        """Writes `vocab.txt`: one piece per line."""
        text = "".join(f"{piece}\n" for piece in self.pieces)
        (folder / VOCAB_FILE).write_text(text, encoding="utf-8", newline="\n")

    def example_ids(self, batch: int, seed: int) -> torch.Tensor:
        """Returns random texts, i64 [batch, context_length]; the last one is as long as possible."""
        return random_texts(self, batch, seed, range(1, self.vocab_size))


def convert(library: "HFTokenizer", state: dict, clean: str, where: str) -> WordPieceTokenizer:  # noqa: F821
    """Returns the bundle's form of `state`, what the library 'tokenizers' says of open_clip's tokenizer."""
    normalizer, model = dict(state["normalizer"] or {}), state["model"]
    strips_accents = normalizer.pop("strip_accents", None)
    expect_part(normalizer, NORMALIZER, "normalizer", where)
    expect_part(strips_accents is not False, True, "normalizer's strip_accents", where)
    expect_part(state["pre_tokenizer"], {"type": "BertPreTokenizer"}, "pre_tokenizer", where)
    expect_part({key: model.get(key) for key in MODEL}, MODEL, "model", where)
    expect_part(sorted(token["content"] for token in state["added_tokens"]), sorted(SPECIAL_TOKENS), "added tokens", where)
    for token in state["added_tokens"]:
        expect_part({key: token[key] for key in PLAIN}, PLAIN, f"special token {token['content']}", where)
    if clean != "whitespace":
        raise ExportError(INPUT, f"{where} goes with clean={clean!r}; only 'whitespace' is supported for WordPiece")
    inner = library.tokenizer
    plain = inner("a", add_special_tokens=False).input_ids
    if inner("a").input_ids != [inner.cls_token_id, *plain, inner.sep_token_id]:
        raise ExportError(INPUT, f"{where} puts other tokens around a text than [CLS] and [SEP]")
    return WordPieceTokenizer(
        pieces=pieces_of(model["vocab"], where),
        clean=clean,
        context_length=library.context_length,
        sot=inner.cls_token_id,
        eot=0 if library.strip_sep_token else inner.sep_token_id,
        pad=inner.pad_token_id,
    )


def pieces_of(ids: dict[str, int], where: str) -> list[str]:
    """Returns the vocabulary in the order of its ids, which must be consecutive."""
    pieces = sorted(ids, key=ids.get)
    for number, piece in enumerate(pieces):
        if ids[piece] != number or not piece or "\n" in piece:
            raise ExportError(INPUT, f"{where} has the piece {piece!r} with id {ids[piece]}; expected one line with id {number}")
    return pieces
