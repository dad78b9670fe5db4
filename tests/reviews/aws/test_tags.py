"""Tags on what the control plane holds, by unmodified clients."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError
from django.db import connection, transaction

from reviews.models import Tag
from tests.reviews.aws.clients import arn, make_flow, make_team, make_ui, refusal
from tests.world import GLOBEX

pytestmark = pytest.mark.django_db(transaction=True)


def pairs(**tags):
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def test_tags_are_put_changed_and_taken_off(sagemaker):
    page = make_ui(sagemaker, Tags=pairs(b="1", a="2"))
    assert sagemaker.list_tags(ResourceArn=page)["Tags"] == pairs(a="2", b="1")
    assert sagemaker.add_tags(ResourceArn=page, Tags=pairs(b="", c="3"))["Tags"] == pairs(a="2", b="", c="3")
    sagemaker.delete_tags(ResourceArn=page, TagKeys=["a", "not there"])
    assert sagemaker.list_tags(ResourceArn=page, MaxResults=50)["Tags"] == pairs(b="", c="3")
    assert sagemaker.add_tags(ResourceArn=page, Tags=[])["Tags"] == pairs(b="", c="3")


def test_everything_that_is_made_can_have_tags(sagemaker):
    flow = make_flow(sagemaker, Tags=pairs(kind="flow"))
    crew, page = arn("workteam/private-crowd", "crew"), arn("human-task-ui", "page")
    assert sagemaker.list_tags(ResourceArn=flow)["Tags"] == pairs(kind="flow")
    for resource in (crew, page, arn("workforce", "default")):
        assert sagemaker.list_tags(ResourceArn=resource)["Tags"] == []
        sagemaker.add_tags(ResourceArn=resource, Tags=pairs(kind=resource[-7:]))
        assert sagemaker.list_tags(ResourceArn=resource)["Tags"] == pairs(kind=resource[-7:])
    assert Tag.objects.count() == 4
    sagemaker.delete_flow_definition(FlowDefinitionName="flow")
    sagemaker.delete_workteam(WorkteamName="crew")
    sagemaker.delete_human_task_ui(HumanTaskUiName="page")
    assert list(Tag.objects.values_list("resource_arn", flat=True)) == [arn("workforce", "default")]


@pytest.mark.parametrize(
    "resource",
    [
        arn("human-task-ui", "none"),
        arn("human-task-ui", "page", GLOBEX),
        arn("human-task-ui", "page", region="eu-west-1"),
        arn("human-task-ui", "page").replace("arn:aws:", "arn:aws-cn:"),
        arn("workforce", "other"),
        arn("workforce", "default", GLOBEX),
        arn("human-loop", "loop"),
        arn("model", "m"),
    ],
)
def test_what_does_not_exist_has_no_tags(sagemaker, clients, world, resource):
    make_ui(sagemaker)
    make_ui(clients.sagemaker(world.outsider_key), Tags=pairs(secret="theirs"))
    expected = ("ValidationException", f"The resource {resource} does not exist, or cannot have tags.")
    assert refusal(sagemaker.add_tags, ResourceArn=resource, Tags=pairs(a="1")) == expected
    assert refusal(sagemaker.list_tags, ResourceArn=resource) == expected
    assert refusal(sagemaker.delete_tags, ResourceArn=resource, TagKeys=["secret"]) == expected
    assert Tag.objects.count() == 1


@pytest.mark.parametrize(
    ("tags", "told"),
    [
        (pairs(a="1") + pairs(a="2"), "'a' is given twice"),
        (pairs(**{"aws:made": "1"}), "reserved"),
        (pairs(**{"": "1"}), "tags"),
        (pairs(a="x" * 257), "tags"),
        (pairs(a="<b>"), "tags"),
        (pairs(**{f"k{number}": "v" for number in range(51)}), "'tags'"),
    ],
)
def test_tags_that_cannot_be(clients, world, sagemaker, tags, told):
    page = make_ui(sagemaker)
    careless = clients.sagemaker(world.key, parameter_validation=False)
    code, message = refusal(careless.add_tags, ResourceArn=page, Tags=tags)
    assert code == "ValidationException"
    assert told in message
    assert not Tag.objects.exists()


def test_fifty_at_most(sagemaker):
    page = make_ui(sagemaker, Tags=pairs(**{f"k{number}": "v" for number in range(49)}))
    sagemaker.add_tags(ResourceArn=page, Tags=pairs(k0="new", k49="v"))
    assert refusal(sagemaker.add_tags, ResourceArn=page, Tags=pairs(more="v")) == (
        "ValidationException",
        "A resource can have 50 tags at most.",
    )
    assert len(sagemaker.list_tags(ResourceArn=page)["Tags"]) == 50


@pytest.mark.parametrize("resource", [arn("human-task-ui", "page"), arn("workforce", "default")])
def test_fifty_at_most_also_side_by_side(sagemaker, resource):
    make_ui(sagemaker)
    sagemaker.add_tags(ResourceArn=resource, Tags=pairs(**{f"k{number}": "v" for number in range(49)}))

    def add(number: int) -> bool:
        try:
            sagemaker.add_tags(ResourceArn=resource, Tags=pairs(**{f"more{number}": "v"}))
        except ClientError:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        with transaction.atomic(), connection.cursor() as cursor:
            # Tags can be counted and not be written: both calls come as far as they can before either writes.
            cursor.execute("LOCK TABLE reviews_tag IN SHARE MODE")
            added = [pool.submit(add, number) for number in range(2)]
            wait_for_two(cursor)
        assert sorted(each.result() for each in added) == [False, True]


def wait_for_two(cursor):
    """Until two connections wait for a lock."""
    until = time.monotonic() + 20
    count = 0
    while count < 2:
        assert time.monotonic() < until, "nobody waits"
        time.sleep(0.05)
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        [count] = cursor.fetchone()


def test_there_is_one_page(sagemaker):
    page = make_ui(sagemaker)
    assert refusal(sagemaker.list_tags, ResourceArn=page, NextToken="x") == ("ValidationException", "Invalid NextToken")
    assert refusal(sagemaker.delete_tags, ResourceArn=page, TagKeys=["a" * 129])[0] == "ValidationException"


def test_the_same_name_in_another_region_has_its_own(sagemaker, clients, world):
    ours, elsewhere = make_team(sagemaker), make_team(clients.sagemaker(world.key, "eu-west-1"), Tags=pairs(a="1"))
    assert sagemaker.list_tags(ResourceArn=ours)["Tags"] == []
    assert clients.sagemaker(world.key, "eu-west-1").list_tags(ResourceArn=elsewhere)["Tags"] == pairs(a="1")
