"""The reviewers' pages as a browser without JavaScript meets them."""

import html
import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import transaction
from django.test import Client
from django.utils import timezone

from moderation.models import Policy, User
from moderation.taxonomy import LABELS
from reviews import decisions, desk, loops, queue
from reviews.evidence import BLIND_SHARE, is_blind
from reviews.loops import LoopInput
from reviews.models import Decision, FlowDefinition, HumanLoop, Refusal, ReviewQueue, ReviewTask, Skill, UnsentAnswer
from tests.reviews import loop_world as made
from tests.world import World, person

pytestmark = pytest.mark.django_db

BELOW_90 = {
    "ConditionType": "ModerationLabelConfidenceCheck",
    "ConditionParameters": {"ModerationLabelName": "*", "ConfidenceLessThan": 90},
}


def sampling(percentage: float) -> dict[str, Any]:
    return {"ConditionType": "Sampling", "ConditionParameters": {"RandomSamplingPercentage": percentage}}


@pytest.fixture
def flow(world: World) -> FlowDefinition:
    return made.flow(world.acme, (world.reviewer, world.reviewer2, world.lead), conditions=[BELOW_90])


@pytest.fixture
def loop(flow: FlowDefinition) -> HumanLoop:
    return made.loop(flow, {"Weapons": 71.0})


@pytest.fixture
def reviewer(world: World) -> Client:
    return signed_in(world.reviewer)


@pytest.fixture
def seat(reviewer: Client, loop: HumanLoop, world: World) -> ReviewTask:
    """Claimed by the reviewer through the page."""
    reviewer.get("/review/next")
    return desk.held(world.reviewer).get()


def signed_in(user: User) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def answer(seat: ReviewTask, **more: Any) -> dict[str, Any]:
    """What the form sends for a rejection; None leaves a field out."""
    said = {"token": seat.token, "decision": uuid.uuid4(), "outcome": "reject", "labels": ["Weapons"], "comment": ""}
    return {name: value for name, value in (said | more).items() if value is not None}


def url(seat: ReviewTask, step: str = "") -> str:
    return f"/review/{seat.pk}/{step}"


def text(response: Any) -> str:
    return html.unescape(response.content.decode())


def chosen(page: str) -> set[str]:
    """The labels that stand ticked in the form."""
    ticked = re.findall(r'name="labels" value="([^"]*)"[^>]* checked', page)
    return {html.unescape(name) for name in ticked}


# --- the overview ---


def test_the_overview_counts_what_waits_in_the_queues_of_ones_teams(world: World, flow: FlowDefinition):
    made.loop(flow)
    made.loop(flow)
    made.flow(world.acme, (world.reviewer2,), name="other", line="not mine")
    page = text(signed_in(world.reviewer).get("/review/"))
    assert "line" in page and "not mine" not in page
    assert re.search(r"<b>2</b>", page)
    assert 'href="/review/next"' in page


def test_what_one_has_answered_or_passed_on_does_not_wait_for_one(world: World, flow: FlowDefinition):
    flow.task_count = 2
    flow.save()
    for _ in range(3):
        made.loop(flow)
    for step in (lambda seat: decisions.submit(seat.pk, seat.token, world.reviewer, made.approve()), skipped):
        step(queue.claim(world.reviewer)[0])
    assert desk.lines(world.reviewer)[0].waiting == 2, "the two seats of the third loop"
    assert desk.lines(world.reviewer2)[0].waiting == 5


def skipped(seat: ReviewTask) -> None:
    assert seat.reviewer
    queue.skip(seat.pk, seat.token, seat.reviewer, "other")


def test_leads_seats_wait_for_leads(world: World, loop: HumanLoop):
    with transaction.atomic():
        loops.seat_lead(HumanLoop.objects.lock(loop.pk))
    assert desk.lines(world.reviewer)[0].waiting == 1
    assert desk.lines(world.lead)[0].waiting == 2


def test_a_queue_that_several_teams_share_counts_for_each_its_own(world: World, loop: HumanLoop):
    other = made.flow(world.acme, (world.reviewer3,), name="other")
    assert other.queue == loop.flow.queue
    made.loop(other)
    made.loop(other)
    assert [desk.lines(user)[0].waiting for user in (world.reviewer, world.reviewer3)] == [1, 2]


