"""What is shown of the machine's opinion; test_views.py has what that means for the page."""

from typing import Any

import pytest

from moderation.models import Account
from moderation.policies import Outcome, Rule
from reviews.evidence import evidence, is_blind
from reviews.models import HumanLoop
from tests.reviews import loop_world as made
from tests.world import World, rules

pytestmark = pytest.mark.django_db


def check(label: str, **bounds: float) -> dict[str, Any]:
    return {
        "ConditionType": "ModerationLabelConfidenceCheck",
        "ConditionParameters": {"ModerationLabelName": label, **bounds},
    }


def sampling(percentage: float) -> dict[str, Any]:
    return {"ConditionType": "Sampling", "ConditionParameters": {"RandomSamplingPercentage": percentage}}


def routed(
    account: Account, scores: dict[str, float], *conditions: dict[str, Any], outcome: str = "approve"
) -> HumanLoop:
    policy = rules(account, Rule(label="Weapons", min_confidence=80, outcome=Outcome.REVIEW), name="ruled")
    made.flow(account, conditions=list(conditions), policies=[policy])
    analysis, _ = made.considered(account, scores, Outcome(outcome), policy=policy)
    return HumanLoop.objects.get(analysis=analysis)


def test_labels_stand_in_the_tree_surest_first_with_the_thresholds_that_concern_them(world: World):
    scores = {"Weapons": 85.0, "Alcohol": 95.0, "Physical Violence": 60.0}
    shown = evidence(
        routed(world.acme, scores, check("*", ConfidenceLessThan=90), check("Alcohol", ConfidenceGreaterThan=10))
    )
    assert [(each.name, each.level) for each in shown.labels] == [
        ("Alcohol", 1),
        ("Violence", 1),
        ("Weapons", 2),
        ("Graphic Violence", 2),
        ("Physical Violence", 3),
    ]
    ticks = {each.name: [tick.at for tick in each.ticks] for each in shown.labels}
    assert ticks["Alcohol"] == [10, 90] and ticks["Weapons"] == [80, 90] and ticks["Violence"] == [90]
    assert shown.topics == ("Alcohol", "Violence")


def test_the_reasons_are_the_conditions_that_fired(world: World):
    scores = {"Weapons": 60.0}
    loop = routed(
        world.acme, scores, check("Alcohol", ConfidenceGreaterThan=50), check("Weapons", ConfidenceLessThan=70)
    )
    assert evidence(loop).reasons == ("An item is reviewed when 'Weapons' is below 70.",)


def test_a_policys_wish_is_a_reason(world: World):
    loop = routed(world.acme, {"Weapons": 95.0}, check("Alcohol", ConfidenceGreaterThan=50), outcome="review")
    assert evidence(loop).reasons == ("The policy asks for review.",)


def test_conditions_that_changed_since_do_not_change_the_reason(world: World):
    loop = routed(world.acme, {"Weapons": 60.0}, check("Weapons", ConfidenceLessThan=70))
    loop.flow.conditions = ""
    loop.flow.save()
    assert evidence(HumanLoop.objects.get()).reasons == ("An item is reviewed when 'Weapons' is below 70.",)


def test_a_flow_without_conditions_says_that_all_is_reviewed(world: World):
    flow = made.flow(world.acme)
    analysis, _ = made.considered(world.acme, {"Weapons": 60.0}, request=made.request(flow))
    assert evidence(HumanLoop.objects.get(analysis=analysis)).reasons == ("Every item is reviewed.",)


def test_a_check_beside_a_draw_tells_the_check_alone(world: World):
    loop = routed(world.acme, {"Weapons": 60.0}, check("Weapons", ConfidenceLessThan=70), sampling(100))
    assert not loop.is_audit
    shown = evidence(loop)
    assert shown.reasons == (() if shown.blind else ("An item is reviewed when 'Weapons' is below 70.",))


@pytest.mark.parametrize("condition", [sampling(100), {"And": [check("*", ConfidenceGreaterThan=1), sampling(100)]}])
def test_an_audit_shows_nothing(world: World, condition: dict[str, Any]):
    loop = routed(world.acme, {"Weapons": 60.0}, condition)
    shown = evidence(loop)
    assert loop.is_audit and is_blind(loop)
    assert (shown.blind, shown.topics, shown.labels, shown.reasons) == (True, (), (), ())
