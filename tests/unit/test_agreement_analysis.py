"""Judges against people as a whole: ceiling, bounds, averages and weights, each against plain scipy or brute force."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from gotr1_eval.core.statistics.correlations import Marked, bounds
from gotr1_eval.core.statistics.ranks import accuracies
from reports.agreement.analysis import ALL, Agreement, Options, analyse, judges_of
from reports.agreement.foreign_tables.mapping import ANY
from reports.agreement.judge_agreement import PAIRWISE, judge_row
from reports.agreement.marks import Draws, ItemFacts, Marks, Unit
from reports.agreement.rater_agreement import Ceiling


def marked(seed=0, items=40, raters=3, categories=("a", "b")) -> tuple[Marks, Marks]:
    """People and two judges; items of two to a prompt."""
    generator = np.random.default_rng(seed)
    people, judges = Marks(), Marks()
    for item in range(items):
        quality, unit = generator.normal(), Unit(f"i{item}")
        people.learn(unit.item, ItemFacts(f"p{item // 2}", categories[item % len(categories)], 1.0 + item % 3))
        for rater in range(raters):
            mark = float(np.clip(np.round(3 + quality + generator.normal(0, 0.7)), 1, 5))
            people.add("looks", unit, f"r{rater}", mark)
        for judge, noise in (("good", 0.5), ("bad", 3.0)):
            judges.add(ANY, unit, judge, float(np.round(quality + generator.normal(0, noise), 1)))
        judges.learn(unit.item, ItemFacts())
    return people, judges


def row_of(found: Agreement, judge: str, category: str = ALL):
    return next(row for row in found.judges if (row.judge, row.category) == (judge, category))


def columns(people: Marks, judges: Marks, judge: str, category: str | None = None):
    units = [unit for unit in people.values["looks"] if category in (None, people.items[unit.item].category)]
    scores = judges.scores(ANY, judge)
    return [scores[unit] for unit in units], [np.mean(list(people.values["looks"][unit].values())) for unit in units]


def unweighted(people: Marks) -> Marks:
    people.items = {item: ItemFacts(facts.prompt, facts.category) for item, facts in people.items.items()}
    return people


def test_every_category_and_all_equal_scipy():
    people, judges = marked()
    found = analyse(unweighted(people), judges, Options(draws=200))
    assert [(row.judge, row.category) for row in found.judges] == [
        (judge, category) for judge in ("good", "bad") for category in ("a", "b", ALL)
    ]
    for row in found.judges:
        pair = columns(people, judges, row.judge, None if row.category == ALL else row.category)
        assert row.coefficients["pearson"].value == pytest.approx(stats.pearsonr(*pair).statistic)
        assert row.coefficients["kendall_b"].value == pytest.approx(stats.kendalltau(*pair).statistic)
        assert row.p_values["spearman"] == pytest.approx(stats.spearmanr(*pair).pvalue)
        estimate = row.coefficients["pearson"]
        assert estimate.low < estimate.value < estimate.high
        assert (row.n, row.clusters) == ((40, 20) if row.category == ALL else (20, 20))
    good, bad = (row_of(found, judge).coefficients[PAIRWISE].value for judge in ("good", "bad"))
    assert good > bad


def test_the_ceiling_is_each_rater_against_the_others():
    people, judges = marked(raters=4)
    scores = judges.scores(ANY, "good")
    units = people.values["looks"]
    by_hand, beside = [], []
    for rater in ("r0", "r1", "r2", "r3"):
        own = [said[rater] for said in units.values()]
        others = [np.mean([mark for who, mark in said.items() if who != rater]) for said in units.values()]
        by_hand.append(stats.spearmanr(own, others).statistic)
        beside.append(stats.spearmanr([scores[unit] for unit in units], others).statistic)
    ceiling = Ceiling(units, "mean", Draws(unweighted(people).items, 50, 0))
    assert ceiling.raters == 4
    assert ceiling.coefficients["spearman"].value == pytest.approx(math.tanh(np.arctanh(by_hand).mean()))
    assert ceiling.judge(scores)["spearman"].value == pytest.approx(math.tanh(np.arctanh(beside).mean()))


def test_averages_over_categories_are_of_their_rows():
    people, judges = marked(categories=("a", "b", "c"))
    for how, forth, back in (("fisher", np.arctanh, np.tanh), ("tanh_of_mean", np.asarray, np.tanh)):
        found = analyse(people, judges, Options(average=how, draws=100))
        average = next(row for row in found.averages if row.judge == "good")
        rows = [row_of(found, "good", category).coefficients for category in "abc"]
        assert average.coefficients["pearson"].value == pytest.approx(
            back(forth([r["pearson"].value for r in rows]).mean())
        )
        assert average.coefficients[PAIRWISE].value == pytest.approx(np.mean([r[PAIRWISE].value for r in rows]))
        assert average.coefficients["pearson"].low < average.coefficients["pearson"].value
        assert average.categories["pearson"] == average.of == 3


def test_weights_repeat_items():
    people, judges = marked()
    found = row_of(analyse(people, judges, Options(draws=0)), "good")
    often = [int(people.items[unit.item].weight or 1) for unit in people.values["looks"]]
    repeated = [np.repeat(column, often) for column in columns(people, judges, "good")]
    assert found.coefficients["kendall_b"].value == pytest.approx(stats.kendalltau(*repeated).statistic)
    assert found.coefficients["spearman"].value == pytest.approx(stats.spearmanr(*repeated).statistic)


def test_majority_takes_the_most_frequent_mark():
    people, judges = Marks(), Marks()
    for item, said in enumerate([[1.0, 1.0, 5.0], [2.0, 3.0], [4.0, 4.0, 1.0]]):
        people.learn(f"i{item}", ItemFacts())
        judges.add(ANY, Unit(f"i{item}"), "j", float(item))
        for rater, mark in enumerate(said):
            people.add("looks", Unit(f"i{item}"), f"r{rater}", mark)
    points = row_of(analyse(people, judges, Options(people="majority", draws=0)), "j").points
    assert [people for _, people, _ in points] == [1.0, 2.5, 4.0]


def test_of_very_many_units_some_are_chosen():
    people, judges = marked(items=60)
    judge = next(one for one in judges_of(judges, "looks", {}) if one.name == "good")
    draws = Draws(unweighted(people).items, 0, 0)
    made = {"dimension": "looks", "category": ALL, "by": "mean", "draws": draws, "most": 30}
    row = judge_row(judge, people.values["looks"], **made)
    turned = judge_row(judge, dict(reversed(people.values["looks"].items())), **made)
    assert (row.n, row.paired, row.not_asked) == (60, 30, 0)
    assert row.coefficients["kendall_b"].value == pytest.approx(turned.coefficients["kendall_b"].value)
    scores, marks = columns(people, judges, "good")
    assert row.coefficients["pearson"].value == pytest.approx(stats.pearsonr(scores, marks).statistic)
    assert row.coefficients["spearman"].value == pytest.approx(stats.spearmanr(scores, marks).statistic)
    whole = judge_row(judge, people.values["looks"], **made | {"most": None})
    assert whole.paired == 60
    assert whole.coefficients["kendall_b"].value == pytest.approx(stats.kendalltau(scores, marks).statistic)


def test_judges_are_held_against_each_other_and_themselves():
    people, judges = marked()
    for item in range(40):
        judges.add(ANY, Unit(f"i{item}"), "good", judges.scores(ANY, "good")[Unit(f"i{item}")] + item % 2, repeat=1)
    found = analyse(unweighted(people), judges, Options(draws=0))
    pair = columns(people, judges, "good")[0], columns(people, judges, "bad")[0]
    between = next(row for row in found.between if row.category == ALL)
    assert (between.judge, between.against, between.ceiling) == ("good", "bad", None)
    assert between.coefficients["pearson"].value == pytest.approx(stats.pearsonr(*pair).statistic)
    assert [(row.category, row.pairwise.value) for row in found.retest] == [("good", 0.5)]


def test_a_judge_is_held_against_the_dimension_that_it_serves():
    people, judges = Marks(), Marks()
    people.served_by = {"clarity": "semantic", "layout": "spatial"}
    for item in range(4):
        people.learn(f"i{item}", ItemFacts())
        for dimension in people.served_by:
            people.add(dimension, Unit(f"i{item}"), "r", float(item))
        for judge in ("semantic[m]", "spatial[m]", "total[x]"):
            judges.add(ANY, Unit(f"i{item}"), judge, float(item))
    rows = {(row.dimension, row.judge) for row in analyse(people, judges, Options(draws=0)).judges}
    assert rows == {
        ("clarity", "semantic[m]"),
        ("clarity", "total[x]"),
        ("layout", "spatial[m]"),
        ("layout", "total[x]"),
    }


@pytest.mark.parametrize("seed", range(12))
def test_no_score_of_the_unscored_leaves_the_bounds(seed):
    generator = np.random.default_rng(seed)
    scores, people = generator.integers(0, 4, 7).astype(float), generator.integers(1, 4, 7).astype(float)
    missing = generator.integers(1, 4, 2).astype(float)
    ones, everyone = np.ones(9), np.append(people, missing)
    epsilon = 0.5
    found = bounds(Marked(scores, people, ones[:7], missing, ones[:2]), epsilon)
    low, high = scores.min(), scores.max()
    # Everything that could be said: on the known scores, between them, beyond them.
    for filling in itertools.product(np.arange(-1, 5, 0.5), repeat=2):
        filled = np.append(scores, filling)
        values = {
            "kendall_b": stats.kendalltau(filled, everyone).statistic,
            "pairwise_accuracy": accuracies(filled, everyone, epsilon, ones[None])[0],
        }
        if {*filling} <= {low, high} and missing[0] != missing[1]:
            values["pearson"] = stats.pearsonr(filled, everyone).statistic
            values["spearman"] = stats.spearmanr(filled, everyone).statistic
        for name, value in values.items():
            assert found[name].low - 1e-9 <= value <= found[name].high + 1e-9, name


def test_without_missing_scores_there_are_no_bounds():
    assert bounds(Marked(np.arange(5.0), np.arange(5.0), np.ones(5), np.array([]), np.array([])), 0.0) == {}
