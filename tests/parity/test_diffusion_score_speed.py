"""The diffusion score beside the loops of diffusion-itm and diffusion-classifier: work and processor time.

Same teacher, images, number of samples, one thread and float32; all three count processor time without loading the
models, in turns in one run, so that other work on the machine weighs on none.

    test_diffusion_score_speed.py PROBE [CONFIG SAMPLES CASES TURNS]     CONFIG as for export_teacher.py --random

With `sd-v1-4 5 1 1` it is the real-size Stable Diffusion, for a few evaluations (14 GB, half an hour on one core).
"""

import json
import random
import shutil
import sys
import tempfile
import time
import unittest
from pathlib import Path

import torch

PROBE = sys.argv.pop(1)
sys.path.insert(0, str(Path(__file__).parent))

import score_data
from export_support import SCRIPTS, run_script
from plain_scoring import CountingTeacher, Measurement, diffusion_classifier, diffusion_itm

import compile_teacher
import export_teacher
from sdsclip_export import teacher_models

CONFIG, SAMPLES, CASES, TURNS = sys.argv[1:5] if len(sys.argv) > 4 else ("shapes-teacher", "20", "24", "3")
del sys.argv[1:]
MICRO_BATCH = 128 if CONFIG == "shapes-teacher" else 4  # what the program chooses on a CPU


def config_path(scratch: Path) -> str:
    """The configuration to export; the shapes world's networks are given OpenAI's tokenizer."""
    if CONFIG != "shapes-teacher":
        return CONFIG
    config = json.loads((SCRIPTS / "shapes" / "shapes-teacher.json").read_text(encoding="utf-8"))
    config["text_encoder"]["vocab_size"] = 49408
    config["tokenizer"] = {"merges": "openai", "pad": "eot"}
    path = scratch / "shapes-teacher.json"
    path.write_text(json.dumps(config))
    return str(path)


class DiffusionScoreSpeed(unittest.TestCase):
    def test_twice_as_fast_as_the_first_and_not_slower_than_the_second(self) -> None:
        torch.set_num_threads(1)
        torch.set_grad_enabled(False)
        samples = int(SAMPLES)
        with tempfile.TemporaryDirectory() as scratch:
            folder, bundle = Path(scratch, "data"), Path(scratch, "teacher")
            examples = score_data.winoground(folder, random.Random(1), cases=int(CASES), tie=False)
            cases = [[folder / "images" / example[f"image_{k}"] for k in range(2)] for example in examples]
            config = config_path(Path(scratch))
            code, _, stderr = run_script(export_teacher, "--random", 3, "--config", config, "--out", bundle)
            self.assertEqual(code, 0, stderr)
            compiled = Path(shutil.copytree(bundle, Path(scratch, "compiled-teacher")))
            words = ("--batch", MICRO_BATCH, "--graph", "score")
            code, _, stderr = run_script(compile_teacher, compiled, *words)
            self.assertEqual(code, 0, stderr)
            teacher = CountingTeacher(teacher_models.load_random(config, 3))
            latent = teacher.source.latent()
            noise = torch.randn(samples, latent["channels"], latent["size"], latent["size"])
            found: dict[str, list[Measurement]] = {"ours": [], "compiled": [], "diffusion-itm": [], "diffusion-classifier": []}
            for turn in range(int(TURNS)):
                for name, loop in (("diffusion-itm", diffusion_itm), ("diffusion-classifier", diffusion_classifier)):
                    teacher.count = Measurement()
                    start = time.process_time()
                    loop(teacher, cases, samples, noise)
                    teacher.count.seconds = time.process_time() - start
                    found[name].append(teacher.count)
                for name, teacher_bundle in (("ours", bundle), ("compiled", compiled)):
                    ours = score_data.run_probe(
                        PROBE, "measure", "winoground", folder, teacher_bundle, Path(scratch, f"{turn}-{name}.sqlite"),
                        f"sampling.samples={samples}", f"micro_batch={MICRO_BATCH}",
                    )  # fmt: skip
                    counts = (ours[f"{work}s"] for work in ("unet_evaluation", "vae_encoding", "text_encoding"))
                    found[name].append(Measurement(*counts, ours["processor_seconds"]))
        best = {name: min(turns, key=lambda turn: turn.seconds) for name, turns in found.items()}
        print(f"\n{Path(CONFIG).stem}, {len(cases)} Winoground cases, {samples} samples, one thread, float32")
        print(f"{'':21}{'UNet':>8}{'VAE':>8}{'text':>8}{'seconds':>10}{'ratio':>8}")
        for name, one in best.items():
            ratio = one.seconds / best["ours"].seconds
            counts = f"{one.unet_evaluations:8}{one.vae_encodings:8}{one.text_encodings:8}"
            print(f"{name:21}{counts}{one.seconds:10.3f}{ratio:8.2f}")
        self.assertGreaterEqual(best["diffusion-itm"].seconds, 2 * best["ours"].seconds)
        self.assertGreaterEqual(best["diffusion-classifier"].seconds, best["ours"].seconds)


if __name__ == "__main__":
    unittest.main()
