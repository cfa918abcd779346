"""Tokenizers that open_clip takes from the Hugging Face hub: SigLIP's SentencePiece and CLIPA's WordPiece.

A Hugging Face folder can hold several files. What counts is the tokenizer that transformers makes of them, because
open_clip runs that one.
"""

import json
from pathlib import Path

from sdsclip_export import sentencepiece_tokenizer, wordpiece_tokenizer
from sdsclip_export.errors import INPUT, ExportError, one_line
from sdsclip_export.hub import snapshot_of, use_cache_if_unreachable
from sdsclip_export.sentencepiece_tokenizer import SentencePieceTokenizer
from sdsclip_export.wordpiece_tokenizer import WordPieceTokenizer


def load(source: str, options: dict, context_length: int, where: str) -> SentencePieceTokenizer | WordPieceTokenizer:
    """Returns the tokenizer that open_clip makes of `source`, a Hugging Face folder or a name on the hub.

    `options` is open_clip's `tokenizer_kwargs`; `where` names the model in errors.
    """
    from open_clip.tokenizer import HFTokenizer

    if Path(source).is_dir():
        source = str(snapshot_of(Path(source)))
    else:
        use_cache_if_unreachable()
    try:
        library = HFTokenizer(source, context_length=context_length, **options)
    except Exception as error:
        raise ExportError(
            INPUT, f"{where}: no tokenizer from {source} ({one_line(error)}); give its folder with --tokenizer"
        ) from error
    return convert(library, options, f"{where}: the tokenizer of {source}")


def convert(library: "HFTokenizer", options: dict, where: str) -> SentencePieceTokenizer | WordPieceTokenizer:  # noqa: F821
    """Returns the bundle's form of an open_clip tokenizer; raises ExportError where the C++ side cannot run it."""
    inner = library.tokenizer
    backend = getattr(inner, "_tokenizer", None)
    if backend is None:
        raise ExportError(INPUT, f"{where} is a {type(inner).__name__}, which is none of the library 'tokenizers'")
    if inner.padding_side != "right" or inner.truncation_side != "right":
        raise ExportError(INPUT, f"{where} pads or cuts on the left; only the right is supported")
    state = json.loads(backend.to_str())
    clean = options.get("clean", "whitespace")
    if state["model"]["type"] == "WordPiece":
        return wordpiece_tokenizer.convert(library, state, clean, where)
    if library.strip_sep_token:
        raise ExportError(INPUT, f"{where} has the option strip_sep_token; only WordPiece tokenizers have it")
    return sentencepiece_tokenizer.convert(library, state, clean, where)
