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

    def test_counts_beyond_their_range_are_refused_by_flag_and_range(self):
        scoring = ["winoground", "--data", "tests"]
        for words, flag, most in (
            (["synth", "--out", self.folder / "x"], "--train", 2**31 - 1),
            (["eval", *scoring], "--batch", 2**20),
            (["eval", *scoring], "--limit", 2**31 - 1),
            (["eval", *scoring], "--threads", 4096),
            (["diffusion-score", *scoring], "--micro-batch", 2**20),
            (["diffusion-score", *scoring], "--encode-batch", 2**20),
            (["diffusion-score", *scoring], "--min-samples", 10**6),
            (["diffusion-weights", "run", "--out", "x"], "--bins", 2**31 - 1),
        ):
            for value in (most + 1, 2**63 - 1, 2**64):
                self.check_fails(2, [f"{flag}: got '{value}'", f"to {most}"], *words, flag, value)

    def test_a_wrong_value_is_reported_under_the_flag_that_was_typed(self):
        score = ["diffusion-score", "winoground", "--data", "tests", "--out", self.folder / "never"]
        for flag, value, expected in (
            ("--samples", "many", "integer from 1 to 1000000"), ("--samples", 0, "integer from 1 to 1000000"),
            ("--samples", 2**40, "1 to 1000000"), ("--seed", -1, "integer of 0 or more"), ("--norm", "l3", "one of l2"),
            ("--weight", "learned:", "learned:FILE"), ("--micro-batch", "1.5", f"integer from 0 to {2**20}"),
            ("--encode-batch", 0, f"integer from 1 to {2**20}"), ("--preset", "papre", "'paper'"),
        ):  # fmt: skip
            done = run(*score, f"{flag}={value}")
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertRegex(done.stderr, rf"^(sdsclip: |\S+ error ){flag}: got '?{value}")
            self.assertIn(expected, done.stderr)
            self.assertNotIn("--set", done.stderr)
        self.check_fails(2, ["--t-range: got 0.8 and 0.2"], *score, "--t-range", 0.8, 0.2)
        self.check_fails(2, ["--confidence belongs to --adaptive"], *score, "--confidence", 0.9)
        self.check_fails(2, ["--min-samples: got '1'"], *score, "--adaptive", "--min-samples", 1)
        self.check_fails(2, ["--batch: got '0'"], "eval", "winoground", "--data", "tests", "--batch", 0)
        self.assertFalse((self.folder / "never").exists())

    def test_a_flag_that_a_command_does_not_read_is_accepted_but_not_listed(self):
        unread = ["--seed", 1, "--precision", "bf16", "--device", "cpu", "--threads", 1]
        inspect = ["bundle", "inspect", "models/shapes-clip"]
        self.assertEqual(self.check_succeeds(*inspect, *unread), self.check_succeeds(*inspect))
        for command in (["report"], ["compare"], ["bundle", "inspect"], ["bundle", "verify"], ["data", "check"]):
            text = self.check_succeeds(*command, "--help")
            for flag in ("--seed", "--precision", "--device", "--threads"):
                self.assertNotIn(flag, text)
        self.assertNotIn("--seed", self.check_succeeds("eval", "--help"))
        self.check_fails(2, ["--precision: got 'fp64'"], *inspect, "--precision", "fp64")

    def test_a_preset_gives_way_to_the_other_flags_wherever_they_stand(self):
        score = ["diffusion-score", "winoground", "--data", "tests", "--out", self.folder / "never", "--adaptive"]
        for order in (["--preset", "diffusion-itm", "--t-range", 0, 0.5], ["--t-range", 0, 0.5, "--preset", "diffusion-itm"]):
            self.check_fails(2, ["--t-range: the preset diffusion-itm has its own range"], *score, *order)

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
