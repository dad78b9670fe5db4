"""The whole walk through human review as with Amazon Augmented AI: plain boto3, only the endpoint is ours.

    AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… python examples/a2i_walk.py doubtful.jpg clean.jpg

Makes a task UI, a work team and a flow definition; detects moderation labels in the pictures, of which those with any
label go to people; waits until somebody has answered in the console; reads the answers; and clears up behind itself.

SECOND_LOOK_URL   where Second Look is (http://127.0.0.1:8000)
TEAM              who answers: roles or user names (reviewer lead)
BUCKET            a bucket of the account for the answers (sample-review, part of the sample world)
S3_ENDPOINT_URL   where that bucket is on an S3 server, with S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY; without it the
                  bucket is a folder, and read from DATA_DIR (./var)
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import boto3

URL = os.environ.get("SECOND_LOOK_URL", "http://127.0.0.1:8000")
REGION = os.environ.get("AWS_DEFAULT_REGION", "us-east-1")
TEAM = os.environ.get("TEAM", "reviewer lead").split()
BUCKET = os.environ.get("BUCKET", "sample-review")
ANY_LABEL = {
    "ConditionType": "ModerationLabelConfidenceCheck",
    "ConditionParameters": {"ModerationLabelName": "*", "ConfidenceGreaterThanEquals": 50},
}

sagemaker = boto3.client("sagemaker", endpoint_url=URL, region_name=REGION)
runtime = boto3.client("sagemaker-a2i-runtime", endpoint_url=URL, region_name=REGION)
rekognition = boto3.client("rekognition", endpoint_url=URL, region_name=REGION)


def main(pictures: list[Path]) -> None:
    """The walk, from the task UI to the answers."""
    name = f"walk-{time.time_ns()}"
    flow = make_flow(name)
    for number, picture in enumerate(pictures, 1):
        detect(picture, f"{name}-{number}", flow)
    listed = runtime.list_human_loops(FlowDefinitionArn=flow, SortOrder="Ascending")["HumanLoopSummaries"]
    loops = [loop["HumanLoopName"] for loop in listed]
    print(f"{len(loops)} of {len(pictures)} pictures wait for an answer: {URL}/review/", flush=True)
    for loop in loops:
        show(answers(wait(loop)))
    clear(name, loops)


def make_flow(name: str) -> str:
    """A task UI, a team, and a flow definition of that name; its ARN."""
    ui = sagemaker.create_human_task_ui(
        HumanTaskUiName=name, UiTemplate={"Content": "<crowd-form>{{ task.input }}</crowd-form>"}
    )["HumanTaskUiArn"]
    team = sagemaker.create_workteam(
        WorkteamName=name,
        MemberDefinitions=[{"OidcMemberDefinition": {"Groups": TEAM}}],
        Description="Those who walk along",
    )["WorkteamArn"]
    host = sagemaker.describe_workteam(WorkteamName=name)["Workteam"]["SubDomain"]
    print(f"The team {team} answers at {host}.")
    return sagemaker.create_flow_definition(
        FlowDefinitionName=name,
        HumanLoopRequestSource={"AwsManagedHumanLoopRequestSource": "AWS/Rekognition/DetectModerationLabels/Image/V3"},
        HumanLoopActivationConfig={
            "HumanLoopActivationConditionsConfig": {
                "HumanLoopActivationConditions": json.dumps({"Conditions": [ANY_LABEL]})
            }
        },
        HumanLoopConfig={
            "WorkteamArn": team,
            "HumanTaskUiArn": ui,
            "TaskTitle": "A picture of the walk",
            "TaskDescription": "Choose the labels that apply, or none",
            "TaskCount": 1,
        },
        OutputConfig={"S3OutputPath": f"s3://{BUCKET}/walks"},
        RoleArn="arn:aws:iam::123456789012:role/any",
    )["FlowDefinitionArn"]


def detect(picture: Path, loop: str, flow: str) -> None:
    """Say what is in the picture, and whether people will look at it."""
    answer = rekognition.detect_moderation_labels(
        Image={"Bytes": picture.read_bytes()},
        HumanLoopConfig={"HumanLoopName": loop, "FlowDefinitionArn": flow},
    )
    labels = ", ".join(f"{label['Name']} {label['Confidence']:.1f}" for label in answer["ModerationLabels"])
    began = answer["HumanLoopActivationOutput"].get("HumanLoopArn")
    print(f"{picture.name}: {labels or 'no labels'}; {f'people look: {began}' if began else 'nobody needs to look'}")


def wait(loop: str) -> dict[str, Any]:
    """The loop, as soon as it is over."""
    while True:
        told = runtime.describe_human_loop(HumanLoopName=loop)
        if told["HumanLoopStatus"] not in ("InProgress", "Stopping"):
            print(f"{loop}: {told['HumanLoopStatus']} {told.get('FailureReason', '')}")
            return dict(told)
        time.sleep(1)


def answers(loop: dict[str, Any]) -> dict[str, Any]:
    """What output.json says; empty where there is none."""
    uri = loop.get("HumanLoopOutput", {}).get("OutputS3Uri")
    if not uri:
        return {}
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if endpoint := os.environ.get("S3_ENDPOINT_URL"):
        s3 = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name=REGION,
            aws_access_key_id=os.environ["S3_ACCESS_KEY_ID"],
            aws_secret_access_key=os.environ["S3_SECRET_ACCESS_KEY"],
        )
        output = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    else:
        account = loop["HumanLoopArn"].split(":")[4]
        output = Path(os.environ.get("DATA_DIR", "var"), "buckets", account, bucket, key).read_bytes()
    found: dict[str, Any] = json.loads(output)
    return found


def show(output: dict[str, Any]) -> None:
    """The labels that people chose."""
    for answer in output.get("humanAnswers", ()):
        [content] = answer["answerContent"].values()
        chosen = ", ".join(label["name"] for label in content["moderationLabels"]) or "no label applies"
        print(f"  {answer['workerId']} after {answer['timeSpentInSeconds']:.0f} s: {chosen}")


def clear(name: str, loops: list[str]) -> None:
    """Delete all that was made, the answers excepted."""
    for loop in loops:
        runtime.delete_human_loop(HumanLoopName=loop)
    sagemaker.delete_flow_definition(FlowDefinitionName=name)
    sagemaker.delete_workteam(WorkteamName=name)
    sagemaker.delete_human_task_ui(HumanTaskUiName=name)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main([Path(argument) for argument in sys.argv[1:]])
