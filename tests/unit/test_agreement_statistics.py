"""Agreement statistics against `krippendorff`, scipy, plain loops, and by hand."""

from __future__ import annotations

import itertools
import math

import krippendorff
import numpy as np
import pytest
from scipy import stats

from gotr1_eval.core.statistics.correlations import (
    average,
    correlations,
    kendall,
    p_values,
    rank_correlation,
    why_undefined,
)
from gotr1_eval.core.statistics.intervals import clustered_mean, estimate
from gotr1_eval.core.statistics.krippendorff import LEVELS, Coincidences, alpha
from gotr1_eval.core.statistics.ranks import accuracies, calibrated_accuracy
from gotr1_eval.core.statistics.significance import student_p
from reports.agreement.marks import Draws, ItemFacts, Unit


def table(seed, raters=4, units=30, missing=0.25):
    """[raters, units] of marks 1 to 5, NaN where a rater said nothing."""
    generator = np.random.default_rng(seed)
    marks = generator.integers(1, 6, (raters, units)).astype(float)
    marks[generator.random((raters, units)) < missing] = np.nan
    return marks


def units_of(marks):
    return [column[~np.isnan(column)].tolist() for column in marks.T]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("seed", range(4))
def test_alpha_equals_the_package(level, seed):
    marks = table(seed)
    expected = krippendorff.alpha(reliability_data=marks, level_of_measurement=level)
    assert alpha(units_of(marks), level) == pytest.approx(expected, abs=1e-12)


def test_alpha_by_hand():
    """Two raters, four units, one disagreement: D_o = 2/8, D_e = 2 * 3 * 5 / (8 * 7)."""
    units = [["a", "a"], ["b", "b"], ["a", "b"], ["b", "b"]]
    assert alpha(units, "nominal") == pytest.approx(1 - (2 / 8) / (2 * 3 * 5 / 56))
    assert alpha([*units, ["a"]], "nominal") == alpha(units, "nominal")


@pytest.mark.parametrize(
    ("units", "why"), [([[1.0, 1.0], [1.0, 1.0]], "all ratings are equal"), ([[1.0], [2.0]], "no unit has two ratings")]
)
def test_alpha_that_is_undefined_says_why(units, why):
    counted = Coincidences(units)
    assert why in counted.why_undefined
    assert not Coincidences([[1.0, 2.0], [2.0, 2.0]]).why_undefined


def test_weights_count_units_as_if_they_stood_there_so_often():
    marks = table(9, units=12)
    units = [unit for unit in units_of(marks) if len(unit) > 1]
    often = np.random.default_rng(0).integers(0, 3, len(units))
    repeated = [unit for unit, count in zip(units, often, strict=True) for _ in range(count)]
    counted = Coincidences(units)
    for level in ("nominal", "interval"):
        found = counted.alphas(level, often[None].astype(float))[0]
        assert found == pytest.approx(alpha(repeated, level))


def scores(seed, count=60):
    """Judge and people with many ties on both sides."""
    generator = np.random.default_rng(seed)
    people = generator.integers(1, 6, count).astype(float)
    return np.round(people / 5 + generator.normal(0, 0.3, count), 1), people


@pytest.mark.parametrize("seed", range(4))
def test_correlations_equal_scipys(seed):
    judge, people = scores(seed)
    found = {name: values[0] for name, values in correlations(judge, people, np.ones((1, len(judge)))).items()}
    assert found["pearson"] == pytest.approx(stats.pearsonr(judge, people).statistic)
    assert found["spearman"] == pytest.approx(stats.spearmanr(judge, people).statistic)
    assert found["kendall_b"] == pytest.approx(stats.kendalltau(judge, people).statistic)
    assert found["kendall_c"] == pytest.approx(stats.kendalltau(judge, people, variant="c").statistic)
    assert p_values(judge, people)["spearman"] == pytest.approx(stats.spearmanr(judge, people).pvalue)


