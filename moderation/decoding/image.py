"""JPEG and PNG bytes to frames, and to clean copies for people to look at.

A file is what its first bytes say. Only Pillow's JPEG and PNG readers are ever reached (`Image.open` would try others,
and would refuse or warn about large pictures in its own words): sizes are read from the headers and checked before a
single pixel is decoded. Whatever Pillow raises on a hostile file leaves here as a `MediaError`.
"""

import math
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from io import SEEK_END, BytesIO
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin
from PIL.ExifTags import Base
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from moderation.decoding.types import (
    CorruptMedia,
    EmptyMedia,
    Limits,
    MediaError,
    MediaInfo,
    MediaOutOfMemory,
    UnsupportedFormat,
)

ACCEPTED_FORMATS: tuple[Literal["JPEG", "PNG"], ...] = ("JPEG", "PNG")

# A 100-megapixel picture takes some 700 MB while it is flattened: a crowd of them must queue.
LARGE_PIXELS = 40_000_000
large_decodes = threading.BoundedSemaphore(2)

# All text of a PNG together, unpacked; Pillow's own bound is 64 MiB. Nothing here reads it.
PngImagePlugin.MAX_TEXT_MEMORY = 4 * 1024 * 1024

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# A progressive JPEG has about ten; a file may hold a preview or two besides.
_MAX_SCANS = 100
_MAX_EXIF_BYTES = 1024 * 1024

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class Decoded:
    """Pixels and what the headers said. `frame` is (height, width, 3) RGB, read-only; smaller than `info` says when it
    was decoded for a smaller use."""

    frame: NDArray[np.uint8]
    info: MediaInfo

    @property
    def scale(self) -> float:
        """Pixels of the picture per pixel of the frame: multiply a box found in the frame to get it in the picture."""
        return self.info.width / int(self.frame.shape[1])


def read_info(data: bytes | BinaryIO) -> MediaInfo:
    """What the headers say, without decoding pixels. A stream is read from its start and must be seekable.

    Raises EmptyMedia, UnsupportedFormat or CorruptMedia; a PNG that is cut short is corrupt already here.
    """
    with _only_media_errors():
        return _describe(*_open(data))


def decode(data: bytes | BinaryIO, limits: Limits, scale_to: int | None = None) -> Decoded:
    """The picture's first frame the right way up, alpha and transparency over white, as 8-bit RGB.

    With `scale_to`, a picture whose shorter side is at least twice that many pixels comes back 2, 4 or 8 times smaller,
    its shorter side still at least `scale_to`: for a JPEG that is also several times faster. The whole file is read all
    the same, so one that is cut short fails. Colour profiles are not applied. Raises MediaError.
    """
    with _only_media_errors():
        image, png = _open(data)
        info = _describe(image, png)
        limits.check(info)
        with large_decodes if info.pixels > LARGE_PIXELS else nullcontext():
            if scale_to and isinstance(image, JpegImageFile):
                image.draft(None, (scale_to, scale_to))
            image.load()
            flat = _flatten(image, png)
            if scale_to and png:
                flat = _reduce(flat, scale_to)
            upright = flat.transpose(_UPRIGHT[info.orientation]) if info.orientation in _UPRIGHT else flat
            return Decoded(np.asarray(upright), info)


def display_copy(
    data: bytes | BinaryIO, max_side: int = 2048, quality: int = 85, limits: Limits | None = None
) -> bytes:
    """A fresh JPEG of the picture, no side above `max_side`, the right way up, over white, without any metadata."""
    limits = limits or Limits()
    info = read_info(data)
    limits.check(info)
    shrink = min(1.0, max_side / max(info.width, info.height))
    frame = decode(data, limits, scale_to=math.ceil(min(info.width, info.height) * shrink)).frame
    # Made from bare pixels: Pillow would carry a comment or profile of the original into what it saves.
    size = (max(1, round(info.width * shrink)), max(1, round(info.height * shrink)))
    image = Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS)
    out = BytesIO()
    image.save(out, format="JPEG", quality=quality)
    return out.getvalue()


@dataclass(frozen=True, slots=True)
class _PngFacts:
    """What a PNG's chunks say that Pillow does not tell before it decodes: `exif` may stand behind the pixels."""

    bit_depth: int
    frames: int
    exif: bytes | None


@contextmanager
def _only_media_errors() -> Iterator[None]:
    """Pillow's readers raise OSError, SyntaxError, ValueError, struct.error, zlib.error, AttributeError and more on
    damaged files; no list of them stays complete, so whatever it is, the file is at fault."""
    try:
        yield
    except MediaError:
        raise
    except MemoryError as error:
        raise MediaOutOfMemory("There is not enough memory to decode the picture now.") from error
    except Exception as error:
        raise CorruptMedia("The picture is damaged or cut short.") from error


