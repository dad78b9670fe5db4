"""The Augmented AI runtime: human loops started, described, listed, stopped and deleted by AWS clients.

StartHumanLoop is for custom tasks; loops about moderation labels begin with DetectModerationLabels.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from django.db.models import QuerySet

from moderation.aws.arns import Kind, ResourceArn
from moderation.aws.errors import AwsError
from moderation.aws.protocol import Caller, OperationTable
from moderation.handoff import LoopNameTaken, LoopQuotaExceeded
from reviews import loops
from reviews.aws import access, listing, resources
from reviews.aws.listing import shown
from reviews.aws.resources import invalid
from reviews.loops import LoopFinished, LoopInput, LoopRunning
from reviews.models import FlowDefinition, HumanLoop

if TYPE_CHECKING:
    from mypy_boto3_sagemaker_a2i_runtime.type_defs import (
        DeleteHumanLoopRequestTypeDef,
        DescribeHumanLoopRequestTypeDef,
        ListHumanLoopsRequestTypeDef,
        StartHumanLoopRequestTypeDef,
        StopHumanLoopRequestTypeDef,
    )

MAX_CONTENT_BYTES = 3_145_728
MAX_NESTING = 100

_UNFIT = re.compile("[\0\ud800-\udfff]")


def start_human_loop(caller: Caller, request: "StartHumanLoopRequestTypeDef") -> Mapping[str, object]:
    """Put a custom task before people; the same name with the same input again is the same loop."""
    access.start(caller, "StartHumanLoop", request["FlowDefinitionArn"])
    flow = _flow_for_tasks(caller, request["FlowDefinitionArn"])
    content = _content(request["HumanLoopInput"]["InputContent"])
    name, classifiers = request["HumanLoopName"], request.get("DataAttributes", {}).get("ContentClassifiers", ())
    digest = loops.input_digest(flow, _digest(content), classifiers)
    try:
        if HumanLoop.objects.named(flow.account, flow.region, name) is None:
            loops.check_quota(flow.account)
        loop, _ = loops.start(flow, LoopInput(name, digest, content, classifiers))
    except LoopNameTaken as error:
        raise AwsError("ConflictException", str(error)) from None
    except LoopQuotaExceeded as error:
        raise AwsError("ServiceQuotaExceededException", str(error)) from None
    return {"HumanLoopArn": loop.arn}


def describe_human_loop(caller: Caller, request: "DescribeHumanLoopRequestTypeDef") -> Mapping[str, object]:
    """Where a loop stands, and where its answers lie."""
    name = request["HumanLoopName"]
    access.read(caller, "DescribeHumanLoop", _arn(caller, name))
    loop = _find(caller, name)
    return {
        **_summary(loop),
        "FailureCode": loop.failure_code or None,
        "HumanLoopArn": loop.arn,
        "HumanLoopOutput": {"OutputS3Uri": loop.output_uri} if loop.output_uri else None,
    }


def list_human_loops(caller: Caller, request: "ListHumanLoopsRequestTypeDef") -> Mapping[str, object]:
    """The loops of a flow definition that were not deleted, the newest first."""
    arn = request["FlowDefinitionArn"]
    access.read(caller, "ListHumanLoops", arn)
    flow = resources.by_arn(caller, FlowDefinition, arn)
    if flow is None:
        raise AwsError("ResourceNotFoundException", f"The flow definition {arn} does not exist.")
    within = listing.created_within(_loops_under(flow), request)
    found, token = listing.page(caller, "ListHumanLoops", within, request)
    return {"HumanLoopSummaries": [_summary(loop) for loop in found], "NextToken": token}


def stop_human_loop(caller: Caller, request: "StopHumanLoopRequestTypeDef") -> Mapping[str, object]:
    """Ask for no more answers; whoever holds a seat may finish.  A loop that is being stopped already is left alone."""
    name = request["HumanLoopName"]
    access.manage(caller, "StopHumanLoop", _arn(caller, name))
    loop = _find(caller, name)
    try:
        loops.stop(loop.pk)
    except LoopFinished as error:
        loop.refresh_from_db(fields=["status"])
        if loop.status not in HumanLoop.OPEN:
            raise invalid(str(error)) from None
    return {}


def delete_human_loop(caller: Caller, request: "DeleteHumanLoopRequestTypeDef") -> Mapping[str, object]:
    """Take a finished loop out of sight; its output file and what it settled stay."""
    name = request["HumanLoopName"]
    access.manage(caller, "DeleteHumanLoop", _arn(caller, name))
    try:
        loops.delete(_find(caller, name).pk)
    except LoopRunning as error:
        raise invalid(str(error)) from None
    return {}


def _flow_for_tasks(caller: Caller, arn: str) -> FlowDefinition:
    """The caller's flow definition, ready for a custom task; this operation has no error of its own for the others."""
    flow = resources.by_arn(caller, FlowDefinition, arn)
    if flow is None:
        raise invalid(f"The flow definition {arn} does not exist.")
    if not flow.is_active:
        raise invalid(f"The flow definition {arn} is {flow.status}.")
    if not flow.is_custom:
        raise invalid(f"{arn} reviews moderation labels: name it in the HumanLoopConfig of DetectModerationLabels.")
    return flow


