"""Images of every kind that the decoder must read like Pillow, made from a seed."""

import functools
import io
import struct
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

SIZES = [(640, 480), (480, 640), (333, 500), (1, 1), (3, 5), (224, 224), (223, 225), (17, 301), (301, 17), (1200, 9),
         (9, 1200), (100, 50)]


@dataclass
class Case:
    """One encoded image."""

    name: str  # what it shows, with the ending of its format
    data: bytes


def picture(width: int, height: int, channels: int, seed: int) -> np.ndarray:
    """Smooth colour waves with hard edges and some noise, u8 [height, width, channels]."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = []
    for _ in range(channels):
        fx, fy, phase = generator.uniform(0.005, 0.2, 2).tolist() + [generator.uniform(0, 6.3)]
        planes.append(127 + 90 * np.sin(fx * x + fy * y + phase))
    image = np.stack(planes, axis=-1)
    for _ in range(6):
        left, top = generator.integers(0, width), generator.integers(0, height)
        image[top : top + height // 3 + 1, left : left + width // 3 + 1] = generator.uniform(0, 255, channels)
    image += generator.normal(0, 8, image.shape)
    return image.clip(0, 255).astype(np.uint8)


def saved(image: Image.Image, kind: str, **options) -> bytes:
    """Returns `image` as Pillow writes it."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(samples: np.ndarray, depth: int, colour_type: int, *, interlaced: bool = False, chunks: bytes = b"") -> bytes:
    """A PNG of a form that Pillow cannot write: any depth, Adam7, chunks before the pixels.

    `samples` is an integer array [height, width, channels].
    """
    height, width, _ = samples.shape
    steps = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    passes = [samples[y::dy, x::dx] for x, y, dx, dy in steps] if interlaced else [samples]
    rows = b""
    for part in passes:
        for row in part if part.size else []:
            flat = row.reshape(-1)
            if depth == 16:
                packed = flat.astype(">u2").tobytes()
            else:
                bits = (flat[:, None].astype(np.uint8) >> np.arange(depth - 1, -1, -1)) & 1
                packed = np.packbits(bits.reshape(-1).astype(np.uint8)).tobytes()
            rows += b"\0" + packed
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, int(interlaced))
    return (b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + chunks + png_chunk(b"IDAT", zlib.compress(rows))
            + png_chunk(b"IEND", b""))


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """Returns one chunk with its length and checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def jpegs(size: tuple[int, int], seed: int) -> list[Case]:
    """Returns JPEGs of every kind in one size."""
    rgb = Image.fromarray(picture(*size, 3, seed))
    grey = Image.fromarray(picture(*size, 1, seed)[..., 0])
    cmyk = Image.fromarray(picture(*size, 4, seed), "CMYK")
    turned = Image.Exif()
    turned[0x0112] = 6
    return [
        Case("baseline-420.jpg", saved(rgb, "JPEG", quality=75)),
        Case("baseline-422.jpg", saved(rgb, "JPEG", quality=90, subsampling="4:2:2")),
        Case("baseline-444.jpg", saved(rgb, "JPEG", quality=95, subsampling="4:4:4")),
        Case("progressive.jpg", saved(rgb, "JPEG", quality=60, progressive=True)),
        Case("restart-markers.jpg", saved(rgb, "JPEG", quality=80, restart_marker_blocks=3)),
        Case("rgb-not-ycc.jpg", saved(rgb, "JPEG", quality=85, keep_rgb=True)),
        Case("grey.jpg", saved(grey, "JPEG", quality=70)),
        Case("grey-progressive.jpg", saved(grey, "JPEG", quality=70, progressive=True)),
        Case("cmyk.jpg", saved(cmyk, "JPEG", quality=85)),
        Case("exif-turned.jpg", saved(rgb, "JPEG", quality=75, exif=turned)),
    ]


def pngs(size: tuple[int, int], seed: int) -> list[Case]:
    """Returns PNGs of every kind in one size."""
    rgb, grey = picture(*size, 3, seed), picture(*size, 1, seed)
    rgba, grey_alpha = picture(*size, 4, seed), picture(*size, 2, seed)
    wide = np.random.default_rng(seed).integers(0, 65536, (size[1], size[0], 4))
    palette = Image.fromarray(rgb).quantize(64)
    transparent = bytes(range(0, 256, 4))
    few = Image.fromarray(rgb).quantize(4)
    palette_chunk = png_chunk(b"PLTE", bytes(np.random.default_rng(seed).integers(0, 256, 48).astype(np.uint8)))
    dark = np.random.default_rng(seed).integers(0, 400, (size[1], size[0], 1))  # around Pillow's limit of 255
    return [
        Case("rgb.png", saved(Image.fromarray(rgb), "PNG")),
        Case("rgba.png", saved(Image.fromarray(rgba), "PNG")),
        Case("grey.png", saved(Image.fromarray(grey[..., 0]), "PNG")),
        Case("grey-alpha.png", saved(Image.fromarray(grey_alpha, "LA"), "PNG")),
        Case("one-bit.png", saved(Image.fromarray(grey[..., 0]).convert("1"), "PNG")),
        Case("grey-2bit.png", png(grey >> 6, 2, 0)),
        Case("grey-4bit.png", png(grey >> 4, 4, 0)),
        Case("palette.png", saved(palette, "PNG")),
        Case("palette-2bit.png", saved(few, "PNG", bits=2)),
        Case("palette-4bit.png", png(grey >> 4, 4, 3, chunks=palette_chunk)),
        Case("palette-alpha.png", saved(palette, "PNG", transparency=transparent)),
        Case("palette-one-transparent.png", saved(palette, "PNG", transparency=3)),
        Case("rgb-one-transparent.png", saved(Image.fromarray(rgb), "PNG", transparency=tuple(rgb[0, 0].tolist()))),
        Case("grey-one-transparent.png", saved(Image.fromarray(grey[..., 0]), "PNG", transparency=int(grey[0, 0, 0]))),
        Case("grey-16bit.png", png(wide[..., :1], 16, 0)),
        Case("grey-16bit-dark.png", png(dark, 16, 0)),
        Case("grey-alpha-16bit.png", png(wide[..., :2], 16, 4)),
        Case("rgb-16bit.png", png(wide[..., :3], 16, 2)),
        Case("rgba-16bit.png", png(wide, 16, 6)),
        Case("interlaced.png", png(rgb, 8, 2, interlaced=True)),
        Case("interlaced-one-bit.png", png(grey >> 7, 1, 0, interlaced=True)),
        Case("gamma.png", png(rgb, 8, 2, chunks=png_chunk(b"gAMA", struct.pack(">I", 100000)))),
    ]


def webps(size: tuple[int, int], seed: int) -> list[Case]:
    """Returns WebPs of every kind in one size."""
    rgb, rgba = Image.fromarray(picture(*size, 3, seed)), Image.fromarray(picture(*size, 4, seed))
    return [
        Case("lossy.webp", saved(rgb, "WEBP", quality=80)),
        Case("lossless.webp", saved(rgb, "WEBP", lossless=True)),
        Case("lossy-alpha.webp", saved(rgba, "WEBP", quality=70)),
        Case("lossless-alpha.webp", saved(rgba, "WEBP", lossless=True, exact=True)),
    ]


def others(size: tuple[int, int], seed: int) -> list[Case]:
    """Returns files of the variants of BMP, TIFF, PPM and animated WebP that are read."""
    rgb, rgba = Image.fromarray(picture(*size, 3, seed)), Image.fromarray(picture(*size, 4, seed))
    grey = Image.fromarray(picture(*size, 1, seed)[..., 0])
    second = Image.fromarray(picture(*size, 3, seed + 1))
    upside_down = bytearray(saved(rgb, "BMP"))
    upside_down[22:26] = struct.pack("<i", -size[1])  # a negative height: rows start at the top
    bmp32 = Image.frombytes("RGBX", size, rgba.tobytes())
    return [
        Case("rgb.bmp", saved(rgb, "BMP")),
        Case("top-down.bmp", bytes(upside_down)),
        Case("grey.bmp", saved(grey, "BMP")),
        Case("palette.bmp", saved(rgb.quantize(200), "BMP")),
        Case("four-bytes.bmp", _bmp32(bmp32)),
        Case("rgba.bmp", saved(rgba, "BMP")),
        *[Case(f"{kind or 'plain'}.tif", saved(rgb, "TIFF", compression=kind))
          for kind in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits")],
        Case("grey.tiff", saved(grey, "TIFF", compression="tiff_lzw")),
        Case("rgb.ppm", saved(rgb, "PPM")),
        Case("grey.pgm", saved(grey, "PPM")),
        Case("comment.ppm", saved(rgb, "PPM").replace(b"P6\n", b"P6\n# made by hand\n", 1)),
        Case("animated.webp", saved(rgb, "WEBP", save_all=True, append_images=[second], quality=80)),
        Case("animated-alpha.webp", saved(rgba, "WEBP", save_all=True, append_images=[rgba.rotate(180)], lossless=True)),
    ]


def _bmp32(image: Image.Image) -> bytes:
    """Returns a BMP of four bytes per pixel without masks, which Pillow reads as RGB and cannot write."""
    samples = np.asarray(image)[::-1, :, [2, 1, 0, 3]]
    header = struct.pack("<IiiHHIIiiII", 40, image.width, image.height, 1, 32, 0, samples.nbytes, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + samples.nbytes, 0, 0, 54) + header + samples.tobytes()


def refused_variants(size: tuple[int, int], seed: int) -> list[Case]:
    """Returns files that Pillow reads and OpenCV reads differently, or not at all."""
    rgb, rgba = Image.fromarray(picture(*size, 3, seed)), Image.fromarray(picture(*size, 4, seed))
    wide = Image.fromarray(np.random.default_rng(seed).integers(0, 65536, size[::-1]).astype(np.uint16))
    ppm = saved(rgb, "PPM")
    return [
        Case("one-bit.bmp", saved(rgb.convert("1"), "BMP")),
        Case("alpha.tif", saved(rgba, "TIFF")),
        Case("cmyk.tif", saved(rgb.convert("CMYK"), "TIFF")),
        Case("palette.tif", saved(rgb.quantize(64), "TIFF")),
        Case("one-bit.tif", saved(rgb.convert("1"), "TIFF", compression="group4")),
        Case("jpeg.tif", saved(rgb, "TIFF", compression="jpeg")),
        Case("wide.tif", saved(wide, "TIFF")),
        Case("turned.tif", saved(rgb, "TIFF", tiffinfo={274: 6})),
        Case("one-bit.pbm", saved(rgb.convert("1"), "PPM")),
        Case("maximum.ppm", ppm.replace(b"\n255\n", b"\n100\n", 1)),
        Case("wide.pgm", saved(wide, "PPM")),
    ]


@functools.cache
def corpus() -> tuple[Case, ...]:
    """Returns every kind in the first size, and a third of the kinds in turn in each other size."""
    cases = []
    for number, size in enumerate(SIZES):
        kinds = jpegs(size, number) + pngs(size, number) + webps(size, number)
        chosen = kinds if number == 0 else kinds[number % 3 :: 3]
        cases += [Case(f"{size[0]}x{size[1]}-{case.name}", case.data) for case in chosen]
    return tuple(cases)
