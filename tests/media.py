"""Pictures drawn in code, for every test: benign ones that the fake engine reads as asked, and files that go wrong."""

import struct
import zipfile
import zlib
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from moderation.inference.fake import STEP, TABLE

_STORED_AS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def picture(
    label: str | None = None,
    confidence: float = 95,
    size: tuple[int, int] = (320, 240),
    format: str = "JPEG",
    seed: int = 0,
    illustrated: bool = False,
) -> bytes:
    """A hilly landscape. With `label` (one of `fake.TABLE`) it carries the patch that the fake engine reads so."""
    return encode(landscape(label, confidence, size, seed, illustrated), format)


def landscape(
    label: str | None = None,
    confidence: float = 95,
    size: tuple[int, int] = (320, 240),
    seed: int = 0,
    illustrated: bool = False,
) -> Image.Image:
    """What `picture` encodes: sky, sun, hills and grain, different for every seed."""
    width, height = size
    random = np.random.default_rng(seed)
    rows = np.linspace(0, 1, height)[:, None, None]
    sky = np.array([90, 140, 190]) + rows * np.array([90, 60, 20]) * random.uniform(0.6, 1.4)
    grain = random.normal(0, 9, (height, width, 3))
    image = Image.fromarray(np.clip(sky + grain, 0, 235).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    x, y = random.uniform(0.4, 0.9) * width, random.uniform(0.1, 0.4) * height
    draw.ellipse((x, y, x + width / 8, y + width / 8), fill=(250, 220, 140))
    for step in range(3):
        top = height * (0.55 + 0.15 * step)
        heights = top + np.cumsum(random.normal(0, height / 60, 12))
        points = [(width * i / 11, float(y)) for i, y in enumerate(heights)]
        green = (70 - 15 * step, 120 - 20 * step, 60 - 10 * step)
        draw.polygon([*points, (width, height), (0, height)], fill=green)
    if label is not None:
        colour = (TABLE.index(label) * STEP + STEP // 2, round(confidence * 2.55), 255 if illustrated else 0)
        draw.rectangle((0, 0, -(-width // 4), -(-height // 4)), fill=colour)
    return image


def encode(image: Image.Image, format: str = "JPEG", **options: object) -> bytes:
    """The image as a file; JPEG at a phone's usual quality."""
    out = BytesIO()
    image.save(out, format=format, **({"quality": 90} if format == "JPEG" else {}), **options)
    return out.getvalue()


def noise(size: tuple[int, int] = (256, 256), seed: int = 0) -> NDArray[np.uint8]:
    """A frame of random pixels, for what must hold for any picture."""
    return np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)


# --- files that go wrong, or nearly ---------------------------------------------------------------------------------


def truncated(format: str = "JPEG", keep: float = 0.6) -> bytes:
    """The first part of a sound file, as an upload cut in the middle leaves it."""
    whole = picture(format=format)
    return whole[: int(len(whole) * keep)]


def zip_archive() -> bytes:
    """To be named photo.jpg."""
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("photo.jpg", picture())
    return out.getvalue()


def png_bomb(side: int = 30_000) -> bytes:
    """A PNG of side x side one-bit pixels in about a hundred bytes; what is packed does not even fill it."""
    return png(side, side, 1, 0, bytes(1000))


def tiny() -> bytes:
    """1 x 1, sound."""
    return encode(Image.new("RGB", (1, 1), "teal"), "PNG")


def cmyk() -> bytes:
    """A JPEG of four inks, stored inverted with Adobe's marker, as Photoshop and Pillow write it."""
    return encode(landscape().convert("CMYK"))


def grey16(size: tuple[int, int] = (128, 96)) -> bytes:
    """A 16-bit greyscale PNG, black on the left to white on the right."""
    ramp = np.linspace(0, 65535, size[0]).astype(">u2")
    return png(size[0], size[1], 16, 0, (b"\0" + ramp.tobytes()) * size[1])


def rgb16(colour: tuple[int, int, int] = (65535, 32768, 0), size: tuple[int, int] = (128, 96)) -> bytes:
    """A 16-bit RGB PNG of one colour."""
    return png(size[0], size[1], 16, 2, (b"\0" + struct.pack(">3H", *colour) * size[0]) * size[1])


def palette_with_transparency(size: tuple[int, int] = (128, 96)) -> bytes:
    """Left half wholly transparent (over red), right half blue."""
    image = Image.new("P", size, 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(1, (size[0] // 2, 0, *size))
    return encode(image, "PNG", transparency=0)


def animated_png() -> bytes:
    """Three frames; the first shows red, the others do not."""
    frames = [Image.new("RGB", (128, 96), colour) for colour in ("red", "green", "blue")]
    return encode(frames[0], "PNG", save_all=True, append_images=frames[1:], duration=100)


def rotated(orientation: int, label: str | None = None, format: str = "JPEG") -> bytes:
    """The landscape stored turned or mirrored, with the EXIF note that says how to turn it back."""
    image = landscape(label)
    turn = _STORED_AS[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(image if turn is None else image.transpose(turn), format, exif=exif)


def with_metadata() -> bytes:
    """A JPEG that says who and where: EXIF with GPS, a comment and a profile."""
    exif = Image.Exif()
    exif[0x010F] = "Secret Camera"
    exif[0x8825] = {1: "N", 2: (52.0, 30.0, 0.0)}
    return encode(landscape(), exif=exif, comment=b"Secret comment", icc_profile=b"Secret profile")


def multi_picture() -> bytes:
    """The JPEG variant of phones: a picture with a second one behind it."""
    return encode(landscape(seed=1), "MPO", save_all=True, append_images=[landscape(seed=2)])


def gif() -> bytes:
    return encode(landscape(), "GIF")


def webp() -> bytes:
    return encode(landscape(), "WEBP")


def png(width: int, height: int, bit_depth: int, colour_type: int, rows: bytes, *extra: tuple[bytes, bytes]) -> bytes:
    """A PNG from its parts: `rows` are raw scan lines with their filter bytes, `extra` are chunks before the pixels."""
    header = struct.pack(">IIBBBBB", width, height, bit_depth, colour_type, 0, 0, 0)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
