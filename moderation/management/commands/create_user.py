"""`manage.py create_user`: make a person, or bring the person of that name into line."""

import argparse
import sys
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from moderation.management.arguments import account, add_account
from moderation.models import Account, User


class Command(BaseCommand):
    """Idempotent: the same line again changes nothing."""

    help = "Make a user, or set the role (and, where given, e-mail and password) of the user of that name."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Who, where and as what."""
        parser.add_argument("name", metavar="NAME", help="what the person signs in with")
        add_account(parser)
        parser.add_argument("--role", required=True, choices=User.Role.values)
        parser.add_argument("--email")
        parser.add_argument(
            "--password-stdin", action="store_true", help="read the password from the first line of standard input"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Make or change the person.  CommandError when the name belongs to somebody in another account."""
        password = sys.stdin.readline().rstrip("\r\n") if options["password_stdin"] else None
        with transaction.atomic():
            owner = account(options["account"], self.stderr)
            user = User.objects.select_for_update().filter(username=options["name"]).first()
            is_new = user is None
            user = user or User(username=options["name"], account=owner)
            self._apply(user, owner, password, options)
        self.stdout.write(f"{user.username}: {user.role} in {owner.pk}, {'made' if is_new else 'updated'}.")
        if not user.has_usable_password():
            self.stderr.write("No password is set: nobody can sign in as this user until one is (--password-stdin).")

    def _apply(self, user: User, owner: Account, password: str | None, options: dict[str, Any]) -> None:
        if user.account_id != owner.pk:
            raise CommandError(f"{user.username} belongs to another account; a person is in exactly one.")
        user.role = options["role"]
        if options["email"] is not None:
            user.email = options["email"]
        if password is not None:
            self._set_password(user, password)
        elif user._state.adding:
            user.set_unusable_password()
        try:
            user.full_clean()
        except ValidationError as error:
            raise CommandError(_in_words(error)) from None
        user.save()

    def _set_password(self, user: User, password: str) -> None:
        try:
            validate_password(password, user)
        except ValidationError as error:
            raise CommandError(f"--password-stdin: {' '.join(error.messages)}") from None
        if not user.check_password(password):  # a new hash would end the person's sessions
            user.set_password(password)


def _in_words(error: ValidationError) -> str:
    return "; ".join(f"{field}: {' '.join(said)}" for field, said in error.message_dict.items())
