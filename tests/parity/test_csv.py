"""Compares the table reader with Python's csv module on generated tables: fields, places of records, open quotes."""

import csv
import io
import json
import random
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PROBE = sys.argv.pop(1)
TABLES = 1500
SEED = 3
PIECES = ['"', '"', '""', "a", "b c", " ", "é", ",", ",", "\t", "\n", "\r\n", "\r", "it's", "\U0001f600"]


def draw_table(draws: random.Random, separator: str) -> str:
    """Returns rows of fields, some quoted like csv writes them, some with quotes and line breaks anywhere."""
    if draws.random() < 0.5:
        return "".join(draws.choice(PIECES) for _ in range(draws.randrange(40)))
    rows = [["".join(draws.choice(PIECES) for _ in range(draws.randrange(5))) for _ in range(3)] for _ in range(6)]
    text = io.StringIO(newline="")
    ending = draws.choice(["\n", "\r\n"])
    csv.writer(text, delimiter=separator, quoting=draws.choice([0, 1]), lineterminator=ending).writerows(rows)
    written = text.getvalue()
    if draws.random() < 0.3:  # a damage
        at = draws.randrange(len(written))
        written = written[:at] + draws.choice(['"', "", separator]) + written[at + 1 :]
    return written[: -len(ending)] if draws.random() < 0.3 else written


def read_reference(text: str, separator: str) -> list[dict] | None:
    """Returns Python's rows without blank ones; None if the last field's quotes are not closed."""
    if open_at_end(text, separator):
        return None
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    rows = []
    before = 0
    for fields in reader:
        if fields:
            rows.append({"line": before + 1, "fields": fields})
        before = reader.line_num
    return rows


def open_at_end(text: str, separator: str) -> bool:
    """Python accepts an open field at the end; one more line shows whether it would still belong to it."""
    rows = list(csv.reader(io.StringIO(text + "\nEND", newline=""), delimiter=separator))
    return rows[-1] != ["END"]


class Csv(unittest.TestCase):
    def compare(self, separator: str) -> None:
        draws = random.Random(f"{SEED}{separator}")
        texts = [draw_table(draws, separator) for _ in range(TABLES)]
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder, f"{number}.csv") for number in range(TABLES)]
            for path, text in zip(paths, texts, strict=True):
                path.write_bytes(text.encode())
            command = [PROBE, "tables", separator, *map(str, paths)]
            found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        open_quotes = rows = 0
        for text, table in zip(texts, found, strict=True):
            expected = read_reference(text, separator)
            if expected is None:
                open_quotes += 1
                self.assertIsInstance(table, str, repr(text))
                self.assertIn("quoted field does not end", table)
            else:
                rows += len(expected)
                self.assertEqual(table, expected, repr(text))
        self.assertGreater(rows, 3000)
        self.assertGreater(open_quotes, 100)
        print(f"csv: {rows} rows and {open_quotes} open quotes with {separator!r}: equal")

    def test_commas(self):
        self.compare(",")

    def test_tabs(self):
        self.compare("\t")


if __name__ == "__main__":
    unittest.main()
