"""How the floors are doing: querysets to dataclasses, for pages and for Prometheus.

Every question stays cheap at millions of rows: it reads what is open, what came within the last hour or what is newest,
each through an index, and never counts a whole table.
"""

import ipaddress
import math
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection
from django.db.models import Count, Min, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from moderation.models import Account, Analysis, OutboxMessage, Submission

OPEN = (Submission.Status.QUEUED, Submission.Status.ANALYZING, Submission.Status.IN_REVIEW)
NEWEST = 500
QUANTILES = (0.5, 0.95)
_UNFINISHED = (Analysis.Status.QUEUED, Analysis.Status.RUNNING)


@dataclass(frozen=True, slots=True)
class Backlog:
    """Analyses that have not ended: how many by status, and the age of the oldest in seconds (0 when there is none)."""

    unfinished: Mapping[str, int]
    oldest_seconds: float

    @classmethod
    def now(cls) -> "Backlog":
        """Reads the index of unfinished analyses."""
        rows = list(
            Analysis.objects.filter(status__in=_UNFINISHED)
            .order_by()
            .values_list("status")
            .annotate(number=Count("pk"), oldest=Min("created_at"))
        )
        return cls(
            dict.fromkeys(_UNFINISHED, 0) | {status: number for status, number, _ in rows},
            max((_age(oldest) for _, _, oldest in rows), default=0.0),
        )


@dataclass(frozen=True, slots=True)
class Flow:
    """Submissions: those that wait for a machine or for people, and what became of those of the last hour."""

    open: Mapping[str, int]
    last_hour: Mapping[str, int]

    @classmethod
    def now(cls) -> "Flow":
        """Reads each account's indexes: the rows that are open and those of the hour."""
        # The accounts as a list of values: the indexes begin with the account.
        rows = Submission.objects.filter(account_id__in=list(Account.objects.values_list("pk", flat=True))).order_by()
        recent = rows.filter(created_at__gte=timezone.now() - timedelta(hours=1))
        return cls(
            {status.value: 0 for status in OPEN} | _by_status(rows.filter(status__in=OPEN)),
            {status.value: 0 for status in Submission.Status} | _by_status(recent),
        )


@dataclass(frozen=True, slots=True)
class Pace:
    """The newest analyses that have ended: how, and how long they waited and worked, in seconds, sorted."""

    ended: Mapping[str, int]
    waited: tuple[float, ...]
    worked: tuple[float, ...]

    @classmethod
    def now(cls) -> "Pace":
        """Reads the newest 500 analyses; one that was tried again counts from its last start."""
        newest = Analysis.objects.order_by("-pk").values_list("status", "created_at", "started_at", "finished_at")
        ended = [
            (status, created, started, finished)
            for status, created, started, finished in newest[:NEWEST]
            if started and finished
        ]
        return cls(
            {"succeeded": 0, "failed": 0} | Counter(status for status, *_ in ended),
            tuple(sorted((started - created).total_seconds() for _, created, started, _ in ended)),
            tuple(sorted((finished - started).total_seconds() for _, _, started, finished in ended)),
        )


@dataclass(frozen=True, slots=True)
class Outbox:
    """Effects still to be sent: how many, and for how many seconds the longest overdue one has been so."""

    waiting: int
    overdue_seconds: float

    @classmethod
    def now(cls) -> "Outbox":
        """Reads the index of waiting messages."""
        waiting = OutboxMessage.objects.filter(status=OutboxMessage.Status.WAITING).order_by()
        found = waiting.aggregate(number=Count("pk"), first=Min("not_before"))
        return cls(found["number"], max(_age(found["first"]), 0.0) if found["first"] else 0.0)


def rows_estimate() -> dict[str, int]:
    """About how many rows the large tables have, as PostgreSQL's planner believes; 0 before its first look."""
    tables = [model._meta.db_table for model in (Submission, Analysis)]
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname, GREATEST(reltuples, 0)::bigint FROM pg_class WHERE relname = ANY(%s)", [tables])
        return dict(cursor.fetchall())


def quantile(values: tuple[float, ...], share: float) -> float:
    """The smallest of the sorted values that at least `share` of them do not exceed; NaN where there are none."""
    return values[max(math.ceil(share * len(values)) - 1, 0)] if values else math.nan


class FloorsCollector(Collector):
    """The floors in Prometheus's words."""

    def collect(self) -> Iterator[Metric]:
        """All figures, asked anew at every scrape."""
        backlog, flow, pace, outbox = Backlog.now(), Flow.now(), Pace.now(), Outbox.now()
        yield _gauge("analyses_unfinished", "Analyses queued or running.", "status", backlog.unfinished)
        yield _plain("analysis_oldest_seconds", "Age of the oldest unfinished analysis.", backlog.oldest_seconds)
        yield _gauge("submissions_open", "Submissions without a final answer.", "status", flow.open)
        yield _gauge("submissions_last_hour", "Submissions of the last hour.", "status", flow.last_hour)
        yield _gauge("analyses_recent", f"How the newest {NEWEST} analyses ended.", "status", pace.ended)
        seconds = GaugeMetricFamily(
            "second_look_analysis_recent_seconds",
            f"Quantiles over the newest {NEWEST} analyses, waiting for a worker and at work.",
            labels=("stage", "quantile"),
        )
        for stage, values in (("wait", pace.waited), ("work", pace.worked)):
            for share in QUANTILES:
                seconds.add_metric((stage, str(share)), quantile(values, share))
        yield seconds
        yield _plain("outbox_waiting", "Messages still to be sent.", outbox.waiting)
        yield _plain(
            "outbox_overdue_seconds", "How long the longest overdue message has been so.", outbox.overdue_seconds
        )
        yield _gauge("rows_estimate", "Rows of a table, estimated.", "table", rows_estimate())


def exposition(*collectors: Collector) -> Callable[[HttpRequest], HttpResponse]:
    """The view at `/metrics`: Prometheus text of these collectors, for the token's bearer or from loopback alone."""
    registry = CollectorRegistry(auto_describe=False)  # to describe is to collect: not before the database is there
    ProcessCollector(registry=registry)
    for collector in collectors:
        registry.register(collector)

    @require_safe
    @never_cache
    def metrics(request: HttpRequest) -> HttpResponse:
        if not may_read(request):
            message = "Metrics are for the bearer of METRICS_TOKEN, or for a caller on this machine.\n"
            return HttpResponse(message, status=403, content_type="text/plain")
        return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    return metrics


def may_read(request: HttpRequest) -> bool:
    """Whether the request bears METRICS_TOKEN or was made on this machine, by nobody's proxy."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if settings.METRICS_TOKEN and scheme.lower() == "bearer":
        return secrets.compare_digest(token.strip().encode(), settings.METRICS_TOKEN.encode())
    forwarded = any(name in request.headers for name in ("X-Forwarded-For", "X-Real-IP", "Forwarded", "Via"))
    return not forwarded and _is_loopback(request.META.get("REMOTE_ADDR", ""))


def _is_loopback(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback


def _by_status(rows: QuerySet[Submission]) -> dict[str, int]:
    return dict(rows.values_list("status").annotate(number=Count("pk")))


def _age(moment: datetime) -> float:
    return (timezone.now() - moment).total_seconds()


def _plain(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"second_look_{name}", text, value=value)


def _gauge(name: str, text: str, label: str, values: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(f"second_look_{name}", text, labels=(label,))
    for key, value in values.items():
        family.add_metric((str(key),), value)
    return family
