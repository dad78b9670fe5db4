"""The labels as a reviewer chooses among them: what the machine named on top, below it the rest of the taxonomy."""

from collections.abc import Iterator
from dataclasses import dataclass

from moderation import taxonomy
from moderation.taxonomy import Label
from reviews.evidence import Evidence, Shown

MOST_KEYS = 9
_PLACES = {name: place for place, name in enumerate(taxonomy.LABELS)}


@dataclass(frozen=True, slots=True)
class Choice:
    """One label to choose; `key` is the digit that toggles it, `shown` what the machine says of it."""

    label: Label
    key: int | None = None
    shown: Shown | None = None

    @property
    def id(self) -> str:
        """A name for the page's elements: the label's place in the taxonomy."""
        return f"label-{_PLACES[self.label.name]}"


@dataclass(frozen=True, slots=True)
class Branch:
    """A level-1 label and what is below it.  `root` is None where the machine named it, so that it stands on top."""

    title: Label
    root: Choice | None
    below: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class Chooser:
    """Every label of the taxonomy exactly once."""

    named: tuple[Choice, ...]
    branches: tuple[Branch, ...]


def chooser(evidence: Evidence) -> Chooser:
    """The labels for one item.  The digits 1 to 9 go to those on top, then to the level-1 labels that are left."""
    keys = iter(range(1, MOST_KEYS + 1))
    shown = {each.name: each for each in evidence.labels}
    named = tuple(Choice(taxonomy.label(name), next(keys, None), each) for name, each in shown.items())
    branches = tuple(_branch(root, shown, keys) for root in taxonomy.roots())
    return Chooser(named, branches)


def _branch(root: Label, shown: dict[str, Shown], keys: Iterator[int]) -> Branch:
    below = tuple(
        Choice(each)
        for each in taxonomy.LABELS.values()
        if each.root == root.name and each.level > 1 and each.name not in shown
    )
    return Branch(root, None if root.name in shown else Choice(root, next(keys, None)), below)
