"""How many pictures a mean needs: against statsmodels, by hand, and by simulating the runs that were planned."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from statsmodels.regression.mixed_linear_model import MixedLM

from benchmarks.shapes import ShapesSuite
from gotr1_eval.cli.app import run
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.statistics.intervals import prompt_analytic
from gotr1_eval.core.statistics.precision import Components, plan_precision, variance_components
from gotr1_eval.core.types import Sample
from gotr1_eval.runs.job import Job
from gotr1_eval.runs.run import run_job
from gotr1_eval.runs.samples import list_samples
from gotr1_eval.runs.sources import GeneratedPictures
from rewards.reward_set import RewardSet
from tests.fakes import OracleGenerator, ScriptedJudge

Z = stats.norm.ppf(0.975)


def drawn(rng: np.random.Generator, prompts: int, images: int, between: float, within: float) -> list[list[float]]:
    """Scores of a run with these standard deviations around a mean of 0.5."""
    means = rng.normal(0.5, between, prompts)
    return [rng.normal(mean, within, images).tolist() for mean in means]


def test_components_by_hand():
    """Two prompts of two pictures, means 0.5 and 1: the mean square within is 0.5 / 2, that between is
    2 * (0.25 ** 2 + 0.25 ** 2) / 1 = 0.25, so that nothing is left for the prompts: (0.25 - 0.25) / 2."""
    found = variance_components([[0.0, 1.0], [1.0, 1.0]])
    assert found == Components(between=0.0, within=0.25, prompts=2)
    assert variance_components([[0.0, 1.0]]) is None
    assert variance_components([[0.0], [1.0]]) is None
    # Sizes 2 and 1: a typical size of (3 - 5 / 3) / 1; the mean square between is 2 / 9 + 4 / 9.
    uneven = variance_components([[0.0, 0.0], [1.0]])
    assert uneven is not None
    assert (uneven.between, uneven.within) == pytest.approx((0.5, 0.0))


def test_components_of_a_balanced_run_are_those_of_restricted_likelihood():
    groups = drawn(np.random.default_rng(0), 80, 4, 0.3, 0.2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = MixedLM(np.concatenate(groups), np.ones(320), np.repeat(np.arange(80), 4)).fit(reml=True)
    found = variance_components(groups)
    assert found is not None
    assert found.within == pytest.approx(fit.scale, rel=1e-4)
    assert found.between == pytest.approx(fit.cov_re[0, 0], rel=1e-4)


def test_components_of_an_unbalanced_run_are_unbiased():
    rng = np.random.default_rng(1)
    found = []
    for _ in range(300):
        groups = drawn(rng, 60, 6, 0.3, 0.2)
        found.append(variance_components([group[: 1 + index % 6] for index, group in enumerate(groups)]))
    known = [components for components in found if components is not None]
    assert np.mean([components.between for components in known]) == pytest.approx(0.09, rel=0.04)
    assert np.mean([components.within for components in known]) == pytest.approx(0.04, rel=0.04)


def test_the_plan_now_is_the_interval_now():
    """Where the estimate between is not cut off at 0, the planner's half-width is that of the analytic interval."""
    groups = drawn(np.random.default_rng(2), 60, 5, 0.3, 0.2)
    components = variance_components(groups)
    assert components is not None
    low, high = prompt_analytic(groups)
    assert low is not None
    assert high is not None
    assert plan_precision([components]).half_width(5) == pytest.approx((high - low) / 2, rel=1e-9)


def test_an_exact_case():
    """100 prompts, between 0.01, within 0.16: the mean's variance is 0.0001 + 0.0016 / k. With 4 pictures that is
    0.0005; its half-width is reached by 4 and no fewer, the floor is z * 0.01, below which nothing helps."""
    plan = plan_precision([Components(between=0.01, within=0.16, prompts=100)])
    wanted = Z * np.sqrt(0.0005)
    assert plan.half_width(4) == pytest.approx(wanted)
    assert plan.images_for(wanted) == 4
    assert plan.images_for(wanted * 0.999) == 5
    assert plan.floor == pytest.approx(Z * 0.01)
    assert plan.images_for(Z * 0.01) is None
    assert plan.images_for(1.0) == 1
    # Variance a prompt with 4 pictures: 0.05; 500 prompts make it 0.0001.
    assert plan.prompts_for(Z * 0.01, 4) == 500
    # Over seeds 0.0016 / k: 16 pictures make it 0.0001.
    assert plan.images_for_seeds(Z * 0.01) == 16
    assert plan.images_for_seeds(1.0) == 2


