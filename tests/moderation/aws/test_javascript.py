"""The AWS SDK for JavaScript, which checks nothing itself, is strict about types in answers, and signs more headers."""

import fcntl
import json
import os
import shutil
import subprocess
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer

from moderation.aws import protocol
from moderation.models import IssuedKey, Submission
from reviews.models import FlowDefinition, HumanLoop
from tests import media
from tests.moderation.aws.conftest import WebServer
from tests.moderation.aws.lossy import lossy
from tests.moderation.aws.rekognition_world import CONFIG, FLOW, flow
from tests.world import ACME, World

FOLDER = Path(__file__).parent / "javascript"
OLDEST_NODE = 20

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="session")
def node() -> str:
    """Node with the SDK, installed into `javascript/node_modules` once for each lock file; in CI it must be there."""
    node, npm = shutil.which("node"), shutil.which("npm")
    problem = "Node is not installed" if not (node and npm) else _too_old(node) or _install(npm)
    if problem and os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(f"{problem}, and the JavaScript tests need it (CI=true).")
    if problem or not node:
        pytest.skip(problem)
    return node


def _too_old(node: str) -> str:
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    return "" if int(version.lstrip("v").partition(".")[0]) >= OLDEST_NODE else f"Node is {version}, not {OLDEST_NODE}"


def _install(npm: str) -> str:
    """What kept the packages from being installed, or nothing."""
    lock = (FOLDER / "package-lock.json").read_text()
    installed = FOLDER / "node_modules" / ".installed"
    with (FOLDER / "package.json").open() as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # the workers of pytest-xdist arrive together
        if not installed.exists() or installed.read_text() != lock:
            done = subprocess.run([npm, "ci"], cwd=FOLDER, capture_output=True, text=True)
            if done.returncode:
                return f"npm cannot install the SDK: {done.stderr.strip()[-300:]}"
            installed.write_text(lock)
    return ""


