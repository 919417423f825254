"""Intervals against scipy and statsmodels, by hand, and by how often they hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api
from scipy import stats

from gotr1_eval.core.intervals import (
    overall_analytic,
    overall_bootstrap,
    overall_mean,
    overall_seeds,
    prompt_analytic,
    prompt_bootstrap,
    seed_analytic,
)


@pytest.fixture
def groups() -> list[list[float]]:
    """60 prompts with 1 to 5 pictures each."""
    rng = np.random.default_rng(0)
    return [(rng.normal(0.5, 0.2) + rng.normal(0, 0.1, rng.integers(1, 6))).tolist() for _ in range(60)]


def test_single_pictures_below_50_prompts_are_students(groups: list[list[float]]):
    values = [group[0] for group in groups[:20]]
    expected = stats.t.interval(0.95, 19, np.mean(values), stats.sem(values))
    assert prompt_analytic([[value] for value in values]) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("prompts", [2, 20, 49, 60])
def test_clusters_as_in_statsmodels(groups: list[list[float]], prompts: int):
    chosen = groups[:prompts]
    values = np.concatenate(chosen)
    labels = np.repeat(np.arange(prompts), [len(group) for group in chosen])
    fit = statsmodels.api.OLS(values, np.ones_like(values)).fit(
        cov_type="cluster", cov_kwds={"groups": labels}, use_t=prompts < 50
    )
    assert prompt_analytic(chosen) == pytest.approx(tuple(fit.conf_int()[0]), abs=1e-9)


def test_bootstrap_and_analytic_form_agree_for_many_prompts():
    rng = np.random.default_rng(1)
    many = [rng.binomial(1, 0.4, 4).astype(float).tolist() for _ in range(500)]
    assert prompt_bootstrap(many) == pytest.approx(prompt_analytic(many), abs=0.004)


def test_seeds_by_hand():
    """Two prompts of two pictures: the variance of the mean is (2 * 0.5 + 2 * 0) / 16, with two degrees of freedom."""
    low, high = seed_analytic([[0.0, 1.0], [1.0, 1.0]])
    reach = stats.t.ppf(0.975, 2) * 0.25
    assert (low, high) == pytest.approx((0.75 - reach, 0.75 + reach))
    assert seed_analytic([[0.5, 0.5], [1.0, 1.0]]) == (0.75, 0.75)


def test_seeds_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(2)
    chances = rng.uniform(0.05, 0.95, 40)
    held = 0
    for _ in range(400):
        low, high = seed_analytic([rng.binomial(1, chance, 4).astype(float).tolist() for chance in chances])
        assert low is not None
        assert high is not None
        held += low <= chances.mean() <= high
    assert 0.92 <= held / 400 <= 0.98


def test_nothing_is_said_without_a_spread():
    assert prompt_analytic([[1.0, 0.0]]) == prompt_bootstrap([[1.0, 0.0]]) == (None, None)
    assert seed_analytic([[1.0, 0.0], [1.0]]) == seed_analytic([]) == (None, None)
    assert overall_bootstrap([]) == overall_bootstrap([[[1.0]], [[1.0], [0.0]]]) == (None, None)


def test_overall_scores_are_drawn_within_their_task(groups: list[list[float]]):
    assert overall_bootstrap([groups], seed=3) == prompt_bootstrap(groups, seed=3)
    # Two tasks that differ, each without spread: drawing over all prompts would find some.
    assert overall_bootstrap([[[1.0]] * 5, [[0.0]] * 20]) == (0.5, 0.5)
    halves = [groups[:30], groups[30:]]
    low, high = overall_bootstrap(halves)
    parts = [np.subtract(*reversed(prompt_analytic(half))) / 2 / stats.t.ppf(0.975, 29) for half in halves]
    assert low is not None
    assert high is not None
    assert (high - low) / 2 == pytest.approx(1.96 * np.hypot(*parts) / 2, rel=0.1)


def test_overall_scores_in_the_analytic_forms_by_hand():
    """Task means 0.75 and 0.5. Over prompts: sample variances of the two prompt means are 0.125 and 0.5, the errors'
    squares 0.0625 and 0.25, that of the half sum (0.0625 + 0.25) / 4 with 4 - 2 degrees of freedom. Over seeds: only
    the first prompt of the first task varies, 2 * 0.5 / 4 ** 2 = 0.0625, over 4, with 4 degrees of freedom."""
    tasks = [[[0.0, 1.0], [1.0, 1.0]], [[1.0, 1.0], [0.0, 0.0]]]
    assert overall_mean(tasks) == 0.625
    reach = stats.t.ppf(0.975, 2) * np.sqrt(0.3125 / 4)
    assert overall_analytic(tasks) == pytest.approx((0.625 - reach, 0.625 + reach))
    reach = stats.t.ppf(0.975, 4) * np.sqrt(0.0625 / 4)
    assert overall_seeds(tasks) == pytest.approx((0.625 - reach, 0.625 + reach))
    assert overall_mean([]) is None
    assert overall_analytic([]) == overall_analytic([tasks[0], [[1.0]]]) == (None, None)
    assert overall_seeds([]) == overall_seeds([tasks[0], [[1.0]]]) == (None, None)
