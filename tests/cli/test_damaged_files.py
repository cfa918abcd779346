"""Damaged files that once crashed, hung or filled the memory end the program at once, with one printable line."""

import json
import os
import shutil
import subprocess
import time

from program import PROGRAM, ROOT, ProgramTest, main

REGRESSIONS = ROOT / "tests/fuzz/regressions"
MOST_SECONDS = 60  # the sanitizer build on a busy machine
MOST_BYTES = 1 << 30


class DamagedFiles(ProgramTest):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.world = cls.draw_world()

    def check_refused(self, code: int, parts: list[str], *arguments) -> None:
        """Like `check_fails`; also checks that the line is printable and bounds time and memory."""
        command = [str(PROGRAM), *map(str, arguments)]
        start = time.monotonic()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
            self.addCleanup(process.kill)
            text = process.stderr.read().decode("utf-8")  # other bytes fail here
            process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(process.returncode, code, text)
        lines = [line for line in text.splitlines() if " info " not in line and " warning " not in line]
        self.assertEqual(len(lines), 1, text)
        self.assertTrue(lines[0].isprintable(), ascii(lines[0]))
        for part in parts:
            self.assertIn(part, lines[0])
        self.assertLess(time.monotonic() - start, MOST_SECONDS)
        self.assertLess(usage.ru_maxrss * 1024, MOST_BYTES)

    def run_folder(self, name: str, **files) -> str:
        folder = self.folder / name
        folder.mkdir()
        for file, source in files.items():
            shutil.copyfile(source, folder / file.replace("__", "."))
        return str(folder)

    def train(self, *settings):
        words = ["train", "--config", "quickstart.yaml", "--out", self.folder / "train", "--set", "sds.lambda=0"]
        for setting in settings:
            words += ["--set", setting]
        return words

    def test_bundles(self):
        for file in sorted((REGRESSIONS / "bundle").iterdir()):
            with self.subTest(file.name):
                bundle = self.folder / file.stem
                shutil.copytree(ROOT / "models/shapes-teacher", bundle)
                shutil.copyfile(file, bundle / "bundle.json")
                self.check_refused(3, ["bundle.json"], "bundle", "inspect", bundle)

    def test_a_bundle_whose_description_is_a_pipe(self):
        bundle = self.folder / "pipe"
        shutil.copytree(ROOT / "models/shapes-clip", bundle)
        (bundle / "bundle.json").unlink()
        os.mkfifo(bundle / "bundle.json")
        self.check_refused(3, ["bundle.json", "is a pipe"], "bundle", "inspect", bundle)

    def test_configurations(self):
        for file in sorted((REGRESSIONS / "yaml").iterdir()) + sorted((REGRESSIONS / "config").iterdir()):
            with self.subTest(file.name):
                self.check_refused(2, [], "train", "--config", file, "--out", self.folder / "never")
        os.mkfifo(self.folder / "pipe.yaml")
        self.check_refused(2, ["pipe.yaml", "is a pipe"], "train", "--config", self.folder / "pipe.yaml")

    def test_images(self):
        for file in sorted((REGRESSIONS / "image").iterdir()):
            with self.subTest(file.name):
                self.check_refused(3, [file.name], "preprocess", "--bundle", "models/shapes-clip", file,
                                   "--out", self.folder / "pixels.safetensors")  # fmt: skip

    def test_results(self):
        for file in sorted((REGRESSIONS / "result").iterdir()):
            with self.subTest(file.name):
                run = self.run_folder(file.stem, result__json=file)
                self.check_refused(3, ["result.json"], "report", run)

    def test_logs_of_training(self):
        for file in sorted((REGRESSIONS / "runs").iterdir()):
            with self.subTest(file.name):
                run = self.run_folder("log-" + file.stem, log__jsonl=file)
                self.check_refused(3, ["log.jsonl: line 1"], "report", run)

    def test_stores(self):
        for file in sorted((REGRESSIONS / "scores").iterdir()):
            with self.subTest(file.name):
                run = self.run_folder(file.stem, scores__sqlite=file)
                self.check_refused(3, ["scores.sqlite"], "compare", run, run)

    def test_weights(self):
        for file in sorted((REGRESSIONS / "safetensors").glob("size*")):
            with self.subTest(file.name):
                self.check_refused(3, [file.name], "export", "--clip", "models/shapes-clip", "--tuned", file,
                                   "--format", "bundle", "--out", self.folder / "exported")  # fmt: skip

    def test_pipes_instead_of_weights_and_stores(self):
        pipe = self.folder / "weights.safetensors"
        os.mkfifo(pipe)
        run = self.folder / "piped"
        run.mkdir()
        os.mkfifo(run / "scores.sqlite")
        evaluate = ["eval", "winoground", "--data", self.world / "winoground", "--limit", 2]
        self.check_refused(3, ["weights.safetensors"], *evaluate, "--out", self.folder / "new", "--tuned", pipe)
        self.check_refused(3, ["scores.sqlite"], *evaluate, "--out", run)
        self.check_refused(3, ["scores.sqlite"], "compare", run, run)

    def test_counts_beyond_any_machines_memory(self):
        most, largest = 2**63 - 1, 2**20
        score = ["diffusion-score", "winoground", "--data", self.world / "winoground", "--limit", 1]
        evaluate = ["eval", "winoground", "--data", self.world / "winoground", "--limit", 1]
        self.check_refused(2, ["--samples", "1 to 1000000"], *score, "--samples", most, "--out", self.folder / "s")
        for command, flag in ((evaluate, "--batch"), ([*score, "--samples", 1], "--encode-batch")):
            out = self.folder / flag.strip("-")
            self.check_refused(2, [flag, f"1 to {largest}"], *command, flag, most, "--out", out)
            self.check_succeeds(*command, flag, largest, "--out", out)  # one batch holds all items

    def test_shards(self):
        for file in sorted((REGRESSIONS / "shards").iterdir()):
            with self.subTest(file.name):
                settings = ["data.format=webdataset", f"data.annotations='{file.read_text().strip()}'"]
                self.check_refused(2, [], *self.train(*settings))

    def test_archives(self):
        shard = REGRESSIONS / "webdataset" / "sparse-entry.tar"
        self.check_refused(3, ["sparse-entry.tar"], *self.train("data.format=webdataset", f"data.annotations={shard}"))

    def test_names_with_terminal_controls(self):
        """Checks that escape sequences from a result file are escaped."""
        run = self.folder / "escapes"
        run.mkdir()
        result = {
            "schema": 1, "command": "eval\x1b[2J", "benchmark": "winoground", "settings": {}, "versions": {},
            "model": {"name": "\x1b]0;title\x07", "sha256": "0"}, "seconds": 1.0, "matches": 1, "seconds_a_match": 1.0,
            "work": dict.fromkeys(["unet_evaluations", "vae_encodings", "text_encodings", "image_encodings"], 0),
            "metrics": {"winoground/text": {"value": 0.5, "n": 4, "ci95": [0.1, 0.9], "ties": 0}},
        }  # fmt: skip
        (run / "result.json").write_text(json.dumps(result))
        shown = self.check_succeeds("report", run)
        self.assertIn("eval\\x1b[2J", shown)
        self.assertTrue(shown.replace("\n", "").isprintable(), ascii(shown))


if __name__ == "__main__":
    main()