def test_one_address_more_for_the_same_overview(reviewer: Client):
    assert reviewer.get("/review/queues/").status_code == 200


def test_an_empty_queue_offers_no_start(reviewer: Client, flow: FlowDefinition):
    page = text(reviewer.get("/review/"))
    assert "/review/next" not in page and "Nothing waits for you now" in page


def test_nothing_can_be_started_in_a_paused_queue_or_without_its_skills(
    reviewer: Client, world: World, loop: HumanLoop
):
    ReviewQueue.objects.update(is_paused=True)
    page = text(reviewer.get("/review/"))
    assert "Paused" in page and "/review/next" not in page
    ReviewQueue.objects.update(is_paused=False, skills=["Welsh"])
    page = text(reviewer.get("/review/"))
    assert "Needs: Welsh" in page and "/review/next" not in page
    Skill.objects.create(user=world.reviewer, name="Welsh")
    assert "/review/next" in text(reviewer.get("/review/"))


def test_who_is_in_no_team_is_told_so(world: World, loop: HumanLoop):
    assert "You are in no work team yet" in text(signed_in(world.reviewer3).get("/review/"))


def test_counting_stops_where_the_number_no_longer_matters(
    world: World, flow: FlowDefinition, monkeypatch: pytest.MonkeyPatch
):
    for _ in range(3):
        made.loop(flow)
    monkeypatch.setattr(desk, "MOST_COUNTED", 2)
    [line] = desk.lines(world.reviewer)
    assert (line.waiting, line.more) == (2, True)


# --- taking an item ---


def test_next_takes_a_seat_and_leads_to_it(reviewer: Client, loop: HumanLoop, world: World):
    response = reviewer.get("/review/next")
    taken = desk.held(world.reviewer).get()
    assert response.status_code == 302 and response["Location"] == url(taken)
    assert reviewer.get("/review/next")["Location"] == url(taken), "what is in hand comes first"


def test_next_stays_in_the_queue_that_was_asked_for(reviewer: Client, world: World, loop: HumanLoop):
    other = made.flow(world.acme, (world.reviewer,), name="second", line="second line")
    wanted = made.loop(other)
    reviewer.get(f"/review/next?queue={other.queue_id}")
    assert desk.held(world.reviewer).get().loop == wanted


def test_the_items_after_the_first_come_from_the_chosen_queue_too(reviewer: Client, world: World, loop: HumanLoop):
    other = made.flow(world.acme, (world.reviewer,), name="second", line="second line")
    wanted = {made.loop(other).pk, made.loop(other).pk}
    reviewer.get(f"/review/next?queue={other.queue_id}")
    first = desk.held(world.reviewer).get()
    reviewer.post(url(first, "skip"), {"token": first.token, "reason": "other"})
    reviewer.get("/review/next")
    assert {first.loop_id, desk.held(world.reviewer).get().loop_id} == wanted
    reviewer.get("/review/")
    reviewer.get("/review/next")
    assert reviewer.session.get("review_queue") is None, "the overview starts from all queues again"


@pytest.mark.parametrize("wanted", ["0", "abc", "9" * 40, "\0"])
def test_next_knows_no_other_queues(reviewer: Client, loop: HumanLoop, wanted: str):
    assert reviewer.get("/review/next", {"queue": wanted}).status_code == 404


def test_next_of_a_queue_of_another_team_is_not_found(world: World, loop: HumanLoop):
    outside = signed_in(world.reviewer3)
    assert outside.get(f"/review/next?queue={loop.flow.queue_id}").status_code == 404


def test_a_head_request_takes_nothing(reviewer: Client, loop: HumanLoop, world: World):
    assert reviewer.head("/review/next").status_code == 405
    assert not desk.held(world.reviewer).exists()


def test_when_nothing_is_left_the_page_says_all_done(reviewer: Client, flow: FlowDefinition):
    response = reviewer.get("/review/next")
    assert response.status_code == 200 and "All done" in text(response)


# --- the item ---


def test_the_page_shows_labels_thresholds_and_why_it_is_here(reviewer: Client, seat: ReviewTask):
    page = text(reviewer.get(url(seat)))
    assert "Probable: Violence, still image" in page
    assert page.index('value="Weapons"') < page.index('value="Explicit"'), "what the model named stands on top"
    assert "71<span" in page
    assert 'class="confidence-tick review" x="90' in page
    assert "An item is reviewed when any label is below 90." in page
    assert "The policy asks for review" in page


