"""The reviewer's desk in a real browser: keys alone, the veil, a lost item, no scripts, and nothing that axe minds."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core import signing
from django.db import transaction
from playwright.sync_api import Page, expect

from moderation.models import Policy, User
from moderation.policies import Outcome
from reviews import decisions, desk, loops, queue
from reviews.loops import LoopInput
from reviews.models import Decision, FlowDefinition, HumanLoop, Refusal, ReviewTask
from tests.browser.visitor import Visitor
from tests.media import picture
from tests.reviews import loop_world as made
from tests.world import World, build

pytestmark = pytest.mark.browser
Visit = Callable[..., Visitor]

BELOW_90 = {
    "ConditionType": "ModerationLabelConfidenceCheck",
    "ConditionParameters": {"ModerationLabelName": "*", "ConfidenceLessThan": 90},
}
ALL = {"ConditionType": "Sampling", "ConditionParameters": {"RandomSamplingPercentage": 100}}
SCORES = ({"Weapons": 72.0}, {"Blood & Gore": 66.0}, {"Smoking": 81.0}, {"Middle Finger": 60.0}, {"Gambling": 77.0})


@pytest.fixture
def world(transactional_db: None) -> World:
    """The world, committed: the server has a connection of its own."""
    return build()


@pytest.fixture
def flow(world: World) -> FlowDefinition:
    return made.flow(world.acme, (world.reviewer, world.reviewer2, world.lead), line="Uploads", conditions=[BELOW_90])


@pytest.fixture
def line(flow: FlowDefinition) -> list[HumanLoop]:
    """Five items, in the order in which they will come."""
    return [made.loop(flow, scores, data=picture(seed=seed)) for seed, scores in enumerate(SCORES)]


@pytest.fixture
def reviewer(visit: Visit, world: World) -> Visitor:
    return visit(world.reviewer)


def copies(visitor: Visitor) -> list[str]:
    """The kinds of copies of pictures that were asked for so far, the first first."""
    tokens = [
        request.url.rstrip("/").rsplit("/", 1)[1] for request in visitor.requests if "/review/media/" in request.url
    ]
    return [signing.loads(token, salt="reviews.media")[-1] for token in tokens]


def seat_of(user: User) -> ReviewTask:
    return desk.held(user).get()


def on_next(page: Page, act: Callable[[], Any]) -> None:
    """Do what leads to another page, and wait for it."""
    with page.expect_navigation(wait_until="load"):
        act()
    page.wait_for_load_state("networkidle")


# --- keys ---


def test_items_are_decided_by_keys_alone(reviewer: Visitor, world: World, line: list[HumanLoop]) -> None:
    page = reviewer.open("/review/")
    keys = page.keyboard
    for _ in range(20):
        keys.press("Tab")
        if page.evaluate("document.activeElement.getAttribute('href')") == "/review/next":
            break
    on_next(page, lambda: keys.press("Enter"))

    keys.press("2")  # Weapons
    keys.press("r")
    on_next(page, lambda: keys.press("Enter"))
    expect(page.get_by_role("status").filter(has_text="Saved.")).to_be_visible()

    keys.press("a")
    expect(page.get_by_label("None applies")).to_be_checked()
    on_next(page, lambda: keys.press("Enter"))

    keys.press("/")
    keys.type("pills")
    keys.press("Enter")
    expect(page.get_by_label("Pills", exact=True)).to_be_checked()
    keys.press("Escape")
    keys.press("c")
    keys.type("a box of pills, ra1")
    keys.press("Escape")
    keys.press("r")
    on_next(page, lambda: keys.press("Enter"))

    keys.press("s")
    expect(page.get_by_role("button", name="I can't judge this")).to_be_focused()
    on_next(page, lambda: keys.press("Enter"))

    keys.press("1")
    keys.press("1")
    keys.press("0")
    keys.press("a")
    on_next(page, lambda: keys.press("Enter"))
    expect(page.get_by_role("heading", name="All done")).to_be_visible()

    said = {each.loop_id: (each.outcome, each.labels, each.comment) for each in Decision.objects.all()}
    assert said == {
        line[0].pk: ("reject", ["Weapons"], ""),
        line[1].pk: ("approve", [], ""),
        line[2].pk: ("reject", ["Pills"], "a box of pills, ra1"),
        line[4].pk: ("approve", [], ""),
    }
    assert Refusal.objects.get().loop == line[3]
    assert all(0 < each.seconds_spent < 60 for each in Decision.objects.all())


def test_an_answer_is_taken_back_by_a_key(reviewer: Visitor, line: list[HumanLoop]) -> None:
    page = reviewer.open("/review/next")
    page.keyboard.press("2")
    page.keyboard.press("r")
    on_next(page, lambda: page.keyboard.press("Enter"))
    on_next(page, lambda: page.keyboard.press("u"))
    expect(page.get_by_label("Weapons")).to_be_checked()
    expect(page.get_by_label("Reject")).to_be_checked()
    page.keyboard.press("a")
    on_next(page, lambda: page.keyboard.press("Enter"))
    standing = Decision.objects.get(loop=line[0], withdrawn=False, superseded_by=None)
    assert (standing.outcome, standing.labels) == ("approve", ["Weapons"])


def test_keys_are_places_not_letters_and_rest_while_somebody_types(reviewer: Visitor, line: list[HumanLoop]) -> None:
    page = reviewer.open("/review/next")
    page.evaluate("document.body.dispatchEvent(new KeyboardEvent('keydown', {code: 'KeyA', key: 'q', bubbles: true}))")
    expect(page.get_by_label("Approve")).to_be_checked()
    page.get_by_label("Comment").focus()
    page.keyboard.type("r1sbgu0")
    expect(page.get_by_label("Approve")).to_be_checked()
    expect(page.get_by_label("Comment")).to_have_value("r1sbgu0")
    page.get_by_label("Comment").blur()
    page.keyboard.press("Alt+r")
    expect(page.get_by_label("Approve")).to_be_checked()


def test_every_key_is_printed_beside_what_it_does(reviewer: Visitor, line: list[HumanLoop]) -> None:
    page = reviewer.open("/review/next")
    keys = page.locator("[data-key]").evaluate_all("all => all.map((each) => each.dataset.key)")
    printed = page.locator("kbd:visible").all_inner_texts()
    names = {"Slash": "/"}
    wanted = {names.get(key, key.removeprefix("Key").removeprefix("Digit")) for key in keys}
    assert wanted and wanted <= set(printed)
    assert {"B", "G", "C", "S", "A", "R", "Enter", "0", "1"} <= set(printed)


def test_a_second_enter_changes_nothing(reviewer: Visitor, line: list[HumanLoop]) -> None:
    page = reviewer.open("/review/next")
    page.keyboard.press("a")
    with page.expect_navigation(wait_until="load"):
        page.evaluate(
            "for (let i = 0; i < 3; i++) document.body.dispatchEvent("
            "new KeyboardEvent('keydown', {code: 'Enter', key: 'Enter', bubbles: true}))"
        )
    page.wait_for_load_state("networkidle")
    assert Decision.objects.count() == 1
    assert page.url.endswith(f"/{ReviewTask.objects.get(loop=line[1]).pk}/")


# --- the veil ---


def test_nothing_but_the_veiled_copy_is_asked_for_before_it_is_shown(reviewer: Visitor, line: list[HumanLoop]) -> None:
    page = reviewer.open("/review/next")
    page.mouse.move(300, 300)
    page.mouse.wheel(0, 200)
    for key in ("1", "a", "Tab", "c", "Escape"):
        page.keyboard.press(key)
    assert copies(reviewer) == ["veiled"]

    page.keyboard.down("b")
    expect(page.locator("[data-revealed=full]")).to_be_visible()
    assert copies(reviewer) == ["veiled", "full"]
    page.keyboard.up("b")
    expect(page.locator("[data-revealed]")).to_have_count(0)

    page.keyboard.press("g")
    expect(page.locator("[data-revealed=grey]")).to_be_visible()
    page.keyboard.press("g")
    expect(page.locator("[data-revealed]")).to_have_count(0)
    assert copies(reviewer) == ["veiled", "full", "grey"]


def test_the_revealed_copy_covers_the_veiled_one(reviewer: Visitor, line: list[HumanLoop]) -> None:
    page = reviewer.open("/review/next")
    before = page.locator(".stage-frame").bounding_box()
    page.get_by_role("button", name="Show picture").click()
    shown = page.locator("[data-revealed=full]")
    expect(shown).to_be_visible()
    assert page.locator(".stage-frame").bounding_box() == before == shown.bounding_box()


def test_the_picture_is_veiled_again_when_nobody_is_there(reviewer: Visitor, line: list[HumanLoop]) -> None:
    page = reviewer.page
    page.clock.install()
    reviewer.open("/review/next")
    page.get_by_role("button", name="Show picture").click()
    shown = page.locator("[data-revealed]")
    expect(shown).to_be_visible()
    page.clock.fast_forward(9_000)
    expect(shown).to_be_visible()
    page.clock.fast_forward(2_000)
    expect(shown).to_have_count(0)

    page.get_by_role("button", name="Show picture").click()
    expect(shown).to_be_visible()
    page.evaluate("window.dispatchEvent(new Event('blur'))")
    expect(shown).to_have_count(0)


# --- losing it ---


def test_an_item_that_went_to_somebody_else_is_told_and_nothing_typed_is_lost(
    reviewer: Visitor, world: World, line: list[HumanLoop]
) -> None:
    page = reviewer.page
    page.clock.install()
    reviewer.open("/review/next")
    page.get_by_label("Comment").fill("what I saw")
    page.get_by_label("Reject").check(force=True)
    seat = seat_of(world.reviewer)
    queue.release([(seat.pk, seat.token)], world.reviewer)
    queue.claim(world.reviewer2)

    reviewer.expected = 409
    page.clock.fast_forward(46_000)
    expect(page.get_by_role("alert").filter(has_text="no longer yours")).to_be_visible()
    expect(page.get_by_label("Comment")).to_have_value("what I saw")
    assert not Decision.objects.exists()

    on_next(page, lambda: page.get_by_role("button", name="Submit and next").click())
    expect(page.get_by_role("heading", name="This item is no longer yours")).to_be_visible()
    expect(page.get_by_text("what I saw")).to_be_visible()


def test_the_lease_is_renewed_while_somebody_is_at_work_and_not_after(
    reviewer: Visitor, world: World, line: list[HumanLoop]
) -> None:
    page = reviewer.page
    page.clock.install()
    reviewer.open("/review/next")
    renewals = [0]
    page.on("response", lambda response: renewals.__setitem__(0, renewals[0] + response.url.endswith("/renew")))
    page.mouse.move(200, 200)
    with page.expect_response("**/renew"):
        page.clock.fast_forward(46_000)
    assert renewals[0] == 1
    for _ in range(9):
        page.clock.fast_forward(46_000)
        page.wait_for_timeout(150)
    assert 2 <= renewals[0] <= 5, "three minutes after the last move it stops"
    expect(page.get_by_text("Yours for")).to_be_visible()


def test_a_lost_connection_is_told_and_found_again(reviewer: Visitor, line: list[HumanLoop]) -> None:
    page = reviewer.page
    page.clock.install()
    reviewer.open("/review/next")
    reviewer.expected = 500  # Chromium reports what does not arrive, too
    reviewer.context.set_offline(True)
    page.clock.fast_forward(46_000)
    expect(page.get_by_text("Not connected")).to_be_visible()
    page.clock.fast_forward(1_500)
    assert page.get_by_text("Not connected").is_visible(), "the clock does not tick over it"
    reviewer.context.set_offline(False)
    page.clock.fast_forward(6_000)
    expect(page.get_by_text("Yours for")).to_be_visible()


# --- the whole on one screen ---


@pytest.mark.parametrize("size", [(1280, 720), (1440, 900), (1920, 1080)])
def test_the_desk_fits_one_screen(visit: Visit, world: World, line: list[HumanLoop], size: tuple[int, int]) -> None:
    visitor = visit(world.reviewer)
    visitor.page.set_viewport_size({"width": size[0], "height": size[1]})
    page = visitor.open("/review/next")
    overflowing = "document.documentElement.scrollHeight > innerHeight"
    assert not page.evaluate(overflowing)
    for part in (".desk-stage", ".desk-scroll"):
        assert page.locator(part).evaluate("each => each.scrollHeight <= each.clientHeight"), part
    for control in (".stage-controls", ".skip-menu", "[data-submit]"):
        expect(page.locator(control)).to_be_in_viewport(ratio=1)


def test_nothing_moves_when_a_label_is_explained(reviewer: Visitor, line: list[HumanLoop]) -> None:
    page = reviewer.open("/review/next")
    before = page.locator(".stage").bounding_box()
    page.get_by_label("Weapons").focus()
    expect(page.locator("[data-about-line]")).to_contain_text("Things made to hurt or destroy")
    assert page.locator(".stage").bounding_box() == before


# --- without scripts ---


def test_everything_works_without_scripts(visit: Visit, world: World, line: list[HumanLoop]) -> None:
    visitor = visit(world.reviewer, java_script_enabled=False)
    page = visitor.open("/review/")
    on_next(page, lambda: page.get_by_role("link", name="Start", exact=True).first.click())
    page.get_by_label("Weapons").check()
    page.get_by_label("Comment").fill("kept")
    on_next(page, lambda: page.get_by_role("button", name="Show picture").click())
    assert copies(visitor) == ["veiled", "full"]
    expect(page.get_by_label("Weapons")).to_be_checked()
    expect(page.get_by_label("Comment")).to_have_value("kept")
    on_next(page, lambda: page.get_by_role("button", name="Veil it again").click())

    visitor.expected = 400
    on_next(page, lambda: page.get_by_role("button", name="Submit and next").first.click())
    expect(page.get_by_role("alert")).to_contain_text("Choose Approve or Reject.")
    visitor.expected = 200
    page.get_by_label("Reject").check(force=True)
    page.get_by_label("Comment").focus()
    on_next(page, lambda: page.get_by_role("button", name="Submit and next").last.click())
    first = Decision.objects.get()
    assert (first.outcome, first.labels, first.comment) == ("reject", ["Weapons"], "kept")

    page.locator("summary", has_text="Violence").first.click()
    expect(page.get_by_text("Weapons or acts and results of violence.", exact=True)).to_be_visible()
    page.locator("summary", has_text="Skip").click()
    on_next(page, lambda: page.get_by_role("button", name="I'd rather not see this one").click())
    assert Refusal.objects.get().reason == "affects_me"
    on_next(page, lambda: page.get_by_role("button", name="Undo last").click())
    expect(page.get_by_label("Weapons")).to_be_checked()
    on_next(page, lambda: page.get_by_role("button", name="Stop").click())
    expect(page.get_by_role("heading", name="Review")).to_be_visible()


def test_enter_in_a_field_submits_the_answer_without_scripts(visit: Visit, world: World, line: list[HumanLoop]) -> None:
    page = visit(world.reviewer, java_script_enabled=False).open("/review/next")
    page.get_by_label("Weapons").check()
    page.get_by_label("Reject").check(force=True)
    on_next(page, lambda: page.get_by_label("Reject").press("Enter"))
    assert Decision.objects.get().outcome == "reject"


# --- accessible ---


@pytest.fixture(
    params=[(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")], ids=lambda each: f"{each[0]}-{each[1]}"
)
def options(request: pytest.FixtureRequest) -> dict[str, Any]:
    width, scheme = request.param
    return {"width": width, "color_scheme": scheme}


def test_the_pages_are_accessible(visit: Visit, world: World, line: list[HumanLoop], options: dict[str, Any]) -> None:
    visitor = visit(world.reviewer, **options)
    visitor.open("/review/")
    visitor.check_accessibility()
    page = visitor.open("/review/next")
    visitor.check_accessibility()
    page.locator(".branch summary").nth(3).click()
    page.keyboard.press("1")
    page.keyboard.press("r")
    page.get_by_label("Weapons").focus()
    visitor.check_accessibility()
    page.locator("summary", has_text="Skip").click()
    visitor.check_accessibility()
    page.keyboard.press("Escape")
    page.get_by_label("Search labels").fill("no such label")
    visitor.check_accessibility()
    page.get_by_label("Search labels").fill("")
    visitor.expected = 400
    page.get_by_label("Weapons").uncheck()
    page.get_by_label("Violence", exact=True).uncheck()
    on_next(page, lambda: page.get_by_role("button", name="Submit and next").last.click())
    expect(page.get_by_role("alert")).to_contain_text("Not saved yet")
    visitor.check_accessibility()
    page.keyboard.press("a")
    on_next(page, lambda: page.get_by_role("button", name="Submit and next").last.click())
    visitor.check_accessibility()


def test_the_plain_pages_are_accessible(
    visit: Visit, world: World, line: list[HumanLoop], options: dict[str, Any]
) -> None:
    visitor = visit(world.reviewer, **options)
    page = visitor.open("/review/next")
    seat = seat_of(world.reviewer)
    page.get_by_label("Reject").check(force=True)
    page.get_by_label("Comment").fill("a <word>")
    queue.release([(seat.pk, seat.token)], world.reviewer)
    visitor.expected = 409
    on_next(page, lambda: page.get_by_role("button", name="Submit and next").last.click())
    visitor.check_accessibility()
    for each in queue.claim(world.reviewer, 9):
        decisions.submit(each.pk, each.token, world.reviewer, made.approve())
    visitor.open("/review/next")
    visitor.check_accessibility()
    visitor.open(f"/review/{seat.pk}/")
    visitor.check_accessibility()
    nobody = visit(world.reviewer3, **options)
    nobody.open("/review/")
    nobody.check_accessibility()


def test_blind_custom_and_leads_items_are_accessible(visit: Visit, world: World, options: dict[str, Any]) -> None:
    policy = Policy.objects.default_for(world.acme)
    made.flow(world.acme, (world.lead, world.reviewer), name="audit", conditions=[ALL], policies=[policy])
    made.considered(world.acme, {"Weapons": 97.0}, Outcome.APPROVE)
    loop = HumanLoop.objects.get()
    [seat] = queue.claim(world.reviewer)
    decisions.submit(seat.pk, seat.token, world.reviewer, made.reject("Weapons", comment="a rifle"))
    with transaction.atomic():
        loops.seat_lead(loop)
    visitor = visit(world.lead, **options)
    page = visitor.open("/review/next")
    expect(page.get_by_role("heading", name="What the reviewers said")).to_be_visible()
    visitor.check_accessibility()
    on_next(page, lambda: page.get_by_role("button", name="Stop").click())

    ads = made.flow(world.acme, (world.reviewer,), name="ads", request_source="", task_title="Is it true?", line="ads")
    loops.start(ads, LoopInput(name="q", digest="d", content={"slogan": "Cures everything"}))
    visitor = visit(world.reviewer, **options)
    page = visitor.open("/review/next")
    expect(page.get_by_role("heading", name="Is it true?")).to_be_visible()
    visitor.check_accessibility()
    page.get_by_role("textbox", name="Your answer").fill("No.")
    on_next(page, lambda: page.keyboard.press("Control+Enter"))
    assert Decision.objects.get(loop__name="q").answer == {"answer": "No."}
