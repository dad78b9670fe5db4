"""`manage.py create_user`."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from moderation.models import Account, User
from tests.world import ACME, GLOBEX, World, world

__all__ = ["world"]

pytestmark = pytest.mark.django_db

GOOD = "three otters rowing"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch):
    def call(*arguments: str, password: str | None = None, account: str = ACME) -> tuple[str, str]:
        out, err = StringIO(), StringIO()
        more = ["--password-stdin"] if password is not None else []
        monkeypatch.setattr("sys.stdin", StringIO(password or ""))
        call_command("create_user", *arguments, "--account", account, *more, stdout=out, stderr=err)
        return out.getvalue(), err.getvalue()

    return call


def test_a_person_is_made(world: World, run) -> None:
    out, err = run("new", "--role", "lead", "--email", "new@example.com", password=f"{GOOD}\nsecond line\n")
    user = User.objects.get(username="new")
    assert (user.account, user.role, user.email, user.is_staff) == (world.acme, "lead", "new@example.com", False)
    assert user.check_password(GOOD) and GOOD not in out + err and "made" in out


def test_only_admins_reach_the_admin_pages(world: World, run) -> None:
    run("new", "--role", "admin", password=GOOD)
    user = User.objects.get(username="new")
    assert user.is_staff and not user.is_superuser
    run("new", "--role", "auditor")
    user.refresh_from_db()
    assert (user.role, user.is_staff) == ("auditor", False)


def test_the_same_line_again_changes_nothing(world: World, run) -> None:
    run("new", "--role", "reviewer", "--email", "a@example.com", password=GOOD)
    before = User.objects.filter(username="new").values().get()
    out, _ = run("new", "--role", "reviewer", password=GOOD)
    assert User.objects.filter(username="new").values().get() == before, "the password's hash too: sessions stay"
    assert "updated" in out


def test_role_mail_and_password_can_be_changed(world: World, run) -> None:
    run("new", "--role", "reviewer", password=GOOD)
    run("new", "--role", "legal", "--email", "b@example.com", password="four otters rowing")
    user = User.objects.get(username="new")
    assert (user.role, user.email) == ("legal", "b@example.com")
    assert user.check_password("four otters rowing")
    run("new", "--role", "legal")
    user.refresh_from_db()
    assert user.email == "b@example.com" and user.check_password("four otters rowing")


def test_a_person_stays_in_the_account(world: World, run) -> None:
    with pytest.raises(CommandError, match="belongs to another account"):
        run("uploader", "--role", "admin", account=GLOBEX)
    assert User.objects.get(username="uploader").role == "uploader"


def test_without_a_password_nobody_can_sign_in_and_it_is_said(world: World, run) -> None:
    _, err = run("new", "--role", "reviewer")
    assert not User.objects.get(username="new").has_usable_password()
    assert "No password is set" in err


@pytest.mark.parametrize("weak", ["", "\n", "short", "password1234", "123456789012345", "newcomer99"])
def test_weak_passwords_are_refused(world: World, run, weak: str) -> None:
    with pytest.raises(CommandError, match="--password-stdin"):
        run("newcomer99", "--role", "reviewer", password=weak)
    assert not User.objects.filter(username="newcomer99").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("no spaces", "--role", "lead"), "username"),
        (("x" * 151, "--role", "lead"), "username"),
        (("new", "--role", "lead", "--email", "nonsense"), "email"),
        (("new", "--role", "boss"), "invalid choice"),
    ],
)
def test_unfit_values_are_refused_by_name(world: World, run, arguments: tuple[str, ...], says: str) -> None:
    people = User.objects.count()
    with pytest.raises(CommandError, match=says):
        run(*arguments)
    assert User.objects.count() == people


def test_a_missing_account_is_made_with_the_person_or_not_at_all(db: None, run) -> None:
    with pytest.raises(CommandError):
        run("no spaces", "--role", "lead", account="123456789012")
    assert not Account.objects.exists()
    _, err = run("new", "--role", "lead", account="123456789012")
    assert "There was no account" in err and User.objects.get().account_id == "123456789012"
