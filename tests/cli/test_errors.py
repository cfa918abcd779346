"""Bad input gives one line that says what is wrong and where, with the right exit code; nothing crashes."""

import json
import shutil

from program import ROOT, ProgramTest, main


class Errors(ProgramTest):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.world = cls.draw_world(train=40)

    def copied_bundle(self, name: str):
        bundle = self.folder / name
        shutil.copytree(ROOT / "models/shapes-clip", bundle)
        return bundle

    def eval(self, bundle, data=None):
        return ["eval", "winoground", "--clip", bundle, "--data", data or self.world / "winoground", "--limit", 2,
                "--quiet", "--out", self.folder / "run"]  # fmt: skip

    def train(self, *settings):
        data = {
            "data.annotations": self.world / "coco/annotations/captions_train2017.json",
            "data.images": self.world / "coco/train2017",
            "train.steps": 2,
            "train.batch_size": 32,
        }
        arguments = ["train", "--config", "quickstart.yaml", "--quiet", "--out", self.folder / "train"]
        for setting in [f"{key}={value}" for key, value in data.items()] + list(settings):
            arguments += ["--set", setting]
        return arguments

    def test_a_missing_bundle(self):
        self.check_fails(2, ["/nowhere/bundle", "export_clip.py"], *self.eval("/nowhere/bundle"))

    def test_a_missing_file_of_a_bundle(self):
        bundle = self.copied_bundle("missing-file")
        (bundle / "clip.ts").unlink()
        self.check_fails(3, ["clip.ts", "missing"], *self.eval(bundle))

    def test_a_wrong_checksum(self):
        bundle = self.copied_bundle("wrong-checksum")
        data = bytearray((bundle / "clip.ts").read_bytes())
        data[len(data) // 2] ^= 1
        (bundle / "clip.ts").write_bytes(bytes(data))
        self.check_fails(3, ["clip.ts", "SHA-256"], *self.eval(bundle))
        self.check_fails(3, ["clip.ts", "SHA-256"], "bundle", "verify", bundle)

    def test_a_bundle_that_is_not_json(self):
        bundle = self.copied_bundle("not-json")
        (bundle / "bundle.json").write_text("{")
        self.check_fails(3, ["bundle.json:1", "not JSON"], *self.eval(bundle))

    def test_an_unknown_configuration_key(self):
        self.check_fails(2, ["--set sds.lamda=1", "sds.lamda", "'lambda'"], *self.train("sds.lamda=1"))

    def test_a_wrong_kind_in_a_configuration(self):
        config = self.folder / "wrong.yaml"
        config.write_text("clip: models/shapes-clip\ntrain:\n  steps: many\n")
        self.check_fails(2, ["wrong.yaml:3", "train.steps", "an integer"], "train", "--config", config)

    def test_a_truncated_image(self):
        image = self.world / "winoground/images/ex_0_img_0.png"
        whole = image.read_bytes()
        image.write_bytes(whole[: len(whole) // 2])
        try:
            self.check_fails(3, ["ex_0_img_0.png"], *self.eval("models/shapes-clip"))
        finally:
            image.write_bytes(whole)
            shutil.rmtree(self.folder / "run", ignore_errors=True)

    def test_a_caption_file_with_a_missing_image(self):
        image = self.world / "coco/train2017/000000000003.png"
        whole = image.read_bytes()
        image.unlink()
        try:
            arguments = self.train("data.on_bad_sample=fail", "sds.lambda=0", "train.batch_size=40")
            self.check_fails(3, ["000000000003.png"], *arguments)
        finally:
            image.write_bytes(whole)
            shutil.rmtree(self.folder / "train", ignore_errors=True)

    def test_an_image_that_cannot_be_decoded_is_named_with_its_folder_in_one_line(self):
        image = self.world / "coco/train2017/000000000003.png"
        whole = image.read_bytes()
        image.write_bytes(b"no image")
        try:
            for rule in ("data.on_bad_sample=fail", "data.max_bad=0"):
                arguments = self.train(rule, "sds.lambda=0", "train.batch_size=40")
                self.check_fails(3, [f"{image}: not an image"], *arguments)
                shutil.rmtree(self.folder / "train")
        finally:
            image.write_bytes(whole)

    def test_a_missing_file_of_a_benchmark_says_how_to_prepare_it(self):
        empty = self.folder / "empty"
        empty.mkdir()
        for benchmark, file in (
            ("winoground", "examples.jsonl"), ("sugarcrepe", "replace_obj.json"), ("mmvp", "Questions.csv"),
            ("clevr", "captions/pair_binding_size.json"), ("aro", "coco_order.json"),
            ("retrieval", "dataset_coco.json"), ("zeroshot", "classnames.txt"),
        ):  # fmt: skip
            parts = [str(empty), file, "expected", "docs/datasets.md says how to prepare"]
            self.check_fails(3, parts, "data", "check", benchmark, "--data", empty)

    def test_a_caption_file_that_is_not_json(self):
        broken = self.folder / "captions.json"
        broken.write_text("not json")
        self.check_fails(3, ["captions.json", "not JSON"], *self.train(f"data.annotations={broken}", "sds.lambda=0"))

    def test_benchmark_records_that_are_not_json(self):
        data = self.folder / "winoground"
        data.mkdir()
        lines = (self.world / "winoground/examples.jsonl").read_text().splitlines()
        (data / "examples.jsonl").write_text("\n".join(lines[:1] + ["{"]))
        shutil.copytree(self.world / "winoground/images", data / "images")
        self.check_fails(3, ["examples.jsonl", "2"], *self.eval("models/shapes-clip", data)[:-1], self.folder / "r2")

    def test_a_damaged_tuned_file(self):
        tuned = self.folder / "tuned.safetensors"
        tuned.write_bytes(b"\xff" * 20)
        self.check_fails(3, ["tuned.safetensors"], *self.eval("models/shapes-clip"), "--tuned", tuned)

    def test_a_world_into_a_folder_that_is_not_empty(self):
        taken = self.folder / "taken"
        taken.mkdir()
        (taken / "x").write_text("x")
        self.check_fails(3, ["taken", "not empty"], "synth", "--out", taken)
        self.assertEqual([path.name for path in taken.iterdir()], ["x"])

    def test_the_results_that_a_good_run_leaves(self):
        out = self.folder / "good"
        arguments = self.eval("models/shapes-clip")
        arguments[-1] = out
        self.check_succeeds(*arguments)
        result = json.loads((out / "result.json").read_text())
        self.assertEqual(result["schema"], 1)
        self.assertEqual(result["metrics"]["winoground/text"]["n"], 2)
        self.check_succeeds(*arguments)  # a complete run prints its result again
        self.assertEqual(json.loads((out / "result.json").read_text()), result)

    def test_a_model_that_fails_to_load_keeps_the_folder_free_for_the_right_one(self):
        tuned = self.folder / "broken.safetensors"
        tuned.write_bytes(b"\xff" * 20)
        out = self.folder / "free"
        arguments = self.eval("models/shapes-clip")
        arguments[-1] = out
        self.check_fails(3, ["broken.safetensors"], *arguments, "--tuned", tuned)
        self.check_succeeds(*arguments)


if __name__ == "__main__":
    main()
