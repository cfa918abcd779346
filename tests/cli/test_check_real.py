"""scripts/check_real.sh finds the shapes world and the shipped models sound, and names each kind of damage."""

import json
import os
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

from program import PROGRAM, ROOT, ProgramTest


class CheckReal(ProgramTest):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        world = cls.draw_world()
        # Two benchmarks of few cases are enough.
        cls.data = cls.folder / "data"
        for name in ("winoground", "zeroshot", "coco"):
            shutil.copytree(world / name, cls.data / name)
        cls.models = cls.folder / "models"
        for name in ("shapes-clip", "shapes-teacher"):
            shutil.copytree(ROOT / "models" / name, cls.models / name)

    def check(self, models: Path, data: Path) -> tuple[int, list[list[str]]]:
        """Returns the exit code and the rows of the table."""
        out = self.folder / "check"
        environment = os.environ | {"SDSCLIP_PROGRAM": str(PROGRAM.resolve()), "SDSCLIP_CHECK_OUT": str(out)}
        script = [str(ROOT / "scripts/check_real.sh"), str(models), str(data)]
        finished = subprocess.run(script, capture_output=True, text=True, env=environment, cwd=self.folder)
        self.assertTrue(finished.stdout.lstrip().startswith("what"), finished.stderr)
        rows = [line.split("\t") for line in (out / "table.tsv").read_text().splitlines()[1:]]
        return finished.returncode, rows

    def test_sound_models_and_data_are_reported_as_sound(self) -> None:
        code, rows = self.check(self.models, self.data)
        self.assertEqual(code, 0, rows)
        results = {(what, of): result for what, of, result, _ in rows}
        expected = {
            ("verify", "shapes-clip"): "sound",
            ("verify", "shapes-teacher"): "sound",
            ("files", "winoground"): "sound",
            ("counts", "winoground"): "other",
            ("20 cases", "winoground, shapes-clip"): "sound",
            ("20 cases", "zeroshot, shapes-clip"): "sound",
            ("2 cases", "winoground, shapes-teacher"): "sound",
            ("2 steps", "shapes-clip, shapes-teacher"): "sound",
        }
        self.assertEqual({key: results.get(key) for key in expected}, expected)
        steps = (self.folder / "check/work/train-shapes-clip--shapes-teacher/log.jsonl").read_text().splitlines()
        self.assertEqual([json.loads(line)["step"] for line in steps], [1, 2])

    def test_damage_is_named_and_does_not_stop_the_rest(self) -> None:
        models, data = self.folder / "damaged-models", self.folder / "damaged-data"
        shutil.copytree(self.models, models)
        shutil.copytree(self.data / "winoground", data / "winoground")
        weights = models / "shapes-teacher/unet.ts"
        content = bytearray(weights.read_bytes())
        content[len(content) // 2] ^= 1
        weights.write_bytes(content)
        next((data / "winoground/images").iterdir()).unlink()
        shutil.copytree(self.data / "zeroshot", data / "zeroshot")
        shutil.rmtree(data / "zeroshot/cyan_ring")  # no longer the shapes world, which has its own counts
        lines = (data / "zeroshot/classnames.txt").read_text().splitlines()
        (data / "zeroshot/classnames.txt").write_text("".join(f"{line}\n" for line in lines if line != "cyan ring"))
        code, rows = self.check(models, data)
        self.assertEqual(code, 1)
        results = {(what, of): (result, detail) for what, of, result, detail in rows}
        self.assertEqual(results["verify", "shapes-clip"][0], "sound")
        self.assertEqual(results["verify", "shapes-teacher"][0], "UNSOUND")
        self.assertIn("unet.ts", results["verify", "shapes-teacher"][1])
        self.assertEqual(results["files", "winoground"][0], "UNSOUND")
        self.assertIn("missing", results["files", "winoground"][1])
        self.assertEqual(results["20 cases", "zeroshot, shapes-clip"][0], "sound")
        self.assertEqual([row for row in rows if row[0] == "2 steps"][0][2], "not tried")

    def test_counts_that_are_not_the_published_ones_are_unsound(self) -> None:
        models, data = self.folder / "clip-alone", self.folder / "other-counts"
        shutil.copytree(self.models / "shapes-clip", models / "shapes-clip")
        shutil.copytree(self.data / "winoground", data / "winoground")
        code, rows = self.check(models, data)
        self.assertEqual(code, 1)
        counts = next(row for row in rows if row[0] == "counts")
        self.assertEqual(counts[2], "UNSOUND")
        self.assertIn("tag/Object: 240 cases, published 141", counts[3])

    def test_wrong_usage_is_exit_code_2(self) -> None:
        for arguments in ((), ("nowhere", str(self.data)), ("--all", ".", ".")):
            with self.subTest(arguments):
                script = [str(ROOT / "scripts/check_real.sh"), *arguments]
                finished = subprocess.run(script, capture_output=True, text=True, cwd=self.folder)
                self.assertEqual((finished.returncode, finished.stdout), (2, ""))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
