"""Our WordPiece tokenizer beside open_clip's HFTokenizer, id for id, on BERT's folders as CLIPA uses them.

    test_wordpiece.py DATA_PROBE [COUNT]
"""

import sys
import unicodedata
import unittest
from pathlib import Path

import compare_ids
import hub_tokenizers
import text_corpus
from open_clip.tokenizer import HFTokenizer

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from sdsclip_export import hub_tokenizer  # noqa: E402

PROBE = sys.argv.pop(1)
COUNT = int(sys.argv.pop(1)) if len(sys.argv) > 1 and sys.argv[1].isdigit() else 5000
CONTEXT_LENGTH = 32  # CLIPA's
FOLDERS = {"bert": hub_tokenizers.write_bert, "bert-vocabulary": hub_tokenizers.write_bert_vocabulary}
KEYS = ["context_length", "sot", "eot", "pad"]  # of the manifest, as the probe takes them
# Special tokens in a text, words at the limit of their length, and what the normalizer drops, parts and turns.
HARD = ["[SEP]", "a [SEP] b [sep] [MASK][CLS] [PAD] x", "[UNK]able", "[unused1]", "x" * 100, "x" * 101, "##s", "a##s", "#", "",
        "un\u00adwanted", "ZÜRICH\u0301 e\u0301", "東京tower", "한국어", "\U0001f468\u200d\U0001f469", "\ufffd a\ufffdb", "\x00a\x07b",
        "İstanbul ǅ ΣΊΣΥΦΟΣ ſt", "don't ... --- ¿que? «x»", "\u166d \U000111c9 \u1734 \u1885 \ua9bd", "\U0002b850\U0002b920", "\ue000a",
        "a\u0085b\u2028c\u3000d", "$5.99 50% x^2 `q` a|b ~"]  # fmt: skip


class WordPiece(compare_ids.TokenizerFolders):
    FOLDERS = FOLDERS
    texts = HARD + text_corpus.corpus(COUNT)

    def check(self, name: str, texts: list[str], context_length: int, strips: bool = True) -> None:
        folder, options = str(self.folders[name]), {"strip_sep_token": True} if strips else {}
        library = HFTokenizer(folder, context_length=context_length, **options)
        tokenizer = hub_tokenizer.load(folder, options, context_length, name)
        got = compare_ids.ours([PROBE, "wordpiece"], ["vocab"], tokenizer, KEYS, texts)
        compare_ids.expect_equal(self, name, texts, compare_ids.without_mojibake_repair(library, texts), got)

    def test_equals_open_clip(self):
        for name in FOLDERS:
            with self.subTest(name):
                self.check(name, self.texts, CONTEXT_LENGTH)

    def test_every_character_equals_open_clip(self):
        characters = [*text_corpus.assigned(), *(chr(number) for number in range(0xE000, 0x110000, 0x101)
                                                 if unicodedata.category(chr(number)) == "Co")]  # fmt: skip
        shown = [f"a{character}b {character}" for character in characters]
        texts = [" ".join(shown[start : start + 20]) for start in range(0, len(shown), 20)]
        self.check("bert", texts, 400)

    def test_other_context_lengths_equal_open_clip(self):
        for length in (2, 3, 16, 300):
            with self.subTest(length=length):
                self.check("bert", self.texts[:300], length)

    def test_without_stripping_equals_open_clip(self):
        self.check("bert", self.texts[:300], CONTEXT_LENGTH, strips=False)


if __name__ == "__main__":
    unittest.main()
