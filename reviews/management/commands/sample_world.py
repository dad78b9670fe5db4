"""`manage.py sample_world`: a flow, a queue, a team and a dozen pictures, so that a first look has something to see."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from moderation.bootstrap import ACCOUNT
from moderation.models import Account
from reviews.sample_world import NAME, seed


class Command(BaseCommand):
    """Idempotent: an account in use is left alone."""

    help = f"Make the flow, queue and team {NAME} and send drawn pictures through it, in an account that is not in use."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Where, and whether to wait."""
        parser.add_argument("--account", default=ACCOUNT, metavar="ID", help=f"by default {ACCOUNT}")
        parser.add_argument("--inline", action="store_true", help="analyse here, where no worker runs")

    def handle(self, *args: Any, **options: Any) -> None:
        """Seed.  CommandError when the account is not there."""
        account = Account.objects.filter(pk=options["account"]).first()
        if account is None:
            raise CommandError(f"There is no account {options['account']}; `manage.py bootstrap` makes {ACCOUNT}.")
        if sent := seed(account, inline=options["inline"]):
            self.stdout.write(f"Sample world: flow {NAME}, {sent} pictures sent; the doubtful ones wait at /review/.")
