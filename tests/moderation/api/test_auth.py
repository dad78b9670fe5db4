"""Tokens, roles and access policies: who reaches what through the REST API."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from moderation.models import AccessKey, User
from tests import world as w
from tests.media import picture
from tests.world import World, api_client

LIST = "/api/v1/submissions/"
ARN = "arn:aws:secondlook:us-east-1:{account}:submission/{name}"


def one(pk: object) -> str:
    return f"{LIST}{pk}/"


def allow(action: str, resource: str = "*") -> dict[str, object]:
    return {"Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}]}


@pytest.mark.parametrize(
    "header",
    [
        None,
        "Bearer",
        "Bearer ",
        "Bearer nonsense",
        "Basic dXNlcjpwYXNz",
        "bearer  ",
        "Bearer ÿ\x80",
        "Digest x",
    ],
)
@pytest.mark.parametrize("path", [LIST, "/api/v1/labels/"])
def test_without_a_live_token_nothing_opens(world: World, path: str, header: str | None) -> None:
    answer = api_client().get(path, headers={"Authorization": header} if header else {})
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert answer["Content-Type"] == "application/problem+json"


def test_a_token_opens_and_its_use_is_noted(world: World) -> None:
    assert world.key.key.last_used_at is None
    assert api_client(world.key).get(LIST).status_code == 200
    used = AccessKey.objects.get(pk=world.key.key.pk).last_used_at
    assert used and timezone.now() - used < timedelta(minutes=1)


def test_a_session_alone_opens_nothing(world: World) -> None:
    client = api_client()
    client.force_login(world.admin)
    assert client.get(LIST).status_code == 401


def test_a_secret_access_key_is_no_token(world: World) -> None:
    answer = api_client().get(LIST, headers={"Authorization": f"Bearer {world.key.key.secret}"})
    assert answer.status_code == 401


def test_revoked_keys_inactive_people_and_closed_accounts_are_out(world: World) -> None:
    world.admin_key.key.revoke()
    User.objects.filter(pk=world.uploader.pk).update(is_active=False)
    world.globex.is_active = False
    world.globex.save()
    for key in (world.admin_key, world.uploader_key, world.outsider_key):
        assert api_client(key).get(LIST).status_code == 401
    assert api_client(world.key).get(LIST).status_code == 200


def test_another_account_sees_nothing(world: World) -> None:
    pk = w.send(world.acme).submission.pk
    assert api_client(world.key).get(one(pk)).status_code == 200
    there, nowhere = (api_client(world.outsider_key).get(one(each)) for each in (pk, uuid4()))
    assert (there.status_code, nowhere.status_code) == (404, 404)
    # An id of another account reads like one that does not exist.
    assert {**there.json(), "instance": ""} == {**nowhere.json(), "instance": ""}
    assert api_client(world.outsider_key).get(LIST).json()["results"] == []


def test_not_even_a_superusers_key_crosses_accounts(world: World) -> None:
    pk = w.send(world.acme).submission.pk
    User.objects.filter(pk=world.outsider.pk).update(is_superuser=True)
    assert api_client(world.outsider_key).get(one(pk)).status_code == 404


def test_uploaders_see_their_own_alone(world: World) -> None:
    mine = w.send(world.acme, user=world.uploader).submission
    others = w.send(world.acme, user=world.uploader2).submission
    accounts = w.send(world.acme).submission
    client = api_client(world.uploader_key)
    assert [row["id"] for row in client.get(LIST).json()["results"]] == [str(mine.pk)]
    assert client.get(one(mine.pk)).status_code == 200
    assert {client.get(one(other.pk)).status_code for other in (others, accounts)} == {404}
    for key in (world.key, world.admin_key, world.auditor_key):
        assert len(api_client(key).get(LIST).json()["results"]) == 3


@pytest.mark.parametrize(
    ("name", "sends", "reads"),
    [
        ("key", 202, 200),
        ("admin_key", 202, 200),
        ("uploader_key", 202, 200),
        ("auditor_key", 403, 200),
        ("reviewer_key", 403, 403),  # reviewers stay blind to what the machine said: they meet items in the console
    ],
)
def test_roles(world: World, name: str, sends: int, reads: int) -> None:
    client = api_client(getattr(world, name))
    assert client.post(LIST, {"file": w.upload(picture())}).status_code == sends
    assert client.get(LIST).status_code == reads
    assert client.get(one(w.send(world.acme, user=world.uploader).submission.pk)).status_code == reads
    assert client.get("/api/v1/labels/").status_code == 200


def test_the_sender_is_kept(world: World) -> None:
    answer = api_client(world.uploader_key).post(LIST, {"file": w.upload(picture())})
    submission = world.uploader.submissions.get(pk=answer.json()["id"])
    assert (submission.account, submission.access_key, submission.source) == (
        world.acme,
        world.uploader_key.key,
        "rest",
    )


@pytest.mark.parametrize(
    ("action", "codes"),
    [
        ("secondlook:*", (202, 200, 200, 200)),
        ("secondlook:CreateSubmission", (202, 403, 403, 403)),
        ("secondlook:ListSubmissions", (403, 200, 403, 403)),
        ("secondlook:GetSubmission", (403, 403, 200, 403)),
        ("secondlook:ListLabels", (403, 403, 403, 200)),
        ("rekognition:*", (403, 403, 403, 403)),
    ],
)
def test_the_keys_policy_allows_each_action_by_name(world: World, action: str, codes: tuple[int, ...]) -> None:
    client = api_client(w.issue(world.acme, policy=allow(action)))
    pk = w.send(world.acme).submission.pk
    answers = [client.post(LIST, {"file": w.upload(picture())}), client.get(LIST), client.get(one(pk))]
    answers.append(client.get("/api/v1/labels/"))
    assert tuple(answer.status_code for answer in answers) == codes


def test_the_keys_policy_may_name_one_submission(world: World) -> None:
    mine, other = (w.send(world.acme).submission for _ in range(2))
    policy = allow("secondlook:GetSubmission", ARN.format(account=w.ACME, name=mine.pk))
    client = api_client(w.issue(world.acme, policy=policy))
    assert client.get(one(mine.pk)).status_code == 200
    # Refused before it is looked for: there or not, the answer is the same.
    assert {client.get(one(pk)).status_code for pk in (other.pk, uuid4())} == {403}


def test_a_policy_that_cannot_be_read_allows_nothing(world: World) -> None:
    client = api_client(w.issue(world.acme, policy={"Statement": "everything"}))
    assert client.get(LIST).status_code == 403


def test_a_key_never_reaches_further_than_its_person(world: World) -> None:
    client = api_client(w.issue(world.acme, world.reviewer, allow("*")))
    assert client.post(LIST, {"file": w.upload(picture())}).status_code == 403
