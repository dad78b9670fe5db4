"""Flow definitions: the admin's flow definitions, made and read as Augmented AI's clients do.

A flow definition made here feeds the queue of its own name, which is made where there is none.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Q

from moderation.aws.errors import AwsError, validation_failed
from moderation.aws.protocol import Caller, OperationTable
from moderation.models import Bucket
from moderation.storage import MAX_KEY_BYTES, Location, LocationInvalid, locate
from reviews.aws import access, listing, resources, tags
from reviews.aws.listing import shown
from reviews.aws.resources import invalid
from reviews.conditions import ConditionError, parse
from reviews.models import FlowDefinition, HumanLoop, HumanTaskUi, ReviewQueue, ReviewTask, WorkTeam

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import (
        CreateFlowDefinitionRequestTypeDef,
        DeleteFlowDefinitionRequestTypeDef,
        DescribeFlowDefinitionRequestTypeDef,
        FlowDefinitionOutputConfigTypeDef,
        HumanLoopConfigUnionTypeDef,
        ListFlowDefinitionsRequestTypeDef,
    )

DEFAULT_LIMIT = 100
# Named where a flow definition of the admin has no template: the console itself.
CONSOLE = "second-look-console"

# The longest name below an output path: flow definition, time, human loop.
_LONGEST_NAME = f"{'f' * 63}/2026/12/31/23/59/59/{'l' * 63}/output.json"

_TASK_FIELDS = {
    "TaskTitle": "task_title",
    "TaskDescription": "task_description",
    "TaskCount": "task_count",
    "TaskAvailabilityLifetimeInSeconds": "task_availability_lifetime_seconds",
    "TaskTimeLimitInSeconds": "task_time_limit_seconds",
    "TaskKeywords": "task_keywords",
}

_LEADS_SEAT = Q(tasks__kind=ReviewTask.Kind.LEAD, tasks__state__in=("open", "claimed", "answered"))
_UNSETTLED = Q(status__in=HumanLoop.OPEN) | Q(settled_at=None) & _LEADS_SEAT


def create_flow_definition(caller: Caller, request: "CreateFlowDefinitionRequestTypeDef") -> Mapping[str, object]:
    """Make a flow definition, which is active at once."""
    name = request["FlowDefinitionName"]
    arn = resources.arn_of(caller, FlowDefinition, name)
    access.manage(caller, "CreateFlowDefinition", arn)
    if "HumanLoopConfig" not in request:
        raise validation_failed(
            ["Value null at 'humanLoopConfig' failed to satisfy constraint: Member must not be null"]
        )
    fields = {
        "name": name,
        **_kind(request),
        **_task(request["HumanLoopConfig"]),
        **_output(caller, request["OutputConfig"]),
        "role_arn": request["RoleArn"],
    }
    wanted_tags = tags.checked(request.get("Tags", ()))
    with transaction.atomic():
        fields |= _crew(caller, name, request["HumanLoopConfig"])
        resources.create(caller, FlowDefinition, "MAX_FLOW_DEFINITIONS", DEFAULT_LIMIT, **fields)
        tags.hang(caller, arn, wanted_tags)
    return {"FlowDefinitionArn": arn}


def describe_flow_definition(caller: Caller, request: "DescribeFlowDefinitionRequestTypeDef") -> Mapping[str, object]:
    """All of a flow definition."""
    name = request["FlowDefinitionName"]
    access.read(caller, "DescribeFlowDefinition", resources.arn_of(caller, FlowDefinition, name))
    flow = _find(caller, name)
    source, conditions = flow.request_source, {"HumanLoopActivationConditions": flow.conditions}
    return {
        **_summary(flow),
        "HumanLoopRequestSource": {"AwsManagedHumanLoopRequestSource": source} if source else None,
        "HumanLoopActivationConfig": ({"HumanLoopActivationConditionsConfig": conditions} if flow.conditions else None),
        "HumanLoopConfig": _human_loop_config(caller, flow),
        "OutputConfig": {"S3OutputPath": flow.output_path, "KmsKeyId": flow.kms_key_id or None},
        # Made in the admin, it may have none: a role means nothing here, yet clients require one.
        "RoleArn": flow.role_arn or f"arn:{caller.partition}:iam::{caller.account_id}:role/none",
    }


def list_flow_definitions(caller: Caller, request: "ListFlowDefinitionsRequestTypeDef") -> Mapping[str, object]:
    """The flow definitions of the account and region, the newest first."""
    access.read(caller, "ListFlowDefinitions")
    ours = FlowDefinition.objects.filter(account_id=caller.account_id, region=caller.region)
    within = listing.created_within(ours, request)
    found, token = listing.page(caller, "ListFlowDefinitions", within, request)
    return {"FlowDefinitionSummaries": [_summary(flow) for flow in found], "NextToken": token}


def delete_flow_definition(caller: Caller, request: "DeleteFlowDefinitionRequestTypeDef") -> Mapping[str, object]:
    """Delete a flow definition where nobody works any more; its loops and what they settled stay."""
    name = request["FlowDefinitionName"]
    access.manage(caller, "DeleteFlowDefinition", resources.arn_of(caller, FlowDefinition, name))
    with transaction.atomic():
        flow = _find(caller, name, lock=True)
        if busy := flow.human_loops.filter(_UNSETTLED).order_by("pk").first():
            told = busy.status if busy.status in HumanLoop.OPEN else f"{busy.status}, and a lead has to decide"
            raise AwsError("ResourceInUse", f"{flow.arn} is in use: its human loop {busy.name} is {told}.")
        flow.status = FlowDefinition.Status.DELETING
        flow.save(update_fields=["status"])
        resources.delete(flow)
    return {}


def _find(caller: Caller, name: str, *, lock: bool = False) -> FlowDefinition:
    flow = resources.named(caller, FlowDefinition, name, lock=lock)
    if flow is None:
        arn = resources.arn_of(caller, FlowDefinition, name)
        raise AwsError("ResourceNotFound", f"The flow definition {arn} does not exist.")
    return flow


def _kind(request: "CreateFlowDefinitionRequestTypeDef") -> dict[str, Any]:
    """What is reviewed, and when; ValidationException names the node of the conditions that is wrong."""
    source = request.get("HumanLoopRequestSource", {}).get("AwsManagedHumanLoopRequestSource", "")
    if source == FlowDefinition.RequestSource.TEXTRACT:
        raise invalid(f"HumanLoopRequestSource {source} is not offered: documents are not analysed here.")
    if "HumanLoopActivationConfig" not in request:
        return {"request_source": source, "conditions": ""}
    if not source:
        raise invalid("HumanLoopActivationConfig needs a HumanLoopRequestSource: a custom task has no conditions.")
    config = request["HumanLoopActivationConfig"]["HumanLoopActivationConditionsConfig"]
    conditions = str(config["HumanLoopActivationConditions"])
    try:
        parse(conditions)
    except ConditionError as error:
        raise invalid(f"HumanLoopActivationConditions: {error}") from None
    return {"request_source": source, "conditions": conditions}


def _task(config: "HumanLoopConfigUnionTypeDef") -> dict[str, Any]:
    if config.get("PublicWorkforceTaskPrice"):
        raise invalid("PublicWorkforceTaskPrice is for Mechanical Turk: there is no public workforce here.")
    given: dict[str, Any] = dict(config)
    return {field: given[member] for member, field in _TASK_FIELDS.items() if member in given}


def _crew(caller: Caller, name: str, config: "HumanLoopConfigUnionTypeDef") -> dict[str, Any]:
    """Team, template and queue; inside a transaction, which keeps the first two from being deleted meanwhile."""
    team = resources.by_arn(caller, WorkTeam, config["WorkteamArn"], lock=True)
    if team is None:
        raise invalid(f"HumanLoopConfig.WorkteamArn: there is no private work team {config['WorkteamArn']}.")
    template = resources.by_arn(caller, HumanTaskUi, config["HumanTaskUiArn"], lock=True)
    if template is None:
        raise invalid(f"HumanLoopConfig.HumanTaskUiArn: there is no human task UI {config['HumanTaskUiArn']}.")
    queue, _ = ReviewQueue.objects.get_or_create(account_id=caller.account_id, name=name)
    return {"work_team": team, "human_task_ui": template, "human_task_ui_arn": template.arn, "queue": queue}


def _output(caller: Caller, config: "FlowDefinitionOutputConfigTypeDef") -> dict[str, Any]:
    """Where answers are written: below a path in a bucket of the account that may be written."""
    path = config["S3OutputPath"]
    try:
        where = locate(path)
    except LocationInvalid as error:
        raise _bad_path(str(error)) from None
    bucket = Bucket.objects.filter(account_id=caller.account_id, name=where.bucket).first()
    if bucket is None:
        raise _bad_path(f"The account has no bucket {where.bucket[:100]!r}; an admin can make it.")
    if not bucket.can_write:
        raise _bad_path(f"The bucket {bucket.name} may not be written.")
    _check_key(where, plain_files=not bucket.endpoint_url)
    return {"output_path": path, "kms_key_id": config.get("KmsKeyId", "")}


def _check_key(where: Location, *, plain_files: bool) -> None:
    """Refuse at once what no output file could be written under."""
    key = where.below(_LONGEST_NAME).key
    if len(key.encode()) > MAX_KEY_BYTES:
        raise _bad_path(f"It is too long: with the names below it, keys have at most {MAX_KEY_BYTES} bytes.")
    if any(ord(character) < 32 or ord(character) == 127 for character in key):
        raise _bad_path("A key must not hold control characters.")
    if plain_files and {"", ".", ".."} & set(key.split("/")):
        raise _bad_path("The bucket keeps plain files: no part of a key may be empty, '.' or '..'.")


def _bad_path(problem: str) -> AwsError:
    return invalid(f"OutputConfig.S3OutputPath: {problem}")


def _summary(flow: FlowDefinition) -> dict[str, object]:
    return {
        "FlowDefinitionName": flow.name,
        "FlowDefinitionArn": flow.arn,
        "FlowDefinitionStatus": flow.status,
        "CreationTime": shown(flow.created_at),
        "FailureReason": flow.failure_reason or None,
    }


def _human_loop_config(caller: Caller, flow: FlowDefinition) -> dict[str, object]:
    task = {member: getattr(flow, field) for member, field in _TASK_FIELDS.items()}
    template = flow.human_task_ui.arn if flow.human_task_ui else flow.human_task_ui_arn
    return {
        **task,
        "TaskKeywords": flow.task_keywords or None,
        "WorkteamArn": flow.work_team.arn,
        "HumanTaskUiArn": template or resources.arn_of(caller, HumanTaskUi, CONSOLE),
    }


OPERATIONS: OperationTable = {
    "CreateFlowDefinition": create_flow_definition,
    "DescribeFlowDefinition": describe_flow_definition,
    "ListFlowDefinitions": list_flow_definitions,
    "DeleteFlowDefinition": delete_flow_definition,
}
