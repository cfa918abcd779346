"""Help, version and usage errors work, and they do not wait for LibTorch."""

import json
import subprocess

from program import PROGRAM, ROOT, ProgramTest, main, run

COMMANDS = [
    "synth", "train", "sweep", "eval", "diffusion-score", "diffusion-weights", "report", "compare", "export", "bundle",
    "data", "tokenize", "preprocess", "embed",
]  # fmt: skip


class CommandLine(ProgramTest):
    def test_help_names_every_command_and_the_exit_codes(self):
        text = self.check_succeeds("--help")
        for command in COMMANDS:
            self.assertIn(command, text)
        self.assertIn("130", text)

    def test_every_command_has_help(self):
        for command in COMMANDS:
            self.assertIn("--help", self.check_succeeds(command, "--help"))

    def test_version_is_that_of_the_build_file(self):
        version = self.check_succeeds("--version").split()[-1]
        self.assertIn(f"project(sdsclip VERSION {version}", (ROOT / "CMakeLists.txt").read_text())

    def test_the_program_itself_does_not_load_libtorch(self):
        libraries = subprocess.run(["ldd", PROGRAM], capture_output=True, text=True, check=True).stdout
        self.assertNotIn("torch", libraries)
        self.assertNotIn("c10", libraries)

    def test_a_run_on_the_cpu_does_not_load_cuda_libraries(self):
        libraries = subprocess.run(
            ["ldd", PROGRAM.parent / "libsdsclip_commands.so"], capture_output=True, text=True, check=True
        ).stdout
        self.assertIn("torch_cpu", libraries)
        # libtorch_cpu of the CUDA wheel links the small CUDA runtime itself; the large libraries must not be loaded.
        for library in ("torch_cuda", "cublas", "cudnn", "nccl"):
            self.assertFalse(library in libraries, library)

    def test_wrong_usage_is_one_line_and_exit_2(self):
        self.check_fails(2, ["unknown command 'trian'", "'train'"], "trian")
        self.check_fails(2, ["--config", "required"], "train")
        self.check_fails(2, ["--frobnicate"], "synth", "--out", self.folder / "x", "--frobnicate")
        self.check_fails(2, ["fp64"], "eval", "winoground", "--precision", "fp64")
        self.check_fails(2, ["unknown benchmark 'winogrund'", "'winoground'"], "eval", "winogrund")
        self.check_fails(2, ["--device", "gpu"], "eval", "winoground", "--data", "tests", "--device", "gpu")
        self.check_fails(2, ["nothing.yaml", "known:", "quickstart.yaml"], "train", "--config", "nothing.yaml")

    def test_judging_stored_scores_needs_no_model(self):
        world = self.draw_world(train=1)
        scorers = {"eval": ("--clip", "shapes-clip"), "diffusion-score": ("--teacher", "shapes-teacher", "--samples", 2)}
        for command, (option, model, *more) in scorers.items():
            where = ["winoground", "--data", world / "winoground", "--limit", 3, "--out", self.folder / command, *more]
            self.check_succeeds(command, *where, option, model)
            scored = json.loads((self.folder / command / "result.json").read_text())
            self.check_succeeds(command, *where, option, "/nowhere", "--judge-only")
            judged = json.loads((self.folder / command / "result.json").read_text())
            self.assertEqual(judged["metrics"], scored["metrics"])
            self.assertEqual(judged["model"], scored["model"])

    def test_tokenize_gives_the_same_ids_for_arguments_and_standard_input(self):
        texts = ["a red circle", "two\nlines"]
        given = self.check_succeeds("tokenize", "--bundle", "shapes-clip", *texts)
        read = self.check_succeeds("tokenize", "--bundle", "shapes-clip", "-0", stdin="\0".join(texts))
        self.assertEqual(given, read)
        ids = [json.loads(line) for line in given.splitlines()]
        self.assertEqual(len(ids), 2)
        bundle = json.loads((ROOT / "models/shapes-clip/bundle.json").read_text())["tokenizer"]
        for row in ids:
            self.assertEqual(len(row), bundle["context_length"])
            self.assertEqual(row[0], bundle["sot"])
            self.assertIn(bundle["eot"], row)

    def test_every_shipped_configuration_resolves(self):
        for config in sorted((ROOT / "configs").glob("*.yaml")):
            if config.name.startswith("_"):
                continue
            text = self.check_succeeds("train", "--config", config.name, "--print-config")
            self.assertIn("lambda", text)

    def test_the_configuration_page_is_what_the_program_prints(self):
        page = (ROOT / "docs/configuration.md").read_text()
        printed = self.check_succeeds("train", "--config", "vitb16.yaml", "--print-config")
        self.assertIn(printed, page, "make it again: scripts/make_configuration_page.sh")


if __name__ == "__main__":
    main()
