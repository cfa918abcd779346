#!/usr/bin/env python3
"""Writes src/data/html_entities.inc, the names of HTML entities from the tables of Python and ftfy.

    .venv/bin/python scripts/make_html_entities.py > src/data/html_entities.inc

`kHtml5` is `html.entities.html5`. Its names end with a semicolon, except where HTML makes the semicolon optional.
`kUpperCase` holds the additional names of ftfy 6.3.1: lower-case entities written in capitals.
"""

import html.entities

from ftfy.chardata import HTML_ENTITIES


def literal(text: str) -> str:
    """Returns the UTF-8 bytes as a C++ string literal."""
    plain = all(" " <= character <= "~" and character not in '"\\?' for character in text)
    return '"' + (text if plain else "".join(f"\\{byte:03o}" for byte in text.encode())) + '"'


def table(name: str, entries: dict[str, str]) -> str:
    """Returns a C++ array, sorted by name like `std::string_view` compares."""
    rows = "".join(f"    {{{literal(key)}, {literal(entries[key])}}},\n" for key in sorted(entries))
    return f"constexpr HtmlEntity {name}[] = {{\n{rows}}};\n"


if __name__ == "__main__":
    upper_case = {name[1:]: text for name, text in HTML_ENTITIES.items() if name[1:] not in html.entities.html5}
    print("// Made by scripts/make_html_entities.py; do not edit.")
    print(table("kHtml5", html.entities.html5))
    print(table("kUpperCase", upper_case), end="")
