"""The labels of moderation taxonomy 6.1 and the way between them and 7.0.

6.1 has two levels, and "Gambling" names both a label and its parent, so a 6.1 label is known by parent and name
together. Many steps are lossy: 6.1 knew no content types and fewer labels, and two of its labels may share one of 7.0.
"""

from collections.abc import Collection
from dataclasses import dataclass

from moderation import taxonomy

VERSION = "6.1"

# The one 6.1 label that says how the picture was made; 7.0 says it by content type.
_ILLUSTRATED = "Illustrated Explicit Nudity"


@dataclass(frozen=True, slots=True)
class LabelV6:
    """One label of 6.1. `parent` is "" on level 1; `v7` names what it became, together with `content_types` if any."""

    name: str
    parent: str
    v7: tuple[str, ...]
    description: str
    content_types: tuple[str, ...] = ()


# name, parent, counterparts in 7.0, description
_ROWS: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    ("Explicit Nudity", "", ("Explicit",), ""),
    (
        "Nudity",
        "Explicit Nudity",
        ("Exposed Female Nipple", "Exposed Buttocks or Anus"),
        "Uncovered male or female nudity.",
    ),
    ("Graphic Male Nudity", "Explicit Nudity", ("Exposed Male Genitalia",), "Full frontal male nudity, often close."),
    (
        "Graphic Female Nudity",
        "Explicit Nudity",
        ("Exposed Female Genitalia",),
        "Full frontal female nudity, often close.",
    ),
    ("Sexual Activity", "Explicit Nudity", ("Explicit Sexual Activity",), "Explicit sex acts or pornography."),
    (
        "Illustrated Explicit Nudity",
        "Explicit Nudity",
        ("Explicit Nudity", "Explicit Sexual Activity"),
        "Drawn or animated nudity, sex or pornography.",
    ),
    ("Adult Toys", "Explicit Nudity", ("Sex Toys",), "Sex toys, often in advertising."),
    ("Suggestive", "", ("Non-Explicit Nudity of Intimate parts and Kissing", "Swimwear or Underwear"), ""),
    (
        "Female Swimwear Or Underwear",
        "Suggestive",
        ("Female Swimwear or Underwear",),
        "A woman in swimwear or underwear only.",
    ),
    (
        "Male Swimwear Or Underwear",
        "Suggestive",
        ("Male Swimwear or Underwear",),
        "A man in swimwear or underwear only.",
    ),
    ("Partial Nudity", "Suggestive", ("Implied Nudity",), "Nudity hidden by hands, pose or objects."),
    ("Barechested Male", "Suggestive", ("Exposed Male Nipple",), "A shirtless man."),
    (
        "Revealing Clothes",
        "Suggestive",
        ("Non-Explicit Nudity", "Obstructed Intimate Parts"),
        "Revealing garments or poses such as deep necklines.",
    ),
    (
        "Sexual Situations",
        "Suggestive",
        ("Kissing on the Lips",),
        "Suggestive situations such as kissing or intimate poses.",
    ),
    ("Violence", "", ("Violence",), ""),
    ("Graphic Violence Or Gore", "Violence", ("Blood & Gore",), "Blood or bloody injuries in prominence."),
    ("Physical Violence", "Violence", ("Physical Violence",), "Assault such as punching or kicking."),
    ("Weapon Violence", "Violence", ("Weapon Violence",), "Violence carried out with a weapon."),
    ("Weapons", "Violence", ("Weapons",), "Firearms, blades and the like."),
    ("Self Injury", "Violence", ("Self-Harm",), "Self-inflicted cuts."),
    ("Visually Disturbing", "", ("Visually Disturbing",), ""),
    ("Emaciated Bodies", "Visually Disturbing", ("Emaciated Bodies",), "Severely malnourished bodies."),
    ("Corpses", "Visually Disturbing", ("Corpses",), "Dead human bodies."),
    ("Hanging", "Visually Disturbing", ("Corpses",), "Death by hanging."),
    ("Air Crash", "Visually Disturbing", ("Air Crash",), "Aircraft accidents."),
    ("Explosions And Blasts", "Visually Disturbing", ("Explosions and Blasts",), "Explosions."),
    ("Rude Gestures", "", ("Rude Gestures",), ""),
    ("Middle Finger", "Rude Gestures", ("Middle Finger",), "Raised middle finger."),
    ("Drugs", "", ("Drugs & Tobacco",), ""),
    ("Drug Products", "Drugs", ("Products",), "Drugs as goods."),
    ("Drug Use", "Drugs", ("Drugs & Tobacco Paraphernalia & Use",), "Someone taking drugs."),
    ("Pills", "Drugs", ("Pills",), "Tablets or capsules."),
    ("Drug Paraphernalia", "Drugs", ("Drugs & Tobacco Paraphernalia & Use",), "Equipment for drug use."),
    ("Tobacco", "", ("Drugs & Tobacco",), ""),
    ("Tobacco Products", "Tobacco", ("Products",), "Cigarettes, cigars and other tobacco goods."),
    ("Smoking", "Tobacco", ("Smoking",), "Someone smoking."),
    ("Alcohol", "", ("Alcohol",), ""),
    ("Drinking", "Alcohol", ("Drinking",), "Someone drinking alcohol."),
    ("Alcoholic Beverages", "Alcohol", ("Alcoholic Beverages",), "Alcoholic drinks."),
    ("Gambling", "", ("Gambling",), ""),
    ("Gambling", "Gambling", ("Gambling",), "Games of chance."),
    ("Hate Symbols", "", ("Hate Symbols",), ""),
    ("Nazi Party", "Hate Symbols", ("Nazi Party",), "Nazi symbols, flags or gestures."),
    ("White Supremacy", "Hate Symbols", ("White Supremacy",), "Symbols of white supremacist groups."),
    ("Extremist", "Hate Symbols", ("Extremist",), "Extremist or terrorist group symbols."),
)

