"""The pages: who may open which, forms without scripts, and what outsiders get."""

import uuid
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from moderation import pipeline
from moderation.decoding.types import MediaError
from moderation.forms import PAGE_SIZE
from moderation.models import Analysis, Submission, User
from moderation.policies import Outcome, Rule
from tests import media
from tests.world import World, analysed, rules, send

UNKNOWN = "00000000-0000-4000-8000-000000000000"
PAGES = ("submission", "submission-status")


@pytest.fixture(autouse=True)
def closed_door(settings: Settings) -> None:
    """Nobody reviews here: the review app's own pages are tested with it."""
    settings.REVIEW_DOOR = "tests.moderation.closed_door"


def browser(user: User | None = None) -> Client:
    """A browser without scripts, signed in as somebody."""
    client = Client()
    if user:
        client.force_login(user)
    return client


def chosen(name: str = "photo.jpg", data: bytes | None = None) -> SimpleUploadedFile:
    """A file as a form sends it."""
    return SimpleUploadedFile(name, media.picture() if data is None else data, "image/jpeg")


def fields(*files: SimpleUploadedFile, **more: object) -> dict[str, object]:
    """What the upload form sends."""
    return {"upload_id": str(uuid.uuid4()), "pictures": list(files), **more}


def pages_of(submission: Submission) -> list[str]:
    """Every address that is about one submission."""
    pages = [reverse(name, args=[submission.pk]) for name in PAGES]
    return [*pages, *(reverse("submission-picture", args=[submission.pk, kind]) for kind in ("full", "grey"))]


# --- who may open what ---


@pytest.mark.parametrize("path", ["/upload/", "/submissions/", f"/submissions/{UNKNOWN}/"])
def test_strangers_are_sent_to_the_sign_in_page(world: World, path: str) -> None:
    answer = browser().get(path)
    assert (answer.status_code, answer["Location"]) == (302, f"/accounts/login/?next={path}")


@pytest.mark.parametrize(
    ("path", "role", "status"),
    [
        *(("/upload/", role, 200) for role in ("uploader", "lead", "admin")),
        *(("/upload/", role, 403) for role in ("reviewer", "auditor", "legal")),
        *(("/submissions/", role, 200) for role in ("uploader", "lead", "admin", "auditor", "legal")),
        ("/submissions/", "reviewer", 403),
    ],
)
def test_roles_open_their_pages_alone(world: World, path: str, role: str, status: int) -> None:
    answer = browser(getattr(world, role)).get(path)
    assert answer.status_code == status
    assert ("This page is for people with one of these roles" in answer.text) == (status == 403)


def test_posting_needs_the_role_too(world: World) -> None:
    assert browser(world.reviewer).post("/upload/", fields(chosen())).status_code == 403
    assert not Submission.objects.exists()


@pytest.mark.parametrize("who", ["outsider", "uploader2", "reviewer"])
def test_a_submission_is_hidden_from_others(world: World, who: str) -> None:
    """Another account's admin, another uploader, a reviewer without a seat."""
    submission = analysed(world.acme, "Weapons", 97, user=world.uploader, filename="telling-name.jpg")
    client = browser(getattr(world, who))
    for page in pages_of(submission):
        answer = client.get(page)
        assert answer.status_code == (403 if who == "reviewer" else 404), page
        assert "telling-name" not in answer.text
        assert "Weapons" not in answer.text
    for page in ("/", "/submissions/"):
        assert "telling-name" not in client.get(page).text


@pytest.mark.parametrize("who", ["uploader", "lead", "admin", "auditor", "legal"])
def test_a_submission_is_shown_to_its_account(world: World, who: str) -> None:
    submission = analysed(world.acme, "Weapons", 97, user=world.uploader, filename="telling-name.jpg")
    client = browser(getattr(world, who))
    for page in ("/", "/submissions/", reverse("submission", args=[submission.pk])):
        text = client.get(page).text
        assert "telling-name" in text, page
        assert "Weapons" in text, page


def test_deactivated_people_are_out(world: World) -> None:
    client = browser(world.lead)
    User.objects.filter(pk=world.lead.pk).update(is_active=False)
    assert client.get("/submissions/").status_code == 302


def test_pages_are_not_kept_by_caches(world: World) -> None:
    client = browser(world.lead)
    submission = analysed(world.acme)
    for page in ("/", "/upload/", "/submissions/", *pages_of(submission)):
        assert "no-store" in client.get(page)["Cache-Control"], page


