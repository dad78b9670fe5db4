"""Where files are kept: the media storage, and the buckets that an account's S3 references may name.

A bucket without an endpoint is a folder, DATA_DIR/buckets/ACCOUNT/NAME, and its objects are plain files there; any
other is on an S3 server.  Besides, every account has the bucket `media_bucket()`, read only: its own stored pictures.
"""

import hashlib
import os
import re
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NoReturn, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.base import File
from django.core.files.storage import FileSystemStorage, default_storage

from moderation.models import Account, Bucket

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

MAX_KEY_BYTES = 1024
# What a file system takes as one name.  A longer part of a key is cut, and told apart by a digest of the whole.
_MAX_NAME_BYTES = 255
_TIMEOUT_SECONDS = 10

_S3_URI = re.compile(r"s3://([^/]+)/?(.*)", re.DOTALL)
_PATH_STYLE = re.compile(r"https://s3[.a-z0-9-]*\.amazonaws\.com(?:\.cn)?/([^/]+)/?(.*)", re.DOTALL)
_HOST_STYLE = re.compile(r"https://([^/]+)\.s3[.a-z0-9-]*\.amazonaws\.com(?:\.cn)?/?(.*)", re.DOTALL)


class WholeFileStorage(FileSystemStorage):
    """Files on this machine that are there whole or not at all.

    Django writes into the final name: whoever looks meanwhile, or after a crash, meets half a file.  This writes beside
    it, to the disk itself, and renames.  An object store does the same of its own accord.
    """

    def _save(self, name: str, content: File[bytes]) -> str:
        path = Path(self.path(name))
        path.parent.mkdir(self.directory_permissions_mode or 0o777, parents=True, exist_ok=True)
        descriptor, part = tempfile.mkstemp(dir=path.parent, prefix=".part-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                for chunk in content.chunks():
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            if self.file_permissions_mode is not None:
                Path(part).chmod(self.file_permissions_mode)
            Path(part).replace(path)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise
        return name


class StorageError(Exception):
    """A bucket or an object of it cannot be used; the message names it and may be shown to whoever asked."""


class LocationInvalid(StorageError):
    """No S3 address, or a key that no object may have."""


class BucketNotFound(StorageError):
    """The account has no bucket of that name."""


class AccessDenied(StorageError):
    """The bucket may not be read, or not be written."""


class ObjectNotFound(StorageError):
    """The bucket has no such object, or not in that version."""


class ObjectTooLarge(StorageError):
    """The object has more bytes than the caller takes."""


class StorageUnavailable(StorageError):
    """The store did not answer, or not as it should; later it may."""


@dataclass(frozen=True, slots=True)
class Location:
    """Where an object lies."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    def below(self, name: str) -> "Location":
        """The object `name` under this one as a prefix."""
        return Location(self.bucket, f"{self.key.rstrip('/')}/{name}" if self.key else name)


def locate(uri: str) -> Location:
    """Take apart s3://bucket/key, or S3's own https form of it; LocationInvalid otherwise.  The key may be empty."""
    match = _S3_URI.fullmatch(uri) or _PATH_STYLE.fullmatch(uri) or _HOST_STYLE.fullmatch(uri)
    if match is None:
        raise LocationInvalid(f"{_shown(uri)} is no S3 address such as s3://bucket/key.")
    return Location(match[1], match[2])


def media_bucket() -> str:
    """The name under which every account finds its stored pictures, by the names of their blobs."""
    return str(settings.MEDIA_BUCKET)


def make_bucket(account: Account, name: str) -> Bucket:
    """The account's bucket of that name; made as a folder where there is none.  LocationInvalid for an unfit name."""
    existing = Bucket.objects.filter(account=account, name=name).first()
    if existing is not None:
        return existing
    if name == media_bucket():
        raise LocationInvalid(f"The bucket {name} is kept for stored pictures.")
    bucket = Bucket(account=account, name=name)
    try:
        bucket.clean_fields()
    except ValidationError:
        raise LocationInvalid(f"{_shown(name)} is no name for a bucket.") from None
    return Bucket.objects.get_or_create(account=account, name=name)[0]


def read(account: Account, bucket: str, key: str, version: str | None = None, limit: int | None = None) -> bytes:
    """The bytes of an object, at most `limit` of them: of a larger one none is fetched.

    Raises LocationInvalid, BucketNotFound, AccessDenied, ObjectNotFound, ObjectTooLarge, StorageUnavailable.
    """
    where = _checked(Location(bucket, key))
    data = _store(account, where, writing=False).get(where, version, limit)
    _check_size(where, len(data), limit)
    return data


def write(account: Account, uri: str, data: bytes | BinaryIO) -> str:
    """Put an object, whole or not at all, in place of any there was; returns its s3:// address.

    Raises LocationInvalid, BucketNotFound, AccessDenied, StorageUnavailable.
    """
    where = _checked(locate(uri))
    _store(account, where, writing=True).put(where, BytesIO(data) if isinstance(data, bytes) else data)
    return str(where)


class _Store(Protocol):
    """A place of objects."""

    def get(self, where: Location, version: str | None, limit: int | None) -> bytes:
        """The bytes; may give up early beyond `limit` of them."""

    def put(self, where: Location, data: BinaryIO) -> None:
        """Write them all."""


def _store(account: Account, where: Location, *, writing: bool) -> _Store:
    if where.bucket == media_bucket():
        return _Pictures(account)
    bucket = Bucket.objects.filter(account=account, name=where.bucket).first()
    if bucket is None:
        raise BucketNotFound(f"There is no bucket {_shown(where.bucket)}.")
    if not (bucket.can_write if writing else bucket.can_read):
        raise AccessDenied(f"The bucket {bucket.name} may not be {'written' if writing else 'read'}.")
    return _Server(_client(bucket)) if bucket.endpoint_url else _Folder(bucket)


class _Folder:
    """A bucket of plain files."""

    def __init__(self, bucket: Bucket) -> None:
        location = settings.DATA_DIR / "buckets" / bucket.account_id / bucket.name
        self.files = WholeFileStorage(location, file_permissions_mode=0o600)

    def get(self, where: Location, version: str | None, limit: int | None) -> bytes:
        if version is not None:
            raise ObjectNotFound(f"{_shown(where)} has no version {_shown(version)}: the bucket keeps none.")
        try:
            with Path(self.files.path(_file_name(where.key))).open("rb") as file:
                _check_size(where, os.fstat(file.fileno()).st_size, limit)
                return file.read(-1 if limit is None else limit + 1)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise ObjectNotFound(f"There is no object {_shown(where)}.") from None
        except OSError as error:
            raise StorageUnavailable(f"{_shown(where)} cannot be read: {error.strerror}.") from error

    def put(self, where: Location, data: BinaryIO) -> None:
        try:
            self.files._save(_file_name(where.key), File(data))
        except (FileExistsError, IsADirectoryError, NotADirectoryError):
            raise LocationInvalid(f"{_shown(where)} is a folder here, or lies in what is a file.") from None
        except OSError as error:
            raise StorageUnavailable(f"{_shown(where)} cannot be written: {error.strerror}.") from error


class _Pictures:
    """The stored pictures of one account."""

    def __init__(self, account: Account) -> None:
        self.prefix = f"blobs/{account.pk}/"

    def get(self, where: Location, version: str | None, limit: int | None) -> bytes:
        try:
            if version is None and where.key.startswith(self.prefix):
                with default_storage.open(where.key) as file:
                    return bytes(file.read(-1 if limit is None else limit + 1))
        except FileNotFoundError:
            pass
        except (OSError, BotoCoreError, ClientError) as error:
            raise StorageUnavailable(f"{_shown(where)} cannot be read.") from error
        raise ObjectNotFound(f"There is no object {_shown(where)}.")

    def put(self, where: Location, data: BinaryIO) -> None:
        raise AccessDenied(f"The bucket {where.bucket} may not be written.")


class _Server:
    """A bucket on an S3 server."""

    def __init__(self, client: "S3Client") -> None:
        self.client = client

    def get(self, where: Location, version: str | None, limit: int | None) -> bytes:
        wanted = {"VersionId": version} if version is not None else {}
        try:
            answer = self.client.get_object(Bucket=where.bucket, Key=where.key, **wanted)  # type: ignore[arg-type]
            with answer["Body"] as body:
                _check_size(where, answer["ContentLength"], limit)
                return body.read() if limit is None else body.read(limit + 1)
        except (BotoCoreError, ClientError) as error:
            _translate(error, where)

    def put(self, where: Location, data: BinaryIO) -> None:
        try:
            self.client.put_object(Bucket=where.bucket, Key=where.key, Body=data)
        except (BotoCoreError, ClientError) as error:
            _translate(error, where)


def _check_size(where: Location, size: int, limit: int | None) -> None:
    if limit is not None and size > limit:
        raise ObjectTooLarge(f"{_shown(where)} has more than {limit} bytes.")


def _translate(error: BotoCoreError | ClientError, where: Location) -> NoReturn:
    code = error.response.get("Error", {}).get("Code", "") if isinstance(error, ClientError) else ""
    if code == "NoSuchBucket":
        raise BucketNotFound(f"The store has no bucket {where.bucket}.") from error
    if code in ("NoSuchKey", "NoSuchVersion", "404", "MethodNotAllowed"):
        raise ObjectNotFound(f"There is no object {_shown(where)}.") from error
    if code in ("AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch"):
        raise AccessDenied(f"The store refuses access to {_shown(where)}.") from error
    if code in ("InvalidArgument", "NoSuchVersionException", "KeyTooLongError"):
        raise LocationInvalid(f"The store does not take {_shown(where)}: {code}.") from error
    raise StorageUnavailable(f"The store of the bucket {where.bucket} does not answer as it should.") from error


def _client(bucket: Bucket) -> "S3Client":
    return _cached_client(bucket.endpoint_url, bucket.region, bucket.access_key_id, bucket.secret_access_key)


@lru_cache(maxsize=32)
def _cached_client(endpoint: str, region: str, key_id: str, secret: str) -> "S3Client":
    config = Config(
        connect_timeout=_TIMEOUT_SECONDS,
        read_timeout=_TIMEOUT_SECONDS,
        retries={"total_max_attempts": 2, "mode": "standard"},
        s3={"addressing_style": "path"},
        # Not every S3 server knows the checksums that newer clients add unasked.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return boto3.client(
        "s3",
        region_name=region,
        endpoint_url=endpoint,
        aws_access_key_id=key_id or None,
        aws_secret_access_key=secret or None,
        config=config,
    )


def _checked(where: Location) -> Location:
    """Refuse keys that no store takes."""
    size = len(where.key.encode("utf-8", "surrogatepass"))
    if not where.key or size > MAX_KEY_BYTES:
        raise LocationInvalid(f"An object key has 1 to {MAX_KEY_BYTES} bytes, not {size}.")
    if any(ord(c) < 32 or ord(c) == 127 or "\ud800" <= c <= "\udfff" for c in where.key):
        raise LocationInvalid("An object key must not hold control characters or half surrogates.")
    if {".", ".."} & set(where.key.split("/")):
        # Some S3 servers and proxies walk along such parts, into another bucket that the credentials open.
        raise LocationInvalid(f"The object key {_shown(where.key)} must not have parts that are '.' or '..'.")
    return where


def _file_name(key: str) -> str:
    """The (checked) key as a path inside a bucket's folder; LocationInvalid where it is no path."""
    if "" in key.split("/"):
        raise LocationInvalid(f"The object key {_shown(key)} must not have parts that are empty.")
    return "/".join(map(_short, key.split("/")))


def _short(part: str) -> str:
    encoded = part.encode()
    if len(encoded) <= _MAX_NAME_BYTES:
        return part
    digest = hashlib.sha256(encoded).hexdigest()
    return f"{encoded[: _MAX_NAME_BYTES - 65].decode(errors='ignore')}~{digest}"


def _shown(text: object) -> str:
    whole = str(text)
    return repr(whole if len(whole) <= 100 else f"{whole[:100]}…")
