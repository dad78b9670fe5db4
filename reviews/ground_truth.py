"""Ground truth: what people settled, written once per loop and exported for training and for measuring."""

import json
from collections.abc import Iterator, Sequence
from math import prod

from django.db.models import Exists, OuterRef, QuerySet

from moderation import storage, taxonomy
from moderation.models import Account, Submission
from reviews.consensus import Consensus
from reviews.models import Decision, GroundTruth, HumanLoop, ReviewTask

MANIFEST = "manifest"
JSON_LINES = "jsonl"
FORMATS = (MANIFEST, JSON_LINES)

_CHUNK = 1000


def record(loop: HumanLoop, result: Consensus, decisions: Sequence[Decision]) -> GroundTruth | None:
    """Write what a loop settled about its submission, whose row is locked; the newest truth of a submission counts."""
    if loop.submission is None or loop.routing is None or result.outcome is None:
        return None
    truth = GroundTruth.objects.create(
        account=loop.account,
        submission=loop.submission,
        loop=loop,
        outcome=result.outcome.value,
        present=in_order(result.present),
        absent=in_order(result.absent),
        undecided=in_order(result.undecided),
        by_lead=any(decision.task.kind == ReviewTask.Kind.LEAD for decision in decisions),
        inclusion_probability=inclusion_probability(loop),
        versions=versions(loop),
        supersedes=GroundTruth.objects.filter(submission=loop.submission, superseded_by=None).first(),
    )
    truth.decisions.set(decisions)
    return truth


def in_order(labels: frozenset[str]) -> list[str]:
    """The labels in taxonomy order."""
    return [name for name in taxonomy.LABELS if name in labels]


def inclusion_probability(loop: HumanLoop) -> float:
    """The chance that an item with these scores reaches people at all: by any of the flows that considered it."""
    if loop.analysis is None:
        return 1.0
    chances = loop.analysis.routings.values_list("inclusion_probability", flat=True)
    return 1.0 if 1.0 in chances else 1.0 - prod(1.0 - chance for chance in chances)


def versions(loop: HumanLoop) -> dict[str, object]:
    """What judged and routed the item."""
    analysis, routing = loop.analysis, loop.routing
    if analysis is None or routing is None:
        return {}
    return {
        "engine": analysis.engine,
        "heads": analysis.heads,
        "calibration": analysis.calibration,
        "moderation_model": analysis.moderation_model,
        "taxonomy": taxonomy.VERSION,
        "flow": routing.flow.name,
        "flow_version": routing.flow_version,
        "policy": analysis.policy_version.policy.name,
        "policy_version": analysis.policy_version.number,
    }


def export(account: Account, fmt: str) -> Iterator[str]:
    """The newest truth of every submission as JSON lines, the oldest first, each ending in a newline.

    `manifest`: lines of an adapter-training manifest, one for each picture.  Left out are pictures that are no longer
    kept, and truths that a list of labels cannot tell: it would call the picture free of a label that people were split
    on, or that they rejected it for without naming one.  `jsonl`: everything.

    Rows come through a cursor of the database, never all at once.  ValueError for another format.
    """
    if fmt not in FORMATS:
        raise ValueError(f"the format must be one of {', '.join(FORMATS)}, not {fmt!r}")
    line = _manifest_line if fmt == MANIFEST else _full_line
    truths = one_per_picture(newest(account)) if fmt == MANIFEST else newest(account)
    for truth in truths.iterator(chunk_size=_CHUNK):
        if (content := line(truth)) is not None:
            yield json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n"


def newest(account: Account) -> QuerySet[GroundTruth]:
    """The truths that count, one per submission."""
    return (
        GroundTruth.objects.filter(account=account, superseded_by=None)
        .select_related("submission__blob", "submission__policy", "loop__flow", "loop__analysis", "loop__routing")
        .prefetch_related("decisions__reviewer")
        .order_by("pk")
    )


def one_per_picture(truths: QuerySet[GroundTruth]) -> QuerySet[GroundTruth]:
    """Of truths about the same picture, sent more than once, the last: a training set must not contradict itself."""
    later = GroundTruth.objects.filter(
        account=OuterRef("account"),
        submission__media_digest=OuterRef("submission__media_digest"),
        superseded_by=None,
        pk__gt=OuterRef("pk"),
    )
    return truths.exclude(Exists(later))


def source_ref(submission: Submission) -> str | None:
    """Where the picture lies: in the bucket under which every account finds its stored pictures; None when let go."""
    blob = submission.blob
    return None if blob is None else str(storage.Location(storage.media_bucket(), blob.name))


def _manifest_line(truth: GroundTruth) -> dict[str, object] | None:
    source = source_ref(truth.submission)
    unknown = any(taxonomy.label(name).level == 1 for name in truth.undecided)
    unnamed = truth.outcome == Decision.Outcome.REJECT and not truth.present
    if source is None or unknown or unnamed:
        return None
    labels = [{"Name": name} for name in truth.present]
    return {"source-ref": source, "content-moderation-groundtruth": {"ModerationLabels": labels}}


def _full_line(truth: GroundTruth) -> dict[str, object]:
    submission, loop = truth.submission, truth.loop
    return {
        "submission": str(submission.pk),
        "external_id": submission.external_id,
        "source-ref": source_ref(submission),
        "sha256": submission.media_digest,
        "width": submission.width,
        "height": submission.height,
        "outcome": truth.outcome,
        "present": truth.present,
        "absent": truth.absent,
        "undecided": truth.undecided,
        "by_lead": truth.by_lead,
        "decisions": [_decision(each) for each in truth.decisions.all()],
        "human_loop_arn": loop.arn,
        "flow_definition_arn": loop.flow.arn,
        "reasons": loop.routing.reasons if loop.routing else [],
        "is_audit": loop.is_audit,
        "inclusion_probability": truth.inclusion_probability,
        "versions": truth.versions,
        "scores": loop.analysis.scores if loop.analysis else {},
        "settled_at": truth.created_at.isoformat().replace("+00:00", "Z"),
    }


def _decision(decision: Decision) -> dict[str, object]:
    return {
        "reviewer": decision.reviewer.username,
        "outcome": decision.outcome,
        "labels": decision.labels,
        "judged": decision.judged,
        "comment": decision.comment,
        "seconds": decision.seconds_spent,
        "submitted_at": decision.submitted_at.isoformat().replace("+00:00", "Z"),
    }
