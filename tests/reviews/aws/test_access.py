"""Who may call what: policies of keys, roles of people, and other accounts, for every operation there is."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
from django.db.models import Model

from moderation import storage
from moderation.models import User
from reviews.aws import a2i, sagemaker
from reviews.models import FlowDefinition, HumanLoop, HumanTaskUi, ReviewQueue, ReviewTask, Tag, WorkTeam
from tests.reviews.aws.cases import CASES, FLOW, READS, UPLOADS, Case
from tests.reviews.aws.clients import Clients, make_flow
from tests.world import ACME, GLOBEX, World, issue, person

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def scene(sagemaker, a2i):
    """Acme has a flow definition with a team, a template, a tag and a loop."""
    make_flow(sagemaker, Tags=[{"Key": "secret", "Value": "plan"}])
    a2i.start_human_loop(HumanLoopName="loop", FlowDefinitionArn=FLOW, HumanLoopInput={"InputContent": "{}"})


def call(clients: Clients, key: Any, case: Case) -> tuple[str, str]:
    """Code and message of the refusal; empty when it goes well."""
    make = clients.a2i if case.operation in a2i.OPERATIONS else clients.sagemaker
    try:
        getattr(make(key), xform_name(case.operation))(**case.members)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    return "", ""


def rows(account: str) -> Iterator[tuple[Any, ...]]:
    """All that an account has of this."""
    models: list[type[Model]] = [FlowDefinition, WorkTeam, HumanTaskUi, HumanLoop, Tag, ReviewQueue]
    for model in models:
        yield from model._default_manager.filter(account=account).order_by("pk").values_list()
    yield from ReviewTask.objects.filter(loop__account=account).order_by("pk").values_list()


def test_no_operation_is_left_out():
    assert {case.operation for case in CASES} == {*sagemaker.OPERATIONS, *a2i.OPERATIONS}


def test_a_policy_that_denies_the_operation(clients, scene, world):
    before = list(rows(ACME))
    for case in CASES:
        denied = {"Effect": "Deny", "Action": f"sagemaker:{case.operation}", "Resource": case.resource}
        allowed = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        key = issue(world.acme, policy={"Statement": [allowed, denied]})
        user = f"arn:aws:iam::{ACME}:user/{key.key.key_id}"
        assert call(clients, key, case) == (
            "AccessDeniedException",
            f"User: {user} is not authorized to perform: sagemaker:{case.operation} on resource: {case.resource}",
        )
    assert list(rows(ACME)) == before


def test_a_policy_that_allows_the_operation_alone(clients, scene, world):
    HumanLoop.objects.update(status="Stopped")
    for case in CASES:
        if case.operation == "DeleteFlowDefinition":
            HumanLoop.objects.update(status="Stopped")
        statement = {"Effect": "Allow", "Action": f"sagemaker:{case.operation}", "Resource": case.resource}
        code, _ = call(clients, issue(world.acme, policy={"Statement": [statement]}), case)
        # The loop is over, and the new flow definition keeps the team: refused for what they are, not for who asks.
        invalid = case.operation in ("StopHumanLoop", "DeleteWorkteam")
        assert code == ("ValidationException" if invalid else ""), case.operation
    for case in CASES:
        statement = {"Effect": "Allow", "Action": f"sagemaker:{case.operation}", "Resource": case.resource + "x"}
        code, _ = call(clients, issue(world.acme, policy={"Statement": [statement]}), case)
        assert code == "AccessDeniedException", case.operation


@pytest.mark.parametrize("role", User.Role.values)
def test_a_persons_key_may_no_more_than_the_role(clients, scene, world, role):
    key = issue(world.acme, person(world.acme, "somebody", User.Role(role)))
    before = list(rows(ACME))
    for case in CASES:
        code, _ = call(clients, key, case)
        assert (code == "AccessDeniedException") is (role not in case.roles), case.operation
    if role in READS - UPLOADS or role not in READS:
        assert list(rows(ACME)) == before


def test_another_account_finds_and_changes_nothing(clients, scene, world: World):
    storage.make_bucket(world.globex, "answers")
    person(world.globex, "their-lead", User.Role.LEAD)
    before = list(rows(ACME))
    for case in CASES:
        code, message = call(clients, world.outsider_key, case)
        assert "plan" not in message
        if (case.operation.startswith("List") and case.resource == "*") or "Workforce" in case.operation:
            assert code == "", case.operation
        elif case.operation in ("CreateHumanTaskUi", "CreateWorkteam"):
            assert code == "", case.operation  # in their own account
        else:
            assert code in ("ResourceNotFound", "ResourceNotFoundException", "ValidationException"), case.operation
            assert "does not exist" in message or "there is no" in message, case.operation
    assert list(rows(ACME)) == before
    assert {team.account_id for team in WorkTeam.objects.filter(name="new")} == {GLOBEX}


def test_another_account_sees_only_its_own(clients, scene, world):
    theirs = clients.sagemaker(world.outsider_key)
    assert theirs.list_flow_definitions()["FlowDefinitionSummaries"] == []
    assert theirs.list_human_task_uis()["HumanTaskUiSummaries"] == []
    assert theirs.list_workteams()["Workteams"] == []


def test_the_same_in_another_region(clients, scene, world):
    before = list(rows(ACME))
    for case in CASES:
        client = clients.a2i if case.operation in a2i.OPERATIONS else clients.sagemaker
        if (
            case.operation.startswith(("Create", "List")) and "Arn" not in str(case.members)
        ) or "force" in case.operation:
            continue
        with pytest.raises(ClientError) as caught:
            getattr(client(world.key, "eu-west-1"), xform_name(case.operation))(**case.members)
        message = caught.value.response["Error"]["Message"]
        assert "does not exist" in message or "there is no" in message, case.operation
    assert list(rows(ACME)) == before
