"""Accepting what people send: size, type, does it decode, hash, store.  The first step of every path."""

import hashlib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction

from moderation.decoding.image import Decoded, decode
from moderation.decoding.types import Limits, MediaInfo
from moderation.models import AccessKey, Account, Analysis, Blob, IdempotencyKey, Policy, Submission, User

# Enough for every network of the engine; one decode serves them all.
DECODE_SHORT_SIDE = 640
MAX_METADATA_BYTES = 16_384


class IntakeError(Exception):
    """A request is refused: `code` is stable, `field` names the input, the message names the limit."""

    def __init__(self, code: str, message: str, field: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field


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


def limits() -> Limits:
    """The installation's limits on pictures."""
    return Limits(
        max_side=settings.IMAGE_MAX_SIDE, min_side=settings.IMAGE_MIN_SIDE, max_pixels=settings.IMAGE_MAX_PIXELS
    )


def accept(sender: Sender, data: bytes, wishes: Wishes = Wishes(), *, keep: bool = True) -> Accepted:
    """Check a picture and write Submission and Analysis(QUEUED); nothing is written when it is refused.

    With `keep` False the bytes are not stored, only their digest.  The same Idempotency-Key again returns the first
    submission.  Raises IntakeError (policy, size), IdempotencyMismatch, MediaError (not a picture we take).
    """
    _check_size(data)
    policy = _policy(sender.account, wishes.policy)
    digest = hashlib.sha256(data).hexdigest()
    request_digest = _request_digest(digest, wishes)
    if earlier := _replay(sender, wishes, request_digest):
        return earlier
    decoded = decode(data, limits(), DECODE_SHORT_SIDE)
    # The file is written before the rows that name it: a crash between the two leaves a file too many, never a row
    # without its file.
    name = store(sender.account, data, digest, decoded.info) if keep else ""
    try:
        with transaction.atomic():
            submission = _record(sender, wishes, policy, digest, decoded.info, len(data), name)
            if wishes.idempotency_key and sender.access_key:
                IdempotencyKey.objects.create(
                    access_key=sender.access_key,
                    key=wishes.idempotency_key,
                    request_digest=request_digest,
                    submission=submission,
                )
            analysis = submission.analyses.create(policy_version=policy.current())
    except IntegrityError:
        # Two requests with one Idempotency-Key ran side by side and the other was first.
        if earlier := _replay(sender, wishes, request_digest):
            return earlier
        raise
    return Accepted(submission, analysis, decoded)


def store(account: Account, data: bytes, digest: str, info: MediaInfo) -> str:
    """Put the bytes under a name made from their digest and return it; the same bytes again are the same file."""
    name = f"blobs/{account.pk}/{digest[:2]}/{digest}.{'png' if info.format == 'PNG' else 'jpg'}"
    if not default_storage.exists(name):
        default_storage.save(name, ContentFile(data))
    return name


def keep_picture(submission: Submission, data: bytes, info: MediaInfo) -> None:
    """Store the bytes of a submission accepted without them: people are going to look at it."""
    name = store(submission.account, data, submission.media_digest, info)
    submission.blob = _blob(submission.account, submission.media_digest, len(data), info, name)
    submission.save(update_fields=["blob"])


def clean_filename(name: str) -> str:
    """A name fit to be shown, never used as a path: the last part, no control characters, at most 255 characters."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(c for c in unicodedata.normalize("NFC", last) if unicodedata.category(c)[0] != "C")
    return kept[:255]


def _record(
    sender: Sender, wishes: Wishes, policy: Policy, digest: str, info: MediaInfo, size: int, name: str
) -> Submission:
    return Submission.objects.create(
        account=sender.account,
        blob=_blob(sender.account, digest, size, info, name) if name else None,
        policy=policy,
        uploader=sender.user,
        access_key=sender.access_key,
        source=sender.source,
        filename=clean_filename(wishes.filename),
        external_id=wishes.external_id,
        metadata=dict(wishes.metadata),
        media_digest=digest,
        media_size=size,
        media_format=info.format,
        width=info.width,
        height=info.height,
    )


def _blob(account: Account, digest: str, size: int, info: MediaInfo, name: str) -> Blob:
    media_type = "image/png" if info.format == "PNG" else "image/jpeg"
    blob, _ = Blob.objects.get_or_create(
        account=account, sha256=digest, defaults={"size": size, "media_type": media_type, "name": name}
    )
    return blob


def _check_size(data: bytes) -> None:
    if len(data) > settings.UPLOAD_MAX_BYTES:
        raise IntakeError(
            "too_large", f"The file has {len(data)} bytes; at most {settings.UPLOAD_MAX_BYTES} are accepted.", "file"
        )


def _policy(account: Account, name: str) -> Policy:
    if not name:
        return Policy.objects.default_for(account)
    policy = Policy.objects.filter(account=account, name=name).first()
    if policy is None or not policy.versions.exists():
        raise IntakeError("unknown_policy", "There is no policy of that name in this account.", "policy")
    return policy


def _request_digest(digest: str, wishes: Wishes) -> str:
    said = repr((digest, wishes.policy, wishes.external_id, sorted(wishes.metadata.items())))
    return hashlib.sha256(said.encode()).hexdigest()


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
