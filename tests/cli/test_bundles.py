"""If a bundle is missing, the error names the command that makes it, as configs/ and docs/models.md do."""

import os
import re
import shlex
import subprocess
import sys
import unittest

from program import PROGRAM, ROOT, ProgramTest

DOCUMENTED = re.compile(r"^\|.*\| `([^`]* --out models/([\w-]+))` \|", re.MULTILINE)
NAMED = re.compile(r"^(?:clip|teacher): (\S+)$", re.MULTILINE)


class MissingBundles(ProgramTest):
    def message(self, *arguments: str, models: str | None = None) -> str:
        """Returns the one line with which the program ends, exit code 2."""
        environment = {name: value for name, value in os.environ.items() if name != "SDSCLIP_MODELS"}
        if models is not None:
            environment["SDSCLIP_MODELS"] = models
        command = [str(PROGRAM), *arguments]
        finished = subprocess.run(command, capture_output=True, text=True, cwd=self.folder, env=environment)
        self.assertEqual(finished.returncode, 2, finished.stderr)
        self.assertEqual(len(finished.stderr.splitlines()), 1, finished.stderr)
        return finished.stderr.strip()

    def documented(self) -> dict[str, str]:
        """Maps the name of a bundle to the arguments of its script in docs/models.md."""
        page = (ROOT / "docs/models.md").read_text(encoding="utf-8")
        return {name: arguments for arguments, name in DOCUMENTED.findall(page)}

    def named_in_configs(self) -> set[str]:
        found = set()
        for config in sorted((ROOT / "configs").glob("*.yaml")):
            found |= set(NAMED.findall(config.read_text(encoding="utf-8")))
        return {name for name in found if not (ROOT / name).exists()}

    def test_each_documented_bundle_is_named_with_its_documented_command(self) -> None:
        documented = self.documented()
        self.assertGreater(len(documented), 8)
        for name, arguments in documented.items():
            with self.subTest(name):
                message = self.message("bundle", "inspect", name)
                script = "export_teacher.py" if "--diffusers" in arguments else "export_clip.py"
                command = f".venv/bin/python scripts/{script} {arguments}"
                self.assertTrue(message.endswith(f"models/{name}: no such bundle; make it with `{command}`"), message)

    def test_each_bundle_of_the_configurations_is_documented(self) -> None:
        named = self.named_in_configs()
        self.assertIn("ViT-B-16-quickgelu-openai", named)
        self.assertIn("sd-v1-4", named)
        self.assertEqual(named - set(self.documented()), set())

    def test_the_command_writes_where_the_name_is_looked_up(self) -> None:
        self.assertIn("--out elsewhere/sd-v1-4`", self.message("bundle", "inspect", "sd-v1-4", models="elsewhere"))
        self.assertIn("--out mine/sd-v1-4`", self.message("bundle", "inspect", "mine/sd-v1-4"))

    def test_every_command_that_opens_one_says_so(self) -> None:
        (self.folder / "data").mkdir(exist_ok=True)
        commands = (
            ["eval", "winoground", "--clip", "RN50-quickgelu-openai", "--data", "data"],
            ["diffusion-score", "winoground", "--teacher", "sd-v2-1", "--data", "data"],
            ["export", "--clip", "RN50-quickgelu-openai", "--tuned", "x", "--format", "bundle", "--out", "y"],
            ["train", "--config", str(ROOT / "configs/vitb32.yaml"), "--out", "run"],
        )
        for command in commands:
            with self.subTest(shlex.join(command)):
                self.assertRegex(self.message(*command), r"no such bundle; make it with `\.venv/bin/python scripts/export_")

    def test_a_folder_of_another_kind_is_named_with_the_script_that_reads_it(self) -> None:
        for kind, file, script in (
            ("diffusers", "model_index.json", "export_teacher.py"),
            ("transformers or open_clip", "config.json", "export_clip.py"),
            ("transformers or open_clip", "open_clip_config.json", "export_clip.py"),
            ("no bundle", "notes.txt", "export_clip.py or scripts/export_teacher.py"),
        ):
            folder = self.folder / file.split(".")[0]
            folder.mkdir()
            (folder / file).write_text("{}")
            self.check_fails(3, [str(folder), kind, "no bundle.json", f"scripts/{script}"], "bundle", "inspect", folder)

    def test_an_unknown_name_says_where_it_is_looked_for(self) -> None:
        message = self.message("bundle", "inspect", "my-clip")
        self.assertIn("models/my-clip: no such bundle, here or below SDSCLIP_MODELS", message)
        self.assertNotIn("make it with", message)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
