"""One picture through the whole house, with the real networks: sent by boto3, decided by a person in Chromium.

The rifle is sent with a HumanLoopConfig and meets its flow definition's condition.  A reviewer finds it veiled, looks,
decides; the loop completes, output file and ground truth are right, the webhook of the verdict arrives signed.  The
T-shirt meets no condition: no loop begins, and the answer says so.
"""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from mypy_boto3_rekognition import RekognitionClient
from playwright.sync_api import Browser
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer
from standardwebhooks.webhooks import Webhook

from moderation import storage, webhooks
from moderation.models import Bucket, Submission, Verdict, WebhookEndpoint
from reviews import settlement
from reviews.models import FlowDefinition, GroundTruth, HumanLoop, ReviewQueue, WorkTeam
from tests import weights
from tests.browser.visitor import Visitor
from tests.world import ACME, World

PICTURES = Path(__file__).parent / "pictures"
FLOW_ARN = f"arn:aws:sagemaker:us-east-1:{ACME}:flow-definition/weapons"
CONDITIONS = {
    "Conditions": [
        {
            "ConditionType": "ModerationLabelConfidenceCheck",
            "ConditionParameters": {"ModerationLabelName": "Weapons", "ConfidenceGreaterThanEquals": 60},
        }
    ]
}

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.weights, pytest.mark.browser]


