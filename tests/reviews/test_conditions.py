"""Activation conditions decide whether people look, at what, and how likely that was."""

import ctypes
import itertools
import json
from collections.abc import Iterator
from math import prod, sqrt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviews.condition_schema import MAX_CHARACTERS
from reviews.conditions import EmittedLabel, Evaluation, Facts, Reason, ReasonKind, evaluate, parse
from tests.reviews.conditions_world import (
    EMITTED,
    JsonObject,
    both,
    check,
    conditions,
    documents,
    either,
    facts,
    sampling,
)

RIFLE = facts(("Weapons", 88.5), ("Violence", 88.5), ("Alcohol", 60.0))


def judged(*members: JsonObject, on: Facts = RIFLE) -> Evaluation:
    return evaluate(parse(conditions(*members)), on)


def names(evaluation: Evaluation) -> list[str]:
    return [label.name for label in evaluation.selected]


def drawn(hit: bool, *members: JsonObject, labels: tuple[tuple[str, float], ...] = ()) -> Evaluation:
    """The evaluation for the first digest whose Sampling nodes all hit, or all miss."""
    tries = (judged(*members, on=facts(*labels, digest=f"d{n}")) for n in itertools.count())
    return next(each for each in tries if all(draw.hit is hit for draw in each.sampling_keys))


@pytest.mark.parametrize(
    ("comparator", "below", "at", "above"),
    [
        ("Equals", False, True, False),
        ("LessThan", True, False, False),
        ("LessThanEquals", True, True, False),
        ("GreaterThan", False, False, True),
        ("GreaterThanEquals", False, True, True),
    ],
)
@pytest.mark.parametrize("bound", [90, 99.9, 98.6])
def test_each_comparator_at_its_bound(comparator: str, below: bool, at: bool, above: bool, bound: float):
    as_on_the_wire = ctypes.c_float(bound).value
    fired = [
        judged(check("Weapons", **{comparator: bound}), on=facts(("Weapons", confidence))).activated
        for confidence in (bound - 0.01, bound, as_on_the_wire, bound + 0.01)
    ]
    assert fired == [below, at, at, above]


def test_an_absent_label_is_false_also_for_less_than():
    assert not judged(check("Gambling", LessThan=100)).activated
    assert not judged(check("weapons", LessThan=100)).activated  # names are case sensitive
    assert not judged(check("*", LessThanEquals=100), on=facts()).activated


def test_several_comparators_in_one_check_must_all_hold():
    assert judged(check("Weapons", GreaterThan=80, LessThan=90)).activated
    assert not judged(check("Weapons", GreaterThan=80, LessThan=88)).activated


def test_checks_on_any_label_in_an_and_are_a_range_for_one_label():
    straddled = facts(("Weapons", 99.0), ("Alcohol", 10.0))
    ranged = both(check("*", LessThan=90), check("*", GreaterThan=50))
    apart = judged(ranged, on=straddled)
    assert not apart.activated
    trace = json.loads(apart.trace_json())["Conditions"][0]
    assert (trace["EvaluationResult"], [each["EvaluationResult"] for each in trace["And"]]) == (False, [True, True])
    assert names(judged(ranged, on=facts(("Weapons", 99.0), ("Alcohol", 60.0), ("Violence", 10.0)))) == ["Alcohol"]


def test_a_range_reaches_into_nested_and_or_of_the_same_name():
    straddled = facts(("Weapons", 99.0), ("Alcohol", 10.0))
    nested = both(either(check("*", LessThan=20), check("*", GreaterThan=95)), check("*", GreaterThan=50))
    assert names(judged(nested, on=straddled)) == ["Weapons"]
    inner = both(both(check("*", LessThan=20), check("Alcohol", LessThan=20)), check("*", GreaterThan=50))
    assert not judged(inner, on=straddled).activated


def test_an_or_with_a_sampling_inside_an_and_stands_on_its_own():
    mixed = both(either(check("*", LessThan=20), sampling(0.01)), check("*", GreaterThan=50))
    assert names(drawn(False, mixed, labels=(("Weapons", 99.0), ("Alcohol", 10.0)))) == ["Weapons", "Alcohol"]


