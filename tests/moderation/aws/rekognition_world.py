"""A flow definition to ask for, and how the tests read DetectModerationLabels' answers and refusals."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from mypy_boto3_rekognition import RekognitionClient

from moderation.aws import protocol
from moderation.aws.errors import COMMON_CODES
from moderation.models import Account
from reviews.models import FlowDefinition, ReviewQueue, WorkTeam
from tests.world import ACME

FLOW = f"arn:aws:sagemaker:us-east-1:{ACME}:flow-definition/uncertain"
CONFIG: Any = {
    "HumanLoopName": "loop-1",
    "FlowDefinitionArn": FLOW,
    "DataAttributes": {"ContentClassifiers": ["FreeOfAdultContent"]},
}


def flow(account: Account, below: float = 90, label: str = "Weapons", **more: Any) -> FlowDefinition:
    """A flow definition that sends a label below that confidence to people."""
    parameters = {"ModerationLabelName": label, "ConfidenceLessThan": below}
    condition = {"ConditionType": "ModerationLabelConfidenceCheck", "ConditionParameters": parameters}
    given: dict[str, Any] = {"conditions": json.dumps({"Conditions": [condition]}), **more}
    return FlowDefinition.objects.create(
        account=account,
        name="uncertain",
        work_team=WorkTeam.objects.create(account=account, name="team"),
        queue=ReviewQueue.objects.create(account=account, name="queue"),
        **given,
    )


def refusal(client: RekognitionClient, image: bytes | dict[str, Any], **members: Any) -> tuple[str, str]:
    """Code and message of the error; each is one that the model allows here, with a request id and status 400."""
    given = {"Bytes": image} if isinstance(image, bytes) else image
    with pytest.raises(ClientError) as caught:
        client.detect_moderation_labels(Image=given, **members)  # type: ignore[arg-type]
    metadata = caught.value.response["ResponseMetadata"]
    assert metadata["HTTPStatusCode"] == 400
    assert metadata["RequestId"] == metadata["HTTPHeaders"]["x-amzn-requestid"]
    code = caught.value.response["Error"]["Code"]
    assert code in COMMON_CODES or code in errors_of("DetectModerationLabels")
    return code, caught.value.response["Error"]["Message"]


def errors_of(operation: str) -> set[str]:
    """The errors that botocore's model lets a Rekognition operation answer with."""
    return {shape.name for shape in protocol.load_model("rekognition").operation_model(operation).error_shapes}


def named(response: Any) -> list[str]:
    """The labels' names, in order."""
    return [label["Name"] for label in response["ModerationLabels"]]
