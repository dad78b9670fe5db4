"""Pictures for signed-in people: short-lived signed addresses, and copies instead of uploads.

An address alone opens nothing: it names the person it was made for, and that person must be signed in and still be
allowed to see the submission.  Another way to earn a look, such as a seat in a review, signs addresses of its own and
answers with `respond`.
"""

from uuid import UUID

from django.core import signing
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from moderation import derivatives
from moderation.decoding.types import MediaError
from moderation.derivatives import Variant
from moderation.models import Submission, User
from moderation.permissions import readable

LIFETIME_SECONDS = 300
_SALT = "moderation.media"


def may_see(user: User, submission: Submission) -> bool:
    """Whether a person may see the picture without holding a seat."""
    return readable(user).filter(pk=submission.pk).exists()


def media_url(user: User, submission: Submission, variant: Variant) -> str:
    """An address of one copy of the picture, for this person, for five minutes."""
    return reverse("media", args=[signing.dumps([str(submission.pk), variant.value, user.pk], salt=_SALT)])


@require_safe
def media(request: HttpRequest, token: str) -> HttpResponse:
    """One copy of a picture.  404 for whoever the address was not made for, 403 for that person after its time."""
    try:
        submission_id, variant = _read(token, request.user.pk, LIFETIME_SECONDS)
    except signing.SignatureExpired:
        _read(token, request.user.pk, None)
        return render(request, "403.html", {"expired": True}, status=403)
    return respond(get_object_or_404(readable(request.user).select_related("blob"), pk=submission_id), variant)


def respond(submission: Submission, variant: Variant) -> HttpResponse:
    """The copy as a response that no cache keeps; Http404 without a picture.  The caller has checked who asks."""
    if submission.blob is None:
        raise Http404("The picture was not kept.")
    try:
        data = derivatives.read(submission.blob, variant)
    except (OSError, MediaError) as error:
        raise Http404("The picture cannot be read.") from error
    headers = {
        "Cache-Control": "no-store",
        "Content-Disposition": "inline",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    return HttpResponse(data, content_type="image/jpeg", headers=headers)


def _read(token: str, user_id: int | None, max_age: int | None) -> tuple[UUID, Variant]:
    try:
        submission_id, variant, made_for = signing.loads(token, salt=_SALT, max_age=max_age)
    except signing.SignatureExpired:
        raise
    except signing.BadSignature as error:
        raise Http404("No such picture.") from error
    if made_for != user_id:
        raise Http404("No such picture.")
    return UUID(submission_id), Variant(variant)