# --- the landing page ---


def test_landing_names_the_real_host_in_every_snippet(world: World) -> None:
    text = browser().get("/", headers={"host": "look.example.org:8443"}).text
    assert text.count("http://look.example.org:8443") == 3
    assert "Sign in" in text


def test_landing_takes_no_other_methods(world: World) -> None:
    answer = browser().put("/")
    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD, POST")


def test_aws_clients_reach_their_face_at_the_same_address(world: World) -> None:
    strict = Client(enforce_csrf_checks=True)
    answer = strict.post(
        "/",
        b"{}",
        content_type="application/x-amz-json-1.1",
        headers={"X-Amz-Target": "RekognitionService.DetectModerationLabels"},
    )
    assert answer["Content-Type"] == "application/x-amz-json-1.1"
    assert "x-amzn-RequestId" in answer.headers


def test_landing_offers_each_role_its_own_places(world: World) -> None:
    def places(user: User) -> set[str]:
        text = browser(user).get("/").text
        return {url for url in ("/upload/", "/submissions/", "/admin/") if f'class="tile" href="{url}"' in text}

    User.objects.filter(pk=world.admin.pk).update(is_staff=True)
    assert places(world.admin) == {"/upload/", "/submissions/", "/admin/"}
    assert places(world.uploader) == {"/upload/", "/submissions/"}
    assert places(world.auditor) == {"/submissions/"}
    assert places(world.reviewer) == set()


def test_landing_counts_the_last_day_by_status(world: World) -> None:
    rules(world.acme, Rule(label="Weapons", min_confidence=50, outcome=Outcome.REJECT), default=True)
    for seed in range(3):
        analysed(world.acme, "Weapons", 97, seed=seed)
    old = analysed(world.acme, "Weapons", 97, seed=9)
    Submission.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=2))
    answer = browser(world.lead).get("/")
    assert answer.context["counts"] == {"rejected": 3}


# --- upload ---


def test_a_form_without_scripts_hands_a_picture_in(world: World) -> None:
    answer = browser(world.uploader).post("/upload/", fields(chosen("../holiday.jpg")))
    submission = Submission.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, f"/submissions/{submission.pk}/")
    assert (submission.filename, submission.source, submission.uploader) == ("holiday.jpg", "upload", world.uploader)
    assert submission.latest_analysis() is not None


def test_each_file_is_taken_or_refused_for_itself(world: World, settings: Settings) -> None:
    settings.UPLOAD_MAX_BYTES = 200_000
    answer = browser(world.uploader).post(
        "/upload/",
        fields(
            chosen("good.jpg"),
            chosen("archive.jpg", media.zip_archive()),
            chosen("empty.jpg", b""),
            chosen("huge.jpg", b"\xff\xd8\xff" + bytes(200_000)),
            chosen("tiny.png", media.tiny()),
            chosen("cut.jpg", media.truncated()),
        ),
    )
    assert answer.status_code == 400
    assert [submission.filename for submission in Submission.objects.all()] == ["good.jpg"]
    for words in (
        "none of the accepted formats: JPEG, PNG",
        "The file is empty",
        "The file has 195.3 KB; at most 195.3 KB are accepted.",
        "1 x 1 pixels; no side may be below 50",
        "damaged or cut short",
    ):
        assert words in answer.text.replace("\xa0", " "), words


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"pictures": []}, "Choose at least one picture."),
        ({"pictures": "text instead of a file"}, "Choose at least one picture."),
        ({"policy": "no-such-policy"}, "Select a valid choice."),
        ({"upload_id": "7"}, "Enter a valid UUID."),
    ],
)
def test_a_wrong_form_is_shown_again_with_the_reason(world: World, wrong: dict[str, object], words: str) -> None:
    answer = browser(world.uploader).post("/upload/", {**fields(chosen()), **wrong})
    assert answer.status_code == 400
    assert words in answer.text
    assert not Submission.objects.exists()


def test_the_chosen_policy_judges(world: World) -> None:
    rules(world.acme, Rule(label="*", min_confidence=0, outcome=Outcome.REJECT), name="strict")
    rules(world.globex, Rule(label="*", min_confidence=0, outcome=Outcome.REJECT), name="foreign")
    client = browser(world.uploader)
    assert client.post("/upload/", fields(chosen(), policy="foreign")).status_code == 400
    client.post("/upload/", fields(chosen(), policy="strict"))
    assert Submission.objects.get().policy.name == "strict"


