"""The Augmented AI runtime by unmodified clients: custom tasks from their start to their end."""

import json
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from moderation import storage
from moderation.models import OutboxMessage, WebhookEndpoint
from reviews import decisions, loops, queue, settlement
from reviews.decisions import Answer
from reviews.models import Decision, FlowDefinition, HumanLoop, ReviewTask
from tests.reviews import loop_world
from tests.reviews.aws.clients import arn, make_flow, moderation, refusal
from tests.world import ACME, GLOBEX

pytestmark = pytest.mark.django_db(transaction=True)

FLOW = arn("flow-definition", "flow")
FREE = {"ContentClassifiers": ["FreeOfAdultContent"]}


@pytest.fixture(autouse=True)
def no_grace(settings):
    """Answers count at once."""
    settings.UNDO_GRACE_SECONDS = 0


@pytest.fixture
def flow(sagemaker) -> str:
    """The ARN of a flow definition for custom tasks, worked by the reviewers."""
    return make_flow(sagemaker)


def start(a2i, name="loop", content: object = None, flow=FLOW, **more: Any) -> str:
    """Begin a loop; its ARN."""
    text = (
        content if isinstance(content, str) else json.dumps({"text": "Is this spam?"} if content is None else content)
    )
    answer = a2i.start_human_loop(
        HumanLoopName=name, FlowDefinitionArn=flow, HumanLoopInput={"InputContent": text}, **more
    )
    return str(answer["HumanLoopArn"])


def refused(a2i, **members: Any) -> tuple[str, str]:
    request = {
        "HumanLoopName": "loop",
        "FlowDefinitionArn": FLOW,
        "HumanLoopInput": {"InputContent": '{"text": 1}'},
        **members,
    }
    return refusal(a2i.start_human_loop, **request)


def answer(person, said: object = None) -> None:
    """Take the next item and answer it."""
    [seat] = queue.claim(person, 1)
    decisions.submit(seat.pk, seat.token, person, Answer(uuid.uuid4(), answer=said or {"spam": True}))


def status(a2i, name="loop") -> str:
    return str(a2i.describe_human_loop(HumanLoopName=name)["HumanLoopStatus"])


def names(listed) -> list[str]:
    return [each["HumanLoopName"] for each in listed["HumanLoopSummaries"]]


# --- starting ---------------------------------------------------------------------------------------------------------


def test_a_loop_begins(a2i, flow, world):
    before = timezone.now()
    assert start(a2i, content={"z": 1, "a": ["é😀", None, 1.5]}, DataAttributes=FREE) == arn("human-loop", "loop")
    loop = HumanLoop.objects.get()
    assert (loop.account, loop.region, loop.flow.name) == (world.acme, "us-east-1", "flow")
    assert loop.input_content == {"z": 1, "a": ["é😀", None, 1.5]}
    assert loop.content_classifiers == ["FreeOfAdultContent"]
    assert loop_world.states(loop) == ["open"]
    told = a2i.describe_human_loop(HumanLoopName="loop")
    created = told.pop("CreationTime")
    assert before - timedelta(milliseconds=1) <= created <= timezone.now()
    del told["ResponseMetadata"]
    assert told == {
        "HumanLoopName": "loop",
        "HumanLoopArn": arn("human-loop", "loop"),
        "FlowDefinitionArn": flow,
        "HumanLoopStatus": "InProgress",
    }


def test_the_same_again_is_the_same_loop(a2i, flow):
    first = start(a2i, content='{"a": 1, "b": [2]}', DataAttributes=FREE)
    assert start(a2i, content='{"b":[2],\n "a":1}', DataAttributes=FREE) == first
    assert HumanLoop.objects.count() == 1
    assert ReviewTask.objects.count() == 1


