"""export_teacher.py against diffusers and transformers."""

import copy
import json
import os
import sys
import unittest
from pathlib import Path
from unittest import mock

import safetensors.torch
import torch
import transformers
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from diffusers.models.embeddings import Timesteps

sys.path.insert(0, str(Path(__file__).parent))  # for `python -m unittest PATH`, which leaves it out

import original_layout
from export_support import ExportTestCase, load_bfloat16, read_manifest, run_script

import export_teacher
from sdsclip_export import teacher_models, tokenizer, verify

TINY = json.loads((teacher_models.BUILT_IN_CONFIGS / "tiny.json").read_text(encoding="utf-8"))
NETWORKS = ("unet.ts", "vae_encoder.ts", "text_encoder.ts")


def like_sd_2(config: dict) -> dict:
    """The tiny teacher with what distinguishes Stable Diffusion 2.1: v-prediction, GELU, pad id 0, linear projections."""
    config = copy.deepcopy(config)
    config["scheduler"]["prediction_type"] = "v_prediction"
    config["text_encoder"]["hidden_act"] = "gelu"
    config["tokenizer"]["pad"] = 0
    config["unet"] |= {"use_linear_projection": True, "attention_head_dim": [2, 4], "upcast_attention": True}
    return config


class RandomTeacher(ExportTestCase):
    """Two tiny teachers, one like each generation of Stable Diffusion, exported once."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.configs = {"like-1": TINY, "like-2": like_sd_2(TINY)}
        cls.library, cls.bundle = {}, {}
        for name, config in cls.configs.items():
            path = cls.write_json(cls, f"{name}.json", config)
            cls.bundle[name] = cls.scratch / name
            code, _, stderr = run_script(export_teacher, "--random", 3, "--config", path, "--out", cls.bundle[name])
            assert code == 0, stderr
            cls.library[name] = teacher_models.load_random(str(path), 3)

    def load(self, name: str, file: str) -> torch.jit.ScriptModule:
        return verify.load_exported(self.bundle[name] / file)

    def test_predictions_and_latent_gradients_equal_diffusers_for_any_batch_size(self) -> None:
        for name, teacher in self.library.items():
            exported = self.load(name, "unet.ts")
            for batch in (1, 3):
                with self.subTest(name, batch=batch):
                    z, t, context = export_teacher.example_unet_inputs(teacher, batch)
                    z.requires_grad_(True)
                    expected = teacher.unet(z, t, context).sample
                    actual = exported(z, t, context)
                    self.assert_close(actual, expected, 1e-6)
                    (expected_gradient,) = torch.autograd.grad(expected.square().sum(), [z])
                    (gradient,) = torch.autograd.grad(actual.square().sum(), [z])
                    self.assert_close(gradient, expected_gradient, 1e-5)

    def test_each_timestep_of_a_batch_counts(self) -> None:
        teacher = self.library["like-1"]
        exported = self.load("like-1", "unet.ts")
        z, _, context = export_teacher.example_unet_inputs(teacher, 3)
        timesteps = torch.tensor([0, 500, 999])
        together = exported(z, timesteps, context)
        for row in range(3):
            alone = teacher.unet(z[row : row + 1], int(timesteps[row]), context[row : row + 1]).sample
            self.assert_close(together[row : row + 1], alone, 1e-5)

    def test_features_are_the_block_outputs_in_the_shapes_of_the_manifest(self) -> None:
        for name, teacher in self.library.items():
            with self.subTest(name), torch.no_grad():
                z, t, context = export_teacher.example_unet_inputs(teacher, 3)
                features = self.load(name, "unet.ts").features(z, t, context)
                shapes = [list(feature.shape[1:]) for feature in features]
                self.assertEqual(shapes, read_manifest(self.bundle[name])["features"])
                self.assertEqual(len(features), 2 + 1 + 2)
                # The last up block is what the output layers read, so they must make the prediction of it.
                unet = teacher.unet
                prediction = unet.conv_out(unet.conv_act(unet.conv_norm_out(features[-1])))
                self.assert_close(prediction, unet(z, t, context).sample, 1e-6)

    def test_vae_moments_equal_diffusers(self) -> None:
        for name, teacher in self.library.items():
            with self.subTest(name), torch.no_grad():
                pixels = export_teacher.example_pixels(teacher, 3)
                expected = teacher.vae.encode(pixels).latent_dist.parameters
                self.assert_close(self.load(name, "vae_encoder.ts")(pixels), expected, 1e-6)

    def test_text_contexts_equal_transformers(self) -> None:
        for name, teacher in self.library.items():
            with self.subTest(name), torch.no_grad():
                ids = teacher.tokenizer.example_ids(3, seed=0)
                expected = teacher.text_encoder(ids).last_hidden_state
                self.assert_close(self.load(name, "text_encoder.ts")(ids), expected, 1e-6)

    def test_bfloat16_after_loading(self) -> None:
        for name, teacher in self.library.items():
            with self.subTest(name), torch.no_grad():
                half = {file: load_bfloat16(self.bundle[name] / file) for file in NETWORKS}
                z, t, context = export_teacher.example_unet_inputs(teacher, 3)
                prediction = half["unet.ts"](z.bfloat16(), t, context.bfloat16())
                self.assertEqual(prediction.dtype, torch.bfloat16)
                self.assert_close(prediction, teacher.unet(z, t, context).sample, 0.1)
                pixels = export_teacher.example_pixels(teacher, 3)
                moments = teacher.vae.encode(pixels).latent_dist.parameters
                self.assert_close(half["vae_encoder.ts"](pixels.bfloat16()), moments, 0.1)
                ids = teacher.tokenizer.example_ids(3, seed=0)
                self.assert_close(half["text_encoder.ts"](ids), teacher.text_encoder(ids)[0], 0.1)

    def test_weights_are_frozen_and_all_perturbed(self) -> None:
        for name in self.library:
            for file in NETWORKS:
                for key, tensor in self.load(name, file).named_parameters():
                    with self.subTest(name, file=file, tensor=key):
                        self.assertFalse(tensor.requires_grad)
                        self.assertGreater(float(tensor.std()), 0.0)

    def test_bundles_say_what_they_hold(self) -> None:
        for name, pad, prediction in (("like-1", 49407, "epsilon"), ("like-2", 0, "v_prediction")):
            with self.subTest(name):
                self.assert_manifest_matches_files(self.bundle[name])
                self.assert_no_machine_names(self.bundle[name])
                manifest = read_manifest(self.bundle[name])
                self.assertEqual((manifest["kind"], manifest["prediction_type"]), ("teacher", prediction))
                self.assertEqual(
                    manifest["schedule"],
                    {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "train_timesteps": 1000},
                )
                self.assertEqual(manifest["latent"], {"channels": 4, "size": 8, "scaling_factor": 0.5})
                self.assertEqual(manifest["context_dim"], 32)
                self.assertEqual(manifest["image"]["size"], 32)
                self.assertEqual(manifest["image"]["mean"], [0.5, 0.5, 0.5])
                self.assertEqual(manifest["tokenizer"]["pad"], pad)
                self.assertEqual(manifest["tokenizer"]["context_length"], 20)


class TimeEmbedding(unittest.TestCase):
    """The replacement of diffusers' timestep embedding."""

    def test_it_is_exact_even_after_a_cast_of_the_model(self) -> None:
        for channels in (32, 33, 320):
            for flip in (True, False):
                for shift in (0, 1):
                    library = Timesteps(channels, flip, shift)
                    ours = teacher_models.TimeProjection(library).bfloat16()
                    timesteps = torch.arange(1000)
                    with self.subTest(channels=channels, flip=flip, shift=shift):
                        self.assertTrue(torch.equal(ours(timesteps, torch.zeros(1)), library(timesteps)))