def test_a_form_sent_twice_is_one_submission(world: World) -> None:
    client = browser(world.uploader)
    data = media.picture()
    for _ in range(2):
        answer = client.post("/upload/", fields(chosen(data=data), upload_id="6f8c2d1e-8f43-4f4e-9f39-2a8d7a0b1c22"))
        assert answer.status_code == 302
    assert Submission.objects.count() == Analysis.objects.count() == 1


@pytest.mark.parametrize(
    ("who", "seed"), [("uploader", 5), ("uploader2", 5), ("uploader2", 0), ("outsider", 5), ("outsider", 0)]
)
def test_an_upload_id_used_before_is_refused(world: World, who: str, seed: int) -> None:
    """To the same person with another file, and to everybody else whatever they send."""
    again = {"upload_id": "6f8c2d1e-8f43-4f4e-9f39-2a8d7a0b1c22"}
    browser(world.uploader).post("/upload/", fields(chosen(), **again))
    answer = browser(getattr(world, who)).post("/upload/", fields(chosen(data=media.picture(seed=seed)), **again))
    assert answer.status_code == 400
    assert "sent before with another file" in answer.text
    assert Submission.objects.count() == 1


def test_scripts_get_json(world: World) -> None:
    client = browser(world.uploader)
    files = fields(chosen("one.jpg"), chosen("two.jpg", media.gif()))
    answer = client.post("/upload/", files, headers={"accept": "application/json"})
    good, bad = answer.json()["files"]
    assert answer.status_code == 400
    assert good["url"] == f"/submissions/{good['id']}/"
    assert client.get(good["status_url"]).json()["status"] == "queued"
    assert bad["error"]["code"] == "unsupported_format"
    none = client.post("/upload/", {}, headers={"accept": "application/json"}).json()
    assert none["errors"]["pictures"] == ["Choose at least one picture."]


def test_uploads_need_the_csrf_token(world: World) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.uploader)
    answer = client.post("/upload/", fields(chosen()))
    assert answer.status_code == 403
    assert "The form was too old" in answer.text


# --- the list ---


