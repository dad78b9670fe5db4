"""Pictures that a request names by S3Object: an object of one of the account's buckets."""

import logging
from typing import NotRequired, TypedDict

from django.conf import settings

from moderation import storage
from moderation.aws import access_policy, arns
from moderation.aws.errors import AwsError
from moderation.aws.protocol import Caller

logger = logging.getLogger(__name__)

# Both word for word: clients match on them.
_NO_METADATA = "Unable to get object metadata from S3. Check object key, region and/or access permissions."
_INVALID = "Request has invalid S3 object."


class S3Object(TypedDict):
    """An object in one of the account's buckets."""

    Bucket: NotRequired[str]
    Name: NotRequired[str]
    Version: NotRequired[str]


def read(caller: Caller, where: S3Object) -> bytes:
    """The object's bytes, at most UPLOAD_MAX_BYTES; its size is known before they are fetched.

    What is missing, forbidden or out of reach is one InvalidS3ObjectException: the answer must not tell which buckets
    and objects there are.  The log does.  Raises ImageTooLargeException too.
    """
    bucket, key, version = where.get("Bucket", ""), where.get("Name", ""), where.get("Version")
    if not bucket or not key:
        raise AwsError("InvalidS3ObjectException", _INVALID)
    action = "s3:GetObjectVersion" if version else "s3:GetObject"
    if not access_policy.permits(caller.key.policy, action, arns.object_arn(caller.region, bucket, key)):
        raise AwsError("InvalidS3ObjectException", _NO_METADATA)
    try:
        return storage.read(caller.key.account, bucket, key, version, limit=settings.UPLOAD_MAX_BYTES)
    except storage.ObjectTooLarge:
        raise AwsError("ImageTooLargeException", "Image size is too large") from None
    except storage.LocationInvalid:
        raise AwsError("InvalidS3ObjectException", _INVALID) from None
    except storage.StorageError as error:
        logger.info("request %s: %s", caller.request_id, error)
        raise AwsError("InvalidS3ObjectException", _NO_METADATA) from None
