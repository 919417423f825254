"""What a comparison can find and whether a loss is excluded: against exact tests, the real test, and by simulation."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from gotr1_eval.cli.app import run
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Score
from gotr1_eval.core.statistics.paired import LopsidedTest
from gotr1_eval.core.statistics.power import (
    SHAPED,
    detectable_shift,
    fewest_prompts,
    loss_bounds,
    may_be_undone,
    non_inferiority,
)
from gotr1_eval.core.statistics.significance import sign_flip_p
from reports.comparison.difference import compare_pairs
from reports.comparison.tables import could_be_found, sentence
from tests.made_runs import made_run
from tests.simulations.power import p_values

pytestmark = pytest.mark.slow


def test_too_few_prompts_find_nothing():
    assert [fewest_prompts(number) for number in (1, 6, 8)] == [6, 8, 9]
    for comparisons in (1, 6, 8):
        fewest = fewest_prompts(comparisons)
        one_way = [sign_flip_p(np.ones(prompts)) * comparisons for prompts in (fewest - 1, fewest)]
        assert one_way[0] >= 0.05 > one_way[1]
    assert detectable_shift(np.zeros(50), np.ones(50)) is None


def test_what_cannot_be_told_is_not_stated():
    assert detectable_shift(np.arange(1.0, SHAPED + 1), np.ones(SHAPED)) is None
    assert detectable_shift(np.arange(1.0, SHAPED + 2), np.ones(SHAPED + 1)) > 0
    mostly_equal = np.append(np.zeros(60), np.arange(1.0, SHAPED))
    assert detectable_shift(mostly_equal, np.ones(len(mostly_equal))) is None
    ten = {str(place): [(0.0, value)] for place, value in enumerate(np.random.default_rng(0).normal(0, 1, 10))}
    assert could_be_found(compare_pairs([ten], {})) == "cannot be told"
    told = sentence("color", compare_pairs([ten], {}))
    assert "what could have been found cannot be told from so few prompts that differ" in told
    four = {name: ten[name] for name in "0123"}
    assert could_be_found(compare_pairs([four], {})) == "nothing"


def test_a_missed_tail_is_no_difference():
    """All prompts but one gain a little; signs alone call that a gain, though a rare loss may outweigh it."""
    few = {str(place): [(0.5, 0.52 if place else 0.5)] for place in range(12)}
    found = compare_pairs([few], {})
    assert sign_flip_p(np.append(np.full(11, 0.02), 0.0)) < 0.05 <= found.p
    assert found.lopsided
    assert "signs alone would call it a difference" in sentence("color", found)
    assert found.verdict == "within noise"


def test_a_difference_that_rare_breaks_could_undo_says_so():
    values = np.random.default_rng(5).normal(0.02, 0.02, 60)
    little, much = ({str(place): [(0.4, 0.4 + value)] for place, value in enumerate(by * values)} for by in (1, 10))
    assert compare_pairs([little], {}, worst=1.0).may_be_undone
    assert compare_pairs([little], {}).may_be_undone  # no bounds
    assert "could undo it" in sentence("color", compare_pairs([little], {}, worst=1.0))
    found = compare_pairs([much], {}, worst=1.0)
    assert found.verdict == "better"
    assert not found.may_be_undone
    # In a list of rights and wrongs: Clopper's and Pearson's interval for 60 gains, or for 60 losses, and none undone.
    assert not may_be_undone(np.ones(60), np.ones(60), 1.0)
    assert not may_be_undone(-np.ones(60), np.ones(60), 1.0)
    assert may_be_undone(np.append(np.ones(1), np.zeros(59)), np.ones(60), 1.0)


def both_by_hand(values: np.ndarray, draws: int = 4000) -> tuple[float, float]:
    """The bootstrap-t with scipy's t, and the weighing of one prompt more, of one list; drawn otherwise."""
    generator, prompts = np.random.default_rng(9), len(values)
    observed = stats.ttest_1samp(values, 0).statistic
    drawn = generator.choice(values, (draws, prompts))
    t = stats.ttest_1samp(drawn, values.mean(), axis=1).statistic
    bootstrap = 2 * min(np.mean(t >= observed), np.mean(t <= observed))
    weights = generator.dirichlet(np.ones(prompts + 1), draws)
    mixed = [weights @ np.append(values, side * 2 * values.std(ddof=1)) for side in (-1, 1)]
    return bootstrap, 2 * min(np.mean(mixed[0] <= 0), np.mean(mixed[1] >= 0))


@pytest.mark.parametrize("shift", [0.0, 0.25])
def test_the_tests_beside_the_signs_against_scipy(shift):
    values = np.random.default_rng(3).exponential(0.3, 30) - 0.2
    expected = max(both_by_hand(values + shift))
    for weight in (1.0, 3.0):
        test = LopsidedTest(values[:, None] * weight, np.full((30, 1), weight), 4000)
        assert test.p(shift)[0] == pytest.approx(expected, abs=0.02)


def test_lopsided_differences_with_a_mean_of_0_are_rarely_called():
    """400 lists of 10 and 50; tests/simulations/power.py has thousands of more kinds."""
    for prompts, most in ((10, 0.06), (50, 0.07)):
        values = np.random.default_rng(prompts).exponential(0.3, (prompts, 400)) - 0.3
        assert np.mean(p_values(values) < 0.05) <= most


@pytest.mark.parametrize(("prompts", "comparisons"), [(25, 8), (50, 1)])
def test_the_detectable_difference_is_found_in_four_of_five(prompts, comparisons):
    """25 pairs of a pilot and a comparison; tests/simulations/power.py does many more."""
    generator = np.random.default_rng(prompts + comparisons)
    pilots, again = generator.normal(0, 0.3, (2, prompts, 25))
    shifts = [detectable_shift(pilot, np.ones(prompts), comparisons) for pilot in pilots.T]
    assert 0.65 <= np.mean(p_values(again + np.array(shifts)) < 0.05 / comparisons) <= 0.95


