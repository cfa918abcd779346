"""Exports Stable Diffusion from single files and fine-tunes, and compares it with the libraries."""

import dataclasses
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for `python -m unittest PATH`, which leaves it out

import safetensors.torch
import torch
from support import ExportTestCase, export, read_manifest

import export_teacher
import hub_teachers
import loras
import single_files
from hub_teachers import LAYOUTS
from sdsclip_export import teacher_models, verify

# Stable Diffusion 2's text encoder has as many layers as the converters take for granted; this one is as deep, but thin.
DEEP = {"num_hidden_layers": 23}


def config_of(layout: hub_teachers.Layout) -> dict:
    """Writes the layout as a `--config` file for single files."""
    pad = "eot" if layout.pad == hub_teachers.EOS else 0
    parts = {"unet": layout.unet, "vae": layout.vae, "text_encoder": layout.text_encoder, "scheduler": layout.scheduler}
    return parts | {"tokenizer": {"merges": "openai", "pad": pad}}


class SingleFiles(ExportTestCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.layout, cls.networks, cls.state, cls.config = {}, {}, {}, {}
        for name in ("sd-v1-4", "sd-v2-1", "sd-v2-1-base"):
            layout = LAYOUTS[name]
            if not name.startswith("sd-v1"):
                layout = dataclasses.replace(layout, text_encoder=layout.text_encoder | DEEP)
            cls.layout[name], cls.networks[name] = layout, hub_teachers.random_networks(layout)
            cls.state[name] = single_files.state_of(layout, cls.networks[name])
            cls.config[name] = cls.write_json(cls, f"{name}.json", config_of(layout))

    def assert_weights(self, teacher: teacher_models.TeacherSource, name: str) -> None:
        """Checks that the loaded networks have the generator's weights, bit for bit."""
        expected = self.networks[name]
        pairs = ((teacher.unet, expected.unet), (teacher.vae, expected.vae), (teacher.text_encoder, expected.text_encoder))
        for found, wanted in pairs:
            found = found.state_dict()
            for key, tensor in wanted.state_dict().items():
                self.assertTrue(torch.equal(found[key], tensor), key)

    def test_each_generations_files_give_the_networks_and_what_they_predict(self) -> None:
        for name, state in self.state.items():
            single_files.write_ckpt(state, self.scratch / f"{name}.ckpt")
            hub_teachers.write_weights(state, self.scratch / f"{name}.safetensors", half=True)
            for suffix in ("ckpt", "safetensors"):
                with self.subTest(name, suffix=suffix):
                    file = self.scratch / f"{name}.{suffix}"
                    teacher = teacher_models.load_diffusers(str(file), str(self.config[name]))
                    self.assert_weights(teacher, name)
                    self.assertEqual(teacher.prediction_type, self.layout[name].prediction_type)
                    self.assertEqual(teacher.vae.config.scaling_factor, 0.18215)
                    self.assertEqual(teacher.tokenizer.pad, 49407 if name == "sd-v1-4" else 0)
                    self.assertEqual(len(teacher.tokenizer.merges), 48894)

    def test_a_trainers_checkpoint_exports_whole(self) -> None:
        file, out = self.scratch / "whole.ckpt", self.scratch / "whole"
        single_files.write_ckpt(self.state["sd-v2-1"], file)
        export(export_teacher, "--diffusers", file, "--config", self.config["sd-v2-1"], "--out", out)
        manifest = read_manifest(out)
        self.assertEqual((manifest["prediction_type"], manifest["tokenizer"]["pad"]), ("v_prediction", 0))
        ids = torch.randint(0, 49406, (2, 77), generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            expected = self.networks["sd-v2-1"].text_encoder(ids).last_hidden_state
            self.assert_close(verify.load_exported(out / "text_encoder.ts")(ids), expected, 1e-5)

    def test_the_average_counts_where_a_file_has_both(self) -> None:
        other = hub_teachers.random_networks(self.layout["sd-v1-4"], seed=9)
        state = dict(self.state["sd-v1-4"])
        state |= single_files.state_of(self.layout["sd-v1-4"], dataclasses.replace(self.networks["sd-v1-4"], unet=other.unet))
        file = self.scratch / "full-ema.ckpt"
        single_files.write_ckpt(single_files.with_average(state, self.state["sd-v1-4"]), file)
        self.assert_weights(teacher_models.load_diffusers(str(file), str(self.config["sd-v1-4"])), "sd-v1-4")

    def test_a_file_of_the_second_generation_asks_for_what_it_predicts(self) -> None:
        state = self.state["sd-v2-1"] | {
            "model.diffusion_model.input_blocks.2.1.transformer_blocks.0.attn2.to_k.weight": torch.zeros(320, 1024)
        }
        file = self.scratch / "v2-1_768-ema-pruned.safetensors"
        hub_teachers.write_weights(state, file)
        self.expect_error(export_teacher, 2, "--config sd-v2-1-base", "--diffusers", file, "--out", self.scratch / "x")

    def test_files_of_other_kinds_are_named(self) -> None:
        state, cases = self.state["sd-v1-4"], {}
        cases["unet-alone"] = {name: value for name, value in state.items() if name.startswith("model.")}
        cases["vae-alone"] = {name.removeprefix("first_stage_model."): state[name] for name in state if "first_stage" in name}
        for name, content in cases.items():
            with self.subTest(name):
                file = self.scratch / f"{name}.safetensors"
                hub_teachers.write_weights(content, file)
                arguments = ("--diffusers", file, "--out", self.scratch / "x")
                self.expect_error(export_teacher, 3, "no text encoder", *arguments)
        cut = {name: value for name, value in state.items() if "output_blocks.1" not in name}
        hub_teachers.write_weights(cut, self.scratch / "cut.safetensors")
        arguments = ("--diffusers", self.scratch / "cut.safetensors", "--config", self.config["sd-v1-4"])
        self.expect_error(export_teacher, 3, "cut.safetensors", *arguments, "--out", self.scratch / "x")


class FineTunes(ExportTestCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.layout = LAYOUTS["sd-v1-5"]
        cls.networks = hub_teachers.random_networks(cls.layout)
        cls.folder = cls.scratch / "sd-v1-5"
        hub_teachers.write_folder(cls.layout, cls.networks, cls.folder)

    def test_a_tuned_unet_replaces_the_models_own(self) -> None:
        tuned = hub_teachers.random_networks(self.layout, seed=7)
        hub_teachers.write_folder(self.layout, tuned, self.scratch / "tuned")
        for folder in (self.scratch / "tuned", self.scratch / "tuned/unet"):
            with self.subTest(folder.name):
                teacher = teacher_models.load_diffusers(str(self.folder), None, None, teacher_models.Changes(unet=folder))
                expected = tuned.unet.state_dict()
                self.assertTrue(all(torch.equal(tensor, expected[name]) for name, tensor in teacher.unet.state_dict().items()))
                self.assertEqual(teacher.source["checkpoint"], f"sd-v1-5 + unet {folder.name}")

    def test_a_lora_is_merged_by_its_formula(self) -> None:
        for form, (write, alpha) in loras.FORMS.items():
            with self.subTest(form):
                lora = loras.random_lora(self.networks.unet, self.networks.text_encoder, alpha)
                write(lora, self.scratch / f"{form}.safetensors")
                changes = teacher_models.Changes(lora=self.scratch / f"{form}.safetensors", lora_scale=0.5)
                teacher = teacher_models.load_diffusers(str(self.folder), None, None, changes)
                self.assert_merged(lora, 0.5, teacher.unet, self.networks.unet, "unet")
                self.assert_merged(lora, 0.5, teacher.text_encoder, self.networks.text_encoder, "text_encoder")

    def assert_merged(self, lora: list, scale: float, merged: torch.nn.Module, plain: torch.nn.Module, part: str) -> None:
        """Checks that each weight is W + scale * alpha / rank * up @ down where the LoRA has one, and W elsewhere."""
        expected = {name: tensor.clone() for name, tensor in plain.state_dict().items()}
        layers = [layer for layer in lora if layer.part == part]
        self.assertGreater(len(layers), 2)
        for layer in layers:
            product = (layer.up.flatten(1) @ layer.down.flatten(1)).reshape(expected[f"{layer.name}.weight"].shape)
            expected[f"{layer.name}.weight"] += scale * layer.alpha / layer.down.shape[0] * product
        found = merged.state_dict()
        self.assertEqual(set(found), set(expected))
        for name, tensor in expected.items():
            torch.testing.assert_close(found[name], tensor, rtol=0, atol=1e-6, msg=name)

    def test_a_lora_exports_and_is_named_in_the_bundle(self) -> None:
        file, out = self.scratch / "style.safetensors", self.scratch / "styled"
        loras.write_kohya(loras.random_lora(self.networks.unet, self.networks.text_encoder), file)
        export(export_teacher, "--diffusers", self.folder, "--lora", file, "--out", out)
        self.assertEqual(read_manifest(out)["source"]["checkpoint"], "sd-v1-5 + 1 lora style.safetensors")

    def test_a_lora_of_another_model_is_refused(self) -> None:
        lora = loras.random_lora(self.networks.unet, self.networks.text_encoder)
        wrong = [dataclasses.replace(layer, name=layer.name.replace("down_blocks.0", "down_blocks.3")) for layer in lora]
        loras.write_kohya(wrong, self.scratch / "wrong.safetensors")
        safetensors.torch.save_file({"weight": torch.zeros(2)}, self.scratch / "none.safetensors")
        for name, message in (("wrong", "is it for another one?"), ("none", "no LoRA (it holds weight")):
            with self.subTest(name):
                arguments = ("--diffusers", self.folder, "--lora", self.scratch / f"{name}.safetensors")
                self.expect_error(export_teacher, 3, message, *arguments, "--out", self.scratch / "x")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
