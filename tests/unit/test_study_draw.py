"""The draw of a study: stated probabilities are the true ones, and every draw is balanced."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy import stats

from gotr1_eval.core.statistics.precision import effective_items, power, reliability
from reports.agreement.sampling_design import (
    UNIT,
    UNSCORED,
    Cell,
    cell_shares,
    draw,
    draw_places,
    inclusion_amounts,
    score_ranges,
    share_out,
)

Samples = tuple[list[Cell], list[str]]


def branches(amounts: list[int], one: list[tuple[str, ...]], other: list[tuple[str, ...]]) -> Iterator[tuple]:
    """(probability, what is drawn) of every way in which the coins may fall."""
    open_paths: list[tuple[bool, ...]] = [()]
    while open_paths:
        path = open_paths.pop()
        chance = Fraction(1)
        fallen = 0

        def coin(probability: float, path: tuple[bool, ...] = path) -> bool:
            nonlocal chance, fallen
            if fallen == len(path):
                raise StopIteration
            side = path[fallen]
            fallen += 1
            exact = Fraction(probability)
            chance *= exact if side else 1 - exact
            return side

        try:
            drawn = draw(amounts, one, other, coin)
        except StopIteration:
            open_paths += [(*path, True), (*path, False)]
            continue
        yield chance, drawn


def test_the_probabilities_are_exact_over_all_ways_the_coins_fall():
    chances = [Fraction(1, 4), Fraction(3, 4), Fraction(1, 2), Fraction(5, 8), Fraction(3, 8), Fraction(1, 2)]
    amounts = [int(chance * UNIT) for chance in chances]
    one = [("m", "a"), ("m", "a"), ("m", "b"), ("n", "a"), ("n", "a"), ("n", "b")]
    other = [("c", "p"), ("c", "q"), ("c", "p"), ("c", "q"), ("c", "r"), ("c", "r")]
    total, drawn_with = Fraction(0), [Fraction(0)] * 6
    ways = 0
    for chance, drawn in branches(amounts, one, other):
        ways += 1
        total += chance
        assert sum(drawn) == 3
        for place, taken in enumerate(drawn):
            drawn_with[place] += chance * taken
    assert ways >= 8
    assert total == 1
    assert [float(chance) for chance in drawn_with] == pytest.approx([float(chance) for chance in chances], abs=1e-12)


@some.composite
def populations(pick: Callable) -> Samples:
    count = pick(some.integers(1, 60))
    cells, prompts = [], []
    for _ in range(count):
        category = pick(some.sampled_from("AB"))
        cells.append(Cell(category, pick(some.sampled_from("mno")), pick(some.sampled_from(["low", "high", UNSCORED]))))
        prompts.append(category + pick(some.sampled_from("pqrst")))
    return cells, prompts


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(populations(), some.integers(1, 60), some.integers(0, 2**32))
def test_every_draw_is_balanced(population: Samples, count: int, seed: int):
    cells, prompts = population
    amounts = inclusion_amounts(cells, prompts, count)
    places = draw_places(amounts, cells, prompts, seed)
    chances = [amount / UNIT for amount in amounts]
    assert len(places) == len(set(places)) == min(count, len(cells))
    assert sum(chances) == min(count, len(cells))
    assert all(0 < chance <= 1 for chance in chances)

    def group(name: Callable[[int], object]) -> None:
        expected: dict[object, Fraction] = {}
        for place, chance in enumerate(chances):
            expected[name(place)] = expected.get(name(place), Fraction(0)) + Fraction(chance)
        counts = Counter(map(name, places))
        for key, number in expected.items():
            assert math.floor(number) <= counts[key] <= math.ceil(number), (key, number, counts[key])

    group(lambda place: cells[place].model)
    group(lambda place: cells[place].category)
    group(lambda place: (cells[place].category, cells[place].model))
    group(lambda place: cells[place])
    group(lambda place: prompts[place])


def crossed(models: int = 2, prompts: int = 12, seed: int = 0) -> tuple[Samples, list[float | None]]:
    """Two categories, several pictures a prompt and model, scores with ties and holes."""
    rng = np.random.default_rng(seed)
    cells, names, scores = [], [], []
    for category in ("color", "spatial"):
        of: list[tuple[str, str]] = [
            (f"model{m}", f"{category}{p}") for p in range(prompts) for m in range(models) for _ in range(2)
        ]
        own = [None if rng.random() < 0.1 else float(rng.choice([0.0, 0.5, rng.random(), 1.0])) for _ in of]
        for (model, prompt), name in zip(of, score_ranges(own, 3), strict=True):
            cells.append(Cell(category, model, name))
            names.append(prompt)
        scores += own
    return (cells, names), scores


@pytest.mark.slow
def test_many_draws_come_out_as_stated():
    (cells, prompts), scores = crossed(prompts=6)
    draws, count = 800, 12
    often = np.zeros(len(cells))
    values = np.array([0.3 if score is None else score for score in scores])
    totals = []
    amounts = inclusion_amounts(cells, prompts, count)
    chances = [amount / UNIT for amount in amounts]
    for seed in range(draws):
        places = draw_places(amounts, cells, prompts, seed)
        often[places] += 1
        totals.append(sum(values[place] / chances[place] for place in places))
    expected = draws * np.array(chances)
    z = (often - expected) / np.sqrt(expected * (1 - np.array(chances)))
    assert np.abs(z).max() < 4.5
    assert stats.kstest(z, "norm").pvalue > 1e-3
    # Weighted by the inverse probability, the items stand for the population: Horvitz-Thompson, without bias.
    error = np.mean(totals) - values.sum()
    assert abs(error) < 4 * np.std(totals) / math.sqrt(draws)


def test_no_prompt_twice_where_there_are_enough():
    (cells, prompts), _ = crossed(models=3, prompts=15)
    for count, most in ((30, 1), (40, 2)):
        amounts = inclusion_amounts(cells, prompts, count)
        for seed in range(20):
            places = draw_places(amounts, cells, prompts, seed)
            assert max(Counter(prompts[place] for place in places).values()) == most


def test_prompts_come_before_equal_chances_and_balance_before_prompts():
    # One range lies within one prompt: its samples share that prompt's single showing with nobody else.
    cells = [Cell("c", "m", "high")] * 3 + [Cell("c", "m", "low")] * 9
    prompts = ["p"] * 4 + ["q", "q", "r", "r", "s", "s", "t", "t"]
    chances = [amount / UNIT for amount in inclusion_amounts(cells, prompts, 2)]
    assert sum(chances[:3]) == pytest.approx(1)
    assert sum(chances[:4]) == pytest.approx(1, abs=1e-2)
    forced = [amount / UNIT for amount in inclusion_amounts(cells[:3] + cells[3:4], ["p"] * 4, 2)]
    assert forced == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1])


def test_shares_by_hand():
    assert share_out(10, {"a": 100, "b": 2, "c": 100}) == {"a": 4, "b": 2, "c": 4}
    assert share_out(3, {"a": 1, "b": 1, "c": 1}) == {"a": 1, "b": 1, "c": 1}
    cells = [Cell("c", "m", "low")] * 6 + [Cell("c", "m", "high")] * 2 + [Cell("c", "m", UNSCORED)] * 2
    shares = cell_shares(cells, 5)
    assert {cell.score_range: share for cell, share in shares.items()} == {"low": 2, "high": 2, UNSCORED: 1}


def test_ranges_by_hand():
    assert score_ranges([1, 2, 3, 4], 2) == ["1 to 2", "1 to 2", "3 to 4", "3 to 4"]
    assert score_ranges([0, 0, 0, None, 1], 4) == ["0", "0", "0", UNSCORED, "1"]
    assert score_ranges([0.5, 0.5], 4) == ["0.5", "0.5"]
    assert score_ranges([None], 4) == [UNSCORED]


def test_power_by_hand():
    assert reliability(0.5, 3) == pytest.approx(0.75)
    assert effective_items([0.5, 0.5]) == pytest.approx(2)
    assert effective_items([1, 0.25]) == pytest.approx(25 / 17)
    assert power(3, 1, judge=0.5, people=0.5).half_width is None
    assert power(100, 3, judge=0.6, people=0.5).expected == pytest.approx(0.6 * math.sqrt(0.75))


@pytest.mark.parametrize(("items", "raters"), [(50, 1), (200, 3)])
def test_power_against_simulated_studies(items: int, raters: int):
    """A judge, k noisy raters and unequal weights: the weighted correlation spreads as is promised."""
    rng = np.random.default_rng(items)
    studies, judge, people = 3000, 0.6, 0.5
    truth = rng.normal(size=(studies, items))
    score = judge * truth + math.sqrt(1 - judge**2) * rng.normal(size=truth.shape)
    noise = rng.normal(size=(raters, studies, items)).mean(axis=0) * math.sqrt(1 / people - 1)
    chances = np.where(np.arange(items) % 4 == 0, 0.2, 0.1)
    weights = 1 / chances / (1 / chances).sum()

    def moment(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (weights * a * b).sum(1) - (weights * a).sum(1) * (weights * b).sum(1)

    rated = truth + noise
    found = moment(score, rated) / np.sqrt(moment(score, score) * moment(rated, rated))
    promised = power(items, raters, judge=judge, people=people, share=effective_items(chances.tolist()) / items)
    low, high = np.percentile(found, [2.5, 97.5])
    assert promised.expected == pytest.approx(np.median(found), abs=0.02)
    assert promised.half_width == pytest.approx((high - low) / 2, rel=0.06)