def test_many_prompts_take_the_normal_form_and_units_follow_the_scale():
    sums = np.random.default_rng(0).normal(0, 1, 3000)
    expected = (stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) * sums.std(ddof=1) / np.sqrt(3000)
    assert detectable_shift(sums, np.ones(3000)) == pytest.approx(expected)
    few, weights = sums[:40], np.full(40, 2.0)
    assert detectable_shift(10 * few, weights) == pytest.approx(10 * detectable_shift(few, weights))
    assert detectable_shift(few, 2 * weights) == pytest.approx(detectable_shift(few, weights) / 2)


@pytest.mark.parametrize(("prompts", "breaks"), [(50, 0), (60, 1), (150, 3)])
def test_of_zeros_and_ones_the_bound_is_clopper_and_pearsons(prompts, breaks):
    losses = np.append(np.ones(breaks), np.zeros(prompts - breaks))
    found = non_inferiority(-losses, np.ones(prompts), 0.05, 1.0)
    exact = stats.binomtest(breaks, prompts, alternative="less").proportion_ci(0.95).high
    assert found.most == pytest.approx(exact, rel=0.05)
    assert (found.floor < 0.05) == (stats.binom.cdf(0, prompts, 0.05) < 0.05)
    assert found.p == pytest.approx(stats.binom.cdf(breaks, prompts, 0.05), abs=0.02)
    assert found.shown == (found.most < 0.05)


def test_fifty_binary_prompts_cannot_exclude_a_fiftieth_and_150_can():
    few, many = (non_inferiority(np.zeros(prompts), np.ones(prompts), 0.02, 1.0) for prompts in (50, 160))
    assert not few.possible
    assert not few.shown
    assert many.possible
    assert many.shown


LOSSES = {
    "binary": lambda generator, shape: generator.choice([1.0, 0.0, -1.0], p=[0.15, 0.75, 0.10], size=shape),
    "rare breaks": lambda generator, shape: (generator.random(shape) < 0.05).astype(float),
    "rare half breaks": lambda generator, shape: 0.5 * (generator.random(shape) < 0.10),
    "noise": lambda generator, shape: generator.normal(0.05, 0.1, shape),
}


@pytest.mark.parametrize("kind", LOSSES)
def test_a_loss_of_the_margin_rarely_passes(kind):
    """60 lists of 60 prompts; tests/simulations/power.py has thousands, and at most 5 of a hundred pass."""
    prompts = 60
    generator = np.random.default_rng(1)
    losses = LOSSES[kind](generator, (60, prompts))
    passed = [np.mean(loss_bounds(-one, np.ones(prompts), 1.0) >= 0.05) < 0.05 for one in losses]
    assert np.mean(passed) <= 0.1


def test_what_can_be_shown_is_shown_where_nothing_is_lost():
    generator = np.random.default_rng(2)
    passed = []
    for pilot, again in generator.normal(0, 0.1, (30, 2, 100)):
        showable = non_inferiority(pilot, np.ones(100), 0.05, 1.0).showable
        found = non_inferiority(again, np.ones(100), showable, 1.0)
        assert found.floor < showable < 0.08
        passed.append(found.shown)
    assert 0.6 <= np.mean(passed) <= 0.97


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A run of 128 prompts, the same once more with nothing changed, and one in which every tenth picture broke."""
    folder = tmp_path_factory.mktemp("regress")

    def broken(sample):
        return Score(value=0.0 if int(sample.id.split("/")[-2]) % 4 == 0 else 0.9)

    for name, answer in (("a", lambda _: Score(value=0.9)), ("same", lambda _: Score(value=0.9)), ("broken", broken)):
        made_run(folder / name, {"one": answer}, prompts=32, images=1)
    return folder


def test_regress_passes_what_lost_nothing_and_fails_what_broke(folders, capsys):
    a, same, broken = (str(folders / name) for name in ("a", "same", "broken"))
    assert run(["regress", a, same, "--margin", "0.05"]) == 0
    text = capsys.readouterr().out
    assert "one: not worse by more than 0.05: +0.000" in text
    assert "minimum detectable effect" in text
    assert run(["regress", a, broken, "--margin", "0.05", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["passed"]
    assert found["judges"][0]["not_worse"]["most"] > 0.05
    with pytest.raises(UsageError, match=r"this list cannot show this margin: 64 prompts .* about 149 prompts would"):
        run(["regress", a, same, "--margin", "0.02"])
    with pytest.raises(UsageError, match="expected a loss that would matter"):
        run(["regress", a, same, "--margin", "0"])


def test_compare_says_what_was_not_lost_and_puts_the_whole_first(folders, capsys):
    a, broken = (str(folders / name) for name in ("a", "broken"))
    assert run(["compare", a, broken, "--margin", "0.05", "--json"]) == 0
    (judge,) = json.loads(capsys.readouterr().out)[0]["judges"]
    assert list(judge["rows"]) == ["all", "mean of tasks", "color", "spatial"]
    assert judge["rows"]["all"]["mean"] == pytest.approx(-0.225)
    assert judge["rows"]["all"]["not_worse"]["shown"] is False
    assert run(["compare", a, broken, "--margin", "0.5"]) == 0
    assert "; not worse by more than 0.5 (a loss above" in capsys.readouterr().out
    with pytest.raises(UsageError, match="two runs"):
        run(["compare", a, "--published", "--margin", "0.1"])
