"""Policies turn findings into a verdict."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation import taxonomy
from moderation.policies import DEFAULT_RULES, Outcome, Reason, Rule, RuleError, judge, parse_rules, to_json


@dataclass(frozen=True)
class Found:
    name: str
    confidence: float


REJECT_WEAPONS = Rule(label="Weapons", min_confidence=90.0, outcome=Outcome.REJECT)
REVIEW_WEAPONS = Rule(label="Weapons", min_confidence=50.0, max_confidence=90.0, outcome=Outcome.REVIEW)
REVIEW_ALL = Rule(label="*", min_confidence=40.0, outcome=Outcome.REVIEW)
APPROVE_ALCOHOL = Rule(label="Alcohol", min_confidence=0.0, outcome=Outcome.APPROVE)


@pytest.mark.parametrize(
    ("confidence", "outcome"),
    [(49.9, "approve"), (50.0, "review"), (89.9, "review"), (90.0, "reject"), (100.0, "reject")],
)
def test_bounds_are_from_and_below(confidence: float, outcome: str):
    assert judge([Found("Weapons", confidence)], [REVIEW_WEAPONS, REJECT_WEAPONS]).outcome == outcome


def test_the_upper_end_is_not_part_of_a_rule():
    assert [REVIEW_WEAPONS.fires(Found("Weapons", confidence)) for confidence in (89.99, 90.0)] == [True, False]


def test_nothing_found_or_no_rule_approves_for_no_reason():
    assert (
        judge([], [REVIEW_ALL]) == judge([Found("Weapons", 99)], []) == judge([Found("Alcohol", 99)], [REJECT_WEAPONS])
    )
    assert judge([], [REVIEW_ALL]).outcome is Outcome.APPROVE
    assert judge([], [REVIEW_ALL]).because == ()


def test_the_strictest_rule_wins_whatever_the_order():
    found = [Found("Alcohol", 70.0), Found("Weapons", 95.0)]
    rules = [APPROVE_ALCOHOL, REVIEW_ALL, REJECT_WEAPONS]
    for order in (rules, rules[::-1]):
        assert judge(found, order).outcome is Outcome.REJECT
        assert judge(found, order).because == (Reason("Weapons", 95.0, REJECT_WEAPONS),)
    assert judge(found, [APPROVE_ALCOHOL, REVIEW_ALL]).outcome is Outcome.REVIEW


def test_the_reasons_are_those_of_the_outcome_surest_first():
    found = [Found("Alcohol", 70.0), Found("Weapons", 85.0), Found("Gambling", 30.0)]
    assert judge(found, [APPROVE_ALCOHOL, REVIEW_ALL, REVIEW_WEAPONS]).because == (
        Reason("Weapons", 85.0, REVIEW_ALL),
        Reason("Weapons", 85.0, REVIEW_WEAPONS),
        Reason("Alcohol", 70.0, REVIEW_ALL),
    )


def test_an_approve_rule_gives_its_reason():
    assert judge([Found("Alcohol", 70.0)], [APPROVE_ALCOHOL]).because == (Reason("Alcohol", 70.0, APPROVE_ALCOHOL),)


@pytest.mark.parametrize(
    ("name", "confidence", "outcome"),
    [
        ("Exposed Male Genitalia", 97.0, "reject"),
        ("Explicit Sexual Activity", 80.0, "review"),
        ("Blood & Gore", 96.0, "reject"),
        ("Blood & Gore", 94.0, "review"),
        ("Explosions and Blasts", 99.0, "review"),
        ("Self-Harm", 99.0, "review"),
        ("Nazi Party", 99.0, "review"),
        ("Corpses", 60.0, "review"),
        ("Weapons", 95.0, "review"),
        ("Weapons", 60.0, "approve"),
        ("Smoking", 85.0, "review"),
        ("Middle Finger", 85.0, "review"),
        ("Alcoholic Beverages", 99.0, "approve"),
        ("Gambling", 99.0, "approve"),
        ("Female Swimwear or Underwear", 99.0, "approve"),
        ("Kissing on the Lips", 99.0, "approve"),
    ],
)
def test_default_rules_cover_children_through_their_ancestors(name: str, confidence: float, outcome: str):
    chain = [Found(name, confidence), *(Found(above.name, confidence) for above in taxonomy.ancestors(name))]
    assert judge(chain, DEFAULT_RULES).outcome == outcome


def test_default_rules_are_rules():
    assert parse_rules(to_json(DEFAULT_RULES)) == DEFAULT_RULES
    assert judge([], DEFAULT_RULES).outcome is Outcome.APPROVE


def test_rules_are_written_in_one_way():
    read = parse_rules([{"outcome": "reject", "label": "Weapons", "min_confidence": 90}])
    assert read == (REJECT_WEAPONS,)
    assert json.dumps(to_json(read)) == (
        '[{"label": "Weapons", "min_confidence": 90.0, "max_confidence": null, "outcome": "reject"}]'
    )
    assert parse_rules([{"outcome": "approve", "label": "*"}])[0].min_confidence == 0.0
    assert parse_rules([]) == ()


def rule(**changes: Any) -> dict[str, Any]:
    return {"label": "Weapons", "min_confidence": 50, "outcome": "review", **changes}


@pytest.mark.parametrize(
    ("obj", "message"),
    [
        (None, "rules must be a list, got null"),
        ({"rules": []}, "rules must be a list, got an object"),
        ("[]", "rules must be a list, got '[]'"),
        ([rule()] * 201, "rules must be at most 200, got 201"),
        ([rule(), "x"], "rules[1] must be an object, got 'x'"),
        (
            [rule(min_confidense=1)],
            "rules[0] has the unknown key 'min_confidense'; known are label, min_confidence, max_confidence, outcome",
        ),
        ([rule(), rule(), rule(min_confidence="9")], "rules[2].min_confidence must be a number from 0 to 100, got '9'"),
        ([rule(min_confidence=-1)], "rules[0].min_confidence must be a number from 0 to 100, got -1"),
        ([rule(min_confidence=None)], "rules[0].min_confidence must be a number from 0 to 100, got null"),
        ([rule(min_confidence=True)], "rules[0].min_confidence must be a number from 0 to 100, got true"),
        ([rule(min_confidence=float("nan"))], "rules[0].min_confidence must be a number from 0 to 100, got NaN"),
        ([rule(max_confidence=101)], "rules[0].max_confidence must be a number from 0 to 100, got 101"),
        ([rule(max_confidence=50)], "rules[0].max_confidence must be above min_confidence (50), got 50"),
        ([rule(outcome="Reject")], "rules[0].outcome must be approve, review or reject, got 'Reject'"),
        ([rule(outcome=["review"])], "rules[0].outcome must be approve, review or reject, got a list"),
        (
            [rule(label="weapons")],
            "rules[0].label must be the exact name of a label of taxonomy 7.0, or *, got 'weapons'",
        ),
        ([{"outcome": "review"}], "rules[0].label must be the exact name of a label of taxonomy 7.0, or *, got null"),
        ([rule(label=["*"])], "rules[0].label must be the exact name of a label of taxonomy 7.0, or *, got a list"),
    ],
)
def test_a_wrong_rule_is_refused_by_name(obj: object, message: str):
    with pytest.raises(RuleError) as caught:
        parse_rules(obj)
    assert str(caught.value) == message == f"{caught.value.path} {caught.value.problem}"


def test_two_hundred_rules_are_taken():
    assert len(parse_rules([rule()] * 200)) == 200


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.none().map(lambda _: 10**5000)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner))
)
KEYS = ["label", "min_confidence", "max_confidence", "outcome", "x"]
GOOD = {"label": st.sampled_from(["*", "Weapons"]), "outcome": st.sampled_from(list(Outcome))}


@given(st.one_of(VALUES, st.lists(st.dictionaries(st.sampled_from(KEYS), VALUES), max_size=3)))
def test_nothing_but_a_rule_error_is_ever_raised(obj: object):
    try:
        parse_rules(obj)
    except RuleError as error:
        assert str(error).encode()


NUMBERS = st.one_of(st.integers(0, 100), st.floats(0, 100))
RULES = st.lists(st.fixed_dictionaries({**GOOD, "min_confidence": NUMBERS}), max_size=4)
FOUND = st.lists(st.builds(Found, st.sampled_from(["Weapons", "Alcohol"]), st.floats(0, 100)), max_size=4)


@given(RULES, FOUND)
def test_good_rules_round_trip_and_every_reason_fired(obj: list[dict[str, Any]], found: list[Found]):
    rules = parse_rules(obj)
    assert parse_rules(json.loads(json.dumps(to_json(rules)))) == rules
    judgement = judge(found, rules)
    for reason in judgement.because:
        assert reason.rule.fires(Found(reason.label, reason.confidence))
        assert reason.rule.outcome is judgement.outcome
    assert bool(judgement.because) or judgement.outcome is Outcome.APPROVE


@given(RULES, FOUND, st.builds(Found, st.just("Weapons"), st.floats(0, 100)))
def test_one_more_finding_never_makes_the_verdict_milder(obj: list[dict[str, Any]], found: list[Found], more: Found):
    strictness = [Outcome.APPROVE, Outcome.REVIEW, Outcome.REJECT].index
    rules = parse_rules(obj)
    assert strictness(judge([*found, more], rules).outcome) >= strictness(judge(found, rules).outcome)
