"""The networks say what their originals say.

`efficientnet_lite2_reference.npz` holds what the original code (PyPI efficientnet_lite_pytorch 0.1.0, in eval mode,
float32, with the same weights) answers for the patterns below; the other two are compared with onnxruntime running the
very files the weights come from.
"""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from moderation.inference import preprocessing, weights
from moderation.inference.networks.efficientnet_lite import EfficientNetLite2
from moderation.inference.networks.open_nsfw import OpenNsfw
from moderation.inference.networks.swiftformer import SwiftFormerS
from tests import media
from tests.weights import folder

pytestmark = pytest.mark.weights

REFERENCE = Path(__file__).with_name("efficientnet_lite2_reference.npz")
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def frames():
    """Drawn pictures and noise of several shapes."""
    sizes = [(320, 240), (240, 320), (224, 224), (640, 480)]
    drawn = [np.asarray(media.landscape(size=size, seed=seed)) for seed, size in enumerate(sizes)]
    labelled = [np.asarray(media.landscape("Weapons", seed=9))]
    return [*drawn, *labelled, media.noise((300, 200), 1), media.noise((224, 224), 2)]


def network(module, name):
    module.load_state_dict(weights.load(name, folder()))
    return module.eval()


def reference(name):
    return onnxruntime.InferenceSession(weights.find(weights.SOURCES[name]))


def patterns(count):
    """Blocks of colour, the same on every machine: (count, 3, 260, 260)."""
    blocks = [np.random.RandomState(seed).uniform(-2, 2, (3, 13, 13)) for seed in range(count)]
    return torch.from_numpy(np.stack([np.kron(each, np.ones((20, 20))) for each in blocks]).astype(np.float32))


def assert_same(probabilities, expected):
    """Also where they are tiny, as they are for harmless pictures."""
    assert np.abs(probabilities - expected).max() <= TOLERANCE
    assert np.abs(np.log(probabilities) - np.log(expected)).max() <= 1e-3
    assert np.ptp(np.log(expected), axis=0).max() > 1, "the pictures must differ for this to say anything"


@torch.inference_mode()
def test_swiftformer_is_its_original(frames):
    inputs = np.stack([preprocessing.swiftformer(frame) for frame in frames])
    (expected,) = reference("swiftformer_s").run(None, {"image": inputs})
    probabilities, features = network(SwiftFormerS(), "swiftformer_s")(torch.from_numpy(inputs))
    assert_same(probabilities.numpy(), expected)
    assert features.shape == (len(frames), 224)


@torch.inference_mode()
def test_open_nsfw_is_its_original(frames):
    inputs = np.stack([preprocessing.open_nsfw(frame) for frame in frames])
    (expected,) = reference("open_nsfw").run(None, {"input:0": inputs.transpose(0, 2, 3, 1)})
    probabilities = network(OpenNsfw(), "open_nsfw")(torch.from_numpy(inputs))
    assert_same(probabilities.numpy(), expected)


@torch.inference_mode()
def test_efficientnet_is_its_original():
    expected = np.load(REFERENCE)
    logits, features = network(EfficientNetLite2(), "efficientnet_lite2")(patterns(6))
    assert np.abs(logits.numpy() - expected["logits"]).max() <= TOLERANCE
    assert np.abs(features.numpy() - expected["features"]).max() <= TOLERANCE
    assert (logits.shape, features.shape) == ((6, 1000), (6, 1280))


@torch.inference_mode()
def test_layout_in_memory_changes_nothing():
    module = network(EfficientNetLite2(), "efficientnet_lite2")
    usual, _ = module(patterns(2))
    channels_last, _ = module(patterns(2).contiguous(memory_format=torch.channels_last))
    assert (usual - channels_last).abs().max() <= TOLERANCE


def test_classes_are_where_imagenet_has_them():
    """Were the head ordered otherwise, the indices in use would be silently wrong. A shaded disc looks like a ball."""
    balls = {429: "baseball", 522: "croquet ball", 574: "golf ball", 722: "ping-pong ball", 852: "tennis ball"}
    rows, columns = np.mgrid[:260, :260]
    shade = np.clip(1.2 - np.hypot(rows - 110, columns - 110) / 150, 0.45, 1)[..., None]
    disc = (np.hypot(rows - 130, columns - 130) < 95)[..., None]
    frame = np.where(disc, np.array([250, 140, 20]) * shade, 245).astype(np.uint8)
    with torch.inference_mode():
        inputs = torch.from_numpy(preprocessing.efficientnet_lite(frame))[None]
        logits, _ = network(EfficientNetLite2(), "efficientnet_lite2")(inputs)
    assert set(logits[0].topk(3).indices.tolist()) <= balls.keys()