def test_checks_on_different_names_in_an_and_need_both_and_select_both():
    pair = both(check("Weapons", LessThan=90), check("Alcohol", GreaterThan=50))
    assert names(judged(pair)) == ["Weapons", "Alcohol"]
    assert not judged(pair, on=facts(("Weapons", 88.5))).activated


def test_reviewers_get_the_labels_of_every_true_condition():
    """Example 1 of the A2I documentation: all conditions are evaluated although one would do."""
    ranges = either(
        both(check("Weapons", LessThanEquals=99), check("Weapons", GreaterThanEquals=80)),
        both(check("Alcohol", LessThanEquals=99), check("Alcohol", GreaterThanEquals=50)),
    )
    assert names(judged(ranges)) == ["Weapons", "Alcohol"]
    assert names(judged(check("Weapons", LessThan=99), check("Alcohol", LessThan=99))) == ["Weapons", "Alcohol"]


def test_any_label_selects_only_those_that_match():
    """Example 2 of the A2I documentation."""
    assert names(judged(check("*", GreaterThanEquals=75))) == ["Weapons", "Violence"]


LABELS = (("Weapons", 88.5), ("Alcohol", 60.0))


def test_sampling_alone_selects_all_labels_and_is_an_audit():
    """Example 3: with no labels at all there is still an item to look at."""
    hit = drawn(True, sampling(5), labels=LABELS)
    assert (names(hit), hit.random_only) == (["Weapons", "Alcohol"], True)
    assert hit.reasons == (Reason(ReasonKind.SAMPLING, 0),)
    assert drawn(True, sampling(5)).activated
    miss = drawn(False, sampling(5), labels=LABELS)
    assert (miss.activated, miss.selected, miss.reasons, miss.random_only) == (False, (), (), False)
    assert miss.inclusion_probability == hit.inclusion_probability == 0.05


def test_sampling_and_a_check_select_only_the_label_of_the_check():
    """Example 4: a share of the items that meet a check."""
    sampled = both(sampling(5), check("Weapons", GreaterThan=50))
    hit = drawn(True, sampled, labels=LABELS)
    assert (names(hit), hit.random_only, hit.inclusion_probability) == (["Weapons"], True, 0.05)
    assert hit.reasons == (Reason(ReasonKind.SAMPLED_CHECK, 0),)
    without = drawn(True, sampled)
    assert (without.activated, without.inclusion_probability) == (False, 0.0)


def test_low_confidence_always_and_high_confidence_by_sample():
    """Example 5."""
    rule = either(check("Weapons", LessThan=60), both(sampling(5), check("Weapons", GreaterThan=90)))
    always = judged(rule, on=facts(("Weapons", 55.0), ("Alcohol", 60.0)))
    assert (names(always), always.inclusion_probability, always.random_only) == (["Weapons"], 1.0, False)
    assert always.reasons == (Reason(ReasonKind.CHECK, 0),)
    assert judged(rule, on=facts(("Weapons", 95.0))).inclusion_probability == 0.05
    assert judged(rule, on=facts(("Weapons", 70.0))).inclusion_probability == 0.0


def test_sampling_or_a_check():
    """Example 6: who meets the check is in for certain, a draw beside it shows all labels and is no audit."""
    rule = either(sampling(5), check("Weapons", GreaterThan=50))
    miss, hit = drawn(False, rule, labels=LABELS), drawn(True, rule, labels=LABELS)
    assert (names(miss), names(hit)) == (["Weapons"], ["Weapons", "Alcohol"])
    assert [each.inclusion_probability for each in (miss, hit)] == [1.0, 1.0]
    assert not hit.random_only
    assert hit.reasons == (Reason(ReasonKind.CHECK, 0),)


def test_independent_draws_add_up():
    two = judged(sampling(10), sampling(20), both(sampling(50), sampling(50)))
    assert two.inclusion_probability == pytest.approx(1 - 0.9 * 0.8 * 0.75)
    assert [draw.path for draw in two.sampling_keys] == [
        "Conditions[0]",
        "Conditions[1]",
        "Conditions[2].And[0]",
        "Conditions[2].And[1]",
    ]
    assert len({draw.u for draw in two.sampling_keys}) == 4


def test_no_conditions_send_every_item_with_all_labels():
    every = evaluate(None, RIFLE)
    assert (every.activated, every.inclusion_probability, every.random_only) == (True, 1.0, False)
    assert every.selected == tuple(RIFLE.labels)
    assert every.reasons == (Reason(ReasonKind.NO_CONDITIONS, None),)
    assert every.trace_json() == '{"Conditions":[]}'


