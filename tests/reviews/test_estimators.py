"""Estimators against published examples, and against a world whose truth is known."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviews.estimators import (
    Interval,
    bootstrap_interval,
    cohen_kappa,
    gwet_ac1,
    hajek_mean,
    krippendorff_alpha,
    pairwise_kappa,
    precision,
    recall,
    rule_of_three,
    weighted_ratio,
    wilson_interval,
)

_: None = None
# Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", part C: four observers, twelve units, gaps.
OBSERVERS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
    [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _],
]
UNITS = list(zip(*OBSERVERS, strict=True))


def test_alpha_of_the_published_example():
    assert krippendorff_alpha(UNITS) == pytest.approx(0.743, abs=5e-4)


def test_alpha_of_the_two_observer_examples_of_the_same_paper():
    binary = zip([0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0], strict=True)
    assert krippendorff_alpha(list(binary)) == pytest.approx(0.095, abs=5e-4)
    nominal = zip("aabbdcccedda", "babbbccceddd", strict=True)
    assert krippendorff_alpha(list(nominal)) == pytest.approx(0.692, abs=5e-4)


def test_ac1_of_the_published_example():
    assert gwet_ac1(UNITS) == pytest.approx(0.77544, abs=5e-6)


def test_kappa_of_the_published_example():
    """Fifty proposals judged by two readers: 20 both yes, 15 both no, 5 and 10 apart; kappa 0.4."""
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert cohen_kappa(first, second) == pytest.approx(0.4)


def test_kappa_leaves_gaps_out_and_goes_by_pair():
    assert cohen_kappa([1, 2, _, 1], [1, 2, 2, _]) == 1.0
    units = [(1, 1, 2), (2, 2, 1), (1, 1, _), (_, 2, 2)]
    assert pairwise_kappa(units) == {(0, 1): 1.0, (0, 2): -1.0, (1, 2): pytest.approx(-0.5)}


def test_ac1_stays_steady_where_kappa_and_alpha_mislead():
    """Ninety-eight items alike and two apart: nearly full agreement, a kappa of about nought."""
    units = [("no", "no")] * 98 + [("yes", "no"), ("no", "yes")]
    assert cohen_kappa(*zip(*units, strict=True)) == pytest.approx(-0.0101, abs=1e-4)
    alpha, ac1 = krippendorff_alpha(units), gwet_ac1(units)
    assert alpha is not None and alpha < 0
    assert ac1 == pytest.approx(0.9796, abs=1e-4)


def test_agreement_without_variation_or_pairs_is_unknown():
    alike, alone = [(1, 1), (1, 1)], [(1, _), (_, 2)]
    assert krippendorff_alpha(alike) is cohen_kappa([1, 1], [1, 1]) is gwet_ac1(alike) is None
    assert gwet_ac1(alike, categories=[0, 1]) == 1.0
    assert krippendorff_alpha(alone) is gwet_ac1(alone) is cohen_kappa([1, _], [_, 2]) is None
    assert krippendorff_alpha([]) is gwet_ac1([]) is cohen_kappa([], []) is None


def test_bootstrap_over_items_is_repeatable_and_brackets_the_value():
    interval = bootstrap_interval(UNITS, krippendorff_alpha, resamples=300)
    assert interval is not None
    assert interval == bootstrap_interval(UNITS, krippendorff_alpha, resamples=300)
    assert 0.2 < interval.low < 0.743 < interval.high <= 1
    assert bootstrap_interval([], krippendorff_alpha) is None
    assert bootstrap_interval([(1, 1)] * 5, krippendorff_alpha) is None


def test_bootstrap_percentiles():
    units = [(i,) for i in range(400)]
    interval = bootstrap_interval(units, lambda drawn: sum(u[0] for u in drawn) / len(drawn), resamples=2000)  # type: ignore[misc]
    assert interval is not None
    reach = 1.96 * math.sqrt((400**2 - 1) / 12 / 400)
    assert interval.low == pytest.approx(199.5 - reach, abs=1)
    assert interval.high == pytest.approx(199.5 + reach, abs=1)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_interval_of_the_published_examples(successes: int, n: int, low: float, high: float):
    interval = wilson_interval(successes / n, n)
    assert interval.low == pytest.approx(low, abs=5e-5)
    assert interval.high == pytest.approx(high, abs=5e-5)


def test_wilson_interval_narrows_with_less_confidence_and_knows_nothing_from_nothing():
    assert wilson_interval(0.5, 100, confidence=0.8).low > wilson_interval(0.5, 100).low
    assert wilson_interval(0.5, 0) == Interval(0.0, 1.0)


@given(st.floats(0, 1), st.floats(0.5, 1e6))
def test_wilson_interval_holds_the_share(share: float, n: float):
    interval = wilson_interval(share, n)
    assert 0 <= interval.low <= share + 1e-12
    assert share - 1e-12 <= interval.high <= 1


def test_rule_of_three():
    assert (rule_of_three(300), rule_of_three(2), rule_of_three(0)) == (0.01, 1.0, 1.0)
    assert rule_of_three(100) == pytest.approx(1 - 0.05 ** (1 / 100), abs=5e-4)


def test_weighted_mean_by_hand():
    """Three items at weight 1, one that stands for seven: (2 + 4 + 6 + 7 x 8) / 10."""
    estimate = hajek_mean([2, 4, 6, 8], [1, 1, 1, 7])
    assert estimate is not None
    assert estimate.value == pytest.approx(6.8)
    squares = ((2 - 6.8) ** 2 + (4 - 6.8) ** 2 + (6 - 6.8) ** 2 + (7 * (8 - 6.8)) ** 2) / 100
    assert estimate.standard_error == pytest.approx(math.sqrt(squares * 4 / 3))
    assert estimate.interval.high - 6.8 == pytest.approx(1.959964 * estimate.standard_error)
    assert estimate.n == 4
    assert estimate.n_eff == pytest.approx(100 / 52)


def test_equal_weights_give_the_textbook_standard_error():
    values = [1.0, 4.0, 2.0, 7.0, 5.0]
    estimate = hajek_mean(values, [3.0] * 5)
    assert estimate is not None
    assert estimate.standard_error == pytest.approx(math.sqrt(sum((v - 3.8) ** 2 for v in values) / 4 / 5))
    assert estimate.n_eff == pytest.approx(5)


def test_precision_and_recall_by_hand():
    flagged, actual, weights = [True, True, True, False, False], [True, True, False, True, False], [1, 1, 1, 4, 10]
    p, r = precision(flagged, actual, weights), recall(flagged, actual, weights)
    assert p is not None and r is not None
    assert p.n == r.n == 3
    assert [p.value, r.value] == pytest.approx([2 / 3, 2 / 6])
    assert [p.n_eff, r.n_eff] == pytest.approx([3, 36 / 18])
    assert p.interval == wilson_interval(p.value, p.n_eff)
    assert r.interval == wilson_interval(r.value, r.n_eff)
    assert p.standard_error == pytest.approx(math.sqrt(((1 / 3) ** 2 * 2 + (2 / 3) ** 2) / 9 * 5 / 4))


def test_nothing_to_divide_by_is_unknown():
    assert precision([False], [True], [1]) is recall([True], [False], [1]) is hajek_mean([], []) is None


def test_one_item_has_no_standard_error():
    estimate = hajek_mean([1], [5])
    assert estimate is not None
    assert (estimate.value, estimate.standard_error, estimate.n_eff) == (1.0, math.inf, 1.0)
    assert estimate.interval.low == pytest.approx(0.2065, abs=1e-4)


@pytest.mark.parametrize("weight", [0, -1, math.inf, math.nan])
def test_a_weight_that_is_no_weight_is_refused(weight: float):
    with pytest.raises(ValueError, match="weights must be positive and finite"):
        weighted_ratio([1], [1], [weight])


def test_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match="argument"):
        hajek_mean([1, 2], [1])


def test_weights_take_the_bias_out_of_recall_where_only_uncertain_items_are_routed():
    """Two in a hundred items are positive; from a score of 0.3 up all are reviewed, below it one in twenty."""
    rng = random.Random(7)
    naive, weighted, covered = [], [], 0
    positives = [score for positive, score, _ in population(random.Random(8), 200_000) if positive]
    truth = sum(score > 0.5 for score in positives) / len(positives)
    for _ in range(30):
        reviewed = [item for item in population(rng, 20_000) if rng.random() < item[2]]
        flagged, actual = [score > 0.5 for _, score, _ in reviewed], [positive for positive, _, _ in reviewed]
        plain = recall(flagged, actual, [1.0] * len(reviewed))
        fair = recall(flagged, actual, [1 / pi for _, _, pi in reviewed])
        assert plain is not None and fair is not None
        naive.append(plain.value)
        weighted.append(fair.value)
        covered += fair.interval.low <= truth <= fair.interval.high
    assert sum(naive) / 30 > truth + 0.1
    assert sum(weighted) / 30 == pytest.approx(truth, abs=0.03)
    assert covered >= 27


def population(rng: random.Random, size: int) -> list[tuple[bool, float, float]]:
    """Items as (positive, score, inclusion probability)."""
    items = []
    for _ in range(size):
        positive = rng.random() < 0.02
        score = rng.betavariate(2, 2) if positive else rng.betavariate(1, 8)
        items.append((positive, score, 1.0 if score > 0.3 else 0.05))
    return items
