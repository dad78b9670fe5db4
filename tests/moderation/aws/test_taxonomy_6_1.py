"""Accounts that ask for the names of taxonomy 6.1: two levels, the older names, conditions written in either."""

import json
from typing import Any

import pytest
from mypy_boto3_rekognition import RekognitionClient

from moderation import taxonomy_v6
from moderation.aws.taxonomy_view import labels_v6
from moderation.inference import fake
from moderation.inference.fusion import with_ancestors
from moderation.taxonomy import CONTENT_TYPES, LABELS
from reviews.models import HumanLoop
from tests import media
from tests.moderation.aws.conftest import ClientFor
from tests.moderation.aws.rekognition_world import CONFIG, flow
from tests.world import World

NAMES_6_1 = {(label.name, label.parent) for label in taxonomy_v6.LABELS}


def pairs(labels: Any) -> list[tuple[str, str]]:
    return [(label["Name"], label["ParentName"]) for label in labels]


def told(scores: dict[str, float], min_confidence: float = 50, drawn: tuple[str, ...] = ()) -> list[tuple[str, float]]:
    """Names and confidences for these scores; ancestors are as sure as what is below them, unless said otherwise."""
    given = {**with_ancestors(scores), **scores}
    return [(str(each["Name"]), float(str(each["Confidence"]))) for each in labels_v6(given, min_confidence, drawn)]


# --- the translation --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("Weapons", ["Weapons", "Violence"]),
        ("Blood & Gore", ["Graphic Violence Or Gore", "Violence"]),
        ("Exposed Female Nipple", ["Nudity", "Explicit Nudity"]),
        ("Exposed Male Nipple", ["Barechested Male", "Suggestive"]),
        ("Smoking", ["Smoking", "Tobacco"]),
        ("Drinking", ["Drinking", "Alcohol"]),
        ("Explosions and Blasts", ["Explosions And Blasts", "Visually Disturbing"]),
        ("Gambling", ["Gambling", "Gambling"]),
        ("Middle Finger", ["Middle Finger", "Rude Gestures"]),
        # 6.1 was finer: it cannot be told which, so both are.
        ("Corpses", ["Corpses", "Visually Disturbing", "Hanging"]),
        ("Drugs & Tobacco", ["Drugs", "Tobacco"]),
        # 6.1 had no name for it: its nearest ancestor's.
        ("Bare Back", ["Revealing Clothes", "Suggestive"]),
        ("Explicit Nudity", ["Explicit Nudity"]),
    ],
)
def test_one_label(label: str, expected: list[str]) -> None:
    assert told({label: 90}) == [(name, 90) for name in expected]


def test_drawn_nudity_has_a_name_of_its_own() -> None:
    assert told({"Explicit Sexual Activity": 90}) == [("Sexual Activity", 90), ("Explicit Nudity", 90)]
    drawn = told({"Explicit Sexual Activity": 90}, drawn=("Illustrated",))
    assert drawn == [("Illustrated Explicit Nudity", 90), ("Explicit Nudity", 90)]


def test_a_label_above_others_speaks_only_where_it_is_surer() -> None:
    sure_below = {"Exposed Male Nipple": 95.0, "Non-Explicit Nudity": 95.0}
    assert told(sure_below) == [("Barechested Male", 95), ("Suggestive", 95)]
    sure_above = {"Exposed Male Nipple": 60.0, "Non-Explicit Nudity": 95.0}
    assert told(sure_above) == [("Revealing Clothes", 95), ("Suggestive", 95), ("Barechested Male", 60)]


def test_several_labels_are_one_where_6_1_had_one_name() -> None:
    assert told({"Exposed Female Nipple": 70, "Exposed Buttocks or Anus": 90}) == [
        ("Nudity", 90),
        ("Explicit Nudity", 90),
    ]


def test_order_and_threshold() -> None:
    scores = {"Weapons": 95.0, "Blood & Gore": 80.0, "Smoking": 97.0, "Pills": 49.9, "Rude Gestures": 0.0}
    assert told(scores) == [
        ("Smoking", 97),
        ("Tobacco", 97),
        ("Weapons", 95),
        ("Violence", 95),
        ("Graphic Violence Or Gore", 80),
    ]
    assert ("Pills", 49.9) in told(scores, 0)
    assert "Rude Gestures" not in dict(told(scores, 0))
    assert told(scores, 99) == []


