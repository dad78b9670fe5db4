"""DetectModerationLabels as unmodified clients see it: boto3, the AWS CLI and curl, over HTTP, with the fake engine."""

import json
import shutil
import subprocess
import sys
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from botocore.exceptions import ClientError
from botocore.model import ListShape, StructureShape
from django.conf import settings
from PIL import Image
from pytest_django.live_server_helper import LiveServer

from moderation import handoff
from moderation.aws import protocol, rekognition, taxonomy_view
from moderation.models import Analysis, IssuedKey, Submission
from reviews.models import HumanLoop
from tests import media
from tests.moderation.aws.rekognition_world import CONFIG, FLOW, flow, named, refusal
from tests.world import ACME, GLOBEX, issue

pytestmark = pytest.mark.django_db(transaction=True)


# --- answers ----------------------------------------------------------------------------------------------------------


def test_a_label_comes_with_its_ancestors(acme):
    response = acme.detect_moderation_labels(Image={"Bytes": media.picture("Blood & Gore", 87)})
    confidence = response["ModerationLabels"][0]["Confidence"]
    assert confidence == pytest.approx(87, abs=1.5)
    assert confidence == float(np.float32(confidence))
    assert response["ModerationLabels"] == [
        {"Name": "Blood & Gore", "ParentName": "Graphic Violence", "TaxonomyLevel": 3, "Confidence": confidence},
        {"Name": "Graphic Violence", "ParentName": "Violence", "TaxonomyLevel": 2, "Confidence": confidence},
        {"Name": "Violence", "ParentName": "", "TaxonomyLevel": 1, "Confidence": confidence},
    ]
    assert response["ModerationModelVersion"] == "7.0"
    assert response["ContentTypes"] == []
    assert "HumanLoopActivationOutput" not in response
    assert "ProjectVersion" not in response
    headers = response["ResponseMetadata"]["HTTPHeaders"]
    assert headers["content-type"] == "application/x-amz-json-1.1"
    assert "date" in headers and "age" not in headers


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_a_clean_picture_has_no_labels(acme, format):
    response = acme.detect_moderation_labels(Image={"Bytes": media.picture(format=format)})
    assert (response["ModerationLabels"], response["ContentTypes"]) == ([], [])


def test_content_types(acme):
    response = acme.detect_moderation_labels(Image={"Bytes": media.picture("Weapons", 90, illustrated=True)})
    [found] = response["ContentTypes"]
    assert found["Name"] == "Illustrated"
    assert found["Confidence"] == pytest.approx(90, abs=1.5)


def test_min_confidence_is_at_least_and_fifty_by_default(acme):
    unsure, sure = media.picture("Weapons", 40), media.picture("Weapons", 60)
    assert named(acme.detect_moderation_labels(Image={"Bytes": unsure})) == []
    found = acme.detect_moderation_labels(Image={"Bytes": unsure}, MinConfidence=0)
    assert named(found) == ["Weapons", "Violence"]
    exactly = acme.detect_moderation_labels(Image={"Bytes": sure})["ModerationLabels"][0]["Confidence"]
    for above, expected in ((-1, 2), (1, 0)):
        response = acme.detect_moderation_labels(Image={"Bytes": sure}, MinConfidence=exactly + above)
        assert len(response["ModerationLabels"]) == expected
    assert named(acme.detect_moderation_labels(Image={"Bytes": sure}, MinConfidence=100)) == []


def test_the_same_picture_has_the_same_answer(acme):
    answers = [acme.detect_moderation_labels(Image={"Bytes": media.picture("Weapons")}) for _ in range(2)]
    for answer in answers:
        del answer["ResponseMetadata"]
    assert answers[0] == answers[1]


def test_several_at_once(acme):
    pictures = [media.picture("Weapons", 60 + number) for number in range(12)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda data: acme.detect_moderation_labels(Image={"Bytes": data}), pictures))
    found = [answer["ModerationLabels"][0]["Confidence"] for answer in answers]
    assert found == sorted(found)
    assert found[-1] - found[0] == pytest.approx(11, abs=1)


