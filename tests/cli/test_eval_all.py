"""`sdsclip eval all` makes a run of every data set below a folder, and prints one table of all."""

import json
import re
import shutil

from program import ProgramTest, main

LIMIT = 4
# Metrics per benchmark in the overview, of those that the shapes world has.
HEADLINES = {
    "winoground": ["winoground/text", "winoground/image", "winoground/group"],
    "clevr": ["clevr/accuracy"],
    "retrieval": ["retrieval/text/recall@1", "retrieval/image/recall@1"],
    "zeroshot-one": ["one: zeroshot/acc1"],
    "zeroshot-two": ["two: zeroshot/acc1"],
}


class EvaluateAll(ProgramTest):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.root = cls.draw_world()
        shutil.rmtree(cls.root / "aro")
        single = (cls.root / "zeroshot").rename(cls.folder / "single")
        for name in ("two", "one"):
            shutil.copytree(single, cls.root / "zeroshot" / name)

    def test_runs_what_it_finds_and_prints_one_table(self):
        out = self.folder / "run"
        where = ["--data", self.root, "--out", out, "--limit", LIMIT, "--threads", 1, "--quiet"]
        printed = self.check_succeeds("eval", "all", *where)
        overview = printed.split("\n\n")[-1].splitlines()[2:]
        rows = {name: rest for name, *rest in (re.split(r"  +", line) for line in overview)}
        self.assertEqual({path.name for path in out.iterdir()}, set(HEADLINES))
        for folder, names in HEADLINES.items():
            result = json.loads((out / folder / "result.json").read_text())
            for name in names:
                metric = result["metrics"][name.split(": ")[-1]]
                low, high = metric["ci95"]
                self.assertEqual(rows[name][0], f"{metric['value']:.3f} [{low:.3f}, {high:.3f}]")
                self.assertEqual(rows[name][1:], [str(metric["n"]), str(metric["ties"])])

    def test_a_benchmarks_run_ends_with_the_time_per_match(self):
        out = self.folder / "winoground"
        where = ["--data", self.root / "winoground", "--out", out, "--limit", LIMIT, "--threads", 1, "--quiet"]
        last = self.check_succeeds("eval", "winoground", *where).splitlines()[-1]
        result = json.loads((out / "result.json").read_text())
        self.assertEqual(result["matches"], 4 * LIMIT)
        self.assertGreater(result["seconds_a_match"], 0)
        matches, seconds = re.match(r"(\d+) matches, (\S+) s per match", last).groups()
        self.assertEqual(int(matches), result["matches"])
        self.assertAlmostEqual(float(seconds), result["seconds_a_match"], delta=0.01 * result["seconds_a_match"])

    def test_a_missing_image_is_named_or_its_cases_are_counted(self):
        data = self.folder / "incomplete"
        shutil.copytree(self.root / "winoground", data)
        missing = sorted((data / "images").iterdir())[0]
        missing.unlink()
        where = ["winoground", "--data", data, "--out", self.folder / "skipped", "--limit", LIMIT, "--threads", 1]
        self.check_fails(3, [missing.name, "--skip-missing"], "eval", *where)
        self.check_succeeds("eval", *where, "--skip-missing")
        result = json.loads((self.folder / "skipped" / "result.json").read_text())
        self.assertEqual(result["skipped_missing"], 1)
        self.check_fails(3, ["1 images are missing", "1 cases"], "data", "check", "winoground", "--data", data)

    def test_the_check_of_a_folder_of_sets_counts_each(self):
        printed = self.check_succeeds("data", "check", "zeroshot", "--data", self.root / "zeroshot")
        for name in ("one", "two"):
            self.assertRegex(printed, rf"zeroshot in \S+/{name}: 800 images")


if __name__ == "__main__":
    main()