def _content(text: str) -> dict[str, object]:
    """The task's content from its JSON; ValidationException for what is no object, or cannot be kept."""
    size = len(text.encode())
    if size > MAX_CONTENT_BYTES:
        raise _bad_content(f"at most {MAX_CONTENT_BYTES} bytes, not {size}")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise _bad_content("valid JSON") from None
    if not isinstance(content, dict):
        raise _bad_content("a JSON object")
    _check_values(content)
    return content


def _check_values(content: object) -> None:
    """Refuse what JSON does not know (NaN), what the database cannot hold (NUL), and what is nested too deep."""
    level: list[object] = [content]
    for _ in range(MAX_NESTING):
        inner: list[object] = []
        for value in level:
            match value:
                case dict():
                    inner += [*value.keys(), *value.values()]
                case list():
                    inner += value
                case float() if not math.isfinite(value):
                    raise _bad_content("JSON without NaN and infinity")
                case str() if _UNFIT.search(value):
                    raise _bad_content("without the character U+0000 and without halves of surrogate pairs")
        if not inner:
            return
        level = inner
    raise _bad_content(f"nested at most {MAX_NESTING} levels deep")


def _bad_content(wanted: str) -> AwsError:
    return invalid(f"HumanLoopInput.InputContent must be {wanted}.")


def _digest(content: Mapping[str, object]) -> str:
    """The same for the same JSON, however it is spaced and in whatever order its members stand."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _arn(caller: Caller, name: str) -> str:
    return str(ResourceArn(Kind.HUMAN_LOOP, caller.region, caller.account_id, name))


def _find(caller: Caller, name: str) -> HumanLoop:
    loop = HumanLoop.objects.named(caller.key.account, caller.region, name)
    if loop is None:
        raise AwsError("ResourceNotFoundException", f"The human loop {_arn(caller, name)} does not exist.")
    return loop


def _loops_under(flow: FlowDefinition) -> QuerySet[HumanLoop]:
    """The loops under the flow definition's ARN: also those of one of that name that was deleted."""
    same = FlowDefinition.everything.filter(account_id=flow.account_id, region=flow.region, name=flow.name)
    return HumanLoop.objects.filter(flow__in=same, deleted_at=None).select_related("flow")


def _summary(loop: HumanLoop) -> dict[str, object]:
    return {
        "HumanLoopName": loop.name,
        "HumanLoopStatus": loop.status,
        "CreationTime": shown(loop.created_at),
        "FailureReason": loop.failure_reason or None,
        "FlowDefinitionArn": loop.flow.arn,
    }


OPERATIONS: OperationTable = {
    "StartHumanLoop": start_human_loop,
    "DescribeHumanLoop": describe_human_loop,
    "ListHumanLoops": list_human_loops,
    "StopHumanLoop": stop_human_loop,
    "DeleteHumanLoop": delete_human_loop,
}
