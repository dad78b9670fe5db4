"""The order in which labels are offered."""

from moderation.taxonomy import LABELS
from reviews.chooser import MOST_KEYS, chooser
from reviews.evidence import Evidence, Shown

NAMED = Evidence(
    blind=False,
    labels=(Shown("Violence", 1, 80.0, ()), Shown("Weapons", 2, 80.0, ()), Shown("Alcohol", 1, 60.0, ())),
)


def keys(evidence: Evidence) -> dict[str, int]:
    made = chooser(evidence)
    roots = [branch.root for branch in made.branches if branch.root]
    return {each.label.name: each.key for each in (*made.named, *roots) if each.key}


def test_every_label_is_there_once():
    for evidence in (NAMED, Evidence(blind=True)):
        made = chooser(evidence)
        names = [each.label.name for each in made.named]
        for branch in made.branches:
            names += [branch.root.label.name] if branch.root else []
            names += [each.label.name for each in branch.below]
        assert sorted(names) == sorted(LABELS)


def test_what_was_named_stands_on_top_with_the_first_digits():
    made = chooser(NAMED)
    assert [(each.label.name, each.key) for each in made.named] == [("Violence", 1), ("Weapons", 2), ("Alcohol", 3)]
    assert [branch.title.name for branch in made.branches if branch.root is None] == ["Violence", "Alcohol"]


def test_the_other_digits_go_to_the_roots_that_are_left():
    assert list(keys(NAMED).values()) == list(range(1, MOST_KEYS + 1))
    assert list(keys(Evidence(blind=True))) == [each.name for each in LABELS.values() if each.level == 1][:MOST_KEYS]


def test_a_label_keeps_its_id_wherever_it_stands():
    on_top = next(each for each in chooser(NAMED).named if each.label.name == "Weapons")
    branches = chooser(Evidence(blind=True)).branches
    below = next(each for branch in branches for each in branch.below if each.label.name == "Weapons")
    assert on_top.id == below.id
