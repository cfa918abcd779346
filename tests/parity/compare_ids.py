"""Token ids of our program beside those of a library."""

import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import ftfy
import numpy as np
import probe


def without_mojibake_repair(library: Callable[[list[str]], object], texts: list[str]) -> np.ndarray:
    """The ids of open_clip's tokenizer, short of the repair of mojibake, which we leave out."""
    fix_text = ftfy.fix_text
    with mock.patch("ftfy.fix_text", lambda text: fix_text(text, fix_encoding=False)):
        return library(texts).numpy()


def ours(command: list[str], files: list[str], tokenizer: object, numbers: list[str], texts: list[str]) -> list:
    """The ids that `command` gives each text, or its error: `files` and `numbers` are keys of the tokenizer's manifest."""
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.write_files(Path(folder))
        manifest = tokenizer.manifest()
        paths = [str(Path(folder, manifest[key])) if manifest[key] else "-" for key in files]
        answers = probe.run([*command, *paths, *(str(manifest[key]) for key in numbers)], [text.encode() for text in texts])
    return [answer if isinstance(answer, probe.ProbeError) else np.frombuffer(answer, np.int64) for answer in answers]


def expect_equal(case: unittest.TestCase, name: str, texts: list[str], expected: np.ndarray, got: list) -> None:
    """Fails with the first texts whose ids differ."""
    different = [(text, want, answer) for text, want, answer in zip(texts, expected, got, strict=True)
                 if isinstance(answer, probe.ProbeError) or not np.array_equal(want, answer)]
    shown = "\n".join(f"{text[:60]!a}: expected {want[:30].tolist()}, got {answer[:30].tolist()}"
                      if isinstance(answer, np.ndarray) else f"{text[:60]!a}: {answer}"
                      for text, want, answer in different[:20])
    case.assertEqual(len(different), 0, f"{len(different)} of {len(texts)} texts differ:\n{shown}")
    print(f"{name}, {expected.shape[1]} ids: {len(texts)} texts equal")


class TokenizerFolders(unittest.TestCase):
    """Tokenizer folders, each written by its function, beside the texts that a class compares the ids of."""

    FOLDERS: dict[str, Callable[[Path], None]] = {}
    texts: list[str] = []

    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        cls.folders = {name: Path(scratch.name, name) for name in cls.FOLDERS}
        for name, write in cls.FOLDERS.items():
            write(cls.folders[name])