@pytest.mark.parametrize("drawn", [(), CONTENT_TYPES])
def test_every_label_has_a_name_with_its_parent_and_none_comes_twice(drawn: tuple[str, ...]) -> None:
    for name in LABELS:
        found = pairs(labels_v6(with_ancestors({name: 90.0}), 50, drawn))
        assert found, name
        assert set(found) <= NAMES_6_1
        assert len(found) == len(set(found))
        for _, parent in found:
            assert not parent or (parent, "") in found


# --- over the wire ----------------------------------------------------------------------------------------------------


@pytest.fixture
def old_client(client_for: ClientFor, world: World, transactional_db: None) -> RekognitionClient:
    """Acme asks for the older names."""
    world.acme.taxonomy = "6.1"
    world.acme.save()
    return client_for(world.key)


@pytest.mark.django_db(transaction=True)
def test_an_answer_in_6_1_has_no_members_of_7(
    old_client: RekognitionClient, client_for: ClientFor, world: World
) -> None:
    data = media.picture("Blood & Gore", 87, illustrated=True)
    answer = old_client.detect_moderation_labels(Image={"Bytes": data})
    confidence = answer["ModerationLabels"][0]["Confidence"]
    assert answer["ModerationLabels"] == [
        {"Name": "Graphic Violence Or Gore", "ParentName": "Violence", "Confidence": confidence},
        {"Name": "Violence", "ParentName": "", "Confidence": confidence},
    ]
    assert answer["ModerationModelVersion"] == "6.1"
    assert answer.keys() == {"ModerationLabels", "ModerationModelVersion", "ResponseMetadata"}
    others = client_for(world.outsider_key).detect_moderation_labels(Image={"Bytes": data})
    assert others["ModerationModelVersion"] == "7.0"
    assert others["ModerationLabels"][0]["Name"] == "Blood & Gore"
    assert others["ModerationLabels"][0]["Confidence"] == confidence


@pytest.mark.django_db(transaction=True)
def test_every_label_of_the_engine_and_none(old_client: RekognitionClient) -> None:
    for label in fake._NAMES:
        found = pairs(
            old_client.detect_moderation_labels(Image={"Bytes": media.picture(label, 90)})["ModerationLabels"]
        )
        assert found and set(found) <= NAMES_6_1
    assert old_client.detect_moderation_labels(Image={"Bytes": media.picture()})["ModerationLabels"] == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["Graphic Violence Or Gore", "Blood & Gore", "Violence", "*"])
def test_conditions_in_either_taxonomys_names_fire(old_client: RekognitionClient, world: World, name: str) -> None:
    """They are evaluated on the labels of 7.0, and the trace repeats them as they were written."""
    flow(world.acme, below=90, label=name)
    data = media.picture("Blood & Gore", 70)
    output = old_client.detect_moderation_labels(Image={"Bytes": data}, HumanLoopConfig=CONFIG)[
        "HumanLoopActivationOutput"
    ]
    assert output["HumanLoopArn"].endswith("/loop-1")
    [node] = json.loads(output["HumanLoopActivationConditionsEvaluationResults"])["Conditions"]
    assert node["EvaluationResult"] is True
    assert node["ConditionParameters"]["ModerationLabelName"] == name
    seen = HumanLoop.objects.get().input_content["aiServiceResponse"]
    assert seen["moderationModelVersion"] == "7.0"
    assert "Blood & Gore" in [label["name"] for label in seen["moderationLabels"]]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("taxonomy", ["7.0", "6.1"])
def test_old_names_fire_for_every_account_and_hold_back_where_they_should(
    acme: RekognitionClient, world: World, taxonomy: str
) -> None:
    world.acme.taxonomy = taxonomy
    world.acme.save()
    flow(world.acme, below=90, label="Tobacco")
    for label, begins in (("Smoking", True), ("Weapons", False)):
        config: Any = {**CONFIG, "HumanLoopName": label.lower()}
        answer = acme.detect_moderation_labels(Image={"Bytes": media.picture(label, 70)}, HumanLoopConfig=config)
        assert ("HumanLoopArn" in answer["HumanLoopActivationOutput"]) is begins
