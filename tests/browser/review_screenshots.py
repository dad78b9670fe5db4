"""Pictures of the reviewer's pages: `pytest tests/browser/review_screenshots.py` (not part of the suite).

Writes the desk and the overview into docs/screenshots; with SCREENSHOTS=FOLDER every page into that folder.
"""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone
from playwright.sync_api import Page, expect

from moderation.models import Account, Policy, Submission, User
from moderation.policies import Outcome, Rule
from reviews import decisions, desk, loops, queue
from reviews.loops import LoopInput
from reviews.models import FlowDefinition, HumanLoop, ReviewQueue, ReviewTask
from reviews.sample_pictures import scenes
from tests.browser.screenshots import EVERYTHING, Shoot, look, shoot
from tests.browser.visitor import Visitor
from tests.reviews import loop_world as made
from tests.world import World, build, rules

__all__ = ["look", "shoot"]

pytestmark = pytest.mark.browser

UNSURE = {
    "ConditionType": "ModerationLabelConfidenceCheck",
    "ConditionParameters": {"ModerationLabelName": "*", "ConfidenceLessThan": 90},
}
ALL = {"ConditionType": "Sampling", "ConditionParameters": {"RandomSamplingPercentage": 100}}
# What is drawn, and what the machine makes of it.
ITEMS = (
    ("museum", {"Weapons": 84.0}),
    ("wine-evening", {"Alcoholic Beverages": 88.0}),
    ("syrups", {"Alcoholic Beverages": 61.0, "Pills": 52.0}),
    ("rocket", {"Explosions and Blasts": 57.0}),
)


@pytest.fixture
def world(transactional_db: None) -> World:
    """A team with two queues, and some items before it."""
    world = build()
    Account.objects.filter(pk=world.acme.pk).update(name="Acme Marketplace")
    User.objects.filter(pk=world.admin.pk).update(is_staff=True)
    policy = rules(world.acme, Rule(label="Weapons", min_confidence=80, outcome=Outcome.REVIEW), default=True)
    everyone = (world.reviewer, world.reviewer2, world.lead)
    made.flow(world.acme, everyone, name="listings", line="Listings", conditions=[UNSURE], policies=[policy])
    made.flow(world.acme, everyone, name="avatars", line="Avatars", conditions=[UNSURE])
    for name, scores in ITEMS:
        outcome = Outcome.REVIEW if "Weapons" in scores else Outcome.APPROVE
        made.considered(world.acme, scores, outcome, policy=policy, data=scenes.draw(name))
    ReviewQueue.objects.filter(name="Listings").update(description="Pictures of things for sale", priority=5)
    ReviewTask.objects.update(created_at=timezone.now() - timedelta(minutes=42))
    Submission.objects.update(width=640, height=480)
    return world


def test_screenshots(visit: Callable[..., Visitor], world: World, look: tuple[int, str], shoot: Shoot) -> None:
    options = {"width": look[0], "color_scheme": look[1]}
    reviewer = visit(world.reviewer, **options)
    shoot("review-overview", reviewer.open("/review/"))
    page = reviewer.open("/review/next")
    shoot("review-veiled", page)
    shoot("review-item", _deciding(page))
    if EVERYTHING:
        _answering(reviewer, world, shoot)
        _rare(visit, world, options, shoot)
        _operators(visit(world.admin, **options), shoot)


def _deciding(page: Page) -> Page:
    """The picture shown, and an answer chosen."""
    page.keyboard.press("2")
    page.keyboard.press("r")
    page.keyboard.down("b")
    expect(page.locator("[data-revealed=full]")).to_be_visible()
    return page


def _answering(reviewer: Visitor, world: World, shoot: Shoot) -> None:
    page = reviewer.page
    page.keyboard.up("b")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="Saved.")).to_be_visible()
    shoot("review-saved", page)
    page.keyboard.press("s")
    shoot("review-skip", page)
    page.keyboard.press("Escape")
    page.get_by_label("Search labels").fill("smok")
    shoot("review-search", page)
    page.get_by_label("Search labels").fill("")
    page.locator(".branch summary").nth(6).click()
    shoot("review-tree", page)
    reviewer.expected = 400
    page.get_by_role("button", name="Submit and next").last.click()
    expect(page.get_by_role("alert")).to_be_visible()
    shoot("review-error", page)
    seat = desk.held(world.reviewer).get()
    page.get_by_label("Comment").fill("A label on the bottle, I think:\nreads '0.0 %'")
    page.get_by_label("Approve").check(force=True)
    queue.release([(seat.pk, seat.token)], world.reviewer)
    reviewer.expected = 409
    page.get_by_role("button", name="Submit and next").last.click()
    expect(page.get_by_role("heading", name="no longer yours")).to_be_visible()
    shoot("review-lost", page)
    for each in queue.claim(world.reviewer, 9):
        decisions.submit(each.pk, each.token, world.reviewer, made.approve())
    shoot("review-done", reviewer.open("/review/next"))
    shoot("review-answered", reviewer.open(f"/review/{seat.pk}/"))


def _rare(visit: Callable[..., Visitor], world: World, options: dict[str, object], shoot: Shoot) -> None:
    shoot("review-no-team", visit(world.reviewer3, **options).open("/review/"))
    policy = Policy.objects.create(account=world.acme, name="audited")
    policy.revise(())
    flow = made.flow(world.acme, (world.lead,), name="audit", line="Audit", conditions=[ALL], policies=[policy])
    flow.work_team.members.set([world.reviewer2, world.lead])
    made.considered(world.acme, {"Weapons": 97.0}, policy=policy, data=scenes.draw("hatchet"))
    loop = HumanLoop.objects.latest("pk")
    blind = visit(world.reviewer2, **options)
    shoot("review-blind", blind.open(f"/review/next?queue={flow.queue_id}"))
    seat = desk.held(world.reviewer2).get()
    decisions.submit(seat.pk, seat.token, world.reviewer2, made.reject("Weapons", comment="An axe, held up"))
    with transaction.atomic():
        loops.seat_lead(loop)
    shoot("review-lead", visit(world.lead, **options).open(f"/review/next?queue={flow.queue_id}"))
    ads = made.flow(world.acme, (world.reviewer3,), name="ads", request_source="", task_title="Is it true?", line="Ads")
    content = {"slogan": "Cures everything", "market": ["de", "at"], "seen": 1203}
    loops.start(ads, LoopInput(name="slogan", digest="d", content=content))
    shoot("review-custom", visit(world.reviewer3, **options).open("/review/next"))


def _operators(admin: Visitor, shoot: Shoot) -> None:
    flow = FlowDefinition.objects.get(name="listings")
    page = admin.open(f"/admin/reviews/flowdefinition/{flow.pk}/change/")
    page.locator("[name=_preview]").click()
    expect(page.locator(".tried-sum")).to_be_visible()
    shoot("review-admin-preview", page)
    loop = HumanLoop.objects.earliest("pk")
    shoot("review-admin-loop", admin.open(f"/admin/reviews/humanloop/{loop.pk}/change/"))
    shoot("review-admin-truth", admin.open("/admin/reviews/groundtruth/"))
