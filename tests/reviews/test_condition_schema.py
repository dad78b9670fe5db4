"""Activation conditions are read whole or refused with the node named."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviews.condition_schema import MAX_CHARACTERS, ConditionError, label_names, parse
from tests.reviews.conditions_world import ANY_JSON, both, check, conditions, documents, either, sampling

LEAF = "Conditions[0].ConditionParameters"
HIGH: dict[str, Any] = {"LessThan": "high"}


def refusal(source: Any) -> str:
    with pytest.raises(ConditionError) as caught:
        parse(source)
    assert str(caught.value) == f"{caught.value.path or 'The conditions'} {caught.value.problem}"
    return str(caught.value)


def test_a_wrong_value_deep_inside_is_named_by_its_path():
    deep = conditions(sampling(5), both(check("Weapons", GreaterThan=50), either(sampling(5), check("*", **HIGH))))
    assert refusal(json.dumps(deep)) == (
        "Conditions[1].And[1].Or[1].ConditionParameters.ConfidenceLessThan must be a number from 0 to 100, got 'high'"
    )


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, "The conditions must be an object, got null"),
        ([], "The conditions must be an object, got a list"),
        ({}, "Conditions must be a list, got null"),
        ({"Conditions": {}}, "Conditions must be a list, got an object"),
        ({"Conditions": []}, "Conditions must have at least 1 member, got 0"),
        (
            {"Conditions": [sampling(5)], "Version": 1},
            "The conditions has the unknown key 'Version'; known are Conditions",
        ),
        (conditions({}), "Conditions[0] must have exactly one of ConditionType, And, Or; it has none"),
        (
            conditions({**sampling(5), "Or": []}),
            "Conditions[0] must have exactly one of ConditionType, And, Or; it has ConditionType and Or",
        ),
        (
            conditions({"And": [sampling(5), sampling(6)], "ConditionParameters": {}}),
            "Conditions[0] must not have ConditionParameters beside And",
        ),
        (conditions(both(sampling(5))), "Conditions[0].And must have at least 2 members, got 1"),
        (conditions({"Or": "x"}), "Conditions[0].Or must be a list, got 'x'"),
        ({"Conditions": ["Sampling"]}, "Conditions[0] must be an object, got 'Sampling'"),
        (
            conditions({"ConditionType": "MissingKey"}),
            "Conditions[0].ConditionType must be ModerationLabelConfidenceCheck or Sampling, got 'MissingKey'",
        ),
        (
            conditions({"ConditionType": ["Sampling"]}),
            "Conditions[0].ConditionType must be ModerationLabelConfidenceCheck or Sampling, got a list",
        ),
        (conditions({"ConditionType": "Sampling"}), f"{LEAF} must be an object, got null"),
        (
            conditions({"ConditionType": "Sampling", "ConditionParameters": {"Percentage": 5}}),
            f"{LEAF} has the unknown key 'Percentage'; known are RandomSamplingPercentage",
        ),
        (
            conditions({**sampling(5), "EvaluationResult": True}),
            "Conditions[0] has the unknown key 'EvaluationResult'; "
            "known are ConditionType, ConditionParameters, And, Or",
        ),
    ],
)
def test_a_wrong_shape_is_refused(source: object, message: str):
    assert refusal(source) == message


@pytest.mark.parametrize(
    ("percentage", "shown"),
    [
        (0, "0"),
        (0.009, "0.009"),
        (100.1, "100.1"),
        (-5, "-5"),
        (True, "true"),
        (None, "null"),
        ("5", "'5'"),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (10**300, "a number far too large"),
    ],
)
def test_sampling_percentage_is_a_number_from_a_hundredth_to_a_hundred(percentage: Any, shown: str):
    message = f"{LEAF}.RandomSamplingPercentage must be a number from 0.01 to 100, got {shown}"
    assert refusal(conditions(sampling(percentage))) == message
    assert refusal(json.dumps(conditions(sampling(percentage)))) == message


@pytest.mark.parametrize("percentage", [0.01, 5, 33.3, 100])
def test_sampling_percentage_within_its_limits(percentage: float):
    assert parse(conditions(sampling(percentage))).to_data() == conditions(sampling(percentage))


@pytest.mark.parametrize("value", [-0.001, 100.001, False, "90", None, [], {}, float("nan"), 1e300])
@pytest.mark.parametrize("comparator", ["Equals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"])
def test_comparators_take_numbers_from_0_to_100(comparator: str, value: Any):
    message = refusal(conditions(check("Weapons", **{comparator: value})))
    assert message.startswith(f"{LEAF}.Confidence{comparator} must be a number from 0 to 100, got ")


@pytest.mark.parametrize("name", [None, "", "  ", 5, ["Weapons"]])
def test_a_check_needs_a_label_name(name: Any):
    message = refusal(conditions(check(name, LessThan=90)))
    assert message.startswith(f"{LEAF}.ModerationLabelName must be the name of a moderation label, or *, got ")


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_a_label_name_that_cannot_be_stored_is_refused(name: str):
    assert "ModerationLabelName must not hold NUL or half a surrogate pair" in refusal(
        conditions(check(name, Equals=1))
    )


def test_a_check_needs_a_comparator():
    assert refusal(conditions(check("Weapons"))).startswith(f"{LEAF} must have at least one of ConfidenceEquals, ")


def test_two_levels_of_nesting_are_taken_and_three_refused():
    two = either(both(sampling(5), sampling(6)), sampling(7))
    assert parse(conditions(two)).to_data() == conditions(two)
    assert refusal(conditions(both(two, sampling(8)))) == (
        "Conditions[0].And[0].Or[0] is nested too deep: And and Or may be nested 2 levels, not more"
    )


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "must be JSON: Expecting value"),
        ("{'Conditions': []}", "must be JSON: "),
        ('{"Conditions": []} x', "must be JSON: Extra data"),
        ("[" * 10_000, "must be nested at most 2 levels deep"),
        ('{"a":' * 2_000, "must be nested at most 2 levels deep"),
        ("9" * 9_000, "must be JSON without numbers of thousands of digits"),
        (b"\xff\xfe{}", "must be UTF-8 text"),
        ('{"Conditions":[],"Conditions":[]}', "has the key 'Conditions' twice"),
        ('\ufeff{"Conditions":[]}', "must be JSON: "),
    ],
)
def test_text_that_is_not_plain_json_is_refused(text: str | bytes, part: str):
    assert refusal(text).startswith(f"The conditions {part}")


def test_a_key_given_twice_is_refused_where_it_stands():
    text = '{"Conditions":[{"ConditionType":"Sampling","ConditionParameters":{"RandomSamplingPercentage":%s}}]}'
    twice = text % '5,"RandomSamplingPercentage":6'
    assert refusal(twice) == f"{LEAF} has the key 'RandomSamplingPercentage' twice"


def test_length_is_limited_for_text_and_for_decoded_json():
    text = json.dumps(conditions(sampling(5)))
    assert parse(text.ljust(MAX_CHARACTERS)).to_data() == conditions(sampling(5))
    assert refusal(text.ljust(MAX_CHARACTERS + 1)) == "The conditions must be at most 10,240 characters, got 10,241"
    many = conditions(*[sampling(5)] * 130)
    assert refusal(many).startswith("The conditions must be at most 10,240 characters, got ")


def test_numbers_and_unknown_names_come_back_as_they_were_given():
    document = conditions(check("Nöt a label ☃", Equals=98), check("*", LessThanEquals=98.0))
    assert '"ConfidenceEquals":98,"ModerationLabelName":"Nöt a label ☃"' in parse(document).to_json()
    assert '"ConfidenceLessThanEquals":98.0' in parse(document).to_json()


@given(documents())
def test_valid_conditions_survive_the_round_trip(document: Any):
    parsed = parse(json.dumps(document))
    assert parsed.to_data() == document
    assert parse(parsed.to_json()) == parsed == parse(document)


@given(st.one_of(ANY_JSON, st.text(), st.binary(), ANY_JSON.map(lambda value: {"Conditions": value})))
def test_nothing_but_a_condition_error_is_ever_raised(source: Any):
    try:
        parse(source)
    except ConditionError as error:
        assert str(error).encode()  # can be shown and stored


@given(documents(), ANY_JSON, st.data())
def test_a_valid_document_with_one_node_replaced_is_read_or_refused(document: Any, graft: Any, data: st.DataObject):
    holder: Any = document
    while True:
        key = data.draw(st.sampled_from(list(holder) if isinstance(holder, dict) else list(range(len(holder)))))
        if not isinstance(holder[key], dict | list) or not holder[key] or data.draw(st.booleans()):
            break
        holder = holder[key]
    holder[key] = graft
    try:
        assert parse(json.dumps(document)).to_data() == document
    except ConditionError as error:
        assert error.path == "" or error.path.startswith("Conditions")


def test_one_name_of_taxonomy_6_1_makes_the_document_6_1():
    assert parse(conditions(check("Explicit Nudity", LessThan=90))).taxonomy == "7.0"
    older = conditions(check("Explicit Nudity", LessThan=90), both(sampling(5), check("Suggestive", LessThan=90)))
    assert parse(older).taxonomy == "6.1"
    assert parse(older, taxonomy_version="7.0").taxonomy == "7.0"


def test_label_names_follow_the_taxonomy_of_the_document():
    assert label_names("Explicit Nudity") == {"Explicit Nudity"}
    assert label_names("Explicit Nudity", "6.1") == {"Explicit"}
    assert label_names("Suggestive", "6.1") == {
        "Non-Explicit Nudity of Intimate parts and Kissing",
        "Swimwear or Underwear",
    }
    assert label_names("Weapons", "6.1") == {"Weapons"}
    assert label_names("No Such Label", "6.1") == label_names("No Such Label") == {"No Such Label"}
