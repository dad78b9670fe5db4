"""Who calls: bearer tokens of access keys, and what a caller may do."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from moderation.aws.access_policy import permits
from moderation.aws.arns import partition_of
from moderation.intake import Sender
from moderation.models import AccessKey, Account, Submission
from moderation.models.submission import SubmissionQuerySet
from moderation.permissions import readable

if TYPE_CHECKING:
    from rest_framework.views import APIView  # which itself imports this module, by the settings' word

SERVICE = "secondlook"


@dataclass(frozen=True, slots=True)
class Caller:
    """An access key at work, with the person it belongs to, if any; a key without one has all roles in its account."""

    key: AccessKey

    is_authenticated: ClassVar[bool] = True

    @property
    def account(self) -> Account:
        """The account whose rows the caller reaches; no other, not even for superusers."""
        return self.key.account

    def sender(self) -> Sender:
        """The caller as intake knows senders."""
        return Sender(self.account, Submission.Source.REST, self.key.user, self.key)

    def submissions(self) -> SubmissionQuerySet:
        """What the caller may read: the account's, and of those only what the key's person may."""
        rows = Submission.objects.all() if self.key.user is None else readable(self.key.user)
        return rows.of(self.account)

    def has_role(self, roles: Collection[str]) -> bool:
        """Whether the key's person, if it belongs to one, has one of the roles."""
        return self.key.user is None or self.key.user.has_role(*roles)

    def may(self, action: str, resource: str) -> bool:
        """Whether the key's policy allows `secondlook:ACTION` on `resource`, such as `submission/ID`."""
        region = settings.REGION
        arn = f"arn:{partition_of(region)}:{SERVICE}:{region}:{self.account.pk}:{resource}"
        return permits(self.key.policy, f"{SERVICE}:{action}", arn)


def caller_of(request: Request) -> Caller:
    """The caller of a request; NotAuthenticated where there is none."""
    if not isinstance(request.auth, AccessKey):
        raise NotAuthenticated()
    return Caller(request.auth)


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer TOKEN`, the token of a live access key."""

    def authenticate(self, request: Request) -> tuple[Caller, AccessKey] | None:
        """The caller and the key; None without a bearer token; AuthenticationFailed for one that opens nothing."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        key = AccessKey.objects.by_token(token.strip())
        if key is None:
            raise AuthenticationFailed("This token is not valid.")
        key.touch()
        return Caller(key), key

    def authenticate_header(self, request: Request) -> str:
        """What a 401 says in WWW-Authenticate."""
        return 'Bearer realm="Second Look"'


@dataclass(frozen=True, slots=True)
class Right:
    """What a request needs: the action as access policies name it, on a resource (`submission/{pk}`), and a role."""

    action: str
    resource: str
    roles: Collection[str] = ()


class MayCall(BasePermission):
    """The caller has the right that the view's `rights` ask for the method.

    Asked before anything is fetched, so that a refusal says nothing of what exists.
    """

    def has_permission(self, request: Request, view: "APIView") -> bool:
        """True, or PermissionDenied that says whether the role or the key's policy stands in the way."""
        caller = caller_of(request)
        rights: Mapping[str, Right] = getattr(view, "rights", {})
        right = rights.get(request.method or "")
        if right is None:
            return True  # a method that the address does not serve: answered with 405
        if right.roles and not caller.has_role(right.roles):
            raise PermissionDenied(f"This needs the key of a person with one of these roles: {', '.join(right.roles)}.")
        if not caller.may(right.action, right.resource.format(**view.kwargs)):
            raise PermissionDenied(f"This key's access policy does not allow {SERVICE}:{right.action} here.")
        return True
