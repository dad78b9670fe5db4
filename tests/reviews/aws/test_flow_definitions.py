"""Flow definitions made, read and deleted by unmodified clients."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError
from django.test import Client
from django.utils import timezone

from moderation import storage
from moderation.models import Bucket, User
from moderation.policies import Outcome
from reviews import loops
from reviews.models import FlowDefinition, HumanLoop, HumanTaskUi, ReviewQueue, ReviewTask, WorkTeam
from tests import media
from tests.reviews import loop_world
from tests.reviews.aws.clients import (
    CONDITIONS,
    MODERATION,
    ROLE,
    arn,
    flow_request,
    make_flow,
    make_team,
    make_ui,
    moderation,
    refusal,
)
from tests.world import ACME, GLOBEX

pytestmark = pytest.mark.django_db(transaction=True)

FULL = {
    "FlowDefinitionName": "doubtful-0",
    **moderation(),
    "HumanLoopConfig": {
        "WorkteamArn": arn("workteam/private-crowd", "crew"),
        "HumanTaskUiArn": arn("human-task-ui", "page"),
        "TaskTitle": "Doubtful pictures: «\t» \n 2",
        "TaskDescription": "Choose what applies",
        "TaskCount": 3,
        "TaskAvailabilityLifetimeInSeconds": 7200,
        "TaskTimeLimitInSeconds": 45,
        "TaskKeywords": ["pictures", "moderation labels"],
    },
    "OutputConfig": {"S3OutputPath": "s3://answers/", "KmsKeyId": "alias/key"},
    "RoleArn": ROLE,
}


@pytest.fixture
def ready(sagemaker):
    """A client, with the team and the template that flow definitions name."""
    make_ui(sagemaker)
    make_team(sagemaker)
    return sagemaker


# --- making and describing --------------------------------------------------------------------------------------------


def test_every_member_comes_back(ready):
    before = timezone.now()
    made = ready.create_flow_definition(**FULL, Tags=[{"Key": "team", "Value": "blue"}])
    assert made["FlowDefinitionArn"] == arn("flow-definition", "doubtful-0")
    told = ready.describe_flow_definition(FlowDefinitionName="doubtful-0")
    created = told.pop("CreationTime")
    assert before - timedelta(milliseconds=1) <= created <= timezone.now()
    del told["ResponseMetadata"]
    assert told == {**FULL, "FlowDefinitionArn": made["FlowDefinitionArn"], "FlowDefinitionStatus": "Active"}
    text = told["HumanLoopActivationConfig"]["HumanLoopActivationConditionsConfig"]["HumanLoopActivationConditions"]
    assert text == CONDITIONS


def test_the_row_is_the_admins(ready, world):
    ready.create_flow_definition(**FULL)
    flow = FlowDefinition.objects.get()
    assert (flow.account, flow.region, flow.name, flow.status) == (world.acme, "us-east-1", "doubtful-0", "Active")
    assert (flow.work_team.name, flow.queue.name) == ("crew", "doubtful-0")
    assert flow.human_task_ui == HumanTaskUi.objects.get(name="page")
    assert (flow.task_count, flow.task_time_limit_seconds, flow.task_availability_lifetime_seconds) == (3, 45, 7200)
    assert (flow.output_path, flow.kms_key_id, flow.role_arn) == ("s3://answers/", "alias/key", ROLE)
    browser = Client()
    User.objects.filter(pk=world.admin.pk).update(is_staff=True)
    browser.force_login(world.admin, backend="allauth.account.auth_backends.AuthenticationBackend")
    assert b"doubtful-0" in browser.get("/admin/reviews/flowdefinition/").content
    assert browser.get(f"/admin/reviews/flowdefinition/{flow.pk}/change/").status_code == 200


def test_a_queue_of_that_name_is_used_where_there_is_one(ready, world):
    queue = ReviewQueue.objects.create(account=world.acme, name="flow", priority=5)
    ReviewQueue.objects.create(account=world.globex, name="flow")
    make_flow(ready)
    assert FlowDefinition.objects.get().queue == queue


def test_a_custom_task_has_neither_source_nor_conditions_and_gets_the_defaults(ready):
    make_flow(ready)
    told = ready.describe_flow_definition(FlowDefinitionName="flow")
    assert {"HumanLoopRequestSource", "HumanLoopActivationConfig"}.isdisjoint(told)
    assert told["HumanLoopConfig"] == {
        **flow_request()["HumanLoopConfig"],
        "TaskTimeLimitInSeconds": 3600,
        "TaskAvailabilityLifetimeInSeconds": 864_000,
    }
    assert told["OutputConfig"] == {"S3OutputPath": "s3://answers/out"}
    assert FlowDefinition.objects.get().is_custom


def test_one_for_moderation_needs_no_conditions(ready):
    make_flow(ready, **moderation(conditions=None))
    told = ready.describe_flow_definition(FlowDefinitionName="flow")
    assert told["HumanLoopRequestSource"] == {"AwsManagedHumanLoopRequestSource": MODERATION}
    assert "HumanLoopActivationConfig" not in told


def test_what_the_admin_made_is_described_too(sagemaker, world):
    loop_world.flow(world.acme, [world.reviewer], name="by-hand")
    told = sagemaker.describe_flow_definition(FlowDefinitionName="by-hand")
    assert told["HumanLoopConfig"]["WorkteamArn"] == arn("workteam/private-crowd", "by-hand-team")
    assert told["HumanLoopConfig"]["HumanTaskUiArn"] == arn("human-task-ui", "second-look-console")
    assert told["RoleArn"] == f"arn:aws:iam::{ACME}:role/none"
    assert told["OutputConfig"] == {"S3OutputPath": ""}
    [summary] = sagemaker.list_flow_definitions()["FlowDefinitionSummaries"]
    assert summary["FlowDefinitionName"] == "by-hand"


def test_a_picture_is_sent_to_people_by_it(ready, clients, world):
    flow = make_flow(ready, **moderation())
    client = clients.rekognition(world.key)
    config = {"HumanLoopName": "first", "FlowDefinitionArn": flow}
    answer = client.detect_moderation_labels(Image={"Bytes": media.picture()}, HumanLoopConfig=config)
    assert answer["HumanLoopActivationOutput"]["HumanLoopArn"] == arn("human-loop", "first")


def test_what_is_described_can_be_made_elsewhere(ready, clients, world):
    ready.create_flow_definition(**FULL)
    storage.make_bucket(world.globex, "answers")
    theirs = clients.sagemaker(world.outsider_key)
    ours = ready.describe_flow_definition(FlowDefinitionName="doubtful-0")
    request = {member: ours[member] for member in FULL}
    request["HumanLoopConfig"] |= {"WorkteamArn": make_team(theirs), "HumanTaskUiArn": make_ui(theirs)}
    theirs.create_flow_definition(**request)
    assert theirs.describe_flow_definition(FlowDefinitionName="doubtful-0")["HumanLoopConfig"]["TaskCount"] == 3


@pytest.mark.parametrize("region", ["eu-west-1", "cn-north-1"])
def test_the_region_is_the_signatures(clients, world, sagemaker, region):
    elsewhere = clients.sagemaker(world.key, region)
    partition = "aws-cn" if region.startswith("cn-") else "aws"
    ui, team = make_ui(elsewhere), make_team(elsewhere)
    task = {"WorkteamArn": team, "HumanTaskUiArn": ui}
    made = elsewhere.create_flow_definition(**flow_request(task=task))["FlowDefinitionArn"]
    assert made == f"arn:{partition}:sagemaker:{region}:{ACME}:flow-definition/flow"
    assert refusal(sagemaker.describe_flow_definition, FlowDefinitionName="flow")[0] == "ResourceNotFound"
    assert sagemaker.list_flow_definitions()["FlowDefinitionSummaries"] == []
    make_flow(sagemaker)


# --- refusals of CreateFlowDefinition ---------------------------------------------------------------------------------


def check(**parameters):
    return {"ConditionType": "ModerationLabelConfidenceCheck", "ConditionParameters": parameters}


WEAPONS = check(ModerationLabelName="Weapons", ConfidenceLessThan=90)


@pytest.mark.parametrize(
    ("conditions", "node"),
    [
        ("", "must be JSON"),
        ("{", "must be JSON"),
        ("[]", "The conditions must be an object"),
        ('{"Conditions": []}', "Conditions must have at least 1 member"),
        (
            json.dumps({"Conditions": [WEAPONS, {"ConditionType": "ImportantFormKeyConfidenceCheck"}]}),
            "Conditions[1].ConditionType",
        ),
        (
            json.dumps({"Conditions": [{"Or": [{"And": [{"Or": [WEAPONS] * 2}, WEAPONS]}, WEAPONS]}]}),
            "Conditions[0].Or[0].And[0] is nested too deep",
        ),
        (
            json.dumps(
                {"Conditions": [{"ConditionType": "Sampling", "ConditionParameters": {"RandomSamplingPercentage": 0}}]}
            ),
            "Conditions[0].ConditionParameters.RandomSamplingPercentage",
        ),
        (
            json.dumps({"Conditions": [check(ModerationLabelName="Weapons", ConfidenceLessThan=101)]}),
            "Conditions[0].ConditionParameters.ConfidenceLessThan",
        ),
    ],
)
def test_conditions_that_are_wrong_are_told_by_the_node(ready, conditions, node):
    code, message = refusal(ready.create_flow_definition, **flow_request(**moderation(conditions)))
    assert code == "ValidationException"
    assert node in message
    assert not FlowDefinition.objects.exists()


def _without_source():
    return {**moderation(), "HumanLoopRequestSource": None}


TEXTRACT = {"AwsManagedHumanLoopRequestSource": "AWS/Textract/AnalyzeDocument/Forms/V1"}
PRICE = {"AmountInUsd": {"Cents": 12}}


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (flow_request(**_without_source()), "a custom task has no conditions"),
        (flow_request(HumanLoopRequestSource=TEXTRACT), "documents are not analysed here"),
        (flow_request(HumanLoopConfig=None), "Value null at 'humanLoopConfig'"),
        (flow_request(task={"WorkteamArn": arn("workteam/private-crowd", "nobody")}), "no private work team"),
        (flow_request(task={"WorkteamArn": arn("workteam/private-crowd", "crew", GLOBEX)}), "no private work team"),
        (
            flow_request(task={"WorkteamArn": arn("workteam/private-crowd", "crew", region="eu-west-1")}),
            "no private work team",
        ),
        (flow_request(task={"WorkteamArn": arn("workteam/public-crowd", "default")}), "no private work team"),
        (flow_request(task={"HumanTaskUiArn": arn("human-task-ui", "none")}), "no human task UI"),
        (flow_request(task={"HumanTaskUiArn": arn("human-task-ui", "page", GLOBEX)}), "no human task UI"),
        (flow_request(task={"PublicWorkforceTaskPrice": PRICE}), "no public workforce"),
        (flow_request(task={"TaskCount": 4}), "'humanLoopConfig.taskCount'"),
        (flow_request(task={"TaskTimeLimitInSeconds": 29}), "'humanLoopConfig.taskTimeLimitInSeconds'"),
        (
            flow_request(task={"TaskAvailabilityLifetimeInSeconds": 0}),
            "'humanLoopConfig.taskAvailabilityLifetimeInSeconds'",
        ),
        (flow_request(task={"TaskKeywords": ["a b", "c-d"]}), "'humanLoopConfig.taskKeywords'"),
        (flow_request(task={"TaskTitle": "x" * 129}), "'humanLoopConfig.taskTitle'"),
        (flow_request(name="Flow"), "'flowDefinitionName'"),
        (flow_request(name="f" * 64), "'flowDefinitionName'"),
        (flow_request(RoleArn="arn:aws:iam::12:role/short-number"), "'roleArn'"),
        (flow_request(Tags=[{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]), "given twice"),
        (flow_request(Tags=[{"Key": "AWS:a", "Value": "1"}]), "reserved"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_made(clients, world, ready, request_, told):
    careless = clients.sagemaker(world.key, parameter_validation=False)
    make_team(clients.sagemaker(world.outsider_key), "crew", "outsider")
    make_ui(clients.sagemaker(world.outsider_key))
    code, message = refusal(careless.create_flow_definition, **request_)
    assert code == "ValidationException"
    assert told in message
    assert not FlowDefinition.objects.exists()
    assert not ReviewQueue.objects.exists()


def test_a_wrong_arn_is_told_in_aws_words(ready):
    request = flow_request(task={"WorkteamArn": "arn:aws:sagemaker:us-east-1:1:workteam/private-crowd/crew"})
    pattern = r"arn:aws[a-z\-]*:sagemaker:[a-z0-9\-]*:[0-9]{12}:workteam/.*"
    assert refusal(ready.create_flow_definition, **request) == (
        "ValidationException",
        "1 validation error detected: Value 'arn:aws:sagemaker:us-east-1:1:workteam/private-crowd/crew' at "
        "'humanLoopConfig.workteamArn' failed to satisfy constraint: Member must satisfy regular expression pattern: "
        f"{pattern}",
    )


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("s3://elsewhere/out", "no bucket 'elsewhere'"),
        ("s3://theirs/out", "no bucket 'theirs'"),
        ("s3://second-look/out", "no bucket 'second-look'"),
        ("s3://read-only/out", "read-only may not be written"),
        ("https://example.com/answers/out", "is no S3 address"),
        ("s3://answers/../out", "no part of a key may be empty, '.' or '..'"),
        ("s3://answers/a//b", "no part of a key may be empty, '.' or '..'"),
        ("s3://answers/" + "x" * 900, "too long"),
        ("s3://answers/a\x01b", "control characters"),
        ("ftp://answers/out", "'outputConfig.s3OutputPath'"),
    ],
)
def test_answers_must_have_somewhere_to_go(ready, world, path, told):
    storage.make_bucket(world.globex, "theirs")
    Bucket.objects.create(account=world.acme, name="read-only", can_write=False)
    code, message = refusal(ready.create_flow_definition, **flow_request(OutputConfig={"S3OutputPath": path}))
    assert code == "ValidationException"
    assert told in message


@pytest.mark.parametrize(
    "path", ["s3://answers", "https://s3.us-east-1.amazonaws.com/answers/out", "https://answers.s3.amazonaws.com/out/"]
)
def test_other_ways_to_name_the_bucket(ready, path):
    make_flow(ready, OutputConfig={"S3OutputPath": path})
    told = ready.describe_flow_definition(FlowDefinitionName="flow")
    assert told["OutputConfig"] == {"S3OutputPath": path}


def test_a_name_is_taken_once(ready):
    make_flow(ready)
    assert refusal(ready.create_flow_definition, **flow_request()) == (
        "ResourceInUse",
        f"{arn('flow-definition', 'flow')} exists already.",
    )
    with pytest.raises(ready.exceptions.ResourceInUse):
        ready.create_flow_definition(**flow_request())


def test_of_two_at_once_one_is_made(ready):
    def attempt(_: int) -> str:
        try:
            ready.create_flow_definition(**flow_request())
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "made"

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(attempt, range(4))) == ["ResourceInUse"] * 3 + ["made"]


def test_an_account_may_have_so_many(ready, settings):
    settings.MAX_FLOW_DEFINITIONS = 1
    make_flow(ready)
    code, message = refusal(ready.create_flow_definition, **flow_request("second"))
    assert (code, "1 flow definitions in us-east-1" in message) == ("ResourceLimitExceeded", True)


# --- deleting ---------------------------------------------------------------------------------------------------------


def test_a_deleted_one_is_gone_and_its_history_is_not(ready, a2i, world):
    flow_arn = make_flow(ready, Tags=[{"Key": "a", "Value": "b"}])
    a2i.start_human_loop(HumanLoopName="old", FlowDefinitionArn=flow_arn, HumanLoopInput={"InputContent": "{}"})
    code, message = refusal(ready.delete_flow_definition, FlowDefinitionName="flow")
    assert code == "ResourceInUse"
    assert "its human loop old is InProgress" in message
    loops.stop(HumanLoop.objects.get().pk)
    assert ready.delete_flow_definition(FlowDefinitionName="flow")["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert refusal(ready.describe_flow_definition, FlowDefinitionName="flow")[0] == "ResourceNotFound"
    assert refusal(ready.delete_flow_definition, FlowDefinitionName="flow")[0] == "ResourceNotFound"
    assert ready.list_flow_definitions()["FlowDefinitionSummaries"] == []
    assert a2i.describe_human_loop(HumanLoopName="old")["FlowDefinitionArn"] == flow_arn
    deleted = HumanLoop.objects.get().flow
    assert (deleted.status, deleted.is_active) == ("Deleting", False)
    assert not FlowDefinition.objects.filter(pk=deleted.pk).exists()
    # The name is free, and the new one begins without the old one's tags.
    make_flow(ready)
    assert ready.list_tags(ResourceArn=flow_arn)["Tags"] == []
    assert FlowDefinition.objects.get().pk != deleted.pk
    [seen] = a2i.list_human_loops(FlowDefinitionArn=flow_arn)["HumanLoopSummaries"]
    assert seen["HumanLoopName"] == "old"


def test_one_where_a_lead_has_to_decide_stays(sagemaker, world):
    flow = loop_world.flow(world.acme, [world.reviewer, world.lead], name="by-hand")
    loop = loop_world.loop(flow)
    loops.stop(loop.pk)
    assert ReviewTask.objects.filter(loop=loop, kind="lead", state="open").exists()
    code, message = refusal(sagemaker.delete_flow_definition, FlowDefinitionName="by-hand")
    assert code == "ResourceInUse"
    assert message.endswith("is Stopped, and a lead has to decide.")


def test_a_policys_reviews_go_elsewhere_once_it_is_deleted(sagemaker, world):
    flow = loop_world.flow(world.acme, [world.reviewer], name="review")
    loop = loop_world.loop(flow)
    HumanLoop.objects.filter(pk=loop.pk).update(status="Completed", settled_at=timezone.now())
    sagemaker.delete_flow_definition(FlowDefinitionName="review")
    policy = flow.policies.get()
    _, review = loop_world.considered(world.acme, {"Weapons": 85.0}, Outcome.REVIEW, policy=policy)
    assert review.opened
    newest = HumanLoop.objects.latest("pk")
    assert newest.flow != flow
    assert newest.flow.name == "review"


# --- lists ------------------------------------------------------------------------------------------------------------


def names(answer):
    return [each["FlowDefinitionName"] for each in answer["FlowDefinitionSummaries"]]


@pytest.fixture
def five(sagemaker, world):
    """Five flow definitions, made a day apart from 2026-01-01 on, and one of another account."""
    for day in range(1, 6):
        made = loop_world.flow(world.acme, name=f"flow-{day}")
        created = datetime(2026, 1, day, 12, 0, 0, 123_900, tzinfo=UTC)
        FlowDefinition.objects.filter(pk=made.pk).update(created_at=created)
    loop_world.flow(world.globex, name="theirs")
    return sagemaker


def test_the_newest_come_first_unless_asked_otherwise(five):
    assert names(five.list_flow_definitions()) == [f"flow-{day}" for day in (5, 4, 3, 2, 1)]
    assert names(five.list_flow_definitions(SortOrder="Ascending"))[0] == "flow-1"
    first = five.list_flow_definitions()["FlowDefinitionSummaries"][0]
    assert first["CreationTime"] == datetime(2026, 1, 5, 12, 0, 0, 123_000, tzinfo=UTC)
    assert first["FlowDefinitionStatus"] == "Active"


def test_by_time_of_creation(five):
    def day(number: int) -> datetime:
        return datetime(2026, 1, number, 12, tzinfo=UTC)

    assert names(five.list_flow_definitions(CreationTimeAfter=day(4))) == ["flow-5", "flow-4"]
    assert names(five.list_flow_definitions(CreationTimeBefore=day(3))) == ["flow-2", "flow-1"]
    assert names(five.list_flow_definitions(CreationTimeAfter=day(2), CreationTimeBefore=day(3))) == ["flow-2"]
    assert names(five.list_flow_definitions(CreationTimeAfter=datetime(9999, 12, 31, tzinfo=UTC))) == []


@pytest.mark.parametrize("order", ["Ascending", "Descending"])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_pages_follow_each_other(five, order, size):
    pages = five.get_paginator("list_flow_definitions").paginate(SortOrder=order, PaginationConfig={"PageSize": size})
    seen = [names(page) for page in pages]
    assert [len(page) for page in seen] == {1: [1] * 5, 2: [2, 2, 1], 5: [5]}[size]
    assert [name for page in seen for name in page] == names(five.list_flow_definitions(SortOrder=order))


def test_what_is_made_meanwhile_moves_no_page(five, world):
    first = five.list_flow_definitions(MaxResults=2)
    loop_world.flow(world.acme, name="newer")
    FlowDefinition.objects.get(name="flow-4").delete()
    second = five.list_flow_definitions(MaxResults=2, NextToken=first["NextToken"])
    assert names(first) + names(second) == ["flow-5", "flow-4", "flow-3", "flow-2"]


def test_a_token_fits_the_query_it_was_given_for(five, clients, world):
    token = five.list_flow_definitions(MaxResults=2)["NextToken"]
    assert names(five.list_flow_definitions(MaxResults=3, NextToken=token)) == ["flow-3", "flow-2", "flow-1"]
    outsider, elsewhere = clients.sagemaker(world.outsider_key), clients.sagemaker(world.key, "eu-west-1")
    for call, more in (
        (five.list_flow_definitions, {"SortOrder": "Ascending"}),
        (five.list_flow_definitions, {"CreationTimeAfter": datetime(2026, 1, 1, tzinfo=UTC)}),
        (five.list_human_task_uis, {}),
        (outsider.list_flow_definitions, {}),
        (elsewhere.list_flow_definitions, {}),
    ):
        assert refusal(call, NextToken=token, **more) == (
            "ValidationException",
            "Invalid NextToken: it was given for another query",
        )
    for wrong in (token[:-1] + ("a" if token[-1] != "a" else "b"), "x", "x:y:z", "é", "x" * 8000):
        assert refusal(five.list_flow_definitions, NextToken=wrong) == ("ValidationException", "Invalid NextToken")


# --- the command line -------------------------------------------------------------------------------------------------


def test_the_aws_cli(ready, clients, world, tmp_path):
    request = tmp_path / "flow.json"
    request.write_text(json.dumps(FULL))
    made = clients.cli(
        world.key, tmp_path, "sagemaker", "create-flow-definition", "--cli-input-json", f"file://{request}"
    )
    assert made == {"FlowDefinitionArn": arn("flow-definition", "doubtful-0")}
    told = clients.cli(
        world.key, tmp_path, "sagemaker", "describe-flow-definition", "--flow-definition-name", "doubtful-0"
    )
    assert told["HumanLoopConfig"] == FULL["HumanLoopConfig"]
    assert WorkTeam.objects.get().name == "crew"
    assert HumanTaskUi.objects.get().name == "page"
