"""Compares the SentencePiece tokenizer with open_clip's HFTokenizer, id for id, on SigLIP's and SigLIP 2's folders.

    test_sentencepiece.py DATA_PROBE [COUNT]
"""

import sys
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
CONTEXT_LENGTH = 64
FOLDERS = {
    "siglip": hub_tokenizers.write_siglip,
    "siglip-model": hub_tokenizers.write_siglip_model,
    "siglip2": hub_tokenizers.write_siglip2,
}
# Runs of letters whose pieces have equal scores, and text that cleaning and normalization change.
HARD = ["www.example.com", "aaaaaaaaa soooooo gooooood", "ｗｗｗ Ⅷ ﬁ ½", "Ｈ\u0301e\u0323\u0302 \u1ec7 x\u200b\u200dy", "\u2581", "a\u2581\u2581b",
        "", " ", "_", "...", "<eos></s><pad>", "a\tb\n\nc", "\u00ad", "한국어 각", "e\u0301\u0301", "\U0001f468\u200d\U0001f469\u200d\U0001f467"]  # fmt: skip


KEYS = ["algorithm", "clean", "context_length", "eot", "pad"]  # of the manifest, as the probe takes them


class SentencePiece(compare_ids.TokenizerFolders):
    FOLDERS = FOLDERS
    texts = HARD + text_corpus.corpus(COUNT)

    def check(self, name: str, texts: list[str], context_length: int) -> None:
        folder = str(self.folders[name])
        library = HFTokenizer(folder, context_length=context_length, clean="canonicalize")
        expected = compare_ids.without_mojibake_repair(library, texts)
        tokenizer = hub_tokenizer.load(folder, {"clean": "canonicalize"}, context_length, name)
        got = compare_ids.ours([PROBE, "sentencepiece"], ["model", "charsmap"], tokenizer, KEYS, texts)
        compare_ids.expect_equal(self, name, texts, expected, got)

    def test_equals_open_clip(self):
        for name in FOLDERS:
            with self.subTest(name):
                self.check(name, self.texts, CONTEXT_LENGTH)

    def test_other_context_lengths_equal_open_clip(self):
        for name in ("siglip", "siglip2"):
            for length in (2, 3, 16):
                with self.subTest(name, length=length):
                    self.check(name, self.texts[:300], length)


if __name__ == "__main__":
    unittest.main()
