"""`manage.py put FILE s3://BUCKET/KEY`: put a local file where S3Object finds it."""

import argparse
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from moderation import storage
from moderation.management.arguments import account, add_account


class Command(BaseCommand):
    """One file into a bucket of one account."""

    help = "Put a file into an account's bucket; with file storage the bucket is made if it is not there."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """What and where to."""
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("uri", metavar="s3://BUCKET/KEY")
        add_account(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Copy the bytes.  CommandError when the file cannot be read or the bucket does not take it."""
        owner = account(options["account"], self.stderr)
        try:
            where = storage.locate(options["uri"])
            if settings.MEDIA_STORAGE == "file":
                storage.make_bucket(owner, where.bucket)
            with options["file"].open("rb") as file:
                written = storage.write(owner, options["uri"], file)
        except storage.StorageError as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"{options['file']}: {error.strerror}.") from None
        self.stdout.write(written)