LABELS: tuple[LabelV6, ...] = tuple(
    LabelV6(name, parent, v7, description, taxonomy.CONTENT_TYPES if name == _ILLUSTRATED else ())
    for name, parent, v7, description in _ROWS
)


def to_v7(name: str, parent: str | None = None) -> tuple[taxonomy.Label, ...]:
    """The 7.0 labels that the 6.1 label `name` became; empty when 6.1 has no such label.

    Without `parent` the deepest label of that name is meant ("Gambling" the child and its parent became the same).
    """
    matching = [each for each in LABELS if each.name == name and parent in (None, each.parent)]
    return tuple(taxonomy.label(v7) for v7 in matching[-1].v7) if matching else ()


def from_v7(name: str, content_types: Collection[str] = ()) -> tuple[LabelV6, ...]:
    """The 6.1 labels that say what the 7.0 label `name` says, in 6.1 order; several where 6.1 was finer.

    A label without a counterpart ("Bare Back") is said by its nearest ancestor that has one. With `content_types` the
    picture is drawn, and then nudity and sexual activity are "Illustrated Explicit Nudity". KeyError when 7.0 has no
    such label.
    """
    for each in (taxonomy.label(name), *taxonomy.ancestors(name)):
        found = [old for old in LABELS if each.name in old.v7 and _same_level(old, each)]
        drawn = tuple(old for old in found if set(old.content_types) & set(content_types))
        plain = tuple(old for old in found if not old.content_types)
        if drawn or plain:
            return drawn or plain
    return ()


def _same_level(old: LabelV6, new: taxonomy.Label) -> bool:
    """Whether both head a tree or both stand below a head: 7.0's "Alcohol" is 6.1's "Alcohol", not what is below it.

    7.0's "Gambling" has nothing below it, so it is both of 6.1's.
    """
    return (old.parent == "") == (new.level == 1) or (new.level == 1 and not taxonomy.children(new.name))
