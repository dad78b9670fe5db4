"""What several commands ask for in the same words."""

import argparse

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, OutputWrapper

from moderation.models import Account


def add_account(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """The flag --account."""
    parser.add_argument("--account", required=required, metavar="ID", help="the account's twelve-digit id")


def account(pk: str, stderr: OutputWrapper) -> Account:
    """The account of that id, made where it is not there (said on stderr).  CommandError for what is no account id."""
    found = Account.objects.filter(pk=pk).first()
    if found is None:
        found = Account(pk=pk, name=pk)
        if not pk.isascii():  # digits of other scripts are digits too, and no part of an ARN
            raise CommandError("--account: An account id is twelve digits.")
        try:
            found.full_clean()
        except ValidationError as error:
            raise CommandError(f"--account: {'; '.join(error.messages)}") from None
        found.save(force_insert=True)
        stderr.write(f"There was no account {pk}: made it.")
    if not found.is_active:
        raise CommandError(f"--account: {found} is closed.")
    return found
