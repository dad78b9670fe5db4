"""Scores as clients see them: the labels of taxonomy 7.0, or those of 6.1 for accounts that ask for the older names.

A score of exactly 0 means that nothing speaks for a label, so that even MinConfidence 0 does not bring it up.
"""

from collections.abc import Collection, Mapping

from moderation import taxonomy_v6
from moderation.models import Account, Analysis
from moderation.taxonomy import LABELS, ancestors, children
from moderation.taxonomy_v6 import LabelV6

# From this confidence on a picture counts as drawn, where 6.1 tells drawn nudity from photographed.
DRAWN_FROM = 50.0

_ORDER = {name: position for position, name in enumerate(LABELS)}
_ORDER_V6 = {label: position for position, label in enumerate(taxonomy_v6.LABELS)}
_HEADS_V6 = {label.name: label for label in taxonomy_v6.LABELS if not label.parent}


def answer(analysis: Analysis, min_confidence: float, version: str) -> dict[str, object]:
    """What DetectModerationLabels says of a finished analysis, in that version of the taxonomy."""
    scores, types = analysis.scores["labels"], analysis.scores["content_types"]
    if version == Account.Taxonomy.V6_1:
        drawn = {name for name, score in types.items() if score >= DRAWN_FROM}
        return {
            "ModerationLabels": labels_v6(scores, min_confidence, drawn),
            "ModerationModelVersion": taxonomy_v6.VERSION,
        }
    return {
        "ModerationLabels": labels(scores, min_confidence),
        "ModerationModelVersion": analysis.moderation_model,
        "ContentTypes": content_types(types, min_confidence),
    }


def labels(scores: Mapping[str, float], min_confidence: float) -> list[dict[str, object]]:
    """Chains by falling confidence, each from its lowest label up to level 1; no label twice."""
    shown = _shown(scores, min_confidence)
    inner = {LABELS[name].parent for name in shown}
    ends = sorted(shown.keys() - inner, key=lambda name: (-shown[name], _ORDER[name]))
    chains = (name for end in ends for name in (end, *(label.name for label in ancestors(end))))
    return [
        {
            "Name": name,
            "Confidence": shown[name],
            "ParentName": LABELS[name].parent,
            "TaxonomyLevel": LABELS[name].level,
        }
        for name in dict.fromkeys(chains)
    ]


def content_types(scores: Mapping[str, float], min_confidence: float) -> list[dict[str, object]]:
    """The content types at or above a confidence, the surest first."""
    found = sorted(_shown(scores, min_confidence).items(), key=lambda item: (-item[1], item[0]))
    return [{"Name": name, "Confidence": score} for name, score in found]


def labels_v6(scores: Mapping[str, float], min_confidence: float, drawn: Collection[str]) -> list[dict[str, object]]:
    """The same under the names of 6.1: two levels, each label before its parent; `drawn` names the content types.

    A label of 7.0 is translated where it is surer than all below it: what only repeats a label below would otherwise
    bring up its sisters.
    """
    shown = _shown(scores, min_confidence)
    found: dict[LabelV6, float] = {}
    for name, score in shown.items():
        if all(shown.get(child.name, 0) < score for child in children(name)):
            for label in taxonomy_v6.from_v7(name, drawn):
                for each in (label, _HEADS_V6.get(label.parent, label)):
                    found[each] = max(score, found.get(each, 0))
    inner = {_HEADS_V6[label.parent] for label in found if label.parent}
    ends = sorted(found.keys() - inner, key=lambda label: (-found[label], _ORDER_V6[label]))
    chains = (each for end in ends for each in (end, _HEADS_V6.get(end.parent, end)))
    return [
        {"Name": label.name, "Confidence": found[label], "ParentName": label.parent} for label in dict.fromkeys(chains)
    ]


def _shown(scores: Mapping[str, float], min_confidence: float) -> dict[str, float]:
    return {name: score for name, score in scores.items() if score >= min_confidence and score > 0}
