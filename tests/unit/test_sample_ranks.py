"""Ranks, disagreement and the choice of samples, against scipy and by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from gotr1_eval.core.outcome import Score, Unscored, Why
from gotr1_eval.core.statistics.ranks import shares_below
from gotr1_eval.core.types import Sample
from reports.run_data import load_run
from reports.run_page.sample_ranks import SampleRanks, chosen_samples, rank_samples, shared_correlation
from tests.report_runs import number, write_run


def test_shares_are_scipys_middle_ranks():
    values = np.random.default_rng(0).integers(0, 9, 200).astype(float)
    values[::7] = np.nan
    there = ~np.isnan(values)
    expected = (stats.rankdata(values[there]) - 0.5) / there.sum()
    assert shares_below(values)[there] == pytest.approx(expected)
    assert np.isnan(shares_below(values)[~there]).all()


def test_spearman_is_scipys():
    generator = np.random.default_rng(1)
    x = generator.integers(0, 20, 300).astype(float)
    y = x + generator.normal(0, 9, 300).round()
    x[:10], y[5:20] = np.nan, np.nan
    both = ~np.isnan(x) & ~np.isnan(y)
    rho, count = shared_correlation(x, y)
    assert count == 280
    assert rho == pytest.approx(stats.spearmanr(x[both], y[both]).statistic)
    assert shared_correlation(np.ones(5), np.arange(5.0)) == (None, 5)


def test_standing_and_disagreement_by_hand(tmp_path: Path):
    samples = [Sample(id=f"s/c/{place}/0", prompt="p", meta={"category": "c"}) for place in range(4)]
    one, two = (0.1, 0.2, 0.3, 0.4), (0.9, 0.5, 0.5, None)

    def second(sample: Sample) -> Score | Unscored:
        value = two[number(sample)]
        return Unscored(why=Why.REFUSED) if value is None else Score(value=value)

    write_run(tmp_path / "run", samples, {"one": lambda s: Score(value=one[number(s)]), "two": second})
    found = rank_samples(load_run(tmp_path / "run"))
    # Ranks by the first judge: 1/8, 3/8, 5/8, 7/8; by the second: 5/6, 1/3, 1/3, none.
    assert found.overall == pytest.approx([(1 / 8 + 5 / 6) / 2, (3 / 8 + 1 / 3) / 2, (5 / 8 + 1 / 3) / 2, 7 / 8])
    assert found.disagreement == pytest.approx([5 / 6 - 1 / 8, 3 / 8 - 1 / 3, 5 / 8 - 1 / 3, np.nan], nan_ok=True)
    assert found.unscored.tolist() == [False, False, False, True]


@pytest.mark.parametrize("judges", [{}, {"one": lambda sample: Score(value=1.0)}])
def test_a_run_that_has_just_begun_has_no_standings(tmp_path: Path, judges: dict):
    found = rank_samples(load_run(write_run(tmp_path / "run", [], judges)))
    assert len(found.overall) == len(found.disagreement) == len(found.unscored) == 0


def test_the_choice_holds_the_extremes_and_says_why():
    generator = np.random.default_rng(2)
    overall, disagreement = generator.random(1000), generator.random(1000)
    overall[:50] = np.nan
    ranked = SampleRanks({}, overall, disagreement, np.arange(1000) < 50)
    chosen = chosen_samples(ranked, 200)
    assert len(chosen) == 200
    by_reason = {reason: [place for place, why in chosen.items() if why == reason] for reason in chosen.values()}
    assert by_reason.keys() == {"unscored", "worst", "best", "disagreed on", "random"}
    assert all(40 <= len(by_reason[reason]) <= 50 for reason in ("worst", "best", "disagreed on"))
    order = np.argsort(overall)
    assert set(order[:40]) <= set(chosen)
    assert set(np.argsort(np.where(np.isnan(overall), -1, overall))[-40:]) <= set(chosen)
    assert set(np.argsort(disagreement)[-40:]) <= set(chosen)
    assert by_reason["unscored"] == list(range(20))
    assert chosen_samples(ranked, 1000) == dict.fromkeys(range(1000), "")
