"""x"""
from collections.abc import Mapping
from moderation import taxonomy
def with_ancestors(scores: Mapping[str, float]) -> dict[str, float]:
    best = dict(scores)
    for name, score in scores.items():
        for above in taxonomy.ancestors(name):
            best[above.name] = max(score, best.get(above.name, 0.0))
    return {name: best[name] for name in taxonomy.LABELS if name in best}