def test_every_label_of_the_taxonomy_can_be_chosen_exactly_once(reviewer: Client, seat: ReviewTask):
    offered = re.findall(r'name="labels" value="([^"]*)"', reviewer.get(url(seat)).content.decode())
    assert sorted(map(html.unescape, offered)) == sorted(LABELS)


def test_the_first_page_holds_the_veiled_picture_alone(reviewer: Client, seat: ReviewTask, world: World):
    page = text(reviewer.get(url(seat)))
    pictures = re.findall(r'<img[^>]* src="([^"]*)"', page)
    assert len(pictures) == 1
    veiled = reviewer.get(pictures[0])
    full = reviewer.get(reviewer.get(url(seat, "picture/full/"))["Location"])
    assert veiled.status_code == full.status_code == 200
    assert veiled.content != full.content and len(veiled.content) < len(full.content)


def test_without_scripts_the_picture_is_shown_by_a_form_that_keeps_what_was_typed(reviewer: Client, seat: ReviewTask):
    typed = answer(seat, outcome="approve", labels=["Alcohol"], comment="a <glass>", show="full")
    response = reviewer.post(url(seat), typed)
    page = text(response)
    assert response.status_code == 200 and "Not saved yet" not in page
    [picture] = re.findall(r'<img[^>]* src="([^"]*)"', page)
    assert reviewer.get(picture).content == reviewer.get(reviewer.get(url(seat, "picture/full/"))["Location"]).content
    assert chosen(page) == {"Alcohol"} and "a <glass>" in page
    assert re.search(r'value="approve"[^>]* checked', page)
    assert str(typed["decision"]) in page, "it is still the same answer"
    assert not Decision.objects.exists()
    [veiled] = re.findall(r'<img[^>]* src="([^"]*)"', text(reviewer.post(url(seat), typed | {"show": "veiled"})))
    assert reviewer.get(veiled).content != reviewer.get(picture).content


def test_second_reviewers_are_blind_to_the_first(world: World, flow: FlowDefinition):
    flow.task_count = 2
    flow.save()
    made.loop(flow, {"Weapons": 71.0})
    first, second = signed_in(world.reviewer), signed_in(world.reviewer2)
    first.get("/review/next")
    seat = desk.held(world.reviewer).get()
    untouched = answers_on(second)
    first.post(url(seat), answer(seat, labels=["Hate Symbols"], comment="a flag in the corner"))
    page = answers_on(second)
    assert page == untouched
    assert "a flag in the corner" not in page and "What the reviewers said" not in page and not chosen(page)


def answers_on(client: Client) -> str:
    """The next item's page without what differs from page to page anyway."""
    return plain(text(client.get("/review/next", follow=True)))


def plain(page: str) -> str:
    page = re.sub(r'/review/media/[^"]*', "", page)
    page = re.sub(r'name="(csrfmiddlewaretoken|decision)" value="[^"]*"', "", page)
    page = re.sub(r"<lease-clock.*?</lease-clock>", "", page, flags=re.DOTALL)
    page = re.sub(r'id="blob[^"]*"', "", page)
    return re.sub(r"/review/\d+/", "/review/N/", page)


def test_a_lead_sees_the_answers_side_by_side_and_no_names(world: World, flow: FlowDefinition):
    flow.task_count = 2
    flow.save()
    loop = made.loop(flow, {"Weapons": 71.0})
    for user, said in ((world.reviewer, {"comment": "a rifle"}), (world.reviewer2, {"outcome": "approve"})):
        client = signed_in(user)
        client.get("/review/next")
        held = desk.held(user).get()
        client.post(url(held), answer(held, **said))
    with transaction.atomic():
        loops.seat_lead(loop)
    page = text(signed_in(world.lead).get("/review/next", follow=True))
    assert "What the reviewers said" in page and "a rifle" in page
    assert "reviewer2" not in page and ">reviewer<" not in page


# --- blindness ---


