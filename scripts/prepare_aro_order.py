#!/usr/bin/env python3
"""Writes the shuffled captions of ARO's COCO-Order and Flickr30k-Order to the file that `sdsclip` reads.

  prepare_aro_order.py coco_karpathy_test.json --images coco --out data/aro/coco_order.json
  prepare_aro_order.py flickr30k_test.json --images flickr30k --out data/aro/flickr_order.json

ARO's code shuffles words again in each run (dataset_zoo/perturbations.py, seed 1 of main_aro.py). It uses a
part-of-speech tagger and a word tokenizer whose versions change the result. This script writes the shuffles once, so
that every model gets the same captions. `--images` is the folder, relative to the data folder, from which the list's
image paths start. The script needs spaCy with its model en_core_web_sm, and nltk with its data punkt.
"""

import argparse
import json
import random
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sdsclip_export.errors import INPUT, ExportError, run_main

NOUNS = {"NN", "NNS", "NNP", "NNPS"}
ADJECTIVES = {"JJ", "JJR", "JJS"}
MAX_WORDS = 30
SEED = 1

# A text's (token, part-of-speech tag) pairs, and its tokens by nltk's rules.
Tagger = Callable[[str], list[tuple[str, str]]]
Tokenizer = Callable[[str], list[str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captions", type=Path, help="BLIP's coco_karpathy_test.json or flickr30k_test.json")
    parser.add_argument("--images", required=True, help="folder of the images, relative to the data folder")
    parser.add_argument("--out", required=True, type=Path, help="JSON file to write")
    arguments = parser.parse_args()
    annotations = read_annotations(arguments.captions)
    tagger, tokenizer = load_tagger(), load_tokenizer()
    random.seed(SEED)
    np.random.seed(SEED)
    cases = [
        {"image": f"{arguments.images}/{annotation['image']}", "caption_options": options(caption, tagger, tokenizer)}
        for annotation in annotations
        for caption in annotation["caption"]
    ]
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    temporary = arguments.out.with_suffix(".tmp")
    temporary.write_text(json.dumps(cases, ensure_ascii=False, indent=0), encoding="utf-8")
    temporary.replace(arguments.out)
    print(f"{arguments.out}: {len(cases)} cases (published: 25,010 for COCO, 5,000 for Flickr30k)")


def read_annotations(path: Path) -> list[dict]:
    try:
        annotations = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ExportError(INPUT, f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise ExportError(INPUT, f"{path}: not valid JSON: {error}") from error
    well_formed = isinstance(annotations, list) and all(
        isinstance(entry, dict)
        and isinstance(entry.get("image"), str)
        and isinstance(entry.get("caption"), list)
        and all(isinstance(caption, str) for caption in entry["caption"])
        for entry in annotations
    )
    if not well_formed:
        raise ExportError(INPUT, f"{path}: expected a list of {{image, caption: [text, ...]}}")
    return annotations


def load_tagger() -> Tagger:
    try:
        import spacy

        model = spacy.load("en_core_web_sm")
    except (ImportError, OSError) as error:
        message = "spaCy's en_core_web_sm is missing; install spacy, then: python -m spacy download en_core_web_sm"
        raise ExportError(INPUT, message) from error
    return lambda text: [(token.text, token.tag_) for token in model(text)]


def load_tokenizer() -> Tokenizer:
    try:
        import nltk

        nltk.word_tokenize("a b")
    except (ImportError, LookupError) as error:
        message = "nltk or its data punkt is missing; install nltk, then: python -m nltk.downloader punkt punkt_tab"
        raise ExportError(INPUT, message) from error
    return nltk.word_tokenize


def options(caption: str, tagger: Tagger, tokenizer: Tokenizer) -> list[str]:
    """Returns the caption and its four shuffles. The order of the draws is that of the authors' code."""
    tagged = tagger(caption)
    tokens = tokenizer(caption)
    variants = [
        shuffle_nouns_and_adjectives(tagged),
        shuffle_all_but_nouns_and_adjectives(tagged),
        shuffle_within_trigrams(tokens),
        shuffle_trigrams(tokens),
    ]
    return [clean(text) for text in [caption, *variants]]


def shuffle_places(words: np.ndarray, places: list[int]) -> None:
    words[places] = np.random.permutation(words[places])


def shuffle_nouns_and_adjectives(tagged: list[tuple[str, str]]) -> str:
    words = np.array([word for word, _ in tagged])
    shuffle_places(words, [place for place, (_, tag) in enumerate(tagged) if tag in NOUNS])
    shuffle_places(words, [place for place, (_, tag) in enumerate(tagged) if tag in ADJECTIVES])
    return " ".join(words)


def shuffle_all_but_nouns_and_adjectives(tagged: list[tuple[str, str]]) -> str:
    words = np.array([word for word, _ in tagged])
    shuffle_places(words, [place for place, (_, tag) in enumerate(tagged) if tag not in NOUNS | ADJECTIVES])
    return " ".join(words)


def trigrams(tokens: list[str]) -> list[list[str]]:
    return [tokens[start : start + 3] for start in range(0, len(tokens), 3)]


def shuffle_within_trigrams(tokens: list[str]) -> str:
    groups = trigrams(tokens)
    for group in groups:
        random.shuffle(group)
    return " ".join(" ".join(group) for group in groups)


def shuffle_trigrams(tokens: list[str]) -> str:
    groups = trigrams(tokens)
    random.shuffle(groups)
    return " ".join(" ".join(group) for group in groups)


def clean(caption: str) -> str:
    """BLIP's `pre_caption`: lower case, some punctuation to spaces, at most 30 words."""
    caption = re.sub(r"([.!\"()*#:;~])", " ", caption.lower())
    caption = re.sub(r"\s{2,}", " ", caption).rstrip("\n").strip(" ")
    return " ".join(caption.split(" ")[:MAX_WORDS])


if __name__ == "__main__":
    run_main(main)
