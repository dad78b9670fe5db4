"""Estimates from reviews: weighted shares with intervals, and agreement between raters.

Reviewed items are no fair sample of all items, so each counts with the weight 1 / (its inclusion probability). Where
an estimate does not exist (nothing flagged, no pair of ratings, no variation) the answer is None, not a made-up number.
"""

import math
import random
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist

CONFIDENCE = 0.95

Unit = Sequence[Hashable | None]
"""The ratings of one item, None where a rater gave none."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """A weighted estimate. `n` counts the items it rests on, `n_eff` = (sum w)^2 / sum w^2 what they are worth."""

    value: float
    standard_error: float
    interval: Interval
    n: int
    n_eff: float


def hajek_mean(values: Sequence[float], weights: Sequence[float], confidence: float = CONFIDENCE) -> Estimate | None:
    """The mean over all items, from sampled ones weighted by 1 / inclusion probability (Hajek 1971)."""
    return weighted_ratio(values, [1.0] * len(values), weights, confidence)


def precision(
    flagged: Sequence[bool], actual: Sequence[bool], weights: Sequence[float], confidence: float = CONFIDENCE
) -> Estimate | None:
    """The share of the flagged items that are truly positive; None when nothing was flagged."""
    both = [a and b for a, b in zip(flagged, actual, strict=True)]
    return weighted_ratio(both, flagged, weights, confidence)


def recall(
    flagged: Sequence[bool], actual: Sequence[bool], weights: Sequence[float], confidence: float = CONFIDENCE
) -> Estimate | None:
    """The share of the truly positive items that were flagged; None when nothing is positive."""
    return precision(actual, flagged, weights, confidence)


def weighted_ratio(
    numerators: Sequence[float], denominators: Sequence[float], weights: Sequence[float], confidence: float = CONFIDENCE
) -> Estimate | None:
    """sum(w y) / sum(w x) with its linearised standard error; None when the denominator is not positive.

    The error is that of sampling with replacement, which is a little too large rather than too small. For a share
    (x is 0 or 1, and y is at most x) the interval is Wilson's with n_eff, else the normal one. With one item the error
    is unknown: infinity. ValueError for sequences of unequal length, or a weight that is not positive and finite.
    """
    _check_weights(weights)
    rows = [(w * y, w * x) for w, y, x in zip(weights, numerators, denominators, strict=True)]
    total = math.fsum(x for _, x in rows)
    if total <= 0:
        return None
    value = math.fsum(y for y, _ in rows) / total
    n = len(rows)
    squares = math.fsum(((y - value * x) / total) ** 2 for y, x in rows)
    error = math.sqrt(squares * n / (n - 1)) if n > 1 else math.inf
    n_eff = total**2 / math.fsum(x * x for _, x in rows)
    share = all(x in (0, 1) and y in (0, x) for y, x in zip(numerators, denominators, strict=True))
    interval = wilson_interval(value, n_eff, confidence) if share else _normal_interval(value, error, confidence)
    return Estimate(value, error, interval, sum(x != 0 for x in denominators), n_eff)


def wilson_interval(share: float, n: float, confidence: float = CONFIDENCE) -> Interval:
    """Wilson's score interval of a share (0 to 1) seen in n items; n may be an effective, fractional size."""
    if n <= 0:
        return Interval(0.0, 1.0)
    z2 = _z(confidence) ** 2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    reach = math.sqrt(z2) / (1 + z2 / n) * math.sqrt(max(share * (1 - share), 0.0) / n + z2 / (4 * n * n))
    return Interval(max(0.0, middle - reach), min(1.0, middle + reach))


def rule_of_three(n: int) -> float:
    """The upper 95 % bound, about 3 / n, of a rate that showed not once in n items; 1 where n says nothing."""
    return min(1.0, 3 / n) if n > 0 else 1.0


def cohen_kappa(first: Unit, second: Unit) -> float | None:
    """Agreement of two raters beyond chance (Cohen 1960) on the items both rated; None when chance alone is certain."""
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    if not pairs:
        return None
    n = len(pairs)
    left, right = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    by_chance = sum(left[each] * right[each] for each in left) / n**2
    observed = sum(a == b for a, b in pairs) / n
    return None if by_chance == 1 else (observed - by_chance) / (1 - by_chance)


def krippendorff_alpha(units: Sequence[Unit]) -> float | None:
    """Krippendorff's alpha for nominal values: any number of raters, gaps allowed.

    One minus observed over expected disagreement among the pairable values (Krippendorff 2011, "Computing
    Krippendorff's Alpha-Reliability"). None when no item has two ratings, or all ratings are the same value.
    """
    counts = [count for count in map(_counted, units) if count.total() > 1]
    values = sum(counts, Counter[Hashable]())
    n = values.total()
    expected = n * n - sum(c * c for c in values.values())
    if expected == 0:
        return None
    observed = sum((c.total() ** 2 - sum(k * k for k in c.values())) / (c.total() - 1) for c in counts)
    return 1 - (n - 1) * observed / expected


def gwet_ac1(units: Sequence[Unit], categories: Sequence[Hashable] | None = None) -> float | None:
    """Gwet's AC1 for any number of raters with gaps; steady where one value is rare and kappa misleads (Gwet 2008).

    `categories` are all values that could have been given; by default those that were. None when no item has two
    ratings, or only one value could be given.
    """
    counts = [count for count in map(_counted, units) if count]
    pairable = [count for count in counts if count.total() > 1]
    values = set(categories or ()).union(*counts)
    if not pairable or len(values) < 2:
        return None
    agreeing = [sum(k * (k - 1) for k in c.values()) / (c.total() * (c.total() - 1)) for c in pairable]
    observed = math.fsum(agreeing) / len(pairable)
    shares = [math.fsum(c[value] / c.total() for c in counts) / len(counts) for value in values]
    by_chance = math.fsum(share * (1 - share) for share in shares) / (len(values) - 1)
    return (observed - by_chance) / (1 - by_chance)


def pairwise_kappa(units: Sequence[Unit]) -> dict[tuple[int, int], float | None]:
    """Cohen's kappa of each pair of raters, by their places in the units."""
    raters = list(zip(*units, strict=True))
    return {(i, j): cohen_kappa(raters[i], raters[j]) for i, j in combinations(range(len(raters)), 2)}


def bootstrap_interval(
    units: Sequence[Unit],
    statistic: Callable[[Sequence[Unit]], float | None],
    confidence: float = CONFIDENCE,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval | None:
    """The percentile interval of a statistic when items are drawn again with replacement; the same for the same seed.

    None when the statistic exists in fewer than half of the resamples.
    """
    rng = random.Random(seed)  # noqa: S311 - resampling, no secret
    drawn = (statistic(rng.choices(units, k=len(units))) for _ in range(resamples if units else 0))
    found = sorted(value for value in drawn if value is not None)
    if not found or len(found) < resamples / 2:
        return None
    tail = (1 - confidence) / 2 * (len(found) - 1)
    return Interval(found[math.floor(tail)], found[-1 - math.floor(tail)])


def _counted(unit: Unit) -> Counter[Hashable]:
    return Counter(value for value in unit if value is not None)


def _check_weights(weights: Sequence[float]) -> None:
    if not all(weight > 0 and math.isfinite(weight) for weight in weights):
        raise ValueError("weights must be positive and finite: one over an inclusion probability")


def _normal_interval(value: float, error: float, confidence: float) -> Interval:
    reach = _z(confidence) * error
    return Interval(value - reach, value + reach)


def _z(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)
