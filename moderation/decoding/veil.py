"""Copies of a picture that hold back what it shows: veiled, and grey."""

import math
from io import BytesIO
from typing import BinaryIO

from PIL import Image, ImageFilter
from PIL.JpegImagePlugin import JpegImageFile

from moderation.decoding.image import decode, display_copy
from moderation.decoding.types import Limits

# What is left of the longer side before it is blown up again: broad colours, no shapes.  Nobody can sharpen it back.
DETAIL = 8


def veiled(data: bytes | BinaryIO, side: int, limits: Limits | None = None) -> bytes:
    """A JPEG of blurred colours with a longer side of `side` pixels; detail is gone.  Raises MediaError."""
    frame = decode(data, limits or Limits(), scale_to=DETAIL).frame
    height, width = frame.shape[:2]
    coarse = Image.fromarray(frame)
    coarse.thumbnail((DETAIL, DETAIL), Image.Resampling.BOX)
    scale = side / max(width, height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    smooth = coarse.resize(size, Image.Resampling.BICUBIC).filter(
        ImageFilter.GaussianBlur(math.ceil(side / DETAIL / 2))
    )
    return _jpeg(smooth, quality=70)


def grey(data: bytes | BinaryIO, max_side: int = 2048, limits: Limits | None = None) -> bytes:
    """The display copy without its colours, as a JPEG.  Raises MediaError."""
    copy = JpegImageFile(BytesIO(display_copy(data, max_side, limits=limits)))
    return _jpeg(copy.convert("L"), quality=85)


def _jpeg(image: Image.Image, quality: int) -> bytes:
    out = BytesIO()
    image.save(out, format="JPEG", quality=quality)
    return out.getvalue()
