"""The pages in a real browser: accessible and silent at both widths, light and dark, with and without scripts."""

from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import CDPSession, expect
from pytest_django import Settings

from moderation import pipeline
from moderation.models import Analysis, Submission, User
from moderation.policies import Outcome, Rule
from tests import media
from tests.browser.visitor import NARROW, Visitor
from tests.world import World, analysed, build, rules, send

pytestmark = pytest.mark.browser
Visit = Callable[..., Visitor]

STRANGERS = ("/", "/accounts/login/", "/accounts/signup/", "/accounts/password/reset/", "/no/such/page")
MEMBERS = (
    *("/", "/upload/", "/submissions/", "/submissions/?q=nothing-like-it", "/submissions/?status=wrong"),
    *("/accounts/password/change/", "/accounts/logout/", "{rejected}", "{waiting}", "{failed}"),
)
OPERATORS = ("/admin/", "/admin/moderation/submission/", "/admin/moderation/policy/add/")
STATUS = {"/no/such/page": 404, "/submissions/?status=wrong": 400}


@pytest.fixture
def world(transactional_db: None) -> World:
    """The world, committed: the server has a connection of its own."""
    world = build()
    rules(world.acme, Rule(label="Weapons", min_confidence=50, outcome=Outcome.REJECT), default=True)
    return world


@pytest.fixture
def addresses(world: World) -> dict[str, str]:
    """Submissions in every state, by name."""
    rejected = analysed(world.acme, "Weapons", 97, user=world.uploader, filename="rifle.jpg")
    waiting = send(world.acme, media.picture(seed=1), filename="waiting.jpg").submission
    failed = send(world.acme, media.picture(seed=2), filename=f"{'long-name-' * 24}.jpg")
    analysis = Analysis.objects.start(failed.analysis.pk)
    assert analysis
    pipeline.fail(analysis, "worker_lost", "The analysis ended its worker 3 times and was given up.")
    named = {"rejected": rejected, "waiting": waiting, "failed": failed.submission}
    return {name: f"/submissions/{submission.pk}/" for name, submission in named.items()}


def look_at(visitor: Visitor, paths: tuple[str, ...], addresses: dict[str, str]) -> None:
    for path in paths:
        visitor.open(path.format(**addresses), STATUS.get(path, 200))
        visitor.check_accessibility()


# --- every page ---


