"""The labels of moderation taxonomy 7.0 as a frozen tree of three levels, in the order answers list them.

Names, parents and levels follow Amazon Rekognition's published moderation taxonomy 7.0, so that filters written for
it keep working. Descriptions are our own words. The older taxonomy 6.1 and the way between the two is in
`taxonomy_v6.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

VERSION = "7.0"

# Not labels of the tree: said of the whole picture, beside the labels.
CONTENT_TYPES = ("Animated", "Illustrated")


@dataclass(frozen=True, slots=True)
class Label:
    """One label: `parent` is "" on level 1; `root` is the level-1 label above it (itself on level 1)."""

    name: str
    parent: str
    level: int
    root: str
    description: str


# name, parent, description; a parent stands before its children.
_ROWS: tuple[tuple[str, str, str], ...] = (
    (
        "Explicit",
        "",
        "Sexually explicit material of any kind; umbrella for nudity of intimate parts, sex acts and sex toys.",
    ),
    ("Explicit Nudity", "Explicit", "Intimate body parts shown uncovered."),
    (
        "Exposed Male Genitalia",
        "Explicit Nudity",
        "Penis (any state), scrotum or visible male pubic hair, shown fully or in part, in a sexual or any other "
        "context.",
    ),
    (
        "Exposed Female Genitalia",
        "Explicit Nudity",
        "Vulva, vagina or visible female pubic hair, shown fully or in part, in a sexual or any other context.",
    ),
    (
        "Exposed Buttocks or Anus",
        "Explicit Nudity",
        "Fully bare buttocks or anus, including when seen through sheer fabric; not used when clothing or "
        "underwear covers any of it.",
    ),
    ("Exposed Female Nipple", "Explicit Nudity", "A woman's nipple or areola, wholly or partly visible."),
    (
        "Explicit Sexual Activity",
        "Explicit",
        "Real or simulated sex acts: intercourse, oral sex, genital stimulation by body parts or objects, "
        "ejaculate or vaginal fluid on a body, BDSM practice or role play.",
    ),
    ("Sex Toys", "Explicit", "Objects made for sexual stimulation, such as vibrators, dildos, plugs or beads."),
    (
        "Non-Explicit Nudity of Intimate parts and Kissing",
        "",
        "Partial or suggested nudity, covered-but-outlined intimate parts, and mouth-to-mouth kissing.",
    ),
    (
        "Non-Explicit Nudity",
        "Non-Explicit Nudity of Intimate parts and Kissing",
        "Bare skin that stops short of explicit nudity.",
    ),
    (
        "Bare Back",
        "Non-Explicit Nudity",
        "A back whose skin is mostly visible from the neck down to the end of the spine; not used if the back is "
        "partly or wholly hidden.",
    ),
    ("Exposed Male Nipple", "Non-Explicit Nudity", "A man's nipple, even if only partly visible."),
    (
        "Partially Exposed Buttocks",
        "Non-Explicit Nudity",
        "Part of the buttocks or the top of the cleft showing, for example under short clothes; not used for "
        "fully bare buttocks.",
    ),
    (
        "Partially Exposed Female Breast",
        "Non-Explicit Nudity",
        "Some of a woman's breast (inner fold or lower crease) visible while the nipple stays covered.",
    ),
    (
        "Implied Nudity",
        "Non-Explicit Nudity",
        "A person who is topless, bottomless or nude but whose nipples, genitals or buttocks are hidden or out "
        "of view.",
    ),
    (
        "Obstructed Intimate Parts",
        "Non-Explicit Nudity of Intimate parts and Kissing",
        "Intimate parts covered by opaque cloth while their outline is plain to see.",
    ),
    (
        "Obstructed Female Nipple",
        "Obstructed Intimate Parts",
        "Nipples covered by opaque clothing but with their shape clearly visible.",
    ),
    (
        "Obstructed Male Genitalia",
        "Obstructed Intimate Parts",
        "Penis or genitals covered by opaque clothing with the shape clearly visible, shown close up.",
    ),
    ("Kissing on the Lips", "Non-Explicit Nudity of Intimate parts and Kissing", "Two people whose lips touch."),
    ("Swimwear or Underwear", "", "Someone wearing swimwear or underwear, or such garments."),
    (
        "Female Swimwear or Underwear",
        "Swimwear or Underwear",
        "Women's swimwear (one-piece, bikini, tankini) or underwear (bra, panties, lingerie, thong).",
    ),
    (
        "Male Swimwear or Underwear",
        "Swimwear or Underwear",
        "Men's swimwear (trunks, board shorts, briefs) or underwear (briefs, boxers).",
    ),
    ("Violence", "", "Weapons or acts and results of violence."),
    ("Weapons", "Violence", "Things made to hurt or destroy: firearms, blades, explosives, ammunition."),
    ("Graphic Violence", "Violence", "Violent acts or their visible consequences."),
    ("Weapon Violence", "Graphic Violence", "A weapon being used to harm oneself, others or property."),
    (
        "Physical Violence",
        "Graphic Violence",
        "Hitting, fighting, hair pulling or other physical harm to people or property, crowd violence included.",
    ),
    ("Self-Harm", "Graphic Violence", "A person injuring themselves, typically visible cuts on arms or legs."),
    (
        "Blood & Gore",
        "Graphic Violence",
        "Open wounds, bloodshed or mutilated parts on people or animals as a result of violence.",
    ),
    ("Explosions and Blasts", "Graphic Violence", "A violent burst of flame with heavy smoke or dust."),
    ("Visually Disturbing", "", "Images that upset most viewers: death, starvation, crashes."),
    ("Death and Emaciation", "Visually Disturbing", "Dead or severely starved human bodies."),
    ("Emaciated Bodies", "Death and Emaciation", "Extremely thin, malnourished bodies with wasted muscle and fat."),
    ("Corpses", "Death and Emaciation", "Human remains: mutilated or hanging bodies, or skeletons."),
    ("Crashes", "Visually Disturbing", "Vehicle accidents."),
    (
        "Air Crash",
        "Crashes",
        "Accidents of aircraft (planes, helicopters, other flying craft) with damage or casualties, when part of "
        "the craft is visible.",
    ),
    ("Drugs & Tobacco", "", "Drug or tobacco products, equipment or use."),
    ("Products", "Drugs & Tobacco", "Drugs or tobacco as goods (pills, plants, cigarettes and so on)."),
    (
        "Pills",
        "Products",
        "Small solid tablets or capsules, loose, in a bottle or in a clear packet; not a person swallowing them.",
    ),
    (
        "Drugs & Tobacco Paraphernalia & Use",
        "Drugs & Tobacco",
        "Equipment for, or the act of, taking drugs or tobacco.",
    ),
    (
        "Smoking",
        "Drugs & Tobacco Paraphernalia & Use",
        "Lighting, inhaling or exhaling cigarettes, cigars, e-cigarettes, hookah or joints.",
    ),
    ("Alcohol", "", "Alcoholic drinks or drinking."),
    ("Alcohol Use", "Alcohol", "People consuming alcohol."),
    ("Drinking", "Alcohol Use", "Someone drinking alcohol from a bottle or glass."),
    (
        "Alcoholic Beverages",
        "Alcohol",
        "Close views of bottles, glasses or mugs of alcohol, including when held, but not being drunk.",
    ),
    ("Rude Gestures", "", "Offensive hand gestures."),
    ("Middle Finger", "Rude Gestures", "A hand with the middle finger raised and the others folded."),
    ("Gambling", "", "Playing games of chance for prizes, such as casino cards, roulette or slot machines."),
    ("Hate Symbols", "", "Symbols of hate groups."),
    ("Nazi Party", "Hate Symbols", "Symbols, flags or gestures tied to the Nazi party."),
    ("White Supremacy", "Hate Symbols", "Ku Klux Klan symbols or clothing, or confederate flags."),
    ("Extremist", "Hate Symbols", "Flags of extremist or terrorist groups."),
)


def _grow(rows: tuple[tuple[str, str, str], ...]) -> Mapping[str, Label]:
    """Labels by name from (name, parent, description) rows; level and root follow from the parent above."""
    labels: dict[str, Label] = {}
    for name, parent, description in rows:
        above = labels[parent] if parent else None
        level, root = (above.level + 1, above.root) if above else (1, name)
        labels[name] = Label(name, parent, level, root, description)
    return MappingProxyType(labels)


LABELS: Mapping[str, Label] = _grow(_ROWS)


def label(name: str) -> Label:
    """The label of exactly this name (case matters); KeyError when the taxonomy has none."""
    return LABELS[name]


def ancestors(name: str) -> tuple[Label, ...]:
    """The labels above `name`, nearest first; empty on level 1. KeyError for an unknown name."""
    parent = LABELS[name].parent
    return (LABELS[parent], *ancestors(parent)) if parent else ()


def children(name: str) -> tuple[Label, ...]:
    """The labels directly below `name`, in taxonomy order. KeyError for an unknown name."""
    return tuple(each for each in LABELS.values() if each.parent == LABELS[name].name)


def roots() -> tuple[Label, ...]:
    """The ten labels of level 1, in taxonomy order."""
    return tuple(each for each in LABELS.values() if not each.parent)
