"""Pictures of the pages, for people to look at: `pytest tests/browser/screenshots.py` (not part of the suite).

Writes a few into docs/screenshots; with SCREENSHOTS=FOLDER every page into that folder, light and dark, at both widths.
"""

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest
from django.utils import timezone
from PIL import Image
from playwright.sync_api import Page, expect

from moderation import pipeline
from moderation.env import ROOT
from moderation.models import Account, Analysis, Submission, User
from tests import media
from tests.browser.visitor import NARROW, WIDE, Visitor
from tests.world import World, build, send

pytestmark = pytest.mark.browser
Shoot = Callable[[str, Page], None]

EVERYTHING = os.environ.get("SCREENSHOTS", "")
FOLDER = Path(EVERYTHING or ROOT / "docs" / "screenshots")
LOOKS = [(WIDE[0], "light"), (NARROW[0], "dark"), *([(WIDE[0], "dark"), (NARROW[0], "light")] if EVERYTHING else [])]

# File name, label and confidence, how it came, minutes ago.
SENT = (
    ("IMG_2041.jpg", None, 0, Submission.Source.UPLOAD, 2),
    ("camping-knife-listing.jpg", "Weapons", 91, Submission.Source.REST, 9),
    ("beach-holiday.png", "Swimwear or Underwear", 88, Submission.Source.REST, 24),
    ("profile-photo-8841.jpg", None, 0, Submission.Source.REST, 31),
    ("wine-cellar-tour.jpg", "Alcoholic Beverages", 97, Submission.Source.AWS, 48),
    ("news-footage-still.jpg", "Blood & Gore", 96, Submission.Source.REST, 95),
    ("museum-exhibit.jpg", "Nazi Party", 63, Submission.Source.UPLOAD, 170),
    ("street-portrait.jpg", "Smoking", 82, Submission.Source.REST, 260),
    ("boxing-final.jpg", "Physical Violence", 71, Submission.Source.REST, 410),
    ("poker-night.jpg", "Gambling", 90, Submission.Source.REST, 980),
)


@pytest.fixture
def world(transactional_db: None) -> World:
    """A marketplace on an ordinary day."""
    world = build()
    Account.objects.filter(pk=world.acme.pk).update(name="Acme Marketplace")
    User.objects.filter(pk=world.admin.pk).update(is_staff=True)
    world.lead.set_password("one for the page that changes it")
    world.lead.save()
    for seed, (name, label, confidence, source, minutes) in enumerate(SENT):
        by = world.uploader if source == Submission.Source.UPLOAD else None
        data = media.picture(label, confidence, size=(960, 640), seed=seed)
        accepted = send(world.acme, data, user=by, source=source, filename=name, external_id=f"listing-{4400 + seed}")
        if minutes > 2:
            pipeline.moderate(accepted.analysis.pk)
        when = timezone.now() - timedelta(minutes=minutes)
        Submission.objects.filter(pk=accepted.submission.pk).update(created_at=when)
    broken = Analysis.objects.start(send(world.acme, media.picture(seed=50), filename="vanished.jpg").analysis.pk)
    assert broken
    pipeline.fail(broken, "worker_lost", "The analysis ended its worker 3 times and was given up.")
    Submission.objects.filter(filename="vanished.jpg").update(created_at=timezone.now() - timedelta(minutes=62))
    return world


@pytest.fixture(params=LOOKS, ids=lambda look: f"{look[0]}-{look[1]}")
def look(request: pytest.FixtureRequest) -> tuple[int, str]:
    width, scheme = request.param
    return int(width), str(scheme)


@pytest.fixture
def shoot(look: tuple[int, str]) -> Iterator[Shoot]:
    """Writes one picture, with 256 colours so that the files stay small."""
    FOLDER.mkdir(parents=True, exist_ok=True)

    def write(name: str, page: Page) -> None:
        path = FOLDER / f"{name}-{look[0]}-{look[1]}.png"
        shot = Image.open(BytesIO(page.screenshot())).convert("RGB")
        shot.quantize(256, kmeans=2, dither=Image.Dither.NONE).save(path, optimize=True)

    yield write


def address(filename: str) -> str:
    return f"/submissions/{Submission.objects.get(filename=filename).pk}/"


def test_screenshots(
    visit: Callable[..., Visitor], world: World, look: tuple[int, str], shoot: Shoot, tmp_path: Path
) -> None:
    options = {"width": look[0], "color_scheme": look[1]}
    stranger, lead, admin = visit(**options), visit(world.lead, **options), visit(world.admin, **options)
    reviewer, auditor = visit(world.reviewer, **options), visit(world.outsider, **options)
    shoot("landing", stranger.open("/"))
    shoot("sign-in", stranger.open("/accounts/login/"))
    shoot("home", lead.open("/"))
    shoot("submissions", lead.open("/submissions/"))
    shoot("submission", lead.open(address("news-footage-still.jpg")))
    shoot("upload", _uploaded(lead, tmp_path))
    shoot("admin", admin.open("/admin/moderation/policy/add/"))
    if not EVERYTHING:
        return
    shoot("revealed", _revealed(lead))
    shoot("failed", lead.open(address("vanished.jpg")))
    shoot("waiting", lead.open(address("IMG_2041.jpg")))
    shoot("nothing-found", lead.open("/submissions/?q=zebra"))
    shoot("wrong-filter", lead.open("/submissions/?status=wrong", 400))
    shoot("menu", _menu(lead))
    shoot("password", lead.open("/accounts/password/change/"))
    shoot("sign-out", lead.open("/accounts/logout/"))
    shoot("forgotten", stranger.open("/accounts/password/reset/"))
    shoot("not-found", stranger.open("/no/such/page", 404))
    shoot("not-allowed", reviewer.open("/upload/", 403))
    shoot("empty", auditor.open("/"))
    shoot("admin-index", admin.open("/admin/"))
    shoot("admin-list", admin.open("/admin/moderation/submission/"))


def _uploaded(visitor: Visitor, folder: Path) -> Page:
    """One file judged, one waiting, one refused."""
    page = visitor.open("/upload/")
    visitor.expected = 400
    files = {
        "harbour-at-dusk.jpg": media.picture(seed=70),
        "knife-set.jpg": media.picture("Weapons", 93, seed=71),
        "invoice.pdf": b"%PDF-1.7",
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    page.get_by_label("Choose pictures").set_input_files([folder / name for name in files])
    expect(page.get_by_role("status")).to_have_text("Sent 2 of 3; 1 refused.")
    pipeline.moderate(Submission.objects.get(filename="knife-set.jpg").analyses.get().pk)
    expect(page.locator("li.upload", has_text="knife-set.jpg")).to_contain_text("In review")
    expect(page.locator("li.upload", has_text="harbour")).to_contain_text("Queued")
    Submission.objects.filter(filename__in=files).update(created_at=timezone.now() - timedelta(days=9))
    return page


def _revealed(visitor: Visitor) -> Page:
    page = visitor.open(address("news-footage-still.jpg"))
    page.get_by_role("button", name="Show picture").click()
    expect(page.locator("[data-revealed]")).to_be_visible()
    page.get_by_text("Technical details").click()
    return page


def _menu(visitor: Visitor) -> Page:
    page = visitor.open("/")
    page.locator("details.menu > summary").click()
    return page
