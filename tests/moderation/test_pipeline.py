"""The story of one submission, and what becomes of it when workers are slow, doubled or killed."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from moderation import intake, pipeline, tasks
from moderation.decoding.image import decode
from moderation.detection import detect
from moderation.inference import registry
from moderation.inference.fake import FakeEngine
from moderation.inference.types import EngineError, Findings, Frame
from moderation.models import Analysis, Detection, OutboxMessage, Submission, WebhookEndpoint
from moderation.policies import Outcome, Rule
from tests import world as w
from tests.media import picture
from tests.moderation.brokers import eagerly
from tests.moderation.test_intake import at_once
from tests.world import World

Status = Analysis.Status


@pytest.fixture
def eager() -> Iterator[None]:
    """Tasks run where they are sent, at once."""
    with eagerly():
        yield


class Wrapped(FakeEngine):
    """The fake engine, after something has happened."""

    def __init__(self, before: Callable[[], None]) -> None:
        self.before = before

    def detect(self, frames: Sequence[Frame]) -> list[Findings]:
        self.before()
        return super().detect(frames)


@pytest.fixture
def engine_that(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Callable[[Callable[[], None]], None]:
    """Install an engine that does something before it answers."""

    def install(before: Callable[[], None]) -> None:
        def build(folder: Path) -> Wrapped:
            return Wrapped(before)

        name = f"test-{id(before)}"
        monkeypatch.setitem(registry.ENGINES, name, build)
        settings.ENGINE = name

    return install


def lapse(pk: int) -> None:
    """As if the lease had been taken long ago."""
    Analysis.objects.filter(pk=pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))


def state(submission: Submission) -> tuple[str, str, int, int]:
    """Status of submission and analysis, attempts, verdicts."""
    submission.refresh_from_db()
    analysis = submission.analyses.get()
    return submission.status, analysis.status, analysis.attempt, submission.verdicts.count()


# --- the story ---


@pytest.mark.parametrize(
    ("label", "confidence", "outcome", "status"),
    [
        (None, 0, "approve", "approved"),
        ("Alcoholic Beverages", 99, "approve", "approved"),
        ("Weapons", 75, "approve", "approved"),
        ("Weapons", 85, "review", "in_review"),
        ("Explicit Nudity", 90, "review", "in_review"),
        ("Explicit Nudity", 99, "reject", "rejected"),
    ],
)
def test_from_picture_to_verdict(world: World, label: str | None, confidence: float, outcome: str, status: str) -> None:
    submission = w.analysed(world.acme, label, confidence)
    assert submission.status == status
    verdict = submission.verdicts.get()
    assert (verdict.outcome, verdict.source, verdict.decided_by) == (outcome, "policy", None)
    assert verdict.policy_version == submission.policy.current()
    assert (submission.settled_at is None) == (outcome == "review")
    if outcome != "approve":
        assert {reason["rule"]["outcome"] for reason in verdict.because} == {outcome}


def test_what_is_kept_of_an_analysis(world: World, settings: Settings) -> None:
    settings.EMIT_MIN_CONFIDENCE = 50
    low = w.analysed(world.acme, "Gambling", 30).analyses.get()
    assert list(low.detections.all()) == []
    assert 29 < low.scores["labels"]["Gambling"] < 31
    assert low.scores["labels"]["Weapons"] == 0
    high = w.analysed(world.acme, "Weapons", 90).analyses.get()
    shown = [(each.label, each.parent, each.level) for each in high.detections.all()]
    assert shown == [("Weapons", "Violence", 2), ("Violence", "", 1)]
    assert (high.engine, high.heads, high.calibration, high.moderation_model) == ("fake-1", "none", "none", "7.0")
    assert high.scores["raw"]["red"] == pytest.approx(24, abs=3)
    assert high.started_at and high.finished_at and high.lease_expires_at is None


def test_boxes_are_in_pixels_of_the_picture_however_it_was_decoded(world: World) -> None:
    large = picture("Weapons", size=(2800, 2000))
    accepted = w.send(world.acme, large)
    assert accepted.decoded and accepted.decoded.scale > 1
    for decoded in (None, accepted.decoded):
        [score] = [each for each in detect(accepted.submission, decoded).labels if each.boxes]
        [box] = score.boxes
        assert (box.left, box.top) == (0, 0)
        assert (box.width, box.height) == pytest.approx((700, 500), abs=2)


def test_the_answer_is_announced(world: World) -> None:
    for account in (world.acme, world.globex):
        WebhookEndpoint.objects.create(account=account, url="https://hooks.example.org/")
    submission = w.analysed(world.acme, "Weapons", external_id="7")
    message = OutboxMessage.objects.get(event="submission.in_review")
    assert message.account == world.acme
    said = message.payload["data"]
    assert (said["submission"], said["external_id"], said["status"]) == (str(submission.pk), "7", "in_review")
    assert said["verdict"]["outcome"] == "review"


def test_the_rules_of_the_account_decide(world: World) -> None:
    w.rules(world.acme, Rule(label="Weapons", min_confidence=60, outcome=Outcome.REJECT), default=True)
    assert w.analysed(world.acme, "Weapons", 65).status == "rejected"
    assert w.analysed(world.acme, "Explicit Nudity", 99).status == "approved"


# --- doubled, late, lost ---


def test_a_doubled_task_does_nothing(world: World) -> None:
    submission = w.analysed(world.acme, "Weapons")
    before = state(submission)
    pipeline.moderate(submission.analyses.get().pk)
    assert state(submission) == before == ("in_review", "succeeded", 1, 1)


def test_a_task_about_nothing_does_nothing(db: None) -> None:
    pipeline.moderate(17)
    assert not Analysis.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_many_workers_at_once_are_one(transactional_db: None) -> None:
    world = w.build()
    submission = w.send(world.acme, picture("Weapons")).submission
    pk = submission.analyses.get().pk
    assert at_once(6, lambda place: pipeline.moderate(pk)) == [None] * 6
    assert state(submission) == ("in_review", "succeeded", 1, 1)
    assert Detection.objects.count() == 2


def test_the_lease(world: World, settings: Settings) -> None:
    settings.ANALYSIS_LEASE_SECONDS = 120
    pk = w.send(world.acme).analysis.pk
    started = Analysis.objects.start(pk)
    assert started and (started.status, started.attempt) == (Status.RUNNING, 1)
    assert started.lease_expires_at and started.started_at
    assert started.lease_expires_at - started.started_at == timedelta(seconds=120)
    assert Analysis.objects.start(pk) is None
    lapse(pk)
    again = Analysis.objects.start(pk)
    assert again and again.attempt == 2


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.FAILED])
def test_what_has_ended_is_not_started(world: World, status: str) -> None:
    pk = w.send(world.acme).analysis.pk
    Analysis.objects.filter(pk=pk).update(status=status)
    lapse(pk)
    assert Analysis.objects.start(pk) is None


def test_a_stale_attempt_writes_nothing(world: World) -> None:
    submission = w.send(world.acme, picture("Weapons")).submission
    pk = submission.analyses.get().pk
    stale = Analysis.objects.start(pk)
    lapse(pk)
    fresh = Analysis.objects.start(pk)
    assert stale and fresh
    findings = detect(submission)
    assert not stale.finish(findings, FakeEngine.version, 50)
    assert not stale.fail("late", "too late")
    pipeline.fail(stale, "late", "too late")
    assert state(submission) == ("queued", "running", 2, 0)
    assert not Detection.objects.exists()
    assert fresh.finish(findings, FakeEngine.version, 50)
    assert not fresh.finish(findings, FakeEngine.version, 50)
    assert not fresh.fail("late", "too late")
    assert Detection.objects.count() == 2


def test_a_slow_worker_finds_its_work_done(
    world: World, engine_that: Callable[[Callable[[], None]], None], settings: Settings
) -> None:
    submission = w.send(world.acme, picture("Weapons")).submission
    pk = submission.analyses.get().pk

    def meanwhile() -> None:
        slow, settings.ENGINE = settings.ENGINE, "fake"
        lapse(pk)
        # A worker elsewhere has an engine of its own.
        quick = Analysis.objects.start(pk)
        assert quick
        pipeline._conclude(
            quick, FakeEngine().detect([decode(picture("Weapons"), intake.limits()).frame])[0], None, None
        )
        settings.ENGINE = slow

    engine_that(meanwhile)
    pipeline.moderate(pk)
    assert state(submission) == ("in_review", "succeeded", 2, 1)
    assert Detection.objects.count() == 2


def test_the_sweep_sends_again_what_was_lost(world: World, eager: None) -> None:
    lost, fresh = (w.send(world.acme).submission for _ in range(2))
    Analysis.objects.filter(submission=lost).update(created_at=timezone.now() - timedelta(seconds=31))
    tasks.sweep_analyses()
    assert state(lost) == ("approved", "succeeded", 1, 1)
    assert state(fresh) == ("queued", "queued", 0, 0)


def test_the_sweep_takes_the_oldest_first(world: World) -> None:
    pks = [w.send(world.acme).analysis.pk for _ in range(3)]
    Analysis.objects.update(created_at=timezone.now() - timedelta(hours=1))
    assert [each.pk for each in Analysis.objects.overdue(30).order_by("pk")] == pks


# --- what goes wrong ---


@pytest.mark.django_db(transaction=True)
def test_a_picture_that_kills_its_worker_is_given_up(
    transactional_db: None, eager: None, engine_that: Callable[[Callable[[], None]], None]
) -> None:
    """Four times; each worker is a process of its own that the kernel kills in the middle of its work."""
    world = w.build()
    WebhookEndpoint.objects.create(account=world.acme, url="https://hooks.example.org/")
    submission = w.send(world.acme).submission
    pk = submission.analyses.get().pk
    engine_that(lambda: os.kill(os.getpid(), signal.SIGKILL))
    for attempt in (1, 2, 3):
        assert _work_in_a_process(pk) == signal.SIGKILL
        assert state(submission) == ("analyzing", "running", attempt, 0)
        assert pipeline.give_up_exhausted() == 0  # its lease still runs
        lapse(pk)
    assert _work_in_a_process(pk) == 0  # the fourth does not start, so nothing is killed
    tasks.sweep_analyses()
    assert state(submission) == ("failed", "failed", 3, 0)
    analysis = submission.analyses.get()
    assert (analysis.error_code, "3 times" in analysis.error_message) == ("worker_lost", True)
    assert OutboxMessage.objects.get().payload["data"]["error"]["code"] == "worker_lost"
    # And that is the end of it.
    tasks.sweep_analyses()
    pipeline.moderate(pk)
    assert pipeline.give_up_exhausted() == 0
    assert state(submission) == ("failed", "failed", 3, 0)
    assert OutboxMessage.objects.count() == 1


def _work_in_a_process(pk: int) -> int:
    """Moderate in a child; returns the signal that ended it, or 0 when it came to an end of its own."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            # The parent's connection is left alone, not even closed; the child opens its own.
            kept, connection.connection = connection.connection, None
            pipeline.moderate(pk)
            code = 0 if kept is not connection.connection else 2
        finally:
            os._exit(code)
    return -os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_an_unforeseen_error_is_tried_again(world: World, engine_that: Callable[[Callable[[], None]], None]) -> None:
    moods = [ZeroDivisionError("a bug")]

    def moody() -> None:
        if moods:
            raise moods.pop()

    engine_that(moody)
    submission = w.send(world.acme).submission
    pk = submission.analyses.get().pk
    with pytest.raises(ZeroDivisionError):
        pipeline.moderate(pk)
    assert state(submission) == ("analyzing", "running", 1, 0)
    lapse(pk)
    pipeline.moderate(pk)
    assert state(submission) == ("approved", "succeeded", 2, 1)


