"""The tokenizer part of a bundle for SigLIP's vocabularies: a SentencePiece model, run by SentencePiece's library.

The vocabulary that transformers runs is written as a SentencePiece model. A model that lies in the Hugging Face folder is
not taken, because transformers does not follow its normalizer settings.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from sdsclip_export.errors import INPUT, ExportError
from sdsclip_export.tokenizer import expect_part, random_texts, shared_keys

if TYPE_CHECKING:
    from open_clip.tokenizer import HFTokenizer

MODEL_FILE = "tokenizer.model"
CHARSMAP_FILE = "charsmap.bin"
SPACE = "\u2581"
METASPACE = {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "always", "split": True}
WORDS = {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, METASPACE]}
TO_SPACES = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
AT_SPACES = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}


@dataclass
class SentencePieceTokenizer:
    """The entries of a SentencePiece tokenizer in `bundle.json`, and its files."""

    model: bytes  # a serialized ModelProto without a normalizer
    charsmap: bytes  # the table of character replacements; empty: none
    algorithm: str  # "unigram" or "bpe"
    clean: str  # open_clip's "canonicalize"
    context_length: int
    vocab_size: int
    eot: int
    pad: int
    sot: int = field(default=-1)  # none

    def manifest(self) -> dict:
        """Returns the `tokenizer` object of `bundle.json`."""
        own = {"kind": "sentencepiece", "algorithm": self.algorithm, "model": MODEL_FILE}
        return own | {"charsmap": CHARSMAP_FILE if self.charsmap else ""} | shared_keys(self)

    def write_files(self, folder: Path) -> None:
        (folder / MODEL_FILE).write_bytes(self.model)
        if self.charsmap:
            (folder / CHARSMAP_FILE).write_bytes(self.charsmap)

    def example_ids(self, batch: int, seed: int) -> torch.Tensor:
        """Returns random texts, i64 [batch, context_length]; the last one is as long as possible."""
        return random_texts(self, batch, seed, range(max(self.eot, self.pad) + 1, self.vocab_size))


def convert(library: "HFTokenizer", state: dict, clean: str, where: str) -> SentencePieceTokenizer:
    """Writes what transformers runs as a SentencePiece model, and checks that this gives the same ids.

    `state` is what the library 'tokenizers' says of open_clip's tokenizer.
    """
    inner, model = library.tokenizer, state["model"]
    if model["type"] == "Unigram":
        proto, charsmap = unigram_proto(state, where), charsmap_of(state["normalizer"], where)
        expect_part(state["pre_tokenizer"], WORDS, "pre_tokenizer", where)
    elif model["type"] == "BPE" and model.get("byte_fallback"):
        proto, charsmap = pairs_proto(state, cleaner(clean), where), b""
        expect_part(state["normalizer"], TO_SPACES, "normalizer", where)
        if state["pre_tokenizer"] is not None:
            expect_part(state["pre_tokenizer"], AT_SPACES, "pre_tokenizer", where)
    else:
        raise ExportError(
            INPUT, f"{where} is of the kind {model['type']}; expected SentencePiece's Unigram or BPE, or BERT's WordPiece"
        )
    if clean != "canonicalize":  # which leaves no special token in a text
        raise ExportError(INPUT, f"{where} goes with clean={clean!r}; only SigLIP's 'canonicalize' is supported")
    plain = inner("a", add_special_tokens=False).input_ids
    if inner("a").input_ids != [*plain, inner.eos_token_id]:
        raise ExportError(INPUT, f"{where} puts other tokens around a text than {inner.eos_token} behind it")
    tokenizer = SentencePieceTokenizer(
        model=proto.SerializeToString(deterministic=True),
        charsmap=charsmap,
        algorithm="unigram" if model["type"] == "Unigram" else "bpe",
        clean=clean,
        context_length=library.context_length,
        vocab_size=len(proto.pieces),
        eot=inner.eos_token_id,
        pad=inner.pad_token_id,
    )
    check(tokenizer, inner, cleaner(clean), where)
    return tokenizer


def cleaner(clean: str) -> Callable[[str], str]:
    from open_clip.tokenizer import get_clean_fn

    return get_clean_fn(clean)


def charsmap_of(normalizer: dict | None, where: str) -> bytes:
    """Returns the table of a `Precompiled` normalizer."""
    if normalizer is None:
        return b""
    if normalizer["type"] != "Precompiled":
        expect_part(normalizer, {"type": "Precompiled"}, "normalizer", where)
    return base64.b64decode(normalizer["precompiled_charsmap"])


def new_proto(model_type: int, unknown: int) -> "ModelProto":  # noqa: F821
    """Returns an empty model that does not normalize its input."""
    from sentencepiece.sentencepiece_model_pb2 import ModelProto

    proto = ModelProto()
    proto.trainer_spec.model_type = model_type
    proto.trainer_spec.unk_id = unknown
    proto.trainer_spec.bos_id = proto.trainer_spec.eos_id = proto.trainer_spec.pad_id = -1
    normalizer = proto.normalizer_spec
    normalizer.name = "identity"
    normalizer.add_dummy_prefix = normalizer.remove_extra_whitespaces = False
    normalizer.escape_whitespaces = True
    return proto


def add_piece(proto: "ModelProto", piece: str, score: float, kind: str) -> None:  # noqa: F821
    from sentencepiece.sentencepiece_model_pb2 import ModelProto

    proto.pieces.add(piece=piece, score=score, type=ModelProto.SentencePiece.Type.Value(kind))
    if kind == "UNKNOWN":
        proto.trainer_spec.unk_piece = piece


def is_byte(piece: str) -> bool:
    return len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">")


def unigram_proto(state: dict, where: str) -> "ModelProto":  # noqa: F821
    """Returns a Unigram vocabulary, without added tokens that are not pieces, because texts never hold them."""
    model = state["model"]
    proto = new_proto(1, model["unk_id"])
    proto.trainer_spec.byte_fallback = model["byte_fallback"]
    seen = set()
    for number, (piece, score) in enumerate(model["vocab"]):
        if piece in seen or not piece:
            raise ExportError(INPUT, f"{where} has the piece {piece!r} twice or an empty one (id {number})")
        seen.add(piece)
        kind = "BYTE" if model["byte_fallback"] and is_byte(piece) else "NORMAL"
        add_piece(proto, piece, score, "UNKNOWN" if number == model["unk_id"] else kind)
    return proto


def pairs_proto(state: dict, clean: Callable[[str], str], where: str) -> "ModelProto":  # noqa: F821
    """Returns a vocabulary of merges. A piece's score is the rank of the first merge that makes it."""
    model = state["model"]
    ids = model["vocab"]
    if sorted(ids.values()) != list(range(len(ids))):
        raise ExportError(INPUT, f"{where} has ids that are not 0 to {len(ids) - 1}")
    added = {token["id"]: token for token in state["added_tokens"]}
    proto = new_proto(2, ids[model["unk_token"]])
    proto.trainer_spec.byte_fallback = True
    ranks: dict[str, int] = {}
    for rank, (left, right) in enumerate(model["merges"]):
        ranks.setdefault(left + right, rank)
    for piece, number in sorted(ids.items(), key=lambda item: item[1]):
        kind = "BYTE" if is_byte(piece) else "NORMAL"
        if number in added:
            # It is found in texts before other pieces, if cleaning keeps it.
            survives = clean(f"a{piece}a") == f"a{piece}a"
            kind = "USER_DEFINED" if survives else "CONTROL"
        add_piece(proto, piece, -float(ranks.get(piece, 0)), "UNKNOWN" if number == proto.trainer_spec.unk_id else kind)
    return proto