def _open(data: bytes | BinaryIO) -> tuple[JpegImageFile | PngImageFile, _PngFacts | None]:
    """The opened, not yet decoded picture, and a PNG's facts."""
    stream = BytesIO(data) if isinstance(data, bytes) else data
    stream.seek(0)
    start = stream.read(len(_PNG_SIGNATURE))
    if not start:
        raise EmptyMedia("The file is empty.")
    if start.startswith(b"\xff\xd8\xff"):
        _check_scans(stream)
        stream.seek(0)
        # Also the multi-picture files of phones: the first picture is an ordinary JPEG.
        return JpegImageFile(stream), None
    if start != _PNG_SIGNATURE:
        raise UnsupportedFormat(f"The file is none of the accepted formats: {', '.join(ACCEPTED_FORMATS)}.")
    facts = _png_facts(stream)
    stream.seek(0)
    return PngImageFile(stream), facts


def _describe(image: JpegImageFile | PngImageFile, png: _PngFacts | None) -> MediaInfo:
    orientation = _orientation(png.exif if png else image.info.get("exif"))
    width, height = image.size if orientation < 5 else image.size[::-1]
    has_alpha = "A" in image.getbands() or "transparency" in image.info
    return MediaInfo(
        "PNG" if png else "JPEG", width, height, orientation, image.mode, has_alpha, png.frames if png else 1
    )


def _check_scans(stream: BinaryIO) -> None:
    """Raises CorruptMedia for a JPEG with absurdly many scans: each costs a pass over all pixels, but few bytes."""
    stream.seek(0)
    scans = sum(block.count(b"\xff\xda") for block in iter(lambda: stream.read(1 << 20), b""))
    if scans > _MAX_SCANS:
        raise CorruptMedia(f"The JPEG file has more than {_MAX_SCANS} scans.")


def _png_facts(stream: BinaryIO) -> _PngFacts:
    """Walks the chunks without unpacking any. Raises CorruptMedia where they run past the end or lack the end mark."""
    bit_depth, frames, exif = 8, 1, None
    for kind, length in _png_chunks(stream):
        if kind == b"IHDR":
            bit_depth = stream.read(9)[8]
        elif kind == b"acTL":
            frames = max(1, struct.unpack(">I", stream.read(4))[0])
        elif kind == b"eXIf" and length <= _MAX_EXIF_BYTES:
            exif = stream.read(length)
    return _PngFacts(bit_depth, frames, exif)


def _png_chunks(stream: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Name and length of each chunk; the stream stands at its content."""
    end = stream.seek(0, SEEK_END)
    position, kind = len(_PNG_SIGNATURE), b""
    while kind != b"IEND":
        stream.seek(position)
        length, kind = struct.unpack(">I4s", stream.read(8))
        position += length + 12
        if position > end:
            raise CorruptMedia("The PNG file is cut short.")
        yield kind, length


def _orientation(exif: bytes | None) -> int:
    """EXIF orientation; 1 (as stored) where there is none or nothing sensible, as browsers do."""
    if not exif:
        return 1
    tags = Image.Exif()
    try:
        tags.load(exif)
        value = tags.get(Base.Orientation)
    except Exception:  # a damaged note about a sound picture: show the picture
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _flatten(image: Image.Image, png: _PngFacts | None) -> Image.Image:
    """As 8-bit RGB over white."""
    if image.mode == "I;16":
        return _flatten_grey16(image)
    transparent = image.info.get("transparency")
    if png and image.mode == "L" and png.bit_depth < 8 and isinstance(transparent, int):
        # Pillow spreads grey of 2 and 4 bits over 0..255, but not the shade named transparent.
        image.info["transparency"] = transparent * 255 // (2**png.bit_depth - 1)
    if png and image.mode == "RGB" and png.bit_depth == 16 and transparent is not None:
        image.info["transparency"] = tuple(value >> 8 for value in transparent)
    if "A" not in image.getbands() and transparent is None:
        return image.convert("RGB")
    rgba = image.convert("RGBA")
    white = Image.new("RGB", rgba.size, "white")
    white.paste(rgba, mask=rgba.getchannel("A"))
    return white


def _flatten_grey16(image: Image.Image) -> Image.Image:
    """Pillow would clip 16-bit grey at 255; the high byte is the shade."""
    shades = np.asarray(image)
    grey = (shades >> 8).astype(np.uint8)
    transparent = image.info.get("transparency")
    if transparent is not None:
        grey[shades == transparent] = 255
    return Image.fromarray(grey).convert("RGB")


def _reduce(image: Image.Image, shorter_side: int) -> Image.Image:
    """What draft scaling does for a JPEG: 8, 4 or 2 times smaller where the shorter side stays long enough."""
    factor = next((each for each in (8, 4, 2) if min(image.size) // shorter_side >= each), 1)
    return image.reduce(factor) if factor > 1 else image