def blind_and_audit(world: World) -> tuple[HumanLoop, HumanLoop]:
    """A blind item that a check sent, and an audit, of one flow and with the same picture size."""
    policy = Policy.objects.default_for(world.acme)
    flow = made.flow(
        world.acme, (world.reviewer,), conditions=[BELOW_90, sampling(100)], policies=[policy], name="audited"
    )
    audit, _ = made.considered(world.acme, {"Weapons": 97.0})
    checked = []
    for _ in range(25):
        made_now, _review = made.considered(world.acme, {"Weapons": 60.0})
        checked.append(HumanLoop.objects.get(analysis=made_now, flow=flow))
    return next(each for each in checked if is_blind(each)), HumanLoop.objects.get(analysis=audit, flow=flow)


def test_an_audit_cannot_be_told_from_other_blind_items(world: World):
    blind, audit = blind_and_audit(world)
    assert audit.is_audit and not blind.is_audit
    pages = []
    for loop in (blind, audit):
        seat = take(world.reviewer, loop)
        pages.append(plain(text(signed_in(world.reviewer).get(url(seat)))))
        queue.release([(seat.pk, seat.token)], world.reviewer)
    assert pages[0] == pages[1]
    for told in ("Probable", "Named by the model", "confidence-tick", "Why it is here", "percent sure", "97", "60"):
        assert told not in pages[1], told


def take(user: User, loop: HumanLoop) -> ReviewTask:
    """A seat of this very loop, whichever is next."""
    now = timezone.now()
    seat = loop.tasks.get()
    ReviewTask.objects.filter(pk=seat.pk).update(
        state=ReviewTask.State.CLAIMED,
        reviewer=user,
        token=1,
        claimed_at=now,
        lease_expires_at=now + timedelta(minutes=5),
    )
    return ReviewTask.objects.get(pk=seat.pk)


def test_a_share_of_what_checks_send_is_blind_too_and_always_the_same_share(world: World):
    blind_and_audit(world)
    checked = [each for each in HumanLoop.objects.all() if not each.is_audit]
    share = sum(map(is_blind, checked)) / len(checked)
    assert abs(share - BLIND_SHARE) < 0.33  # 25 draws: three and a half standard deviations
    assert [is_blind(each) for each in checked] == [is_blind(each) for each in checked]


def test_nothing_is_held_back_where_nothing_is_sampled(loop: HumanLoop, flow: FlowDefinition):
    assert not any(is_blind(made.loop(flow, {"Weapons": 71.0})) for _ in range(12))


def test_no_reason_tells_of_a_draw(world: World):
    blind_and_audit(world)
    shown = next(each for each in HumanLoop.objects.all() if not is_blind(each))
    page = text(signed_in(world.reviewer).get(url(take(world.reviewer, shown))))
    assert "any label is below 90" in page and "sample" not in page and "random" not in page


# --- answering ---


def test_an_answer_is_saved_and_the_next_item_follows(reviewer: Client, seat: ReviewTask, world: World):
    sent = answer(seat, labels=["Weapons", "Alcohol"], comment="two <things>", seconds="3.5")
    response = reviewer.post(url(seat), sent)
    assert (response.status_code, response["Location"]) == (302, "/review/next")
    decision = Decision.objects.get()
    assert decision.pk == sent["decision"]
    assert (decision.outcome, decision.comment, decision.reviewer) == ("reject", "two <things>", world.reviewer)
    assert decision.labels == ["Weapons", "Alcohol"]
    seat.refresh_from_db()
    assert seat.state == ReviewTask.State.ANSWERED


def test_the_saved_answer_is_announced_on_the_next_page(reviewer: Client, flow: FlowDefinition, seat: ReviewTask):
    made.loop(flow)
    page = text(reviewer.post(url(seat), answer(seat), follow=True))
    assert re.search(r'role="status"[^>]*>.*Saved\.', page)


def test_none_applies_is_an_approval_without_labels(reviewer: Client, seat: ReviewTask):
    assert reviewer.post(url(seat), answer(seat, outcome="approve", labels=None, none="on")).status_code == 302
    assert Decision.objects.get().labels == []


