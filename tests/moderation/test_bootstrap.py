"""The first start, and those after it."""

import json
import threading
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from pytest_django import Settings

from moderation.bootstrap import ACCOUNT, PEOPLE, Bootstrapped, bootstrap
from moderation.models import AccessKey, Account, Policy, User
from tests.world import World, world

__all__ = ["world"]

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_folder(settings: Settings, tmp_path: Path) -> Path:
    settings.DATA_DIR = tmp_path / "var"
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # five slow hashes for each test
    return Path(settings.DATA_DIR)


def said() -> str:
    out = StringIO()
    call_command("bootstrap", stdout=out)
    return out.getvalue()


def test_the_first_start_makes_people_that_can_sign_in(own_folder: Path) -> None:
    made = bootstrap()
    assert set(made.passwords) == set(PEOPLE) == {"admin", "lead", "reviewer1", "reviewer2", "uploader"}
    for name, password in made.passwords.items():
        user = User.objects.get(username=name)
        assert user.check_password(password) and (user.account_id, user.role) == (ACCOUNT, PEOPLE[name])
        assert not user.is_superuser and user.is_staff == (name == "admin")
    assert len(set(made.passwords.values())) == 5
    assert made.key and AccessKey.objects.by_token(made.key.token) == made.key.key
    assert Policy.objects.get(account=ACCOUNT, is_default=True).current().parsed()
    kept = own_folder / "secrets" / "passwords.json"
    assert json.loads(kept.read_text()) == made.passwords
    assert kept.stat().st_mode & 0o777 == 0o600 and kept.parent.stat().st_mode & 0o777 == 0o700


def test_passwords_and_key_are_printed_once() -> None:
    first = said()
    key = AccessKey.objects.get()
    assert key.key_id in first and key.secret in first and "sl_" in first
    for name, password in json.loads((Path(bootstrap().passwords_file)).read_text()).items():
        assert f"{name:<12} {password}" in first
    assert said() == ""


def test_a_second_start_changes_nothing() -> None:
    bootstrap()
    User.objects.filter(username="lead").update(is_active=False, role="reviewer")
    AccessKey.objects.get().revoke()
    before = list(User.objects.order_by("pk").values())
    again = bootstrap()
    assert (again.passwords, again.key) == ({}, None)
    assert list(User.objects.order_by("pk").values()) == before
    assert (Account.objects.count(), AccessKey.objects.count(), Policy.objects.count()) == (1, 1, 1)


def test_a_start_that_was_cut_short_is_made_good(own_folder: Path) -> None:
    promised = bootstrap().passwords
    User.objects.filter(username="reviewer1").delete()
    again = bootstrap()
    assert again.passwords == {"reviewer1": promised["reviewer1"]}
    assert json.loads((own_folder / "secrets" / "passwords.json").read_text()) == promised


def test_names_that_are_taken_stay_whose_they_are(world: World) -> None:
    made = bootstrap()
    assert set(made.passwords) == {"reviewer1"}, "the others are Acme's"
    assert User.objects.get(username="admin").account == world.acme


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_there", [False, True], ids=["no account yet", "an account"])
def test_two_starts_at_once_make_one_world(is_there: bool) -> None:
    if is_there:
        Account.objects.create(pk=ACCOUNT, name="made by a command")
    made: list[Bootstrapped] = []
    together = threading.Barrier(2)

    def run() -> None:
        together.wait()
        try:
            made.append(bootstrap())
        finally:
            connection.close()

    starts = [threading.Thread(target=run) for _ in range(2)]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    assert sorted(len(each.passwords) for each in made) == [0, 5]
    assert (User.objects.count(), AccessKey.objects.count()) == (5, 1)