def test_chains_stand_by_falling_confidence_and_no_label_twice():
    scores = {
        "Violence": 95.0,
        "Weapons": 95.0,
        "Graphic Violence": 80.0,
        "Blood & Gore": 80.0,
        "Physical Violence": 70.0,
        "Alcohol": 90.0,
        "Alcoholic Beverages": 90.0,
        "Gambling": 90.0,
        "Explicit": 49.9,
        "Rude Gestures": 0.0,
    }
    labels = taxonomy_view.labels(scores, 50)
    assert [(label["Name"], label["TaxonomyLevel"], label["Confidence"]) for label in labels] == [
        ("Weapons", 2, 95.0),
        ("Violence", 1, 95.0),
        ("Alcoholic Beverages", 2, 90.0),
        ("Alcohol", 1, 90.0),
        ("Gambling", 1, 90.0),
        ("Blood & Gore", 3, 80.0),
        ("Graphic Violence", 2, 80.0),
        ("Physical Violence", 3, 70.0),
    ]
    assert [label["Name"] for label in taxonomy_view.labels(scores, 95)] == ["Weapons", "Violence"]
    assert "Rude Gestures" not in [label["Name"] for label in taxonomy_view.labels(scores, 0)]


# --- what is written down ---------------------------------------------------------------------------------------------


def test_the_call_is_a_submission_whose_picture_is_let_go(acme, world):
    data = media.picture("Alcoholic Beverages", 95)
    acme.detect_moderation_labels(Image={"Bytes": data})
    submission = Submission.objects.get()
    assert (submission.account_id, submission.source, submission.access_key) == (ACME, "aws", world.key.key)
    assert submission.blob is None
    assert submission.media_size == len(data)
    analysis = Analysis.objects.get(submission=submission)
    assert analysis.status == Analysis.Status.SUCCEEDED
    assert analysis.attempt == 1
    assert submission.latest_verdict() is not None
    world.key.key.refresh_from_db()
    assert world.key.key.last_used_at is not None


def test_the_picture_is_kept_where_the_installation_says_so(acme, settings):
    settings.KEEP_SYNCHRONOUS_IMAGES = True
    data = media.picture()
    acme.detect_moderation_labels(Image={"Bytes": data})
    blob = Submission.objects.get().blob
    assert blob is not None
    assert blob.read() == data


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_more_than_five_mebibytes(acme):
    size = 5_242_881
    assert refusal(acme, bytes(size)) == (
        "ValidationException",
        f"1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 lim={size} cap={size}]' at 'image.bytes' "
        "failed to satisfy constraint: Member must have length less than or equal to 5242880",
    )
    assert refusal(acme, bytes(10_000_000))[0] == "ValidationException"


def test_a_side_of_more_than_ten_thousand_pixels(acme):
    data = media.encode(Image.new("RGB", (10_800, 60), "teal"), "PNG")
    message = "Input image dimensions 10800 x 60 exceed maximum dimension size of 10000 pixels"
    assert refusal(acme, data) == ("ImageTooLargeException", message)
    bomb = "Input image dimensions 30000 x 30000 exceed maximum dimension size of 10000 pixels"
    assert refusal(acme, media.png_bomb()) == ("ImageTooLargeException", bomb)


def test_too_small(acme):
    code, message = refusal(acme, media.tiny())
    assert code == "InvalidParameterException"
    assert message.startswith("Request has invalid parameters. ")
    assert "1 x 1" in message


@pytest.mark.parametrize(
    "data",
    [
        media.gif(),
        media.webp(),
        media.zip_archive(),
        media.truncated(),
        media.truncated("PNG"),
        b"\0",
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    ],
    ids=["gif", "webp", "zip", "cut jpeg", "cut png", "nul", "jpeg start", "png start", "svg"],
)
def test_what_is_no_jpeg_or_png(acme, data):
    code, message = refusal(acme, data)
    assert code == "InvalidImageFormatException"
    assert message.startswith("Request has invalid image format")
    assert "base64" not in message


@pytest.mark.parametrize(
    "data",
    [
        b64encode(media.picture()),
        b64encode(media.picture(format="PNG")),
        b"data:image/jpeg;base64," + b64encode(media.picture()),
    ],
    ids=["jpeg", "png", "data url"],
)
def test_a_picture_encoded_twice_gets_a_hint(acme, data):
    code, message = refusal(acme, data)
    assert code == "InvalidImageFormatException"
    assert message.startswith("Request has invalid image format")
    assert "base64 text" in message


def test_a_picture_must_come_in_one_way(acme):
    s3_object = {"S3Object": {"Bucket": "bucket", "Name": "photo.jpg"}}
    for image in ({}, {"Bytes": media.picture(), **s3_object}):
        code, message = refusal(acme, image)
        assert code == "InvalidParameterException"
        assert message.startswith("Request has invalid parameters")
    assert refusal(acme, s3_object) == (
        "InvalidS3ObjectException",
        "Unable to get object metadata from S3. Check object key, region and/or access permissions.",
    )