def test_a_form_sent_twice_counts_once_and_disturbs_nobody(reviewer: Client, seat: ReviewTask):
    sent = answer(seat)
    assert [reviewer.post(url(seat), sent).status_code for _ in range(3)] == [302, 302, 302]
    assert Decision.objects.count() == 1


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"outcome": None}, "Choose Approve or Reject."),
        ({"outcome": "escalate"}, "escalate"),
        ({"labels": ["Unicorns"]}, "Unicorns"),
        ({"none": "on"}, "not both"),
        ({"labels": None}, "at least one label, or a comment"),
        ({"comment": "x" * 2001}, "2000"),
        ({"comment": "nul\0"}, "Null characters"),
    ],
)
def test_a_wrong_answer_is_explained_and_nothing_typed_is_lost(
    reviewer: Client, seat: ReviewTask, wrong: dict[str, Any], words: str
):
    sent = answer(seat, **({"comment": "keep me"} | wrong)) if "labels" not in wrong else answer(seat, **wrong)
    response = reviewer.post(url(seat), sent)
    page = text(response)
    assert response.status_code == 400 and "Not saved yet" in page and words in page
    assert str(sent["decision"]) in page
    if "comment" not in wrong and "labels" not in wrong:
        assert "keep me" in page
    if "labels" not in wrong:
        assert chosen(page) == {"Weapons"}
    assert not Decision.objects.exists()


@pytest.mark.parametrize("token", ["", "abc", "-1", "9" * 30])
def test_a_wrong_token_is_no_server_error(reviewer: Client, seat: ReviewTask, token: str):
    assert reviewer.post(url(seat), answer(seat, token=token)).status_code in (400, 409)
    assert not Decision.objects.exists()


@pytest.mark.parametrize(
    ("sent", "least", "most"), [("2.5", 2.5, 2.5), ("-5", 0, 0), ("1e9", 60, 80), ("", 40, 55), (None, 40, 55)]
)
def test_the_time_spent_is_what_the_page_counted_within_reason_or_since_the_first_look(
    reviewer: Client, seat: ReviewTask, sent: str | None, least: float, most: float
):
    now = timezone.now()
    ReviewTask.objects.update(claimed_at=now - timedelta(seconds=60), opened_at=now - timedelta(seconds=40))
    assert reviewer.post(url(seat), answer(seat, seconds=sent)).status_code == 302
    assert least <= Decision.objects.get().seconds_spent <= most


@pytest.mark.parametrize("sent", ["nan", "1e999", "soon"])
def test_a_time_that_is_no_number_is_no_server_error(reviewer: Client, seat: ReviewTask, sent: str):
    assert reviewer.post(url(seat), answer(seat, seconds=sent)).status_code == 400


def test_an_answer_id_of_somebody_elses_answer_is_refused(
    reviewer: Client, seat: ReviewTask, flow: FlowDefinition, world: World
):
    made.loop(flow)
    other = signed_in(world.reviewer2)
    other.get("/review/next")
    theirs = desk.held(world.reviewer2).get()
    sent = answer(theirs)
    other.post(url(theirs), sent)
    response = reviewer.post(url(seat), answer(seat, decision=sent["decision"]))
    assert response.status_code == 409 and "sent before with another answer" in text(response)
    assert Decision.objects.count() == 1


def test_the_way_back_to_an_answered_item_offers_to_take_it_back(reviewer: Client, seat: ReviewTask):
    reviewer.post(url(seat), answer(seat))
    page = text(reviewer.get(url(seat)))
    assert "You have answered this item" in page and "Undo this answer" in page
    with time_machine.travel(timezone.now() + timedelta(minutes=5)):
        assert "can no longer be taken back" in text(reviewer.get(url(seat)))


def test_an_answer_before_the_last_one_can_be_taken_back_from_its_page(
    reviewer: Client, seat: ReviewTask, flow: FlowDefinition, world: World
):
    made.loop(flow)
    first = answer(seat)
    reviewer.post(url(seat), first)
    reviewer.get("/review/next")
    second = desk.held(world.reviewer).get()
    reviewer.post(url(second), answer(second))
    assert str(first["decision"]) in text(reviewer.get(url(seat)))
    assert str(first["decision"]) not in text(reviewer.get(url(second)))


# --- losing the lease ---


def test_a_late_answer_is_told_kindly_kept_and_filled_in_again(
    reviewer: Client, seat: ReviewTask, world: World, loop: HumanLoop
):
    made.lapse(seat)
    queue.sweep()
    [theirs] = queue.claim(world.reviewer2)
    sent = answer(seat, labels=["Alcohol"], comment="an <old> bottle")
    response = reviewer.post(url(seat), sent)
    page = text(response)
    assert response.status_code == 409 and "no longer yours" in page
    assert "Alcohol" in page and "an <old> bottle" in page and "Reject" in page
    assert "&lt;old&gt;" in response.content.decode()
    assert UnsentAnswer.objects.get().comment == "an <old> bottle"
    assert not Decision.objects.exists()
    assert reviewer.get(url(seat)).status_code == 404, "the item is somebody else's"

    queue.release([(theirs.pk, theirs.token)], world.reviewer2)
    page = text(reviewer.get("/review/next", follow=True))
    assert chosen(page) == {"Alcohol"} and "an <old> bottle" in page


