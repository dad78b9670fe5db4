"""The sample world: seeded once, through the ordinary way, with something left for people to decide."""

import threading
from collections import Counter
from io import BytesIO, StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from PIL import Image
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from moderation import bootstrap
from moderation.models import Account, Analysis, Bucket, Submission, User
from reviews.conditions import parse
from reviews.models import FlowDefinition, HumanLoop, ReviewQueue, ReviewTask, Routing, WorkTeam
from reviews.sample_pictures import scenes
from reviews.sample_world import NAME, seed
from tests import weights

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(settings: Settings, tmp_path: Path) -> Account:
    settings.DATA_DIR = tmp_path
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # five slow hashes for each test
    return bootstrap.bootstrap().account


def test_it_makes_what_the_contract_names(account: Account) -> None:
    assert seed(account, inline=True) == len(scenes.SCENES) >= 12
    flow = FlowDefinition.objects.get(account=account, name="sample-review")
    assert (flow.work_team.name, flow.queue.name, flow.is_active) == (NAME, NAME, True)
    assert set(flow.work_team.members.values_list("username", flat=True)) == {"lead", "reviewer1", "reviewer2"}
    assert flow.policies.get().is_default
    check, sampling = parse(flow.conditions).leaves()
    assert (check.label, check.bounds) == ("*", (("ConfidenceLessThan", 90),))  # type: ignore[union-attr]
    assert sampling.percentage == 5  # type: ignore[union-attr]
    assert Bucket.objects.get(account=account).name == NAME


def test_the_pictures_take_the_ordinary_way(account: Account) -> None:
    seed(account, inline=True)
    uploader = User.objects.get(username="uploader")
    for submission in Submission.objects.all():
        assert (submission.source, submission.uploader) == (Submission.Source.SAMPLE, uploader)
        assert submission.blob and submission.latest_verdict()
    analyses = Analysis.objects.filter(status=Analysis.Status.SUCCEEDED)
    assert analyses.count() == Routing.objects.count() == len(scenes.SCENES)


def test_without_inline_the_workers_are_told(
    account: Account, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks() as callbacks:
        seed(account)
    assert len(callbacks) == len(scenes.SCENES)
    assert set(Submission.objects.values_list("status", flat=True)) == {Submission.Status.QUEUED}


@pytest.mark.parametrize("before", ["seeded", "a submission", "a flow"])
def test_an_account_in_use_is_left_alone(account: Account, before: str) -> None:
    seed(account, inline=True)
    if before == "a submission":
        FlowDefinition.objects.update(name="renamed")
    if before == "a flow":
        FlowDefinition.objects.get().policies.clear()
    counted = (Submission, FlowDefinition, WorkTeam, ReviewQueue, ReviewTask, Analysis)
    rows = [model.objects.count() for model in counted]
    assert seed(account, inline=True) == 0
    assert [model.objects.count() for model in counted] == rows


def test_the_command_says_what_it_did_once(account: Account) -> None:
    out = StringIO()
    call_command("sample_world", inline=True, stdout=out)
    assert "sample-review" in out.getvalue() and "/review/" in out.getvalue()
    again = StringIO()
    call_command("sample_world", stdout=again)
    assert again.getvalue() == ""
    with pytest.raises(CommandError, match="no account 999999999999"):
        call_command("sample_world", account="999999999999")


def test_a_drawing_is_the_same_every_time_and_unlike_the_others() -> None:
    drawn = {name: scenes.draw(name) for name in ("chess", "sunset", "hatchet")}
    assert scenes.draw.__wrapped__("chess") == drawn["chess"] and len(set(drawn.values())) == 3
    for data in drawn.values():
        image = Image.open(BytesIO(data))
        assert (image.format, image.size) == ("JPEG", (640, 480))


@pytest.mark.django_db(transaction=True)
def test_two_starts_at_once_seed_once(settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    account = bootstrap.bootstrap().account
    sent: list[int] = []

    def run() -> None:
        try:
            sent.append(seed(account))
        finally:
            connection.close()

    starts = [threading.Thread(target=run) for _ in range(2)]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    assert sorted(sent) == [0, len(scenes.SCENES)]
    assert FlowDefinition.objects.count() == 1 and Submission.objects.count() == len(scenes.SCENES)


@pytest.mark.weights
def test_with_the_real_networks_people_find_work_and_the_rest_is_settled(account: Account, settings: Settings) -> None:
    settings.ENGINE = "default"
    settings.WEIGHTS_DIR = weights.folder()
    seed(account, inline=True)
    waiting = ReviewTask.objects.filter(queue__name=NAME, state=ReviewTask.State.OPEN)
    assert waiting.count() == HumanLoop.objects.count() >= 8
    statuses = Counter(Submission.objects.values_list("status", flat=True))
    assert statuses[Submission.Status.IN_REVIEW] >= 2 and statuses[Submission.Status.APPROVED] >= 8
    assert set(statuses) <= {Submission.Status.IN_REVIEW, Submission.Status.APPROVED}
    assert Submission.objects.filter(human_loops=None).count() >= 3, "something is plain to the engine"
