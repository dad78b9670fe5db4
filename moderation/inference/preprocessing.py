"""Every network's input, made from one decoded frame. The only place that knows how the networks want to see.

The whole picture is squeezed into a square: what stands at the edge of a wide picture must not be cropped away, and a
border would be seen as part of it. Each function takes a `Frame` and gives (3, side, side) float32.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from moderation.inference.networks.efficientnet_lite import SIZE as EFFICIENTNET_LITE_SIZE
from moderation.inference.networks.open_nsfw import SIZE as OPEN_NSFW_SIZE
from moderation.inference.networks.swiftformer import SIZE as SWIFTFORMER_SIZE
from moderation.inference.types import Frame

Input = NDArray[np.float32]

_IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32) * 255
_IMAGENET_STD = np.array([0.229, 0.224, 0.225], np.float32) * 255
_CAFFE_MEAN_BGR = np.array([104, 117, 123], np.float32)

# open_nsfw was trained on the middle of a somewhat larger square.
_OPEN_NSFW_WHOLE = 256


def efficientnet_lite(frame: Frame) -> Input:
    """260, bicubic, RGB less ImageNet's mean, over its deviation."""
    return _planes((_square(frame, EFFICIENTNET_LITE_SIZE, Image.Resampling.BICUBIC) - _IMAGENET_MEAN) / _IMAGENET_STD)


def swiftformer(frame: Frame) -> Input:
    """224, bilinear, RGB from 0 to 255: the network normalises by itself."""
    return _planes(_square(frame, SWIFTFORMER_SIZE, Image.Resampling.BILINEAR))


def open_nsfw(frame: Frame) -> Input:
    """256, bilinear, the middle 224 of it, BGR less Caffe's mean."""
    edge = (_OPEN_NSFW_WHOLE - OPEN_NSFW_SIZE) // 2
    middle = slice(edge, edge + OPEN_NSFW_SIZE)
    whole = _square(frame, _OPEN_NSFW_WHOLE, Image.Resampling.BILINEAR)
    return _planes(whole[middle, middle, ::-1] - _CAFFE_MEAN_BGR)


def _square(frame: Frame, side: int, resampling: Image.Resampling) -> Input:
    # Halving first what is much too large costs a fraction and changes next to nothing.
    image = Image.fromarray(frame).resize((side, side), resampling, reducing_gap=3.0)
    return np.asarray(image, np.float32)


def _planes(pixels: Input) -> Input:
    """(side, side, 3) to (3, side, side)."""
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))
