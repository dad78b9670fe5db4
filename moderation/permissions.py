"""Who may open which page, by role.

Reviewers have no pages of submissions: they meet an item through a seat they hold, and so stay blind to what policy and
people said of it before.
"""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, cast

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext as _

from moderation.models import Submission, User
from moderation.models.submission import SubmissionQuerySet

UPLOADS = (User.Role.UPLOADER, User.Role.LEAD, User.Role.ADMIN)
READS = (*UPLOADS, User.Role.AUDITOR, User.Role.LEGAL)
REVIEWS = (User.Role.REVIEWER, User.Role.LEAD, User.Role.ADMIN)

Rest = ParamSpec("Rest")


class PersonRequest(HttpRequest):
    """A request whose user is signed in."""

    user: User


View = Callable[Concatenate[PersonRequest, Rest], HttpResponseBase]


def only(*roles: User.Role) -> Callable[[View[Rest]], Callable[..., HttpResponseBase]]:
    """A view for signed-in people with one of the roles: others sign in first, or get 403 with the roles in words."""

    def decorate(view: View[Rest]) -> Callable[..., HttpResponseBase]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Rest.args, **kwargs: Rest.kwargs) -> HttpResponseBase:
            person = cast(PersonRequest, request)
            if not person.user.has_role(*roles):
                named = {"roles": ", ".join(role.label for role in roles)}
                raise PermissionDenied(_("This page is for people with one of these roles: %(roles)s.") % named)
            return view(person, *args, **kwargs)

        return login_required(guarded)

    return decorate


def readable(user: User | AnonymousUser) -> SubmissionQuerySet:
    """The submissions whose page and picture a person may open without holding a seat."""
    if not isinstance(user, User) or not user.has_role(*READS):
        return Submission.objects.none()
    return Submission.objects.visible_to(user)