@pytest.mark.parametrize("status", ["InProgress", "Completed"])
def test_another_input_under_the_same_name(a2i, flow, sagemaker, status):
    start(a2i, DataAttributes=FREE)
    HumanLoop.objects.update(status=status)
    other = make_flow(sagemaker, "other")
    same = {"InputContent": '{"text": "Is this spam?"}'}
    for more in (
        {"DataAttributes": FREE},
        {"HumanLoopInput": same},
        {"HumanLoopInput": same, "DataAttributes": FREE, "FlowDefinitionArn": other},
    ):
        assert refused(a2i, **more) == ("ConflictException", "A human loop loop exists with another input.")
    with pytest.raises(a2i.exceptions.ConflictException):
        start(a2i, content={"text": 2})
    assert HumanLoop.objects.count() == 1


def test_of_many_at_once_one_begins(a2i, flow):
    with ThreadPoolExecutor(6) as pool:
        made = set(pool.map(lambda _: start(a2i), range(12)))
    assert made == {arn("human-loop", "loop")}
    assert HumanLoop.objects.count() == ReviewTask.objects.count() == 1


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "must be valid JSON"),
        ("{'a': 1}", "must be valid JSON"),
        ('{"a": 1', "must be valid JSON"),
        ("[1]", "must be a JSON object"),
        ("null", "must be a JSON object"),
        ('"text"', "must be a JSON object"),
        ('{"a": NaN}', "without NaN"),
        ('{"a": [-Infinity]}', "without NaN"),
        ('{"a": 1e999}', "without NaN"),
        ('{"a": "b\\u0000c"}', "U+0000"),
        ('{"a\\u0000": 1}', "U+0000"),
        ('{"a": ["\\ud800"]}', "surrogate"),
        ('{"a": ' + "9" * 5000 + "}", "must be valid JSON"),
        ('{"a": ' + "[" * 101 + "]" * 101 + "}", "nested at most 100 levels"),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "must be"),
        ('{"a": "' + "é" * 1_572_860 + '"}', "at most 3145728 bytes, not 3145729"),
        ("{" + " " * 3_145_727 + "}", "'humanLoopInput.inputContent'"),
    ],
    ids=lambda value: value[:20],
)
def test_what_is_no_content(a2i, flow, content, told):
    code, message = refused(a2i, HumanLoopInput={"InputContent": content})
    assert code == "ValidationException"
    assert told in message
    assert not HumanLoop.objects.exists()


@pytest.mark.parametrize(
    "content",
    [
        '{"a": "' + "é" * 1_572_859 + '"}',
        '{"a": ' + "[" * 97 + "]" * 97 + "}",
        '{"a": "\\\\u0000", "": {}, "n": ' + "9" * 4000 + ', "f": -1.5e-7, "g": 1e22}',
        "{}",
    ],
    ids=["as large as may be", "as deep as may be", "odd", "empty"],
)
def test_content_at_the_limits_is_kept_and_shown(a2i, flow, content, world):
    start(a2i, content=content)
    assert HumanLoop.objects.get().input_content == json.loads(content)
    assert signed_in(world.reviewer).get("/review/next", follow=True).status_code == 200


@pytest.mark.parametrize(
    "flow_arn",
    [
        arn("flow-definition", "none"),
        arn("flow-definition", "flow", GLOBEX),
        arn("flow-definition", "flow", region="eu-west-1"),
        FLOW.replace("arn:aws:", "arn:aws-cn:"),
        arn("flow-definition", "flow/more"),
    ],
)
def test_flow_definitions_that_do_not_exist_for_the_caller(a2i, flow, clients, world, flow_arn):
    outsider = clients.sagemaker(world.outsider_key)
    storage.make_bucket(world.globex, "answers")
    loop_world.flow(world.globex, name="flow", request_source="")
    assert outsider.list_flow_definitions()["FlowDefinitionSummaries"]
    expected = f"The flow definition {flow_arn} does not exist."
    assert refused(a2i, FlowDefinitionArn=flow_arn) == ("ValidationException", expected)
    assert refusal(a2i.list_human_loops, FlowDefinitionArn=flow_arn) == ("ResourceNotFoundException", expected)


def test_flow_definitions_that_take_no_custom_tasks(a2i, sagemaker, flow):
    FlowDefinition.objects.update(status="Failed")
    assert refused(a2i) == ("ValidationException", f"The flow definition {flow} is Failed.")
    labels = make_flow(sagemaker, "labels", **moderation())
    code, message = refused(a2i, FlowDefinitionArn=labels)
    assert code == "ValidationException"
    assert "HumanLoopConfig of DetectModerationLabels" in message