@pytest.mark.parametrize("code", ["weights_missing", "engine_out_of_memory"])
def test_an_engine_that_cannot(world: World, engine_that: Callable[[Callable[[], None]], None], code: str) -> None:
    def refuse() -> None:
        raise EngineError(code, "It cannot.")

    engine_that(refuse)
    submission = w.send(world.acme).submission
    pipeline.moderate(submission.analyses.get().pk)
    assert state(submission) == ("failed", "failed", 1, 0)
    analysis = submission.analyses.get()
    assert (analysis.error_code, analysis.error_message) == (code, "It cannot.")
    assert submission.settled_at


def test_a_picture_that_is_gone(world: World) -> None:
    submission = w.send(world.acme).submission
    assert submission.blob
    default_storage.delete(submission.blob.name)
    pipeline.moderate(submission.analyses.get().pk)
    assert state(submission) == ("failed", "failed", 1, 0)
    assert submission.analyses.get().error_code == "media_gone"


def test_somebody_who_waits_is_told(world: World, engine_that: Callable[[Callable[[], None]], None]) -> None:
    def refuse() -> None:
        raise EngineError("weights_missing", "It cannot.")

    engine_that(refuse)
    data = picture()
    accepted = intake.accept(intake.Sender(world.acme, Submission.Source.AWS), data, keep=False, at_once=True)
    assert accepted.decoded
    with pytest.raises(EngineError):
        pipeline.moderate_started(accepted.analysis, pipeline.AtHand(data, accepted.decoded))
    assert state(accepted.submission) == ("failed", "failed", 1, 0)


