"""What the house tells others about human loops."""

import uuid
from datetime import datetime

from django.utils import timezone

from moderation.models import OutboxMessage
from reviews.models import HumanLoop

_EVENTS = {
    HumanLoop.Status.IN_PROGRESS: "human_loop.started",
    HumanLoop.Status.COMPLETED: "human_loop.completed",
    HumanLoop.Status.FAILED: "human_loop.failed",
    HumanLoop.Status.STOPPED: "human_loop.stopped",
}


def announce(loop: HumanLoop) -> None:
    """Publish the loop's status to the account's webhooks, in the transaction that wrote it."""
    data: dict[str, object] = {
        "human_loop": loop.name,
        "human_loop_arn": loop.arn,
        "flow_definition_arn": loop.flow.arn,
        "status": loop.status,
        "submission": str(loop.submission_id) if loop.submission_id else None,
        "output_uri": loop.output_uri or None,
        "failure_code": loop.failure_code or None,
        "failure_reason": loop.failure_reason or None,
    }
    if loop.status != HumanLoop.Status.IN_PROGRESS:
        data["event"] = aws_event(loop)
    OutboxMessage.objects.publish(_EVENTS[HumanLoop.Status(loop.status)], loop.account, data)


def aws_event(loop: HumanLoop) -> dict[str, object]:
    """The end of a loop as Augmented AI's event "SageMaker A2I HumanLoop Status Change" tells it."""
    return {
        "version": "0",
        # Made from what is told, so that the same end told twice carries the same id.
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{loop.arn} {loop.pk} {loop.status}")),
        "detail-type": "SageMaker A2I HumanLoop Status Change",
        "source": "aws.sagemaker",
        "account": loop.account_id,
        "time": iso_milliseconds(loop.completed_at or timezone.now()),
        "region": loop.region,
        "resources": [loop.arn],
        "detail": {
            "creationTime": iso_milliseconds(loop.created_at),
            "failureCode": loop.failure_code or None,
            "failureReason": loop.failure_reason or None,
            "flowDefinitionArn": loop.flow.arn,
            "humanLoopArn": loop.arn,
            "humanLoopName": loop.name,
            "humanLoopOutput": {"outputS3Uri": loop.output_uri} if loop.output_uri else None,
            "humanLoopStatus": loop.status,
        },
    }


def iso_milliseconds(when: datetime) -> str:
    """UTC with milliseconds, as Augmented AI writes times: 2020-12-28T18:59:15.191Z."""
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
