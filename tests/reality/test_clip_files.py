"""Exports CLIP weights from files of OpenAI, open_clip and others, and compares them with open_clip's own reading."""

import os
import pickle
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for `python -m unittest PATH`, which leaves it out

import open_clip
import safetensors.torch
import torch
from support import ExportTestCase, export, read_manifest, run_script
from torch import nn

import export_clip
import clip_files
from foreign_objects import foreign_class
from sdsclip_export import verify
from sdsclip_export.clip_models import Weights, load_clip


class Touch:
    """Makes a file if it is unpickled completely."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.path}",)


class Evaluate(Touch):
    def __reduce__(self) -> tuple:
        return eval, (f"open({str(self.path)!r}, 'w')",)


class ClipFiles(ExportTestCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.config = cls.write_json(cls, "tiny-file.json", clip_files.CONFIG)
        cls.twin = cls.write_json(cls, "tiny-twin.json", clip_files.CONFIG)
        cls.write_json(cls, "tiny-twin-quickgelu.json", clip_files.CONFIG | {"quick_gelu": True})
        open_clip.add_model_config(cls.scratch)
        cls.model = clip_files.random_model("tiny-file")

    def assert_loads(self, path: Path) -> None:
        loaded = load_clip(str(self.config), Weights(checkpoint=path), None, None)
        expected = self.model.state_dict()
        self.assertEqual(set(loaded.towers.state_dict()), set(expected))
        for name, tensor in loaded.towers.state_dict().items():
            self.assertTrue(torch.equal(tensor, expected[name]), name)

    def test_every_wrapper_gives_the_models_own_weights(self) -> None:
        state = self.model.state_dict()
        half = {name: tensor.half() for name, tensor in state.items()}
        compiled = {f"_orig_mod.{name}": tensor for name, tensor in state.items()}
        wrapped = {
            "plain.pt": state,
            "model.pt": {"model": state, "epoch": 3},
            "model_state_dict.pth": {"model_state_dict": state},
            "half.bin": half,
            "half-wrapped.pt": {"state_dict": {f"module.{name}": tensor for name, tensor in half.items()}},
            "compiled.pt": {"state_dict": {f"module.{name}": tensor for name, tensor in compiled.items()}},
            "deepspeed.pt": {"module": state, "global_steps": 3},
            "lightning.ckpt": {"state_dict": {f"model.{name}": tensor for name, tensor in state.items()}, "epoch": 3},
            "larger.pt": {"net": {f"module.clip.{name}": tensor for name, tensor in state.items()}},
            "fsdp.pt": {f"_fsdp_wrapped_module.{name}": tensor for name, tensor in state.items()},
            "averaged-alone.pt": {"state_dict_ema": state, "epoch": 3},
            "averaged-beside.pt": {"model": state, "model_ema": {name: tensor + 1 for name, tensor in state.items()}},
            "column.pt": state | {"logit_scale": state["logit_scale"][None]},
        }
        for name, content in wrapped.items():
            with self.subTest(name):
                torch.save(content, self.scratch / name)
                self.assert_loads(self.scratch / name)
        safetensors.torch.save_file(half, self.scratch / "half.safetensors")
        self.assert_loads(self.scratch / "half.safetensors")
        torch.save(state, self.scratch / "old.pt", _use_new_zipfile_serialization=False)
        self.assert_loads(self.scratch / "old.pt")

    def test_an_epoch_of_open_clips_training_loads_past_its_optimizer_and_numpy_scalars(self) -> None:
        model = clip_files.random_model("tiny-file")
        clip_files.write_epoch(model, self.scratch / "epoch_3.pt")
        loaded = load_clip(str(self.config), Weights(checkpoint=self.scratch / "epoch_3.pt"), None, None)
        for name, tensor in model.state_dict().items():
            self.assertTrue(torch.equal(loaded.towers.state_dict()[name], tensor), name)

    def test_objects_of_other_libraries_are_skipped(self) -> None:
        with foreign_class("wandb.sdk.wandb_run", "Run") as kind:
            run = kind()
            run.history = [kind, {"step": 3}]
            torch.save({"state_dict": self.model.state_dict(), "logger": run, "class": kind}, self.scratch / "wandb.pt")
        self.assert_loads(self.scratch / "wandb.pt")

    def test_code_beside_the_weights_does_not_run(self) -> None:
        touched = self.scratch / "touched"
        for kind in (Touch, Evaluate):
            with self.subTest(kind.__name__):
                path = self.scratch / "code.pt"
                torch.save({"state_dict": self.model.state_dict(), "extra": kind(touched)}, path)
                run_script(export_clip, self.config, "--checkpoint", path, "--out", self.scratch / "code", "--force")
                self.assertFalse(touched.exists())

    def test_openais_archive_exports_as_open_clip_reads_it_with_quick_gelu(self) -> None:
        model, path, out = clip_files.random_model("tiny-file", True), self.scratch / "openai.pt", self.scratch / "openai"
        clip_files.write_openai_archive(model, path)
        expected = open_clip.load_openai_model(str(path), precision="fp32", device="cpu").eval()
        # A name with a twin raises no question, because OpenAI's archives are known.
        export(export_clip, self.twin, "--checkpoint", path, "--out", out)
        self.assertEqual(read_manifest(out)["activation"], "quick_gelu")
        exported = verify.load_exported(out / "clip.ts")
        pixels = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        ids = open_clip.tokenize(["a cat", "two dogs on a sofa", ""])
        with torch.no_grad():
            self.assert_close(exported.encode_image(pixels), expected.encode_image(pixels), 1e-5)
            self.assert_close(exported.encode_text(ids), expected.encode_text(ids), 1e-5)
        arguments = (self.twin, "--checkpoint", path, "--activation", "gelu", "--out", self.scratch / "x")
        self.expect_error(export_clip, 2, "OpenAI's archives were trained with quick_gelu", *arguments)

    def test_a_file_of_a_model_with_a_twin_asks_for_the_activation(self) -> None:
        path = self.scratch / "says-nothing.pt"
        torch.save(self.model.state_dict(), path)
        for name in (self.twin, "ViT-B-32", "RN50", "ViT-L-14-336"):
            with self.subTest(str(name)):
                arguments = (name, "--checkpoint", path, "--out", self.scratch / "x")
                self.expect_error(export_clip, 2, "add --activation quick_gelu", *arguments)
        for activation in ("quick_gelu", "gelu"):
            out = self.scratch / f"answered-{activation}"
            export(export_clip, self.twin, "--checkpoint", path, "--activation", activation, "--out", out)
            self.assertEqual(read_manifest(out)["activation"], activation)
            pixels = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
            expected = open_clip.create_model("tiny-twin", str(path), force_quick_gelu=activation == "quick_gelu").eval()
            with torch.no_grad():
                exported = verify.load_exported(out / "clip.ts").encode_image(pixels)
                self.assert_close(exported, expected.encode_image(pixels), 1e-5)

    def test_the_twins_name_is_an_answer_and_must_not_be_contradicted(self) -> None:
        path, twin = self.scratch / "twin.pt", self.scratch / "tiny-twin-quickgelu.json"
        torch.save(self.model.state_dict(), path)
        self.assertEqual(load_clip(str(twin), Weights(checkpoint=path), None, None).activation, "quick_gelu")
        arguments = (twin, "--checkpoint", path, "--activation", "gelu", "--out", self.scratch / "x")
        self.expect_error(export_clip, 2, "this model has quick_gelu", *arguments)


class Errors(ExportTestCase):
    """A file of another kind gives one complete printable line that names the kind."""

    def expect_line(self, path: Path, message: str) -> None:
        config = self.write_json("tiny-errors.json", clip_files.CONFIG)
        before = {path.name for path in self.scratch.iterdir()}
        arguments = (export_clip, config, "--checkpoint", path, "--out", self.scratch / "out")
        code, _, stderr = run_script(*arguments)
        self.assertEqual(code, 3, stderr)
        lines = [line for line in stderr.splitlines() if line.startswith("error: ")]
        self.assertEqual(len(lines), 1, stderr)
        self.assertTrue(lines[0].isprintable(), repr(lines[0]))
        self.assertRegex(lines[0], message)
        self.assertLess(len(lines[0]), 1000)
        self.assertEqual({path.name for path in self.scratch.iterdir()}, before)

    def saved(self, name: str, content: object, **more: object) -> Path:
        torch.save(content, self.scratch / name, **more)
        return self.scratch / name

    def test_a_pickled_model_asks_for_its_state_dict(self) -> None:
        with foreign_class("my_training.models", "StudentClip") as kind:
            path = self.saved("whole-model.pt", kind())
        self.expect_line(path, r"whole-model\.pt: a pickled model object, not weights; save its state_dict\(\)")

    def test_files_of_other_kinds_are_named(self) -> None:
        self.expect_line(self.saved("list.pt", [1, 2]), r"list\.pt: holds a list; expected a state dict")
        self.expect_line(self.saved("empty.pt", {"epoch": 3}), r"no tensors in it \(it holds epoch\)")
        for name, data in (("text.pt", b"\x1b[31mhello"), ("zeros.safetensors", bytes(64)), ("none.pt", b"")):
            (self.scratch / name).write_bytes(data)
            self.expect_line(self.scratch / name, f"{name}: not readable weights")
        with open(self.scratch / "pickle.pt", "wb") as file:
            pickle.dump({"a": Touch(self.scratch / "run")}, file)
        self.expect_line(self.scratch / "pickle.pt", r"pickle\.pt: not readable weights")

    def test_weights_that_are_not_finite_are_named(self) -> None:
        open_clip.add_model_config(self.write_json("tiny-errors.json", clip_files.CONFIG))
        state = clip_files.random_model("tiny-errors").state_dict()
        for value in (float("nan"), float("inf")):
            state["ln_final.weight"] = torch.full((64,), value)
            self.expect_line(self.saved("not-finite.pt", state), r"not-finite\.pt: ln_final\.weight holds NaN or an infinity")

    def test_weights_of_another_model_are_counted_with_an_example(self) -> None:
        open_clip.add_model_config(self.write_json("tiny-errors.json", clip_files.CONFIG))
        state = clip_files.random_model("tiny-errors").state_dict()
        state["ln_final.weight"] = torch.zeros(65)
        del state["positional_embedding"], state["visual.proj"]
        state["visual.extra"] = torch.zeros(1)
        self.expect_line(self.saved("other.pt", state), r"2 missing \(.*\); 1 unexpected \(visual\.extra\); 1 of another shape")
        self.expect_line(self.saved("linear.pt", nn.Linear(2, 2).state_dict()), r"unexpected \(weight, bias\)")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