def test_constraints_that_clients_do_not_check(client_for, world):
    client = client_for(world.key, parameter_validation=False)
    assert refusal(client, media.picture(), MinConfidence=101.0)[1] == (
        "1 validation error detected: Value '101.0' at 'minConfidence' failed to satisfy constraint: "
        "Member must have value less than or equal to 100"
    )
    assert refusal(client, media.picture(), MinConfidence=-1)[0] == "ValidationException"
    assert refusal(client, media.picture(), ProjectVersion="arn:aws:rekognition:us-east-1:x:project/p")[0] == (
        "ValidationException"
    )
    with pytest.raises(
        ClientError, match="Value null at 'image' failed to satisfy constraint: Member must not be null"
    ):
        client.detect_moderation_labels()


def test_no_adapter_exists(acme):
    arn = f"arn:aws:rekognition:us-east-1:{ACME}:project/p/version/v/1700000000000"
    assert refusal(acme, media.picture(), ProjectVersion=arn)[0] == "ResourceNotFoundException"


def test_a_refused_picture_leaves_nothing_behind(acme):
    for data in (media.gif(), media.tiny(), media.truncated()):
        refusal(acme, data)
    assert not Submission.objects.exists()


def test_modelled_errors_are_classes_of_the_client(acme):
    with pytest.raises(acme.exceptions.InvalidImageFormatException):
        acme.detect_moderation_labels(Image={"Bytes": media.gif()})


def test_who_is_not_let_in(client_for, world):
    issued = world.key
    assert refusal(client_for(issued, secret="x" * 40), b"x")[0] == "InvalidSignatureException"
    code, message = refusal(client_for(issued, token="session"), b"x")
    assert code == "UnrecognizedClientException"
    assert "Session tokens" in message
    issued.key.revoke()
    assert refusal(client_for(issued), b"x")[0] == "UnrecognizedClientException"


def test_a_key_may_only_what_its_policy_says(client_for, world):
    policy = {"Statement": [{"Effect": "Allow", "Action": "sagemaker:*", "Resource": "*"}]}
    code, message = refusal(client_for(issue(world.acme, policy=policy)), media.picture())
    assert code == "AccessDeniedException"
    assert message.endswith("is not authorized to perform: rekognition:DetectModerationLabels on resource: *")


def test_a_persons_key_may_only_what_the_person_may(client_for, world):
    uploader = client_for(world.uploader_key)
    assert named(uploader.detect_moderation_labels(Image={"Bytes": media.picture("Weapons")}))
    assert Submission.objects.get().uploader == world.uploader
    assert refusal(client_for(world.reviewer_key), media.picture())[0] == "AccessDeniedException"


def test_limits_of_the_installation(acme, settings):
    settings.IMAGE_MAX_PIXELS = 10_000
    assert refusal(acme, media.picture()) == (
        "ImageTooLargeException",
        "Image size is too large. The picture is 320 x 240 pixels; width times height may not exceed 10000.",
    )
    settings.UPLOAD_MAX_BYTES = 1000
    code, message = refusal(acme, media.picture())
    assert code == "ImageTooLargeException"
    assert message.startswith("Image size is too large. ")


# --- human loops ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (handoff.FlowNotFound("no flow"), "ResourceNotFoundException"),
        (handoff.FlowNotReady("no flow"), "ResourceNotReadyException"),
        (handoff.FlowUnsuitable("no flow"), "InvalidParameterException"),
        (handoff.LoopNameTaken("no flow"), "InvalidParameterException"),
        (handoff.LoopQuotaExceeded("no flow"), "HumanLoopQuotaExceededException"),
    ],
)
def test_refused_review_requests_in_rekognitions_words(error, code):
    told = rekognition._handoff_error(error)
    assert told.code == code
    assert told.message.endswith("no flow")
    assert (told.members != {}) is (code == "HumanLoopQuotaExceededException")


def test_a_loop_begins_where_the_conditions_hold_and_a_replay_makes_no_second(acme, world):
    flow(world.acme)
    unsure = media.picture("Weapons", 70)
    for _ in range(2):
        output = acme.detect_moderation_labels(Image={"Bytes": unsure}, HumanLoopConfig=CONFIG)[
            "HumanLoopActivationOutput"
        ]
        assert output["HumanLoopArn"] == f"arn:aws:sagemaker:us-east-1:{ACME}:human-loop/loop-1"
        assert output["HumanLoopActivationReasons"]
        [condition] = json.loads(output["HumanLoopActivationConditionsEvaluationResults"])["Conditions"]
        assert condition["EvaluationResult"] is True
    assert HumanLoop.objects.count() == 1
    other = media.picture("Weapons", 70, seed=1)
    assert refusal(acme, other, HumanLoopConfig=CONFIG)[0] == "InvalidParameterException"