def check(tokenizer: SentencePieceTokenizer, inner: object, clean: Callable[[str], str], where: str) -> None:
    """Compares the ids of every piece's own text, and of pieces side by side, with transformers'."""
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.model)
    normalizer, words = inner._tokenizer.normalizer, inner._tokenizer.pre_tokenizer
    pieces = [processor.id_to_piece(number).replace(SPACE, " ") for number in range(processor.get_piece_size())]
    texts = [clean(text) for text in pieces + [f"{a}{b}" for a, b in zip(pieces, pieces[7::5], strict=False)]]
    expected = inner(texts, add_special_tokens=False).input_ids
    differing = 0
    for text, ids in zip(texts, expected, strict=True):
        if tokenizer.algorithm == "bpe":
            own = processor.encode(text)
        else:
            normalized = normalizer.normalize_str(text) if normalizer else text
            own = [number for word, _ in words.pre_tokenize_str(normalized) for number in processor.encode(word)]
        differing += own != ids
    # SentencePiece rounds sums of scores differently; the C++ side does not (src/data/unigram.h).
    allowed = 0 if tokenizer.algorithm == "bpe" else len(texts) // 100
    if differing > allowed:
        raise ExportError(INPUT, f"{where}: SentencePiece gives other ids for {differing} of {len(texts)} texts")