@pytest.mark.parametrize("name", ["Loop", "-loop", "loop-", "a_b", "l" * 64, "loop\n", "a/b", "é"])
def test_names_that_cannot_be(a2i, flow, name):
    code, message = refused(a2i, HumanLoopName=name)
    assert code == "ValidationException"
    assert "'humanLoopName'" in message


def test_an_account_may_have_so_many_open(a2i, flow, settings):
    settings.MAX_OPEN_LOOPS = 1
    start(a2i)
    assert refused(a2i, HumanLoopName="second") == (
        "ServiceQuotaExceededException",
        "The account has 1 open human loops, which is its limit.",
    )
    assert start(a2i) == arn("human-loop", "loop")
    a2i.stop_human_loop(HumanLoopName="loop")
    start(a2i, "second")


# --- people -----------------------------------------------------------------------------------------------------------


def signed_in(person) -> Client:
    browser = Client()
    browser.force_login(person, backend="allauth.account.auth_backends.AuthenticationBackend")
    return browser


def test_a_person_reads_the_content_and_answers_it(a2i, flow, world):
    start(a2i, content={"text": "<b>Is this spam?</b>", "nested": {"n": 1}})
    browser = signed_in(world.reviewer)
    page = browser.get("/review/next", follow=True)
    html = page.content.decode()
    assert "Look" in html and "Say what you see" in html
    assert "&quot;text&quot;: &quot;&lt;b&gt;Is this spam?&lt;/b&gt;&quot;," in html
    seat = ReviewTask.objects.get()
    said = {"token": seat.token, "decision": str(uuid.uuid4()), "answer": '{"spam": true, "why": "links"}'}
    assert browser.post(f"/review/{seat.pk}/", said).status_code == 302
    settlement.run_due()
    assert status(a2i) == "Completed"
    assert Decision.objects.get().answer == {"spam": True, "why": "links"}


def test_answers_are_written_once_all_have_come(a2i, sagemaker, world):
    make_flow(sagemaker, task={"TaskCount": 2})
    start(a2i, content={"b": 1, "a": "?"})
    answer(world.reviewer, {"spam": True})
    settlement.run_due()
    assert status(a2i) == "InProgress"
    answer(world.reviewer2, {"spam": False})
    settlement.run_due()
    told = a2i.describe_human_loop(HumanLoopName="loop")
    assert told["HumanLoopStatus"] == "Completed"
    assert {"FailureCode", "FailureReason"}.isdisjoint(told)
    uri = told["HumanLoopOutput"]["OutputS3Uri"]
    assert uri == f"s3://answers/out/flow/{told['CreationTime']:%Y/%m/%d/%H/%M/%S}/loop/output.json"
    where = storage.locate(uri)
    output = json.loads(storage.read(world.acme, where.bucket, where.key))
    assert [each["answerContent"] for each in output["humanAnswers"]] == [{"spam": True}, {"spam": False}]
    assert (output["flowDefinitionArn"], output["humanLoopName"]) == (FLOW, "loop")
    assert output["inputContent"] == {"b": 1, "a": "?"}
    assert "awsManagedHumanLoopRequestSource" not in output


def test_a_loop_whose_time_is_over_fails(a2i, flow):
    start(a2i)
    HumanLoop.objects.update(available_until=timezone.now() - timedelta(seconds=1))
    loops.fail_overdue()
    told = a2i.describe_human_loop(HumanLoopName="loop")
    assert (told["HumanLoopStatus"], told["FailureCode"]) == ("Failed", "Expired")
    assert told["FailureReason"].startswith("0 of 1 answers came")
    assert "HumanLoopOutput" not in told
    [summary] = a2i.list_human_loops(FlowDefinitionArn=FLOW)["HumanLoopSummaries"]
    assert (summary["HumanLoopStatus"], summary["FailureReason"]) == ("Failed", told["FailureReason"])


