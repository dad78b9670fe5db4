"""The reviewers' pages: the overview, the next item, the item in hand.  Each works without JavaScript."""

from django.contrib import messages
from django.forms import Form
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST, require_safe

from moderation.derivatives import Variant
from moderation.permissions import REVIEWS, PersonRequest, only
from reviews import decisions, desk, queue
from reviews.chooser import chooser
from reviews.decisions import AnswerIdTaken, AnswerInvalid, AnswerTooLate, SeatNotFound, UndoRefused
from reviews.evidence import evidence
from reviews.forms import SKIP_REASONS, SeatForm, SkipForm, UndoForm, form_for
from reviews.media import media_url
from reviews.models import ReviewQueue, ReviewTask
from reviews.queue import LeaseLost

# In the session: the queue that somebody started, for the items after the first.
CHOSEN_QUEUE = "review_queue"

# The first picture of a page is always the veiled one; these are shown when asked for.
REVEALED = {variant.value: variant for variant in (Variant.FULL, Variant.GREY)}


@only(*REVIEWS)
@never_cache
@require_safe
def overview(request: PersonRequest) -> HttpResponse:
    """What waits for this person."""
    request.session.pop(CHOSEN_QUEUE, None)
    lines = desk.lines(request.user)
    context = {
        "lines": lines,
        "startable": any(line.startable for line in lines),
        "held": desk.held(request.user).count(),
        "undoable": desk.undoable(request.user),
    }
    return render(request, "reviews/overview.html", context)


@only(*REVIEWS)
@never_cache
@require_GET
def next_item(request: PersonRequest) -> HttpResponse:
    """Take the next seat, or go on with the one in hand."""
    seats = queue.claim(request.user, 1, _wanted_queue(request))
    if seats:
        return redirect("review-item", seats[0].pk)
    return render(request, "reviews/done.html", {"undoable": desk.undoable(request.user)})


@only(*REVIEWS)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def item(request: PersonRequest, pk: int) -> HttpResponse:
    """The item in hand, for whoever holds it; POST takes the answer, or shows the picture while scripts are off."""
    if request.method == "POST":
        return _answer(request, pk)
    seat = desk.held(request.user).filter(pk=pk).first()
    if seat is None:
        return _answered(request, pk)
    return _page(request, seat, form_for(seat, before=desk.typed_before(seat, request.user)))


@only(*REVIEWS)
@never_cache
@require_safe
def picture(request: PersonRequest, pk: int, variant: str) -> HttpResponse:
    """The way to the unveiled picture: a fresh signed address, made when the holder asks to see it."""
    seat = get_object_or_404(desk.held(request.user), pk=pk, loop__submission__blob__isnull=False)
    if variant not in REVEALED:
        raise Http404
    return redirect(media_url(request, seat, REVEALED[variant]))


@only(*REVIEWS)
@never_cache
@require_POST
def renew(request: PersonRequest, pk: int) -> HttpResponse:
    """The page is still open: JSON with the lease's new end; 409 when the item is no longer the person's."""
    form = SeatForm(request.POST)
    if not form.is_valid():
        return JsonResponse({"errors": form.errors}, status=400)
    try:
        ends = queue.heartbeat(pk, form.cleaned_data["token"], request.user)
    except LeaseLost as error:
        return JsonResponse({"lost": str(error)}, status=409)
    return JsonResponse({"lease_expires_at": ends.isoformat(), "seconds_left": desk.seconds_until(ends)})


@only(*REVIEWS)
@never_cache
@require_POST
def skip(request: PersonRequest, pk: int) -> HttpResponse:
    """Pass on the item, and go to the next one."""
    form = SkipForm(request.POST)
    if not form.is_valid():
        raise Http404
    try:
        queue.skip(pk, form.cleaned_data["token"], request.user, form.cleaned_data["reason"])
    except LeaseLost:
        messages.info(request, _("That item was no longer yours."))
    else:
        messages.info(request, _("Skipped. You will not be asked about it again."))
    return redirect("review-next")


@only(*REVIEWS)
@never_cache
@require_POST
def leave(request: PersonRequest, pk: int) -> HttpResponse:
    """Give the item back, and stop."""
    form = SeatForm(request.POST)
    if not form.is_valid():
        raise Http404
    queue.release([(pk, form.cleaned_data["token"])], request.user)
    return redirect("review")