def test_a_draw_is_the_data_with_items_repeated():
    judge, people = scores(1, 40)
    items = {str(index): ItemFacts(prompt=str(index // 4)) for index in range(40)}
    weights = Draws(items, 20, seed=0).weights([Unit(item) for item in items])
    found = correlations(judge, people, weights)
    for row, often in enumerate(weights.astype(int)):
        again = np.repeat(judge, often), np.repeat(people, often)
        assert found["pearson"][row] == pytest.approx(stats.pearsonr(*again).statistic)
        assert found["spearman"][row] == pytest.approx(stats.spearmanr(*again).statistic)
        assert found["kendall_b"][row] == pytest.approx(stats.kendalltau(*again).statistic)
    assert (weights[0] == 1).all()
    assert (weights.reshape(21, 10, 4) == weights.reshape(21, 10, 4)[:, :, :1]).all()


def test_what_is_undefined_has_no_number():
    same, people = np.ones(5), np.arange(5.0)
    assert all(math.isnan(values[0]) for values in correlations(same, people, np.ones((1, 5))).values())
    assert why_undefined(same, people) == "the judge gave every item the same score"
    assert why_undefined(people, same) == "people gave every item the same mark"
    assert why_undefined(people[:1], people[:1]) == "fewer than two items"
    assert estimate(np.array([np.nan, 0.1]), "no variance").why == "no variance"
    assert estimate(np.array([0.5])).low is None


def equal(found, expected):
    """Both undefined, or the same number."""
    return found == pytest.approx(expected, rel=1e-9, abs=1e-9, nan_ok=True)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(200))
def test_a_handful_of_items_is_as_the_packages_have_it_or_undefined(seed):
    """Two to six items of few values: ties, constants, a single class, units without a second rating."""
    generator = np.random.default_rng(seed)
    count, scale = generator.integers(2, 7), 10.0 ** generator.integers(-9, 9)
    x, y = generator.integers(0, generator.integers(1, 5), (2, count)).astype(float) * [[scale], [1.0]]
    varied = min(len(set(x)), len(set(y))) > 1
    expected = {
        "pearson": stats.pearsonr(x, y).statistic if varied else math.nan,
        "spearman": stats.spearmanr(x, y).statistic,
        "kendall_b": stats.kendalltau(x, y).statistic,
        "kendall_c": stats.kendalltau(x, y, variant="c").statistic if varied else math.nan,
    }
    found = correlations(x, y, np.ones((1, count)))
    assert all(equal(found[name][0], value) for name, value in expected.items())
    marks = table(seed, raters=3, units=count, missing=0.4)
    for level in LEVELS:
        try:
            package = krippendorff.alpha(reliability_data=marks, level_of_measurement=level)
        except ValueError:  # a single value, or no pair
            package = math.nan
        assert equal(alpha(units_of(marks), level), package)


def test_averages_by_hand():
    both = np.array([[0.5], [0.8]])
    assert average(both)[0] == pytest.approx(math.tanh((math.atanh(0.5) + math.atanh(0.8)) / 2))
    assert average(both, "tanh_of_mean")[0] == pytest.approx(math.tanh(0.65))
    assert average(np.array([[1.0], [0.2]]))[0] == 1.0


def test_draws_take_prompts_whole_and_keep_weights():
    items = {str(index): ItemFacts(prompt=str(index // 2), weight=float(1 + index % 2)) for index in range(6)}
    draws = Draws(items, 10, seed=1)
    weights = draws.weights([Unit(item) for item in items])
    assert weights.shape == (11, 6)
    assert (weights[0] == [1, 2, 1, 2, 1, 2]).all()
    assert (weights[:, 1::2] == 2 * weights[:, ::2]).all()
    assert (weights[:, ::2].sum(axis=1) == 3).all()
    assert draws.weights([Unit("0"), Unit("1")]).shape == (1, 2)


def plain_accuracy(judge, people, epsilon):
    right = 0
    pairs = list(itertools.combinations(range(len(judge)), 2))
    for a, b in pairs:
        gap, order = judge[a] - judge[b], people[a] - people[b]
        right += abs(gap) <= epsilon if order == 0 else (abs(gap) > epsilon and gap * order > 0)
    return right / len(pairs)


@pytest.mark.parametrize("seed", range(3))
def test_tie_calibration_against_every_epsilon(seed):
    judge, people = scores(seed, 25)
    found = calibrated_accuracy(judge, people)
    assert found is not None
    gaps = {abs(a - b) for a, b in itertools.combinations(judge, 2)} | {0.0}
    best = max(plain_accuracy(judge, people, epsilon) for epsilon in gaps)
    assert found.accuracy == pytest.approx(best)
    assert plain_accuracy(judge, people, found.epsilon) == pytest.approx(best)
    fixed = accuracies(judge, people, found.epsilon, np.ones((1, len(judge))))[0]
    assert fixed == pytest.approx(best)
    assert calibrated_accuracy(judge[:1], people[:1]) is None


@pytest.mark.parametrize("seed", range(3))
def test_single_coefficients_equal_scipy(seed):
    x, y = np.random.default_rng(seed).integers(0, 6, (2, 40)).astype(float)
    assert rank_correlation(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert kendall(x.tolist(), y.tolist()) == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)


def test_single_coefficients_of_a_column_without_variance_are_undefined():
    even, rising = np.ones(5), np.arange(5.0)
    assert rank_correlation(even, rising) is None
    assert rank_correlation(rising[:2], rising[:2]) is None
    assert kendall(even.tolist(), rising.tolist()) is None


def test_a_mean_of_one_value_a_prompt_has_students_test():
    values = np.random.default_rng(5).normal(0.2, 1.0, 20)
    mean, error, prompts = clustered_mean([[value] for value in values])
    expected = stats.ttest_1samp(values, 0.0).pvalue
    assert student_p(mean, error, prompts - 1) == pytest.approx(expected, rel=1e-9)
    assert clustered_mean([[0.25, 0.75]]) == (0.5, 0.0, 1)
