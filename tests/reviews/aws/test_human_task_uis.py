"""Worker task templates made, read and deleted by unmodified clients."""

import hashlib
import json

import pytest
from django.test import Client

from reviews.models import FlowDefinition, HumanTaskUi
from tests.reviews.aws.clients import arn, make_flow, make_ui, refusal
from tests.world import GLOBEX

pytestmark = pytest.mark.django_db(transaction=True)

LIQUID = "<script src='crowd-html-elements.js'></script>\r\n{{ task.input.a | grant_read_access }} é😀"


def names(answer):
    return [each["HumanTaskUiName"] for each in answer["HumanTaskUiSummaries"]]


def test_a_template_is_stored_word_for_word_and_described(sagemaker, world, settings):
    made = sagemaker.create_human_task_ui(HumanTaskUiName="page-1", UiTemplate={"Content": LIQUID})
    assert made["HumanTaskUiArn"] == arn("human-task-ui", "page-1")
    row = HumanTaskUi.objects.get()
    assert (row.account, row.region, row.content) == (world.acme, "us-east-1", LIQUID)
    told = sagemaker.describe_human_task_ui(HumanTaskUiName="page-1")
    assert (told["HumanTaskUiArn"], told["HumanTaskUiName"]) == (made["HumanTaskUiArn"], "page-1")
    assert told["HumanTaskUiStatus"] == "Active"
    assert told["UiTemplate"]["ContentSha256"] == hashlib.sha256(LIQUID.encode()).hexdigest()
    page = f"/admin/reviews/humantaskui/{row.pk}/change/"
    assert told["UiTemplate"]["Url"] == f"{settings.PUBLIC_URL}{page}"
    assert "/login/" in Client().get(page)["Location"]


def test_what_the_admin_made_is_described_too(sagemaker, world):
    HumanTaskUi.objects.create(account=world.acme, name="by-hand", content="x", content_sha256="0" * 64)
    assert names(sagemaker.list_human_task_uis()) == ["by-hand"]
    assert sagemaker.describe_human_task_ui(HumanTaskUiName="by-hand")["UiTemplate"]["ContentSha256"] == "0" * 64


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"HumanTaskUiName": "Page"}, "'humanTaskUiName'"),
        ({"UiTemplate": {"Content": ""}}, "'uiTemplate.content'"),
        ({"UiTemplate": {"Content": "x" * 128_001}}, "'uiTemplate.content'"),
        ({"UiTemplate": {"Content": "a\0b"}}, "'uiTemplate.content'"),
        ({"Tags": [{"Key": "a", "Value": "1"}] * 2}, "given twice"),
    ],
)
def test_what_cannot_be_stored(clients, world, members, told):
    careless = clients.sagemaker(world.key, parameter_validation=False)
    request = {"HumanTaskUiName": "page", "UiTemplate": {"Content": "x"}, **members}
    code, message = refusal(careless.create_human_task_ui, **request)
    assert code == "ValidationException"
    assert told in message
    assert not HumanTaskUi.objects.exists()


def test_the_longest_template(sagemaker):
    sagemaker.create_human_task_ui(HumanTaskUiName="u" * 63, UiTemplate={"Content": "é" * 128_000})
    assert len(HumanTaskUi.objects.get().content) == 128_000


def test_a_name_is_taken_once_in_a_region_and_an_account(sagemaker, clients, world):
    make_ui(sagemaker)
    assert refusal(sagemaker.create_human_task_ui, HumanTaskUiName="page", UiTemplate={"Content": "y"}) == (
        "ResourceInUse",
        f"{arn('human-task-ui', 'page')} exists already.",
    )
    make_ui(clients.sagemaker(world.key, "eu-west-1"))
    assert make_ui(clients.sagemaker(world.outsider_key)) == arn("human-task-ui", "page", GLOBEX)


def test_an_account_may_have_so_many(sagemaker, clients, world, settings):
    settings.MAX_HUMAN_TASK_UIS = 1
    make_ui(clients.sagemaker(world.outsider_key))
    make_ui(sagemaker)
    code, message = refusal(sagemaker.create_human_task_ui, HumanTaskUiName="two", UiTemplate={"Content": "y"})
    assert code == "ResourceLimitExceeded"
    assert "1 human task uis in us-east-1" in message


def test_a_deleted_one_is_gone_and_flow_definitions_go_on(sagemaker):
    make_flow(sagemaker)
    sagemaker.delete_human_task_ui(HumanTaskUiName="page")
    for call in (sagemaker.describe_human_task_ui, sagemaker.delete_human_task_ui):
        assert refusal(call, HumanTaskUiName="page") == (
            "ResourceNotFound",
            f"The human task UI {arn('human-task-ui', 'page')} does not exist.",
        )
    assert names(sagemaker.list_human_task_uis()) == []
    told = sagemaker.describe_flow_definition(FlowDefinitionName="flow")
    assert told["HumanLoopConfig"]["HumanTaskUiArn"] == arn("human-task-ui", "page")
    make_ui(sagemaker)
    assert HumanTaskUi.everything.count() == 2
    assert FlowDefinition.objects.get().human_task_ui != HumanTaskUi.objects.get()


def test_lists_are_sorted_by_time_and_paged(sagemaker):
    for number in range(1, 6):
        make_ui(sagemaker, f"page-{number}")
    listed = sagemaker.list_human_task_uis()["HumanTaskUiSummaries"]
    moments = {each["HumanTaskUiName"]: each["CreationTime"] for each in listed}
    assert list(moments) == [f"page-{number}" for number in (5, 4, 3, 2, 1)]
    pages = sagemaker.get_paginator("list_human_task_uis").paginate(
        SortOrder="Ascending", PaginationConfig={"PageSize": 2}
    )
    assert [names(page) for page in pages] == [["page-1", "page-2"], ["page-3", "page-4"], ["page-5"]]
    later = max(moments.values()).replace(microsecond=0)
    assert set(names(sagemaker.list_human_task_uis(CreationTimeAfter=later))) == {
        name for name, moment in moments.items() if moment >= later
    }
    assert set(names(sagemaker.list_human_task_uis(CreationTimeBefore=later))) == {
        name for name, moment in moments.items() if moment < later
    }


def test_the_aws_cli(clients, world, tmp_path):
    arguments = ("--human-task-ui-name", "page", "--ui-template", json.dumps({"Content": LIQUID}))
    made = clients.cli(world.key, tmp_path, "sagemaker", "create-human-task-ui", *arguments)
    assert made == {"HumanTaskUiArn": arn("human-task-ui", "page")}
    assert HumanTaskUi.objects.get().content == LIQUID
    assert names(clients.cli(world.key, tmp_path, "sagemaker", "list-human-task-uis")) == ["page"]