@only(*REVIEWS)
@never_cache
@require_POST
def undo(request: PersonRequest) -> HttpResponse:
    """Take an answer back: its item is in hand again, with what was said filled in."""
    form = UndoForm(request.POST)
    if not form.is_valid():
        raise Http404
    try:
        seat = decisions.undo(form.cleaned_data["decision"], request.user)
    except SeatNotFound as error:
        raise Http404 from error
    except UndoRefused as error:
        messages.warning(request, str(error))
        return redirect("review")
    messages.info(request, _("Taken back: answer again."))
    return redirect("review-item", seat.pk)


def _wanted_queue(request: PersonRequest) -> ReviewQueue | None:
    """The queue asked for, or the one started before; 404 for one that is not the person's."""
    asked = request.GET.get("queue", "")
    wanted = asked or request.session.get(CHOSEN_QUEUE, "")
    found = next((each for each in desk.queues(request.user) if str(each.pk) == wanted), None)
    if asked and found is None:
        raise Http404
    if asked:
        request.session[CHOSEN_QUEUE] = asked
    return found


def _answer(request: PersonRequest, pk: int) -> HttpResponse:
    near = get_object_or_404(desk.near(request.user), pk=pk)
    form = form_for(near, request.POST)
    if asked := request.POST.get("show"):
        return _again(request, pk, form, shown=REVEALED.get(asked, Variant.VEILED))
    if not form.is_valid():
        return _again(request, pk, form, status=400)
    try:
        decisions.submit(pk, form.cleaned_data["token"], request.user, form.to_answer())
    except SeatNotFound as error:
        raise Http404 from error
    except AnswerTooLate as error:
        return _lost(request, str(error), form)
    except AnswerInvalid as error:
        form.add_error(error.field if error.field in form.fields else None, str(error))
        return _again(request, pk, form, status=400)
    except AnswerIdTaken:
        form.add_error(None, _("This page was sent before with another answer. Open the item again."))
        return _again(request, pk, form, status=409)
    messages.success(request, _("Saved."))
    return redirect("review-next")


def _again(
    request: PersonRequest, pk: int, form: Form, shown: Variant = Variant.VEILED, status: int = 200
) -> HttpResponse:
    """The page once more with what was typed, for whoever still holds the seat."""
    seat = desk.held(request.user).filter(pk=pk).first()
    if seat is None:
        return _lost(request, _("You no longer hold this item."), form)
    return _page(request, seat, form, shown, status)


def _page(
    request: PersonRequest, seat: ReviewTask, form: Form, shown: Variant = Variant.VEILED, status: int = 200
) -> HttpResponse:
    try:
        ends = queue.look(seat.pk, seat.token, request.user)
    except LeaseLost as error:
        return _lost(request, str(error), form)
    machine = evidence(seat.loop)
    submission = seat.loop.submission
    context = {
        "seat": seat,
        "loop": seat.loop,
        "form": form,
        "errors": form.errors if status != 200 else {},
        "ends": ends,
        "seconds_left": desk.seconds_until(ends),
        "evidence": machine,
        "chooser": chooser(machine),
        "others": desk.others(seat),
        "shown": shown,
        "picture": media_url(request, seat, shown) if submission and submission.blob else "",
        "skip_reasons": SKIP_REASONS,
        "undoable": desk.undoable(request.user),
    }
    return render(request, "reviews/item.html", context, status=status)


def _answered(request: PersonRequest, pk: int) -> HttpResponse:
    """The page of an item that the person has answered: reached by the browser's way back."""
    get_object_or_404(desk.answered(request.user), pk=pk)
    return render(request, "reviews/answered.html", {"undoable": desk.undoable(request.user, pk)})


def _lost(request: PersonRequest, why: str, form: Form) -> HttpResponse:
    """The item went to somebody else; what was typed is shown, so that nothing is lost."""
    typed = {name: form[name].value() for name in ("outcome", "labels", "comment", "answer") if name in form.fields}
    return render(request, "reviews/lost.html", {"why": why, "typed": typed if form.is_bound else {}}, status=409)
