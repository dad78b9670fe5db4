"""Where the wheels that carry the servers lie."""

import importlib.util
from pathlib import Path

from moderation.embedded.errors import EmbeddedError


def folder(package: str) -> Path:
    """The folder of an installed package, found without importing it: these import much that is of no use here."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(
            f"The package {package}, which carries a server, is not installed (requirements/local.txt)."
        )
    return Path(spec.submodule_search_locations[0])
