"""Errors as AWS clients expect them: a code, a sentence, an HTTP status.

An operation raises `AwsError` with a code from its own list in botocore's model, or one that every operation may
answer with (`COMMON_CODES`).  How the error is written depends on the service, see `protocol.Service.write_error`.
"""

from collections.abc import Iterable

# Answered by the service framework itself, whatever the operation: signatures, shapes, rates, permissions.
COMMON_CODES = frozenset(
    {
        "AccessDeniedException",
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "RequestEntityTooLargeException",
        "SerializationException",
        "ServiceUnavailableException",
        "ThrottlingException",
        "UnknownOperationException",
        "UnrecognizedClientException",
        "ValidationException",
    }
)


class AwsError(Exception):
    """An answer that is an error.

    `status` is the HTTP status where it differs from what the service uses for that code; `members` are further
    members of the error's shape (HumanLoopQuotaExceededException has ResourceType, QuotaCode and ServiceCode).
    """

    def __init__(self, code: str, message: str, *, status: int | None = None, **members: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.members = members


def validation_failed(sentences: Iterable[str]) -> AwsError:
    """ValidationException for constraints of the model, each told in one sentence."""
    found = list(sentences)
    noun = "error" if len(found) == 1 else "errors"
    return AwsError("ValidationException", f"{len(found)} validation {noun} detected: {'; '.join(found)}")


def not_understood(message: str) -> AwsError:
    """SerializationException: the body is no JSON, or a member has the wrong JSON type."""
    return AwsError("SerializationException", message)


def access_denied(arn: str, action: str, resource: str) -> AwsError:
    """AccessDeniedException in the wording that clients search for."""
    return AwsError(
        "AccessDeniedException", f"User: {arn} is not authorized to perform: {action} on resource: {resource}"
    )
