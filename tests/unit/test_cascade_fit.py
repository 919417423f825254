"""A cascade's threshold: found where it was planted, promised on held-out prompts, checked on others."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from gotr1_eval.build import Builder
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Score, Unscored, Why
from gotr1_eval.core.statistics.intervals import Estimate
from gotr1_eval.runs.judge_more import judge_more
from reports.agreement.marks import Unit
from reports.frontier.cascade import Kept, choose, fit_threshold, promise, thresholds
from reports.frontier.cascade_study import Study, make_study
from reports.run_data import load_run
from rewards.cascade import ASKED_STRONG
from tests.command_line import start
from tests.report_runs import write_run
from tests.unit.test_distilled import plans


def planted(seed: int, items: int = 200, sure: float = 0.3) -> Study:
    """The cheap judge is right where its doubt is below `sure`, and says anything elsewhere; the strong is right."""
    generator = np.random.default_rng(seed)
    truth, doubts = generator.uniform(size=items), generator.uniform(size=items)
    cheap = np.where(doubts < sure, truth, generator.uniform(size=items))
    return Study(
        prompts=[f"p{place // 2}" for place in range(items)],
        cheap=cheap,
        doubts=doubts,
        strong=truth,
        reference=truth,
        left_out={},
    )


def test_at_0_it_is_the_strong_judge_at_1_the_cheap_one():
    study = planted(0)
    assert (study.scores(0.0) == study.strong).all()
    assert (study.scores(1.0) == study.cheap).all()
    assert (study.passed(0.5) == (study.doubts >= 0.5)).all()


@pytest.mark.parametrize("seed", range(4))
def test_the_planted_threshold_is_found(seed):
    found = fit_threshold(planted(seed), evidence="value", by="spearman", allowed=0.0, draws=200)
    assert found.threshold == pytest.approx(0.3, abs=0.03)
    assert found.share.value == pytest.approx(0.7, abs=0.1)
    assert found.share.low < found.share.value < found.share.high
    assert abs(found.loss.value) < 0.02
    assert found.strong.value == pytest.approx(1)
    assert found.cheap.value < 0.6 < found.cascade.value


@pytest.mark.parametrize("allowed", [0.0, 0.05, 0.2])
def test_the_choice_is_the_greatest_threshold_within_the_loss_by_hand(allowed):
    study = planted(7, items=60)
    whole = spearmanr(study.strong, study.reference).statistic
    within = [
        threshold
        for threshold in thresholds(study.doubts)
        if whole - spearmanr(study.scores(threshold), study.reference).statistic <= allowed + 1e-12
    ]
    assert choose(study, "spearman", allowed) == max(within)


def test_thresholds_part_the_doubts_and_are_few():
    assert thresholds(np.array([0.2, 0.4, np.nan, 0.4])) == [0.0, 0.3, 1.0]
    assert thresholds(np.array([np.nan])) == [0.0, 1.0]
    assert len(thresholds(np.random.default_rng(0).uniform(size=5000))) == 102


def test_the_promise_is_of_prompts_that_the_threshold_has_not_seen():
    """A cheap judge whose doubt says nothing: what looks free on the study is a loss on held-out prompts."""
    losses = []
    for seed in range(12):
        generator = np.random.default_rng(seed)
        truth = generator.uniform(size=60)
        study = Study(
            prompts=[f"p{place}" for place in range(60)],
            cheap=truth + generator.normal(0, 0.5, 60),
            doubts=generator.uniform(size=60),
            strong=truth + generator.normal(0, 0.2, 60),
            reference=truth,
            left_out={},
        )
        losses.append(fit_threshold(study, evidence="value", by="spearman", allowed=0.0, draws=0).loss.value)
    assert np.mean(losses) > 0.0  # on the study itself no threshold with a loss is taken


@pytest.mark.slow
def test_a_promise_holds_on_other_items_of_the_kind():
    """The threshold itself is a matter of chance: of a study of its kind the promise must not be called broken."""
    verdicts = []
    for seed in range(30):
        found = fit_threshold(planted(seed, items=100), evidence="value", by="spearman", allowed=0.02, draws=100)
        other = planted(seed + 100, items=100)
        made, passed = other.scores(found.threshold), other.passed(found.threshold).astype(float)
        after = promise(other, made, passed, "spearman", 200, 0)
        verdicts += [Kept(found.share, after.share).verdict, Kept(found.loss, after.loss).verdict]
    assert verdicts.count("as told") >= 54  # of 60


def test_what_cannot_be_used_is_counted():
    units = [Unit(f"i{place}") for place in range(40)]
    cheap = {unit.item: Score(value=place / 40) for place, unit in enumerate(units)}
    cheap[units[0].item] = Unscored(why=Why.BACKEND)
    cheap[units[1].item] = Unscored(why=Why.UNREADABLE)
    del cheap[units[2].item]
    strong = dict.fromkeys(units[:-1], 0.5)
    marks = {unit: place / 40 for place, unit in enumerate(units)}
    study = make_study(
        cheap, strong, marks, {unit: unit.item for unit in units}, evidence="value", ends=(0.0, 1.0)
    )  # fmt: skip
    assert study.left_out == {
        "where the cheap judge's model failed": 1,
        "not judged by the cheap judge": 1,
        "not scored by the strong judge": 1,
    }
    assert len(study.prompts) == 37
    assert study.passed(1.0).sum() == 1  # the unreadable one goes to the strong judge at every threshold
    with pytest.raises(UsageError, match="undefined: the judge gave every item the same score"):
        fit_threshold(study, evidence="value", by="spearman", allowed=0.1)
    with pytest.raises(UsageError, match="expected at least 20 items of 5 prompts"):
        make_study(cheap, {}, marks, {unit: unit.item for unit in units}, evidence="value", ends=(0.0, 1.0))


def test_a_promise_is_kept_within_both_intervals():
    told = Estimate(0.30, 0.25, 0.35)
    assert Kept(told, Estimate(0.34, 0.29, 0.39)).verdict == "as told"
    assert Kept(told, Estimate(0.45, 0.40, 0.50)).verdict == "more than told"
    assert Kept(told, Estimate(0.15, 0.10, 0.20)).verdict == "less than told"
    assert Kept(told, Estimate(0.45)).verdict == "cannot be told"
    assert Kept(told, Estimate(None, why="none")).verdict == "cannot be told"


def judged_run(folder: Path, seed: int, *, lazy: float = 0.0) -> Path:
    """Plans judged by the geometric judge, and by one that sees it otherwise where that is in doubt."""
    draw, geometric = random.Random(seed), Builder().judge({"use": "geometric"})

    def strong(sample):
        (score,) = geometric.judge([sample])
        return Score(value=score.value if abs(2 * score.value - 1) > 0.5 else draw.random())

    def cheap(sample):
        return Score(value=0.5) if draw.random() < lazy else geometric.judge([sample])[0]

    names = {"cheap": "geometric", "strong": "shapes_prompt_image"}
    return write_run(folder, plans(80, seed), {"cheap": cheap, "strong": strong}, name=names.get)


@pytest.fixture
def fitted(tmp_path: Path) -> Path:
    judged_run(tmp_path / "run", 1)
    done = start(
        "cascade", "fit", "run", "--cheap", "geometric", "--strong", "shapes_prompt_image", "--loss", "0",
        "--evidence", "components", "--draws", "200", "--out", "made/cascade.toml", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "cascade[geometric, shapes_prompt_image from doubt" in done.stdout
    assert "told beforehand: the strong judge is asked about" in done.stdout
    return tmp_path


def test_what_fit_wrote_is_a_reward_set_whose_cascade_does_what_was_computed(fitted):
    told = json.loads((fitted / "made/cascade.json").read_text())
    rewards = Builder().reward_set(str(fitted / "made/cascade.toml"))
    assert rewards.judges["cascade"].name == told["name"]
    assert 0 < told["threshold"] < 1
    samples = plans(80, 1)
    found = rewards.judge(samples)
    first = Builder().judge({"use": "geometric"}).judge(samples)
    for row, cheap in zip(found, first, strict=True):
        outcome = row["cascade"]
        unsure = 1 - abs(2 * cheap.parts["1: " + next(iter(cheap.parts)).partition(": ")[2]] - 1)
        if unsure < told["threshold"]:
            assert (outcome.value, outcome.parts[ASKED_STRONG]) == (cheap.value, 0.0)
        else:
            assert isinstance(outcome, Unscored)  # no pictures here for the judge in the strong one's place


def test_the_promise_is_held_against_other_runs(fitted):
    judged_run(fitted / "other", 2)
    done = start("cascade", "check", "made/cascade.toml", "other", "--draws", "200", cwd=fitted)
    assert done.returncode == 0, done.stderr
    assert "computed from both judges' scores" in done.stdout
    assert done.stdout.count("as told") == 2
    judged_run(fitted / "unsure", 3, lazy=0.8)
    broken = start("cascade", "check", "made/cascade.toml", "unsure", "--draws", "200", cwd=fitted)
    assert broken.returncode == 1
    assert "strong judge asked: told" in broken.stdout
    assert "the promise was not kept: share more than told" in broken.stderr
    found = json.loads(start("cascade", "check", "made/cascade.toml", "other", "--json", cwd=fitted).stdout)
    assert found["share"]["verdict"] == "as told"
    assert found["ran"] is False


def test_a_run_of_the_cascade_itself_is_checked_by_whom_it_asked(fitted):
    told = json.loads((fitted / "made/cascade.json").read_text())
    ran = write_run(
        fitted / "ran",
        plans(80, 4),
        {"cascade": lambda sample: Score(value=0.5, parts={ASKED_STRONG: 0.0})},
        name=lambda factor: told["name"],
    )
    assert [column.name for column in load_run(ran).judges] == [told["name"]]
    found = json.loads(start("cascade", "check", "made/cascade.toml", "ran", "--json", cwd=fitted).stdout)
    assert found["ran"] is True
    assert found["loss"] is None
    assert found["share"]["found"]["value"] == 0
    assert found["share"]["verdict"] == "less than told"
    assert found["costs"] == {key: {"told": 0.0, "found": 0.0} for key in ("flops", "tokens")}  # both are computed


def test_what_it_cost_is_told_afterwards(fitted):
    (fitted / "costs.toml").write_text("[judges.geometric]\nflops = 1\n[judges.shapes_prompt_image]\nflops = 100\n")
    start(
        "cascade", "fit", "run", "--cheap", "geometric", "--strong", "shapes_prompt_image", "--loss", "0", "--costs",
        "costs.toml", "--evidence", "components", "--draws", "100", "--out", "made/cascade.toml", cwd=fitted,
    )  # fmt: skip
    told = json.loads((fitted / "made/cascade.json").read_text())
    assert told["costs"]["cascade"]["flops"]["amount"] == pytest.approx(1 + 100 * told["share"]["value"])
    judged_run(fitted / "other", 2)
    found = json.loads(start("cascade", "check", "made/cascade.toml", "other", "--json", cwd=fitted).stdout)
    expected = {"told": 1 + 100 * told["share"]["value"], "found": 1 + 100 * found["share"]["found"]["value"]}
    assert found["costs"]["flops"] == pytest.approx(expected)


def test_the_cascade_is_judged_beside_the_run_s_judges(fitted):
    (name,) = judge_more(fitted / "run", Builder().reward_set(str(fitted / "made/cascade.toml")))
    scores = load_run(fitted / "run").outcomes[name]
    assert {one.parts[ASKED_STRONG] for one in scores.values() if isinstance(one, Score)} == {0.0}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["fit", "run", "--cheap", "geometric", "--strong", "shapes_semantic", "--out", "c.toml"],
            "no run was judged by",
        ),
        (["fit", "run", "--cheap", "geometric", "--strong", "geometric", "--out", "c.toml"], "are the same judge"),
        (
            ["fit", "run", "--cheap", "geometric", "--strong", "shapes_prompt_image", "--out", "c.json"],
            "ending in .toml",
        ),
        (
            [
                "fit",
                "run",
                "--cheap",
                "geometric",
                "--strong",
                "shapes_prompt_image",
                "--out",
                "c.toml",
                "--evidence",
                "x",
            ],
            "--evidence x: expected one of value, components, questions, spread",
        ),
        (["check", "none.toml", "run"], "make one with cascade fit"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path, arguments, message):
    judged_run(tmp_path / "run", 1)
    failed = start("cascade", *arguments, cwd=tmp_path)
    assert failed.returncode == 2, failed.stdout
    assert message in failed.stderr
    assert "Traceback" not in failed.stderr
