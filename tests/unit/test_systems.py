"""Systems under two judges: against scipy, every permutation, plain loops and planted favours."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from gotr1_eval.core.statistics.systems import (
    SystemScores,
    certainties,
    kendall_of_means,
    pair_difference,
    self_preference,
    soft_pairwise_accuracy,
)

OWN = np.array([True, True, False, False, False, False])


def one_each(values: np.ndarray) -> SystemScores:
    """One picture a prompt and system."""
    return SystemScores(values, np.ones(values.shape))


def study(seed: int, prompts: int = 60, favour: float = 0.0, stretch: float = 1.0) -> tuple[SystemScores, SystemScores]:
    """(judge, reference): six systems of rising quality; the judge stretches the scale, favours two and errs."""
    generator = np.random.default_rng(seed)
    truth = np.linspace(0.8, 0.3, 6) + generator.normal(0, 0.3, (prompts, 1)) + generator.normal(0, 0.2, (prompts, 6))
    noise = generator.normal(0, 0.05, (2, prompts, 6))
    return one_each(stretch * truth + favour * OWN + noise[0] * stretch), one_each(truth + noise[1])


def test_means_and_pairs_are_those_of_paired_columns():
    judge, _ = study(0)
    assert judge.means()[0] == pytest.approx(judge.sums.mean(axis=0))
    found = pair_difference(judge, 0, 3)
    plain = stats.ttest_1samp(judge.sums[:, 0] - judge.sums[:, 3], 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx(tuple(plain))
    assert pair_difference(one_each(judge.sums[:1]), 0, 3).low is None


def test_unequal_numbers_give_a_ratio():
    sums, numbers = np.array([[3.0, 1.0], [2.0, 0.0], [4.0, 2.0]]), np.array([[3.0, 2.0], [2.0, 0.0], [5.0, 4.0]])
    scores = SystemScores(sums, numbers)
    assert scores.means()[0] == pytest.approx([0.9, 0.5])
    often = np.array([[2.0, 0.0, 1.0]])
    assert scores.means(often)[0] == pytest.approx([10 / 11, 4 / 8])
    assert scores.means_without_each[1] == pytest.approx([7 / 8, 3 / 6])


def test_kendall_of_means_is_scipys():
    generator = np.random.default_rng(0)
    a, b = generator.integers(0, 5, (2, 20, 7)).astype(float)
    expected = [stats.kendalltau(x, y).statistic for x, y in zip(a, b, strict=True)]
    assert kendall_of_means(a, b) == pytest.approx(expected)
    assert np.isnan(kendall_of_means(np.ones((1, 4)), a[:1, :4]))


def test_certainty_is_the_share_of_all_exchanges_below():
    values = np.random.default_rng(1).integers(0, 4, (7, 3)).astype(float)
    found = certainties(one_each(values))
    for first, second in itertools.permutations(range(3), 2):
        differences = values[:, first] - values[:, second]
        sums = [np.dot(signs, differences) for signs in itertools.product((1, -1), repeat=7)]
        below = np.mean([one < differences.sum() for one in sums])
        equal = np.mean([one == differences.sum() for one in sums])
        assert found[first, second] == pytest.approx(below + equal / 2)
    assert (found + found.T) == pytest.approx(np.ones((3, 3)))


def test_soft_pairwise_accuracy_by_hand():
    a = np.array([[0.5, 0.9, 1.0], [0.1, 0.5, 0.6], [0.0, 0.4, 0.5]])
    b = np.array([[0.5, 0.8, 0.4], [0.2, 0.5, 0.6], [0.6, 0.4, 0.5]])
    assert soft_pairwise_accuracy(a, b) == pytest.approx(1 - (0.1 + 0.6 + 0.0) / 3)
    assert soft_pairwise_accuracy(a, a) == 1.0
    assert soft_pairwise_accuracy(a[:1, :1], a[:1, :1]) is None


def test_a_stretched_scale_is_no_favour():
    """The judge is the reference, stretched by half and shifted; plain means take that for favour of better systems."""
    _, reference = study(2)
    judge = one_each(1.5 * reference.sums + 0.2)
    found = self_preference(judge, reference, OWN)
    assert found["verdicts"].value > 0.1
    for form in ("ranks", "fitted"):
        assert found[form].value == pytest.approx(0, abs=1e-12)
    noisy = self_preference(*study(3, prompts=400, stretch=1.5), OWN)
    for form in ("ranks", "fitted"):
        assert noisy[form].low < 0 < noisy[form].high


def test_a_favour_is_found_with_its_size():
    found = self_preference(*study(4, prompts=400, favour=0.12), OWN)
    assert found["verdicts"].low < 0.12 < found["verdicts"].high
    assert found["fitted"].low < 0.12 < found["fitted"].high
    assert found["ranks"].low > 0.05


def test_ranks_and_the_line_by_plain_loops():
    judge, reference = study(5, prompts=12, favour=0.1)
    found = self_preference(judge, reference, OWN)
    wins = [
        np.mean([np.sign(row[own] - row[other]) / 2 + 0.5 for own in (0, 1) for other in (2, 3, 4, 5)])
        for side in (judge, reference)
        for row in side.sums
    ]
    assert found["ranks"].value == pytest.approx(np.mean(wins[:12]) - np.mean(wins[12:]))

    def distance(kept: np.ndarray) -> float:
        j, r = judge.sums[kept].mean(axis=0), reference.sums[kept].mean(axis=0)
        line = np.polyfit(r[~OWN], j[~OWN], 1)
        return float(np.mean(j[OWN] - np.polyval(line, r[OWN])))

    everything = np.arange(12)
    left_out = [distance(everything[everything != one]) for one in everything]
    error = np.sqrt(11 / 12 * np.sum((left_out - np.mean(left_out)) ** 2))
    assert found["fitted"].value == pytest.approx(distance(everything))
    assert found["fitted"].high - found["fitted"].value == pytest.approx(stats.t.ppf(0.975, 11) * error)


def test_self_preference_says_why_it_is_undefined():
    judge, reference = study(0)
    everybody = self_preference(judge, reference, np.ones(6, dtype=bool))
    assert {one.why for one in everybody.values()} == {"needs systems of its own and of others"}
    few = [SystemScores(side.sums[:, :4], side.numbers[:, :4]) for side in (judge, reference)]
    assert "3 systems" in self_preference(few[0], few[1], OWN[:4])["fitted"].why
    flat = one_each(np.ones((60, 6)))
    assert "one mean" in self_preference(judge, flat, OWN)["fitted"].why


@pytest.mark.slow
def test_intervals_of_self_preference_hold_the_truth():
    """300 studies of 60 prompts; 1,000 of several sizes are in tests/simulations/agreement.py."""
    held = dict.fromkeys(("verdicts", "fitted"), 0)
    for seed in range(300):
        found = self_preference(*study(seed, favour=0.1), OWN)
        for form in held:
            held[form] += found[form].low < 0.1 < found[form].high
    assert all(0.92 <= count / 300 <= 0.98 for count in held.values()), held
