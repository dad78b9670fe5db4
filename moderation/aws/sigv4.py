"""Verifies AWS Signature Version 4 (header form): botocore's own signer signs again, and the two are compared.

Nothing here knows Django.  The request's target is taken as it was sent (a decoded `%2F` would no longer verify), and
everything that decides what a request means must be under the signature: method, path, query, Host, date,
X-Amz-Target, body.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.client import HTTPMessage
from typing import Generic, Protocol, TypeVar

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.utils import normalize_url_path

from moderation.aws.errors import AwsError

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"
TIMESTAMP = "%Y%m%dT%H%M%SZ"

Headers = Sequence[tuple[str, str]]

_PARAMETER = re.compile(r"(\w+)=([^,\s]*)")
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_REGION = re.compile(r"[a-z]{2,8}(-[a-z]{2,16}){1,3}-[0-9]{1,2}")
_BASIC_FORMAT = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_PRINTABLE_TARGET = re.compile(r"/[!-\"$-~]*")
_SPACES = re.compile(" +")


class Credential(Protocol):
    """Whatever holds the secret of an access key id."""

    @property
    def secret(self) -> str:
        """The secret access key."""


C = TypeVar("C", bound=Credential)


@dataclass(frozen=True, slots=True)
class Verified(Generic[C]):
    """A request whose signature holds: whose it is, for which region and service, and the SHA-256 of its body."""

    credential: C
    access_key_id: str
    region: str
    service: str
    body_digest: str


@dataclass(frozen=True, slots=True)
class Claim:
    """What the Authorization header says, not yet believed."""

    access_key_id: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str


def verify(
    method: str,
    target: str,
    headers: Headers,
    body: bytes,
    *,
    now: datetime,
    lookup: Callable[[str], C | None],
    services: Collection[str],
    regions: Collection[str] | None = None,
    window: timedelta = timedelta(minutes=5),
) -> Verified[C]:
    """Who signed this request; AwsError when nobody did.

    `target` is path and query as sent; `services` are the names that the credential scope may carry for this request;
    `regions` those that are served (None: any well-formed one); `window` is how far the client's clock may be off;
    `lookup` finds a key by its id.
    """
    claim = read_claim(headers)
    timestamp = _timestamp(headers)
    _check_scope(claim, timestamp, services, regions)
    _check_clock(timestamp, now, window)
    _check_signed_headers(claim, headers)
    if _values(headers, "x-amz-security-token"):
        raise _unknown_client(" Session tokens are not issued here: sign with a plain access key.")
    credential = lookup(claim.access_key_id) if _KEY_ID.fullmatch(claim.access_key_id) else None
    if credential is None:
        raise _unknown_client()
    digest = _body_digest(headers, body)
    expected = _signature(claim, credential.secret, method, target, headers, timestamp, digest)
    if not hmac.compare_digest(expected.encode(), claim.signature.encode()):
        raise _mismatch()
    return Verified(credential, claim.access_key_id, claim.region, claim.service, digest)


def read_claim(headers: Headers) -> Claim:
    """The parts of the Authorization header; lenient about the commas and spaces between them."""
    found = _values(headers, "authorization")
    if not any(found):
        raise AwsError("MissingAuthenticationTokenException", "Request is missing Authentication Token")
    algorithm, _, rest = found[0].partition(" ")
    if len(found) > 1 or algorithm != ALGORITHM:
        raise _incomplete(f"Authorization must be one header that begins with the algorithm {ALGORITHM}.")
    parameters = dict(_PARAMETER.findall(rest))
    if missing := [name for name in ("Credential", "Signature", "SignedHeaders") if not parameters.get(name)]:
        raise _incomplete(" ".join(f"Authorization header requires '{name}' parameter." for name in missing))
    scope = parameters["Credential"].split("/")
    if len(scope) != 5:
        raise _incomplete("Credential must have exactly 5 slash-delimited elements: keyid/date/region/service/term.")
    if scope[4] != TERMINATOR:
        raise _refused(f"Credential should be scoped with a valid terminator: '{TERMINATOR}'.")
    signed_headers = tuple(parameters["SignedHeaders"].split(";"))
    return Claim(scope[0], scope[1], scope[2], scope[3], signed_headers, parameters["Signature"])


def _timestamp(headers: Headers) -> datetime:
    """When the client signed: X-Amz-Date, or Date where there is none."""
    try:
        if found := _values(headers, "x-amz-date"):
            if _BASIC_FORMAT.fullmatch(found[0]):
                return datetime.strptime(found[0], TIMESTAMP).replace(tzinfo=UTC)
        elif found := _values(headers, "date"):
            return parsedate_to_datetime(found[0]).astimezone(UTC)
        else:
            raise _incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    except (ValueError, OverflowError):
        pass
    raise _incomplete("Date must be in ISO-8601 'basic format', e.g. 20260131T235959Z.")


def _check_scope(claim: Claim, timestamp: datetime, services: Collection[str], regions: Collection[str] | None) -> None:
    if claim.date != timestamp.strftime("%Y%m%d"):
        raise _refused("Date in Credential scope does not match the date of X-Amz-Date.")
    if claim.service not in services:
        raise _refused(f"Credential should be scoped to correct service: '{' or '.join(sorted(services))}'.")
    known = claim.region in regions if regions is not None else _REGION.fullmatch(claim.region) is not None
    if not known:
        raise _refused("Credential should be scoped to a valid region.")


def _check_clock(timestamp: datetime, now: datetime, window: timedelta) -> None:
    signed, current = timestamp.strftime(TIMESTAMP), now.astimezone(UTC).strftime(TIMESTAMP)
    minutes = f"{window.total_seconds() / 60:g} min."
    if timestamp < now - window:
        oldest = (now - window).astimezone(UTC).strftime(TIMESTAMP)
        raise _refused(f"Signature expired: {signed} is now earlier than {oldest} ({current} - {minutes})")
    if timestamp > now + window:
        newest = (now + window).astimezone(UTC).strftime(TIMESTAMP)
        raise _refused(f"Signature not yet current: {signed} is still later than {newest} ({current} + {minutes})")


def _check_signed_headers(claim: Claim, headers: Headers) -> None:
    """Host, date and the X-Amz headers that say what the request means must be signed; what is named must be there."""
    signed = set(claim.signed_headers)
    present = {name.lower() for name, _ in headers}
    date = "x-amz-date" if "x-amz-date" in present else "date"
    needed = {"host", date} | ({"x-amz-target", "x-amz-content-sha256", "x-amz-security-token"} & present)
    if unsigned := sorted(needed - signed):
        raise _refused(f"'{unsigned[0]}' must be a 'SignedHeader' in the AWS Authorization.")
    if not signed <= present or list(claim.signed_headers) != sorted(signed):
        raise _mismatch()


def _body_digest(headers: Headers, body: bytes) -> str:
    """SHA-256 of the body, in hex; a digest that the client sent must be the same (unsigned is S3's alone)."""
    digest = hashlib.sha256(body).hexdigest()
    if any(sent != digest for sent in _values(headers, "x-amz-content-sha256")):
        raise _refused("The provided 'x-amz-content-sha256' header does not match what was computed.")
    return digest


class _Signer(SigV4Auth):
    """botocore's signer, told what to sign: its own choice of headers leaves out some that clients do sign."""

    def __init__(self, claim: Claim, secret: str, headers: Headers, body_digest: str) -> None:
        super().__init__(Credentials(claim.access_key_id, secret), claim.service, claim.region)
        self._signed = claim.signed_headers
        self._headers = headers
        self._body_digest = body_digest

    def headers_to_sign(self, request: object) -> HTTPMessage:
        return HTTPMessage()  # the two methods below know better

    def signed_headers(self, headers_to_sign: object) -> str:
        return ";".join(self._signed)

    def canonical_headers(self, headers_to_sign: object) -> str:
        return "\n".join(f"{name}:{','.join(_values(self._headers, name))}" for name in self._signed)

    def payload(self, request: object) -> str:
        return self._body_digest


def _signature(
    claim: Claim, secret: str, method: str, target: str, headers: Headers, timestamp: datetime, body_digest: str
) -> str:
    path = target.partition("?")[0]
    # Two targets or two spellings of a method must never share a signature, and botocore normalises both.
    if not _PRINTABLE_TARGET.fullmatch(target) or normalize_url_path(path) != path or method != method.upper():
        raise _mismatch()
    request = AWSRequest(method=method, url=f"http://host{target}")
    request.context["timestamp"] = timestamp.strftime(TIMESTAMP)
    signer = _Signer(claim, secret, headers, body_digest)
    return signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)


def _values(headers: Headers, name: str) -> list[str]:
    """The values of a header in canonical form: trimmed, runs of spaces made one."""
    return [_SPACES.sub(" ", value.strip(" \t")) for key, value in headers if key.lower() == name]


def _incomplete(message: str) -> AwsError:
    return AwsError("IncompleteSignatureException", message)


def _refused(message: str) -> AwsError:
    return AwsError("InvalidSignatureException", message)


def _unknown_client(hint: str = "") -> AwsError:
    return AwsError("UnrecognizedClientException", f"The security token included in the request is invalid.{hint}")


def _mismatch() -> AwsError:
    return _refused(
        "The request signature we calculated does not match the signature you provided. "
        "Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
    )
