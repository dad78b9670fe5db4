"""Tags of Rekognition resources.  Only projects and their versions can have any, and there are none of those here."""

from collections.abc import Collection
from typing import NoReturn, TypedDict

from moderation.aws.arns import ArnError, ProjectArn, ProjectVersionArn
from moderation.aws.errors import AwsError
from moderation.aws.protocol import Caller, OperationTable
from moderation.models import User
from moderation.permissions import READS

_CHANGES = (User.Role.ADMIN, User.Role.LEAD)


class ResourceRequest(TypedDict):
    """The member that the three requests have in common."""

    ResourceArn: str


def tag_resource(caller: Caller, request: ResourceRequest) -> dict[str, object]:
    """Give a resource tags."""
    _refuse(caller, "TagResource", request["ResourceArn"], _CHANGES)


def untag_resource(caller: Caller, request: ResourceRequest) -> dict[str, object]:
    """Take tags from a resource."""
    _refuse(caller, "UntagResource", request["ResourceArn"], _CHANGES)


def list_tags_for_resource(caller: Caller, request: ResourceRequest) -> dict[str, object]:
    """The tags of a resource."""
    _refuse(caller, "ListTagsForResource", request["ResourceArn"], READS)


def _refuse(caller: Caller, operation: str, arn: str, roles: Collection[str]) -> NoReturn:
    caller.require(f"rekognition:{operation}", arn, roles=roles)
    for kind in (ProjectArn, ProjectVersionArn):
        try:
            kind.parse(arn)
        except ArnError:
            continue
        raise AwsError("ResourceNotFoundException", f"The resource {arn} does not exist.")
    raise AwsError("InvalidParameterException", "Request has invalid parameters. ResourceArn names no project.")


OPERATIONS: OperationTable = {
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
    "ListTagsForResource": list_tags_for_resource,
}
