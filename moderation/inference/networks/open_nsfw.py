"""Yahoo's open_nsfw: a thin ResNet-50 that says how likely a picture is not safe for work.

He et al., "Deep Residual Learning for Image Recognition" (2015), with half the channels and the stride on the first
convolution of a block. Batch normalisation comes folded into the convolutions.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

SIZE = 224
CLASSES = ("sfw", "nsfw")

# Narrow channels inside a block, channels between blocks, number of blocks, stride of the first.
STAGES = ((32, 128, 3, 1), (64, 256, 4, 2), (128, 512, 6, 2), (256, 1024, 3, 2))


class Bottleneck(nn.Module):
    """Narrow, look around, widen; added to the input, which the first block of a stage projects to the new shape."""

    def __init__(self, inputs: int, narrow: int, outputs: int, stride: int, project: bool) -> None:
        super().__init__()
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride) if project else nn.Identity()
        self.reduce = nn.Conv2d(inputs, narrow, 1, stride)
        self.conv = nn.Conv2d(narrow, narrow, 3, padding=1)
        self.expand = nn.Conv2d(narrow, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.reduce(x), inplace=True)
        y = self.expand(functional.relu(self.conv(y), inplace=True))
        return functional.relu(y + self.shortcut(x), inplace=True)


class OpenNsfw(nn.Module):
    """(n, 3, 224, 224), BGR less the mean as `preprocessing.open_nsfw` does, to probabilities (n, 2) of `CLASSES`."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 7, 2, padding=3)
        stages: list[nn.Sequential] = []
        channels = 64
        for narrow, outputs, blocks, stride in STAGES:
            first = Bottleneck(channels, narrow, outputs, stride, project=True)
            rest = [Bottleneck(outputs, narrow, outputs, 1, project=False) for _ in range(blocks - 1)]
            stages.append(nn.Sequential(first, *rest))
            channels = outputs
        self.stages = nn.Sequential(*stages)
        self.fc = nn.Linear(channels, len(CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.stem(x), inplace=True)
        # Caffe's pooling lets the last window run over the edge.
        x = self.stages(functional.max_pool2d(x, 3, 2, ceil_mode=True))
        logits: Tensor = self.fc(torch.mean(x, dim=(2, 3)))
        return logits.softmax(dim=-1)
