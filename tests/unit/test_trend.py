"""Trends of a run, by hand, against scipy, and on noise."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gotr1_eval.cli.train import _line
from training.trend import SPAN, STEEP, TrendWatch, alarms, change, collapsed, diverge, standard_rise


def test_the_trend_is_ten_against_the_ten_before():
    assert change([0.0] * 10 + [1.0] * 9) is None
    assert change([5.0] + [0.0] * 10 + [1.0] * 10) == 1.0
    assert change([1, 3, 2, 0], window=2) == -1.0


def test_a_line_rises_by_the_square_root_of_twelve():
    assert standard_rise(np.linspace(3, 9, 2000)) == pytest.approx(12**0.5, rel=1e-3)
    assert standard_rise([0.4] * 30) == 0.0
    assert standard_rise([1.0, 0.0]) == -2.0


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=40))
def test_the_parts_are_scipy_s(pairs):
    one, two = (list(column) for column in zip(*pairs, strict=True))
    found = diverge(one, two)
    if len(set(one)) > 1 and len(set(two)) > 1:
        assert found.correlation == pytest.approx(stats.spearmanr(one, two).statistic, nan_ok=True)
    if np.std(one) > 1e-6:
        line = stats.linregress(range(len(one)), one)
        assert found.reward == pytest.approx(line.slope * (len(one) - 1) / np.std(one), abs=1e-6)


def test_noise_seldom_alarms_and_a_gamed_reward_does():
    random = np.random.default_rng(0)
    alarmed = [diverge(random.normal(size=SPAN), random.normal(size=SPAN)).alarming for _ in range(300)]
    assert sum(alarmed) <= 1
    steep = [standard_rise(random.normal(size=SPAN)) >= STEEP for _ in range(1000)]
    assert 1 <= sum(steep) <= 20, "one in 150, as the module says"
    rising = np.linspace(0.3, 0.5, SPAN) + random.normal(scale=0.05, size=SPAN)
    gamed = diverge(rising, 1 - rising + random.normal(scale=0.02, size=SPAN))
    assert gamed.alarming
    assert gamed.correlation < -0.8
    assert gamed.gap > 4
    assert not diverge(rising, rising).alarming


def rows(count: int) -> list[dict[str, float]]:
    return [
        {"step": step + 1, "reward/total/mean": step / 50, "watched/geometric/mean": 1 - step / 100}
        for step in range(count)
    ]


def test_a_run_tells_its_trend_and_warns(tmp_path: Path):
    watch = TrendWatch("total")
    told = [{**row, **watch.see(row)} for row in rows(30)]
    assert "reward/total/trend" not in told[18]
    assert told[19]["reward/total/trend"] == pytest.approx(0.2)
    assert told[19]["watched/geometric/correlation"] == pytest.approx(-1)
    assert alarms(told[29]) == ["geometric"]
    first, second = _line(told[29]).splitlines()
    assert "trend +0.2" in first
    assert second.startswith("warning: the reward rises while geometric falls")
    json.dumps(told, allow_nan=False)


def test_a_resumed_run_goes_on_with_the_trend_of_the_first():
    whole, history = TrendWatch("total"), rows(60)
    told = [whole.see(row) for row in history]
    # A step that was done twice, since its checkpoint was lost, counts once.
    again = TrendWatch("total", [*history[:49], *history[40:50]])
    assert [again.see(row) for row in history[50:]] == told[50:]


def test_steps_without_a_score_are_left_out():
    watch = TrendWatch("total")
    holes = [{key: row[key] for key in row if row["step"] % 3 or "watched" not in key} for row in rows(30)]
    told = [watch.see(row) for row in holes]
    assert "watched/geometric/gap" not in told[19]
    assert told[28]["watched/geometric/correlation"] == pytest.approx(-1)


def test_progress_shows_the_total_or_what_else_the_rewards_are_headed_by():
    ends = {"mean": 0.68, "low": 0.6, "high": 0.7}
    checklist = {f"held out/checklist/{name}": value for name, value in ends.items()}
    assert _line({"step": 0, **checklist}) == "step 0: held-out checklist 0.68, 95 % interval from 0.6, to 0.7"
    total = {f"held out/total/{name}": value / 2 for name, value in ends.items()}
    assert _line({"step": 4, **checklist, **total}) == "step 4: held-out total 0.34, 95 % interval from 0.3, to 0.35"
    step = {"step": 1, "reward/checklist/mean": 0.5, "reward/checklist/unscored": 0, "groups/learned": 4}
    assert _line(step) == "step 1: checklist 0.5, unscored 0, groups 4"


def test_samples_of_a_prompt_that_become_alike_are_told():
    history = [
        {"step": step + 1, "reward/total/mean": 0.5, "diversity/distinct-2": 0.8 - step / 100} for step in range(60)
    ]
    watch = TrendWatch("total")
    told = [{**row, **watch.see(row)} for row in history]
    left = [row.get("diversity_left/distinct-2") for row in told]
    assert left[:9] == [None] * 9
    assert left[9] == pytest.approx(1)
    # Steps 46 to 55 have 0.35 to 0.26 of the first ten's 0.755 on average.
    assert left[54] == pytest.approx(np.mean([0.8 - step / 100 for step in range(45, 55)]) / 0.755)
    assert not collapsed(told[44])
    assert list(collapsed(told[54])) == ["distinct-2"]
    assert "warning: distinct-2 of a prompt's samples is 40% of" in _line(told[54])
    again = TrendWatch("total", history[:50])
    assert [again.see(row) for row in history[50:]] == [watch_row(row) for row in told[50:]]


def watch_row(row: dict[str, float]) -> dict[str, float]:
    """What the watch added."""
    return {name: value for name, value in row.items() if name.endswith("/trend") or name.startswith("diversity_left/")}