def test_a_loop_whose_answers_cannot_be_written_fails(a2i, flow):
    start(a2i)
    loops.fail(HumanLoop.objects.get().pk, loops.OUTPUT_FAILED, "The bucket answers may not be written.")
    told = a2i.describe_human_loop(HumanLoopName="loop")
    assert (told["FailureCode"], told["FailureReason"]) == ("InternalError", "The bucket answers may not be written.")


# --- stopping ---------------------------------------------------------------------------------------------------------


def test_a_loop_that_nobody_holds_stops_at_once(a2i, flow, world):
    start(a2i)
    a2i.stop_human_loop(HumanLoopName="loop")
    told = a2i.describe_human_loop(HumanLoopName="loop")
    assert (told["HumanLoopStatus"], "HumanLoopOutput" in told) == ("Stopped", False)
    assert queue.claim(world.reviewer, 1) == []


def test_whoever_holds_a_seat_may_finish(a2i, sagemaker, world):
    make_flow(sagemaker, task={"TaskCount": 2})
    start(a2i)
    [seat] = queue.claim(world.reviewer, 1)
    a2i.stop_human_loop(HumanLoopName="loop")
    assert status(a2i) == "Stopping"
    assert queue.claim(world.reviewer2, 1) == []
    a2i.stop_human_loop(HumanLoopName="loop")  # asked again after a dropped connection
    assert status(a2i) == "Stopping"
    settlement.run_due()
    assert status(a2i) == "Stopping"
    decisions.submit(seat.pk, seat.token, world.reviewer, Answer(uuid.uuid4(), answer={"spam": True}))
    OutboxMessage.objects.update(not_before=timezone.now())
    settlement.run_due()
    told = a2i.describe_human_loop(HumanLoopName="loop")
    assert told["HumanLoopStatus"] == "Stopped"
    where = storage.locate(told["HumanLoopOutput"]["OutputS3Uri"])
    output = json.loads(storage.read(world.acme, where.bucket, where.key))
    assert [each["answerContent"] for each in output["humanAnswers"]] == [{"spam": True}]


def test_whoever_lets_the_seat_go_cannot_come_back(a2i, flow, world):
    start(a2i)
    [seat] = queue.claim(world.reviewer, 1)
    a2i.stop_human_loop(HumanLoopName="loop")
    queue.release([(seat.pk, seat.token)], world.reviewer)
    OutboxMessage.objects.update(not_before=timezone.now())
    settlement.run_due()
    assert status(a2i) == "Stopped"
    assert queue.claim(world.reviewer, 1) == []


@pytest.mark.parametrize("end", ["Completed", "Failed", "Stopped"])
def test_what_is_over_cannot_be_stopped(a2i, flow, end):
    start(a2i)
    HumanLoop.objects.update(status=end)
    assert refusal(a2i.stop_human_loop, HumanLoopName="loop") == (
        "ValidationException",
        f"The human loop loop is {end}.",
    )


# --- deleting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("running", ["InProgress", "Stopping"])
def test_what_runs_cannot_be_deleted(a2i, flow, running):
    start(a2i)
    HumanLoop.objects.update(status=running)
    code, message = refusal(a2i.delete_human_loop, HumanLoopName="loop")
    assert (code, message) == ("ValidationException", f"The human loop loop is {running}; stop it first.")


@pytest.mark.parametrize("end", ["Completed", "Failed", "Stopped"])
def test_a_deleted_loop_is_gone_and_its_name_is_free(a2i, flow, end):
    start(a2i)
    HumanLoop.objects.update(status=end)
    a2i.delete_human_loop(HumanLoopName="loop")
    gone = ("ResourceNotFoundException", f"The human loop {arn('human-loop', 'loop')} does not exist.")
    for call in (a2i.describe_human_loop, a2i.stop_human_loop, a2i.delete_human_loop):
        assert refusal(call, HumanLoopName="loop") == gone
    assert names(a2i.list_human_loops(FlowDefinitionArn=flow)) == []
    start(a2i, content={"other": "input"})
    assert HumanLoop.objects.count() == 2


