"""The output file, key by key as Augmented AI writes it."""

import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from moderation import storage
from moderation.models import Submission
from reviews import decisions, loops, output, queue, settlement
from reviews.models import HumanLoop, Worker
from tests.reviews import loop_world as made
from tests.reviews.conditions_world import check
from tests.world import World

pytestmark = pytest.mark.django_db
WHEN = datetime(2026, 3, 4, 5, 6, 7, 891_000, tzinfo=UTC)
SOURCE = "AWS/Rekognition/DetectModerationLabels/Image/V3"


def finished(world: World, conditions: object = None, **request: str) -> HumanLoop:
    """A loop begun by a request, answered by two people and settled."""
    flow = made.flow(
        world.acme,
        (world.reviewer, world.reviewer2),
        conditions=conditions,
        task_count=2,
        output_path=made.output_bucket(world.acme),
    )
    asked = made.request(flow, content_classifiers=("FreeOfPersonallyIdentifiableInformation",), **request)
    scores = {"Weapons": 85.3, "Smoking": 61.0, "Gambling": 12.0}
    with time_machine.travel(WHEN, tick=False):
        made.considered(world.acme, scores, request=asked, source=Submission.Source.AWS)
        seats = [(who, queue.claim(who)[0]) for who in (world.reviewer, world.reviewer2)]
    for minute, (who, seat) in enumerate(seats, start=1):
        with time_machine.travel(WHEN + timedelta(minutes=minute), tick=False):
            answer = made.reject("Weapons", seconds=40.5434) if minute == 1 else made.reject("Violence", seconds=2)
            decisions.submit(seat.pk, seat.token, who, answer)
    with time_machine.travel(WHEN + timedelta(minutes=9), tick=False):
        settlement.run_due()
    return HumanLoop.objects.get()


def read(world: World, loop: HumanLoop) -> dict[str, object]:
    where = storage.locate(loop.output_uri)
    content: dict[str, object] = json.loads(storage.read(world.acme, where.bucket, where.key))
    return content


def test_the_file_lies_under_flow_creation_time_and_name(world: World):
    loop = finished(world)
    assert loop.output_uri == "s3://answers/out/house/2026/03/04/05/06/07/loop-1/output.json"


def test_the_file_says_what_was_asked_and_answered(world: World):
    loop = finished(world, conditions=[check("Weapons", LessThan=90)], bucket="photos", key="a/b.jpg")
    content = read(world, loop)
    workers = [Worker.objects.get(user=who) for who in (world.reviewer, world.reviewer2)]
    weapons = {"confidence": pytest.approx(85.3, 1e-6), "name": "Weapons", "parentName": "Violence", "taxonomyLevel": 2}
    response = content["inputContent"].pop("aiServiceResponse")  # type: ignore[attr-defined]

    assert content == {
        "awsManagedHumanLoopRequestSource": SOURCE,
        "flowDefinitionArn": "arn:aws:sagemaker:us-east-1:111111111111:flow-definition/house",
        "humanLoopName": "loop-1",
        "humanAnswers": [
            {
                "answerContent": {SOURCE: {"moderationLabels": [{"name": name, "parentName": parent}]}},
                "acceptanceTime": "2026-03-04T05:06:07.891Z",
                "submissionTime": f"2026-03-04T05:0{7 + place}:07.891Z",
                "timeSpentInSeconds": seconds,
                "workerId": workers[place].worker_id,
                "workerMetadata": {
                    "identityData": {
                        "identityProviderType": "Oidc",
                        "issuer": "http://127.0.0.1:8000",
                        "sub": str(workers[place].subject),
                    }
                },
            }
            for place, (name, parent, seconds) in enumerate([("Weapons", "Violence", 40.543), ("Violence", "", 2)])
        ],
        "inputContent": {
            "aiServiceRequest": {
                "humanLoopConfig": {
                    "flowDefinitionArn": "arn:aws:sagemaker:us-east-1:111111111111:flow-definition/house",
                    "humanLoopName": "loop-1",
                    "dataAttributes": {"contentClassifiers": ["FreeOfPersonallyIdentifiableInformation"]},
                },
                "image": {"s3Object": {"bucket": "photos", "name": "a/b.jpg"}},
            },
            "humanTaskActivationConditionResults": {
                "Conditions": [
                    {
                        "ConditionType": "ModerationLabelConfidenceCheck",
                        "ConditionParameters": {"ModerationLabelName": "Weapons", "ConfidenceLessThan": 90},
                        "EvaluationResult": True,
                    }
                ]
            },
            "selectedAiServiceResponse": {"moderationLabels": [weapons], "moderationModelVersion": "7.0"},
        },
    }
    assert {label["name"] for label in response["moderationLabels"]} == {
        "Violence", "Weapons", "Drugs & Tobacco", "Drugs & Tobacco Paraphernalia & Use", "Smoking",
    }  # fmt: skip


