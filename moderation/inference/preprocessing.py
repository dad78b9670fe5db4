"""Every network's input, made from one decoded frame. The only place that knows how the networks want to see.

The whole picture is always seen: what stands at the edge of a wide one must not be cropped away. Each function takes a
`Frame` and gives (3, side, side) float32.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

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
    """Squeezed to 260 x 260, bicubic; RGB less ImageNet's mean, over its deviation."""
    squeezed = _resized(Image.fromarray(frame), EFFICIENTNET_LITE_SIZE, EFFICIENTNET_LITE_SIZE)
    return _planes((np.asarray(squeezed, np.float32) - _IMAGENET_MEAN) / _IMAGENET_STD)


def swiftformer(frame: Frame) -> Input:
    """Fitted into 224 x 224 over a blurred copy of itself, as the weights' own package does; RGB from 0 to 255.

    The network normalises by itself. Squeezed instead, wide surveillance footage looks like gore to it more often.
    """
    side = SWIFTFORMER_SIZE
    image = Image.fromarray(frame)
    fit = min(side / image.width, side / image.height)
    width, height = max(1, round(image.width * fit)), max(1, round(image.height * fit))
    whole = _resized(image, width, height)
    if width != height:
        # Ten pixels of blur, at half the size for a quarter of the work.
        behind = whole.resize((side // 2, side // 2)).filter(ImageFilter.GaussianBlur(5)).resize((side, side))
        behind.paste(whole, ((side - width) // 2, (side - height) // 2))
        whole = behind
    return _planes(np.asarray(whole, np.float32))


def open_nsfw(frame: Frame) -> Input:
    """Squeezed to 256 x 256, bilinear, the middle 224 x 224 of it; BGR less Caffe's mean."""
    edge = (_OPEN_NSFW_WHOLE - OPEN_NSFW_SIZE) // 2
    middle = slice(edge, edge + OPEN_NSFW_SIZE)
    whole = _resized(Image.fromarray(frame), _OPEN_NSFW_WHOLE, _OPEN_NSFW_WHOLE, Image.Resampling.BILINEAR)
    return _planes(np.asarray(whole, np.float32)[middle, middle, ::-1] - _CAFFE_MEAN_BGR)


def _resized(
    image: Image.Image, width: int, height: int, resampling: Image.Resampling = Image.Resampling.BICUBIC
) -> Image.Image:
    # Halving first what is much too large costs a fraction and changes next to nothing.
    return image.resize((width, height), resampling, reducing_gap=3.0)


def _planes(pixels: Input) -> Input:
    """(side, side, 3) to (3, side, side)."""
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))
