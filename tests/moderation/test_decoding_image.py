import struct
import threading
import tracemalloc
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from moderation.decoding import image as decoding
from moderation.decoding.image import decode, display_copy, read_info
from moderation.decoding.types import (
    CorruptMedia,
    EmptyMedia,
    Limits,
    MediaError,
    SideTooLong,
    TooManyPixels,
    TooSmall,
    UnsupportedFormat,
)
from tests import media

LIMITS = Limits()
RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def pixel(frame, x, y):
    return tuple(int(value) for value in frame[y, x])


# --- what the headers say -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_reads_the_headers(format):
    info = read_info(media.picture(size=(320, 200), format=format))
    assert (info.format, info.width, info.height, info.orientation, info.mode) == (format, 320, 200, 1, "RGB")
    assert (info.has_alpha, info.frames, info.pixels) == (False, 1, 64_000)
    assert info.content_type == {"JPEG": "image/jpeg", "PNG": "image/png"}[format]


def test_takes_a_stream_wherever_it_stands():
    stream = BytesIO(media.picture())
    stream.seek(100)
    assert read_info(stream).width == 320
    assert decode(stream, LIMITS).frame.shape == (240, 320, 3)


def test_a_png_bomb_costs_nothing():
    bomb = media.png_bomb()
    assert len(bomb) < 200
    tracemalloc.start()
    with pytest.raises(SideTooLong, match=r"30000 x 30000.*10000"):
        decode(bomb, LIMITS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_a_jpeg_bomb_costs_nothing():
    sound = media.picture()
    at = sound.index(b"\xff\xc0")
    bomb = sound[: at + 5] + struct.pack(">HH", 60_000, 60_000) + sound[at + 9 :]
    with pytest.raises(SideTooLong, match="60000 x 60000"):
        decode(bomb, LIMITS)


def test_limits_name_the_size_and_themselves():
    with pytest.raises(TooManyPixels, match=r"9000 x 9000.*80000000"):
        Limits(max_pixels=80_000_000).check(read_info(media.png_bomb(9000)))
    with pytest.raises(TooSmall, match=r"1 x 1.*50"):
        decode(media.tiny(), LIMITS)
    with pytest.raises(SideTooLong, match=r"60 x 61 .*60"):
        decode(media.picture(size=(60, 61)), Limits(max_side=60))
    assert decode(media.picture(size=(60, 60)), Limits(max_side=60, min_side=60)).frame.shape == (60, 60, 3)


def test_limits_hold_for_the_picture_as_it_is_seen():
    assert decode(media.rotated(6), Limits(max_side=320)).info.width == 320


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (media.zip_archive(), "unsupported_format"),
        (media.gif(), "unsupported_format"),
        (media.webp(), "unsupported_format"),
        (b"<svg/>", "unsupported_format"),
        (b"\xff\xd8\xff", "corrupt"),
        (b"\x89PNG\r\n\x1a\n", "corrupt"),
        (media.truncated("JPEG"), "corrupt"),
        (media.truncated("PNG"), "corrupt"),
        (media.tiny(), "too_small"),
        (media.png_bomb(), "side_too_long"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refusals_have_stable_codes(data, code):
    with pytest.raises(MediaError) as caught:
        decode(data, LIMITS)
    assert caught.value.code == code
    assert caught.value.message == str(caught.value) != ""


def test_refusing_a_format_names_those_that_are_taken():
    with pytest.raises(UnsupportedFormat, match="JPEG, PNG"):
        read_info(media.gif())
    with pytest.raises(EmptyMedia):
        read_info(BytesIO())


# --- cut short, damaged ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale_to", [None, 160])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("keep", [0.3, 0.6, 0.9, 0.99])
def test_a_truncated_jpeg_fails(keep, progressive, scale_to):
    whole = media.encode(media.landscape(size=(400, 350)), progressive=progressive)
    assert decode(whole, LIMITS, scale_to).frame.shape[0] == (350 if scale_to is None else 175)
    with pytest.raises(CorruptMedia):
        decode(whole[: int(len(whole) * keep)], LIMITS, scale_to)


@pytest.mark.parametrize("missing", [1, 4, 12, 13, 500, 20_000])
def test_a_truncated_png_fails_by_its_headers(missing):
    whole = media.picture(format="PNG")
    with pytest.raises(CorruptMedia):
        read_info(whole[:-missing])


def test_damage_of_any_kind_is_a_media_error():
    """Whatever a byte is turned into, there is an answer or a MediaError, never another exception."""
    random = np.random.default_rng(7)
    originals = [media.picture(size=(64, 64)), media.picture(size=(64, 64), format="PNG"), media.with_metadata()]
    originals += [
        media.palette_with_transparency(),
        media.animated_png(),
        media.grey16(),
        media.rotated(6, format="PNG"),
    ]
    failed = 0
    for i in range(700):
        damaged = bytearray(originals[i % len(originals)])
        for at in random.integers(0, min(len(damaged), 700), 1 + i % 4):
            damaged[at] = random.integers(0, 256)
        try:
            decode(bytes(damaged), Limits(max_side=2000, min_side=1), 32)
            display_copy(bytes(damaged), 100)
        except MediaError:
            failed += 1
    assert 100 < failed < 700


def test_a_jpeg_of_a_thousand_scans_is_refused():
    whole = media.encode(media.landscape(), progressive=True)
    with pytest.raises(CorruptMedia, match="scans"):
        read_info(whole[:-2] + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" * 1000 + b"\xff\xd9")


def test_a_text_bomb_is_refused():
    text = b"note\0\0" + zlib.compress(bytes(100_000_000))
    with pytest.raises(CorruptMedia):
        read_info(media.png(64, 64, 8, 0, bytes(65 * 64), (b"zTXt", text)))


def test_many_long_texts_are_refused():
    info = PngImagePlugin.PngInfo()
    for i in range(8):
        info.add_text(f"note{i}", "x" * 900_000, zip=True)
    with pytest.raises(CorruptMedia):
        read_info(media.encode(media.landscape(), "PNG", pnginfo=info))


# --- pixels ---------------------------------------------------------------------------------------------------------


def test_a_frame_is_rgb_and_cannot_be_written_to():
    decoded = decode(media.picture(format="PNG"), LIMITS)
    assert decoded.frame.dtype == np.uint8
    assert (decoded.frame == np.asarray(media.landscape())).all()
    assert not decoded.frame.flags.writeable


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honoured(orientation, format):
    data = media.rotated(orientation, format=format)
    info = read_info(data)
    frame = decode(data, LIMITS).frame
    assert (info.orientation, info.width, info.height) == (orientation, 320, 240)
    assert np.abs(frame.astype(int) - np.asarray(media.landscape())).mean() < 6


def test_orientation_may_stand_behind_the_pixels():
    exif = Image.Exif()
    exif[0x0112] = 6
    content = exif.tobytes().removeprefix(b"Exif\0\0")
    whole = media.picture(format="PNG")
    chunk = struct.pack(">I", len(content)) + b"eXIf" + content + struct.pack(">I", zlib.crc32(b"eXIf" + content))
    data = whole[:-12] + chunk + whole[-12:]
    assert (read_info(data).width, decode(data, LIMITS).frame.shape) == (240, (320, 240, 3))


@pytest.mark.parametrize("exif", [b"", b"Exif\0\0", b"Exif\0\0MM\0*garbage and more of it", b"Exif\0\0" + bytes(100)])
def test_a_damaged_exif_note_does_not_spoil_the_picture(exif):
    assert decode(media.encode(media.landscape(), exif=exif), LIMITS).info.orientation == 1


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_out_of_range_means_as_stored(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert read_info(media.encode(media.landscape(), exif=exif)).orientation == 1


def test_alpha_goes_over_white():
    image = Image.new("RGBA", (100, 100), (255, 0, 0, 0))
    image.paste((0, 0, 255, 128), (50, 0, 100, 100))
    decoded = decode(media.encode(image, "PNG"), LIMITS)
    assert decoded.info.has_alpha
    assert pixel(decoded.frame, 10, 10) == WHITE
    assert pixel(decoded.frame, 80, 10) == (127, 127, 255)


def test_grey_with_alpha_goes_over_white():
    image = Image.new("LA", (100, 100), (0, 0))
    image.paste((100, 255), (50, 0, 100, 100))
    frame = decode(media.encode(image, "PNG"), LIMITS).frame
    assert (pixel(frame, 10, 10), pixel(frame, 80, 10)) == (WHITE, (100, 100, 100))


def test_palette_with_transparency():
    decoded = decode(media.palette_with_transparency(), LIMITS)
    assert (decoded.info.mode, decoded.info.has_alpha) == ("P", True)
    assert (pixel(decoded.frame, 10, 10), pixel(decoded.frame, 100, 10)) == (WHITE, BLUE)


def test_cmyk():
    decoded = decode(media.cmyk(), LIMITS)
    assert (decoded.info.mode, decoded.info.format) == ("CMYK", "JPEG")
    assert np.abs(decoded.frame.astype(int) - np.asarray(media.landscape())).mean() < 6


def test_16_bit_grey():
    decoded = decode(media.grey16(), LIMITS)
    assert decoded.info.mode == "I;16"
    assert [pixel(decoded.frame, x, 50)[0] for x in (0, 64, 127)] == [0, 129, 255]


def test_16_bit_colour():
    assert pixel(decode(media.rgb16(), LIMITS).frame, 5, 5) == (255, 128, 0)


def test_16_bit_with_alpha():
    row = b"\0" + struct.pack(">4H", 65535, 0, 0, 32768) * 64
    frame = decode(media.png(64, 64, 16, 6, row * 64), LIMITS).frame
    assert pixel(frame, 5, 5) == (255, 127, 127)


@pytest.mark.parametrize(
    ("bits", "colour_type", "row", "shade", "expected"),
    [
        (1, 0, bytes([0b01010101] * 8), struct.pack(">H", 1), [(0, 0, 0), WHITE]),
        (1, 0, bytes([0b01010101] * 8), struct.pack(">H", 0), [WHITE, WHITE]),
        (2, 0, bytes([0b01101101] * 16), struct.pack(">H", 1), [WHITE, (170, 170, 170)]),
        (4, 0, bytes([0x1F] * 32), struct.pack(">H", 1), [WHITE, WHITE]),
        (8, 0, bytes([9, 10] * 32), struct.pack(">H", 9), [WHITE, (10, 10, 10)]),
        (16, 0, struct.pack(">2H", 2560, 2561) * 32, struct.pack(">H", 2560), [WHITE, (10, 10, 10)]),
        (8, 2, bytes([1, 2, 3, 4, 5, 6] * 32), struct.pack(">3H", 1, 2, 3), [WHITE, (4, 5, 6)]),
        (16, 2, struct.pack(">6H", 256, 512, 768, 5, 6, 7) * 32, struct.pack(">3H", 256, 512, 768), [WHITE, (0, 0, 0)]),
    ],
)
def test_a_shade_named_transparent_goes_white(bits, colour_type, row, shade, expected):
    frame = decode(media.png(64, 64, bits, colour_type, (b"\0" + row) * 64, (b"tRNS", shade)), LIMITS).frame
    assert [pixel(frame, 0, 9), pixel(frame, 1, 9)] == expected


@pytest.mark.parametrize("mode", ["L", "1"])
def test_grey_and_black_and_white(mode):
    image = media.landscape().convert(mode)
    frame = decode(media.encode(image, "PNG"), LIMITS).frame
    assert (frame == np.asarray(image.convert("RGB"))).all()


def test_grey_jpeg():
    decoded = decode(media.encode(media.landscape().convert("L")), LIMITS)
    assert (decoded.info.mode, decoded.frame.shape) == ("L", (240, 320, 3))


def test_an_animated_png_shows_its_first_frame():
    decoded = decode(media.animated_png(), LIMITS)
    assert decoded.info.frames == 3
    assert pixel(decoded.frame, 60, 60) == RED


def test_a_picture_of_several_is_a_jpeg():
    decoded = decode(media.multi_picture(), LIMITS)
    assert (decoded.info.format, decoded.info.frames) == ("JPEG", 1)
    assert np.abs(decoded.frame.astype(int) - np.asarray(media.landscape(seed=1))).mean() < 6


# --- smaller --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
@pytest.mark.parametrize(
    ("size", "expected"), [((350, 500), (175, 250)), ((319, 500), (319, 500)), ((650, 641), (163, 161))]
)
def test_scaling_keeps_the_shorter_side_long_enough(size, expected, format):
    data = media.encode(media.landscape(size=size), format)
    decoded = decode(data, LIMITS, scale_to=160)
    assert (decoded.info.width, decoded.info.height) == size
    assert decoded.frame.shape == (expected[1], expected[0], 3)
    assert decoded.scale == pytest.approx(size[0] / expected[0])


def test_scaled_pictures_look_the_same():
    image = media.landscape("Weapons", size=(400, 360))
    small = np.asarray(image.reduce(2)).astype(int)
    for format in ("JPEG", "PNG"):
        frame = decode(media.encode(image, format), LIMITS, scale_to=160).frame
        assert np.abs(frame - small).mean() < 3


def test_large_pictures_queue_while_two_are_being_decoded():
    large = media.png(6500, 6400, 1, 0, bytes((6500 // 8 + 2) * 6400))
    done = threading.Event()

    def run():
        decode(large, LIMITS, scale_to=640)
        done.set()

    with decoding.large_decodes, decoding.large_decodes:
        thread = threading.Thread(target=run)
        thread.start()
        assert decode(media.picture(), LIMITS).info.width == 320
        assert not done.wait(1.5)
    assert done.wait(30)
    thread.join()
    with decoding.large_decodes, decoding.large_decodes:
        pass


# --- copies for people ----------------------------------------------------------------------------------------------


def test_a_display_copy_says_nothing_but_the_picture():
    original = media.with_metadata()
    assert b"Secret" in original
    copy = display_copy(original)
    with Image.open(BytesIO(copy)) as image:
        assert image.format == "JPEG"
        assert not {"exif", "comment", "icc_profile", "xmp"} & set(image.info)
    assert b"Secret" not in copy


def test_a_display_copy_is_the_right_way_up():
    copy = display_copy(media.rotated(6))
    with Image.open(BytesIO(copy)) as image:
        assert image.size == (320, 240)


@pytest.mark.parametrize(
    ("size", "expected"), [((1000, 600), (200, 120)), ((601, 1000), (120, 200)), ((90, 60), (90, 60))]
)
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_a_display_copy_fits(size, expected, format):
    copy = display_copy(media.picture(size=size, format=format), max_side=200)
    with Image.open(BytesIO(copy)) as image:
        assert image.size == expected


def test_a_display_copy_of_something_transparent_is_over_white():
    copy = display_copy(media.palette_with_transparency())
    with Image.open(BytesIO(copy)) as image:
        assert np.asarray(image)[10, 10].min() > 250


def test_a_display_copy_keeps_the_limits():
    with pytest.raises(SideTooLong):
        display_copy(media.png_bomb())