def test_the_output_outlives_its_loop(a2i, flow, world):
    start(a2i)
    answer(world.reviewer)
    settlement.run_due()
    where = storage.locate(a2i.describe_human_loop(HumanLoopName="loop")["HumanLoopOutput"]["OutputS3Uri"])
    a2i.delete_human_loop(HumanLoopName="loop")
    assert storage.read(world.acme, where.bucket, where.key)


# --- lists ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def five(a2i, flow, sagemaker):
    """Five loops, begun a day apart from 2026-01-01 on, and one of another flow definition."""
    for day in range(1, 6):
        start(a2i, f"loop-{day}", {"day": day})
        created = datetime(2026, 1, day, 12, 0, 0, 123_000 if day == 4 else 123_900, tzinfo=UTC)
        HumanLoop.objects.filter(name=f"loop-{day}").update(created_at=created)
    start(a2i, "other", flow=make_flow(sagemaker, "other"))
    return a2i


def test_the_newest_come_first_unless_asked_otherwise(five):
    assert names(five.list_human_loops(FlowDefinitionArn=FLOW)) == [f"loop-{day}" for day in (5, 4, 3, 2, 1)]
    listed = five.list_human_loops(FlowDefinitionArn=FLOW, SortOrder="Ascending")
    assert names(listed)[0] == "loop-1"
    assert listed["HumanLoopSummaries"][0] == {
        "HumanLoopName": "loop-1",
        "HumanLoopStatus": "InProgress",
        "CreationTime": datetime(2026, 1, 1, 12, 0, 0, 123_000, tzinfo=UTC),
        "FlowDefinitionArn": FLOW,
    }


def test_by_time_of_creation(five):
    def listed(**more: Any) -> list[str]:
        return names(five.list_human_loops(FlowDefinitionArn=FLOW, **more))

    third = datetime(2026, 1, 3, 12, 0, 0, 123_000, tzinfo=UTC)
    assert listed(CreationTimeAfter=third) == ["loop-5", "loop-4", "loop-3"]
    assert listed(CreationTimeAfter=third + timedelta(microseconds=1)) == ["loop-5", "loop-4"]
    assert listed(CreationTimeBefore=third) == ["loop-2", "loop-1"]
    assert listed(CreationTimeBefore=third + timedelta(microseconds=1)) == ["loop-3", "loop-2", "loop-1"]
    fourth = third + timedelta(days=1)
    assert listed(CreationTimeAfter=fourth) == ["loop-5", "loop-4"]
    assert listed(CreationTimeBefore=fourth) == ["loop-3", "loop-2", "loop-1"]
    assert listed(CreationTimeAfter=datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == []


def test_pages_follow_each_other(five):
    pages = five.get_paginator("list_human_loops").paginate(FlowDefinitionArn=FLOW, PaginationConfig={"PageSize": 2})
    assert [names(page) for page in pages] == [["loop-5", "loop-4"], ["loop-3", "loop-2"], ["loop-1"]]
    token = five.list_human_loops(FlowDefinitionArn=FLOW, MaxResults=1)["NextToken"]
    other = arn("flow-definition", "other")
    code, message = refusal(five.list_human_loops, FlowDefinitionArn=other, NextToken=token)
    assert (code, "another query" in message) == ("ValidationException", True)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"MaxResults": 101}, "'maxResults'"),
        ({"SortOrder": "Sideways"}, "'sortOrder'"),
        ({"NextToken": "x" * 9000}, "'nextToken'"),
        ({"FlowDefinitionArn": "flow"}, "'flowDefinitionArn'"),
    ],
)
def test_lists_that_cannot_be(a2i, flow, more, told):
    code, message = refusal(a2i.list_human_loops, **{"FlowDefinitionArn": FLOW, **more})
    assert code == "ValidationException"
    assert told in message


def test_loops_begun_elsewhere_are_there_too(a2i, sagemaker, world):
    flow = loop_world.flow(world.acme, [world.reviewer], name="labels", output_path="s3://answers/x")
    loop = loop_world.loop(flow)
    told = a2i.describe_human_loop(HumanLoopName=loop.name)
    assert (told["HumanLoopStatus"], told["FlowDefinitionArn"]) == ("InProgress", flow.arn)
    assert names(a2i.list_human_loops(FlowDefinitionArn=flow.arn)) == [loop.name]


