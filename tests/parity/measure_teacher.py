"""Measures memory and time of a teacher's UNet, as stated in docs/experiments/teacher-memory.md.

The UNet has random weights of the real size.

  measure_teacher.py build/tests/parity/model_probe [sd-v1-4|sd-v2-1]
"""

import gc
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import model_support
from export_support import run_script

import export_teacher
from sdsclip_export.teacher_models import BUILT_IN_CONFIGS

EXPORTED_SIZE = 16  # elements per side; any size gives the same archive, a small one faster


def main() -> None:
    probe, name = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "sd-v1-4"
    config = json.loads((BUILT_IN_CONFIGS / f"{name}.json").read_text(encoding="utf-8"))
    size = config["unet"]["sample_size"]
    config["unet"]["sample_size"] = EXPORTED_SIZE
    with tempfile.TemporaryDirectory() as scratch:
        path, bundle = Path(scratch) / f"{name}.json", Path(scratch) / "bundle"
        path.write_text(json.dumps(config), encoding="utf-8")
        code, _, stderr = run_script(export_teacher, "--random", 0, "--config", path, "--out", bundle)
        assert code == 0, stderr
        gc.collect()
        print("| precision | archive | load | peak while loading | evaluation + gradient | peak |")
        print("| --- | --- | --- | --- | --- | --- |")
        for precision in ("fp32", "bf16"):
            load = model_support.run_probe(probe, "load", bundle, "unet.ts", precision)
            step = model_support.run_probe(probe, "sds", bundle, str(size), precision, "cpu")
            print(
                f"| {precision} | {load['file_bytes'] / 1e9:.2f} GB | {load['seconds']:.1f} s | "
                f"{load['peak_bytes'] / 1e9:.2f} GB | {step['seconds']:.0f} s | {step['peak_bytes'] / 1e9:.2f} GB |"
            )


if __name__ == "__main__":
    main()
