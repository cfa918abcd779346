"""Texts as in captions and on the worst of the web, made from a seed."""

import html.entities
import random
import unicodedata

COLOURS = ["red", "green", "blue", "yellow", "purple", "orange", "black", "white"]
SHAPES = ["circle", "square", "triangle", "star", "cross", "diamond", "heart", "ring"]
RELATIONS = ["left of", "right of", "above", "below", "next to", "and", "in front of"]
WORDS = ("a an the man woman dog cat riding holding skateboard surfboard street's don't it'll we've I'm they're he'd "
         "WWII T-shirt 3D 42nd 1,000 $5 50% #1 @home e-mail www.example.com café naïve Zürich Ωmega ΣΊΣΥΦΟΣ İstanbul "
         "straße ǅ ﬁsh ＬＯＵＤ ｱｲｳ “quoted” ‘single’ it’s – — … 日本語 한국어 русский العربية हिन्दी ไทย 👩‍👩‍👧 🇫🇷 ½ ² ³ № ™ © "
         "&amp; &lt;b&gt; <b> &eacute; &EACUTE; &#233; &#xe9; &nbsp; &copy &notit; &ampamp; &hellip; <start_of_text> "
         "<end_of_text> <|startoftext|> <|endoftext|> <|STARTOFTEXT|> ! !! ?! ... 'S 'ſ ſt <ſtart_of_text> x'sy").split()
SPACES = [" ", "  ", "\t", "\n", "\r\n", "\r", "\u00a0", "\u2003", "\u3000", "\u2028", "\u0085", "\x0b", "\x0c", "\x1c",
          "\u200b", ""]
CONTROLS = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0), 0xAD, *range(0x200B, 0x2010),
                                   *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF, *range(0xFFF9, 0xFFFE),
                                   0x1D173, 0xE0001, 0xE0041, 0x10FFFF)]
TERMINAL = ["\x1b[0m", "\x1b[36;44m", "\x1b[", "\x1b[3", "\x1b[;;K", "\x1b[٣m", "\x1bA", "\x1b[m"]


def assigned() -> list[str]:
    """Returns every character that Python knows, without surrogates and private use."""
    return [chr(code) for code in range(0x20, 0x110000) if unicodedata.category(chr(code)) not in ("Cn", "Cs", "Co")]


def blocks(characters: list[str], generator: random.Random, per_block: int) -> list[str]:
    """Returns texts of the characters of each range of 128: bare, as words, after a Latin letter, in the other case."""
    texts = []
    by_block: dict[int, list[str]] = {}
    for character in characters:
        by_block.setdefault(ord(character) >> 7, []).append(character)
    for members in by_block.values():
        for _ in range(per_block):
            word = "".join(generator.choices(members, k=generator.randint(1, 6)))
            form = generator.randrange(5)
            texts.append([word, f"a {word} b", f"x{word}y", word.upper(), f"{word}'s {word.lower()}1"][form])
    return texts


def combining(characters: list[str], generator: random.Random, count: int) -> list[str]:
    """Returns letters with combining marks, in orders that normalization must change."""
    marks = [character for character in characters if unicodedata.combining(character)]
    bases = [character for character in characters if unicodedata.category(character)[0] == "L" and ord(character) < 0x2000]
    return ["".join(generator.choice(bases) + "".join(generator.choices(marks, k=generator.randint(0, 3)))
                    for _ in range(generator.randint(1, 4))) for _ in range(count)]


def decomposed(characters: list[str], generator: random.Random, count: int) -> list[str]:
    """Returns text in the other normalization forms."""
    changed = [character for character in characters if unicodedata.normalize("NFD", character) != character]
    return [unicodedata.normalize(generator.choice(["NFD", "NFKD", "NFC"]), "".join(generator.choices(changed, k=4)))
            for _ in range(count)]


def entities(characters: list[str], generator: random.Random, count: int) -> list[str]:
    """Returns HTML entities: complete and broken, named and numeric, escaped once and twice."""
    names = list(html.entities.html5)
    no_characters = [0, 0xD800, 0xDFFF, 0xFDD0, 0xFFFE, 0x1FFFF, 0x110000, 0x123456789, 10**30]
    texts = []
    for number in range(count):
        name = names[number % len(names)] if generator.random() < 0.6 else generator.choice(names)
        code = generator.choice([generator.randrange(0x300), ord(generator.choice(characters)),
                                 generator.choice(no_characters)])
        texts.append(generator.choice([
            f"&{name}", f"x&{name}y", f"&{name.upper()}", f"&{name.lower()} z", f"&amp;{name}", f"&{name.rstrip(';')}",
            f"&{name[:-1]}x;", f"<i>&{name}</i>", f"<\n&{name}", f"&#{code};", f"&#x{code:x};", f"&#{code}x",
            f"&#X{code:X}", f"&amp;#{code};", f"a &#{code};&{name} b", "&#;", "&#x;", "&;", "&", "&#0;", f"&{name}\n&{name}",
        ]))
    return texts


def shapes(generator: random.Random, count: int) -> list[str]:
    """Returns captions like those of the shapes world."""
    texts = []
    for _ in range(count):
        a, b = (f"{generator.choice(COLOURS)} {generator.choice(SHAPES)}" for _ in range(2))
        texts.append(f"{generator.choice(['a', 'the', 'A photo of a', 'There is a'])} {a} "
                     f"{generator.choice(RELATIONS)} a {b}{generator.choice(['', '.', '!', ' on a grey background'])}")
    return texts


def mixed(characters: list[str], generator: random.Random, count: int) -> list[str]:
    """Returns words, odd spaces, control characters, terminal escapes and arbitrary single characters."""
    pieces = [lambda: generator.choice(WORDS), lambda: generator.choice(WORDS), lambda: generator.choice(WORDS),
              lambda: generator.choice(CONTROLS), lambda: generator.choice(TERMINAL),
              lambda: generator.choice(characters), lambda: generator.choice(WORDS).upper()]
    return ["".join(generator.choice(pieces)() + generator.choice(SPACES) for _ in range(generator.randint(1, 9)))
            for _ in range(count)]


def corpus(count: int, seed: int = 0) -> list[str]:
    """Returns at least `count` texts of every kind."""
    generator = random.Random(seed)
    characters = assigned()
    part = count // 10
    ranges = len({ord(character) >> 7 for character in characters})
    texts = ["", " ", "\n", "a", "'", "!", "\u0130", "\u03a3", "a\u03a3", "a\u03a3b", "\u1e9e"]
    texts += [" ".join(generator.choices(WORDS, k=200)) for _ in range(part // 20)]  # too long for any context
    texts += ["".join(generator.choices("abcdefghij", k=400)) for _ in range(part // 40)]
    texts += blocks(characters, generator, max(1, 3 * part // ranges))
    texts += combining(characters, generator, part)
    texts += decomposed(characters, generator, part)
    texts += entities(characters, generator, part)
    texts += shapes(generator, 2 * part)
    texts += mixed(characters, generator, max(part, count - len(texts)))
    return texts
