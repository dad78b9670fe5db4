"""Work teams: the admin's teams, with members named as SageMaker's clients name them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.db import transaction

from moderation.aws.protocol import Caller, OperationTable
from reviews.aws import access, listing, membership, resources, tags, workforce
from reviews.aws.listing import shown
from reviews.aws.resources import invalid
from reviews.models import FlowDefinition, WorkTeam

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import (
        CreateWorkteamRequestTypeDef,
        DeleteWorkteamRequestTypeDef,
        DescribeWorkteamRequestTypeDef,
        ListWorkteamsRequestTypeDef,
        UpdateWorkteamRequestTypeDef,
    )

DEFAULT_LIMIT = 25
_SORT_FIELDS = {"Name": "name", "CreateDate": "created_at"}


def create_workteam(caller: Caller, request: "CreateWorkteamRequestTypeDef") -> Mapping[str, object]:
    """Make a team of the people whom the definitions mean."""
    name, definitions = request["WorkteamName"], request["MemberDefinitions"]
    arn = resources.arn_of(caller, WorkTeam, name)
    access.manage(caller, "CreateWorkteam", arn)
    workforce.check_name(request.get("WorkforceName", workforce.NAME))
    people = membership.people(caller.account_id, definitions)
    fields = {"name": name, **_fields(request)}
    wanted_tags = tags.checked(request.get("Tags", ()))
    with transaction.atomic():
        team = resources.create(caller, WorkTeam, "MAX_WORK_TEAMS", DEFAULT_LIMIT, **fields)
        membership.assign(team, definitions, people)
        tags.hang(caller, arn, wanted_tags)
    return {"WorkteamArn": arn}


def describe_workteam(caller: Caller, request: "DescribeWorkteamRequestTypeDef") -> Mapping[str, object]:
    """One team."""
    name = request["WorkteamName"]
    access.read(caller, "DescribeWorkteam", resources.arn_of(caller, WorkTeam, name))
    return {"Workteam": _workteam(caller, _find(caller, name))}


def list_workteams(caller: Caller, request: "ListWorkteamsRequestTypeDef") -> Mapping[str, object]:
    """The teams of the account and region, the oldest first, unless something else is asked for."""
    access.read(caller, "ListWorkteams")
    ours = WorkTeam.objects.filter(account_id=caller.account_id, region=caller.region).prefetch_related("members")
    if part := request.get("NameContains"):
        ours = ours.filter(name__icontains=part)
    by = _SORT_FIELDS[request.get("SortBy", "CreateDate")]
    found, token = listing.page(caller, "ListWorkteams", ours, request, by=by, descending=False)
    return {"Workteams": [_workteam(caller, team) for team in found], "NextToken": token}


def update_workteam(caller: Caller, request: "UpdateWorkteamRequestTypeDef") -> Mapping[str, object]:
    """Change what is given; definitions given again mean the people who fit them now."""
    name, definitions = request["WorkteamName"], request.get("MemberDefinitions")
    access.manage(caller, "UpdateWorkteam", resources.arn_of(caller, WorkTeam, name))
    fields = _fields(request)
    with transaction.atomic():
        team = _find(caller, name, lock=True)
        for field, value in fields.items():
            setattr(team, field, value)
        team.save(update_fields=[*fields, "updated_at"])
        if definitions is not None:
            membership.assign(team, definitions, membership.people(caller.account_id, definitions))
    return {"Workteam": _workteam(caller, _find(caller, name))}


def delete_workteam(caller: Caller, request: "DeleteWorkteamRequestTypeDef") -> Mapping[str, object]:
    """Delete a team that no flow definition uses."""
    name = request["WorkteamName"]
    access.manage(caller, "DeleteWorkteam", resources.arn_of(caller, WorkTeam, name))
    with transaction.atomic():
        team = _find(caller, name, lock=True)
        if flow := FlowDefinition.objects.filter(work_team=team).first():
            # Not "The work team …": clients take a message with these words for "it does not exist".
            raise invalid(f"Work team {team.arn} is in use by the flow definition {flow.name}; delete that first.")
        resources.delete(team)
    return {"Success": True}


def _find(caller: Caller, name: str, *, lock: bool = False) -> WorkTeam:
    team = resources.named(caller, WorkTeam, name, lock=lock)
    if team is None:
        raise invalid(f"The work team {resources.arn_of(caller, WorkTeam, name)} does not exist.")
    return team


def _fields(request: "CreateWorkteamRequestTypeDef | UpdateWorkteamRequestTypeDef") -> dict[str, Any]:
    """What the request says of the team itself; nothing of what it does not mention."""
    fields: dict[str, Any] = {}
    if "Description" in request:
        fields["description"] = request["Description"]
    if "NotificationConfiguration" in request:
        fields["notification_topic_arn"] = request["NotificationConfiguration"].get("NotificationTopicArn", "")
    if "WorkerAccessConfiguration" in request:
        fields["worker_access"] = _worker_access(request["WorkerAccessConfiguration"])
    return fields


def _worker_access(wanted: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """To be stored; ValidationException for a restriction, which would be believed and not obeyed."""
    constraints = wanted.get("S3Presign", {}).get("IamPolicyConstraints", {})
    if "Enabled" in constraints.values():
        raise invalid(
            "WorkerAccessConfiguration cannot be Enabled: media is bound to the session of whoever reviews, "
            "not to an address."
        )
    return wanted or None


def _workteam(caller: Caller, team: WorkTeam) -> dict[str, object]:
    topic = team.notification_topic_arn
    return {
        "WorkteamName": team.name,
        "MemberDefinitions": membership.describe(team),
        "WorkteamArn": team.arn,
        "WorkforceArn": workforce.arn_of(caller),
        "Description": team.description or team.name,
        "SubDomain": workforce.sub_domain(),
        "CreateDate": shown(team.created_at),
        "LastUpdatedDate": shown(team.updated_at),
        "NotificationConfiguration": {"NotificationTopicArn": topic} if topic else None,
        "WorkerAccessConfiguration": team.worker_access,
    }


OPERATIONS: OperationTable = {
    "CreateWorkteam": create_workteam,
    "DescribeWorkteam": describe_workteam,
    "ListWorkteams": list_workteams,
    "UpdateWorkteam": update_workteam,
    "DeleteWorkteam": delete_workteam,
}
