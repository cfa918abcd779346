"""The whole program on a CLIPA-shaped bundle with BERT's tokenizer as the hub has it, beside open_clip; and its bad input.

  test_clipa_program.py PROGRAM
"""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import program_case
from hub_tokenizers import write_bert
from tiny_clips import CLIPA_CONFIGS

program_case.ProgramTestCase.program = sys.argv.pop(1)


class ClipaProgram(program_case.ProgramTestCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.export("tiny-clipa", CLIPA_CONFIGS["tiny-clipa"], write_bert)

    def test_a_damaged_vocabulary_is_named_with_its_line(self) -> None:
        whole = (self.bundle / "vocab.txt").read_bytes()
        for content, parts in (
            (b"", ("vocab.txt", "0 lines", "[UNK]")),
            (whole.replace(b"[CLS]\n", b""), ("vocab.txt", "[CLS]")),
            (b"first\n" + whole, ("vocab.txt:103", "[CLS]", "101")),
            (whole.replace(b"\n", b"\r\n"), ("vocab.txt", "[UNK]")),
            (whole + b"[CLS]\n", ("vocab.txt:8001", "[CLS]", "line 102")),
            (whole + b"\n", ("vocab.txt:8001", "empty")),
            (whole + b"\xff\x1b[31m\n", ("vocab.txt:8001", "UTF-8")),
            (whole + b"\x1b[31mred\n" * 2, ("vocab.txt:8002", "8001")),
            (whole + b"more\n", ("tokenizer.vocab_size", "8000", "8001")),
        ):
            with self.subTest(parts=parts):
                folder = self.damaged(lambda _, folder, content=content: (folder / "vocab.txt").write_bytes(content))
                self.expect_failure(self.run_program("tokenize", "--bundle", folder, "a cat"), 3, *parts)

    def test_wrong_values_in_the_manifest_are_named(self) -> None:
        for values, parts in (
            ({"clean": "canonicalize"}, ("tokenizer.clean", "canonicalize", "whitespace")),
            ({"vocab": "other.txt"}, ("files", "no 'other.txt'")),
            ({"vocab": ""}, ("files", "no ''")),
            ({"sot": -1}, ("tokenizer.sot", "-1")),
            ({"sot": 102}, ("vocab.txt:102", "[CLS]", "102")),
            ({"eot": 100_000}, ("tokenizer.eot", "100000")),
        ):
            with self.subTest(**values):
                folder = self.damaged(lambda manifest, _, values=values: manifest["tokenizer"].update(values))
                self.expect_failure(self.run_program("tokenize", "--bundle", folder, "a cat"), 3, *parts)


if __name__ == "__main__":
    unittest.main()
