"""Our SentencePiece tokenizer beside open_clip's HFTokenizer, id for id, on SigLIP's and SigLIP 2's folders.

    test_sentencepiece.py DATA_PROBE [COUNT]
"""

import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import ftfy
import hub_tokenizers
import numpy as np
import probe
import text_corpus
from open_clip.tokenizer import HFTokenizer

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from sdsclip_export import sentencepiece_tokenizer  # noqa: E402

PROBE = sys.argv.pop(1)
COUNT = int(sys.argv.pop(1)) if len(sys.argv) > 1 and sys.argv[1].isdigit() else 5000
CONTEXT_LENGTH = 64
FOLDERS = {
    "siglip": hub_tokenizers.write_siglip,
    "siglip-model": hub_tokenizers.write_siglip_model,
    "siglip2": hub_tokenizers.write_siglip2,
}
# Letters in a row, where different pieces have equal scores, and what cleaning and normalization turn.
HARD = ["www.example.com", "aaaaaaaaa soooooo gooooood", "ｗｗｗ Ⅷ ﬁ ½", "Ｈ\u0301e\u0323\u0302 \u1ec7 x\u200b\u200dy", "\u2581", "a\u2581\u2581b",
        "", " ", "_", "...", "<eos></s><pad>", "a\tb\n\nc", "\u00ad", "한국어 각", "e\u0301\u0301", "\U0001f468\u200d\U0001f469\u200d\U0001f467"]  # fmt: skip


def ours(tokenizer: sentencepiece_tokenizer.SentencePieceTokenizer, texts: list[str]) -> list:
    """Our ids of each text, or the error."""
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.write_files(Path(folder))
        manifest = tokenizer.manifest()
        charsmap = str(Path(folder, manifest["charsmap"])) if manifest["charsmap"] else "-"
        command = [PROBE, "sentencepiece", str(Path(folder, manifest["model"])), charsmap, manifest["algorithm"]]
        command += [manifest["clean"], str(manifest["context_length"]), str(manifest["eot"]), str(manifest["pad"])]
        answers = probe.run(command, [text.encode() for text in texts])
    return [answer if isinstance(answer, probe.ProbeError) else np.frombuffer(answer, np.int64) for answer in answers]


class SentencePiece(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        cls.texts = HARD + text_corpus.corpus(COUNT)
        cls.folders = {name: Path(scratch.name, name) for name in FOLDERS}
        for name, write in FOLDERS.items():
            write(cls.folders[name])

    def check(self, name: str, texts: list[str], context_length: int) -> None:
        folder = str(self.folders[name])
        library = HFTokenizer(folder, context_length=context_length, clean="canonicalize")
        # Mojibake repair aside, as for CLIP's own tokenizer.
        fix_text = ftfy.fix_text
        with mock.patch("ftfy.fix_text", lambda text: fix_text(text, fix_encoding=False)):
            expected = library(texts).numpy()
        tokenizer = sentencepiece_tokenizer.load(folder, {"clean": "canonicalize"}, context_length, name)
        got = ours(tokenizer, texts)
        different = [(text, want, answer) for text, want, answer in zip(texts, expected, got, strict=True)
                     if isinstance(answer, probe.ProbeError) or not np.array_equal(want, answer)]
        shown = "\n".join(f"{text[:60]!a}: expected {want[:30].tolist()}, got {answer[:30].tolist()}"
                          if isinstance(answer, np.ndarray) else f"{text[:60]!a}: {answer}"
                          for text, want, answer in different[:20])
        self.assertEqual(len(different), 0, f"{len(different)} of {len(texts)} texts differ:\n{shown}")
        print(f"{name}, {context_length} ids: {len(texts)} texts equal")

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
