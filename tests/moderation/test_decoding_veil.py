"""Veiled and grey copies."""

from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from moderation.decoding.types import CorruptMedia, Limits, SideTooLong
from moderation.decoding.veil import DETAIL, grey, veiled
from tests import media


def pixels(data: bytes) -> NDArray[np.int16]:
    return np.asarray(Image.open(BytesIO(data)).convert("RGB")).astype(np.int16)


def chequered(size: tuple[int, int], square: int) -> bytes:
    """Black and white squares."""
    rows, columns = np.indices(size[::-1]) // square
    return media.encode(Image.fromarray(((rows + columns) % 2 * 255).astype(np.uint8)).convert("RGB"), "PNG")


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_the_veil_keeps_colours_and_loses_detail(format: str) -> None:
    shown = pixels(veiled(media.picture(size=(640, 480), format=format), 160))
    assert shown.shape == (120, 160, 3)
    sky, ground = shown[5:20].mean(axis=(0, 1)), shown[-10:].mean(axis=(0, 1))
    assert sky[2] > sky[0]
    assert ground[1] > ground[2]
    # From one pixel to the next nothing changes by more than a breath.
    assert np.abs(np.diff(shown, axis=0)).max() <= 12
    assert np.abs(np.diff(shown, axis=1)).max() <= 12


def test_what_is_finer_than_the_veil_is_gone() -> None:
    fine = pixels(veiled(chequered((DETAIL * 64, DETAIL * 64), 8), 160))
    assert np.abs(fine - 127).max() <= 8


@pytest.mark.parametrize(("size", "shown"), [((2000, 50), (4, 160)), ((50, 2000), (160, 4)), ((60, 60), (160, 160))])
def test_the_veil_keeps_the_shape(size: tuple[int, int], shown: tuple[int, int]) -> None:
    assert pixels(veiled(media.picture(size=size), 160)).shape[:2] == shown


def test_the_veil_stands_upright() -> None:
    for orientation in range(1, 9):
        assert pixels(veiled(media.rotated(orientation), 160)).shape[:2] == (120, 160)


def test_grey_has_no_colours_and_keeps_detail() -> None:
    copy = grey(media.picture(size=(640, 480)), max_side=320)
    assert Image.open(BytesIO(copy)).mode == "L"
    assert pixels(copy).shape == (240, 320, 3)
    assert np.abs(np.diff(pixels(copy), axis=0)).max() > 30


def test_bad_files_are_media_errors() -> None:
    for make in (lambda data: veiled(data, 160), grey):
        with pytest.raises(CorruptMedia):
            make(media.truncated())
    with pytest.raises(SideTooLong):
        veiled(media.picture(), 160, Limits(max_side=100))
