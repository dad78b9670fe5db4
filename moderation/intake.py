"""Accepting what people send: size, type, does it decode, hash, store.  The first step of every path."""

import hashlib
import json
import math
import unicodedata
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction
from django.utils import timezone

from moderation.decoding.image import Decoded, decode
from moderation.decoding.types import Limits, MediaInfo
from moderation.models import (
    AccessKey,
    Account,
    Analysis,
    Blob,
    IdempotencyKey,
    Policy,
    PolicyVersion,
    Submission,
    User,
)

# Enough for every network of the engine; one decode serves them all.
DECODE_SHORT_SIDE = 640
MAX_POLICY_NAME = 120
MAX_EXTERNAL_ID = 200
MAX_IDEMPOTENCY_KEY = 255
MAX_METADATA_BYTES = 16_384
MAX_METADATA_DEPTH = 20


class IntakeError(Exception):
    """A request is refused: `code` is stable, `field` names the input, message and `limit` the bound that it broke."""

    def __init__(self, code: str, message: str, field: str, limit: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.limit = limit


class IdempotencyMismatch(IntakeError):
    """The Idempotency-Key was used before with another request."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends, and through which door."""

    account: Account
    source: Submission.Source
    user: User | None = None
    access_key: AccessKey | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """A stored submission, its queued analysis, and the picture where it was decoded just now."""

    submission: Submission
    analysis: Analysis
    decoded: Decoded | None
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a sender may say about a file."""

    filename: str = ""
    policy: str = ""
    external_id: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    idempotency_key: str = ""
    key_lifetime: timedelta | None = None  # how long the key is remembered; None: always
    submission_id: uuid.UUID | None = None  # made by the browser: a resent upload is the same one


def limits() -> Limits:
    """The installation's limits on pictures."""
    return Limits(
        max_side=settings.IMAGE_MAX_SIDE, min_side=settings.IMAGE_MIN_SIDE, max_pixels=settings.IMAGE_MAX_PIXELS
    )


def accept(
    sender: Sender, data: bytes, wishes: Wishes = Wishes(), *, keep: bool = True, at_once: bool = False
) -> Accepted:
    """Check a picture and write Submission and Analysis(QUEUED); nothing is written when it is refused.

    With `keep` False the bytes are not stored, only their digest.  With `at_once` the analysis is RUNNING, in the hands
    of the caller, for `pipeline.moderate_started`.  The same Idempotency-Key again returns the first submission.
    Raises IntakeError (size, wishes), IdempotencyMismatch, MediaError (not a picture we take).
    """
    check_size(len(data))
    _check_wishes(wishes)
    version = _judging(sender.account, wishes.policy)
    digest = hashlib.sha256(data).hexdigest()
    request_digest = _request_digest(digest, wishes)
    # Who analyses at once has looked before, or never sends a key again: the table's own uniqueness is enough.
    if not at_once and (earlier := _earlier(sender, wishes, digest, request_digest)):
        return earlier
    decoded = decode(data, limits(), DECODE_SHORT_SIDE)
    blob = store(sender.account, data, digest, decoded.info) if keep else None
    try:
        with transaction.atomic():
            submission = _record(sender, wishes, version.policy, digest, decoded.info, len(data), blob, at_once)
            _remember(sender, wishes, request_digest, submission)
            make = Analysis.objects.create_started if at_once else Analysis.objects.create
            analysis = make(submission=submission, policy_version=version)
    except IntegrityError:
        # Two requests with one Idempotency-Key ran side by side and the other was first.
        if earlier := _earlier(sender, wishes, digest, request_digest):
            return earlier
        raise
    return Accepted(submission, analysis, decoded)


def store(account: Account, data: bytes, digest: str, info: MediaInfo) -> Blob:
    """Keep the bytes under a name made from their digest; the same bytes again are the same row and the same file.

    The row is committed before the file: it keeps the sweep away while the submission that needs it is being written,
    and leads the sweep to the file when that never happens.
    """
    name = f"blobs/{account.pk}/{digest[:2]}/{digest}.{'png' if info.format == 'PNG' else 'jpg'}"
    made = {"size": len(data), "media_type": info.content_type, "name": name}
    blob, _ = Blob.objects.update_or_create(
        account=account, sha256=digest, defaults={"wanted_at": timezone.now()}, create_defaults=made
    )
    if not default_storage.exists(name):
        default_storage.save(name, ContentFile(data))
    return blob


def keep_picture(submission: Submission, data: bytes, info: MediaInfo) -> None:
    """Store the bytes of a submission accepted without them: people are going to look at it."""
    submission.blob = store(submission.account, data, submission.media_digest, info)
    submission.save(update_fields=["blob"])


def clean_filename(name: str) -> str:
    """A name fit to be shown, never used as a path: the last part, no control characters, at most 255 characters."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(c for c in unicodedata.normalize("NFC", last) if unicodedata.category(c)[0] != "C")
    return kept[:255]


def _record(
    sender: Sender,
    wishes: Wishes,
    policy: Policy,
    digest: str,
    info: MediaInfo,
    size: int,
    blob: Blob | None,
    at_once: bool,
) -> Submission:
    return Submission.objects.create(
        id=wishes.submission_id or uuid.uuid4(),
        account=sender.account,
        blob=blob,
        policy=policy,
        uploader=sender.user,
        access_key=sender.access_key,
        source=sender.source,
        status=Submission.Status.ANALYZING if at_once else Submission.Status.QUEUED,
        filename=clean_filename(wishes.filename),
        external_id=wishes.external_id,
        metadata=dict(wishes.metadata),
        media_digest=digest,
        media_size=size,
        media_format=info.format,
        width=info.width,
        height=info.height,
    )


def check_size(size: int) -> None:
    """Refuse a file of more bytes than the installation takes; also for those who have not read it yet."""
    most = settings.UPLOAD_MAX_BYTES
    if size > most:
        raise IntakeError("too_large", f"The file has {size} bytes; at most {most} are accepted.", "file", most)


def _check_wishes(wishes: Wishes) -> None:
    _check_text("policy", wishes.policy, MAX_POLICY_NAME)
    _check_text("external_id", wishes.external_id, MAX_EXTERNAL_ID)
    _check_text("Idempotency-Key", wishes.idempotency_key, MAX_IDEMPOTENCY_KEY)
    _check_json("metadata", wishes.metadata)
    size = len(json.dumps(wishes.metadata, ensure_ascii=False).encode())
    if size > MAX_METADATA_BYTES:
        message = f"The metadata has {size} bytes; at most {MAX_METADATA_BYTES} are accepted."
        raise IntakeError("metadata_too_large", message, "metadata", MAX_METADATA_BYTES)


def _check_text(field: str, text: str, most: int) -> None:
    if len(text) > most:
        message = f"This has {len(text)} characters; at most {most} are accepted."
        raise IntakeError("max_length", message, field, most)
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise IntakeError("invalid_characters", "Control characters are not accepted.", field)


def _check_json(field: str, value: object, depth: int = 0) -> None:
    """Refuse what PostgreSQL cannot keep as JSON (NUL, half surrogates, NaN, infinity) and nesting without end."""
    if depth > MAX_METADATA_DEPTH:
        message = f"At most {MAX_METADATA_DEPTH} levels of nesting are accepted."
        raise IntakeError("too_deep", message, field, MAX_METADATA_DEPTH)
    if isinstance(value, str) and any(c == "\0" or unicodedata.category(c) == "Cs" for c in value):
        raise IntakeError("invalid_characters", "NUL and half surrogates are not accepted.", field)
    if isinstance(value, float) and not math.isfinite(value):
        raise IntakeError("invalid_number", "NaN and infinite numbers are not accepted.", field)
    if isinstance(value, Mapping):
        value = [*value, *value.values()]
    for inner in value if isinstance(value, list) else ():
        _check_json(field, inner, depth + 1)


def _judging(account: Account, policy_name: str) -> PolicyVersion:
    version = PolicyVersion.objects.judging(account, policy_name)
    if version is None and policy_name:
        raise IntakeError("unknown_policy", "There is no policy of that name in this account.", "policy")
    return version or Policy.objects.default_for(account).current()


def _remember(sender: Sender, wishes: Wishes, request_digest: str, submission: Submission) -> None:
    if wishes.idempotency_key and sender.access_key:
        IdempotencyKey.objects.create(
            access_key=sender.access_key,
            key=wishes.idempotency_key,
            request_digest=request_digest,
            submission=submission,
            expires_at=timezone.now() + wishes.key_lifetime if wishes.key_lifetime else None,
        )


def _request_digest(digest: str, wishes: Wishes) -> str:
    said = repr((digest, wishes.policy, wishes.external_id, sorted(wishes.metadata.items())))
    return hashlib.sha256(said.encode()).hexdigest()


def _earlier(sender: Sender, wishes: Wishes, digest: str, request_digest: str) -> Accepted | None:
    return _replay(sender, wishes, request_digest) or _resent(sender, wishes, digest)


def _replay(sender: Sender, wishes: Wishes, request_digest: str) -> Accepted | None:
    if not (wishes.idempotency_key and sender.access_key):
        return None
    earlier = (
        IdempotencyKey.objects.filter(access_key=sender.access_key, key=wishes.idempotency_key)
        .select_related("submission__account")
        .first()
    )
    if earlier is None:
        return None
    if earlier.request_digest != request_digest:
        raise IdempotencyMismatch(
            "idempotency_mismatch", "This Idempotency-Key was used before with another request.", "Idempotency-Key"
        )
    analysis = earlier.submission.analyses.order_by("pk").first()
    return Accepted(earlier.submission, analysis, None, replayed=True) if analysis else None


def _resent(sender: Sender, wishes: Wishes, digest: str) -> Accepted | None:
    if wishes.submission_id is None:
        return None
    earlier = Submission.objects.filter(pk=wishes.submission_id).select_related("account", "uploader").first()
    if earlier is None:
        return None
    if (earlier.account_id, earlier.uploader, earlier.media_digest) != (sender.account.pk, sender.user, digest):
        raise IdempotencyMismatch("upload_id_taken", "This upload was sent before with another file.", "upload_id")
    analysis = earlier.analyses.order_by("pk").first()
    return Accepted(earlier, analysis, None, replayed=True) if analysis else None
