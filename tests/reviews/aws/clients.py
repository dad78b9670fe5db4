"""Clients for the tests of control plane and runtime, and the few things that most of these tests make first."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.model import OperationModel
from mypy_boto3_rekognition import RekognitionClient
from mypy_boto3_sagemaker import SageMakerClient
from mypy_boto3_sagemaker_a2i_runtime import AugmentedAIRuntimeClient

from moderation.aws import validation
from moderation.aws.errors import COMMON_CODES
from moderation.models import IssuedKey
from tests.world import ACME

ROLE = "arn:aws:iam::123456789012:role/service-role/second-look"
MODERATION = "AWS/Rekognition/DetectModerationLabels/Image/V3"
CONDITIONS = (
    '{"Conditions":  [{"ConditionType": "Sampling", "ConditionParameters": {"RandomSamplingPercentage": 100}}]}\n'
)


@dataclass(frozen=True)
class Clients:
    """Makes clients of a key, with the endpoint as the one thing that is ours."""

    url: str

    def sagemaker(self, issued: IssuedKey, region: str = "us-east-1", **config: Any) -> SageMakerClient:
        """A client of the control plane."""
        client: SageMakerClient = self._client("sagemaker", issued, region, config)
        return client

    def a2i(self, issued: IssuedKey, region: str = "us-east-1", **config: Any) -> AugmentedAIRuntimeClient:
        """A client of the runtime."""
        client: AugmentedAIRuntimeClient = self._client("sagemaker-a2i-runtime", issued, region, config)
        return client

    def rekognition(self, issued: IssuedKey, region: str = "us-east-1", **config: Any) -> RekognitionClient:
        """A client of Rekognition."""
        client: RekognitionClient = self._client("rekognition", issued, region, config)
        return client

    def cli(self, issued: IssuedKey, home: Path, *arguments: str) -> Any:
        """What the AWS CLI prints."""
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(home),
            "AWS_ACCESS_KEY_ID": issued.key.key_id,
            "AWS_SECRET_ACCESS_KEY": issued.key.secret,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.url,
        }
        command = [sys.executable, "-m", "awscli", *arguments, "--output", "json"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout or "null")

    def _client(self, service: str, issued: IssuedKey, region: str, config: dict[str, Any]) -> Any:
        client: Any = boto3.client(
            service,  # type: ignore[call-overload]
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=issued.key.key_id,
            aws_secret_access_key=issued.key.secret,
            config=Config(retries={"max_attempts": 0}, **config),
        )
        client.meta.events.register("after-call", _hold_against_model)
        return client


def _hold_against_model(model: OperationModel, parsed: dict[str, Any], http_response: Any, **_: Any) -> None:
    """Every member known, present where required, and within its constraints; every error one of the operation's."""
    if http_response.status_code >= 300:
        modelled = {shape.name: shape.metadata.get("error", {}) for shape in model.error_shapes}
        code = parsed["Error"]["Code"]
        assert code in modelled or code in COMMON_CODES, code
        expected = modelled.get(code, {}).get("httpStatusCode", 400)
        assert http_response.status_code == expected, (code, http_response.status_code)
        assert http_response.headers["x-amzn-ErrorType"] == code
        return
    raw = json.loads(http_response.content)
    if model.output_shape is not None:
        assert raw.keys() <= set(model.output_shape.members), raw.keys()
        answer = {name: value for name, value in parsed.items() if name != "ResponseMetadata"}
        if answer.get("OutputConfig") == {"S3OutputPath": ""}:  # made in the admin, and without an output file
            answer["OutputConfig"] = {"S3OutputPath": "s3://none/"}
        validation.check(model.output_shape, answer)


def refusal(call: Callable[..., Any], **members: Any) -> tuple[str, str]:
    """Code and message of the error that a call ends with."""
    with pytest.raises(ClientError) as caught:
        call(**members)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def arn(kind: str, name: str, account: str = ACME, region: str = "us-east-1") -> str:
    """An ARN as it should be."""
    return f"arn:aws:sagemaker:{region}:{account}:{kind}/{name}"


def make_ui(sagemaker: SageMakerClient, name: str = "page", **more: Any) -> str:
    """A task template; its ARN."""
    content: Any = {"Content": "<crowd-form>{{ task.input.text }}</crowd-form>"}
    return sagemaker.create_human_task_ui(HumanTaskUiName=name, UiTemplate=content, **more)["HumanTaskUiArn"]


def make_team(sagemaker: SageMakerClient, name: str = "crew", *groups: str, **more: Any) -> str:
    """A team of all reviewers, unless groups are named; its ARN."""
    members: Any = [{"OidcMemberDefinition": {"Groups": list(groups or ("reviewer",))}}]
    made = sagemaker.create_workteam(WorkteamName=name, MemberDefinitions=members, Description="All of them", **more)
    return made["WorkteamArn"]


def flow_request(name: str = "flow", *, task: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A CreateFlowDefinition for a custom task; None takes a member away."""
    request = {
        "FlowDefinitionName": name,
        "HumanLoopConfig": {
            "WorkteamArn": arn("workteam/private-crowd", "crew"),
            "HumanTaskUiArn": arn("human-task-ui", "page"),
            "TaskTitle": "Look",
            "TaskDescription": "Say what you see",
            "TaskCount": 1,
            **(task or {}),
        },
        "OutputConfig": {"S3OutputPath": "s3://answers/out"},
        "RoleArn": ROLE,
        **more,
    }
    return {member: value for member, value in request.items() if value is not None}


def moderation(conditions: str | None = CONDITIONS) -> dict[str, Any]:
    """The members that make a flow one for moderation labels."""
    config = {"HumanLoopActivationConditionsConfig": {"HumanLoopActivationConditions": conditions}}
    return {
        "HumanLoopRequestSource": {"AwsManagedHumanLoopRequestSource": MODERATION},
        "HumanLoopActivationConfig": config if conditions is not None else None,
    }


def make_flow(sagemaker: SageMakerClient, name: str = "flow", **more: Any) -> str:
    """A flow definition with the team `crew` and the template `page`, which are made where they are not; its ARN."""
    if not sagemaker.list_human_task_uis()["HumanTaskUiSummaries"]:
        make_ui(sagemaker)
    if not sagemaker.list_workteams()["Workteams"]:
        make_team(sagemaker)
    return sagemaker.create_flow_definition(**flow_request(name, **more))["FlowDefinitionArn"]