@pytest.fixture(params=["light", "dark"])
def color_scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[1280, 390])
def width(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def test_pages_of_strangers(visit: Visit, world: World, width: int, color_scheme: str) -> None:
    look_at(visit(width=width, color_scheme=color_scheme), STRANGERS, {})


def test_pages_of_members(visit: Visit, world: World, addresses: dict[str, str], width: int, color_scheme: str) -> None:
    look_at(visit(world.lead, width=width, color_scheme=color_scheme), MEMBERS, addresses)


def test_pages_of_operators(
    visit: Visit, world: World, addresses: dict[str, str], width: int, color_scheme: str
) -> None:
    """Django's admin keeps its own markup: here the console must be silent, the rest is Django's."""
    User.objects.filter(pk=world.admin.pk).update(is_staff=True)
    visitor = visit(world.admin, width=width, color_scheme=color_scheme)
    for path in OPERATORS:
        visitor.open(path)


def test_headings_of_choosers_and_long_numbers_can_be_read_in_the_admin(
    visit: Visit, world: World, color_scheme: str
) -> None:
    User.objects.filter(pk=world.admin.pk).update(is_staff=True)
    page = visit(world.admin, color_scheme=color_scheme).open("/admin/reviews/flowdefinition/add/")
    contrast = Axe().run(page, context=".selector-chosen-title", options={"runOnly": ["color-contrast"]})
    assert contrast.violations_count == 0, contrast.generate_report()
    seconds = page.locator("#id_task_availability_lifetime_seconds")
    assert seconds.input_value() == "864000"
    assert seconds.evaluate("field => field.scrollWidth <= field.clientWidth"), "a digit is cut off"


def test_pages_of_those_who_may_not(visit: Visit, world: World, width: int, color_scheme: str) -> None:
    visitor = visit(world.reviewer, width=width, color_scheme=color_scheme)
    visitor.open("/upload/", 403)
    visitor.check_accessibility()
    visitor.open("/")
    visitor.check_accessibility()


def test_empty_lists_are_accessible_too(visit: Visit, world: World) -> None:
    look_at(visit(world.auditor), ("/", "/submissions/"), {})


# --- keyboard, sign-in ---


def test_the_first_tab_stop_leads_past_the_bar(visit: Visit, world: World) -> None:
    page = visit(world.lead).open("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_the_menu_works_by_keyboard(visit: Visit, world: World) -> None:
    page = visit(world.lead).open("/")
    summary = page.locator("details.menu > summary")
    summary.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Sign out")).to_be_hidden()
    expect(summary).to_be_focused()


def test_signing_in_and_out(visit: Visit, world: World) -> None:
    world.lead.set_password("a long enough one")
    world.lead.save()
    page = visit().open("/upload/")
    page.get_by_label("Username").fill("lead")
    page.get_by_label("Password").fill("a wrong one")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("not correct")
    page.get_by_label("Password").fill("a long enough one")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Upload")).to_be_visible()
    page.locator("details.menu > summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="A second look at every picture")).to_be_visible()


# --- upload ---


def photo(folder: Path, name: str, data: bytes) -> str:
    path = folder / name
    path.write_bytes(data)
    return str(path)


def test_an_upload_shows_its_result_as_it_arrives(visit: Visit, world: World, tmp_path: Path) -> None:
    page = visit(world.uploader).open("/upload/")
    page.get_by_label("Choose pictures").set_input_files(photo(tmp_path, "rifle.jpg", media.picture("Weapons", 97)))
    row = page.locator("li.upload")
    expect(row.get_by_text("Queued")).to_be_visible()
    pipeline.moderate(Analysis.objects.get().pk)
    expect(row.get_by_text("Rejected")).to_be_visible()
    expect(row).to_contain_text("Weapons 97")
    expect(page.get_by_role("status")).to_have_text("Sent 1 of 1; 0 refused.")
    row.get_by_role("link", name="rifle.jpg").click()
    expect(page.get_by_role("heading", name="rifle.jpg")).to_be_visible()


def test_refused_files_are_told_why(visit: Visit, world: World, tmp_path: Path, settings: Settings) -> None:
    settings.UPLOAD_MAX_BYTES = 100_000
    visitor = visit(world.uploader)
    page = visitor.open("/upload/")
    visitor.expected = 400
    files = [
        photo(tmp_path, "good.jpg", media.picture()),
        photo(tmp_path, "archive.jpg", media.zip_archive()),
        photo(tmp_path, "huge.jpg", bytes(100_001)),
    ]
    page.get_by_label("Choose pictures").set_input_files(files)
    expect(page.get_by_role("status")).to_have_text("Sent 1 of 3; 2 refused.")
    archive, huge = (page.locator("li.upload", has_text=name) for name in ("archive.jpg", "huge.jpg"))
    expect(archive).to_contain_text("none of the accepted formats: JPEG, PNG")
    expect(huge).to_contain_text("at most 97.7 KB are accepted")
    posts = [request for request in visitor.requests if request.method == "POST"]
    assert len(posts) == 2, "a file that is too large is not sent at all"
    visitor.check_accessibility()


def test_pictures_can_be_dropped(visit: Visit, world: World) -> None:
    page = visit(world.uploader).open("/upload/")
    drop = """bytes => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(bytes)], "dropped.jpg", {type: "image/jpeg"}));
        document.querySelector(".drop").dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true}));
    }"""
    page.evaluate(drop, list(media.picture()))
    expect(page.locator("li.upload")).to_contain_text("Queued")
    assert Submission.objects.get().filename == "dropped.jpg"


def lose(wire: CDPSession, request: str) -> None:
    wire.send("Fetch.failRequest", {"requestId": request, "errorReason": "ConnectionClosed"})


def test_an_upload_whose_answer_was_lost_is_sent_again_without_a_double(
    visit: Visit, world: World, tmp_path: Path
) -> None:
    visitor = visit(world.uploader)
    page = visitor.open("/upload/")
    visitor.expected = 500  # the lost connection is reported in the console
    wire = visitor.context.new_cdp_session(page)
    wire.on("Fetch.requestPaused", lambda event: lose(wire, event["requestId"]))
    wire.send("Fetch.enable", {"patterns": [{"urlPattern": "*/upload/", "requestStage": "Response"}]})
    page.get_by_label("Choose pictures").set_input_files(photo(tmp_path, "photo.jpg", media.picture()))
    expect(page.locator("li.upload")).to_contain_text("the connection failed")
    assert Submission.objects.count() == 1
    wire.send("Fetch.disable")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("status")).to_have_text("Sent 1 of 1; 0 refused.")
    assert Submission.objects.count() == 1


def test_uploading_without_scripts(visit: Visit, world: World, tmp_path: Path) -> None:
    page = visit(world.uploader, java_script_enabled=False).open("/upload/")
    page.get_by_label("Choose pictures").set_input_files(photo(tmp_path, "photo.jpg", media.picture()))
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("heading", name="photo.jpg")).to_be_visible()


# --- the veil ---


def test_nothing_unveiled_is_asked_for_before_it_is_revealed(
    visit: Visit, world: World, addresses: dict[str, str]
) -> None:
    visitor = visit(world.lead)
    for path in ("/", "/submissions/", addresses["rejected"]):
        visitor.open(path)
    page = visitor.page
    page.mouse.wheel(0, 2000)
    page.locator(".stage-frame").hover()
    page.wait_for_timeout(500)
    assert visitor.copies_asked_for() == {"thumb-veiled", "veiled"}

    page.get_by_role("button", name="Show picture").click()
    expect(page.get_by_role("img", name="The picture", exact=True)).to_be_visible()
    expect(page.get_by_role("img", name="veiled")).to_have_count(0)
    assert visitor.copies_asked_for() == {"thumb-veiled", "veiled", "full"}
    visitor.check_accessibility()

    page.get_by_role("button", name="Show picture").click()
    expect(page.get_by_role("img", name="The picture", exact=True)).to_have_count(0)
    expect(page.get_by_role("img", name="veiled")).to_be_visible()

    page.get_by_role("button", name="Show in grey").click()
    expect(page.get_by_role("img", name="The picture in grey")).to_be_visible()
    assert visitor.copies_asked_for() == {"thumb-veiled", "veiled", "full", "grey"}


def test_a_held_picture_is_shown_for_as_long_as_it_is_held(
    visit: Visit, world: World, addresses: dict[str, str]
) -> None:
    visitor = visit(world.lead)
    page = visitor.open(addresses["rejected"])
    revealed = page.get_by_role("img", name="The picture", exact=True)
    page.locator(".stage-frame").click()  # a mere click is not held
    page.wait_for_timeout(300)
    assert visitor.copies_asked_for() == {"veiled"}
    page.locator(".stage-frame").hover()
    page.mouse.down()
    expect(revealed).to_be_visible()
    page.mouse.up()
    expect(revealed).to_have_count(0)


def test_the_picture_is_veiled_when_the_page_is_left(visit: Visit, world: World, addresses: dict[str, str]) -> None:
    page = visit(world.lead).open(addresses["rejected"])
    page.get_by_role("button", name="Show picture").click()
    expect(page.locator("[data-revealed]")).to_be_visible()
    page.evaluate(
        """() => {
            Object.defineProperty(document, "hidden", {value: true});
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    expect(page.locator("[data-revealed]")).to_have_count(0)
    expect(page.get_by_role("button", name="Show picture")).to_have_attribute("aria-pressed", "false")


def test_the_veil_without_scripts(visit: Visit, world: World, addresses: dict[str, str]) -> None:
    visitor = visit(world.lead, width=NARROW[0], java_script_enabled=False)
    page = visitor.open(addresses["rejected"])
    assert visitor.copies_asked_for() == {"veiled"}
    page.get_by_role("link", name="Show in grey").click()
    expect(page.get_by_role("img", name="The picture in grey")).to_be_visible()
    page.get_by_role("link", name="Veil it again").click()
    expect(page.get_by_role("img", name="veiled")).to_be_visible()


def test_a_waiting_page_shows_the_result_by_itself(visit: Visit, world: World, addresses: dict[str, str]) -> None:
    page = visit(world.lead).open(addresses["waiting"])
    expect(page.get_by_text("The picture is being analysed.")).to_be_visible()
    pipeline.moderate(Submission.objects.get(filename="waiting.jpg").analyses.get().pk)
    expect(page.get_by_text("No rule of the policy fired.")).to_be_visible()
