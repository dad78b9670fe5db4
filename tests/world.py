"""The small named world of the tests: two accounts, a person for every role, keys, and ways to send pictures.

`build()` makes it anywhere; the fixture `world` makes it for a test with a database.  Nobody's password works: sign in
with `client.force_login`, call the API with `api_client(key)`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from moderation import intake, pipeline
from moderation.intake import Accepted, Sender, Wishes
from moderation.models import AccessKey, Account, IssuedKey, Policy, Submission, User
from moderation.policies import Rule
from tests.media import picture

ACME = "111111111111"
GLOBEX = "222222222222"


@dataclass(frozen=True)
class World:
    """Acme with its people and keys; Globex, which must never see any of it."""

    acme: Account
    globex: Account

    admin: User
    lead: User
    reviewer: User
    reviewer2: User
    reviewer3: User
    uploader: User
    uploader2: User
    auditor: User
    legal: User
    outsider: User  # Globex's admin

    key: IssuedKey  # Acme's own: full rights, no person
    admin_key: IssuedKey
    uploader_key: IssuedKey
    uploader2_key: IssuedKey
    reviewer_key: IssuedKey
    auditor_key: IssuedKey
    outsider_key: IssuedKey


def build() -> World:
    """Make the world in the database."""
    acme, globex = (Account.objects.create(pk=pk, name=name) for pk, name in ((ACME, "Acme"), (GLOBEX, "Globex")))
    people = {
        "admin": person(acme, "admin", User.Role.ADMIN),
        "lead": person(acme, "lead", User.Role.LEAD),
        **{name: person(acme, name, User.Role.REVIEWER) for name in ("reviewer", "reviewer2", "reviewer3")},
        **{name: person(acme, name, User.Role.UPLOADER) for name in ("uploader", "uploader2")},
        "auditor": person(acme, "auditor", User.Role.AUDITOR),
        "legal": person(acme, "legal", User.Role.LEGAL),
        "outsider": person(globex, "outsider", User.Role.ADMIN),
    }
    owners = ("admin", "uploader", "uploader2", "reviewer", "auditor", "outsider")
    keys = {f"{name}_key": issue(people[name].account, people[name]) for name in owners}
    everything: dict[str, Any] = {**people, **keys}
    return World(acme=acme, globex=globex, key=issue(acme), **everything)


@pytest.fixture
def world(db: None) -> World:
    """The world, for one test."""
    return build()


def person(account: Account, name: str, role: User.Role, **more: Any) -> User:
    """Somebody, without a password: making real ones takes most of a test's time."""
    return User.objects.create(
        username=name, account=account, role=role, password=f"{UNUSABLE_PASSWORD_PREFIX}{name}", **more
    )


def issue(account: Account, user: User | None = None, policy: object = None) -> IssuedKey:
    """An access key, of the account or of a person; `policy` is an IAM-like document."""
    return AccessKey.objects.issue(account, user.username if user else "account", user, policy)


def api_client(key: IssuedKey | None = None) -> Client:
    """A client of the REST API with that key's token."""
    headers = {"Authorization": f"Bearer {key.token}"} if key else {}
    return Client(headers=headers, raise_request_exception=False)


def rules(account: Account, *wanted: Rule, name: str = "house", default: bool = False) -> Policy:
    """A policy with these rules."""
    policy = Policy.objects.create(account=account, name=name, is_default=default)
    policy.revise(wanted)
    return policy


def upload(data: bytes, name: str = "photo.jpg") -> SimpleUploadedFile:
    """A file for a form."""
    return SimpleUploadedFile(name, data, "application/octet-stream")


def send(
    account: Account,
    data: bytes | None = None,
    user: User | None = None,
    key: AccessKey | None = None,
    source: Submission.Source = Submission.Source.REST,
    **wishes: Any,
) -> Accepted:
    """Hand a picture in, as the API does; its analysis waits for a worker."""
    return intake.accept(Sender(account, source, user, key), data or picture(), Wishes(**wishes))


def analysed(
    account: Account, label: str | None = None, confidence: float = 95, seed: int = 0, **more: Any
) -> Submission:
    """A submission that the fake engine has read as `label` and the account's policy has judged."""
    accepted = send(account, picture(label, confidence, seed=seed), **more)
    pipeline.moderate(accepted.analysis.pk)
    accepted.submission.refresh_from_db()
    return accepted.submission


def labels_of(submission: Submission) -> Sequence[str]:
    """The names of the labels that were emitted, surest first."""
    analysis = submission.latest_analysis()
    return [detection.label for detection in analysis.detections.all()] if analysis else []
