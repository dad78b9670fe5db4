"""The default engine: three small networks with permissive licences, and what `fusion.py` makes of their outputs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from moderation.inference import fusion, preprocessing, weights
from moderation.inference.networks.efficientnet_lite import EfficientNetLite2
from moderation.inference.networks.open_nsfw import OpenNsfw
from moderation.inference.networks.swiftformer import SwiftFormerS
from moderation.inference.types import EngineOutOfMemory, EngineVersion, Evidence, Findings, Frame, WeightsMismatch

# More at once is slower on a CPU, whose caches hold no more.
BATCH = 8


class DefaultEngine:
    """EfficientNet-Lite2, SwiftFormer-S and open_nsfw on the CPU, with as many threads as torch has been given.

    Loading reads `weights_dir` (and fills it the first time); it raises WeightsMissing or WeightsMismatch.
    """

    name = "default"
    version = EngineVersion(
        engine="efficientnet_lite2+swiftformer_s+open_nsfw", heads="imagenet-1k", calibration=fusion.CALIBRATION
    )

    def __init__(self, weights_dir: Path) -> None:
        self._imagenet = _load(EfficientNetLite2(), "efficientnet_lite2", weights_dir)
        self._safety = _load(SwiftFormerS(), "swiftformer_s", weights_dir)
        self._nsfw = _load(OpenNsfw(), "open_nsfw", weights_dir)

    @property
    def evidence(self) -> Mapping[str, Evidence]:
        return fusion.EVIDENCE

    def detect(self, frames: Sequence[Frame]) -> list[Findings]:
        """One `Findings` per frame, whatever stands beside it in the batch. Raises EngineOutOfMemory.

        ValueError for an array that is no frame.
        """
        for frame in frames:
            if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or frame.size == 0:
                raise ValueError(f"a frame is (height, width, 3) uint8, not {frame.shape} {frame.dtype}")
        with out_of_memory_said_plainly(len(frames)), torch.inference_mode():
            return [fusion.findings(raw) for batch in _batches(frames) for raw in self._look(batch)]

    def warm_up(self) -> None:
        """One forward of an empty picture: torch plans its kernels on the first."""
        self.detect([np.zeros((64, 64, 3), np.uint8)])

    def _look(self, frames: Sequence[Frame]) -> Iterator[fusion.Raw]:
        logits, _ = self._imagenet(_stack(frames, preprocessing.efficientnet_lite))
        safety, _ = self._safety(_stack(frames, preprocessing.swiftformer))
        nsfw = self._nsfw(_stack(frames, preprocessing.open_nsfw))
        for imagenet, gore, nude in zip(logits.softmax(dim=-1), safety, nsfw, strict=True):
            yield fusion.raw(imagenet.numpy(), gore.numpy(), nude.numpy())


NetworkT = TypeVar("NetworkT", bound=nn.Module)


def _load(network: NetworkT, name: str, weights_dir: Path) -> NetworkT:
    """The network with its weights, frozen, laid out as CPUs convolve fastest."""
    try:
        tensors = {key: _laid_out(tensor) for key, tensor in weights.load(name, weights_dir).items()}
        network.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise WeightsMismatch(f"The weights of {name} do not fit its network: {error}") from error
    network.eval().requires_grad_(False)
    return network


def _laid_out(tensor: Tensor) -> Tensor:
    """Channels last, for pictures and convolutions."""
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor


def _batches(frames: Sequence[Frame]) -> Iterator[Sequence[Frame]]:
    return (frames[start : start + BATCH] for start in range(0, len(frames), BATCH))


def _stack(frames: Sequence[Frame], prepare: Callable[[Frame], preprocessing.Input]) -> Tensor:
    return _laid_out(torch.from_numpy(np.stack([prepare(frame) for frame in frames])))


@contextmanager
def out_of_memory_said_plainly(frames: int) -> Iterator[None]:
    """torch reports a failed allocation on the CPU as a plain RuntimeError."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise EngineOutOfMemory(f"Not enough memory for {frames} pictures at once.") from error
    except RuntimeError as error:
        if "alloc" not in str(error):
            raise
        raise EngineOutOfMemory(f"Not enough memory for {frames} pictures at once.") from error