def test_conditions_in_names_of_taxonomy_6_1_still_fire():
    swimmer = facts(("Swimwear or Underwear", 97.0), ("Female Swimwear or Underwear", 97.0))
    older = judged(check("Suggestive", LessThan=98), on=swimmer)
    assert names(older) == ["Swimwear or Underwear"]
    drawing = facts(("Explicit", 80.0), ("Sex Toys", 80.0))
    assert not judged(check("Explicit Nudity", LessThan=98), on=drawing).activated
    assert names(judged(check("Explicit Nudity", LessThan=98), check("Adult Toys", Equals=1), on=drawing)) == [
        "Explicit"
    ]


def test_the_trace_has_the_shape_that_amazon_documents():
    rule = either(check("Suggestive", LessThan=98), check("Female Swimwear Or Underwear", GreaterThan=98))
    on = facts(("Swimwear or Underwear", 96.7122802734375))
    assert judged(rule, on=on).trace == {
        "Conditions": [
            {
                "EvaluationResult": True,
                "Or": [
                    {
                        "ConditionParameters": {"ConfidenceLessThan": 98, "ModerationLabelName": "Suggestive"},
                        "ConditionType": "ModerationLabelConfidenceCheck",
                        "EvaluationResult": True,
                    },
                    {
                        "ConditionParameters": {
                            "ConfidenceGreaterThan": 98,
                            "ModerationLabelName": "Female Swimwear Or Underwear",
                        },
                        "ConditionType": "ModerationLabelConfidenceCheck",
                        "EvaluationResult": False,
                    },
                ],
            }
        ]
    }