def test_confidences_look_like_the_32_bit_floats_of_the_response(world: World):
    response = read(world, finished(world))["inputContent"]["aiServiceResponse"]  # type: ignore[index]
    assert 85.30000305175781 in [label["confidence"] for label in response["moderationLabels"]]


def test_a_picture_sent_as_bytes_is_named_where_we_keep_it(world: World):
    content = read(world, finished(world))
    where = content["inputContent"]["aiServiceRequest"]["image"]["s3Object"]  # type: ignore[index]
    assert storage.read(world.acme, where["bucket"], where["name"]).startswith(b"\xff\xd8")


def test_approving_without_labels_is_an_empty_list(world: World):
    flow = made.flow(world.acme, (world.reviewer,), output_path=made.output_bucket(world.acme))
    loop = made.loop(flow)
    [seat] = queue.claim(world.reviewer)
    decision = decisions.submit(seat.pk, seat.token, world.reviewer, made.approve())
    [answer] = output.document(loop, [decision])["humanAnswers"]  # type: ignore[misc]
    assert answer["answerContent"] == {SOURCE: {"moderationLabels": []}}  # type: ignore[has-type]


def test_a_worker_keeps_one_meaningless_id(world: World):
    worker = Worker.objects.create(user=world.reviewer)
    assert len(worker.worker_id) == 16
    assert str(world.reviewer.pk) != worker.worker_id and world.reviewer.username not in worker.worker_id
    loop = finished(world)
    assert read(world, loop)["humanAnswers"][0]["workerId"] == worker.worker_id  # type: ignore[index]


def test_a_custom_task_has_its_own_answer_and_no_request_source(world: World):
    flow = made.flow(world.acme, (world.reviewer,), name="custom", request_source="")
    loop, _ = loops.start(flow, loops.LoopInput("t", loops.input_digest(flow, "x", ()), {"question": "Cat?"}))
    [seat] = queue.claim(world.reviewer)
    answer = decisions.Answer(uuid.uuid4(), answer={"cat": True})
    decision = decisions.submit(seat.pk, seat.token, world.reviewer, answer)
    content = output.document(loop, [decision])
    assert "awsManagedHumanLoopRequestSource" not in content
    assert content["inputContent"] == {"question": "Cat?"}
    assert content["humanAnswers"][0]["answerContent"] == {"cat": True}  # type: ignore[index]


def test_only_reviewers_answers_are_in_the_file_not_the_leads(world: World):
    path = made.output_bucket(world.acme)
    flow = made.flow(world.acme, (world.reviewer, world.reviewer2, world.lead), task_count=2, output_path=path)
    made.loop(flow)
    for who, answer in ((world.reviewer, made.approve()), (world.reviewer2, made.reject("Weapons"))):
        [seat] = queue.claim(who)
        decisions.submit(seat.pk, seat.token, who, answer)
    with time_machine.travel(timezone.now() + timedelta(seconds=61)):
        settlement.run_due()
        [seat] = queue.claim(world.lead)
        decisions.submit(seat.pk, seat.token, world.lead, made.approve())
    before = read(world, HumanLoop.objects.get())
    with time_machine.travel(timezone.now() + timedelta(seconds=200)):
        settlement.run_due()
    loop = HumanLoop.objects.get()
    assert loop.settled_at
    assert read(world, loop) == before and len(before["humanAnswers"]) == 2  # type: ignore[arg-type]
