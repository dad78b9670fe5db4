"""The first start: an account with people of every common role, an access key and the default policy.

Every piece is made where it is missing and left alone where it is there, so a later start adds nothing.
"""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import transaction

from moderation.embedded.home import Home, write_private
from moderation.models import AccessKey, Account, IssuedKey, Policy, User

ACCOUNT = "123456789012"
ACCOUNT_NAME = "Sample"
PEOPLE = {
    "admin": User.Role.ADMIN,
    "lead": User.Role.LEAD,
    "reviewer1": User.Role.REVIEWER,
    "reviewer2": User.Role.REVIEWER,
    "uploader": User.Role.UPLOADER,
}
KEY_NAME = "first start"


@dataclass(frozen=True, slots=True)
class Bootstrapped:
    """What a start made: passwords by user name and the access key, both to be shown now and not again."""

    account: Account
    passwords: dict[str, str]
    passwords_file: Path
    key: IssuedKey | None


def bootstrap() -> Bootstrapped:
    """Make what is missing of the first account, its people, key and policy.

    Passwords go to DATA_DIR/secrets/passwords.json (mode 600) before the rows that they open: a start that is cut short
    leaves a password without a user, which the next start uses, never a user whose password nobody knows.
    """
    path = Home(settings.DATA_DIR).folder("secrets") / "passwords.json"
    with transaction.atomic():
        Account.objects.get_or_create(pk=ACCOUNT, defaults={"name": ACCOUNT_NAME})
        # Two starts at once: the second waits here and then finds everything made.
        account = Account.objects.select_for_update().get(pk=ACCOUNT)
        there = set(User.objects.filter(username__in=PEOPLE).values_list("username", flat=True))
        passwords = _passwords(path, [name for name in PEOPLE if name not in there])
        for name, password in passwords.items():
            _person(account, name, password)
        Policy.objects.default_for(account)
        has_key = AccessKey.objects.filter(account=account).exists()
        key = None if has_key else AccessKey.objects.issue(account, KEY_NAME)
    return Bootstrapped(account, passwords, path, key)


def _passwords(path: Path, names: list[str]) -> dict[str, str]:
    """A password for each name, in the file before this returns."""
    if not names:
        return {}
    kept: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    kept = {name: secrets.token_urlsafe(12) for name in names} | kept
    draft = path.with_name(f".{path.name}")
    write_private(draft, json.dumps(kept, indent=1) + "\n")
    draft.replace(path)
    return {name: kept[name] for name in names}


def _person(account: Account, name: str, password: str) -> None:
    role = PEOPLE[name]
    user = User(username=name, account=account, role=role)
    user.set_password(password)
    user.save()