def test_the_list_is_paged_without_gaps_or_doubles(world: World) -> None:
    now = timezone.now()
    for number in range(PAGE_SIZE * 2 + 3):
        made = send(world.acme, filename=f"{number:03}.jpg").submission
        # Several in one instant: the id decides.
        Submission.objects.filter(pk=made.pk).update(created_at=now - timedelta(seconds=number // 5))
    client, seen, page = browser(world.lead), [], "/submissions/"
    while page:
        context = client.get(page).context
        seen += [row["submission"].filename for row in context["rows"]]
        page = f"/submissions/?{context['next']}" if context["next"] else ""
    assert sorted(seen) == [f"{number:03}.jpg" for number in range(PAGE_SIZE * 2 + 3)]
    assert [int(name[:3]) // 5 for name in seen] == sorted(int(name[:3]) // 5 for name in seen)


def test_the_list_is_searched_and_filtered(world: World) -> None:
    rules(world.acme, Rule(label="Weapons", min_confidence=50, outcome=Outcome.REJECT), default=True)
    rejected = analysed(world.acme, "Weapons", 97, filename="Rifle.jpg", external_id="ad-1")
    approved = analysed(world.acme, filename="garden.jpg", external_id="ad-2")
    client = browser(world.lead)

    def found(**wanted: str) -> list[Submission]:
        return [row["submission"] for row in client.get("/submissions/", wanted).context["rows"]]

    assert found(status="rejected") == [rejected]
    assert found(q="rifle") == [rejected]
    assert found(q="ad-2") == [approved]
    assert found(q=str(approved.pk)) == [approved]
    assert found(q="ad-2", status="rejected") == []
    assert found() == [approved, rejected]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("status=wrong", "There is no such status."),
        ("cursor=wrong", "no longer there"),
        (f"cursor={UNKNOWN}", "no longer there"),
        ("q=%00", "Null characters are not allowed."),
        (f"q={'x' * 201}", "at most 200 characters"),
    ],
)
def test_a_wrong_query_is_told_kindly(world: World, query: str, words: str) -> None:
    answer = browser(world.lead).get(f"/submissions/?{query}")
    assert answer.status_code == 400
    assert words in answer.text


def test_a_page_of_the_list_takes_few_queries(world: World, django_assert_max_num_queries) -> None:
    for seed in range(8):
        analysed(world.acme, "Weapons", 97, seed=seed)
    client = browser(world.lead)
    with django_assert_max_num_queries(7):
        client.get("/submissions/")


# --- one submission ---


def test_the_first_html_holds_the_veiled_picture_alone(world: World) -> None:
    submission = analysed(world.acme, "Weapons", 97)
    client = browser(world.lead)
    page = reverse("submission", args=[submission.pk])
    veiled, full = (client.get(page, query).context for query in ({}, {"show": "full"}))
    assert veiled["shown"] == "veiled"
    assert full["shown"] == "full"
    text = client.get(page).text
    assert text.count("/media/") == 1
    assert "?show=full#picture" in text
    assert client.get(page, {"show": "raw"}).context["shown"] == "veiled"


def test_the_page_says_what_was_found_and_who_judged(world: World) -> None:
    rules(world.acme, Rule(label="Weapons", min_confidence=90, outcome=Outcome.REJECT), default=True)
    text = browser(world.lead).get(reverse("submission", args=[analysed(world.acme, "Weapons", 97).pk])).text
    for words in ("Violence", "Weapons", "Reject", "by policy house, version 1", "rule: from 90", "May show: Violence"):
        assert words in text, words


def test_a_failed_analysis_says_why(world: World) -> None:
    accepted = send(world.acme)
    analysis = Analysis.objects.start(accepted.analysis.pk)
    assert analysis is not None
    pipeline.fail(analysis, MediaError.code, "The stored picture cannot be read.")
    text = browser(world.lead).get(reverse("submission", args=[accepted.submission.pk])).text
    assert "The stored picture cannot be read." in text
    assert "There is none: the analysis failed." in text


def test_a_page_that_waits_asks_again_without_scripts(world: World) -> None:
    waiting, done = send(world.acme).submission, analysed(world.acme, seed=3)
    client = browser(world.lead)
    refresh = '<noscript><meta http-equiv="refresh" content="3"></noscript>'
    assert refresh in client.get(reverse("submission", args=[waiting.pk])).text
    assert refresh not in client.get(reverse("submission", args=[done.pk])).text


def test_names_of_strangers_are_only_text(world: World) -> None:
    name = "<img src=x onerror=alert(1)>.jpg"
    submission = analysed(world.acme, "Weapons", 97, filename=name, metadata={"<b>key": "<i>value"})
    client = browser(world.lead)
    for page in ("/", "/submissions/", *pages_of(submission)[:2]):
        text = client.get(page).text
        assert not any(tag in text for tag in ("<img src=x", "<b>key", "<i>value")), page


def test_a_picture_that_was_not_kept_is_said_so(world: World) -> None:
    submission = analysed(world.acme)
    submission.forget_picture()
    client = browser(world.lead)
    assert "The picture was not kept." in client.get(reverse("submission", args=[submission.pk])).text
    assert client.get(reverse("submission-picture", args=[submission.pk, "full"])).status_code == 404


# --- signing in ---


def test_nobody_signs_up_and_no_mail_is_sent(world: World) -> None:
    client = browser()
    assert "Sign-up is closed" in client.get("/accounts/signup/").text
    assert client.post("/accounts/signup/", {"username": "me"}).status_code == 405
    assert "An admin of your account can set a new password" in client.get("/accounts/password/reset/").text
    assert client.get("/accounts/email/").status_code == 404


def test_signing_in_leads_back(world: World) -> None:
    world.lead.set_password("a long enough one")
    world.lead.save()
    client = browser()
    wrong = client.post("/accounts/login/", {"login": "lead", "password": "wrong"})
    assert (wrong.status_code, "sessionid" in client.cookies) == (200, False)
    right = client.post("/accounts/login/?next=/upload/", {"login": "lead", "password": "a long enough one"})
    assert (right.status_code, right["Location"]) == (302, "/upload/")
    away = browser().post(
        "/accounts/login/?next=https://example.org/", {"login": "lead", "password": "a long enough one"}
    )
    assert away["Location"] == "/"


def test_the_admin_has_no_door_of_its_own(world: World) -> None:
    assert browser().get("/admin/login/?next=/admin/")["Location"].startswith("/accounts/login/")
    assert browser(world.uploader).get("/admin/login/").status_code == 403


def test_error_pages_are_ours_and_say_nothing(world: World) -> None:
    answer = browser(world.lead).get("/no/such/page")
    assert answer.status_code == 404
    assert "There is nothing here" in answer.text
    assert "no/such/page" not in answer.text
