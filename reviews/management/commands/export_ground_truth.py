"""`manage.py export_ground_truth`: what people settled, as an adapter-training manifest or as JSON lines."""

import argparse
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import track

from moderation import storage
from moderation.models import Account
from reviews import ground_truth


class Command(BaseCommand):
    """The newest ground truth of every submission of one account."""

    help = (
        "Export what people settled. manifest: lines of an adapter-training manifest, without the pictures that are no "
        "longer kept and those on whose labels people were split; jsonl: everything."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Whose, how and where to."""
        parser.add_argument("--account", required=True, metavar="ID", help="the account's twelve-digit id")
        parser.add_argument("--format", choices=ground_truth.FORMATS, default=ground_truth.MANIFEST)
        parser.add_argument("--output", metavar="FILE|s3://BUCKET/KEY", help="standard output when absent")

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the lines.  CommandError for an unknown account and for a place that cannot be written."""
        account = Account.objects.filter(pk=options["account"]).first()
        if account is None:
            raise CommandError(f"--account: there is no account {options['account']}.")
        lines = self._counted(ground_truth.export(account, options["format"]), account)
        try:
            count = self._write(lines, options["output"], account)
        except storage.StorageError as error:
            raise CommandError(f"--output: {error}") from None
        except OSError as error:
            raise CommandError(f"--output: {error.strerror}: {options['output'] or 'standard output'}") from None
        if options["output"]:
            self.stderr.write(f"{count} lines written to {options['output']}.")

    def _counted(self, lines: Iterable[str], account: Account) -> Iterable[str]:
        """The lines, with a bar on a terminal."""
        if not sys.stderr.isatty():
            return lines
        total = ground_truth.newest(account).count()
        return track(lines, "Exporting", total, console=Console(stderr=True), transient=True)

    def _write(self, lines: Iterable[str], output: str | None, account: Account) -> int:
        if not output:
            return sum(1 for line in lines if self.stdout.write(line, ending="") is None)
        if output.startswith(("s3://", "https://")):
            with tempfile.TemporaryFile() as file:
                count = _write_to(file, lines)
                file.seek(0)
                storage.write(account, output, file)
            return count
        return _write_whole(Path(output), lines)


def _write_whole(path: Path, lines: Iterable[str]) -> int:
    """Write beside the file and rename, so that nobody meets half an export under its name."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as file:
        try:
            count = _write_to(file, lines)
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
    return count


def _write_to(file: IO[bytes], lines: Iterable[str]) -> int:
    count = 0
    for line in lines:
        file.write(line.encode())
        count += 1
    file.flush()
    return count
