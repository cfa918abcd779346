"""Exports Stable Diffusion from folders as on the hub, compares it with the libraries, and trains with it."""

import json
import os
import re
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for `python -m unittest PATH`, which leaves it out

import safetensors.torch
import torch
from support import ROOT, ExportTestCase, export, read_manifest, run, run_script, train_arguments

import export_clip
import export_teacher
import hub_teachers
from hub_teachers import LAYOUTS
from open_clip_folders import as_cached
from sdsclip_export import verify
from tiny_clips import VIT


class TeacherFolders(ExportTestCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.networks = {name: hub_teachers.random_networks(layout) for name, layout in LAYOUTS.items()}

    def write(self, name: str, folder: str | Path, **more: object) -> Path:
        hub_teachers.write_folder(LAYOUTS[name], self.networks[name], self.scratch / folder, **more)
        return self.scratch / folder

    def assert_networks(self, bundle: Path, networks: hub_teachers.Networks) -> None:
        """Checks that the bundle's three graphs give what the libraries' networks give."""
        generator = torch.Generator().manual_seed(1)
        z, context = torch.randn(2, 4, 8, 8, generator=generator), torch.randn(2, 77, 32, generator=generator)
        t, pixels = torch.tensor([3, 700]), torch.rand(2, 3, 32, 32, generator=generator) * 2 - 1
        ids = torch.randint(0, 49406, (2, 77), generator=generator)
        with torch.no_grad():
            load = lambda file: verify.load_exported(bundle / file)  # noqa: E731
            self.assert_close(load("unet.ts")(z, t, context), networks.unet(z, t, context).sample, 1e-5)
            moments = networks.vae.encode(pixels).latent_dist.parameters
            self.assert_close(load("vae_encoder.ts")(pixels), moments, 1e-5)
            self.assert_close(load("text_encoder.ts")(ids), networks.text_encoder(ids).last_hidden_state, 1e-5)

    def test_each_published_layout_exports_what_it_means(self) -> None:
        for name, layout in LAYOUTS.items():
            with self.subTest(name):
                out = self.scratch / f"bundle-{name}"
                export(export_teacher, "--diffusers", self.write(name, name), "--out", out)
                manifest = read_manifest(out)
                self.assertEqual(manifest["prediction_type"], layout.prediction_type)
                self.assertEqual(manifest["latent"]["scaling_factor"], 0.18215)
                self.assertEqual(manifest["tokenizer"]["pad"], 49407 if name.startswith("sd-v1") else 0)
                self.assertEqual(len((out / "merges.txt").read_text(encoding="utf-8").splitlines()), 48894)
                self.assertEqual(manifest["schedule"]["beta_end"], 0.012)
                self.assert_networks(out, self.networks[name])

    def test_a_folder_of_pickled_weights_exports(self) -> None:
        out = self.scratch / "bundle-bin"
        export(export_teacher, "--diffusers", self.write("sd-v1-5", "bin", suffix="bin"), "--out", out)
        self.assert_networks(out, self.networks["sd-v1-5"])

    def test_a_folder_with_only_half_precision_asks_for_its_variant(self) -> None:
        for suffix in ("safetensors", "bin"):
            with self.subTest(suffix):
                folder = self.write("sd-v1-5", f"fp16-{suffix}", variants=("fp16",), suffix=suffix)
                out = self.scratch / f"bundle-fp16-{suffix}"
                self.expect_error(export_teacher, 3, "add --variant fp16", "--diffusers", folder, "--out", out)
                export(export_teacher, "--diffusers", folder, "--variant", "fp16", "--out", out)
                self.assert_networks(out, self.networks["sd-v1-5"])

    def test_a_variant_of_some_parts_keeps_the_others_plain(self) -> None:
        folder = self.write("sd-v2-1", "mixed")
        plain = folder / "unet/diffusion_pytorch_model.safetensors"
        plain.rename(plain.with_name("diffusion_pytorch_model.fp16.safetensors"))
        out = self.scratch / "bundle-mixed"
        self.expect_error(export_teacher, 3, "unet: no plain weights, only fp16", "--diffusers", folder, "--out", out)
        export(export_teacher, "--diffusers", folder, "--variant", "fp16", "--out", out)
        self.assert_networks(out, self.networks["sd-v2-1"])

    def test_a_variant_that_no_part_has_is_a_line(self) -> None:
        folder = self.write("sd-v1-4", "no-fp16")
        arguments = ("--diffusers", folder, "--variant", "fp16", "--out", self.scratch / "bundle-no-fp16")
        code, _, stderr = run_script(export_teacher, *arguments)
        self.assertEqual(code, 0, stderr)
        self.assertIn(f"{folder}: no fp16 weights of unet, vae, text_encoder; the plain ones are taken\n", stderr)

    def test_weights_in_several_files_export_by_their_index(self) -> None:
        for suffix, variant in (("safetensors", ""), ("bin", ""), ("safetensors", "fp16")):
            with self.subTest(suffix, variant=variant):
                folder = self.write("sd-v1-5", f"shards-{suffix}-{variant}", suffix=suffix)
                text = "model" if suffix == "safetensors" else "pytorch_model"
                for part, stem in (("unet", "diffusion_pytorch_model"), ("text_encoder", text)):
                    hub_teachers.split_weights(folder / part, stem, suffix, variant)
                out = self.scratch / "bundle-shards"
                more = ("--variant", variant) if variant else ()
                export(export_teacher, "--diffusers", folder, *more, "--out", out, "--force")
                self.assert_networks(out, self.networks["sd-v1-5"])
        next((folder / "unet").glob("*.index.*")).unlink()
        arguments = ("--diffusers", folder, *more, "--out", self.scratch / "x")
        self.expect_error(export_teacher, 3, "is one of several files; their index", *arguments)

    def test_a_snapshot_in_the_hubs_cache_is_named_after_its_model(self) -> None:
        snapshot = as_cached(self.write("sd-v1-4", "to-cache"), self.scratch / "hub", "CompVis", "stable-diffusion-v1-4")
        out = self.scratch / "bundle-cached"
        export(export_teacher, "--diffusers", snapshot.parent.parent, "--out", out)
        manifest = read_manifest(out)
        self.assertEqual((manifest["name"], manifest["source"]["checkpoint"]), ("stable-diffusion-v1-4",) * 2)
        self.assert_networks(out, self.networks["sd-v1-4"])

    def test_weights_that_are_not_the_whole_network_are_refused(self) -> None:
        """The libraries would fill what is missing with random numbers."""
        folder, out = self.write("sd-v1-4", "partial"), self.scratch / "x"
        for part, name in (("unet", "diffusion_pytorch_model"), ("text_encoder", "model")):
            path = folder / part / f"{name}.safetensors"
            state = safetensors.torch.load_file(path)
            first = min(state)
            for tensors, message in (
                ({name: tensor for name, tensor in state.items() if name != first}, f"{part}: its weights lack 1"),
                (state | {first: torch.zeros(3, 3)}, "3, 3]"),
                (state | {first: torch.full_like(state[first], torch.nan)}, "holds NaN or an infinity"),
            ):
                with self.subTest(part, message=message):
                    safetensors.torch.save_file(tensors, path, metadata={"format": "pt"})
                    self.expect_error(export_teacher, 3, message, "--diffusers", folder, "--out", out)
            safetensors.torch.save_file(state, path, metadata={"format": "pt"})

    def test_an_unknown_variant_names_those_that_are_there(self) -> None:
        folder = self.write("sd-v1-4", "fp16-only", variants=("fp16",))
        arguments = ("--diffusers", folder, "--variant", "bf16", "--out", self.scratch / "x")
        self.expect_error(export_teacher, 3, "no bf16 weights, only fp16; add --variant fp16", *arguments)

    def test_a_folder_without_weights_is_named(self) -> None:
        folder = self.write("sd-v1-4", "no-vae")
        (folder / "vae/diffusion_pytorch_model.safetensors").unlink()
        arguments = ("--diffusers", folder, "--out", self.scratch / "x")
        self.expect_error(export_teacher, 3, "no-vae/vae: no weights; expected a .safetensors or .bin", *arguments)

    def test_a_damaged_weights_file_is_one_printable_line(self) -> None:
        for suffix in ("safetensors", "bin"):
            folder = self.write("sd-v1-4", f"damaged-{suffix}", suffix=suffix)
            (folder / f"unet/diffusion_pytorch_model.{suffix}").write_bytes(b"\x1b[31m\x00\x80" * 40)
            with self.subTest(suffix):
                code, _, stderr = run_script(export_teacher, "--diffusers", folder, "--out", self.scratch / "x")
                self.assertEqual(code, 3, stderr)
                self.assertRegex(stderr.splitlines()[-1], r"^error: .*damaged-" + suffix)
                self.assertTrue(all(line.isprintable() for line in stderr.splitlines()), stderr)

    def test_every_documented_teacher_has_its_layout_here(self) -> None:
        commands = re.findall(r"`--diffusers \S+ --out models/(\S+)`", (ROOT / "docs/models.md").read_text())
        self.assertEqual(set(commands), set(LAYOUTS))

    def test_without_a_network_the_hub_is_one_line(self) -> None:
        environment = os.environ | {"HF_HUB_CACHE": str(self.scratch / "empty"), "HF_HUB_OFFLINE": "1"}
        command = [sys.executable, export_teacher.__file__, "--diffusers", "owner/model", "--out", self.scratch / "x"]
        finished = subprocess.run(command, env=environment, capture_output=True, text=True)
        self.assertEqual(finished.returncode, 3)
        line = r"^error: owner/model: no such folder here, .*the hub cannot be reached .*HF_HUB_OFFLINE=1 uses.*\)\n$"
        self.assertRegex(finished.stderr, line)
        arguments = ("--diffusers", "nowhere", "--out", self.scratch / "x")
        self.expect_error(export_teacher, 3, "no such folder or file, nor a hub id", *arguments)

    def test_v1_4_trains_two_steps_with_the_papers_losses(self) -> None:
        teacher, clip, world = (self.scratch / name for name in ("teacher", "clip", "world"))
        export(export_teacher, "--diffusers", self.write("sd-v1-4", "for-training"), "--out", teacher)
        export(export_clip, self.write_json("vit.json", VIT), "--random", 1, "--out", clip)
        self.assertEqual(run("synth", "--out", world, "--train", 8).returncode, 0)
        settings = {"clip": clip, "teacher": teacher, "train.steps": 2, "train.batch_size": 4, "train.precision": "fp32"}
        arguments = train_arguments(world, self.scratch / "run", settings, "--device", "cpu")
        arguments[arguments.index("quickstart.yaml")] = "vitb16.yaml"
        finished = run(*arguments)
        self.assertEqual(finished.returncode, 0, finished.stderr)
        steps = [json.loads(line) for line in (self.scratch / "run/log.jsonl").read_text().splitlines()]
        self.assertEqual([step["step"] for step in steps], [1, 2])
        self.assertTrue(all(step["loss"]["sds"] > 0 for step in steps))
        self.assertTrue((self.scratch / "run/tuned.safetensors").exists())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
