"""Who is in a work team: what SageMaker's clients call groups, and the people whom they mean here.

A group (of an OIDC provider, or a Cognito user group) is one of the roles that may review, `reviewer`, `lead` or
`admin`: all active people of the account who have it; or a person's user name.  Roles go before user names.  The
people are found when a team is made or updated; who gets the role later is not in the team until it is updated again.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from django.db.models import Q

from moderation.models import User
from moderation.permissions import REVIEWS
from reviews.aws.resources import invalid
from reviews.models import WorkTeam

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import MemberDefinitionUnionTypeDef

MAX_GROUPS = 10
MAX_DEFINITIONS = 10
_KINDS = ("CognitoMemberDefinition", "OidcMemberDefinition")


def assign(team: WorkTeam, definitions: "Sequence[MemberDefinitionUnionTypeDef]", people: Iterable[User]) -> None:
    """Make these people the team's members, as the definitions wanted it; inside a transaction."""
    ids = sorted(person.pk for person in people)
    team.member_definitions, team.defined_members = list(definitions), ids
    team.save(update_fields=["member_definitions", "defined_members", "updated_at"])
    team.members.set(ids)


def people(account_id: str, definitions: "Sequence[MemberDefinitionUnionTypeDef]") -> list[User]:
    """The people whom the definitions mean; ValidationException for a group that means nobody who may review."""
    found: dict[int, User] = {}
    for group in dict.fromkeys(_groups(definitions)):
        found |= {person.pk: person for person in _people_of(account_id, group)}
    return list(found.values())


def describe(team: WorkTeam) -> list[dict[str, Any]]:
    """The definitions as they were sent; for a team that was made or changed in the admin, its members' user names.

    A hundred names at most: there is no room for more.
    """
    members = list(team.members.all())
    if team.member_definitions and sorted(member.pk for member in members) == team.defined_members:
        return list(team.member_definitions)
    names = sorted(member.username for member in members)[: MAX_GROUPS * MAX_DEFINITIONS]
    groups = [names[start : start + MAX_GROUPS] for start in range(0, len(names), MAX_GROUPS)]
    return [{"OidcMemberDefinition": {"Groups": each}} for each in groups] or [{"OidcMemberDefinition": {}}]


def _groups(definitions: "Sequence[MemberDefinitionUnionTypeDef]") -> list[str]:
    """All groups that are named; ValidationException where the definitions do not fit each other."""
    kinds = {kind for definition in definitions for kind in _KINDS if kind in definition}
    if len(kinds) > 1:
        raise invalid("MemberDefinitions must be Cognito user groups or OIDC groups, not both.")
    pools = {(each["UserPool"], each["ClientId"]) for each in _all(definitions, "CognitoMemberDefinition")}
    if len(pools) > 1:
        raise invalid("All CognitoMemberDefinitions must have the same UserPool and ClientId.")
    named = [[each["UserGroup"]] for each in _all(definitions, "CognitoMemberDefinition")]
    named += [list(each.get("Groups", ())) for each in _all(definitions, "OidcMemberDefinition")]
    if len(named) < len(definitions) or not all(named):
        raise invalid("Each of MemberDefinitions must name a Cognito user group or OIDC groups.")
    return [group for groups in named for group in groups]


def _all(definitions: "Sequence[MemberDefinitionUnionTypeDef]", kind: str) -> list[Any]:
    return [dict(definition)[kind] for definition in definitions if kind in definition]


def _people_of(account_id: str, group: str) -> list[User]:
    active = User.objects.filter(account_id=account_id, is_active=True)
    if group in REVIEWS:
        superusers = Q(is_superuser=True) if group == User.Role.ADMIN else Q()
        return list(active.filter(Q(role=group) | superusers))
    person = active.filter(Q(role__in=REVIEWS) | Q(is_superuser=True), username=group).first()
    if person is None:
        roles = ", ".join(REVIEWS)
        raise invalid(f"The group {group!r} is neither a role ({roles}) nor the user name of somebody who may review.")
    return [person]