def test_a_wrong_late_answer_shows_nothing_of_the_item(reviewer: Client, seat: ReviewTask, world: World):
    made.lapse(seat)
    queue.sweep()
    for extra in ({"outcome": None}, {"show": "full"}):
        response = reviewer.post(url(seat), answer(seat, comment="mine", **extra))
        page = text(response)
        assert response.status_code == 409 and "mine" in page and "review/media" not in page


def test_when_the_time_limit_is_over_the_page_says_so(reviewer: Client, seat: ReviewTask):
    reviewer.get(url(seat))
    with time_machine.travel(timezone.now() + timedelta(hours=2)):
        client = signed_in(User.objects.get(username="reviewer"))
        response = client.get(url(seat))
    assert response.status_code == 409 and "no longer yours" in text(response)


# --- renewing, skipping, leaving, undoing ---


def test_the_page_renews_its_lease(reviewer: Client, seat: ReviewTask):
    made.lapse(seat)
    answered = reviewer.post(url(seat, "renew"), {"token": seat.token})
    seat.refresh_from_db()
    assert seat.lease_expires_at
    assert answered.json()["lease_expires_at"] == seat.lease_expires_at.isoformat()
    assert 595 < answered.json()["seconds_left"] <= 600
    assert seat.lease_expires_at > timezone.now()


def test_a_lease_that_is_gone_is_not_renewed(reviewer: Client, seat: ReviewTask, world: World):
    assert reviewer.post(url(seat, "renew"), {"token": seat.token + 1}).status_code == 409
    assert reviewer.post(url(seat, "renew")).status_code == 400
    assert signed_in(world.reviewer2).post(url(seat, "renew"), {"token": seat.token}).status_code == 409
    assert reviewer.get(url(seat, "renew")).status_code == 405


def test_a_skipped_item_does_not_come_back(reviewer: Client, seat: ReviewTask, world: World):
    response = reviewer.post(url(seat, "skip"), {"token": seat.token, "reason": "affects_me"}, follow=True)
    page = text(response)
    assert "All done" in page and "Skipped" in page
    refusal = Refusal.objects.get()
    assert (refusal.reviewer, refusal.reason, refusal.loop) == (world.reviewer, "affects_me", seat.loop)


@pytest.mark.parametrize("reason", ["", "boredom", None])
def test_a_skip_needs_one_of_the_reasons(reviewer: Client, seat: ReviewTask, reason: str | None):
    sent = {"token": seat.token} | ({} if reason is None else {"reason": reason})
    assert reviewer.post(url(seat, "skip"), sent).status_code == 404
    assert not Refusal.objects.exists()


def test_skipping_what_is_no_longer_ones_own_goes_on_calmly(reviewer: Client, seat: ReviewTask):
    queue.release([(seat.pk, seat.token)], User.objects.get(username="reviewer"))
    page = text(reviewer.post(url(seat, "skip"), {"token": seat.token, "reason": "other"}, follow=True))
    assert "no longer yours" in page
    assert not Refusal.objects.exists()


def test_leaving_gives_the_item_back(reviewer: Client, seat: ReviewTask):
    assert reviewer.post(url(seat, "leave"), {"token": seat.token})["Location"] == "/review/"
    seat.refresh_from_db()
    assert (seat.state, seat.reviewer) == (ReviewTask.State.OPEN, None)


def test_an_answer_is_taken_back_with_what_was_said(reviewer: Client, seat: ReviewTask):
    sent = answer(seat, labels=["Alcohol"], comment="hasty")
    reviewer.post(url(seat), sent)
    assert "Undo last answer" in text(reviewer.get("/review/"))
    response = reviewer.post("/review/undo", {"decision": sent["decision"]})
    assert response["Location"] == url(seat)
    page = text(reviewer.get(url(seat)))
    assert chosen(page) == {"Alcohol"} and "hasty" in page
    assert str(sent["decision"]) not in page, "the next answer is another one"
    seat.refresh_from_db()
    assert reviewer.post(url(seat), answer(seat, outcome="approve")).status_code == 302
    assert Decision.objects.filter(withdrawn=False, superseded_by=None).get().outcome == "approve"


