"""Amazon Resource Names of what this product owns: made from, and taken apart into, their parts.

The account and the region of an ARN say where to look, never whether the caller may: compare them with the caller's
own.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn

# `cn-north-1` gives `arn:aws-cn:…`; the first prefix that fits decides.
_PARTITIONS = (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov"), ("us-isob-", "aws-iso-b"), ("us-iso-", "aws-iso"))

_PREFIX = r"arn:aws[a-z-]*:{service}:(?P<region>[a-z0-9-]{{1,32}}):(?P<account_id>[0-9]{{12}}):"
_NAME = r"[a-zA-Z0-9-]{1,63}"
_PROJECT_NAME = r"[a-zA-Z0-9_.\-]{1,255}"
_CREATED = r"(?P<created_ms>[1-9][0-9]{0,17})"


class ArnError(ValueError):
    """The text is no ARN of the kind asked for."""


class Kind(StrEnum):
    """The SageMaker resources, each by what its ARN says before the name."""

    FLOW_DEFINITION = "flow-definition"
    HUMAN_LOOP = "human-loop"
    HUMAN_TASK_UI = "human-task-ui"
    WORKTEAM = "workteam/private-crowd"


_RESOURCE = {
    kind: re.compile(_PREFIX.format(service="sagemaker") + f"{kind}/(?P<name>{_NAME})", re.ASCII) for kind in Kind
}
_PROJECT = re.compile(_PREFIX.format(service="rekognition") + f"project/(?P<name>{_PROJECT_NAME})/{_CREATED}", re.ASCII)
_PROJECT_VERSION = re.compile(
    _PREFIX.format(service="rekognition")
    + f"project/(?P<project>{_PROJECT_NAME})/version/(?P<name>{_PROJECT_NAME})/{_CREATED}",
    re.ASCII,
)


def partition_of(region: str) -> str:
    """The partition a region belongs to: `aws`, `aws-cn`, `aws-us-gov`, …"""
    return next((partition for prefix, partition in _PARTITIONS if region.startswith(prefix)), "aws")


def user_arn(region: str, account_id: str, name: str) -> str:
    """The identity behind an access key, as AccessDeniedException names it (identities have no region)."""
    return f"arn:{partition_of(region)}:iam::{account_id}:user/{name}"


def object_arn(region: str, bucket: str, key: str) -> str:
    """An object in a bucket, as policies name it (buckets have neither region nor account there)."""
    return f"arn:{partition_of(region)}:s3:::{bucket}/{key}"


@dataclass(frozen=True, slots=True)
class ResourceArn:
    """A flow definition, human loop, task UI or work team: unique by account, region and name."""

    kind: Kind
    region: str
    account_id: str
    name: str

    def __str__(self) -> str:
        return f"arn:{partition_of(self.region)}:sagemaker:{self.region}:{self.account_id}:{self.kind}/{self.name}"

    @classmethod
    def parse(cls, kind: Kind, text: str) -> "ResourceArn":
        """Take apart an ARN of that kind; ArnError otherwise, also when the partition is not the region's."""
        if match := _RESOURCE[kind].fullmatch(text):
            arn = cls(kind, match["region"], match["account_id"], match["name"])
            if str(arn) == text:
                return arn
        _refuse(kind, text)


@dataclass(frozen=True, slots=True)
class ProjectArn:
    """A Rekognition project (the home of adapters); `created_ms` is its creation time in milliseconds since 1970."""

    region: str
    account_id: str
    name: str
    created_ms: int

    def __str__(self) -> str:
        prefix = f"arn:{partition_of(self.region)}:rekognition:{self.region}:{self.account_id}"
        return f"{prefix}:project/{self.name}/{self.created_ms}"

    @classmethod
    def parse(cls, text: str) -> "ProjectArn":
        """Take apart a project's ARN; ArnError otherwise."""
        if match := _PROJECT.fullmatch(text):
            arn = cls(match["region"], match["account_id"], match["name"], int(match["created_ms"]))
            if str(arn) == text:
                return arn
        _refuse("project", text)


@dataclass(frozen=True, slots=True)
class ProjectVersionArn:
    """A version of a project: an adapter; `created_ms` is its creation time in milliseconds since 1970."""

    region: str
    account_id: str
    project: str
    name: str
    created_ms: int

    def __str__(self) -> str:
        prefix = f"arn:{partition_of(self.region)}:rekognition:{self.region}:{self.account_id}"
        return f"{prefix}:project/{self.project}/version/{self.name}/{self.created_ms}"

    @classmethod
    def parse(cls, text: str) -> "ProjectVersionArn":
        """Take apart a project version's ARN; ArnError otherwise."""
        if match := _PROJECT_VERSION.fullmatch(text):
            created_ms = int(match["created_ms"])
            arn = cls(match["region"], match["account_id"], match["project"], match["name"], created_ms)
            if str(arn) == text:
                return arn
        _refuse("project version", text)


def _refuse(kind: str, text: str) -> NoReturn:
    shown = text if len(text) <= 100 else f"{text[:100]}…"
    raise ArnError(f"{shown!r} is not the ARN of a {kind}")
