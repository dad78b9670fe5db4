"""Work teams and the workforce by unmodified clients: groups are our roles and people."""

from datetime import UTC, datetime

import pytest

from moderation.models import User
from reviews.models import FlowDefinition, WorkTeam
from tests.reviews import loop_world
from tests.reviews.aws.clients import arn, make_flow, make_team, refusal
from tests.world import ACME, GLOBEX, person

pytestmark = pytest.mark.django_db(transaction=True)

TOPIC = {"NotificationTopicArn": f"arn:aws:sns:us-east-1:{ACME}:work"}
S3_PRESIGN = {"S3Presign": {"IamPolicyConstraints": {"SourceIp": "Disabled", "VpcSourceIp": "Disabled"}}}


def oidc(*groups):
    return [{"OidcMemberDefinition": {"Groups": list(groups)}}]


def cognito(*groups, pool="us-east-1_Abc", client="app"):
    return [{"CognitoMemberDefinition": {"UserPool": pool, "UserGroup": group, "ClientId": client}} for group in groups]


def members(name="crew"):
    return set(WorkTeam.objects.get(name=name).members.values_list("username", flat=True))


def names(answer):
    return [team["WorkteamName"] for team in answer["Workteams"]]


# --- making and describing --------------------------------------------------------------------------------------------


def test_every_member_comes_back(sagemaker, world, settings):
    settings.PUBLIC_URL = "https://review.example:8443/"
    made = sagemaker.create_workteam(
        WorkteamName="Crew-1",
        WorkforceName="default",
        MemberDefinitions=cognito("reviewer", "lead"),
        Description="Those who look",
        NotificationConfiguration=TOPIC,
        WorkerAccessConfiguration=S3_PRESIGN,
        Tags=[{"Key": "shift", "Value": "night"}],
    )
    assert made["WorkteamArn"] == arn("workteam/private-crowd", "Crew-1")
    told = sagemaker.describe_workteam(WorkteamName="Crew-1")["Workteam"]
    created, updated = told.pop("CreateDate"), told.pop("LastUpdatedDate")
    assert created <= updated <= datetime.now(UTC)
    assert told == {
        "WorkteamName": "Crew-1",
        "WorkteamArn": made["WorkteamArn"],
        "WorkforceArn": arn("workforce", "default"),
        "MemberDefinitions": cognito("reviewer", "lead"),
        "Description": "Those who look",
        "SubDomain": "review.example:8443",
        "NotificationConfiguration": TOPIC,
        "WorkerAccessConfiguration": S3_PRESIGN,
    }
    assert sagemaker.list_tags(ResourceArn=made["WorkteamArn"])["Tags"] == [{"Key": "shift", "Value": "night"}]


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (["reviewer"], {"reviewer", "reviewer2", "reviewer3"}),
        (["lead"], {"lead"}),
        (["admin"], {"admin", "root"}),
        (["reviewer2"], {"reviewer2"}),
        (["lead", "reviewer3", "reviewer3"], {"lead", "reviewer3"}),
    ],
)
def test_a_group_is_a_role_or_a_person(sagemaker, world, groups, expected):
    person(world.acme, "root", User.Role.AUDITOR, is_superuser=True)
    person(world.acme, "gone", User.Role.REVIEWER, is_active=False)
    person(world.globex, "their-reviewer", User.Role.REVIEWER)
    make_team(sagemaker, "crew", *groups)
    assert members() == expected


@pytest.mark.parametrize("group", ["uploader", "uploader2", "outsider", "gone", "nobody", "Reviewer", "auditor"])
def test_a_group_of_nobody_who_may_review(sagemaker, world, group):
    person(world.acme, "gone", User.Role.REVIEWER, is_active=False)
    code, message = refusal(
        sagemaker.create_workteam, WorkteamName="crew", MemberDefinitions=oidc("lead", group), Description="x"
    )
    assert code == "ValidationException"
    assert f"The group {group!r} is neither a role (reviewer, lead, admin) nor the user name" in message
    assert not WorkTeam.objects.exists()


