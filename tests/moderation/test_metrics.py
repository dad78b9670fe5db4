"""The figures, and who may read them."""

import math
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from pytest_django import DjangoAssertNumQueries, Settings

from moderation import metrics, pipeline
from moderation.metrics import Backlog, Flow, Outbox, Pace, quantile
from moderation.models import Analysis, OutboxMessage, Submission
from tests import world as w
from tests.world import World


def scrape(**request: Any) -> dict[str, float]:
    """What Prometheus reads, by name and labels."""
    answer = Client().get("/metrics", **request)
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain; version=")
    samples = [each for family in text_string_to_metric_families(answer.content.decode()) for each in family.samples]
    return {f"{each.name}{sorted(each.labels.values()) or ''}": each.value for each in samples}


def test_an_empty_house(db: None) -> None:
    assert Backlog.now() == Backlog({"queued": 0, "running": 0}, 0.0)
    assert Flow.now().open == {"queued": 0, "analyzing": 0, "in_review": 0}
    assert set(Flow.now().last_hour.values()) == {0}
    assert Pace.now() == Pace({"succeeded": 0, "failed": 0}, (), ())
    assert Outbox.now() == Outbox(0, 0.0)
    assert math.isnan(quantile((), 0.5))
    assert math.isnan(scrape()["second_look_analysis_recent_seconds['0.5', 'wait']"])


def test_the_figures(world: World) -> None:
    now = timezone.now()
    for account in (world.acme, world.globex):
        w.analysed(account, "Weapons")
    approved = w.analysed(world.acme)
    old = w.analysed(world.acme)
    Submission.objects.filter(pk=old.pk).update(created_at=now - timedelta(hours=2))
    waiting, running, failed = (w.send(world.acme).analysis.pk for _ in range(3))
    Analysis.objects.filter(pk=waiting).update(created_at=now - timedelta(minutes=5))
    assert Analysis.objects.start(running)
    started = Analysis.objects.start(failed)
    assert started
    pipeline.fail(started, "x", "x")
    Analysis.objects.filter(submission=approved).update(
        created_at=now - timedelta(seconds=40), started_at=now - timedelta(seconds=30), finished_at=now
    )
    OutboxMessage.objects.create(
        account=world.acme, kind="webhook", event="e", payload={}, not_before=now - timedelta(minutes=1)
    )
    OutboxMessage.objects.create(account=world.acme, kind="webhook", event="e", payload={}, status="delivered")

    assert Backlog.now().unfinished == {"queued": 1, "running": 1}
    assert 300 <= Backlog.now().oldest_seconds < 330
    assert Flow.now().open == {"queued": 2, "analyzing": 0, "in_review": 2}
    recent = {status: number for status, number in Flow.now().last_hour.items() if number}
    assert recent == {"queued": 2, "in_review": 2, "approved": 1, "failed": 1}
    pace = Pace.now()
    assert pace.ended == {"succeeded": 4, "failed": 1}
    assert (pace.waited[-1], pace.worked[-1]) == pytest.approx((10, 30))
    assert Outbox.now().waiting == 1 + OutboxMessage.objects.filter(status="waiting").exclude(event="e").count()
    assert 60 <= Outbox.now().overdue_seconds < 90

    read = scrape()
    assert read["second_look_analyses_unfinished['queued']"] == 1
    assert read["second_look_submissions_open['in_review']"] == 2
    assert read["second_look_submissions_last_hour['approved']"] == 1
    assert read["second_look_analyses_recent['failed']"] == 1
    assert read["second_look_analysis_recent_seconds['0.95', 'work']"] == pytest.approx(30)
    assert read["second_look_outbox_waiting"] >= 1
    assert "second_look_rows_estimate['moderation_submission']" in read


def test_quantiles() -> None:
    values = tuple(float(number) for number in range(1, 101))
    assert [quantile(values, share) for share in (0.5, 0.95, 1.0)] == [50, 95, 100]
    assert quantile((7.0,), 0.5) == 7


def test_no_figure_reads_a_whole_table(world: World) -> None:
    """Told to do without sequential scans where it can, PostgreSQL finds an index for every question."""
    w.analysed(world.acme, "Weapons")
    with CaptureQueriesContext(
        connection,
    ) as asked:
        Backlog.now(), Flow.now(), Pace.now(), Outbox.now()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        for query in asked.captured_queries:
            if "moderation_account" in query["sql"]:
                continue
            cursor.execute(f"EXPLAIN {query['sql']}")
            plan = "\n".join(row[0] for row in cursor.fetchall())
            assert "Seq Scan" not in plan, f"{query['sql']}\n{plan}"


def test_the_number_of_questions_does_not_grow(world: World, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for _ in range(3):
        w.send(world.acme)
    with django_assert_num_queries(7):
        scrape()


# --- who may ---


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_this_machine_may(db: None, address: str) -> None:
    scrape(REMOTE_ADDR=address)


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "192.168.1.1", "8.8.8.8", "::ffff:10.0.0.1", "fe80::1", "", "localhost"]
)
def test_others_may_not(address: str) -> None:
    answer = Client().get("/metrics", REMOTE_ADDR=address)
    assert answer.status_code == 403
    assert b"second_look" not in answer.content


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_a_proxy_on_this_machine_may_not(header: str) -> None:
    assert Client().get("/metrics", headers={header: "127.0.0.1"}).status_code == 403


def test_the_token(db: None, settings: Settings) -> None:
    settings.METRICS_TOKEN = "secret"
    forwarded = {"X-Forwarded-For": "1.1.1.1"}
    assert Client().get("/metrics", REMOTE_ADDR="8.8.8.8", headers=forwarded).status_code == 403
    for token, status in (("secret", 200), ("Secret", 403), ("sécret", 403), ("", 403)):
        headers = {**forwarded, "Authorization": f"Bearer {token}"}
        assert Client().get("/metrics", REMOTE_ADDR="8.8.8.8", headers=headers).status_code == status
    assert Client().get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 403


def test_an_empty_token_is_none(settings: Settings) -> None:
    settings.METRICS_TOKEN = ""
    answer = Client().get("/metrics", REMOTE_ADDR="8.8.8.8", headers={"Authorization": "Bearer "})
    assert answer.status_code == 403


def test_only_to_read() -> None:
    assert Client().post("/metrics").status_code == 405


class Other(Collector):
    """As another app brings one."""

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("second_look_other", "Of another app.", value=7)


def test_collectors_join(db: None) -> None:
    view = metrics.exposition(metrics.FloorsCollector(), Other())
    text = view(RequestFactory().get("/metrics")).content
    assert b"second_look_other 7.0" in text and b"second_look_submissions_open" in text
