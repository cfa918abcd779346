"""Untrusted data: files outside the data folder, FIFOs and devices, images that ask for too much memory."""

import json
import os
import struct
import zlib
from pathlib import Path

from program import ProgramTest, main, run


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png() -> bytes:
    """Returns one grey pixel."""
    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0\x80")
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", pixels) + png_chunk(b"IEND", b"")


class UntrustedData(ProgramTest):
    def winoground(self, image: str) -> Path:
        """Writes a case whose first image is `image`."""
        data = self.folder / "data"
        (data / "images").mkdir(parents=True, exist_ok=True)
        (data / "images" / "in.png").write_bytes(png())
        (self.folder / "out.png").write_bytes(png())
        example = {"id": 0, "image_0": image, "image_1": "in.png", "caption_0": "a", "caption_1": "b"}
        (data / "examples.jsonl").write_text(json.dumps(example) + "\n")
        return data

    def test_images_outside_the_data_folder_are_followed_unless_confined(self):
        outside = self.folder / "out.png"
        link = self.winoground("in.png") / "images" / "link.png"
        link.symlink_to(outside)
        for image in ("../../out.png", str(outside), "link.png"):
            data = self.winoground(image)
            self.assertEqual(run("data", "check", "winoground", "--data", data).returncode, 0, image)
            refused = run("data", "check", "winoground", "--data", data, "--confine-data")
            self.assertEqual(refused.returncode, 3, image)
            self.assertEqual(refused.stderr.count("\n"), 1)
            self.assertIn("is outside", refused.stderr)
            self.assertIn("examples.jsonl: line 1", refused.stderr)
        data = self.winoground("in.png")
        self.assertEqual(run("data", "check", "winoground", "--data", data, "--confine-data").returncode, 0)

    def test_files_that_are_not_regular_are_refused_at_once(self):
        pipe = self.folder / "pipe.png"
        os.mkfifo(pipe)
        for path in (pipe, Path("/dev/zero"), self.folder):
            out = self.folder / "pixels.safetensors"
            refused = run("preprocess", "--bundle", "shapes-clip", path, "--out", out)
            self.assertEqual(refused.returncode, 3, path)
            self.assertIn(f"{path}: is a ", refused.stderr)
            self.assertIn("expected a regular file", refused.stderr)

    def test_the_order_of_conversion_is_a_choice(self):
        """Returns two colours of a palette: a resize gives the nearest pixel, or a mean of both."""
        header = struct.pack(">IIBBBBB", 64, 64, 1, 3, 0, 0, 0)
        rows = zlib.compress((b"\0" + b"\x55" * 8) * 64)  # columns of alternating colours
        image = self.folder / "stripes.png"
        image.write_bytes(b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"PLTE", b"\0\0\0\xff\xff\xff")
                          + png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b""))
        different = {}
        for order in ("first", "after_resize"):
            out = self.folder / f"{order}.safetensors"
            self.check_succeeds("preprocess", "--bundle", "shapes-clip", image, "--out", out, "--convert", order)
            different[order] = len(set(struct.iter_unpack("<f", out.read_bytes()[-4096:])))
        self.assertEqual(different["after_resize"], 1)
        self.assertGreater(different["first"], 1)


if __name__ == "__main__":
    main()
