"""PostgreSQL, Valkey and S3 out of wheels, so that a laptop needs no installed service.

A server started here belongs to DATA_DIR and to everyone who uses it: the first user starts it, the last
one to leave stops it.  ``manage.py`` holds the servers while a command runs, ``manage.py up`` while the product runs.
"""

import base64
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from moderation import env
from moderation.embedded.errors import EmbeddedError
from moderation.embedded.home import Home

# A server is started only where its address is not given.
ADDRESSES = {"postgres": "DATABASE_URL", "valkey": "REDIS_URL"}

# `up` takes its servers itself; the others need none.
SERVERLESS = {
    "check", "collectstatic", "compilemessages", "diffsettings", "findstatic", "help", "makemessages", "makemigrations",
    "moderate", "spectacular", "startapp", "up", "version",
}  # fmt: skip


def missing() -> list[str]:
    """The servers that no environment variable leads to.  S3 is one once `up --embedded-s3` has put media there."""
    names = [name for name, variable in ADDRESSES.items() if not env.text(variable)]
    keeps_media = (env.data_dir() / "s3").is_dir() and not env.text("S3_ENDPOINT_URL") and not env.text("MEDIA_STORAGE")
    return [*names, "s3"] if keeps_media else names


@contextmanager
def servers_for(arguments: list[str]) -> Iterator[None]:
    """Hold the servers that a manage.py command line needs; exits with a message when they cannot be had."""
    needed = [] if _needs_none(arguments) else missing()
    if not needed:
        yield
        return
    try:
        # The wheels are no part of a production installation.
        from moderation.embedded.stack import leased
    except ImportError as error:
        names = " and ".join(ADDRESSES[name] for name in needed)
        sys.exit(
            f"{names}: not set, and the embedded servers are not installed ({error.name}; see requirements/local.txt)."
        )
    home = Home(env.data_dir())
    make_secrets(home)
    try:
        with leased(home, needed, lambda line: print(line, file=sys.stderr)):  # noqa: T201
            yield
    except EmbeddedError as error:
        sys.exit(str(error))


def make_secrets(home: Home) -> None:
    """Make SECRET_KEY and ENCRYPTION_KEYS in DATA_DIR/secrets, once, unless they are set elsewhere."""
    if not env.text("SECRET_KEY"):
        home.secret("secret_key", lambda: secrets.token_urlsafe(48))
    if not env.text("ENCRYPTION_KEYS"):
        home.secret("encryption_keys", lambda: base64.urlsafe_b64encode(os.urandom(32)).decode())


def _needs_none(arguments: list[str]) -> bool:
    return len(arguments) < 2 or arguments[1] in SERVERLESS or bool({"-h", "--help", "--version"} & set(arguments[1:]))
