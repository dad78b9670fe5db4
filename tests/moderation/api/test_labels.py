"""The taxonomy over REST."""

import pytest
from pytest_django import DjangoAssertNumQueries, Settings

from moderation import taxonomy
from moderation.inference.types import Evidence
from tests.world import World, api_client

PATH = "/api/v1/labels/"


def test_every_label_is_there(world: World) -> None:
    body = api_client(world.key).get(PATH).json()
    shown = [(row["name"], row["parent"], row["level"], row["description"]) for row in body["labels"]]
    assert shown == [(each.name, each.parent, each.level, each.description) for each in taxonomy.LABELS.values()]
    assert [row["name"] for row in body["content_types"]] == ["Animated", "Illustrated"]
    assert body["taxonomy_version"] == "7.0"


@pytest.mark.parametrize("engine", ["fake", "default"])
def test_what_the_engines_word_rests_on(world: World, settings: Settings, engine: str) -> None:
    settings.ENGINE = engine
    body = api_client(world.key).get(PATH).json()
    evidence = {row["name"]: row["evidence"] for row in body["labels"]}
    assert body["engine"] == engine
    assert set(evidence.values()) <= {each.value for each in Evidence}
    assert evidence["Explicit Nudity"] != "not_detected"
    assert evidence["Air Crash"] == "not_detected"  # no engine of ours sees one


def test_measured_comes_with_figures(world: World, settings: Settings) -> None:
    settings.ENGINE = "default"
    rows = {row["name"]: row for row in api_client(world.key).get(PATH).json()["labels"]}
    assert [name for name, row in rows.items() if row["figures"]] == [
        name for name, row in rows.items() if row["evidence"] == "measured"
    ]
    assert rows["Explicit Nudity"]["figures"] is None
    figures = rows["Weapons"]["figures"]
    assert (figures["pictures_showing"], figures["other_pictures"]) == (1000, 2560)
    assert figures["average_precision"] == 0.842
    assert figures["thresholds"][0] == {"confidence": 50, "precision": 0.963, "recall": 0.514, "false_alarms": 0.008}


def test_it_may_be_kept(world: World, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    client = api_client(world.key)
    first = client.get(PATH)
    assert first["Cache-Control"] == "private, max-age=3600"
    again = client.get(PATH, headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(PATH, headers={"If-None-Match": '"other"'}).status_code == 200
    with django_assert_num_queries(1):  # the key
        client.get(PATH)
