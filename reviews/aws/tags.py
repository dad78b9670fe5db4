"""Tags of flow definitions, task templates, work teams and the workforce."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from django.db import transaction

from moderation.aws.protocol import Caller, OperationTable
from moderation.models import Account
from reviews.aws import access, resources, workforce
from reviews.aws.resources import invalid
from reviews.models import FlowDefinition, HumanTaskUi, Tag, WorkTeam

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import (
        AddTagsInputTypeDef,
        DeleteTagsInputTypeDef,
        ListTagsInputTypeDef,
        TagTypeDef,
    )

MAX_TAGS = 50
_RESERVED = "aws:"


def add_tags(caller: Caller, request: "AddTagsInputTypeDef") -> Mapping[str, object]:
    """Hang tags on a resource; a key that is there gets the new value.  Answers with all of them."""
    arn = request["ResourceArn"]
    access.manage(caller, "AddTags", arn)
    tags = checked(request["Tags"])
    with transaction.atomic():
        _check_exists(caller, arn, lock=True)
        hang(caller, arn, tags)
    return {"Tags": _tags(arn)}


def list_tags(caller: Caller, request: "ListTagsInputTypeDef") -> Mapping[str, object]:
    """The tags of a resource, by key: they always fit on one page."""
    arn = request["ResourceArn"]
    access.read(caller, "ListTags", arn)
    _check_exists(caller, arn)
    if request.get("NextToken"):
        raise invalid("Invalid NextToken")
    return {"Tags": _tags(arn)}


def delete_tags(caller: Caller, request: "DeleteTagsInputTypeDef") -> Mapping[str, object]:
    """Take tags off a resource; a key that is not there is no error."""
    arn = request["ResourceArn"]
    access.manage(caller, "DeleteTags", arn)
    _check_exists(caller, arn)
    Tag.objects.of(arn).filter(key__in=request["TagKeys"]).delete()
    return {}


def checked(tags: "Sequence[TagTypeDef]") -> dict[str, str]:
    """Tags as keys and values; ValidationException for a key that is given twice, or that is AWS's own."""
    found: dict[str, str] = {}
    for tag in tags:
        key = tag["Key"]
        if key in found:
            raise invalid(f"The tag key {key!r} is given twice.")
        if key.lower().startswith(_RESERVED):
            raise invalid(f"The tag key {key!r} begins with {_RESERVED!r}, which is reserved.")
        found[key] = tag["Value"]
    return found


def hang(caller: Caller, arn: str, tags: Mapping[str, str]) -> None:
    """Hang checked tags on the caller's resource, inside a transaction; ValidationException beyond fifty in all."""
    # The account's row is held, so that two who add side by side are counted one after the other.
    account = Account.objects.select_for_update(no_key=True).get(pk=caller.account_id)
    if Tag.objects.of(arn).exclude(key__in=tags).count() + len(tags) > MAX_TAGS:
        raise invalid(f"A resource can have {MAX_TAGS} tags at most.")
    Tag.objects.put(account, arn, tags)


def _tags(arn: str) -> list[dict[str, str]]:
    return [{"Key": tag.key, "Value": tag.value} for tag in Tag.objects.of(arn)]


def _check_exists(caller: Caller, arn: str, *, lock: bool = False) -> None:
    """ValidationException for what is not the caller's: the model gives these operations no error of their own.

    With `lock` it is not deleted before the transaction ends.
    """
    exists = (
        arn == workforce.arn_of(caller)
        or resources.by_arn(caller, FlowDefinition, arn, lock=lock)
        or resources.by_arn(caller, HumanTaskUi, arn, lock=lock)
        or resources.by_arn(caller, WorkTeam, arn, lock=lock)
    )
    if not exists:
        raise invalid(f"The resource {arn} does not exist, or cannot have tags.")


OPERATIONS: OperationTable = {"AddTags": add_tags, "ListTags": list_tags, "DeleteTags": delete_tags}
