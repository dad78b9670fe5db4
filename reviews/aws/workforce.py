"""The private workforce: every account has one, named `default`, and it is the account's people."""

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.conf import settings

from moderation.aws.protocol import Caller, OperationTable
from reviews.aws import access
from reviews.aws.listing import shown
from reviews.aws.resources import invalid

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import (
        DescribeWorkforceRequestTypeDef,
        ListWorkforcesRequestTypeDef,
        UpdateWorkforceRequestTypeDef,
    )

NAME = "default"

# Settings of a workforce that would be believed, and not obeyed.
_REFUSED = {
    "OidcConfig": "people sign in here; there is no other identity provider",
    "WorkforceVpcConfig": "the console has no VPC of its own",
    "IpAddressType": "the console's addresses are those of the server in front of it",
}


def describe_workforce(caller: Caller, request: "DescribeWorkforceRequestTypeDef") -> Mapping[str, object]:
    """The account's workforce."""
    access.read(caller, "DescribeWorkforce", _arn(caller, request["WorkforceName"]))
    check_name(request["WorkforceName"])
    return {"Workforce": _workforce(caller)}


def list_workforces(caller: Caller, request: "ListWorkforcesRequestTypeDef") -> Mapping[str, object]:
    """The one workforce there is, where its name fits."""
    access.read(caller, "ListWorkforces")
    if request.get("NextToken"):
        raise invalid("Invalid NextToken")
    fits = request.get("NameContains", "").lower() in NAME
    return {"Workforces": [_workforce(caller)] if fits else []}


def update_workforce(caller: Caller, request: "UpdateWorkforceRequestTypeDef") -> Mapping[str, object]:
    """Nothing can be changed: the workforce as it is; ValidationException for what would change it."""
    access.manage(caller, "UpdateWorkforce", _arn(caller, request["WorkforceName"]))
    check_name(request["WorkforceName"])
    addresses = request.get("SourceIpConfig")
    if addresses and addresses["Cidrs"]:
        raise invalid("SourceIpConfig is not obeyed here: restrict addresses at the server in front of the console.")
    for member, reason in _REFUSED.items():
        if member in request:
            raise invalid(f"{member} cannot be set: {reason}.")
    return {"Workforce": _workforce(caller)}


def arn_of(caller: Caller) -> str:
    """The ARN of the caller's workforce."""
    return _arn(caller, NAME)


def sub_domain() -> str:
    """The host (with its port) of the console: workers open `https://` and this."""
    return urlsplit(settings.PUBLIC_URL).netloc


def check_name(name: str) -> None:
    """ValidationException unless it is the workforce's."""
    if name != NAME:
        raise invalid(f"No workforce found with the name {name!r}: every account has one, named {NAME!r}.")


def _arn(caller: Caller, name: str) -> str:
    return f"arn:{caller.partition}:sagemaker:{caller.region}:{caller.account_id}:workforce/{name}"


def _workforce(caller: Caller) -> dict[str, object]:
    since = shown(caller.key.account.created_at)
    return {
        "WorkforceName": NAME,
        "WorkforceArn": arn_of(caller),
        "SubDomain": sub_domain(),
        "CreateDate": since,
        "LastUpdatedDate": since,
        "Status": "Active",
    }


OPERATIONS: OperationTable = {
    "DescribeWorkforce": describe_workforce,
    "ListWorkforces": list_workforces,
    "UpdateWorkforce": update_workforce,
}
