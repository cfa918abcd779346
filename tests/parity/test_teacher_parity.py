"""The C++ teacher against diffusers and transformers: prediction, its gradient, VAE moments, contexts; random weights.

  test_teacher_parity.py PROBE CONFIG LATENT_SIZE [DEVICE]

CONFIG is a built-in configuration of export_teacher.py; LATENT_SIZE replaces its sample_size, 0 keeps it. All the
weights of Stable Diffusion at a smaller latent take seconds where the latent's own size takes minutes.
"""

import gc
import json
import sys
import unittest
from pathlib import Path

import safetensors.torch
import torch
import transformers

PROBE, CONFIG, LATENT_SIZE = sys.argv.pop(1), sys.argv.pop(1), int(sys.argv.pop(1))
DEVICE = sys.argv.pop(1) if len(sys.argv) > 1 else "cpu"
sys.path.insert(0, str(Path(__file__).parent))

import model_support
from export_support import ExportTestCase

import export_teacher
from sdsclip_export import tokenizer as tokenizers
from sdsclip_export.bundle import bundle_folder
from sdsclip_export.teacher_models import BUILT_IN_CONFIGS, TeacherSource, load_random

SEED = 4
TOLERANCE = 1e-3
PADDING = {"eot": "<|endoftext|>", 0: "!"}  # the token of each pad id, as Stable Diffusion 1.x and 2.x have it
CAPTIONS = model_support.CAPTIONS[:3]
MEMORY_SHARE = 1.25  # of the archive: one copy, the code, and no more


def write_config(folder: Path) -> tuple[Path, dict]:
    """Returns the built-in configuration at the given latent size."""
    config = json.loads((BUILT_IN_CONFIGS / f"{CONFIG}.json").read_text(encoding="utf-8"))
    if LATENT_SIZE:
        config["unet"]["sample_size"] = LATENT_SIZE
    path = folder / f"{CONFIG}.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    return path, config


def library_ids(config: dict) -> torch.Tensor:
    """Returns the captions' ids by transformers' own tokenizer, padded like the pipeline pads them."""
    merges = tokenizers.openai_merges()
    library = transformers.CLIPTokenizer(
        vocab=tokenizers.vocabulary(merges, "<|startoftext|>", "<|endoftext|>"),
        merges=[tuple(merge.split(" ")) for merge in merges],
        pad_token=PADDING[config["tokenizer"]["pad"]],
    )
    length = config["text_encoder"]["max_position_embeddings"]
    return torch.tensor(library(CAPTIONS, padding="max_length", truncation=True, max_length=length).input_ids)


def example_inputs(teacher: TeacherSource) -> dict[str, torch.Tensor]:
    """Returns the probe's inputs; the prediction is multiplied with `direction` before its gradient is taken."""
    z, t, context = export_teacher.example_unet_inputs(teacher, 1)
    direction = torch.randn(z.shape, generator=torch.Generator().manual_seed(7))
    return {"z": z, "t": t, "context": context, "direction": direction} | {
        "pixels": export_teacher.example_pixels(teacher, 1)
    }


def reference(teacher: TeacherSource, inputs: dict[str, torch.Tensor], ids: torch.Tensor) -> dict[str, torch.Tensor]:
    """Computes the probe's results with the libraries."""
    z = inputs["z"].clone().requires_grad_(True)
    prediction = teacher.unet(z, inputs["t"], inputs["context"]).sample
    (prediction * inputs["direction"]).sum().backward()
    with torch.no_grad():
        posterior = teacher.vae.encode(inputs["pixels"]).latent_dist
        context = teacher.text_encoder(ids)[0]
    return {
        "prediction": prediction.detach(),
        "gradient": z.grad,
        "moments": posterior.parameters,
        "latent": posterior.mode() * teacher.vae.config.scaling_factor,
        "context": context,
    }


class TeacherParity(ExportTestCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        folder = cls.scratch
        path, config = write_config(folder)
        cls.bundle = folder / "bundle"
        teacher = load_random(str(path), SEED)
        # Skips the exporter's own check, which takes as long as this test.
        with bundle_folder(cls.bundle, force=False) as unfinished:
            export_teacher.write_teacher_bundle(teacher, "shortest_edge", unfinished)
        (folder / "captions.txt").write_text("\n".join(CAPTIONS) + "\n", encoding="utf-8")
        inputs = example_inputs(teacher)
        cls.expected = reference(teacher, inputs, library_ids(config))
        del teacher
        gc.collect()
        safetensors.torch.save_file(inputs, folder / "inputs.safetensors")
        outputs = folder / "outputs.safetensors"
        files = (folder / "inputs.safetensors", folder / "captions.txt", outputs)
        model_support.run_probe(PROBE, "teacher", cls.bundle, *files, DEVICE)
        cls.actual = safetensors.torch.load_file(outputs)

    def test_networks_equal_the_libraries(self) -> None:
        self.assertEqual(set(self.actual), set(self.expected))
        for key, expected in self.expected.items():
            with self.subTest(key):
                error = model_support.relative_error(self.actual[key], expected)
                print(f"{CONFIG} {key}: relative error {error:.1e}")
                self.assertLess(error, TOLERANCE)

    def test_loading_holds_one_copy_of_the_weights(self) -> None:
        for precision in ("fp32", "bf16"):
            with self.subTest(precision):
                printed = model_support.run_probe(PROBE, "load", self.bundle, "unet.ts", precision)
                grown = printed["peak_bytes"] - printed["peak_bytes_before"]
                print(
                    f"{CONFIG} unet.ts, {precision}: {printed['file_bytes'] / 1e9:.2f} GB loaded in "
                    f"{printed['seconds']:.1f} s, at most {grown / 1e9:.2f} GB more memory"
                )
                # A small archive is lost in what LibTorch itself allocates.
                self.assertLess(grown, MEMORY_SHARE * printed["file_bytes"] + 50e6)


if __name__ == "__main__":
    unittest.main()
