"""Makes a small list of byte-pair merges for the shapes world, in CLIP's format (Sennrich et al. 2016)."""

import gzip
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from open_clip.tokenizer import SimpleTokenizer
from sdsclip_export.tokenizer import vocabulary
from transformers import CLIPTokenizer


def learn_merges(captions: Iterable[str]) -> list[str]:
    """Returns all merges "a b</w>" of the captions, most frequent pair first, until each word is one token.

    Ties go to the pair that sorts first. The captions must hold only plain letters, spaces and full stops.
    """
    frequency = Counter(word for caption in captions for word in re.findall("[a-z]+", caption.lower()))
    words = {word: [*word[:-1], word[-1] + "</w>"] for word in frequency}
    merges: list[str] = []
    while True:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, symbols in words.items():
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] += frequency[word]
        if not pairs:
            return merges
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(" ".join(best))
        words = {word: merged(symbols, best) for word, symbols in words.items()}


def merged(symbols: list[str], pair: tuple[str, str]) -> list[str]:
    """Returns `symbols` with every occurrence of `pair` joined, from the left."""
    result: list[str] = []
    for symbol in symbols:
        if result and (result[-1], symbol) == pair:
            result[-1] += symbol
        else:
            result.append(symbol)
    return result


def open_clip_tokenizer(merges: list[str], context_length: int, scratch: Path) -> SimpleTokenizer:
    """Returns open_clip's own tokenizer for these merges, which it reads from a file with a header line."""
    path = scratch / "merges.txt.gz"
    path.write_bytes(gzip.compress("\n".join(["header", *merges]).encode(), mtime=0))
    return SimpleTokenizer(bpe_path=str(path), context_length=context_length)


def transformers_tokenizer(merges: list[str], context_length: int) -> CLIPTokenizer:
    """Returns transformers' own tokenizer for these merges, padding with end-of-text as Stable Diffusion 1 does."""
    ids = vocabulary(merges, "<|startoftext|>", "<|endoftext|>")
    pairs = [tuple(merge.split(" ")) for merge in merges]
    return CLIPTokenizer(vocab=ids, merges=pairs, model_max_length=context_length)
