"""`manage.py moderate PATH…`: what the engine sees in local files.  No database, no server."""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from moderation.decoding.image import decode
from moderation.decoding.types import MediaError, MediaInfo
from moderation.inference import registry
from moderation.inference.types import Engine, EngineError, Findings, Frame
from moderation.intake import DECODE_SHORT_SIDE, limits
from moderation.taxonomy import LABELS

BATCH = 8
# In a folder only what is called a picture is one; a file that is named is always tried.
SUFFIXES = {".jpg", ".jpeg", ".jpe", ".jfif", ".png"}
WIDTH_OF_A_FILE = 160


@dataclass(frozen=True, slots=True)
class Read:
    """A picture that could be read."""

    path: Path
    frame: Frame
    info: MediaInfo


@dataclass(frozen=True, slots=True)
class Unread:
    """A file that could not."""

    path: Path
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture and what was found in it."""

    path: Path
    info: MediaInfo
    findings: Findings


class Command(BaseCommand):
    """Labels for local files."""

    help = "Print the labels of local pictures: a table, or JSON lines with --json.  Exit code 1 if any cannot be read."
    requires_system_checks = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """The files and how to show them."""
        parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a picture, or a folder of them")
        parser.add_argument("--json", action="store_true", help="one JSON object a line")
        parser.add_argument(
            "--min-confidence", type=_confidence, default=50.0, metavar="N", help="0 to 100; by default 50"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Read, detect, print.  CommandError with exit code 1 when some file could not be read."""
        paths = list(_files(options["paths"]))
        if not paths:
            raise CommandError(f"No pictures there (files whose names end in {', '.join(sorted(SUFFIXES))}).")
        least: float = options["min_confidence"]
        try:
            engine = registry.load(settings.ENGINE, settings.WEIGHTS_DIR)
            results = self._as_json(engine, paths, least) if options["json"] else self._as_table(engine, paths, least)
        except EngineError as error:
            raise CommandError(str(error), returncode=2) from None
        unread = [each for each in results if isinstance(each, Unread)]
        if unread:
            raise CommandError(f"{len(unread)} of {len(paths)} could not be read.", returncode=1)

    def _as_json(self, engine: Engine, paths: list[Path], least: float) -> list[Seen | Unread]:
        results = []
        for each in _moderate(engine, paths):
            self.stdout.write(json.dumps(_error(each) if isinstance(each, Unread) else _answer(each, engine, least)))
            self.stdout.flush()
            results.append(each)
        return results

    def _as_table(self, engine: Engine, paths: list[Path], least: float) -> list[Seen | Unread]:
        results = list(_moderate(engine, paths))
        table = Table("File", "Label", "Confidence", "Content type")
        table.columns[2].justify = "right"
        for each in results:
            _add_rows(table, each, least)
        # Text fitted to a terminal, whole lines for a file or a pipe.
        terminal = self.stdout.isatty()
        console = Console(force_terminal=terminal, width=None if terminal else WIDTH_OF_A_FILE)
        with console.capture() as drawn:
            console.print(table)
        self.stdout.write(drawn.get())
        return results


def _confidence(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError("must be a number from 0 to 100")
    return value


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            found = (each for each in path.rglob("*") if each.suffix.lower() in SUFFIXES and each.is_file())
            yield from sorted(found)
        else:
            yield path


def _moderate(engine: Engine, paths: list[Path]) -> Iterator[Seen | Unread]:
    """Results in the order of `paths`; the progress bar is for terminals alone."""
    starts = range(0, len(paths), BATCH)
    on_terminal = Console(stderr=True)
    for start in track(starts, "Looking", console=on_terminal, transient=True, disable=not on_terminal.is_terminal):
        batch = [_read(path) for path in paths[start : start + BATCH]]
        findings = iter(engine.detect([each.frame for each in batch if isinstance(each, Read)]))
        for each in batch:
            yield Seen(each.path, each.info, next(findings)) if isinstance(each, Read) else each


def _read(path: Path) -> Read | Unread:
    try:
        if path.exists() and not path.is_file():
            return Unread(path, "not_a_file", "Not a file.")
        with path.open("rb") as file:
            decoded = decode(file, limits(), DECODE_SHORT_SIDE)
    except OSError as error:
        return Unread(path, "unreadable", error.strerror or str(error))
    except MediaError as error:
        return Unread(path, error.code, error.message)
    return Read(path, decoded.frame, decoded.info)


def _name(path: Path) -> Text:
    """The path, with what a terminal would obey instead of show made visible."""
    return Text("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(path)))


def _error(unread: Unread) -> dict[str, object]:
    return {"file": str(unread.path), "error": {"code": unread.code, "message": unread.message}}


def _answer(seen: Seen, engine: Engine, least: float) -> dict[str, object]:
    labels = [
        {
            "name": score.label,
            "parent": LABELS[score.label].parent,
            "level": LABELS[score.label].level,
            "confidence": round(score.confidence, 4),
        }
        for score in seen.findings.labels
        if score.confidence >= least
    ]
    types = [
        {"name": score.name, "confidence": round(score.confidence, 4)}
        for score in seen.findings.content_types
        if score.confidence >= least
    ]
    return {
        "file": str(seen.path),
        "width": seen.info.width,
        "height": seen.info.height,
        "labels": labels,
        "content_types": types,
        "engine": engine.version.engine,
    }


def _add_rows(table: Table, each: Seen | Unread, least: float) -> None:
    if isinstance(each, Unread):
        table.add_row(_name(each.path), Text(each.message, style="red"))
        return
    types = ", ".join(score.name for score in each.findings.content_types if score.confidence >= least)
    labels = [
        ("  " * (LABELS[score.label].level - 1) + score.label, f"{score.confidence:.1f}")
        for score in each.findings.labels
        if score.confidence >= least
    ]
    (label, confidence), *rest = labels or [("-", "")]
    table.add_row(_name(each.path), label, confidence, types)
    for label, confidence in rest:
        table.add_row("", label, confidence)
