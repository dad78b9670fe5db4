"""The picture of the item in hand, for whoever holds the seat, for as long as it is held.

An address names the claim (seat and token), the person, the copy and the session it was made for, and is good for two
minutes.  It opens nothing in another session, nor after the seat was answered, given back or lost.
"""

from django.core import signing
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.views.decorators.http import require_safe

from moderation.derivatives import Variant
from moderation.media import respond
from moderation.models import User
from moderation.permissions import REVIEWS
from reviews import desk
from reviews.models import ReviewTask

LIFETIME_SECONDS = 120
_SALT = "reviews.media"


def media_url(request: HttpRequest, seat: ReviewTask, variant: Variant) -> str:
    """An address of one copy of the picture, for the person and session of this request."""
    named = [seat.pk, seat.token, request.user.pk, _session(request), variant.value]
    return reverse("review-media", args=[signing.dumps(named, salt=_SALT)])


@require_safe
def media(request: HttpRequest, token: str) -> HttpResponse:
    """One copy of the picture; 404 for everybody but the holder, whatever is wrong."""
    user = request.user
    if not isinstance(user, User) or not user.has_role(*REVIEWS):
        raise Http404("No such picture.")
    seat_id, seat_token, variant = _read(request, token)
    seat = desk.held(user).filter(pk=seat_id, token=seat_token, lease_expires_at__gt=timezone.now()).first()
    if seat is None or seat.loop.submission is None:
        raise Http404("No such picture.")
    return respond(seat.loop.submission, variant)


def _read(request: HttpRequest, token: str) -> tuple[int, int, Variant]:
    try:
        seat_id, seat_token, made_for, session, variant = signing.loads(token, salt=_SALT, max_age=LIFETIME_SECONDS)
    except signing.BadSignature as error:
        raise Http404("No such picture.") from error
    if (made_for, session) != (request.user.pk, _session(request)):
        raise Http404("No such picture.")
    return seat_id, seat_token, Variant(variant)


def _session(request: HttpRequest) -> str:
    return salted_hmac(_SALT, request.session.session_key or "").hexdigest()[:16]
