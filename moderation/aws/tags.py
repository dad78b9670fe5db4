"""Tags of Rekognition resources.  Only projects and their versions can have any, and there are none of those here."""

from typing import NoReturn, TypedDict

from moderation.aws.arns import ArnError, ProjectArn, ProjectVersionArn
from moderation.aws.errors import AwsError
from moderation.aws.protocol import Caller, OperationTable
from moderation.permissions import OPERATES


class ResourceRequest(TypedDict):
    """The member that the three requests have in common."""

    ResourceArn: str


def tag_resource(caller: Caller, request: ResourceRequest) -> dict[str, object]:
    """Give a resource tags."""
    _refuse(caller, "rekognition:TagResource", request["ResourceArn"])


def untag_resource(caller: Caller, request: ResourceRequest) -> dict[str, object]:
    """Take tags from a resource."""
    _refuse(caller, "rekognition:UntagResource", request["ResourceArn"])


def list_tags_for_resource(caller: Caller, request: ResourceRequest) -> dict[str, object]:
    """The tags of a resource."""
    _refuse(caller, "rekognition:ListTagsForResource", request["ResourceArn"])


def _refuse(caller: Caller, action: str, arn: str) -> NoReturn:
    caller.require(action, arn, roles=OPERATES)
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
