"""export_clip.py against the libraries whose models it exports."""

import json
import os
import re
import shutil
import subprocess
import sys
import unittest
from pathlib import Path
from unittest import mock

import open_clip
import safetensors.torch
import torch
import transformers

sys.path.insert(0, str(Path(__file__).parent))  # for `python -m unittest PATH`, which leaves it out

from export_support import TINY_TEXT, ExportTestCase, load_bfloat16, read_manifest, run_script
from tiny_clips import CONFIGS, VIT, write_tiny_transformers

import export_clip
from sdsclip_export import tokenizer as tokenizers
from sdsclip_export import tracing, verify
from sdsclip_export.clip_models import Weights, load_clip
from sdsclip_export.errors import ExportError
from sdsclip_export.weight_files import read_weights

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTED_ROW = re.compile(r"\(`(\S+\.yaml)`\) \| `(\S+) --pretrained (\S+) --out models/(\S+)`")
NOT_EXPORTED = ("text_decoder.", "attn_mask")  # CoCa's captioning half, and what is no weight


class ExportedModels:
    """Models of open_clip, `configs`, each exported once with random weights and held against open_clip."""

    configs: dict[str, dict]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.library, cls.bundle, cls.exported = {}, {}, {}
        for name, config in cls.configs.items():
            path = cls.write_json(cls, f"{name}.json", config)
            cls.bundle[name] = cls.scratch / name
            tokenizer = cls.tokenizer_of(name)
            more = ("--tokenizer", tokenizer) if tokenizer else ()
            code, _, stderr = run_script(export_clip, path, "--random", 5, "--out", cls.bundle[name], *more)
            assert code == 0, stderr
            cls.library[name] = load_clip(str(path), Weights(random=5), None, None, tokenizer)
            cls.exported[name] = verify.load_exported(cls.bundle[name] / "clip.ts")

    @classmethod
    def tokenizer_of(cls, name: str) -> Path | None:
        """The Hugging Face tokenizer's folder of a model that has none of CLIP's."""
        return None

    def inputs(self, name: str, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
        source = self.library[name]
        return export_clip.example_images(source, batch), source.tokenizer.example_ids(batch, seed=batch)

    def test_embeddings_equal_the_librarys_for_any_batch_size(self) -> None:
        for name, exported in self.exported.items():
            for batch in (1, 3, 5):
                with self.subTest(name, batch=batch), torch.no_grad():
                    images, ids = self.inputs(name, batch)
                    self.assert_close(exported.encode_image(images), self.library[name].encode_image(images), 1e-6)
                    self.assert_close(exported.encode_text(ids), self.library[name].encode_text(ids), 1e-6)

    def test_every_parameter_gradient_equals_the_librarys(self) -> None:
        for name, exported in self.exported.items():
            with self.subTest(name):
                images, ids = self.inputs(name, 3)
                source = self.library[name]
                source.towers.requires_grad_(True).zero_grad()
                exported.zero_grad()
                (exported.encode_image(images).square().sum() + exported.encode_text(ids).square().sum()).backward()
                (source.encode_image(images).square().sum() + source.encode_text(ids).square().sum()).backward()
                expected = dict(source.towers.named_parameters())
                for parameter_name, parameter in exported.named_parameters():
                    if not parameter_name.startswith("logit_"):
                        self.assert_close(parameter.grad, expected[parameter_name].grad, 1e-5)

    def test_parameters_keep_the_librarys_names_values_and_gradients(self) -> None:
        for name, exported in self.exported.items():
            with self.subTest(name):
                model = open_clip.create_model(name)
                expected = {key for key in model.state_dict() if not key.startswith(NOT_EXPORTED)}
                found = exported.state_dict()
                self.assertLessEqual(expected, set(found))
                # A trace keeps buffers that open_clip leaves out of its files, because it makes them again.
                self.assertLessEqual(set(found) - expected, set(dict(model.named_buffers())))
                self.assertIn("logit_scale", found)
                self.assertTrue(all(parameter.requires_grad for parameter in exported.parameters()))
                for key, value in self.library[name].towers.state_dict().items():
                    self.assertTrue(torch.equal(found[key], value), key)

    def test_bfloat16_after_loading(self) -> None:
        for name in self.configs:
            with self.subTest(name), torch.no_grad():
                exported = load_bfloat16(self.bundle[name] / "clip.ts")
                images, ids = self.inputs(name, 3)
                image_embeds, text_embeds = exported.encode_image(images.bfloat16()), exported.encode_text(ids)
                self.assertEqual({image_embeds.dtype, text_embeds.dtype}, {torch.bfloat16})
                self.assert_close(image_embeds, self.library[name].encode_image(images), 0.1)
                self.assert_close(text_embeds, self.library[name].encode_text(ids), 0.1)

    def test_norms_are_found_by_the_name_of_their_type(self) -> None:
        for name, exported in self.exported.items():
            with self.subTest(name):
                towers = self.library[name].towers
                for kind, type_name in ((torch.nn.LayerNorm, "LayerNorm"), (torch.nn.BatchNorm2d, "BatchNorm")):
                    expected = {key for key, module in towers.named_modules() if isinstance(module, kind)}
                    found = {key for key, module in exported.named_modules() if module.original_name.startswith(type_name)}
                    self.assertEqual(found, expected)

    def test_random_weights_leave_no_tensor_constant(self) -> None:
        for name, source in self.library.items():
            for key, tensor in source.towers.state_dict().items():
                if tensor.is_floating_point() and tensor.numel() > 1 and not key.endswith("attn_mask"):
                    with self.subTest(name, tensor=key):
                        self.assertGreater(float(tensor.std()), 0.0)

    def test_bundles_say_what_they_hold(self) -> None:
        for name, config in self.configs.items():
            with self.subTest(name):
                self.assert_manifest_matches_files(self.bundle[name])
                self.assert_no_machine_names(self.bundle[name])
                manifest = read_manifest(self.bundle[name])
                self.assertEqual(manifest["format"], "sdsclip-bundle")
                self.assertEqual((manifest["version"], manifest["kind"], manifest["name"]), (1, "clip", name))
                self.assertEqual(
                    manifest["source"],
                    {"library": "open_clip", "version": open_clip.__version__, "checkpoint": "random:5"},
                )
                self.assertEqual(manifest["image"]["size"], config["vision_cfg"]["image_size"])
                image = manifest["image"]
                self.assertEqual((image["resize"], image["interpolation"]), ("shortest_edge", "bicubic"))
                self.assertEqual(manifest["embed_dim"], config["embed_dim"])
                self.assertEqual(manifest["activation"], "quick_gelu" if config.get("quick_gelu") else "gelu")
                self.assertEqual(manifest["tokenizer"]["context_length"], config["text_cfg"]["context_length"])


class OpenClipExport(ExportedModels, ExportTestCase):
    """The paper's architectures."""

    configs = CONFIGS

    def test_a_resnets_batch_norms_are_found(self) -> None:
        self.assertTrue(any(m.original_name == "BatchNorm2d" for m in self.exported["tiny-resnet"].modules()))

    def test_merges_and_special_ids_are_those_of_open_clips_tokenizer(self) -> None:
        library = open_clip.SimpleTokenizer()
        tokenizer = read_manifest(self.bundle["tiny-vit"])["tokenizer"]
        merges = (self.bundle["tiny-vit"] / tokenizer["merges"]).read_text(encoding="utf-8").splitlines()
        self.assertEqual([tuple(merge.split(" ")) for merge in merges], list(library.bpe_ranks))
        self.assertEqual((tokenizer["sot"], tokenizer["eot"]), (library.sot_token_id, library.eot_token_id))
        self.assertEqual(tokenizer["vocab_size"], library.vocab_size)
        self.assertEqual(tokenizer["pad"], 0)
        vocabulary = tokenizers.vocabulary(merges, "<start_of_text>", "<end_of_text>")
        self.assertEqual(vocabulary, library.encoder)

    def test_the_same_export_has_the_same_bytes(self) -> None:
        manifests = []
        for out in (self.scratch / "first", self.scratch / "second"):
            # In processes of their own: TorchScript numbers the types that one process traces.
            script = [sys.executable, export_clip.__file__, self.scratch / "tiny-vit.json"]
            subprocess.run([*script, "--random", "5", "--out", out], check=True, capture_output=True)
            manifests.append(read_manifest(out))
        self.assertEqual(*manifests)

    def test_a_checkpoint_gives_its_own_weights(self) -> None:
        torch.manual_seed(9)
        model = open_clip.create_model("tiny-vit")
        checkpoint = self.scratch / "weights.pt"
        torch.save(model.state_dict(), checkpoint)
        out = self.scratch / "from-checkpoint"
        code, _, stderr = run_script(
            export_clip, self.scratch / "tiny-vit.json", "--checkpoint", checkpoint, "--out", out
        )
        self.assertEqual(code, 0, stderr)
        images, _ = self.inputs("tiny-vit", 2)
        with torch.no_grad():
            exported = verify.load_exported(out / "clip.ts").encode_image(images)
            self.assert_close(exported, model.eval().encode_image(images), 1e-6)
        self.assertEqual(read_manifest(out)["source"]["checkpoint"], "weights.pt")


class TransformersExport(ExportTestCase):
    """A transformers CLIPModel folder."""

    def write_folder(self, name: str, eos_token_id: int) -> Path:
        folder = self.scratch / name
        write_tiny_transformers(folder, eos_token_id)
        return folder

    def test_embeddings_equal_the_librarys_with_both_meanings_of_eos(self) -> None:
        for eos_token_id in (2, 49407):
            with self.subTest(eos_token_id=eos_token_id):
                folder = self.write_folder(f"clip-{eos_token_id}", eos_token_id)
                out = self.scratch / f"bundle-{eos_token_id}"
                code, _, stderr = run_script(export_clip, folder, "--out", out)
                self.assertEqual(code, 0, stderr)
                model = transformers.CLIPModel.from_pretrained(folder)
                tokenizer = transformers.CLIPTokenizer.from_pretrained(folder)
                ids = tokenizer(["a cat", "two dogs on a sofa, asleep", ""], padding="max_length", max_length=20)
                ids = torch.tensor(ids.input_ids)
                pixels = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
                exported = verify.load_exported(out / "clip.ts")
                with torch.no_grad():
                    image = model.get_image_features(pixel_values=pixels).pooler_output
                    text = model.get_text_features(input_ids=ids, attention_mask=(ids >= 0).long()).pooler_output
                    self.assert_close(exported.encode_image(pixels), image, 1e-6)
                    self.assert_close(exported.encode_text(ids), text, 1e-6)
                    half = load_bfloat16(out / "clip.ts")
                    self.assert_close(half.encode_image(pixels.bfloat16()), image, 0.1)
                    self.assert_close(half.encode_text(ids), text, 0.1)
                manifest = read_manifest(out)
                self.assertEqual(manifest["source"]["library"], "transformers")
                self.assertEqual(manifest["activation"], "gelu")
                self.assertEqual(manifest["tokenizer"]["clean"], "transformers")
                self.assertEqual(manifest["tokenizer"]["pad"], tokenizer.pad_token_id)
                norms = [m for m in exported.modules() if m.original_name == "LayerNorm"]
                self.assertEqual(len(norms), sum(isinstance(m, torch.nn.LayerNorm) for m in model.modules()))

    def test_added_tokens_are_refused(self) -> None:
        folder = self.write_folder("added", 49407)
        tokenizer = transformers.CLIPTokenizer.from_pretrained(folder)
        tokenizer.add_tokens(["<special>"])
        tokenizer.save_pretrained(folder)
        self.expect_error(export_clip, 3, "added tokens", folder, "--out", self.scratch / "x")


class QuickGelu(unittest.TestCase):
    """The activation is the one of the weights, whatever the model's name says."""

    def activation(self, name: str, tag: str) -> bool:
        from sdsclip_export.clip_models import _trained_with_quick_gelu

        return _trained_with_quick_gelu(name, open_clip.get_model_config(name), Weights(pretrained=tag), None)

    def test_openai_weights_use_it_and_openclips_do_not(self) -> None:
        for name in ("ViT-B-16", "ViT-B-32", "ViT-L-14", "ViT-L-14-336", "RN50", "ViT-B-16-quickgelu"):
            self.assertTrue(self.activation(name, "openai"), name)
        for name, tag in (
            ("ViT-B-16", "laion400m_e32"),
            ("ViT-B-16", "laion2b_s34b_b88k"),
            ("coca_ViT-L-14", "laion2b_s13b_b90k"),
        ):
            self.assertFalse(self.activation(name, tag), name)

    def test_the_documented_command_of_each_row_names_weights_that_open_clip_knows(self) -> None:
        rows = DOCUMENTED_ROW.findall((ROOT / "docs/models.md").read_text(encoding="utf-8"))
        self.assertEqual(len(rows), 8)
        for config, name, tag, out in rows:
            with self.subTest(config):
                self.assertEqual(self.activation(name, tag), tag == "openai")
                self.assertIn(f"clip: {out}\n", (ROOT / "configs" / config).read_text(encoding="utf-8"))

    def test_a_name_that_contradicts_the_weights_is_refused(self) -> None:
        config = open_clip.get_model_config("ViT-B-16") | {"quick_gelu": True}
        from sdsclip_export.clip_models import _trained_with_quick_gelu

        with self.assertRaisesRegex(ExportError, "trained with gelu"):
            _trained_with_quick_gelu("ViT-B-16", config, Weights(pretrained="laion400m_e32"), None)
        with self.assertRaisesRegex(ExportError, "trained with quick_gelu"):
            _trained_with_quick_gelu(
                "ViT-B-16", open_clip.get_model_config("ViT-B-16"), Weights(pretrained="openai"), "gelu"
            )


class Portability(unittest.TestCase):
    """What may not be in a graph is found."""

    def test_a_fixed_device_is_refused(self) -> None:
        class Pooled(torch.nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return x[torch.arange(x.shape[0], device=x.device), 0]

        with self.assertRaisesRegex(ExportError, "fixes device cpu in aten::arange"):
            tracing.trace_methods(Pooled(), {"forward": (torch.zeros(2, 3),)})

    def test_a_baked_tensor_is_refused(self) -> None:
        class Shifted(torch.nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return x + torch.tensor([1.0, 2.0, 3.0])

        with self.assertRaisesRegex(ExportError, "holds a tensor of shape"):
            tracing.trace_methods(Shifted(), {"forward": (torch.zeros(2, 3),)})

    def test_token_taking_equals_indexing(self) -> None:
        hidden, position = torch.randn(4, 7, 5), torch.tensor([0, 6, 3, 3])
        self.assertTrue(torch.equal(tracing.take_token(hidden, position), hidden[torch.arange(4), position]))


class Errors(ExportTestCase):
    """Mistakes are one line with the documented exit code, and leave nothing behind."""

    def setUp(self) -> None:
        self.out = self.scratch / "out"

    def test_usage(self) -> None:
        self.expect_error(export_clip, 2, "near: ViT-B-16", "ViT-B16", "--random", 0, "--out", self.out)
        self.expect_error(export_clip, 2, "--pretrained TAG", "ViT-B-16", "--out", self.out)
        self.expect_error(export_clip, 2, "no pretrained tag", "ViT-B-16", "--pretrained", "nil", "--out", self.out)

    def test_input(self) -> None:
        no_text = self.write_json("no-text.json", {"embed_dim": 1, "vision_cfg": {}})
        self.expect_error(export_clip, 3, "no text_cfg", no_text, "--random", 0, "--out", self.out)
        broken = self.scratch / "broken.json"
        broken.write_text("{")
        self.expect_error(export_clip, 3, "not a readable JSON", broken, "--random", 0, "--out", self.out)
        tiny = self.write_json("tiny.json", VIT)
        missing = self.scratch / "none.pt"
        self.expect_error(export_clip, 3, "cannot load", tiny, "--checkpoint", missing, "--out", self.out)
        merges = self.scratch / "merges.txt"
        merges.write_text("a b\n")
        self.expect_error(
            export_clip, 3, "49408 token embeddings", tiny, "--random", 0, "--merges", merges, "--out", self.out
        )
        merges.write_text("a b\nc\n")
        self.expect_error(export_clip, 3, "merge 2", tiny, "--random", 0, "--merges", merges, "--out", self.out)
        self.expect_error(export_clip, 3, "CLIPModel folder", self.scratch, "--out", self.out)
        foreign = self.write_json("foreign.json", VIT | {"text_cfg": TINY_TEXT | {"hf_tokenizer_name": "t5"}})
        self.expect_error(export_clip, 3, "t5", foreign, "--random", 0, "--out", self.out)

    def test_a_download_that_is_no_whole_file_is_named_for_what_it_is(self) -> None:
        tiny = self.write_json("tiny.json", VIT)
        state = {"logit_scale": torch.zeros(()), "weight": torch.arange(4000.0)}
        torch.save(state, self.scratch / "new.pt")
        torch.save(state, self.scratch / "old.pt", _use_new_zipfile_serialization=False)
        safetensors.torch.save_file(state, self.scratch / "whole.safetensors")
        cases = {
            "page.pt": (b"\n<!DOCTYPE html>\n<title>Sign in</title>", "not readable weights, but a web page"),
            "page.safetensors": (b"<html><body>404</body></html>", "not readable weights, but a web page"),
            "message.pt": (b'{"error": "not found"}', "not readable weights, but a JSON text"),
            "pointer.pt": (b"version https://git-lfs.github.com/spec/v1\n", "not readable weights, but a Git LFS pointer"),
            "empty.pt": (b"", "not readable weights, but an empty file"),
        }
        for name in ("new.pt", "old.pt", "whole.safetensors"):
            data = (self.scratch / name).read_bytes()
            what = "cut short or damaged" if name == "old.pt" else "the first part of a file"
            cases[f"half-{name}"] = (data[: len(data) // 2], what)
        cases["header.safetensors"] = (data[:20], "the first part of a file")
        for name, (content, message) in cases.items():
            with self.subTest(name):
                (self.scratch / name).write_bytes(content)
                arguments = (tiny, "--checkpoint", self.scratch / name, "--out", self.out)
                self.expect_error(export_clip, 3, message, *arguments)
                self.expect_error(export_clip, 3, "download it again", *arguments)

    def test_a_safetensors_file_whose_first_byte_is_a_brace_is_read(self) -> None:
        path = self.scratch / "brace.safetensors"
        header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode().ljust(ord("{"))
        path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
        self.assertEqual(path.read_bytes()[:1], b"{")
        self.assertEqual(set(read_weights(path).state), {"w"})

    def test_a_folder_of_models_names_them(self) -> None:
        parent = self.scratch / "hub"
        self.addCleanup(shutil.rmtree, parent)
        snapshot = parent / "models--openai--clip" / "snapshots" / "abc"
        for folder in (snapshot, parent / "mine"):
            folder.mkdir(parents=True)
            (folder / "config.json").write_text("{}")
        (snapshot.parents[1] / "refs").mkdir()
        (snapshot.parents[1] / "refs" / "main").write_text("abc")
        self.expect_error(
            export_clip, 3, f"give one of them: {parent / 'mine'}, {snapshot.parents[1]}", parent, "--out", self.out
        )

    def test_an_existing_bundle_is_kept_unless_forced(self) -> None:
        tiny = self.write_json("tiny.json", VIT)
        kept = self.scratch / "kept"
        kept.mkdir()
        (kept / "mine").touch()
        self.expect_error(export_clip, 2, "exists already", tiny, "--random", 0, "--out", kept)
        self.assertTrue((kept / "mine").exists())
        code, _, stderr = run_script(export_clip, tiny, "--random", 0, "--out", kept, "--force")
        self.assertEqual(code, 0, stderr)
        self.assertEqual({path.name for path in kept.iterdir()}, {"bundle.json", "clip.ts", "merges.txt"})

    def test_an_export_that_differs_is_not_kept(self) -> None:
        tiny = self.write_json("tiny.json", VIT)
        with mock.patch("sdsclip_export.clip_models.take_token", lambda hidden, position: hidden[:, 0]):
            self.expect_error(export_clip, 4, "differs from the eager model", tiny, "--random", 0, "--out", self.out)


@unittest.skipUnless(os.environ.get("SDSCLIP_SLOW"), "real-size model; set SDSCLIP_SLOW=1")
class RealSize(ExportTestCase):
    def test_vit_b_32(self) -> None:
        out = self.scratch / "vitb32"
        code, stdout, stderr = run_script(export_clip, "ViT-B-32", "--random", 0, "--out", out)
        self.assertEqual(code, 0, stderr)
        self.assertIn("text embedding", stdout)
        exported = verify.load_exported(out / "clip.ts")
        norms = [module for module in exported.modules() if module.original_name == "LayerNorm"]
        self.assertEqual(len(norms), 51)


if __name__ == "__main__":
    unittest.main()
