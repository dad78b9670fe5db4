"""A request that comes again, because its answer was lost on the way, gets that answer and does nothing twice.

SDKs name each call (`amz-sdk-invocation-id`) and keep the name over their retries.  Name, operation and body together
are the key under which the submission remembers the request for `LIFETIME`; the database lets no second one be made,
also where two of them run side by side.
"""

import hashlib
import re
import time
from datetime import timedelta

from moderation.aws.errors import AwsError
from moderation.aws.protocol import Caller
from moderation.models import Analysis, IdempotencyKey

# Clients give up long before; the sweep forgets the key then.
LIFETIME = timedelta(minutes=15)
# Below the minute after which boto3 stops reading.
PATIENCE_SECONDS = 20.0
MAX_INVOCATION_ID = 128

_POLL_SECONDS = 0.05
_ATTEMPT = re.compile(r"\battempt=(\d+)")


def retry_key(invocation_id: str, action: str, body_digest: str) -> str:
    """The key of a request; empty, and the request like no other, where the client does not name its calls."""
    if not 0 < len(invocation_id) <= MAX_INVOCATION_ID:
        return ""
    said = "\n".join((invocation_id, action, body_digest))
    return f"aws:{hashlib.sha256(said.encode()).hexdigest()}"


def is_retry(amz_sdk_request: str) -> bool:
    """Whether the header (`attempt=2; max=3`) says anything but that the call is made for the first time."""
    return _ATTEMPT.findall(amz_sdk_request) != ["1"]


def begun_before(caller: Caller) -> Analysis | None:
    """The analysis that this request began when it came first, once that has ended; None when it is the first.

    One that failed is forgotten: the request may try anew.  Raises what `finished` does.
    """
    if not caller.retry_key or not caller.is_retry:
        return None
    analysis = IdempotencyKey.objects.analysis_of(caller.key, caller.retry_key)
    if analysis is None:
        return None
    if analysis.status == Analysis.Status.FAILED:
        IdempotencyKey.objects.filter(access_key=caller.key, key=caller.retry_key).delete()
        return None
    return finished(analysis)


def finished(analysis: Analysis, patience: float = PATIENCE_SECONDS) -> Analysis:
    """The analysis once whoever has it is done; ThrottlingException (500) when that takes too long or goes wrong."""
    running = (Analysis.Status.QUEUED, Analysis.Status.RUNNING)
    deadline = time.monotonic() + patience
    while analysis.status in running and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        analysis.refresh_from_db()
    if analysis.status != Analysis.Status.SUCCEEDED:
        raise overloaded()
    return analysis


def overloaded() -> AwsError:
    """ThrottlingException (500): clients come again."""
    return AwsError("ThrottlingException", "Service Unavailable", status=500)