def test_long_reasons_are_cut_not_lost(world: World) -> None:
    started = Analysis.objects.start(w.send(world.acme).analysis.pk)
    assert started
    pipeline.fail(started, "x" * 100, "y" * 1000)
    started.refresh_from_db()
    assert (started.error_code, started.error_message) == ("x" * 60, "y" * 500)


# --- the picture at hand ---


@pytest.mark.parametrize(("label", "kept"), [(None, False), ("Weapons", True), ("Explicit Nudity", False)])
def test_a_picture_is_kept_only_for_people(world: World, label: str | None, kept: bool) -> None:
    data = picture(label, 99)
    accepted = intake.accept(intake.Sender(world.acme, Submission.Source.AWS), data, keep=False, at_once=True)
    assert accepted.decoded
    pipeline.moderate_started(accepted.analysis, pipeline.AtHand(data, accepted.decoded))
    accepted.submission.refresh_from_db()
    assert (accepted.submission.blob is not None) == kept
    if accepted.submission.blob:
        assert accepted.submission.blob.read() == data


# --- people's word ---


def test_a_machine_never_overrules_people(world: World) -> None:
    submission = w.analysed(world.acme, "Weapons")
    mine = submission.decide("approve", [{"label": "Weapons"}], world.reviewer)
    again = submission.analyses.create(policy_version=submission.policy.current())
    pipeline.moderate(again.pk)
    submission.refresh_from_db()
    assert submission.status == "approved"
    assert submission.verdicts.count() == 3
    assert submission.latest_verdict() == mine
    submission.give_up("late", "too late")
    submission.refresh_from_db()
    assert submission.status == "approved"