@pytest.mark.parametrize(
    ("definitions", "told"),
    [
        (cognito("reviewer") + oidc("lead"), "not both"),
        ([{**cognito("reviewer")[0], **oidc("lead")[0]}], "not both"),
        (cognito("reviewer") + cognito("lead", pool="us-east-1_Other"), "the same UserPool and ClientId"),
        (cognito("reviewer") + cognito("lead", client="other"), "the same UserPool and ClientId"),
        ([{}], "Each of MemberDefinitions"),
        ([*oidc("reviewer"), {}], "Each of MemberDefinitions"),
        ([{"OidcMemberDefinition": {}}], "Each of MemberDefinitions"),
        ([], "'memberDefinitions'"),
        (oidc(*["lead"] * 11), "'memberDefinitions.1.member.oidcMemberDefinition.groups'"),
        (oidc("with space"), "'memberDefinitions.1.member.oidcMemberDefinition.groups'"),
    ],
)
def test_definitions_that_do_not_fit(clients, world, definitions, told):
    careless = clients.sagemaker(world.key, parameter_validation=False)
    WorkTeam.objects.create(account=world.acme, name="by-hand")
    for name, call in (("crew", careless.create_workteam), ("by-hand", careless.update_workteam)):
        code, message = refusal(call, WorkteamName=name, MemberDefinitions=definitions, Description="x")
        assert code == "ValidationException"
        assert told in message
    assert not WorkTeam.objects.get().members.exists()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"WorkforceName": "other"}, "No workforce found with the name 'other'"),
        (
            {"WorkerAccessConfiguration": {"S3Presign": {"IamPolicyConstraints": {"SourceIp": "Enabled"}}}},
            "cannot be Enabled",
        ),
        ({"NotificationConfiguration": {"NotificationTopicArn": "arn:aws:sns:x"}}, "notificationTopicArn'"),
        (
            {"NotificationConfiguration": {"NotificationTopicArn": TOPIC["NotificationTopicArn"] + "k" * 5000}},
            "notificationTopicArn'",
        ),
        ({"Description": "x" * 201}, "'description'"),
        ({"WorkteamName": "-crew"}, "'workteamName'"),
        ({"Tags": [{"Key": "a", "Value": "1"}] * 2}, "given twice"),
    ],
)
def test_what_cannot_be_made(sagemaker, more, told):
    request = {"WorkteamName": "crew", "MemberDefinitions": oidc("lead"), "Description": "x", **more}
    code, message = refusal(sagemaker.create_workteam, **request)
    assert code == "ValidationException"
    assert told in message
    assert not WorkTeam.objects.exists()


def test_a_name_is_taken_once_and_there_are_so_many(sagemaker, clients, world, settings):
    make_team(sagemaker)
    request = {"WorkteamName": "crew", "MemberDefinitions": oidc("lead"), "Description": "x"}
    assert refusal(sagemaker.create_workteam, **request)[0] == "ResourceInUse"
    make_team(clients.sagemaker(world.outsider_key), "crew", "outsider")
    settings.MAX_WORK_TEAMS = 1
    assert refusal(sagemaker.create_workteam, **{**request, "WorkteamName": "two"})[0] == "ResourceLimitExceeded"
    make_team(clients.sagemaker(world.key, "eu-west-1"))


def test_twenty_five_teams_unless_set_otherwise(sagemaker, world):
    WorkTeam.objects.bulk_create(WorkTeam(account=world.acme, name=f"t{number}") for number in range(24))
    make_team(sagemaker)
    request = {"WorkteamName": "more", "MemberDefinitions": oidc("lead"), "Description": "x"}
    assert refusal(sagemaker.create_workteam, **request)[0] == "ResourceLimitExceeded"


def test_what_the_admin_made_or_changed_is_told_by_its_members(sagemaker, world):
    by_hand = WorkTeam.objects.create(account=world.acme, name="by-hand")
    told = sagemaker.describe_workteam(WorkteamName="by-hand")["Workteam"]
    assert (told["MemberDefinitions"], told["Description"]) == ([{"OidcMemberDefinition": {}}], "by-hand")
    by_hand.members.set([world.lead, world.reviewer2])
    told = sagemaker.describe_workteam(WorkteamName="by-hand")["Workteam"]
    assert told["MemberDefinitions"] == oidc("lead", "reviewer2")
    make_team(sagemaker)
    WorkTeam.objects.get(name="crew").members.remove(world.reviewer)
    told = sagemaker.describe_workteam(WorkteamName="crew")["Workteam"]
    assert told["MemberDefinitions"] == oidc("reviewer2", "reviewer3")


