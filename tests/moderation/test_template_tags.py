"""The small pieces that templates share, and the error pages that stand alone."""

import re

import pytest
from django.contrib.staticfiles import finders
from django.template import Context, Template
from django.template.loader import render_to_string
from django.utils.translation import override

from moderation.models import Detection, Submission
from moderation.policies import Outcome, Rule
from moderation.templatetags.second_look import chief_labels, chip, label_tree, topics
from tests.world import World, analysed, rules


@pytest.fixture
def submission(world: World) -> Submission:
    """Weapons under two rules; Gambling, surer, beside it."""
    rules(
        world.acme,
        Rule(label="Weapons", min_confidence=50, max_confidence=95, outcome=Outcome.REVIEW),
        Rule(label="Weapons", min_confidence=95, outcome=Outcome.REJECT),
        default=True,
    )
    submission = analysed(world.acme, "Weapons", 80)
    analysis = submission.latest_analysis()
    assert analysis
    Detection.objects.create(analysis=analysis, label="Gambling", level=1, confidence=99)
    return submission


def test_labels_stand_below_their_parents_with_the_rules_on_them(submission: Submission) -> None:
    analysis = submission.latest_analysis()
    assert analysis
    rows = label_tree(analysis)
    assert [(row.name, row.level) for row in rows] == [("Gambling", 1), ("Violence", 1), ("Weapons", 2)]
    ticks = {row.name: [(tick.at, tick.outcome) for tick in row.ticks] for row in rows}
    assert ticks == {"Gambling": [], "Violence": [], "Weapons": [(50, Outcome.REVIEW), (95, Outcome.REJECT)]}


def test_lists_name_the_most_specific_labels(submission: Submission) -> None:
    assert [found.label for found in chief_labels(submission)] == ["Gambling", "Weapons"]
    assert [found.label for found in chief_labels(submission, 1)] == ["Gambling"]


def test_what_to_expect_is_said_without_detail(submission: Submission) -> None:
    analysis = submission.latest_analysis()
    assert analysis
    assert topics(analysis) == ["Gambling", "Violence"]


@pytest.mark.parametrize("status", Submission.Status.values)
def test_every_status_has_its_chip(status: str) -> None:
    icons = finders.find("img/icons.svg")
    assert isinstance(icons, str)
    with open(icons) as file:  # noqa: PTH123
        assert f'id="{chip(status)["icon_name"]}"' in file.read()


@pytest.mark.parametrize("language", ["en", "de"])
def test_numbers_in_drawings_are_written_for_machines(language: str) -> None:
    with override(language):
        drawn = render_to_string("moderation/_bar.html", {"confidence": 96.06, "ticks": ()})
    assert 'width="96.1"' in drawn


def test_strangers_have_no_doors() -> None:
    assert Template("{% load second_look %}{% doors as places %}{{ places|length }}").render(Context()) == "0"


@pytest.mark.parametrize("page", ["400.html", "403.html", "403_csrf.html", "404.html", "500.html"])
def test_error_pages_need_nothing(page: str) -> None:
    """Django renders some of them without a request."""
    text = render_to_string(page)
    assert "<main" in text
    assert 'lang="en"' in text
    for path in re.findall(r'"/static/([^"#]+)', text):
        assert finders.find(path), path
