"""EfficientNet-Lite2: what of ImageNet's 1,000 classes a picture shows, and features to build our own heads on.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks" (2019), in the Lite variant:
ReLU6, no squeeze-and-excitation, stem and head not scaled. Batch normalisation is folded into the convolutions when
the weights are converted (`weights.py`), which is exact at inference.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

SIZE = 260
FEATURES = 1280
CLASSES = 1000


class Stage(NamedTuple):
    """Blocks of one resolution; the first of them has the stride."""

    blocks: int
    kernel: int
    stride: int
    expand: int
    channels: int


# Width 1.1 and depth 1.2 times EfficientNet-B0.
STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(3, 3, 2, 6, 24),
    Stage(3, 5, 2, 6, 48),
    Stage(4, 3, 2, 6, 88),
    Stage(4, 5, 1, 6, 120),
    Stage(5, 5, 2, 6, 208),
    Stage(1, 3, 1, 6, 352),
)


class SameConv(nn.Conv2d):
    """Convolution padded as TensorFlow's "SAME" does, where an odd pixel goes to the right and the bottom."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, groups: int = 1) -> None:
        # At stride 1 both sides get the same, which the convolution does by itself.
        super().__init__(inputs, outputs, kernel, stride, padding=kernel // 2 if stride == 1 else 0, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        if self.stride[0] > 1:
            down, right = (self._missing(side) for side in x.shape[-2:])
            x = functional.pad(x, (right // 2, right - right // 2, down // 2, down - down // 2))
        return super().forward(x)

    def _missing(self, side: int) -> int:
        kernel, stride = self.kernel_size[0], self.stride[0]
        return max((-(-side // stride) - 1) * stride + kernel - side, 0)


class Block(nn.Module):
    """Inverted bottleneck: widen, look around channel by channel, narrow; the input is added where shapes allow."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expand: int) -> None:
        super().__init__()
        wide = inputs * expand
        self.expand = nn.Conv2d(inputs, wide, 1) if expand > 1 else None
        self.depthwise = SameConv(wide, wide, kernel, stride, groups=wide)
        self.project = nn.Conv2d(wide, outputs, 1)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        wide = functional.relu6(self.expand(x), inplace=True) if self.expand is not None else x
        y: Tensor = self.project(functional.relu6(self.depthwise(wide), inplace=True))
        return x + y if self.residual else y


class EfficientNetLite2(nn.Module):
    """(n, 3, 260, 260), normalised as `preprocessing.efficientnet_lite` does, to logits and pooled features."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv(3, 32, 3, 2)
        blocks: list[Block] = []
        channels = 32
        for stage in STAGES:
            for i in range(stage.blocks):
                stride = stage.stride if i == 0 else 1
                blocks.append(Block(channels, stage.channels, stage.kernel, stride, stage.expand))
                channels = stage.channels
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Conv2d(channels, FEATURES, 1)
        self.classifier = nn.Linear(FEATURES, CLASSES)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (n, 1000) in ImageNet's usual order, and features (n, 1280)."""
        x = functional.relu6(self.stem(x), inplace=True)
        x = functional.relu6(self.head(self.blocks(x)), inplace=True)
        features = torch.mean(x, dim=(2, 3))
        return self.classifier(features), features