def test_more_members_than_one_definition_holds(sagemaker, world):
    team = WorkTeam.objects.create(account=world.acme, name="many")
    team.members.set([person(world.acme, f"r{number:03}", User.Role.REVIEWER) for number in range(103)])
    told = sagemaker.describe_workteam(WorkteamName="many")["Workteam"]["MemberDefinitions"]
    assert [len(each["OidcMemberDefinition"]["Groups"]) for each in told] == [10] * 10
    assert told[0] == oidc(*(f"r{number:03}" for number in range(10)))[0]


# --- updating and deleting --------------------------------------------------------------------------------------------


def test_an_update_changes_what_it_names(sagemaker, world):
    make_team(sagemaker, "crew", "lead", NotificationConfiguration=TOPIC, WorkerAccessConfiguration=S3_PRESIGN)
    told = sagemaker.update_workteam(WorkteamName="crew", Description="Others")["Workteam"]
    assert (told["Description"], told["MemberDefinitions"]) == ("Others", oidc("lead"))
    assert (told["NotificationConfiguration"], told["WorkerAccessConfiguration"]) == (TOPIC, S3_PRESIGN)
    told = sagemaker.update_workteam(WorkteamName="crew", MemberDefinitions=oidc("reviewer"))["Workteam"]
    assert (told["Description"], told["MemberDefinitions"]) == ("Others", oidc("reviewer"))
    assert members() == {"reviewer", "reviewer2", "reviewer3"}
    told = sagemaker.update_workteam(WorkteamName="crew", NotificationConfiguration={}, WorkerAccessConfiguration={})
    assert {"NotificationConfiguration", "WorkerAccessConfiguration"}.isdisjoint(told["Workteam"])


def test_the_same_definitions_again_mean_those_who_fit_them_now(sagemaker, world):
    make_team(sagemaker)
    person(world.acme, "new", User.Role.REVIEWER)
    User.objects.filter(pk=world.reviewer.pk).update(is_active=False)
    assert "new" not in members()
    told = sagemaker.describe_workteam(WorkteamName="crew")["Workteam"]
    assert told["MemberDefinitions"] == oidc("reviewer")
    sagemaker.update_workteam(WorkteamName="crew", MemberDefinitions=oidc("reviewer"))
    assert members() == {"new", "reviewer2", "reviewer3"}


def test_nobody_is_half_updated(sagemaker, world):
    make_team(sagemaker)
    refusal(sagemaker.update_workteam, WorkteamName="crew", Description="Others", MemberDefinitions=oidc("nobody"))
    assert WorkTeam.objects.get().description == "All of them"


def test_a_deleted_team_is_gone_and_its_name_is_free(sagemaker):
    make_team(sagemaker)
    assert sagemaker.delete_workteam(WorkteamName="crew")["Success"] is True
    # Clients take a message with these words for "it does not exist".
    gone = ("ValidationException", f"The work team {arn('workteam/private-crowd', 'crew')} does not exist.")
    assert refusal(sagemaker.describe_workteam, WorkteamName="crew") == gone
    assert refusal(sagemaker.delete_workteam, WorkteamName="crew") == gone
    assert refusal(sagemaker.update_workteam, WorkteamName="crew", Description="x") == gone
    assert names(sagemaker.list_workteams()) == []
    make_team(sagemaker)


def test_a_team_at_work_is_not_deleted(sagemaker):
    make_flow(sagemaker)
    code, message = refusal(sagemaker.delete_workteam, WorkteamName="crew")
    assert code == "ValidationException"
    assert "in use by the flow definition flow" in message
    assert "The work team" not in message
    sagemaker.delete_flow_definition(FlowDefinitionName="flow")
    sagemaker.delete_workteam(WorkteamName="crew")
    assert FlowDefinition.everything.get().work_team.name == "crew"


# --- lists ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def teams(sagemaker, world):
    """Teams b, C, a-1, made in this order, and one of another account."""
    for number, name in enumerate(("b", "C", "a-1"), 1):
        made = loop_world.team(world.acme, [world.reviewer], name)
        WorkTeam.objects.filter(pk=made.pk).update(created_at=datetime(2026, 1, number, tzinfo=UTC))
    loop_world.team(world.globex, [], "theirs")
    return sagemaker


