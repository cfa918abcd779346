"""The size of the C++ files and functions, and code that stands twice. Without arguments it checks; `--list` prints findings.

A function may have more than 60 lines where the comment above it says why, on a line that begins `// Over 60 lines:`.
"""

import re
import sys
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
FILE_LINES = 400
FUNCTION_LINES = 60
SHARED_LINES = 12
# A list of cases has the shape of every other such list: only code of several different shapes counts.
DISTINCT_SHAPES = 6
# So has a table: a field of a designated initializer, or a row that begins with a literal.
ROW = re.compile(r"\. i =|\{* ?0 [,}]")
REASON = "// Over 60 lines:"

RAW_STRING = r'R"(?P<mark>[^\s()\\]{0,16})\(.*?\)(?P=mark)"'
COMMENT_OR_LITERAL = re.compile(
    rf"//[^\n]*|/\*.*?\*/|{RAW_STRING}|\"(?:\\.|[^\"\\\n])*\"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'", re.DOTALL
)
TOKEN = re.compile(r"[A-Za-z_]\w*|\.?\d(?:[\w.']|[eEpP][+-])*|\"\"|\S")
KEYWORDS = frozenset(
    "auto bool break case catch char class const constexpr continue default delete do double else enum explicit extern false float for"
    " friend if inline int long mutable namespace new noexcept nullptr operator override private protected public return"
    " short signed sizeof static static_cast struct switch template this throw true try typedef typename union unsigned using"
    " virtual void volatile while".split()
)


class Line(NamedTuple):
    number: int
    text: str
    shape: str


def without_comments(text: str) -> str:
    """The same lines without comments and with empty strings for the literals."""

    def blank(match: re.Match[str]) -> str:
        newlines = "\n" * match[0].count("\n")
        return newlines if match[0].startswith("/") else f'""{newlines}'

    return COMMENT_OR_LITERAL.sub(blank, text)


def without_comments_only(text: str) -> str:
    return COMMENT_OR_LITERAL.sub(lambda m: "\n" * m[0].count("\n") if m[0].startswith("/") else m[0], text)


def shape_of(line: str) -> str:
    """The line with `i` for each name, and `0` for each number and text."""

    def of(token: str) -> str:
        if token == '""' or token[0].isdigit() or token[0] == "." and len(token) > 1:
            return "0"
        return token if token in KEYWORDS or not (token[0].isalpha() or token[0] == "_") else "i"

    return " ".join(of(token) for token in TOKEN.findall(line))


def is_code(line: str) -> bool:
    return bool(line) and not line.startswith(("#", "using ", "namespace "))


def is_row(shape: str) -> bool:
    return ROW.match(shape) is not None


def code_lines(text: str) -> list[Line]:
    plain = without_comments_only(text).splitlines()
    bare = without_comments(text).splitlines()
    rows = [(number, " ".join(a.split()), b.strip()) for number, (a, b) in enumerate(zip(plain, bare, strict=True), 1)]
    return [Line(number, line, shape_of(stripped)) for number, line, stripped in rows if is_code(stripped)]


def shared(files: dict[str, list[Line]], attribute: str) -> Iterator[tuple[str, int, str, int, int]]:
    """Places that share SHARED_LINES or more, as (file, line, file, line, number of lines), each pair once and whole."""
    first_seen: dict[tuple[str, ...], list[tuple[str, int]]] = {}
    told: set[tuple[str, int, str, int]] = set()
    for name, lines in files.items():
        keys = [getattr(line, attribute) for line in lines]
        for start in range(len(keys) - SHARED_LINES + 1):
            window = tuple(keys[start : start + SHARED_LINES])
            if len(set(window)) < DISTINCT_SHAPES:
                continue
            for other, begin in first_seen.setdefault(window, []):
                theirs = [getattr(line, attribute) for line in files[other]]
                overlapping = other == name and begin + SHARED_LINES > start
                goes_on = begin > 0 and start > 0 and theirs[begin - 1] == keys[start - 1]
                if overlapping or goes_on and (other, begin - 1, name, start - 1) in told:
                    told.add((other, begin, name, start))
                    continue
                told.add((other, begin, name, start))
                length = SHARED_LINES
                while begin + length < len(theirs) and start + length < len(keys) and theirs[begin + length] == keys[start + length]:
                    length += 1
                yield other, files[other][begin].number, name, lines[start].number, length
            first_seen[window].append((name, start))


