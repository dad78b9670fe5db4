"""`manage.py bootstrap`: make the first account, its people, key and policy; a second run adds nothing."""

from typing import Any

from django.core.management.base import BaseCommand

from moderation.bootstrap import ACCOUNT, Bootstrapped, bootstrap


class Command(BaseCommand):
    """Idempotent; prints what it made, and secrets this once."""

    help = f"Make account {ACCOUNT} with its users, an access key and the default policy, where they are missing."

    def handle(self, *args: Any, **options: Any) -> None:
        """Make and print."""
        for line in in_words(bootstrap()):
            self.stdout.write(line)


def in_words(made: Bootstrapped) -> list[str]:
    """What to tell the person at the terminal; nothing when nothing was made."""
    lines = []
    if made.passwords:
        lines.append(f"Account {made.account.pk}. Passwords, kept in {made.passwords_file}:")
        lines += [f"  {name:<12} {password}" for name, password in made.passwords.items()]
    if made.key:
        lines.append("Access key with full rights in the account, shown this once:")
        lines += [f"  {name:<16} {value}" for name, value in made.key.as_json().items() if name != "AccountId"]
    return lines
