"""The rows of the moderation app."""

from moderation.models.access import AccessKey, Account, IssuedKey, User
from moderation.models.analysis import Analysis, ContentType, Detection
from moderation.models.audit import AuditEntry
from moderation.models.bucket import Bucket
from moderation.models.outbox import EVENTS, DeliveryAttempt, OutboxMessage, WebhookEndpoint
from moderation.models.policy import Policy, PolicyVersion
from moderation.models.submission import Blob, IdempotencyKey, Submission, Verdict

__all__ = [
    "EVENTS",
    "AccessKey",
    "Account",
    "Analysis",
    "AuditEntry",
    "Blob",
    "Bucket",
    "ContentType",
    "DeliveryAttempt",
    "Detection",
    "IdempotencyKey",
    "IssuedKey",
    "OutboxMessage",
    "Policy",
    "PolicyVersion",
    "Submission",
    "User",
    "Verdict",
    "WebhookEndpoint",
]