def test_after_the_grace_an_answer_stays(reviewer: Client, seat: ReviewTask):
    sent = answer(seat)
    reviewer.post(url(seat), sent)
    with time_machine.travel(timezone.now() + timedelta(minutes=5)):
        page = text(reviewer.post("/review/undo", {"decision": sent["decision"]}, follow=True))
    assert "no longer can" in page
    assert Decision.objects.filter(withdrawn=True).count() == 0


@pytest.mark.parametrize("decision", ["", "abc", "e1975503-dc0b-49c1-9a11-cca88377e66f"])
def test_an_unknown_answer_cannot_be_taken_back(reviewer: Client, decision: str):
    assert reviewer.post("/review/undo", {"decision": decision}).status_code == 404


def test_nobody_takes_back_the_answer_of_another(reviewer: Client, seat: ReviewTask, world: World):
    sent = answer(seat)
    reviewer.post(url(seat), sent)
    assert signed_in(world.lead).post("/review/undo", {"decision": sent["decision"]}).status_code == 404
    assert Decision.objects.count() == 1


# --- custom tasks ---


@pytest.fixture
def task(world: World) -> HumanLoop:
    flow = made.flow(
        world.acme, (world.reviewer,), name="ads", request_source="", task_title="Is it <true>?", line="ads"
    )
    content = {"slogan": "</pre><script>alert(1)</script>", "seen": 3}
    return loops.start(flow, LoopInput(name="question", digest="d", content=content))[0]


@pytest.mark.parametrize(
    ("typed", "kept"),
    [("No, never.", {"answer": "No, never."}), ('{"true": false}', {"true": False}), ("[1]", {"answer": "[1]"})],
)
def test_a_custom_task_shows_its_content_and_takes_words_or_json(
    world: World, task: HumanLoop, typed: str, kept: dict[str, Any]
):
    client = signed_in(world.reviewer)
    page = client.get("/review/next", follow=True).content.decode()
    assert "Is it &lt;true&gt;?" in page and "&lt;script&gt;" in page and "<script>alert" not in page
    assert 'name="labels"' not in page and "<img" not in page
    seat = desk.held(world.reviewer).get()
    sent = {"token": seat.token, "decision": uuid.uuid4(), "answer": typed}
    assert client.post(url(seat), sent).status_code == 302
    assert Decision.objects.get().answer == kept
    client.post("/review/undo", {"decision": sent["decision"]})
    [again] = re.findall(r"<textarea.*?>\n?(.*?)</textarea>", text(client.get(url(seat))), re.DOTALL)
    assert "".join(again.split()) == "".join(typed.split())


@pytest.mark.parametrize("typed", ["", " ", "x" * 100_001, "nul\0", "[" * 100_000])
def test_a_custom_answer_of_any_kind_is_no_server_error(world: World, task: HumanLoop, typed: str):
    client = signed_in(world.reviewer)
    client.get("/review/next")
    seat = desk.held(world.reviewer).get()
    response = client.post(url(seat), {"token": seat.token, "decision": uuid.uuid4(), "answer": typed})
    assert response.status_code == (302 if typed.startswith("[") else 400)


# --- whom it concerns ---


def outsiders(world: World) -> dict[str, User]:
    """Everybody who might try, but does not hold the seat."""
    return {
        "another of the team": world.reviewer2,
        "a reviewer of no team": world.reviewer3,
        "a lead without a seat": world.lead,
        "an admin without a seat": world.admin,
        "a superuser": person(world.acme, "root", User.Role.ADMIN, is_superuser=True),
        "another account's admin": world.outsider,
        "another account's reviewer": person(world.globex, "far", User.Role.REVIEWER),
    }


def test_the_item_and_its_picture_are_for_whoever_holds_the_seat(reviewer: Client, seat: ReviewTask, world: World):
    page = text(reviewer.get(url(seat)))
    [veiled] = re.findall(r'<img[^>]* src="([^"]*)"', page)
    full = reviewer.get(url(seat, "picture/full/"))["Location"]
    assert reviewer.get(full).status_code == 200
    for who, user in outsiders(world).items():
        client = signed_in(user)
        for address in (url(seat), url(seat, "picture/full/"), url(seat, "picture/veiled/"), veiled, full):
            assert client.get(address).status_code == 404, (who, address)


