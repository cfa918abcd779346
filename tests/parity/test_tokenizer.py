"""Compares the tokenizer with open_clip's and transformers', id for id.

    test_tokenizer.py DATA_PROBE [COUNT]
"""

import resource
import sys
import tempfile
import time
import unittest
from pathlib import Path

import ftfy
import numpy as np
import probe
import text_corpus
from open_clip.tokenizer import SimpleTokenizer
from transformers import CLIPTokenizer

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from sdsclip_export.tokenizer import openai_merges, vocabulary  # noqa: E402

PROBE = sys.argv.pop(1)
COUNT = int(sys.argv.pop(1)) if len(sys.argv) > 1 and sys.argv[1].isdigit() else 5000
CONTEXT_LENGTH = 77


def ours(clean: str, pad: int, texts: list[str], context_length: int = CONTEXT_LENGTH) -> list:
    """Returns our ids of each text, or the error."""
    with tempfile.TemporaryDirectory() as folder:
        merges = Path(folder, "merges.txt")
        merges.write_text("".join(merge + "\n" for merge in openai_merges()), encoding="utf-8")
        command = [PROBE, "tokenize", str(merges), clean, str(context_length), str(pad)]
        answers = probe.run(command, [text.encode() for text in texts])
    return [answer if isinstance(answer, probe.ProbeError) else np.frombuffer(answer, np.int64) for answer in answers]


class Tokenizer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.texts = text_corpus.corpus(COUNT)

    def compare(self, texts: list[str], expected: np.ndarray, got: list) -> None:
        different = [(text, want, answer) for text, want, answer in zip(texts, expected, got, strict=True)
                     if isinstance(answer, probe.ProbeError) or not np.array_equal(want, answer)]
        shown = "\n".join(f"{text[:60]!a}: expected {want[:30].tolist()}, got {answer[:30].tolist()}"
                          if isinstance(answer, np.ndarray) else f"{text[:60]!a}: {answer}"
                          for text, want, answer in different[:20])
        self.assertEqual(len(different), 0, f"{len(different)} of {len(texts)} texts differ:\n{shown}")

    def test_equals_open_clip(self):
        """Compares text in which ftfy finds mojibake with ftfy's other fixes only; such text must be rare."""
        library = SimpleTokenizer()
        fix_text = ftfy.fix_text
        expected, repaired = [], 0
        try:
            for text in self.texts:
                plain = fix_text(text, fix_encoding=False)
                repaired += plain != fix_text(text)
                ftfy.fix_text = lambda _, plain=plain: plain
                expected.append(library(text, CONTEXT_LENGTH)[0].numpy())
        finally:
            ftfy.fix_text = fix_text
        self.compare(self.texts, np.stack(expected), ours("open_clip", 0, self.texts))
        self.assertLess(repaired, len(self.texts) / 10)
        print(f"open_clip: {len(self.texts) - repaired} texts equal, and {repaired} equal but for mojibake repair")

    def test_texts_that_are_slow_in_the_libraries_give_the_same_ids_in_less_time(self):
        """Tries nested entities and letters with many marks, in lengths that the libraries can still process."""
        marks = "\u0301\u0323\u0344\u0345\u0f73\u05b0\u1dc4\U0001d165"
        texts = ["&" + "amp;" * 300 + "lt;b", "&AMP;amp;#38;#x26;amp;gt;", "&&#97;mp;lt;", "&#&#&#&#53;3;3;1; x", "&amp;amp;\u0338 &amp;#109;",
                 "\x1b[&amp;amp;#109;", "&ampamp;amp;amp", "&amp;ａｍｐ; &amp\u037e", "a" + marks * 60 + "b", "\u05d0" + marks[::-1] * 200,
                 "e" + "\u0323\u0301" * 500 + "\u0f73" * 40 + "\u0344" * 50]
        library = SimpleTokenizer()
        expected = np.stack([library(text, CONTEXT_LENGTH)[0].numpy() for text in texts])
        self.compare(texts, expected, ours("open_clip", 0, texts))
        merges = openai_merges()
        library = CLIPTokenizer(vocab=vocabulary(merges, "<|startoftext|>", "<|endoftext|>"),
                                merges=[tuple(merge.split(" ")) for merge in merges], pad_token="<|endoftext|>")
        expected = library(texts, padding="max_length", truncation=True, max_length=CONTEXT_LENGTH)["input_ids"]
        self.compare(texts, np.array(expected), ours("transformers", 49407, texts))

    def test_long_texts_take_no_longer_than_their_length_allows(self):
        """Takes seconds where a library takes minutes."""
        texts = ["&" + "amp;" * 25_000, "a" + "\u0301\u0323" * 200_000, "&#" * 20_000 + "51;" + "1;" * 20_000, "x" * (1 << 21)]
        for clean in ("open_clip", "transformers"):
            start = time.process_time() + resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
            answers = ours(clean, 49407, texts)
            seconds = time.process_time() + resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - start
            self.assertLess(seconds, 20, clean)
            self.assertIsInstance(answers[0], np.ndarray)
            self.assertIsInstance(answers[1], np.ndarray)
            self.assertIn("expected at most 1048576", str(answers[3]))
            if clean == "open_clip":
                self.assertIn("entities", str(answers[2]))

    def check_transformers(self, pad_token: str, pad: int) -> None:
        merges = openai_merges()
        library = CLIPTokenizer(vocab=vocabulary(merges, "<|startoftext|>", "<|endoftext|>"),
                                merges=[tuple(merge.split(" ")) for merge in merges], pad_token=pad_token)
        expected = library(self.texts, padding="max_length", truncation=True, max_length=CONTEXT_LENGTH)["input_ids"]
        self.compare(self.texts, np.array(expected), ours("transformers", pad, self.texts))
        print(f"transformers, padded with {pad_token}: {len(self.texts)} texts equal")

    def test_equals_transformers_as_stable_diffusion_1_uses_it(self):
        self.check_transformers("<|endoftext|>", 49407)

    def test_equals_transformers_as_stable_diffusion_2_uses_it(self):
        self.check_transformers("!", 0)

    def test_other_context_lengths_equal_open_clip(self):
        texts = self.texts[:300]
        texts = [text for text in texts if ftfy.fix_text(text) == ftfy.fix_text(text, fix_encoding=False)]
        for length in (2, 3, 32, 128):
            expected = SimpleTokenizer()(texts, length).numpy()
            self.compare(texts, expected, ours("open_clip", 0, texts, length))


if __name__ == "__main__":
    unittest.main()
