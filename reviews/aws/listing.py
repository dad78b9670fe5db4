"""Lists in pages: sorted, filtered by creation time, with tokens that fit only the very query they were given for."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from django.core import signing
from django.db.models import Model, Q, QuerySet

from moderation.aws.protocol import Caller
from reviews.aws.resources import invalid

DEFAULT_PAGE = 100

M = TypeVar("M", bound=Model)

_SALT = "reviews.aws.listing"
_PAGING = ("NextToken", "MaxResults")


def page(
    caller: Caller,
    operation: str,
    rows: QuerySet[M],
    request: Mapping[str, object],
    *,
    by: str = "created_at",
    descending: bool = True,
) -> tuple[list[M], str | None]:
    """One page of the rows, and the token of the next one, if there is one.

    Sorted by `created_at` or `name`; names are unique among the rows, so that the order is.  SortOrder goes before
    `descending`.  ValidationException for a token that was not given for this query of this caller.
    """
    descending = request.get("SortOrder", "Descending" if descending else "Ascending") == "Descending"
    fields = list(dict.fromkeys((by, "name")))
    if token := request.get("NextToken"):
        rows = rows.filter(_beyond(fields, _position(str(token), _fingerprint(caller, operation, request)), descending))
    limit = int(str(request.get("MaxResults", DEFAULT_PAGE)))
    found = list(rows.order_by(*(f"-{field}" if descending else field for field in fields))[: limit + 1])
    if len(found) <= limit:
        return found, None
    last = [getattr(found[limit - 1], field) for field in fields]
    return found[:limit], _token(last, _fingerprint(caller, operation, request))


def created_within(rows: QuerySet[M], request: Mapping[str, object]) -> QuerySet[M]:
    """The rows created at or after CreationTimeAfter, and before CreationTimeBefore, as `shown`."""
    after, before = request.get("CreationTimeAfter"), request.get("CreationTimeBefore")
    if isinstance(after, datetime):
        rows = rows.filter(created_at__gte=_next_millisecond(after))
    if isinstance(before, datetime):
        rows = rows.filter(created_at__lt=_next_millisecond(before))
    return rows


def shown(moment: datetime) -> datetime:
    """The moment as clients get it: in whole milliseconds, so that what they send back means what they saw."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _next_millisecond(moment: datetime) -> datetime:
    """The first whole millisecond that is not before the moment."""
    rest = moment.microsecond % 1000
    try:
        return moment + timedelta(microseconds=1000 - rest) if rest else moment
    except OverflowError:
        return moment


def _beyond(fields: Sequence[str], values: Sequence[object], descending: bool) -> Q:
    """What comes after these values of these fields."""
    beyond, before = Q(), Q()
    for field, value in zip(fields, values, strict=True):
        beyond |= before & Q(**{f"{field}__{'lt' if descending else 'gt'}": value})
        before &= Q(**{field: value})
    return beyond


def _fingerprint(caller: Caller, operation: str, request: Mapping[str, object]) -> str:
    """Of who asks for what: all members count but those of the paging itself."""
    asked = {name: str(value) for name, value in request.items() if name not in _PAGING}
    said = json.dumps([caller.account_id, caller.region, operation, asked], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:32]


def _token(values: Sequence[object], fingerprint: str) -> str:
    texts = [value.isoformat() if isinstance(value, datetime) else value for value in values]
    return signing.dumps([fingerprint, *texts], salt=_SALT)


def _position(token: str, fingerprint: str) -> list[str]:
    try:
        given_for, *values = signing.loads(token, salt=_SALT)
    except signing.BadSignature:
        raise invalid("Invalid NextToken") from None
    if given_for != fingerprint:
        raise invalid("Invalid NextToken: it was given for another query")
    return list(values)
