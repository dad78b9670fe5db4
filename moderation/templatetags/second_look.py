"""Small pieces that many templates share."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from django import template
from django.template.context import Context
from django.templatetags.static import static
from django.urls import Resolver404, resolve
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from moderation.models import Analysis, Detection, Submission, User
from moderation.permissions import READS, REVIEWS, UPLOADS
from moderation.policies import Outcome

register = template.Library()

# Icon and words of each status; the words are the contract's.
_CHIPS = {
    Submission.Status.QUEUED: ("clock", _("Queued")),
    Submission.Status.ANALYZING: ("scan", _("Analyzing")),
    Submission.Status.IN_REVIEW: ("eye", _("In review")),
    Submission.Status.APPROVED: ("check", _("Approved")),
    Submission.Status.REJECTED: ("cross", _("Rejected")),
    Submission.Status.FAILED: ("alert", _("Failed")),
}


@dataclass(frozen=True, slots=True)
class Door:
    """A part of the product that a person may open."""

    url: str
    name: str | Promise
    about: str | Promise
    icon: str
    active: bool


_DOORS: tuple[tuple[str, str | Promise, str | Promise, str, tuple[str, ...] | None], ...] = (
    ("/review/", _("Review"), _("Look at what needs a person."), "eye", REVIEWS),
    ("/submissions/", _("Submissions"), _("Find pictures, labels and verdicts."), "list", READS),
    ("/upload/", _("Upload"), _("Hand in pictures from this browser."), "upload", UPLOADS),
    ("/api/v1/docs/", _("API"), _("Read how programs talk to it."), "code", tuple(User.Role)),
    ("/admin/", _("Admin"), _("Policies, people, keys and queues."), "sliders", None),
)


@register.simple_tag(takes_context=True)
def doors(context: Context) -> list[Door]:
    """Where the person of this request may go; nothing for strangers."""
    request, user = context.get("request"), context.get("user")
    if request is None or not isinstance(user, User):
        return []
    return [
        Door(url, name, about, icon, request.path.startswith(url))
        for url, name, about, icon, roles in _DOORS
        if (user.is_staff if roles is None else user.has_role(*roles)) and _exists(url)
    ]


@register.simple_tag
def icon(name: str) -> SafeString:
    """A picture from img/icons.svg; decoration only, words stand beside it."""
    return format_html('<svg class="icon" aria-hidden="true"><use href="{}#{}"/></svg>', static("img/icons.svg"), name)


@register.inclusion_tag("moderation/_chip.html")
def chip(status: str) -> dict[str, object]:
    """A submission's status as a small mark: shape, words and colour say the same."""
    picture, words = _CHIPS[Submission.Status(status)]
    return {"status": status, "icon_name": picture, "words": words}


@dataclass(frozen=True, slots=True)
class Tick:
    """Where a policy rule on the label begins to fire."""

    at: float
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One emitted label in its place in the tree; level 1 to 3."""

    name: str
    level: int
    confidence: float
    ticks: tuple[Tick, ...]


@register.filter
def label_tree(analysis: Analysis) -> list[LabelRow]:
    """The emitted labels, each below its parent, surest first, with the thresholds of the policy that judged."""
    rules = analysis.policy_version.parsed()
    below: dict[str, list[Detection]] = {}
    for detection in analysis.detections.all():
        below.setdefault(detection.parent, []).append(detection)

    def grow(parent: str) -> Iterator[LabelRow]:
        for each in sorted(below.get(parent, ()), key=lambda found: -found.confidence):
            ticks = tuple(Tick(rule.min_confidence, rule.outcome) for rule in rules if rule.label == each.label)
            yield LabelRow(each.label, each.level, each.confidence, ticks)
            yield from grow(each.label)

    return list(grow(""))


@register.filter
def chief_labels(submission: Submission, most: int = 2) -> list[Detection]:
    """What the newest analysis is surest of, most specific labels only; reads what was prefetched."""
    analyses = sorted(submission.analyses.all(), key=lambda each: each.pk)
    return _most_specific(analyses[-1].detections.all())[:most] if analyses else []


@register.filter
def topics(analysis: Analysis) -> list[str]:
    """The level-1 labels found: what to expect, without detail."""
    return [found.label for found in analysis.detections.all() if found.level == 1]


@register.filter
def when(text: str | None) -> datetime | None:
    """The moment an ISO 8601 text names."""
    return datetime.fromisoformat(text) if text else None


def _most_specific(detections: Iterable[Detection]) -> list[Detection]:
    found = list(detections)
    parents = {each.parent for each in found}
    return sorted((each for each in found if each.label not in parents), key=lambda each: -each.confidence)


def _exists(url: str) -> bool:
    try:
        resolve(url)
    except Resolver404:
        return False
    return True
