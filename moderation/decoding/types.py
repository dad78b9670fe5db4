"""What is known of a picture before its pixels are decoded, the limits it must keep, and how it can fail them."""

from dataclasses import dataclass
from typing import Literal


class MediaError(Exception):
    """A file that is not taken. `code` is stable and names the reason; `message` may be shown to whoever sent it."""

    code = "media_error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class EmptyMedia(MediaError):
    """No bytes at all."""

    code = "empty"


class UnsupportedFormat(MediaError):
    """Judged by the first bytes, never by the name."""

    code = "unsupported_format"


class CorruptMedia(MediaError):
    """Damaged, cut short or self-contradictory."""

    code = "corrupt"


class SideTooLong(MediaError):
    """Width or height above `Limits.max_side`."""

    code = "side_too_long"


class TooManyPixels(MediaError):
    """Width times height above `Limits.max_pixels`."""

    code = "too_many_pixels"


class TooSmall(MediaError):
    """Width or height below `Limits.min_side`."""

    code = "too_small"


class MediaOutOfMemory(MediaError):
    """Within the limits, but this machine had no memory left for its pixels."""

    code = "out_of_memory"


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What a picture's headers say. `width` and `height` are pixels as it is meant to be seen (`orientation` applied).

    `orientation` is the EXIF value, 1 to 8. `mode` is Pillow's name for the pixel format ("RGB", "CMYK", "I;16").
    `frames` is above 1 for an animated PNG.
    """

    format: Literal["JPEG", "PNG"]
    width: int
    height: int
    orientation: int
    mode: str
    has_alpha: bool
    frames: int = 1

    @property
    def pixels(self) -> int:
        return self.width * self.height

    @property
    def content_type(self) -> str:
        """The media type for HTTP headers, from the bytes."""
        return f"image/{self.format.lower()}"


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes a picture must keep, in pixels as it is meant to be seen; both bounds are themselves allowed."""

    max_side: int = 10_000
    min_side: int = 50
    max_pixels: int = 100_000_000

    def check(self, info: MediaInfo) -> None:
        """Raises SideTooLong, TooManyPixels or TooSmall, naming the picture's size and the limit."""
        size = f"The picture is {info.width} x {info.height} pixels;"
        if max(info.width, info.height) > self.max_side:
            raise SideTooLong(f"{size} no side may exceed {self.max_side}.")
        if info.pixels > self.max_pixels:
            raise TooManyPixels(f"{size} width times height may not exceed {self.max_pixels}.")
        if min(info.width, info.height) < self.min_side:
            raise TooSmall(f"{size} no side may be below {self.min_side}.")
