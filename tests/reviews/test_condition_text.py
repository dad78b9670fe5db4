"""Conditions in plain words."""

import pytest
from hypothesis import given

from reviews.condition_schema import parse
from reviews.condition_text import describe, warnings
from tests.reviews.conditions_world import JsonObject, both, check, conditions, documents, either, sampling


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (
            conditions(check("*", LessThan=90), sampling(5)),
            "An item is reviewed when any label is below 90, or the item falls in a random 5 % sample.",
        ),
        (
            conditions(either(both(check("Weapons", GreaterThan=50), check("Weapons", LessThan=90.5)), sampling(0.01))),
            "An item is reviewed when ('Weapons' is above 50 and below 90.5) "
            "or the item falls in a random 0.01 % sample.",
        ),
        (
            conditions(
                both(check("A", LessThanEquals=1), either(check("B", Equals=2), check("C", GreaterThanEquals=3)))
            ),
            "An item is reviewed when 'A' is at most 1 and ('B' is exactly 2 or 'C' is at least 3).",
        ),
    ],
)
def test_conditions_read_as_one_sentence(document: JsonObject, sentence: str):
    assert describe(parse(document)) == sentence


def test_no_conditions_means_every_item():
    assert describe(None) == "Every item is reviewed."


@given(documents())
def test_every_bound_and_percentage_is_told(document: JsonObject):
    sentence = describe(parse(document))
    assert "\n" not in sentence
    assert sentence.count("% sample") == str(document).count("RandomSamplingPercentage")
    told = sum(sentence.count(word) for word in ("exactly", "below", "at most", "above", "at least"))
    assert told == str(document).count("'Confidence")


def test_warnings_name_unknown_labels_and_say_what_older_names_match():
    document = conditions(
        both(check("weapons", LessThan=90), check("*", LessThan=90)), check("Suggestive", LessThan=5), sampling(5)
    )
    assert warnings(parse(document)) == (
        "Conditions[0].And[0].ConditionParameters.ModerationLabelName: 'weapons' is not a label of taxonomy 7.0; "
        "it never matches.",
        "Conditions[1].ConditionParameters.ModerationLabelName: 'Suggestive' is a name of taxonomy 6.1; it matches "
        "'Non-Explicit Nudity of Intimate parts and Kissing' and 'Swimwear or Underwear'.",
    )
    assert warnings(parse(conditions(check("Weapons", LessThan=90), sampling(5)))) == ()
