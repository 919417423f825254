"""Intervals against scipy and statsmodels, by hand, and by how often they hold the truth."""

from __future__ import annotations

import random

import numpy as np
import pytest
import statsmodels.api
from scipy import stats

from benchmarks.geneval.results import Result, summarise_results
from gotr1_eval.core.outcome import Score
from gotr1_eval.core.statistics.intervals import (
    drawn_counts,
    overall_analytic,
    overall_bootstrap,
    overall_mean,
    overall_seeds,
    prompt_analytic,
    prompt_bootstrap,
    seed_analytic,
    tail,
)
from gotr1_eval.core.statistics.summary import summarise


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


def test_the_cut_is_hesterbergs():
    """The normal distribution's probability of Student's quantile, stretched by sqrt(P / (P - 1))."""
    assert tail(10) == pytest.approx(stats.norm.cdf(np.sqrt(10 / 9) * stats.t.ppf(0.025, 9)))
    assert tail(10_000) == pytest.approx(0.025, abs=1e-4)


def alike(rng: np.random.Generator, runs: int, prompts: int) -> tuple[np.ndarray, float]:
    """[runs, prompts, 4] values and their true mean: pictures of a prompt are alike."""
    return rng.normal(0.5, 0.2, (runs, prompts, 1)) + rng.normal(0, 0.1, (runs, prompts, 4)), 0.5


def right_or_wrong(rng: np.random.Generator, runs: int, prompts: int) -> tuple[np.ndarray, float]:
    """As GenEval grades: each prompt has its own chance, most are hard or easy."""
    chances = rng.beta(0.4, 1.2, (runs, prompts, 1))
    return (rng.random((runs, prompts, 4)) < chances).astype(float), 0.25


def skewed(rng: np.random.Generator, runs: int, prompts: int) -> tuple[np.ndarray, float]:
    """As products of factors are: most near 0, a few far above; two pictures a prompt."""
    return rng.gamma(1.0, 0.2, (runs, prompts, 1)) * rng.uniform(0.5, 1.5, (runs, prompts, 2)), 0.2


@pytest.mark.slow
@pytest.mark.parametrize("world", [alike, right_or_wrong, skewed])
@pytest.mark.parametrize("prompts", [100, 300])
def test_intervals_hold_the_truth_as_often_as_they_say(world, prompts: int):
    """Of 2000 runs, all at once; that this is what the functions compute is checked on the first ones."""
    values, truth = world(np.random.default_rng(prompts), 2000, prompts)
    counts = drawn_counts(prompts, np.random.default_rng(0))
    drawn = counts @ np.sort(values.mean(axis=2), axis=1).T / prompts  # prompts are drawn in the order of their values
    low, high = np.quantile(drawn, (tail(prompts), 1 - tail(prompts)), axis=0)
    for index in range(5):
        assert prompt_bootstrap(values[index].tolist()) == pytest.approx((low[index], high[index]), abs=1e-12)
    assert 0.93 <= np.mean((low <= truth) & (truth <= high)) <= 0.97
    analytic = np.array([prompt_analytic(run) for run in values.tolist()])
    assert 0.93 <= np.mean((analytic[:, 0] <= truth) & (truth <= analytic[:, 1])) <= 0.97


def test_ten_prompts_are_enough_for_an_honest_interval():
    """Where plain percentiles hold the truth 91 times of a hundred."""
    values, truth = alike(np.random.default_rng(7), 2000, 10)
    drawn = drawn_counts(10, np.random.default_rng(0)) @ np.sort(values.mean(axis=2), axis=1).T / 10
    shares = []
    for cut in (0.025, tail(10)):
        low, high = np.quantile(drawn, (cut, 1 - cut), axis=0)
        shares.append(np.mean((low <= truth) & (truth <= high)))
    assert shares[0] < 0.93 <= shares[1] <= 0.97


def test_intervals_do_not_depend_on_the_order_of_rows():
    """Prompts, pictures of a prompt and tasks in any order: to the last bit."""
    rng = random.Random(3)
    tasks = [[[rng.random() for _ in range(rng.choice((2, 3)))] for _ in range(number)] for number in (40, 25, 31)]
    shuffled = [[rng.sample(group, len(group)) for group in rng.sample(groups, len(groups))] for groups in tasks]
    rng.shuffle(shuffled)
    assert shuffled != tasks
    for interval in (overall_bootstrap, overall_analytic, overall_seeds):
        assert interval(tasks) == interval(shuffled)


def test_intervals_stay_in_the_judges_range():
    """Two nearly perfect prompts: Student's interval alone would pass 1."""
    outcomes = [(prompt, Score(value=value)) for prompt in "ab" for value in (1.0, 1.0, 0.7)]
    free, bound = summarise(outcomes), summarise(outcomes, within=(0.0, 1.0))
    assert free.seeds_high > 1.0
    assert (bound.seeds_high, bound.seeds_low, bound.mean) == (1.0, free.seeds_low, free.mean)


def test_results_of_geneval_in_any_order_give_one_summary():
    results = [Result(tag, f"{tag}{n}", (n * 7 + i) % 3 == 0) for tag in "ab" for n in range(9) for i in range(4)]
    one, other = summarise_results(results), summarise_results(random.Random(1).sample(results, len(results)))
    assert one.intervals == other.intervals
    assert one.overall_intervals == other.overall_intervals
    assert 0.0 <= one.overall_intervals.seeds[0] < one.overall_intervals.seeds[1] <= 1.0


def test_tasks_may_count_by_weights():
    tasks = [[[1.0]] * 5, [[0.0]] * 20]
    assert overall_bootstrap(tasks, weights=(3.0, 1.0)) == (0.75, 0.75)
    mixed = [[[float(at % 2)] for at in range(40)], [[float(at % 3 == 0)] for at in range(30)]]
    assert overall_bootstrap(mixed, weights=(1.0, 1.0)) == pytest.approx(overall_bootstrap(mixed))
    # Weights go with their tasks, whatever their order.
    assert overall_bootstrap(mixed, weights=(3.0, 1.0)) == overall_bootstrap(mixed[::-1], weights=(1.0, 3.0))