def functions(text: str) -> Iterator[tuple[int, int, str]]:
    """Each function's body as (first line of its head, last line, head)."""
    bare = re.sub(r"^[ \t]*#.*$", "", without_comments(text), flags=re.MULTILINE)
    scopes: list[str] = []
    head_start = 0
    opened: list[tuple[int, str]] = []
    for match in re.finditer(r"[{};]", bare):
        inside = "function" in scopes
        head = bare[head_start : match.start()]
        if match[0] == "{":
            words = head.split()
            if inside or not words:
                kind = "block"
            elif re.search(r"\b(namespace|class|struct|enum|union|extern)\b", re.sub(r"\([^()]*\)|<[^<>]*>", "", head)) and not head.rstrip().endswith(")"):
                kind = "scope"
            elif "(" in head and not re.search(r"=\s*$", head):
                kind = "function"
            else:
                kind = "block"
            scopes.append(kind)
            opened.append((head_start + len(head) - len(head.lstrip()), " ".join(words)))
        elif match[0] == "}" and scopes:
            kind, (start, title) = scopes.pop(), opened.pop()
            if kind == "function" and "function" not in scopes:
                yield bare.count("\n", 0, start) + 1, bare.count("\n", 0, match.start()) + 1, title
        head_start = match.end()


def has_reason(lines: list[str], first: int) -> bool:
    above = first - 2
    while above >= 0 and lines[above].lstrip().startswith("//"):
        if lines[above].lstrip().startswith(REASON):
            return True
        above -= 1
    return False


class Code(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.texts = {
            str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
            for folder in ("src", "include")
            for path in sorted((ROOT / folder).rglob("*"))
            if path.suffix in (".cpp", ".h", ".hpp")
        }
        cls.sources = {name: code_lines(text) for name, text in cls.texts.items() if name.startswith("src/")}

    def none(self, findings: list[str], advice: str) -> None:
        self.assertFalse(findings, f"{advice}:\n" + "\n".join(findings))

    def test_no_file_has_more_than_400_lines(self) -> None:
        sizes = {name: text.count("\n") for name, text in self.texts.items()}
        self.assertGreater(len(sizes), 200, "the sources were not found")
        self.none([f"{name}: {size} lines" for name, size in sizes.items() if size > FILE_LINES], "split these files")

    def test_no_function_has_more_than_60_lines_without_a_reason(self) -> None:
        found = []
        for name, text in self.texts.items():
            lines = text.splitlines()
            for first, last, head in functions(text):
                if last - first + 1 > FUNCTION_LINES and not has_reason(lines, first):
                    found.append(f"{name}:{first}: {last - first + 1} lines: {head[:80]}")
        self.none(found, f"split these functions, or write above them `{REASON} WHY`")

    def test_no_two_places_share_12_lines_to_the_letter(self) -> None:
        self.none(duplicates(self.sources, "text"), "write this code once")

    def test_no_two_places_share_12_lines_in_shape(self) -> None:
        code = {name: [line for line in lines if not is_row(line.shape)] for name, lines in self.sources.items()}
        self.none(duplicates(code, "shape"), "write this code once")

    def test_a_copy_with_other_names_is_found(self) -> None:
        code = "int f(int a) {\n" + "".join(f"  a {op}= {n}; // {n}\n" for n, op in enumerate("+-*/%&|^+-*/", 1)) + "}\n"
        copy = code.replace("a", "width").replace("f(", "g(").replace(" 3;", " 33;")
        files = {"one": code_lines(code), "two": code_lines("#include <a>\n\n" + copy)}
        self.assertEqual([("one", 1, "two", 3, 14)], list(shared(files, "shape")))
        self.assertEqual([], list(shared(files, "text")))

    def test_a_function_is_measured_from_its_head_to_its_brace(self) -> None:
        code = 'namespace a {\nstruct B {\n  int c = 0;\n  int\n  f() const {\n    return "{" ? 1 : 2;\n  }\n};\n}\n'
        self.assertEqual([(4, 7, "int f() const")], list(functions(code)))


def duplicates(files: dict[str, list[Line]], attribute: str) -> list[str]:
    return [f"{a}:{i} and {b}:{k}: {length} lines" for a, i, b, k, length in shared(files, attribute)]


if __name__ == "__main__":
    unittest.main()
