"""Paired comparison: against scipy and statsmodels, by hand, and by simulation."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Score, Unscored, Why
from gotr1_eval.core.statistics.significance import holm, sign_flip_p
from gotr1_eval.core.types import Sample
from gotr1_eval.runs.store import RunInfo
from reports.comparison.difference import compare_pairs
from reports.comparison.paired import compare_runs
from reports.comparison.tables import sentence
from reports.run_data import JudgeColumn, RunData


def test_sign_flips_against_scipy():
    generator = np.random.default_rng(0)
    for count in (5, 9, 12):
        sums = generator.normal(0.3, 1, count)
        expected = stats.permutation_test(
            (sums,), lambda x, axis: x.sum(axis), permutation_type="samples", n_resamples=np.inf
        ).pvalue
        assert sign_flip_p(sums) == pytest.approx(expected)


def test_drawn_sign_flips_are_near_the_exact_ones():
    sums = np.random.default_rng(1).normal(0.3, 1, 200)
    expected = stats.ttest_1samp(sums, 0).pvalue
    assert sign_flip_p(sums) == pytest.approx(expected, abs=0.01)


def test_holm_against_statsmodels():
    for seed in range(5):
        p_values = np.random.default_rng(seed).uniform(0, 0.2, 7)
        assert holm(p_values.tolist()) == pytest.approx(multipletests(p_values, method="holm")[1])


def test_a_category_by_hand():
    found = compare_pairs([{"x": [(0.0, 1.0), (0.5, 0.5)], "y": [(1.0, 0.5)], "z": [(0.2, 0.6)]}], {"unscored in A": 2})
    assert found.mean == pytest.approx((1.0 + 0.0 - 0.5 + 0.4) / 4)
    assert (found.wins, found.ties, found.losses) == (2, 1, 1)
    assert (found.pairs, found.prompts, dict(found.left_out)) == (4, 3, {"unscored in A": 2})
    patterns = [abs(a + b * -0.5 + c * 0.4) for a, b, c in itertools.product((1, -1), repeat=3)]
    assert found.p == pytest.approx(sum(value >= 0.9 - 1e-9 for value in patterns) / 8)
    assert found.verdict == "within noise"


def test_nothing_to_compare_is_said():
    found = compare_pairs([], {"unscored in both": 3})
    assert (found.mean, found.low, found.p, found.detectable) == (None, None, 1.0, None)
    assert sentence("color", found) == "color: no sample is scored in both runs"
    one = compare_pairs([{"x": [(0.0, 1.0)]}], {})
    assert (one.mean, one.low, one.p) == (1.0, None, 1.0)


def simulated(generator, effect, prompts, images=2):
    """One category: prompts differ, pictures of a prompt are alike, and B is better by `effect` on average."""
    base = generator.normal(0.5, 0.2, prompts)
    shift = generator.normal(effect, 0.1, prompts)
    noise = generator.normal(0, 0.1, (2, prompts, images))
    return {
        str(p): [(base[p] + noise[0, p, i], base[p] + shift[p] + noise[1, p, i]) for i in range(images)]
        for p in range(prompts)
    }


@pytest.mark.slow
def test_noise_is_called_noise_and_twice_the_detectable_effect_is_found():
    generator = np.random.default_rng(0)
    called = found = 0
    for _ in range(120):
        rows = [compare_pairs([simulated(generator, 0.0, 14)], {}) for _ in range(3)]
        called += min(holm([row.p for row in rows])) < 0.05
    assert called <= 12
    detectable = np.median([compare_pairs([simulated(generator, 0.0, 100)], {}).detectable for _ in range(7)])
    for _ in range(10):
        rows = [compare_pairs([simulated(generator, effect, 100)], {}) for effect in (2 * detectable, 0.0, 0.0)]
        found += holm([row.p for row in rows])[0] < 0.05
    assert found >= 9


def run(name, values, judge="j", fingerprint="1"):
    samples = {
        identity: Sample(id=identity, prompt=f"prompt of {identity}", meta={"category": identity.split("/")[1]})
        for identity in values
    }
    info = RunInfo(identity={}, setup={})
    column = JudgeColumn(judge, judge, fingerprint)
    return RunData(Path(name), info, samples, (column,), {judge: values}, {"color": 2})


def test_runs_are_paired_by_sample():
    unscored = Unscored(why=Why.UNREADABLE)
    a = run(
        "a", {"s/color/00000/0": Score(value=0.1), "s/color/00001/0": Score(value=0.5), "s/color/00002/0": unscored}
    )
    b = run(
        "b",
        {"s/color/00000/0": Score(value=0.9), "s/color/00001/0": Score(value=0.4), "s/color/00002/0": Score(value=1)},
    )
    (judge,) = compare_runs(a, b).judges
    row = judge.rows["color"]
    assert row.mean == pytest.approx(0.35)
    assert dict(row.left_out) == {"unscored in A": 1}
    assert [entry.difference for entry in (*judge.risen, *judge.fallen)] == pytest.approx([0.8, -0.1])
    assert judge.risen[0].prompt == "prompt of s/color/00000/0"
    assert not judge.fingerprints_differ
    aside = Unscored(why=Why.NOT_APPLICABLE)
    assert "color" not in compare_runs(*(run(name, {"s/color/00000/0": aside}) for name in "ab")).judges[0].rows
    assert (
        sentence("color", compare_runs(b, run("c", dict(b.outcomes["j"]))).judges[0].rows["color"])
        == "color: identical in all 3 pairs"
    )
    other = run("b", dict(b.outcomes["j"]), fingerprint="2")
    assert compare_runs(a, other).judges[0].fingerprints_differ


def test_what_cannot_be_compared_is_refused():
    a = run("a", {"s/color/00000/0": Score(value=0.1)})
    with pytest.raises(UsageError, match="share no judge"):
        compare_runs(a, run("b", {"s/color/00000/0": Score(value=0.1)}, judge="k"))
    with pytest.raises(UsageError, match="share no sample"):
        compare_runs(a, run("b", {"t/color/00000/0": Score(value=0.1)}))
    with pytest.raises(UsageError, match="no judge 'x' in both runs"):
        compare_runs(a, run("b", dict(a.outcomes["j"])), ["x"])