# --- on the wire ------------------------------------------------------------------------------------------------------


def test_times_are_texts(a2i, flow):
    bodies = []
    a2i.meta.events.register("after-call", lambda http_response, **_: bodies.append(json.loads(http_response.content)))
    start(a2i)
    a2i.describe_human_loop(HumanLoopName="loop")
    a2i.list_human_loops(FlowDefinitionArn=FLOW)
    created = f"{HumanLoop.objects.get().created_at:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
    assert bodies[1]["CreationTime"] == created
    assert bodies[2]["HumanLoopSummaries"][0]["CreationTime"] == created


def test_a_loop_may_be_called_stop(a2i, flow):
    start(a2i, "stop")
    assert status(a2i, "stop") == "InProgress"
    a2i.stop_human_loop(HumanLoopName="stop")
    a2i.delete_human_loop(HumanLoopName="stop")
    assert not names(a2i.list_human_loops(FlowDefinitionArn=FLOW))


def test_nothing_is_redirected(live_server):
    class NoRedirect(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:
            raise AssertionError("redirected")

    opener = urllib.request.build_opener(NoRedirect)
    for path in ("/human-loops", "/human-loops/", "/human-loops/a/b", "/human-loops?x=1"):
        with pytest.raises(urllib.request.HTTPError) as caught:
            opener.open(live_server.url + path)
        assert json.load(caught.value)["__type"]


def test_the_aws_cli(a2i, flow, clients, world, tmp_path):
    content = json.dumps({"InputContent": '{"text": "?"}'})
    arguments = ("--human-loop-name", "loop", "--flow-definition-arn", FLOW, "--human-loop-input", content)
    made = clients.cli(world.key, tmp_path, "sagemaker-a2i-runtime", "start-human-loop", *arguments)
    assert made == {"HumanLoopArn": arn("human-loop", "loop")}
    told = clients.cli(world.key, tmp_path, "sagemaker-a2i-runtime", "describe-human-loop", "--human-loop-name", "loop")
    assert told["HumanLoopStatus"] == "InProgress"


# --- the event --------------------------------------------------------------------------------------------------------


def completed(a2i, world) -> None:
    answer(world.reviewer)
    settlement.run_due()


def failed(a2i, world) -> None:
    loops.fail(HumanLoop.objects.get().pk, loops.LIFETIME_OVER, "Nobody came.")


def stopped(a2i, world) -> None:
    a2i.stop_human_loop(HumanLoopName="loop")


@pytest.mark.parametrize("end", [completed, failed, stopped])
def test_the_end_is_told_as_eventbridge_tells_it(a2i, flow, world, end):
    WebhookEndpoint.objects.create(account=world.acme, url="https://hooks.example/a")
    WebhookEndpoint.objects.create(account=world.globex, url="https://hooks.example/b")
    start(a2i)
    end(a2i, world)
    told = a2i.describe_human_loop(HumanLoopName="loop")
    name = f"human_loop.{told['HumanLoopStatus'].lower()}"
    message = OutboxMessage.objects.get(kind="webhook", event=name)
    assert message.account == world.acme
    event = message.payload["data"]["event"]
    uuid.UUID(event.pop("id"))
    assert abs(datetime.fromisoformat(event.pop("time")) - timezone.now()) < timedelta(minutes=1)
    uri = told.get("HumanLoopOutput", {}).get("OutputS3Uri")
    assert event == {
        "version": "0",
        "detail-type": "SageMaker A2I HumanLoop Status Change",
        "source": "aws.sagemaker",
        "account": ACME,
        "region": "us-east-1",
        "resources": [arn("human-loop", "loop")],
        "detail": {
            "creationTime": f"{told['CreationTime']:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
            "failureCode": told.get("FailureCode"),
            "failureReason": told.get("FailureReason"),
            "flowDefinitionArn": FLOW,
            "humanLoopArn": arn("human-loop", "loop"),
            "humanLoopName": "loop",
            "humanLoopOutput": {"outputS3Uri": uri} if uri else None,
            "humanLoopStatus": told["HumanLoopStatus"],
        },
    }
