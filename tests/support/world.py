"""The embedded shapes world for tests of the whole program. Drawing its 7,000 pictures takes five processor seconds, so
ctest draws it once (`world.py PROGRAM FOLDER`), names it in SDSCLIP_TEST_WORLD, and each test gets a copy of its own.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

TRAIN = 96  # training pictures of the world that is shared


def draw_world(program: Path | str, world: Path, train: int) -> None:
    """What `sdsclip synth --out WORLD --train N` writes: its first N training pictures are those of every larger world."""
    shared = os.environ.get("SDSCLIP_TEST_WORLD")
    if shared is None or train > TRAIN:
        subprocess.run([str(program), "synth", "--out", str(world), "--train", str(train)], check=True, capture_output=True)
        return
    shutil.copytree(shared, world)
    file = world / "coco/annotations/captions_train2017.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    for image in content["images"][train:]:
        (world / "coco/train2017" / image["file_name"]).unlink()
    content["images"] = content["images"][:train]
    kept = {image["id"] for image in content["images"]}
    content["annotations"] = [note for note in content["annotations"] if note["image_id"] in kept]
    file.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")


if __name__ == "__main__":
    target = Path(sys.argv[2])
    shutil.rmtree(target, ignore_errors=True)
    os.environ.pop("SDSCLIP_TEST_WORLD", None)
    draw_world(sys.argv[1], target, TRAIN)
