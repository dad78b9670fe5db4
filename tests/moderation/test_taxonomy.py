from collections import Counter
from dataclasses import FrozenInstanceError

import pytest

from moderation import taxonomy, taxonomy_v6


def test_has_the_published_shape():
    levels = Counter(each.level for each in taxonomy.LABELS.values())
    assert levels == {1: 10, 2: 20, 3: 22}
    assert [each.name for each in taxonomy.roots()] == [
        "Explicit",
        "Non-Explicit Nudity of Intimate parts and Kissing",
        "Swimwear or Underwear",
        "Violence",
        "Visually Disturbing",
        "Drugs & Tobacco",
        "Alcohol",
        "Rude Gestures",
        "Gambling",
        "Hate Symbols",
    ]


def test_level_and_root_follow_from_the_parents():
    blood = taxonomy.label("Blood & Gore")
    assert (blood.parent, blood.level, blood.root) == ("Graphic Violence", 3, "Violence")
    gambling = taxonomy.label("Gambling")
    assert (gambling.parent, gambling.level, gambling.root) == ("", 1, "Gambling")


def test_names_are_spelt_as_published():
    """These spellings were otherwise in pre-release material."""
    for name in (
        "Drugs & Tobacco Paraphernalia & Use",
        "Kissing on the Lips",
        "Obstructed Intimate Parts",
        "Exposed Female Nipple",
        "Female Swimwear or Underwear",
    ):
        assert taxonomy.label(name).name == name


def test_every_label_says_what_it_means():
    assert all(len(each.description) > 10 for each in taxonomy.LABELS.values())


def test_ancestors_come_nearest_first():
    assert [each.name for each in taxonomy.ancestors("Blood & Gore")] == ["Graphic Violence", "Violence"]
    assert taxonomy.ancestors("Violence") == ()


def test_children_come_in_order():
    assert [each.name for each in taxonomy.children("Violence")] == ["Weapons", "Graphic Violence"]
    assert taxonomy.children("Gambling") == ()


def test_parents_stand_before_their_children():
    order = list(taxonomy.LABELS)
    for each in taxonomy.LABELS.values():
        for above in taxonomy.ancestors(each.name):
            assert order.index(above.name) < order.index(each.name)


@pytest.mark.parametrize("ask", [taxonomy.label, taxonomy.ancestors, taxonomy.children, taxonomy_v6.from_v7])
def test_an_unknown_name_is_a_key_error(ask):
    with pytest.raises(KeyError):
        ask("violence")


def test_nothing_can_be_changed():
    with pytest.raises(TypeError):
        taxonomy.LABELS["Violence"] = taxonomy.label("Alcohol")  # type: ignore[index]
    with pytest.raises(FrozenInstanceError):
        taxonomy.label("Violence").level = 2  # type: ignore[misc]


def test_v6_has_the_published_shape():
    parents = Counter(bool(each.parent) for each in taxonomy_v6.LABELS)
    assert parents == {False: 10, True: 35}
    heads = {each.name for each in taxonomy_v6.LABELS if not each.parent}
    assert {each.parent for each in taxonomy_v6.LABELS} == heads | {""}


def test_every_v6_label_became_something():
    for each in taxonomy_v6.LABELS:
        assert [label.name for label in taxonomy_v6.to_v7(each.name, each.parent)] == list(each.v7)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Explosions And Blasts", ["Explosions and Blasts"]),
        ("Hanging", ["Corpses"]),
        ("Suggestive", ["Non-Explicit Nudity of Intimate parts and Kissing", "Swimwear or Underwear"]),
        ("Gambling", ["Gambling"]),
        ("No such label", []),
    ],
)
def test_to_v7(old, new):
    assert [each.name for each in taxonomy_v6.to_v7(old)] == new


@pytest.mark.parametrize(
    ("new", "content_types", "old"),
    [
        ("Blood & Gore", [], [("Violence", "Graphic Violence Or Gore")]),
        ("Alcohol", [], [("", "Alcohol")]),
        ("Corpses", [], [("Visually Disturbing", "Corpses"), ("Visually Disturbing", "Hanging")]),
        ("Gambling", [], [("", "Gambling"), ("Gambling", "Gambling")]),
        ("Bare Back", [], [("Suggestive", "Revealing Clothes")]),
        ("Alcohol Use", [], [("", "Alcohol")]),
        ("Explicit Nudity", [], [("", "Explicit Nudity")]),
        ("Explicit Nudity", ["Animated"], [("Explicit Nudity", "Illustrated Explicit Nudity")]),
        ("Explicit Sexual Activity", [], [("Explicit Nudity", "Sexual Activity")]),
        ("Explicit Sexual Activity", ["Illustrated"], [("Explicit Nudity", "Illustrated Explicit Nudity")]),
        ("Weapons", ["Illustrated"], [("Violence", "Weapons")]),
    ],
)
def test_from_v7(new, content_types, old):
    assert [(each.parent, each.name) for each in taxonomy_v6.from_v7(new, content_types)] == old


def test_every_v7_label_can_be_said_in_v6():
    assert all(taxonomy_v6.from_v7(name) for name in taxonomy.LABELS)
