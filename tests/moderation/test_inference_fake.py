import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from moderation import taxonomy
from moderation.decoding.image import decode
from moderation.decoding.types import Limits
from moderation.inference.fake import TABLE, FakeEngine
from moderation.inference.types import Evidence
from tests import media

LABELS = [name for name in TABLE if name]


def read(data, scale_to=None):
    (findings,) = FakeEngine().detect([decode(data, Limits(min_side=1), scale_to).frame])
    return findings


def named(findings):
    return {each.label: each.confidence for each in findings.labels if each.confidence >= 50}


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
@pytest.mark.parametrize("label", LABELS)
def test_reads_what_was_asked_for(label, format):
    found = named(read(media.picture(label, 87, format=format)))
    assert found.keys() == {label, *(each.name for each in taxonomy.ancestors(label))}
    assert all(confidence == pytest.approx(87, abs=1) for confidence in found.values())


@pytest.mark.parametrize("confidence", [0, 12.5, 50, 79.9, 99, 100])
def test_reads_the_confidence_within_a_point(confidence):
    findings = read(media.picture("Weapons", confidence))
    (weapons,) = [each for each in findings.labels if each.label == "Weapons"]
    assert weapons.confidence == pytest.approx(confidence, abs=1)


@pytest.mark.parametrize("seed", range(30))
def test_a_picture_without_a_patch_is_clean(seed):
    size = [(320, 240), (64, 64), (1000, 333)][seed % 3]
    assert named(read(media.picture(size=size, seed=seed))) == {}


@pytest.mark.parametrize("colour", ["white", "black", "red", "blue", "yellow", "skyblue", "grey"])
def test_flat_colours_are_clean(colour):
    assert named(read(media.encode(Image.new("RGB", (100, 100), colour)))) == {}


@pytest.mark.parametrize("size", [(200, 200), (320, 240), (333, 1001), (1600, 1400)])
def test_size_and_resizing_do_not_matter(size):
    data = media.picture("Gambling", 73, size=size)
    for scale_to in (None, 32, 640):
        assert named(read(data, scale_to)) == {"Gambling": pytest.approx(73, abs=1)}
    with Image.open(BytesIO(data)) as image:
        smaller = image.resize((size[0] // 3, size[1] // 3), Image.Resampling.BICUBIC)
    assert named(read(media.encode(smaller))) == {"Gambling": pytest.approx(73, abs=1.5)}


def test_a_corner_that_is_not_flat_is_clean():
    grain = np.random.default_rng(0).normal(0, 12, (240, 320, 3))
    grain[..., 2] = 0
    pixels = np.asarray(media.landscape("Weapons", 60)) + grain
    assert named(read(media.encode(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), "PNG"))) == {}


def test_content_type():
    (drawn,) = read(media.picture("Smoking", 80, illustrated=True)).content_types
    (photographed,) = read(media.picture("Smoking", 80)).content_types
    (clean,) = read(media.picture()).content_types
    assert drawn.name == "Illustrated"
    assert drawn.confidence == pytest.approx(80, abs=1)
    assert photographed.confidence == clean.confidence == 0


def test_every_supported_label_is_reported_in_order():
    labels = [each.label for each in read(media.picture()).labels]
    assert labels == [name for name in taxonomy.LABELS if name in labels]
    assert {*LABELS} < {*labels}
    assert {name for name in taxonomy.LABELS if FakeEngine.evidence[name] == Evidence.MEASURED} == {*labels}


def test_says_where():
    findings = read(media.picture("Weapons", size=(400, 200)))
    boxes = {each.label: each.boxes for each in findings.labels if each.boxes}
    assert boxes.keys() == {"Weapons"}
    (box,) = boxes["Weapons"]
    assert (box.left, box.top, box.width, box.height) == (0, 0, 100, 50)


def test_the_right_way_up_counts():
    assert named(read(media.rotated(6, "Weapons"))).keys() == {"Weapons", "Violence"}


def test_a_batch_is_read_one_by_one():
    frames = [decode(media.picture(label), Limits()).frame for label in ("Weapons", None, "Gambling")]
    first, second, third = FakeEngine().detect(frames)
    assert [set(named(each)) for each in (first, second, third)] == [{"Weapons", "Violence"}, set(), {"Gambling"}]
    assert FakeEngine().detect([]) == []


def test_tiny_frames_are_read():
    (findings,) = FakeEngine().detect([np.zeros((1, 1, 3), np.uint8)])
    assert named(findings) == {}


def test_torch_is_not_needed():
    code = "import sys; from moderation.inference import registry, fake; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
