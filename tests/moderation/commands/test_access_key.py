"""`manage.py access_key`."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from moderation.models import AccessKey, Account
from tests.world import ACME, GLOBEX, World, world

__all__ = ["world"]

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("access_key", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def create(*more: str, account: str = ACME) -> dict[str, str]:
    answer: dict[str, str] = json.loads(run("create", "--account", account, "--name", "ci", "--json", *more)[0])
    return answer


def test_create_prints_the_four_fields(world: World) -> None:
    fields = create()
    assert list(fields) == ["AccessKeyId", "SecretAccessKey", "Token", "AccountId"]
    key = AccessKey.objects.by_token(fields["Token"])
    assert key and key == AccessKey.objects.live(fields["AccessKeyId"])
    assert (key.secret, key.account_id, key.name, key.policy) == (fields["SecretAccessKey"], ACME, "ci", None)


def test_create_for_people_to_read(world: World) -> None:
    out, err = run("create", "--account", ACME, "--name", "ci")
    key = AccessKey.objects.get(name="ci")
    assert key.key_id in out and key.secret in out and "not shown again" in err


def test_a_missing_account_is_made_and_said(db: None) -> None:
    out, err = run("create", "--account", "123456789012", "--name", "ci", "--json")
    assert json.loads(out)["AccountId"] == "123456789012"
    assert "There was no account 123456789012" in err
    assert Account.objects.get().name == "123456789012"
    assert "no account" not in run("create", "--account", "123456789012", "--name", "ci")[1]


@pytest.mark.parametrize(
    "wrong", ["12345678901", "1234567890123", "acme", "", "12345678901\n", "\N{FULLWIDTH DIGIT ONE}" * 12]
)
def test_what_is_no_account_id_is_refused(db: None, wrong: str) -> None:
    with pytest.raises(CommandError, match="--account"):
        create(account=wrong)
    assert not Account.objects.exists()


def test_a_closed_account_gets_no_keys(world: World) -> None:
    Account.objects.filter(pk=ACME).update(is_active=False)
    with pytest.raises(CommandError, match="closed"):
        create()


def test_a_key_may_belong_to_a_person(world: World) -> None:
    fields = create("--user", "uploader")
    key = AccessKey.objects.live(fields["AccessKeyId"])
    assert key and key.user == world.uploader
    with pytest.raises(CommandError, match="no active user 'uploader'"):
        create("--user", "uploader", account=GLOBEX)


def test_a_policy_is_read_and_kept(world: World, tmp_path: Path) -> None:
    policy = {"Statement": [{"Effect": "Allow", "Action": "rekognition:Detect*", "Resource": "*"}]}
    (tmp_path / "policy.json").write_text(json.dumps(policy))
    key = AccessKey.objects.live(create("--policy", str(tmp_path / "policy.json"))["AccessKeyId"])
    assert key and key.policy == policy


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON|more than"),
        ("[]", "a policy is an object"),
        ('{"Statement": [{"Effect": "Allow", "Action": "x", "Resource": "*"}]}', r"Statement\[0\].Action"),
        ('{"Statement": [{"Effect": "Allow", "NotAction": "x", "Resource": "*"}]}', "NotAction"),
        (" " * 100_001, "more than 100000 bytes"),
        ("\udcff", "is not JSON"),
    ],
)
def test_a_policy_that_cannot_be_obeyed_is_refused(world: World, tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "policy.json").write_bytes(text.encode(errors="surrogateescape"))
    before = AccessKey.objects.count()
    with pytest.raises(CommandError, match=says):
        create("--policy", str(tmp_path / "policy.json"))
    with pytest.raises(CommandError, match="cannot read"):
        create("--policy", str(tmp_path / "missing.json"))
    assert AccessKey.objects.count() == before


@pytest.mark.parametrize("name", ["", "  ", "x" * 121, "a\nb"])
def test_an_unfit_name_is_refused(world: World, name: str) -> None:
    with pytest.raises(CommandError, match="--name"):
        run("create", "--account", ACME, "--name", name)


def test_list_shows_no_secrets(world: World) -> None:
    fields = create()
    out = run("list")[0]
    rows: list[dict[str, Any]] = json.loads(run("list", "--account", ACME, "--json")[0])
    assert fields["AccessKeyId"] in out and world.outsider_key.key.key_id in out
    assert fields["SecretAccessKey"] not in out + str(rows) and fields["Token"] not in out + str(rows)
    assert {row["AccountId"] for row in rows} == {ACME}
    assert next(row for row in rows if row["AccessKeyId"] == fields["AccessKeyId"])["Name"] == "ci"


def test_revoke_closes_the_key_at_once(world: World) -> None:
    fields = create()
    run("revoke", fields["AccessKeyId"])
    assert AccessKey.objects.live(fields["AccessKeyId"]) is None and AccessKey.objects.by_token(fields["Token"]) is None
    when = AccessKey.objects.get(key_id=fields["AccessKeyId"]).revoked_at
    assert "is revoked" in run("revoke", fields["AccessKeyId"])[0]
    assert AccessKey.objects.get(key_id=fields["AccessKeyId"]).revoked_at == when
    assert "revoked" in next(line for line in run("list")[0].splitlines() if fields["AccessKeyId"] in line)
    with pytest.raises(CommandError, match="no access key"):
        run("revoke", "SLAKNOTTHERE")