def test_no_loop_begins_where_the_conditions_do_not_hold(acme, world):
    flow(world.acme)
    sure = media.picture("Weapons", 98)
    output = acme.detect_moderation_labels(Image={"Bytes": sure}, HumanLoopConfig=CONFIG)["HumanLoopActivationOutput"]
    assert output.keys() == {"HumanLoopActivationConditionsEvaluationResults"}
    [condition] = json.loads(output["HumanLoopActivationConditionsEvaluationResults"])["Conditions"]
    assert condition["EvaluationResult"] is False


@pytest.mark.parametrize(
    "arn",
    [
        FLOW,
        FLOW.replace("us-east-1", "eu-west-1"),
        FLOW.replace(ACME, GLOBEX),
        FLOW.replace("flow-definition", "x"),
        "x",
    ],
)
def test_flow_definitions_that_do_not_exist_for_the_caller(acme, world, arn):
    flow(world.globex)
    code, _ = refusal(acme, media.picture("Weapons"), HumanLoopConfig={**CONFIG, "FlowDefinitionArn": arn})
    assert code == "ResourceNotFoundException"
    assert not Submission.objects.exists()


def test_a_human_loop_needs_its_own_permission(client_for, world):
    policy = {"Statement": [{"Effect": "Allow", "Action": "rekognition:*", "Resource": "*"}]}
    client = client_for(issue(world.acme, policy=policy))
    code, message = refusal(client, media.picture("Weapons"), HumanLoopConfig=CONFIG)
    assert code == "AccessDeniedException"
    assert message.endswith(f"sagemaker:StartHumanLoop on resource: {FLOW}")


# --- other clients ----------------------------------------------------------------------------------------------------


def test_the_aws_cli(live_server, world, tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(media.picture("Weapons", 95))
    arguments = ["--image-bytes", f"fileb://{path}", "--min-confidence", "60"]
    found = json.loads(_aws_cli(live_server, world.key, tmp_path, "detect-moderation-labels", *arguments))
    assert named(found) == ["Weapons", "Violence"]


def _aws_cli(live_server: LiveServer, issued: IssuedKey, home: Path, *arguments: str) -> str:
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "AWS_ACCESS_KEY_ID": issued.key.key_id,
        "AWS_SECRET_ACCESS_KEY": issued.key.secret,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": live_server.url,
    }
    command = [sys.executable, "-m", "awscli", "rekognition", *arguments, "--output", "json"]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_curl_signs_too(live_server, world):
    body = json.dumps({"Image": {"Bytes": b64encode(media.picture("Weapons", 95)).decode()}})
    command = ["curl", "-sS", "--aws-sigv4", "aws:amz:us-east-1:rekognition", "--data-binary", "@-"]
    command += ["--user", f"{world.key.key.key_id}:{world.key.key.secret}"]
    command += ["-H", "X-Amz-Target: RekognitionService.DetectModerationLabels"]
    command += ["-H", "Content-Type: application/x-amz-json-1.1", live_server.url]
    answer = subprocess.run(command, input=body, check=True, capture_output=True, text=True)
    assert named(json.loads(answer.stdout)) == ["Weapons", "Violence"]


# --- the documentation ------------------------------------------------------------------------------------------------


def test_the_documentation_speaks_of_every_member():
    text = (settings.BASE_DIR / "docs" / "aws.md").read_text()
    model = protocol.load_model("rekognition").operation_model("DetectModerationLabels")
    for heading, shape in (("request", model.input_shape), ("response", model.output_shape)):
        table = text.split(f"### DetectModerationLabels: the {heading}")[1].split("\n### ")[0]
        for path in _paths(shape):
            rows = [row for row in table.splitlines() if row.startswith("| ")]
            assert any(path.startswith(row.split(" | ")[0].removeprefix("| ")) for row in rows), path
    for name in rekognition.OPERATIONS:
        assert f"| rekognition | {name} | " in text


def _paths(shape: Any) -> list[str]:
    """`Image.Bytes`, `ModerationLabels[].Name`, …: every member that holds a value."""
    if isinstance(shape, StructureShape):
        return [
            f"{name}{'.' if not rest.startswith('[]') and rest else ''}{rest}"
            for name, member in shape.members.items()
            for rest in _paths(member)
        ]
    if isinstance(shape, ListShape) and isinstance(shape.member, StructureShape):
        return [f"[].{rest}" for rest in _paths(shape.member)]
    return [""]
