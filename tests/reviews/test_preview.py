"""What draft conditions would have done with the stored scores."""

import pytest

from reviews.conditions import EmittedLabel, parse
from reviews.preview import forecast, latest_labels, preview
from tests.reviews import loop_world as made
from tests.world import World

pytestmark = pytest.mark.django_db


def check(label: str, **bounds: float) -> dict[str, object]:
    return {
        "ConditionType": "ModerationLabelConfidenceCheck",
        "ConditionParameters": {"ModerationLabelName": label, **bounds},
    }


def sampling(percentage: float) -> dict[str, object]:
    return {"ConditionType": "Sampling", "ConditionParameters": {"RandomSamplingPercentage": percentage}}


SEEN = [(EmittedLabel("Alcohol", "", float(confidence)),) for confidence in range(50, 100, 5)]


def test_checks_are_counted_as_they_fall_and_draws_by_their_chance():
    result = forecast(parse({"Conditions": [check("Alcohol", ConfidenceGreaterThanEquals=90), sampling(25)]}), SEEN)
    assert (result.analyses, result.by_check, result.by_sampling) == (10, 2, 8 * 0.25)
    assert (result.sent, result.share) == (4, 40.0)


def test_no_conditions_send_everything():
    result = forecast(None, SEEN)
    assert (result.sent, result.by_check, result.share) == (10, 10, 100.0)


def test_a_check_within_a_draw_counts_by_the_draw():
    both = {"And": [check("Alcohol", ConfidenceGreaterThanEquals=90), sampling(50)]}
    result = forecast(parse({"Conditions": [both]}), SEEN)
    assert (result.by_check, result.by_sampling) == (0, 1.0)


def test_a_draw_that_takes_everything_is_still_a_draw():
    result = forecast(parse({"Conditions": [sampling(100)]}), SEEN)
    assert (result.by_check, result.by_sampling, result.sent) == (0, 10.0, 10)


def test_nothing_analysed_is_no_division_by_zero():
    assert forecast(None, []).share == 0.0


def test_the_stored_scores_are_seen_as_an_answer_shows_them(world: World):
    made.analysis(world.acme, {"Weapons": 85.0, "Alcohol": 12.0})
    [labels] = latest_labels(world.acme.pk)
    assert {(each.name, each.parent, each.confidence) for each in labels} == {
        ("Weapons", "Violence", 85.0),
        ("Violence", "", 85.0),
    }


def test_only_the_accounts_own_latest_and_finished_analyses_count(world: World):
    for confidence in (60.0, 70.0, 80.0):
        made.analysis(world.acme, {"Alcohol": confidence})
    made.analysis(world.globex, {"Alcohol": 99.0})
    unfinished = made.analysis(world.acme, {"Alcohol": 90.0})
    type(unfinished).objects.filter(pk=unfinished.pk).update(status="failed")
    seen = [labels[0].confidence for labels in latest_labels(world.acme.pk)]
    assert seen == [80.0, 70.0, 60.0]
    assert len(list(latest_labels(world.acme.pk, most=3))) == 2, "the last three submissions, one of them failed"


def test_the_present_conditions_stand_beside_the_draft(world: World):
    made.analysis(world.acme, {"Alcohol": 60.0})
    made.analysis(world.acme, {"Alcohol": 90.0})
    draft, present = (parse({"Conditions": [check("Alcohol", ConfidenceLessThan=bound)]}) for bound in (100.0, 70.0))
    both = preview(world.acme.pk, draft, present, compare=True)
    assert both.present and (both.draft.sent, both.present.sent) == (2, 1)
    assert preview(world.acme.pk, draft, None, compare=False).present is None


def test_who_waits_is_answered_in_time_with_as_many_as_were_looked_at(world: World, monkeypatch: pytest.MonkeyPatch):
    for confidence in (60.0, 70.0, 80.0):
        made.analysis(world.acme, {"Alcohol": confidence})
    monkeypatch.setattr("reviews.preview._AT_ONCE", 1)
    monkeypatch.setattr("reviews.preview.MOST_SECONDS", -1.0)
    both = preview(world.acme.pk, None, None, compare=True)
    assert both.present and both.draft.analyses == both.present.analyses == 1
    monkeypatch.setattr("reviews.preview.MOST_SECONDS", 60.0)
    assert preview(world.acme.pk, None, None, compare=True).draft.analyses == 3