def run(node: str, url: str, issued: IssuedKey, *calls: tuple[str, str, dict[str, Any]], secret: str = "") -> list[Any]:
    """What the SDK makes of these calls: `output` or `error`, and its metadata."""
    given = {
        "endpoint": url,
        "accessKeyId": issued.key.key_id,
        "secretAccessKey": secret or issued.key.secret,
        "calls": calls,
    }
    done = subprocess.run([node, "call.mjs"], cwd=FOLDER, input=json.dumps(given), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    results: list[Any] = json.loads(done.stdout)
    assert len(results) == len(calls)
    return results


def detect(data: bytes, **members: Any) -> tuple[str, str, dict[str, Any]]:
    return (
        "rekognition",
        "DetectModerationLabels",
        {"Image": {"Bytes": {"$base64": b64encode(data).decode()}}, **members},
    )


# --- Rekognition ------------------------------------------------------------------------------------------------------


def test_labels(node: str, live_server: LiveServer, world: World) -> None:
    data = media.picture("Weapons", 90, illustrated=True)
    clean, drawn = run(node, live_server.url, world.key, detect(media.picture()), detect(data, MinConfidence=60))
    assert clean["output"] == {"ModerationLabels": [], "ModerationModelVersion": "7.0", "ContentTypes": []}
    labels = drawn["output"]["ModerationLabels"]
    assert [(label["Name"], label["ParentName"], label["TaxonomyLevel"]) for label in labels] == [
        ("Weapons", "Violence", 2),
        ("Violence", "", 1),
    ]
    assert drawn["output"]["ContentTypes"][0]["Name"] == "Illustrated"
    assert drawn["metadata"]["httpStatusCode"] == 200
    assert (drawn["metadata"]["attempts"], len(drawn["metadata"]["requestId"])) == (1, 36)


def test_errors(node: str, live_server: LiveServer, world: World) -> None:
    told = run(
        node,
        live_server.url,
        world.key,
        ("rekognition", "DetectModerationLabels", {}),
        ("rekognition", "DetectModerationLabels", {"Image": {}}),
        detect(media.gif()),
        detect(media.picture(), MinConfidence=-1),
        detect(media.picture(), MinConfidence=101),
        detect(bytes(5_242_881)),
        ("rekognition", "DetectModerationLabels", {"Image": {"S3Object": {"Bucket": "none", "Name": "a"}}}),
        ("rekognition", "DetectFaces", {"Image": {"S3Object": {"Bucket": "none", "Name": "a"}}}),
        ("rekognition", "ListTagsForResource", {"ResourceArn": f"arn:aws:rekognition:us-east-1:{ACME}:project/p/1"}),
    )
    assert [(each["error"]["name"], each["error"]["modelled"]) for each in told] == [
        ("ValidationException", False),
        ("InvalidParameterException", True),
        ("InvalidImageFormatException", True),
        ("ValidationException", False),
        ("ValidationException", False),
        ("ValidationException", False),
        ("InvalidS3ObjectException", True),
        ("UnknownOperationException", False),
        ("ResourceNotFoundException", True),
    ]
    for each in told:
        assert each["error"]["message"]
        assert each["metadata"]["httpStatusCode"] == 400
        assert each["metadata"]["attempts"] == 1
        assert len(each["metadata"]["requestId"]) == 36
    assert "at 'image' failed to satisfy constraint: Member must not be null" in told[0]["error"]["message"]


def test_who_is_not_let_in(node: str, live_server: LiveServer, world: World) -> None:
    [told] = run(node, live_server.url, world.key, detect(media.picture()), secret="x" * 40)
    assert told["error"]["name"] == "InvalidSignatureException"
    assert told["metadata"]["attempts"] == 1  # its clock is right, and the Date header says so
    world.key.key.revoke()
    [told] = run(node, live_server.url, world.key, detect(media.picture()))
    assert told["error"]["name"] == "UnrecognizedClientException"


def test_a_lost_answer_is_given_again(node: str, granian: WebServer, world: World) -> None:
    """Here the attempt's number is under the signature, and each attempt is signed anew."""
    flow(world.acme)
    with lossy(granian.url) as line:
        [told] = run(node, line.url, world.key, detect(media.picture("Weapons", 70), HumanLoopConfig=CONFIG))
    assert told["metadata"]["attempts"] == 2
    assert line.answers[0] == line.answers[1]
    assert len(set(line.said("amz-sdk-invocation-id"))) == 1
    assert "amz-sdk-request" in line.requests[0]["authorization"]
    assert Submission.objects.count() == HumanLoop.objects.count() == 1


# --- the A2I runtime --------------------------------------------------------------------------------------------------


def test_human_loops(node: str, live_server: LiveServer, world: World) -> None:
    flow(world.acme, request_source=FlowDefinition.RequestSource.CUSTOM, conditions="")
    start = {
        "HumanLoopName": "loop-1",
        "FlowDefinitionArn": FLOW,
        "HumanLoopInput": {"InputContent": json.dumps({"question": "grün? 🙂"})},
    }
    name = {"HumanLoopName": "loop-1"}
    started, again, other, described, listed, running, stopped, deleted, gone = run(
        node,
        live_server.url,
        world.key,
        ("a2i", "StartHumanLoop", start),
        ("a2i", "StartHumanLoop", start),
        ("a2i", "StartHumanLoop", {**start, "HumanLoopInput": {"InputContent": "{}"}}),
        ("a2i", "DescribeHumanLoop", name),
        ("a2i", "ListHumanLoops", {"FlowDefinitionArn": FLOW, "SortOrder": "Ascending", "MaxResults": 1}),
        ("a2i", "DeleteHumanLoop", name),
        ("a2i", "StopHumanLoop", name),
        ("a2i", "DeleteHumanLoop", name),
        ("a2i", "DescribeHumanLoop", name),
    )
    arn = f"arn:aws:sagemaker:us-east-1:{ACME}:human-loop/loop-1"
    assert started["output"] == again["output"] == {"HumanLoopArn": arn}
    assert (other["error"]["name"], other["metadata"]["httpStatusCode"]) == ("ConflictException", 409)
    assert described["output"]["HumanLoopStatus"] == "InProgress"
    assert "$date" in described["output"]["CreationTime"]
    [summary] = listed["output"]["HumanLoopSummaries"]
    assert (summary["HumanLoopName"], "$date" in summary["CreationTime"]) == ("loop-1", True)
    assert running["error"]["name"] == "ValidationException" and running["error"]["modelled"]
    assert stopped["output"] == deleted["output"] == {}
    assert (gone["error"]["name"], gone["metadata"]["httpStatusCode"]) == ("ResourceNotFoundException", 404)
    assert gone["error"]["modelled"]


def test_the_lock_file_is_that_of_the_package_and_names_no_registry() -> None:
    lock = (FOLDER / "package-lock.json").read_text()
    assert "resolved" not in lock
    assert "registry" not in lock
    asked = json.loads((FOLDER / "package.json").read_text())["dependencies"]
    assert {f"@aws-sdk/client-{name}" for name in (protocol.REKOGNITION, protocol.A2I_RUNTIME)} == asked.keys()
    for name, version in asked.items():
        assert json.loads(lock)["packages"][f"node_modules/{name}"]["version"] == version