def test_the_oldest_come_first_unless_asked_otherwise(teams):
    assert names(teams.list_workteams()) == ["b", "C", "a-1"]
    assert names(teams.list_workteams(SortOrder="Descending")) == ["a-1", "C", "b"]
    by_name = names(teams.list_workteams(SortBy="Name"))
    assert sorted(by_name, key=str.lower) == ["a-1", "b", "C"]
    assert names(teams.list_workteams(SortBy="Name", SortOrder="Descending")) == by_name[::-1]
    assert names(teams.list_workteams(NameContains="A")) == ["a-1"]
    assert names(teams.list_workteams(NameContains="x")) == []


@pytest.mark.parametrize("by", ["Name", "CreateDate"])
def test_pages_follow_each_other(teams, by):
    pages = teams.get_paginator("list_workteams").paginate(SortBy=by, PaginationConfig={"PageSize": 2})
    seen = [names(page) for page in pages]
    assert [len(page) for page in seen] == [2, 1]
    assert [name for page in seen for name in page] == names(teams.list_workteams(SortBy=by))
    token = teams.list_workteams(SortBy=by, MaxResults=1)["NextToken"]
    assert refusal(teams.list_workteams, NextToken=token, SortBy=by, NameContains="a")[0] == "ValidationException"


# --- the workforce ----------------------------------------------------------------------------------------------------


def test_every_account_has_one_workforce(sagemaker, clients, world, settings):
    settings.PUBLIC_URL = "https://review.example"
    told = sagemaker.describe_workforce(WorkforceName="default")["Workforce"]
    assert told["WorkforceArn"] == arn("workforce", "default")
    assert (told["SubDomain"], told["Status"]) == ("review.example", "Active")
    assert sagemaker.list_workforces()["Workforces"] == [told]
    assert sagemaker.list_workforces(NameContains="fault")["Workforces"] == [told]
    assert sagemaker.list_workforces(NameContains="other")["Workforces"] == []
    theirs = clients.sagemaker(world.outsider_key).describe_workforce(WorkforceName="default")["Workforce"]
    assert theirs["WorkforceArn"] == arn("workforce", "default", GLOBEX)
    code, message = refusal(sagemaker.describe_workforce, WorkforceName="other")
    assert (code, message.startswith("No workforce")) == ("ValidationException", True)
    assert refusal(sagemaker.list_workforces, NextToken="x")[0] == "ValidationException"


OIDC = {
    **{"ClientId": "c", "ClientSecret": "s"},
    **dict.fromkeys(
        ("Issuer", "AuthorizationEndpoint", "TokenEndpoint", "UserInfoEndpoint", "LogoutEndpoint", "JwksUri"),
        "https://id.example",
    ),
}


@pytest.mark.parametrize(
    "more",
    [
        {"SourceIpConfig": {"Cidrs": ["10.0.0.0/16"]}},
        {"OidcConfig": OIDC},
        {"WorkforceVpcConfig": {"VpcId": "vpc-1"}},
        {"IpAddressType": "dualstack"},
    ],
)
def test_what_would_be_believed_and_not_obeyed_is_refused(sagemaker, more):
    code, message = refusal(sagemaker.update_workforce, WorkforceName="default", **more)
    assert code == "ValidationException"
    assert message.startswith(next(iter(more)))


def test_an_update_that_changes_nothing(sagemaker):
    told = sagemaker.update_workforce(WorkforceName="default", SourceIpConfig={"Cidrs": []})["Workforce"]
    assert told == sagemaker.describe_workforce(WorkforceName="default")["Workforce"]
    assert refusal(sagemaker.update_workforce, WorkforceName="other")[0] == "ValidationException"


# --- the command line -------------------------------------------------------------------------------------------------


def test_the_aws_cli(clients, world, tmp_path):
    arguments = ("--workteam-name", "crew", "--description", "Us", "--member-definitions")
    made = clients.cli(
        world.key, tmp_path, "sagemaker", "create-workteam", *arguments, "OidcMemberDefinition={Groups=[lead]}"
    )
    assert made == {"WorkteamArn": arn("workteam/private-crowd", "crew")}
    assert names(clients.cli(world.key, tmp_path, "sagemaker", "list-workteams")) == ["crew"]
    assert members() == {"lead"}
