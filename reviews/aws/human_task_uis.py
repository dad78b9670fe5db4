"""Worker task templates (HumanTaskUi): stored and described; for moderation labels the console is the task UI."""

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction
from django.urls import reverse

from moderation.aws.errors import AwsError
from moderation.aws.protocol import Caller, OperationTable
from reviews.aws import access, listing, resources, tags
from reviews.aws.listing import shown
from reviews.models import HumanTaskUi

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import (
        CreateHumanTaskUiRequestTypeDef,
        DeleteHumanTaskUiRequestTypeDef,
        DescribeHumanTaskUiRequestTypeDef,
        ListHumanTaskUisRequestTypeDef,
    )

DEFAULT_LIMIT = 100


def create_human_task_ui(caller: Caller, request: "CreateHumanTaskUiRequestTypeDef") -> Mapping[str, object]:
    """Store a template."""
    name, content = request["HumanTaskUiName"], request["UiTemplate"]["Content"]
    arn = resources.arn_of(caller, HumanTaskUi, name)
    access.manage(caller, "CreateHumanTaskUi", arn)
    wanted_tags = tags.checked(request.get("Tags", ()))
    digest = hashlib.sha256(content.encode()).hexdigest()
    with transaction.atomic():
        fields = {"name": name, "content": content, "content_sha256": digest}
        resources.create(caller, HumanTaskUi, "MAX_HUMAN_TASK_UIS", DEFAULT_LIMIT, **fields)
        tags.hang(caller, arn, wanted_tags)
    return {"HumanTaskUiArn": arn}


def describe_human_task_ui(caller: Caller, request: "DescribeHumanTaskUiRequestTypeDef") -> Mapping[str, object]:
    """What is known of a template; its words are behind the address, in the admin."""
    name = request["HumanTaskUiName"]
    access.read(caller, "DescribeHumanTaskUi", resources.arn_of(caller, HumanTaskUi, name))
    template = resources.named(caller, HumanTaskUi, name)
    if template is None:
        raise _not_found(caller, name)
    page = reverse("admin:reviews_humantaskui_change", args=[template.pk])
    return {
        **_summary(template),
        "HumanTaskUiStatus": "Active",
        "UiTemplate": {"Url": settings.PUBLIC_URL.rstrip("/") + page, "ContentSha256": template.content_sha256},
    }


def list_human_task_uis(caller: Caller, request: "ListHumanTaskUisRequestTypeDef") -> Mapping[str, object]:
    """The templates of the account and region, the newest first."""
    access.read(caller, "ListHumanTaskUis")
    ours = HumanTaskUi.objects.filter(account_id=caller.account_id, region=caller.region)
    within = listing.created_within(ours, request)
    found, token = listing.page(caller, "ListHumanTaskUis", within, request)
    return {"HumanTaskUiSummaries": [_summary(template) for template in found], "NextToken": token}


def delete_human_task_ui(caller: Caller, request: "DeleteHumanTaskUiRequestTypeDef") -> Mapping[str, object]:
    """Delete a template; flow definitions that name it go on doing so."""
    name = request["HumanTaskUiName"]
    access.manage(caller, "DeleteHumanTaskUi", resources.arn_of(caller, HumanTaskUi, name))
    with transaction.atomic():
        template = resources.named(caller, HumanTaskUi, name, lock=True)
        if template is None:
            raise _not_found(caller, name)
        resources.delete(template)
    return {}


def _summary(template: HumanTaskUi) -> dict[str, object]:
    return {
        "HumanTaskUiName": template.name,
        "HumanTaskUiArn": template.arn,
        "CreationTime": shown(template.created_at),
    }


def _not_found(caller: Caller, name: str) -> AwsError:
    arn = resources.arn_of(caller, HumanTaskUi, name)
    return AwsError("ResourceNotFound", f"The human task UI {arn} does not exist.")


OPERATIONS: OperationTable = {
    "CreateHumanTaskUi": create_human_task_ui,
    "DescribeHumanTaskUi": describe_human_task_ui,
    "ListHumanTaskUis": list_human_task_uis,
    "DeleteHumanTaskUi": delete_human_task_ui,
}
