"""SwiftFormer-S, trained by Owen Elliott to tell gore (NSFL) and nudity (NSFW) from harmless pictures (SFW).

Shaker et al., "SwiftFormer: Efficient Additive Attention for Transformer-based Real-time Mobile Vision Applications"
(2023). Module names are those of timm's `swiftformer_s`, whose convolutions come with their batch normalisation
folded in.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

SIZE = 224
FEATURES = 224
CLASSES = ("NSFL", "NSFW", "SFW")

# Channels, and blocks of which the last one has attention.
STAGES = ((48, 3), (64, 3), (168, 9), (224, 6))


class LayerScale(nn.Module):
    """One learned factor per channel, for its owner to multiply by."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels, 1, 1))


class ConvEncoder(nn.Module):
    """Looks around channel by channel, then mixes channels through `hidden` of them; added to its input."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.pwconv1 = nn.Conv2d(channels, hidden, 1)
        self.pwconv2 = nn.Conv2d(hidden, channels, 1)
        self.layer_scale = LayerScale(channels)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.pwconv2(functional.gelu(self.pwconv1(self.dwconv(x))))
        return x + y * self.layer_scale.gamma


class Mlp(nn.Module):
    """Mixes channels through four times as many."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.fc1 = nn.Conv2d(channels, channels * 4, 1)
        self.fc2 = nn.Conv2d(channels * 4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(functional.gelu(self.fc1(self.norm1(x))))
        return out


class AdditiveAttention(nn.Module):
    """Attention without the quadratic step: one global query, summed over all places, meets every key. (n, hw, c)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.to_query = nn.Linear(channels, channels)
        self.to_key = nn.Linear(channels, channels)
        self.w_g = nn.Parameter(torch.ones(channels, 1))
        self.proj = nn.Linear(channels, channels)
        self.final = nn.Linear(channels, channels)
        self.scale = channels**-0.5

    def forward(self, x: Tensor) -> Tensor:
        query = functional.normalize(self.to_query(x), dim=-1)
        key = functional.normalize(self.to_key(x), dim=-1)
        weights = functional.normalize(query @ self.w_g * self.scale, dim=1)
        overall = (weights * query).sum(dim=1, keepdim=True)
        out: Tensor = self.final(self.proj(overall * key) + query)
        return out


class AttentionEncoder(nn.Module):
    """The last block of a stage: near, then far, then across channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.local_representation = ConvEncoder(channels, channels)
        self.attn = AdditiveAttention(channels)
        self.linear = Mlp(channels)
        self.layer_scale_1 = LayerScale(channels)
        self.layer_scale_2 = LayerScale(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.local_representation(x)
        n, c, h, w = x.shape
        attended: Tensor = self.attn(x.flatten(2).transpose(1, 2))
        x = x + attended.transpose(1, 2).reshape(n, c, h, w) * self.layer_scale_1.gamma
        mixed: Tensor = self.linear(x)
        return x + mixed * self.layer_scale_2.gamma


class Downsample(nn.Module):
    """Halves width and height."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(inputs, outputs, 3, 2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.proj(x)
        return out


class Stage(nn.Module):
    """Blocks of one resolution; all stages but the first begin by halving it."""

    def __init__(self, inputs: int | None, channels: int, blocks: int) -> None:
        super().__init__()
        self.downsample = Downsample(inputs, channels) if inputs else nn.Identity()
        convolutions = [ConvEncoder(channels, channels * 4) for _ in range(blocks - 1)]
        self.blocks = nn.Sequential(*convolutions, AttentionEncoder(channels))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.blocks(self.downsample(x))
        return out


class SwiftFormerS(nn.Module):
    """(n, 3, 224, 224), RGB from 0 to 255, to probabilities and pooled features; it normalises by itself."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1, 3, 1, 1))
        self.register_buffer("std", torch.ones(1, 3, 1, 1))
        stem = STAGES[0][0]
        self.stem = nn.Sequential(
            nn.Conv2d(3, stem // 2, 3, 2, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(stem // 2, stem, 3, 2, padding=1),
            nn.ReLU(inplace=True),
        )
        before: list[int | None] = [None, *(channels for channels, _ in STAGES[:-1])]
        self.stages = nn.Sequential(*(Stage(inputs, *stage) for inputs, stage in zip(before, STAGES, strict=True)))
        self.norm = nn.BatchNorm2d(FEATURES)
        self.head = nn.Linear(FEATURES, len(CLASSES))
        self.head_dist = nn.Linear(FEATURES, len(CLASSES))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities (n, 3) in the order of `CLASSES`, and features (n, 224)."""
        x = (x / 255 - self.mean) / self.std
        x = self.norm(self.stages(self.stem(x)))
        features = x.mean(dim=(2, 3))
        logits = (self.head(features) + self.head_dist(features)) / 2
        return logits.softmax(dim=-1), features