def test_people_of_other_roles_have_no_business_here(reviewer: Client, seat: ReviewTask, world: World):
    [veiled] = re.findall(r'<img[^>]* src="([^"]*)"', text(reviewer.get(url(seat))))
    for user in (world.uploader, world.auditor, world.legal):
        client = signed_in(user)
        for address in ("/review/", "/review/next", url(seat), url(seat, "picture/full/")):
            assert client.get(address).status_code == 403
        for step in ("", "renew", "skip", "leave"):
            assert client.post(url(seat, step), answer(seat, reason="other")).status_code == 403
        assert client.get(veiled).status_code == 404
    seat.refresh_from_db()
    assert seat.reviewer == world.reviewer


def test_strangers_are_asked_to_sign_in(reviewer: Client, seat: ReviewTask):
    [veiled] = re.findall(r'<img[^>]* src="([^"]*)"', text(reviewer.get(url(seat))))
    for address in ("/review/", "/review/next", url(seat), url(seat, "picture/full/")):
        assert Client().get(address)["Location"].startswith("/accounts/login/")
    assert Client().get(veiled).status_code == 404


def test_nobody_answers_skips_or_leaves_for_another(reviewer: Client, seat: ReviewTask, world: World):
    for who, user in outsiders(world).items():
        client = signed_in(user)
        assert client.post(url(seat), answer(seat)).status_code in (404, 409), who
        client.post(url(seat, "skip"), {"token": seat.token, "reason": "other"})
        client.post(url(seat, "leave"), {"token": seat.token})
    seat.refresh_from_db()
    assert (seat.state, seat.reviewer) == (ReviewTask.State.CLAIMED, world.reviewer)
    assert not Decision.objects.exists() and not Refusal.objects.exists()


def test_an_outsiders_answer_is_not_found_and_nothing_of_it_is_kept(seat: ReviewTask, world: World):
    for user in (world.reviewer3, world.admin, world.outsider):
        for more in ({}, {"outcome": None}, {"show": "full"}):
            assert signed_in(user).post(url(seat), answer(seat, **more)).status_code == 404
    assert not UnsentAnswer.objects.exists()


def test_who_leaves_the_team_sees_no_more_of_it(reviewer: Client, seat: ReviewTask, world: World):
    full = reviewer.get(url(seat, "picture/full/"))["Location"]
    seat.loop.flow.work_team.members.remove(world.reviewer)
    for address in (url(seat), url(seat, "picture/full/"), full):
        assert reviewer.get(address).status_code == 404


@pytest.mark.parametrize("pk", [0, 2**63 - 1, 2**63, 10**40])
def test_items_that_cannot_be_are_not_found(reviewer: Client, pk: int):
    assert reviewer.get(f"/review/{pk}/").status_code == 404
    assert reviewer.get(f"/review/{pk}/picture/full/").status_code == 404
    assert reviewer.post(f"/review/{pk}/", {"token": 1}).status_code == 404
    assert reviewer.post(f"/review/{pk}/renew", {"token": 1}).status_code == 409
    assert reviewer.post(f"/review/{pk}/skip", {"token": 1, "reason": "other"}).status_code == 302
    assert reviewer.post(f"/review/{pk}/leave", {"token": 1}).status_code == 302


def test_forms_need_their_csrf_token(world: World, seat: ReviewTask):
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.reviewer, backend="allauth.account.auth_backends.AuthenticationBackend")
    for address in (url(seat), url(seat, "skip"), url(seat, "leave"), url(seat, "renew"), "/review/undo"):
        assert client.post(address, answer(seat, reason="other")).status_code == 403


def test_pages_are_never_stored_and_hold_no_inline_code(reviewer: Client, seat: ReviewTask):
    for address in ("/review/", url(seat), "/review/next"):
        response = reviewer.get(address)
        assert "no-store" in response["Cache-Control"], address
        page = response.content.decode()
        assert not re.search(r"\sstyle=|\son\w+=|<style|<script(?![^>]* src=)", page), address
    policy = reviewer.get(url(seat))["Content-Security-Policy"]
    assert "script-src 'self'" in policy and "unsafe" not in policy
