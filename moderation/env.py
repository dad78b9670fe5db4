"""Reads the product's settings from the environment.

Every secret may also come from a file: ``NAME_FILE`` names it, as orchestrators mount secrets.  The last place is
``DATA_DIR/secrets/name``: there the embedded servers write a laptop's secrets on the first start.
"""

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

ROOT = Path(__file__).resolve().parent.parent

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}


def text(name: str, default: str = "") -> str:
    """The variable's value, or what the file named by ``NAME_FILE`` holds, or ``default``."""
    if value := os.environ.get(name, ""):
        return value
    if path := os.environ.get(f"{name}_FILE", ""):
        return _read(Path(path), f"{name}_FILE")
    return default


def number(name: str, default: int) -> int:
    """The variable as a whole number; ImproperlyConfigured names the variable otherwise."""
    value = text(name, str(default))
    try:
        return int(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {value!r}") from None


def flag(name: str, default: bool = False) -> bool:
    """The variable as true or false (1/0, true/false, yes/no, on/off)."""
    value = text(name, "1" if default else "0").strip().lower()
    if value not in _TRUE | _FALSE:
        raise ImproperlyConfigured(f"{name} must be true or false, not {value!r}")
    return value in _TRUE


def words(name: str, default: str = "") -> list[str]:
    """The variable as a list, split at commas."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def choice(name: str, default: str, allowed: tuple[str, ...]) -> str:
    """The variable as one of ``allowed``."""
    value = text(name, default)
    if value not in allowed:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(allowed)}, not {value!r}")
    return value


def data_dir() -> Path:
    """Where the product keeps its data on this machine: ``DATA_DIR``, by default ``var`` beside manage.py."""
    return Path(os.environ.get("DATA_DIR", "") or ROOT / "var").expanduser().resolve()


def secret(name: str) -> str:
    """A secret from the environment, its file, or ``DATA_DIR/secrets/NAME``; empty when none is there."""
    if value := text(name):
        return value
    path = data_dir() / "secrets" / name.lower()
    return _read(path, name) if path.is_file() else ""


def _read(path: Path, name: str) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(f"{name}: cannot read {path}: {error.strerror}") from None
