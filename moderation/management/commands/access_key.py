"""`manage.py access_key`: issue, list and revoke access keys."""

import argparse
import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from moderation.aws import access_policy
from moderation.management.arguments import account, add_account
from moderation.models import AccessKey, User

MAX_POLICY_BYTES = 100_000


class Command(BaseCommand):
    """One credential in two forms: an AWS key pair and a REST bearer token."""

    help = "Issue, list and revoke access keys (an AWS key pair and a REST bearer token in one)."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """create, list, revoke."""
        actions = parser.add_subparsers(dest="action", required=True, metavar="create|list|revoke")
        create = actions.add_parser("create", help="issue a key and print it, this once")
        add_account(create)
        create.add_argument("--name", required=True, help="what it is for")
        create.add_argument("--user", metavar="NAME", help="the person it belongs to; it stops working with the person")
        create.add_argument("--policy", type=Path, metavar="FILE", help="IAM-like JSON; without it, full rights")
        listing = actions.add_parser("list", help="list keys, without their secrets")
        add_account(listing, required=False)
        revoke = actions.add_parser("revoke", help="close a key at once")
        revoke.add_argument("key_id", metavar="ACCESS_KEY_ID")
        for each in (create, listing):
            each.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do one of the three."""
        {"create": self._create, "list": self._list, "revoke": self._revoke}[options["action"]](options)

    def _create(self, options: dict[str, Any]) -> None:
        policy = _policy(options["policy"]) if options["policy"] else None
        name = options["name"].strip()
        if not 1 <= len(name) <= 120 or not name.isprintable():
            raise CommandError("--name: 1 to 120 printable characters.")
        owner = account(options["account"], self.stderr)
        user = None
        if options["user"]:
            user = User.objects.filter(account=owner, username=options["user"], is_active=True).first()
            if user is None:
                raise CommandError(f"--user: there is no active user {options['user']!r} in account {owner.pk}.")
        fields = AccessKey.objects.issue(owner, name, user, policy).as_json()
        if options["json"]:
            self.stdout.write(json.dumps(fields))
            return
        for field, value in fields.items():
            self.stdout.write(f"{field + ':':<16} {value}")
        self.stderr.write("Secret and token are not shown again.")

    def _list(self, options: dict[str, Any]) -> None:
        keys = AccessKey.objects.select_related("user").order_by("account_id", "created_at")
        if options["account"]:
            keys = keys.filter(account_id=options["account"])
        rows = [_shown(key) for key in keys]
        if options["json"]:
            self.stdout.write(json.dumps(rows))
            return
        for row in rows:
            state = "revoked" if row["RevokedAt"] else "active"
            state += ", restricted" if row["Policy"] is not None else ""
            name = f"{row['Name']} ({row['User']})" if row["User"] else row["Name"]
            used = row["LastUsedAt"] or "never"
            self.stdout.write(f"{row['AccountId']}  {row['AccessKeyId']}  {state}  {name}  last used: {used}")

    def _revoke(self, options: dict[str, Any]) -> None:
        key = AccessKey.objects.filter(key_id=options["key_id"]).first()
        if key is None:
            raise CommandError(f"There is no access key {options['key_id']!r}.")
        if key.revoked_at is None:
            key.revoke()
        self.stdout.write(f"{key} is revoked.")


def _policy(path: Path) -> object:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_POLICY_BYTES + 1)
        if len(text) > MAX_POLICY_BYTES:
            raise CommandError(f"--policy: {path} has more than {MAX_POLICY_BYTES} bytes.")
        policy: object = json.loads(text)
        access_policy.parse(policy)
    except OSError as error:
        raise CommandError(f"--policy: cannot read {path}: {error.strerror}") from None
    except access_policy.PolicyError as error:
        raise CommandError(f"--policy: {error}") from None
    except (ValueError, RecursionError) as error:
        raise CommandError(f"--policy: {path} is not JSON: {error}") from None
    return policy


def _shown(key: AccessKey) -> dict[str, Any]:
    times = {"CreatedAt": key.created_at, "LastUsedAt": key.last_used_at, "RevokedAt": key.revoked_at}
    return {
        "AccessKeyId": key.key_id,
        "AccountId": key.account_id,
        "Name": key.name,
        "User": key.user.username if key.user else None,
        "Policy": key.policy,
        **{name: at and at.isoformat().replace("+00:00", "Z") for name, at in times.items()},
    }
