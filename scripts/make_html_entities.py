#!/usr/bin/env python3
"""Writes the names of HTML entities as C++ tables, from Python's own table. The build calls it:

    python3 scripts/make_html_entities.py build/src/data/html_entities.inc

`kHtml5` is `html.entities.html5`. Its names end with a semicolon, except where HTML makes the semicolon optional.
`kUpperCase` holds the additional names of ftfy 6.3.1 (`_build_html_entities`): lower-case names written in capitals, unless
that begins with a name of its own.
"""

import html
import sys
from html.entities import html5
from pathlib import Path


def literal(text: str) -> str:
    """Returns the UTF-8 bytes as a C++ string literal."""
    plain = all(" " <= character <= "~" and character not in '"\\?' for character in text)
    return '"' + (text if plain else "".join(f"\\{byte:03o}" for byte in text.encode())) + '"'


def table(name: str, entries: dict[str, str]) -> str:
    """Returns a C++ array, sorted by name like `std::string_view` compares."""
    rows = "".join(f"    {{{literal(key)}, {literal(entries[key])}}},\n" for key in sorted(entries))
    return f"constexpr HtmlEntity {name}[] = {{\n{rows}}};\n"


def is_text(reference: str) -> bool:
    return html.unescape(reference) == reference


if __name__ == "__main__":
    upper_case = {
        name.upper(): text.upper()
        for name, text in html5.items()
        if name.endswith(";") and name == name.lower() and is_text("&" + name.upper())
    }
    Path(sys.argv[1]).write_text(table("kHtml5", html5) + "\n" + table("kUpperCase", upper_case), encoding="ascii")