def test_few_prompts_reach_further_by_students_t():
    plan = plan_precision([Components(between=0.0, within=0.09, prompts=10)])
    assert plan.half_width(1) == pytest.approx(stats.t.ppf(0.975, 9) * np.sqrt(0.009))
    needed = plan.prompts_for(0.15, 1)
    assert stats.t.ppf(0.975, needed - 1) * np.sqrt(0.09 / needed) <= 0.15
    assert stats.t.ppf(0.975, needed - 2) * np.sqrt(0.09 / (needed - 1)) > 0.15


@pytest.mark.parametrize("binary", [False, True], ids=["normal", "right or wrong"])
def test_runs_as_planned_are_as_exact_as_promised(binary: bool):
    """A pilot of 60 prompts plans for 400 prompts; then 1,000 such runs, other prompts each, are simulated."""
    rng = np.random.default_rng(3)

    def scores(prompts: int, images: int) -> list[list[float]]:
        if not binary:
            return drawn(rng, prompts, images, 0.25, 0.4)
        chances = rng.beta(0.8, 0.8, prompts)
        return rng.binomial(1, chances[:, None], (prompts, images)).astype(float).tolist()

    components = variance_components(scores(60, 8))
    assert components is not None
    plan = plan_precision([components], prompts=400)
    wanted = 1.15 * plan.floor
    images = plan.images_for(wanted)
    assert images is not None
    assert images > 1
    means = np.array([np.mean(scores(400, images)) for _ in range(1000)])
    assert 0.92 <= np.mean(np.abs(means - 0.5) <= wanted) <= 0.98


def test_a_mean_of_tasks_as_simulated():
    """Two tasks of unlike size and spread: the mean of their means, over 2,000 runs, has the planned variance."""
    rng = np.random.default_rng(4)
    tasks = [Components(between=0.09, within=0.04, prompts=80), Components(between=0.01, within=0.25, prompts=100)]
    plan = plan_precision(tasks)
    means = [
        np.mean([np.mean(drawn(rng, 80, 4, 0.3, 0.2)), np.mean(drawn(rng, 100, 4, 0.1, 0.5))]) for _ in range(2000)
    ]
    assert plan.between + plan.within / 4 == pytest.approx(np.var(means), rel=0.1)
    assert plan.prompts == 180


@pytest.fixture
def pilot(tmp_path: Path) -> Path:
    """Color scores vary by prompt alone, spatial ones by picture alone: 0, 1, 0, 1, ..."""
    plan = list_samples(ShapesSuite(), ("color", "spatial"), images_per_prompt=2, limit=6, seed=0)

    def answer(sample: Sample) -> Outcome:
        prompt, image = sample.meta["prompt_index"], sample.meta["image_index"]
        assert isinstance(prompt, int)
        return Score(value=float(prompt % 2 if sample.meta["category"] == "color" else image == 1))

    rewards = RewardSet({"scripted": ScriptedJudge(answer)})
    run_job(
        Job(
            folder=tmp_path / "run",
            samples=plan,
            pictures=GeneratedPictures(OracleGenerator()),
            rewards=rewards,
            settings={"suite": "shapes"},
        )
    )
    return tmp_path / "run"


def test_the_command_says_when_no_number_of_pictures_is_enough(pilot: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["precision", str(pilot), "--half-width", "0.05", "--prompts", "100"]) == 0
    color, spatial, both = capsys.readouterr().out.split("scripted\n")[1:]
    # Three prompts of 0 and three of 1: variance between 6 * 0.25 / 5 = 0.3, of 100 prompts 0.003.
    assert "the 100 prompts alone leave ±0.1074; it takes 461 such prompts of 2 pictures" in color
    assert "over seeds, with these prompts fixed, takes 2 pictures" in color
    # Within 0.5 a prompt, of 100 prompts 0.005 / k against (0.05 / 1.96) ** 2.
    assert "±0.05 over prompts takes 8 pictures a prompt" in spatial
    assert "200 prompts" in both
    assert run(["precision", str(pilot), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert (rows[0]["row"], rows[0]["prompts"], rows[0]["images_per_prompt"]) == ("color", 6, None)


def test_widths_that_cannot_be(pilot: Path):
    with pytest.raises(UsageError, match="a number above 0"):
        run(["precision", str(pilot), "--half-width", "0"])
