"""Calibration against a plain pool-adjacent-violators; correction by hand and by simulated studies."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from gotr1_eval.core.errors import DataError, UsageError
from reports.agreement.calibration import Pairs, fit, read_calibration, write_calibration
from reports.agreement.calibration_use import correct


def pairs_of(scores, marks, *, weights=None, prompts=None, strata=None) -> Pairs:
    count = len(scores)
    return Pairs(
        items=[f"i{place}" for place in range(count)],
        prompts=prompts or [f"p{place}" for place in range(count)],
        scores=np.asarray(scores, dtype=float),
        marks=np.asarray(marks, dtype=float),
        weights=np.ones(count) if weights is None else np.asarray(weights, dtype=float),
        strata=strata or ["all"] * count,
    )


def fitted(pairs: Pairs):
    return fit(pairs, name="n", judge="j", dimension="d")


def plain_isotonic(scores, marks, weights):
    """Pool neighbours that fall until none does; the fitted mark of each distinct score."""
    blocks = []
    for score in sorted(set(scores)):
        inside = [(m, w) for s, m, w in zip(scores, marks, weights, strict=True) if s == score]
        weight = sum(w for _, w in inside)
        blocks.append([sum(m * w for m, w in inside) / weight, weight, [score]])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, weight, members = blocks.pop()
            before = blocks[-1]
            total = before[1] + weight
            blocks[-1] = [(before[0] * before[1] + mean * weight) / total, total, before[2] + members]
    return {score: mean for mean, _, members in blocks for score in members}


@pytest.mark.parametrize("seed", range(4))
def test_the_map_is_the_isotonic_regression(seed):
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, 11, 60) / 10
    marks = np.clip(np.round(scores * 4 + 1 + generator.normal(0, 1, 60)), 1, 5)
    weights = generator.uniform(1, 5, 60)
    found = fitted(pairs_of(scores, marks, weights=weights))
    expected = plain_isotonic(scores, marks, weights)
    assert found(np.array(sorted(expected))) == pytest.approx(list(expected.values()))
    assert (np.diff(found(np.linspace(-1, 2, 50))) >= 0).all()
    assert found(np.array([-5.0]))[0] == min(expected.values())


def test_what_is_gained_is_measured_on_unseen_prompts():
    generator = np.random.default_rng(0)
    scores = generator.uniform(0, 1, 300)
    stepped = fitted(pairs_of(scores, 1 + 4 * (scores > 0.8) + generator.normal(0, 0.2, 300))).gain
    assert stepped is not None
    assert stepped.isotonic < 0.5 * stepped.line < 0.5 * stepped.mean
    noise = fitted(pairs_of(scores, generator.normal(0, 1, 300), prompts=[f"p{i // 3}" for i in range(300)])).gain
    assert noise is not None
    assert noise.isotonic > noise.mean


def test_a_calibration_is_kept(tmp_path: Path):
    path = tmp_path / "new" / "first.json"
    calibration = fitted(pairs_of(np.arange(12), np.arange(12) // 3))
    write_calibration(calibration, path)
    assert read_calibration(path) == calibration
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"marks": content["marks"][::-1]}))
    with pytest.raises(DataError, match="corners do not rise"):
        read_calibration(path)
    with pytest.raises(DataError, match="make one with `calibrate fit`"):
        read_calibration(tmp_path / "none.json")


def test_nothing_is_fitted_on_next_to_nothing():
    with pytest.raises(UsageError, match="at least 10 items with different scores, got 3 items"):
        fitted(pairs_of([1, 2, 3], [1, 2, 3]))
    with pytest.raises(UsageError, match="got one score for all items"):
        fitted(pairs_of(np.ones(20), np.arange(20)))


def test_a_share_takes_prompts_whole_and_at_random():
    pairs = pairs_of(np.arange(400), np.arange(400), prompts=[f"p{place // 4}" for place in range(400)])
    half, other = pairs.share(0.5, seed=0), pairs.share(0.5, seed=1)
    assert 30 < len(set(half.prompts)) < 70
    assert len(half.items) == 4 * len(set(half.prompts))
    assert half.items != other.items
    assert len(pairs.share(1.0, seed=0).items) == 400


def test_people_alone_by_hand():
    """A plain random sample: Student's interval, narrowed by the share that was seen."""
    marks = np.array([1.0, 2, 2, 4, 5, 5, 3, 1])
    found = correct(np.zeros(32), pairs_of(np.zeros(8), marks, weights=np.full(8, 4.0)))
    half = stats.t.ppf(0.975, 7) * marks.std(ddof=1) / np.sqrt(8) * np.sqrt(1 - 8 / 32)
    assert (found.people, found.people_low) == (pytest.approx(marks.mean()), pytest.approx(marks.mean() - half))
    assert (found.slope, found.value) == (0.0, pytest.approx(marks.mean()))


def test_a_perfect_judge_leaves_no_doubt_and_all_rated_leaves_none():
    population = np.arange(100.0)
    perfect = correct(population, pairs_of(population[::10], 2 * population[::10] + 1, weights=np.full(10, 10.0)))
    assert perfect.value == pytest.approx(100.0)
    assert perfect.high - perfect.low == pytest.approx(0.0, abs=1e-9)
    marks = np.random.default_rng(0).normal(size=100)
    everyone = correct(population, pairs_of(population, marks))
    assert everyone.value == pytest.approx(marks.mean())
    assert everyone.high == everyone.low


def test_too_few_prompts_say_so():
    with pytest.raises(UsageError, match="at least 3 prompts, got 2"):
        correct(np.zeros(9), pairs_of([1, 2, 3], [1, 2, 3], prompts=["a", "a", "b"]))


def studied(generator, judge_noise):
    """A population in four strata, and a study that draws from each as many; several samples a prompt."""
    prompts = np.repeat(np.arange(500), 2)
    quality = generator.normal(0, 1, 500)[prompts] + generator.normal(0, 0.5, 1000)
    marks = np.clip(np.round(3 + quality), 1, 5)
    scores = 1 / (1 + np.exp(-(quality + generator.normal(0, judge_noise, 1000))))
    strata = np.searchsorted(np.quantile(scores, [0.1, 0.3, 0.9]), scores)
    chosen, weights = [], []
    for stratum in range(4):
        inside = np.flatnonzero(strata == stratum)
        drawn = generator.choice(inside, 25, replace=False)
        chosen += drawn.tolist()
        weights += [len(inside) / 25] * 25
    return scores, marks, prompts, strata, np.array(chosen), np.array(weights)


@pytest.mark.slow
@pytest.mark.parametrize("judge_noise", [0.3, 3.0])
def test_intervals_cover_as_often_as_they_say(judge_noise):
    generator = np.random.default_rng(7)
    covered = covered_by_people = 0
    widths = []
    for _ in range(400):
        scores, marks, prompts, strata, chosen, weights = studied(generator, judge_noise)
        rated = pairs_of(
            scores[chosen],
            marks[chosen],
            weights=weights,
            prompts=[f"p{prompt}" for prompt in prompts[chosen]],
            strata=[f"s{stratum}" for stratum in strata[chosen]],
        )
        found, truth = correct(scores, rated), marks.mean()
        covered += found.low <= truth <= found.high
        covered_by_people += found.people_low <= truth <= found.people_high
        widths.append(found.worth)
    # 400 draws at 95 % hit 372 or more, and 392 or fewer, in 99 of 100 such tests.
    assert 370 <= covered <= 394
    assert 370 <= covered_by_people <= 394
    assert np.mean(widths) > (1.3 if judge_noise < 1 else 0.95)
