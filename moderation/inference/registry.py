"""The engines by name, each loaded once per process."""

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from moderation.inference import fusion
from moderation.inference.fake import FakeEngine
from moderation.inference.types import Engine, EngineError, Evidence, Figures


def _default(weights_dir: Path) -> Engine:
    # torch takes seconds and hundreds of megabytes, and must not be loaded before a fork.
    from moderation.inference.engine import DefaultEngine

    return DefaultEngine(weights_dir)


# To add an engine, add its builder here: it takes the folder for weights and gives a `types.Engine`.
ENGINES: dict[str, Callable[[Path], Engine]] = {
    "default": _default,
    "fake": lambda weights_dir: FakeEngine(),
}

# What each engine says of itself, without loading it.
EVIDENCE: dict[str, Mapping[str, Evidence]] = {
    "default": fusion.EVIDENCE,
    "fake": FakeEngine.evidence,
}
FIGURES: dict[str, Mapping[str, Figures]] = {"default": fusion.FIGURES}

_loaded: dict[tuple[str, Path], Engine] = {}
_lock = threading.Lock()


def load(name: str, weights_dir: Path) -> Engine:
    """The engine of this name, built on the first call in this process; callers that come meanwhile wait for it.

    Raises EngineError: "unknown_engine", or why its weights cannot be loaded (a later call tries again).
    """
    key = (name, weights_dir.resolve())
    if key not in _loaded:
        with _lock:
            if key not in _loaded:
                _loaded[key] = _builder(name)(weights_dir)
    return _loaded[key]


def is_loaded(name: str, weights_dir: Path) -> bool:
    """Whether `load` would answer at once."""
    return (name, weights_dir.resolve()) in _loaded


def _builder(name: str) -> Callable[[Path], Engine]:
    try:
        return ENGINES[name]
    except KeyError:
        known = ", ".join(ENGINES)
        raise EngineError("unknown_engine", f"There is no engine {name!r}; there are: {known}.") from None


def _forget() -> None:
    """A child of a fork starts anew: torch's threads and a lock that someone held do not come along."""
    global _lock
    _lock = threading.Lock()
    _loaded.clear()


os.register_at_fork(after_in_child=_forget)