class DiffusersFolder(ExportTestCase):
    """A folder as diffusers writes it, with a tokenizer that pads as each generation does."""

    def write_folder(self, name: str, pad_token: str, scheduler: dict) -> Path:
        folder = self.scratch / name
        UNet2DConditionModel(**TINY["unet"]).save_pretrained(folder / "unet")
        AutoencoderKL(**TINY["vae"]).save_pretrained(folder / "vae")
        text_config = transformers.CLIPTextConfig(**TINY["text_encoder"])
        transformers.CLIPTextModel(text_config).save_pretrained(folder / "text_encoder")
        merges = tokenizer.openai_merges()
        transformers.CLIPTokenizer(
            vocab=tokenizer.vocabulary(merges, "<|startoftext|>", "<|endoftext|>"),
            merges=[tuple(merge.split(" ")) for merge in merges],
            pad_token=pad_token,
        ).save_pretrained(folder / "tokenizer")
        DDPMScheduler(**TINY["scheduler"] | scheduler).save_pretrained(folder / "scheduler")
        return folder

    def test_a_folder_exports_its_own_weights_tokenizer_and_schedule(self) -> None:
        cases = (("<|endoftext|>", 49407, "epsilon"), ("!", 0, "v_prediction"))
        for pad_token, pad, prediction in cases:
            with self.subTest(pad_token=pad_token):
                folder = self.write_folder(f"model-{pad}", pad_token, {"prediction_type": prediction})
                out = self.scratch / f"bundle-{pad}"
                code, _, stderr = run_script(export_teacher, "--diffusers", folder, "--resize", "squash", "--out", out)
                self.assertEqual(code, 0, stderr)
                manifest = read_manifest(out)
                self.assertEqual(manifest["tokenizer"]["pad"], pad)
                self.assertEqual(manifest["prediction_type"], prediction)
                self.assertEqual(manifest["image"]["resize"], "squash")
                unet = UNet2DConditionModel.from_pretrained(folder, subfolder="unet")
                z, t, context = torch.randn(2, 4, 8, 8), torch.tensor([3, 700]), torch.randn(2, 20, 32)
                with torch.no_grad():
                    exported = verify.load_exported(out / "unet.ts")(z, t, context)
                    self.assert_close(exported, unet(z, t, context).sample, 1e-6)

    def test_a_single_file_checkpoint_gives_the_folders_bundle(self) -> None:
        folder = self.write_folder("original", "<|endoftext|>", {})
        # What the pipeline's own loader wants of a folder that stands for a configuration.
        components = {"unet": "UNet2DConditionModel", "vae": "AutoencoderKL", "scheduler": "DDPMScheduler"}
        index = {name: ["diffusers", kind] for name, kind in components.items()}
        index |= {"text_encoder": ["transformers", "CLIPTextModel"], "tokenizer": ["transformers", "CLIPTokenizer"]}
        index |= {"_class_name": "StableDiffusionPipeline", "safety_checker": [None, None]}
        index |= {"feature_extractor": [None, None]}
        (folder / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
        state = original_layout.single_file(
            UNet2DConditionModel.from_pretrained(folder, subfolder="unet"),
            AutoencoderKL.from_pretrained(folder, subfolder="vae"),
            transformers.CLIPTextModel.from_pretrained(folder, subfolder="text_encoder"),
        )
        safetensors.torch.save_file(state, self.scratch / "original.safetensors")
        torch.save({"state_dict": state}, self.scratch / "original.ckpt")

        from_folder = self.scratch / "from-folder"
        code, _, stderr = run_script(export_teacher, "--diffusers", folder, "--out", from_folder)
        self.assertEqual(code, 0, stderr)
        for name in ("original.safetensors", "original.ckpt"):
            with self.subTest(name):
                out = self.scratch / f"from-{name}"
                arguments = ("--diffusers", self.scratch / name, "--config", folder, "--out", out)
                code, _, stderr = run_script(export_teacher, *arguments)
                self.assertEqual(code, 0, stderr)
                for file in NETWORKS:
                    expected = verify.load_exported(from_folder / file).state_dict()
                    found = verify.load_exported(out / file).state_dict()
                    self.assertEqual(set(found), set(expected))
                    for key in expected:
                        self.assertTrue(torch.equal(found[key], expected[key]), key)
                same = ("schedule", "prediction_type", "latent", "features", "image", "tokenizer")
                manifest, reference = read_manifest(out), read_manifest(from_folder)
                self.assertEqual({k: manifest[k] for k in same}, {k: reference[k] for k in same})

    def test_options_that_a_bundle_cannot_hold_are_refused(self) -> None:
        out = self.scratch / "refused"
        cosine = self.write_folder("cosine", "!", {"beta_schedule": "squaredcos_cap_v2"})
        self.expect_error(export_teacher, 3, "squaredcos_cap_v2", "--diffusers", cosine, "--out", out)
        sample = self.write_folder("sample", "!", {"prediction_type": "sample"})
        self.expect_error(export_teacher, 3, "prediction_type 'sample'", "--diffusers", sample, "--out", out)
        zero_snr = self.write_folder("zero-snr", "!", {"rescale_betas_zero_snr": True})
        self.expect_error(export_teacher, 3, "betas outside the formula", "--diffusers", zero_snr, "--out", out)


class Errors(ExportTestCase):
    """Mistakes are one line with the documented exit code, and leave nothing behind."""

    def setUp(self) -> None:
        self.out = self.scratch / "out"

    def test_usage(self) -> None:
        self.expect_error(export_teacher, 2, "--random needs --config", "--random", 0, "--out", self.out)
        self.expect_error(export_teacher, 2, "sd-v1-4", "--random", 0, "--config", "sd-v9", "--out", self.out)

    def test_input(self) -> None:
        self.expect_error(export_teacher, 3, "cannot load", "--diffusers", self.scratch, "--out", self.out)
        models = self.scratch / "models"
        snapshot = models / "models--owner--name" / "snapshots" / "abc"
        for folder in (models / "sd" / "unet", snapshot / "unet"):
            folder.mkdir(parents=True)
            (folder / "config.json").write_text("{}")
        found = f"a folder of models, not a model; give one of them: {snapshot}, {models / 'sd'}"
        self.expect_error(export_teacher, 3, found, "--diffusers", models, "--out", self.out)
        missing = self.scratch / "none.safetensors"
        self.expect_error(export_teacher, 3, "no such file", "--diffusers", missing, "--out", self.out)
        without = self.write_json("without.json", {key: TINY[key] for key in TINY if key != "vae"})
        self.expect_error(export_teacher, 3, "no key 'vae'", "--random", 0, "--config", without, "--out", self.out)
        narrow = copy.deepcopy(TINY)
        narrow["unet"]["cross_attention_dim"] = 48
        narrow = self.write_json("narrow.json", narrow)
        self.expect_error(export_teacher, 3, "width 32", "--random", 0, "--config", narrow, "--out", self.out)

    def test_an_export_that_differs_is_not_kept(self) -> None:
        tiny = self.write_json("tiny.json", TINY)
        library = teacher_models.TimeProjection.forward

        def earlier(self, timestep: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
            return library(self, timestep // 2, like)

        with mock.patch.object(teacher_models.TimeProjection, "forward", earlier):
            arguments = ("--random", 0, "--config", tiny, "--out", self.out)
            self.expect_error(export_teacher, 4, "differs from the eager model", *arguments)


@unittest.skipUnless(os.environ.get("SDSCLIP_SLOW"), "real-size models; set SDSCLIP_SLOW=1")
class RealSize(ExportTestCase):
    def test_stable_diffusion_1_4(self) -> None:
        code, stdout, stderr = run_script(
            export_teacher, "--random", 0, "--config", "sd-v1-4", "--out", self.scratch / "sd-v1-4"
        )
        self.assertEqual(code, 0, stderr)
        self.assertIn("UNet prediction", stdout)
        manifest = read_manifest(self.scratch / "sd-v1-4")
        self.assertEqual(manifest["latent"]["size"], 64)
        self.assertEqual(manifest["image"]["size"], 512)


if __name__ == "__main__":
    unittest.main()