@pytest.fixture
def heard(settings: Settings) -> Iterator[list[tuple[dict[str, str], bytes]]]:
    """What a receiver of webhooks on loopback hears; it stands at `heard_at`."""
    arrived: list[tuple[dict[str, str], bytes]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            arrived.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings.WEBHOOK_PRIVATE_HOSTS = ["127.0.0.1"]
    settings.HEARD_AT = f"http://127.0.0.1:{server.server_port}/hook"
    yield arrived
    server.shutdown()
    server.server_close()


@pytest.fixture
def house(world: World, settings: Settings, tmp_path: Path, heard: object) -> World:
    """Acme with the real engine, a flow definition, a bucket for its answers and somebody who hears of verdicts."""
    settings.ENGINE = "default"
    settings.WEIGHTS_DIR = weights.folder()
    settings.DATA_DIR = tmp_path
    settings.UNDO_GRACE_SECONDS = 0
    team = WorkTeam.objects.create(account=world.acme, name="weapons")
    team.members.add(world.reviewer)
    FlowDefinition.objects.create(
        account=world.acme,
        name="weapons",
        conditions=json.dumps(CONDITIONS),
        work_team=team,
        queue=ReviewQueue.objects.create(account=world.acme, name="weapons"),
        output_path="s3://answers/loops",
    )
    Bucket.objects.create(account=world.acme, name="answers")
    WebhookEndpoint.objects.create(account=world.acme, url=settings.HEARD_AT, events=["submission.rejected"])
    return world


@pytest.fixture
def rekognition(live_server: LiveServer, house: World) -> RekognitionClient:
    return boto3.client(
        "rekognition",
        region_name="us-east-1",
        endpoint_url=live_server.url,
        aws_access_key_id=house.key.key.key_id,
        aws_secret_access_key=house.key.key.secret,
        config=Config(retries={"max_attempts": 0}),
    )


def detect(client: RekognitionClient, picture: str, loop: str) -> Any:
    return client.detect_moderation_labels(
        Image={"Bytes": (PICTURES / picture).read_bytes()},
        HumanLoopConfig={"HumanLoopName": loop, "FlowDefinitionArn": FLOW_ARN},
    )


def test_the_rifle_goes_to_a_person_whose_word_stands(
    rekognition, house, browser, browser_context_args, live_server, heard
):
    answer = detect(rekognition, "rifle.jpg", "rifle-1")
    found = {label["Name"]: label["Confidence"] for label in answer["ModerationLabels"]}
    assert found["Weapons"] > 80
    assert found["Violence"] == found["Weapons"]
    activation = answer["HumanLoopActivationOutput"]
    assert activation["HumanLoopArn"] == f"arn:aws:sagemaker:us-east-1:{ACME}:human-loop/rifle-1"
    assert json.loads(activation["HumanLoopActivationConditionsEvaluationResults"])["Conditions"][0]["EvaluationResult"]

    decide_in_chromium(browser, live_server, house, browser_context_args)
    settlement.run_due()
    webhooks.send_due()

    loop = HumanLoop.objects.get(name="rifle-1")
    assert loop.status == HumanLoop.Status.COMPLETED
    check_output(house, loop)
    check_truth(loop)
    check_webhook(loop, heard)


def decide_in_chromium(browser: Browser, live_server: LiveServer, house: World, options: dict[str, Any]) -> None:
    visitor = Visitor(browser, live_server.url, house.reviewer, **options)
    page = visitor.open("/review/next")
    assert page.get_by_role("heading", name="Probable").count() == 1
    assert not [request for request in visitor.requests if "full" in request.url], "unveiled before anyone asked"
    page.get_by_role("button", name="Show picture").click()
    page.get_by_role("checkbox", name="Weapons").first.check()
    page.keyboard.press("r")
    page.get_by_role("button", name="Submit and next").last.click()
    page.wait_for_load_state("networkidle")
    assert visitor.complaints == []
    visitor.context.close()


def check_output(house: World, loop: HumanLoop) -> None:
    when = loop.created_at.strftime("%Y/%m/%d/%H/%M/%S")
    assert loop.output_uri == f"s3://answers/loops/weapons/{when}/rifle-1/output.json"
    output = json.loads(storage.read(house.acme, "answers", loop.output_uri.removeprefix("s3://answers/")))
    assert output["humanLoopName"] == "rifle-1"
    assert output["flowDefinitionArn"] == FLOW_ARN
    [said] = output["humanAnswers"]
    labels = said["answerContent"]["AWS/Rekognition/DetectModerationLabels/Image/V3"]["moderationLabels"]
    assert {"name": "Weapons", "parentName": "Violence"} in labels
    assert output["inputContent"]["humanTaskActivationConditionResults"]["Conditions"][0]["EvaluationResult"] is True


def check_truth(loop: HumanLoop) -> None:
    truth = GroundTruth.objects.get(loop=loop)
    assert truth.outcome == "reject"
    assert {"Weapons", "Violence"} <= set(truth.present)
    assert truth.inclusion_probability == 1
    assert truth.versions["engine"]
    assert loop.submission
    verdict = loop.submission.latest_verdict()
    assert verdict
    assert (verdict.source, verdict.outcome) == (Verdict.Source.HUMAN, "reject")
    loop.submission.refresh_from_db()
    assert loop.submission.status == Submission.Status.REJECTED


def check_webhook(loop: HumanLoop, heard: list[tuple[dict[str, str], bytes]]) -> None:
    [(headers, body)] = heard
    secret = WebhookEndpoint.objects.get().secret
    signed = {name.lower(): value for name, value in headers.items()}
    event = Webhook(secret).verify(body, signed)
    assert event["type"] == "submission.rejected"
    assert event["data"]["submission"] == str(loop.submission_id)


def test_the_shirt_meets_no_condition_and_starts_no_loop(rekognition):
    answer = detect(rekognition, "t-shirt.jpg", "shirt-1")
    assert answer["ModerationLabels"] == []
    activation = answer["HumanLoopActivationOutput"]
    assert "HumanLoopArn" not in activation
    results = json.loads(activation["HumanLoopActivationConditionsEvaluationResults"])
    assert results["Conditions"][0]["EvaluationResult"] is False
    assert not HumanLoop.objects.exists()
    assert Submission.objects.get().blob is None, "a picture that nobody will look at is not kept"


def test_wine_is_seen_and_named_with_its_category(rekognition):
    answer = rekognition.detect_moderation_labels(Image={"Bytes": (PICTURES / "wine.jpg").read_bytes()})
    assert {"Alcohol", "Alcoholic Beverages"} <= {label["Name"] for label in answer["ModerationLabels"]}
