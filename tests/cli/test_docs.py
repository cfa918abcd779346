"""The commands in README.md, docs/ and configs/ are commands and options that the program and the scripts accept."""

import re
import shlex
import subprocess
import sys
import unittest
from pathlib import Path

from program import ROOT, ProgramTest, run

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
ALL_PAGES = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "models" / "README.md"]
PATH = re.compile(r"(?<![\w./-])(?:\.\./)*((?:docs|scripts|tests|include|configs|src|cmake)/[\w./-]*\w/?)")
PLACEHOLDER = re.compile(r"NAME|MODULE")
SOURCE = re.compile(r"\b(\w+\.(?:cpp|h|py))\b")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
SCRIPTS = (
    "export_clip.py", "export_teacher.py", "make_candidates.py", "parquet_to_webdataset.py", "prepare_aro_order.py", "prepare_winoground.py",
    "prepare_zeroshot.py",
)  # fmt: skip


def shell_lines(text: str) -> list[str]:
    """Returns the lines of the ```sh blocks, with continued lines joined."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]


def outside_blocks(text: str) -> str:
    return re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)


def inline_code(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", outside_blocks(text))


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]+`", "", outside_blocks(text))


def headings(text: str) -> set[str]:
    """Returns the anchors of a page's headings, as GitHub makes them."""
    lines = re.findall(r"^#+ (.*)$", outside_blocks(text), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", line).strip().lower().replace(" ", "-") for line in lines}


def comment_commands(text: str) -> list[str]:
    """Returns the commands in a configuration's comments."""
    return [line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#   ")]


def documented_commands() -> list[tuple[str, list[str]]]:
    """Returns each command in the documents as (where, words), starting at `sdsclip` or a script's name."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        found += [(page.name, line) for line in [*shell_lines(text), *inline_code(text)]]
    for config in sorted((ROOT / "configs").glob("*.yaml")):
        found += [(config.name, line) for line in comment_commands(config.read_text(encoding="utf-8"))]
    commands = []
    for where, line in found:
        words = shlex.split(line, comments=True) if re.search(r"sdsclip |scripts/\w+\.py", line) else []
        if words and words[0].endswith("bin/python"):
            words = words[1:]
        if words and Path(words[0]).name in ("sdsclip", *SCRIPTS):
            commands.append((where, words))
    return commands


def options_of(words: list[str]) -> list[str]:
    return [word.split("=")[0] for word in words if word.startswith("--")]


def values_of(words: list[str], option: str) -> list[str]:
    return [value for word, value in zip(words, words[1:], strict=False) if word == option]


class Documents(ProgramTest):
    def command_names(self, words: list[str]) -> list[str]:
        """Returns the command's words: one, or two if the first one has subcommands."""
        names = [word for word in words[:2] if re.fullmatch("[a-z][a-z-]*", word)]
        while names and run(*names, "--help").returncode != 0:
            names.pop()
        self.assertTrue(names, words)
        return names

    def test_every_command_exists_and_takes_its_options(self) -> None:
        helps: dict[str, str] = {}
        commands = [(where, words[1:]) for where, words in documented_commands() if Path(words[0]).name == "sdsclip"]
        self.assertGreater(len(commands), 20)
        for where, words in commands:
            with self.subTest(where=where, command=" ".join(words)):
                if words[0].startswith("--"):
                    continue
                names = self.command_names(words)
                text = helps.setdefault(" ".join(names), run(*names, "--help").stdout)
                for option in options_of(words):
                    self.assertRegex(text, rf"{option}\b")

    def test_every_script_takes_its_options(self) -> None:
        used: dict[str, set[str]] = {}
        for _, words in documented_commands():
            if Path(words[0]).name in SCRIPTS:
                used.setdefault(Path(words[0]).name, set()).update(options_of(words))
        self.assertEqual(set(used), set(SCRIPTS))
        for script, options in used.items():
            command = [sys.executable, ROOT / "scripts" / script, "--help"]
            text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            for option in options:
                self.assertIn(option, text, script)

    def test_every_setting_is_one_of_the_configuration(self) -> None:
        settings = {"vitb16.yaml": set()}
        for page in PAGES:
            for code in inline_code(page.read_text(encoding="utf-8")):
                words = code.split()
                settings["vitb16.yaml"].update(value for value in values_of(words, "--set") if value != "key=value")
        for _, words in documented_commands():
            for config in values_of(words, "--config"):
                if config.endswith(".yaml"):
                    settings.setdefault(config, set()).update(values_of(words, "--set"))
        self.assertGreater(len(settings["vitb16.yaml"]), 5)
        for config, values in settings.items():
            chosen = [word for value in sorted(values) for word in ("--set", value)]
            self.check_succeeds("train", "--config", config, "--print-config", *chosen)

    def test_every_named_configuration_exists_and_every_one_is_named(self) -> None:
        text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
        named = set(re.findall(r"\b([\w-]+\.yaml)\b", text)) - {"config.yaml"}
        there = {path.name for path in (ROOT / "configs").glob("*.yaml")}
        self.assertEqual(named - there, set())
        self.assertEqual({name for name in there if not name.startswith("_")} - named, set())

    def test_every_named_file_exists(self) -> None:
        for page in ALL_PAGES:
            text = LINK.sub("", page.read_text(encoding="utf-8"))
            for path in [path for path in PATH.findall(text) if not PLACEHOLDER.search(path)]:
                self.assertTrue((ROOT / path).exists(), f"{page.relative_to(ROOT)}: {path}")

    def test_every_source_file_of_the_architecture_exists(self) -> None:
        there = {path.name for folder in ("src", "include", "scripts") for path in (ROOT / folder).rglob("*.*")}
        named = set(SOURCE.findall((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")))
        named = {name for name in named if not PLACEHOLDER.search(name) and not name.startswith("_")}
        self.assertGreater(len(named), 40)
        self.assertEqual(named - there, set())

    def test_every_page_can_be_reached_from_the_readme(self) -> None:
        reached = set()
        pages = [ROOT / "README.md"]
        while pages:
            page = pages.pop()
            if page in reached:
                continue
            reached.add(page)
            links = LINK.findall(without_code(page.read_text(encoding="utf-8")))
            targets = [(page.parent / link.partition("#")[0]).resolve() for link in links if link[0] != "#"]
            pages += [target for target in targets if target.suffix == ".md"]
        self.assertEqual([str(page.relative_to(ROOT)) for page in ALL_PAGES if page.resolve() not in reached], [])

    def test_no_paragraph_of_the_readme_is_longer_than_five_lines(self) -> None:
        text = outside_blocks((ROOT / "README.md").read_text(encoding="utf-8"))
        for block in re.split(r"\n(?=\s*\n|[-*|] |#)", text):
            lines = block.strip().splitlines()
            self.assertLessEqual(len(lines), 5, lines[:1])

    def test_every_link_between_pages_leads_to_a_page_and_its_heading(self) -> None:
        found = 0
        for page in ALL_PAGES:
            for link in LINK.findall(without_code(page.read_text(encoding="utf-8"))):
                if re.match(r"[a-z]+:", link):
                    continue
                found += 1
                where = f"{page.relative_to(ROOT)}: {link}"
                path, _, heading = link.partition("#")
                target = page.parent / path if path else page
                self.assertTrue(target.exists(), where)
                if heading:
                    self.assertIn(heading, headings(target.read_text(encoding="utf-8")), where)
        self.assertGreater(found, 20)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