@pytest.mark.parametrize("member", [sampling(5), check("x", Equals=5), either(*[sampling(5), sampling(6)] * 2)])
def test_the_trace_of_conditions_near_the_limit_keeps_to_it(member: JsonObject):
    size = len(json.dumps(member, separators=(",", ":"))) + 1
    text = json.dumps(conditions(*[member] * ((MAX_CHARACTERS - 20) // size)), separators=(",", ":"))
    evaluation = evaluate(parse(text), RIFLE)
    assert len(json.dumps(evaluation.trace, separators=(",", ":"))) > MAX_CHARACTERS
    assert len(evaluation.trace_json()) <= MAX_CHARACTERS
    results = [each["EvaluationResult"] for each in top(json.loads(evaluation.trace_json()))]
    assert results == [each["EvaluationResult"] for each in top(evaluation.trace)]


def test_a_draw_depends_on_medium_flow_node_and_secret_alone():
    def u(**key: Any) -> float:
        return judged(sampling(5), on=facts(**key)).sampling_keys[0].u

    assert judged(sampling(5), on=facts(("Weapons", 80.0))).sampling_keys[0].u == u()
    assert judged(sampling(60), on=facts()).sampling_keys[0].u == u()
    assert len({u(), u(digest="d2"), u(flow="flow/2"), u(secret=b"other")}) == 4
    assert u(digest="ab", flow="c") != u(digest="a", flow="bc")


@pytest.mark.parametrize("percentage", [0.5, 5, 50])
def test_sampling_hits_its_share_of_media(percentage: float):
    rule, n, p = parse(conditions(sampling(percentage))), 5_000, percentage / 100
    hits = sum(evaluate(rule, facts(digest=f"{i:x}")).activated for i in range(n))
    assert abs(hits / n - p) < 4 * sqrt(p * (1 - p) / n)


def test_sampling_everything_misses_nothing():
    rule = parse(conditions(sampling(100)))
    assert all(evaluate(rule, facts(digest=str(i))).activated for i in range(2_000))


def test_inclusion_probability_is_how_often_other_secrets_would_have_sent_the_item():
    rule = parse(
        conditions(
            both(either(sampling(30), sampling(20)), check("Weapons", GreaterThan=50)),
            either(both(sampling(40), check("Gambling", LessThan=90)), both(sampling(50), sampling(20))),
        )
    )
    n, p = 5_000, evaluate(rule, RIFLE).inclusion_probability
    hits = sum(evaluate(rule, facts(*LABELS, secret=i.to_bytes(4))).activated for i in range(n))
    assert p == pytest.approx(1 - (0.7 * 0.8) * (1 - 0.1))
    assert abs(hits / n - p) < 4 * sqrt(p * (1 - p) / n)


@given(documents(), EMITTED)
def test_inclusion_probability_sums_the_chances_of_all_ways_the_draws_can_fall(document: JsonObject, labels: Any):
    """Each draw is set by hand: a sure Sampling for a hit, a check that nothing meets for a miss."""
    chances = [leaf["ConditionParameters"]["RandomSamplingPercentage"] / 100 for leaf in samplings(document)]
    if len(chances) > 6:
        return
    total = 0.0
    for hits in itertools.product([True, False], repeat=len(chances)):
        if evaluate(parse(with_draws(document, list(hits))), facts(*labels)).activated:
            total += prod(p if hit else 1 - p for p, hit in zip(chances, hits, strict=True))
    assert evaluate(parse(document), facts(*labels)).inclusion_probability == pytest.approx(total, abs=1e-12)


@given(documents(), EMITTED, st.binary(max_size=8))
def test_evaluations_are_consistent(document: JsonObject, labels: Any, secret: bytes):
    parsed, on = parse(document), facts(*labels, secret=secret)
    evaluation = evaluate(parsed, on)
    assert evaluation == evaluate(parsed, on)
    assert 0 <= evaluation.inclusion_probability <= 1
    assert evaluation.activated is bool(evaluation.reasons)
    assert {reason.index for reason in evaluation.reasons} == {
        index for index, each in enumerate(top(evaluation.trace)) if each["EvaluationResult"]
    }
    if evaluation.activated:
        assert evaluation.inclusion_probability > 0
        assert evaluation.random_only is not any(reason.kind is ReasonKind.CHECK for reason in evaluation.reasons)
    if evaluation.inclusion_probability == 1:
        assert evaluation.activated
    assert set(evaluation.selected) <= set(on.labels)
    assert bool(evaluation.selected) is (evaluation.activated and bool(labels))


@given(documents(), EMITTED)
def test_the_trace_mirrors_the_conditions(document: JsonObject, labels: Any):
    evaluation = evaluate(parse(document), facts(*labels))

    def stripped(node: Any) -> Any:
        assert isinstance(node.pop("EvaluationResult"), bool)
        return {key: [stripped(each) for each in node[key]] if key in ("And", "Or") else node[key] for key in node}

    trace = json.loads(evaluation.trace_json())
    assert {"Conditions": [stripped(each) for each in trace["Conditions"]]} == document


@given(documents(), EMITTED, EMITTED)
def test_more_labels_never_undo_an_activation(document: JsonObject, labels: Any, more: Any):
    fewer, all_of_them = (evaluate(parse(document), facts(*each)) for each in (labels, [*labels, *more]))
    assert all_of_them.activated >= fewer.activated
    assert all_of_them.inclusion_probability >= fewer.inclusion_probability
    assert set(names(all_of_them)) >= set(names(fewer))


@given(documents(), st.lists(st.tuples(st.text(max_size=5), st.floats()), max_size=3))
def test_odd_labels_raise_nothing(document: JsonObject, labels: Any):
    evaluate(parse(document), facts(*labels))


def test_the_secret_is_not_shown():
    assert "secret" not in repr(Facts([EmittedLabel("Weapons", "", 5.0)], "d", "f", b"hush")).lower()
    assert "hush" not in repr(Facts([], "d", "f", b"hush"))


def top(trace: dict[str, Any]) -> list[Any]:
    return list(trace["Conditions"])


def samplings(node: Any) -> Iterator[JsonObject]:
    if isinstance(node, dict) and node.get("ConditionType") == "Sampling":
        yield node
    else:
        for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            yield from samplings(each)


def with_draws(node: Any, hits: list[bool]) -> Any:
    """The document with its Sampling nodes, in order, made sure or impossible; takes the hits from the list."""
    if isinstance(node, dict) and node.get("ConditionType") == "Sampling":
        return sampling(100) if hits.pop(0) else check("Nobody Says This", Equals=100)
    if isinstance(node, dict):
        return {key: with_draws(each, hits) for key, each in node.items()}
    return [with_draws(each, hits) for each in node] if isinstance(node, list) else node
