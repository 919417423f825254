"""Distilled judges: what they reach, what they are called, and which of them are refused as a reward."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import spearmanr
from sklearn.metrics import mean_squared_error, r2_score

from benchmarks.shapes.judges.shapes_prompt_image import ShapesPromptImageJudge
from gotr1_eval import score_images
from gotr1_eval.build import Builder
from gotr1_eval.core.chain import write_chain
from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.core.outcome import Score, Unscored, Why
from gotr1_eval.core.statistics.folds import fold_numbers
from gotr1_eval.core.statistics.heads import cross_fit
from gotr1_eval.core.types import Box, Sample
from gotr1_eval.distilling import STORED, Rows, calibration_error, distil, fit
from gotr1_eval.shapes.drawing import draw_scene
from gotr1_eval.shapes.layout import Fault, scene_for
from gotr1_eval.shapes.prompts import prompts
from gotr1_eval.shapes.statements import read_prompt
from reports.run_data import JudgeColumn
from rewards.adapters.trainer_reward import TrainerReward
from rewards.cosine import CosineJudge
from rewards.geometric import GeometricJudge
from rewards.light.features import EncoderFeatures
from rewards.light.layout_features import LayoutFeatures
from rewards.light.shapes_features import ShapesFeatures
from rewards.reward_set import read_reward_set, refuse_as_reward
from tests.command_line import start
from tests.report_runs import write_run
from tests.tiny_clip import clip_encoder, random_clip_folder

CONFIG = Path(__file__).parents[2] / "configs/shapes.toml"
WORDS = ("on the left of", "on the right of", "above", "below")
NAMES = ("cat", "dog", "chair", "lamp", "bird", "car")


def plans(count: int, seed: int = 0) -> list[Sample]:
    """Prompts of two objects in a relation, two random plans each."""
    draw = random.Random(seed)
    found = []
    for place in range(count):
        if place % 2 == 0:
            names, words = draw.sample(NAMES, 2), draw.choice(WORDS)
        boxes = [Box(x, y, x + 0.2, y + 0.2) for x, y in ((draw.random() * 0.8, draw.random() * 0.8) for _ in "ab")]
        prompt = f"a {names[0]} {words} a {names[1]}, number {place // 2}"
        chain = write_chain(list(zip(names, boxes, strict=True)))
        found.append(
            Sample(id=f"s/spatial/{place // 2}/{place % 2}", prompt=prompt, chain=chain, meta={"category": "a"})
        )
    return found


def pictures(folder: Path, count: int) -> list[Sample]:
    """Drawings of shapes prompts, two in three of them with a fault."""
    folder.mkdir()
    draw, found = random.Random(1), []
    faults = [frozenset[Fault](), frozenset({Fault.ATTRIBUTE}), frozenset({Fault.MISSING})]
    for place in range(count):
        prompt = prompts("texture", "train")[place // 3]
        scene = scene_for(read_prompt(prompt), draw, faults[place % 3])
        draw_scene(scene, 64).save(folder / f"{place}.png")
        sample = f"s/texture/{place // 3}/{place % 3}"
        found.append(Sample(id=sample, prompt=prompt, image=folder / f"{place}.png", meta={"category": "a"}))
    return found


def run_of(folder: Path, samples, judge, factor="spatial") -> Path:
    return write_run(folder, samples, {factor: lambda sample: judge.judge([sample])[0]})


@pytest.fixture(scope="module")
def light(tmp_path_factory) -> Path:
    """A light judge of plans, distilled from the geometric one."""
    folder = tmp_path_factory.mktemp("light")
    run = run_of(folder / "run", plans(200), GeometricJudge())
    distil([run], "spatial", folder / "judge", audit_size="small")
    return folder / "judge"


@pytest.fixture(scope="module")
def deaf(tmp_path_factory) -> Path:
    """A judge whose features carry no signal about the scores, which are drawn by lot."""
    folder = tmp_path_factory.mktemp("deaf")
    draw = random.Random(5)
    run = write_run(folder / "run", plans(60), {"spatial": lambda sample: Score(value=draw.random())})
    distil([run], "spatial", folder / "judge", audit_size="small")
    return folder / "judge"


def judge_of(folder: Path, **settings):
    return Builder().judge({"use": "distilled", "folder": str(folder), **settings})


def test_a_light_judge_follows_its_source_on_plans_it_has_not_seen(light):
    judge, strong, others = judge_of(light), GeometricJudge(), plans(60, seed=9)
    light_values = [outcome.value for outcome in judge.judge(others)]
    assert np.corrcoef(light_values, [outcome.value for outcome in strong.judge(others)])[0, 1] > 0.9
    validation = judge.distilled.validation
    assert validation["spearman"]["value"] > 0.9
    assert validation["spearman"]["low"] < validation["spearman"]["value"] < validation["spearman"]["high"]
    assert validation["rmse"]["value"] < validation["rmse_of_the_mean"] / 2
    assert judge.name.startswith("distilled[judge[spatial], layout features, ridge, 200 samples ")
    assert judge.refused_as_reward == ""
    assert judge.looks_at == "plan"


def test_a_score_is_the_same_to_the_last_bit_whatever_stands_beside_it(light):
    judge, samples = judge_of(light), plans(33, seed=2)
    together = judge.judge(samples)
    assert [judge.judge([sample])[0] for sample in samples] == together
    assert judge.judge(samples[::-1]) == together[::-1]
    assert all({"raw", "spread"} == set(outcome.parts) for outcome in together)


def test_what_has_no_features_says_why(light):
    judge, sample = judge_of(light), plans(2)[0]
    outcomes = judge.judge([replace(sample, prompt="a cat"), replace(sample, chain=None), replace(sample, chain="no")])
    assert [one.why for one in outcomes if isinstance(one, Unscored)] == [Why.NOT_APPLICABLE, Why.NO_INPUT]
    assert isinstance(outcomes[2], Score)
    assert (outcomes[2].value, outcomes[2].note) == (0.0, "no readable box in the chain")


def test_a_judge_whose_features_carry_no_signal_is_refused_as_a_reward(deaf):
    rewards = Builder().reward_set(f"distilled,folder={deaf}")
    assert isinstance(rewards.judge(plans(2))[0]["distilled"], Score)  # anyone may score with it
    for refusing in (refuse_as_reward, lambda judges: TrainerReward(judges, "a trainer", "error")):
        with pytest.raises(UsageError, match="refused as a reward: its audit says no; worst"):
            refusing(rewards)
    assert "untrusted" not in rewards.judges["distilled"].name
    assert rewards.judges["distilled"].remarks([])[0].endswith(rewards.judges["distilled"].distilled.trust["told"])


def test_a_cascade_with_it_is_refused_as_well(deaf):
    cascade = f"cascade,cheap=distilled,cheap.folder={deaf},strong=geometric,threshold=0.5,evidence=spread"
    rewards = Builder().reward_set(cascade)
    assert isinstance(rewards.judge(plans(2))[0]["cascade"], Score)
    with pytest.raises(UsageError, match="refused as a reward: its audit says no"):
        refuse_as_reward(rewards)


def test_a_logistic_head_needs_a_range(tmp_path):
    run = run_of(tmp_path / "run", plans(40), GeometricJudge())
    described = json.loads((run / "run.json").read_text("utf-8"))
    described["setup"]["judges"][0]["range"] = [-1e9, 1e9]
    (run / "run.json").write_text(json.dumps(described), "utf-8")
    with pytest.raises(UsageError, match=r"reads scores as chances on a range, and judge\[spatial\] has none"):
        distil([run], "spatial", tmp_path / "light", head="logistic")


def test_an_accepted_failure_stands_in_the_name(deaf, light):
    accepted = Builder().reward_set(f"distilled,folder={deaf},untrusted=true")
    refuse_as_reward(accepted)
    assert accepted.judges["distilled"].name.endswith(", untrusted]")
    assert "untrusted" not in judge_of(light, untrusted=True).name  # nothing had to be accepted


def test_the_server_refuses_it_as_well(deaf):
    from gotr1_eval.web.reward_server import create_app

    with pytest.raises(UsageError, match="refused as a reward"):
        create_app(Builder().reward_set(f"distilled,folder={deaf}"))


def test_a_head_that_was_changed_has_no_audit(light, tmp_path):
    content = json.loads((light / "head.json").read_text("utf-8"))
    content["head"]["offset"] += 0.1
    (tmp_path / "head.json").write_text(json.dumps(content), "utf-8")
    changed = judge_of(tmp_path)
    assert changed.refused_as_reward.startswith("it has no audit of this head")
    assert changed.fingerprint != judge_of(light).fingerprint


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda content: content.update(format=9), "format 9, this version reads 1"),
        (lambda content: content.pop("folds"), "folds"),
        (lambda content: content["head"].update(weights=[1e999]), "finite"),
        (lambda content: content["head"].update(kind="tree"), "expected ridge or logistic"),
        (lambda content: content["source"].update(looks_at="prose"), "expected picture or plan"),
        (lambda content: content.update(folds=[]), "missing"),
    ],
)
def test_a_broken_file_is_one_line(light, tmp_path, change, told):
    content = json.loads((light / "head.json").read_text("utf-8"))
    change(content)
    (tmp_path / "head.json").write_text(json.dumps(content), "utf-8")
    with pytest.raises(DataError, match=told):
        judge_of(tmp_path)


def test_no_folder_and_other_features_are_refused(light, tmp_path):
    with pytest.raises(DataError, match="gotr1-eval distil"):
        judge_of(tmp_path)
    content = json.loads((light / "head.json").read_text("utf-8"))
    content["features"]["fingerprint"] = "another"
    (tmp_path / "head.json").write_text(json.dumps(content), "utf-8")
    with pytest.raises(UsageError, match="distil it again"):
        judge_of(tmp_path).judge(plans(2))


def test_features_are_kept_and_read_again_where_they_fit(tmp_path):
    run = run_of(tmp_path / "run", plans(40), GeometricJudge())
    first = distil([run], "spatial", tmp_path / "judge", audit_size="small").distilled
    kept = np.load(tmp_path / "judge" / STORED, allow_pickle=False)
    np.savez(tmp_path / "judge" / STORED, stated=kept["stated"], features=kept["features"] * 2)
    again = distil([run], "spatial", tmp_path / "judge", audit_size="small").distilled
    assert again.head.weights == pytest.approx(first.head.weights / 2)
    np.savez(tmp_path / "judge" / STORED, stated="of others", features=kept["features"] * 2)
    third = distil([run], "spatial", tmp_path / "judge", audit_size="small").distilled
    assert third.fingerprint == first.fingerprint


@pytest.mark.slow
def test_pictures_are_read_by_own_features_and_by_an_encoder(tmp_path):
    run = run_of(tmp_path / "run", pictures(tmp_path / "pictures", 90), ShapesPromptImageJudge(), "prompt_image")
    own = distil([run], "prompt_image", tmp_path / "own", audit_size="small")
    assert own.validation["spearman"]["value"] > 0.6
    assert own.card.looks_at == "picture"
    encoder = {"use": "tests.plugins.fake_encoder"}
    other = distil([run], "prompt_image", tmp_path / "other", features=encoder, head="logistic", audit_size="small")
    assert other.name.startswith("distilled[judge[prompt_image], fake, logistic, 90 samples ")
    assert len(other.distilled.head.weights) == 5  # four products and the cosine
    (score,) = judge_of(tmp_path / "other").judge(pictures(tmp_path / "more", 1))
    assert 0 <= score.value <= 1


def test_features_of_a_clip_are_products_of_its_embeddings(tmp_path):
    """Of a tiny random CLIP of the true class; their last number is what `clip_score` says."""
    encoder = clip_encoder(random_clip_folder(tmp_path / "clip"))
    (sample,) = pictures(tmp_path / "pictures", 1)
    (row,) = EncoderFeatures(encoder, "picture").rows([sample])
    with Image.open(sample.image) as picture:
        image = encoder.embed_images([picture.convert("RGB")])[0]
    assert row[:-1] == pytest.approx(image * encoder.embed_texts([sample.prompt])[0])
    (score,) = CosineJudge("clip_score", encoder).judge([sample])
    assert row[-1] == pytest.approx(score.value, abs=1e-6)
    plan = plans(1)[0]
    drawn, *others = EncoderFeatures(encoder, "plan").rows([plan, replace(plan, chain="no"), replace(plan, chain=None)])
    assert drawn.shape == row.shape
    assert [type(each) for each in others] == [Score, Unscored]
    assert EncoderFeatures(encoder, "plan").fingerprint != EncoderFeatures(encoder, "picture").fingerprint


def test_own_features_tell_a_right_picture_from_a_wrong_one(tmp_path):
    rows = np.array(ShapesFeatures().rows(pictures(tmp_path / "pictures", 30)))
    right, wrong, missing = rows[0::3], rows[1::3], rows[2::3]
    assert (right[:, 10] == 1.0).all()  # every colour, outline and pattern
    assert wrong[:, 10].mean() < 0.5  # a diamond fills its box as a triangle does
    assert not missing[:, 10].any()
    assert (missing[:, 2] == 0.5).all()
    foreign = Sample(id="x", prompt="a photo of a dog", image=tmp_path / "pictures/0.png")
    assert ShapesFeatures().rows([foreign])[0].why is Why.NO_INPUT


def test_layout_features_by_hand():
    chain = write_chain([("cat", Box(0.0, 0.4, 0.2, 0.6)), ("dog", Box(0.6, 0.5, 0.8, 0.7))])
    sample = Sample(id="x", prompt="a cat on the left of a dog", chain=chain)
    (row,) = LayoutFeatures().rows([sample])
    assert row == pytest.approx([1, 0, 0.6, 0.6 / 0.7, 0.1 / 0.7, 1, 0, 0.4], abs=1e-6)
    (row,) = LayoutFeatures().rows([replace(sample, prompt="a cat above a bird")])
    assert row.tolist() == [0, 1, *[0] * 6]


@pytest.mark.parametrize("noise", [0.1, 100.0])
def test_what_is_told_of_unseen_prompts_is_what_scikit_learn_and_scipy_compute(noise):
    """Also where nothing can be learned; lines by numpy's polyfit, never falling, each without the fold it is for."""
    generator = np.random.default_rng(8)
    features = generator.normal(size=(90, 4))
    scores = np.clip(0.5 + 0.2 * features[:, 0] + noise * generator.normal(0, 0.3, 90), 0, 1)
    prompts = [f"p{place // 3}" for place in range(90)]
    rows = Rows([str(place) for place in range(90)], prompts, features, scores, {})
    column, made_of = JudgeColumn("spatial", "strong", "1"), LayoutFeatures()
    found = fit(rows, column, made_of, kind="plan", spec={"use": "layout"}, head="ridge", seed=3, runs=["r"])
    raw = cross_fit("ridge", features, scores, prompts, 3).predictions
    slope = max(np.polyfit(raw, scores, 1)[0], 0.0)
    folds, expected = fold_numbers(prompts, 3), np.empty(90)
    for out in (folds == number for number in range(5)):
        rising = max(np.polyfit(raw[~out], scores[~out], 1)[0], 0.0)
        expected[out] = np.clip(scores[~out].mean() + rising * (raw[out] - raw[~out].mean()), 0, 1)
    told = found.validation
    assert told["rmse"]["value"] == pytest.approx(mean_squared_error(scores, expected) ** 0.5)
    assert told["explained_variance"]["value"] == pytest.approx(r2_score(scores, expected))
    assert told["rmse_of_the_mean"] == pytest.approx(scores.std())
    if slope > 0:
        assert told["spearman"]["value"] == pytest.approx(spearmanr(raw, scores).statistic)
    assert found.line == pytest.approx((slope, scores.mean() - slope * raw.mean()))


def test_calibration_error_by_hand():
    predictions, scores = np.repeat([0.2, 0.8], 10), np.repeat([0.3, 0.8], 10)
    assert calibration_error(predictions, scores) == pytest.approx(0.05)
    assert calibration_error(scores, scores) == 0


def test_judges_with_settings_are_named_on_one_line():
    found = read_reward_set("geometric,distilled,folder=judges/light,untrusted=true,shapes_semantic").judges
    assert list(found) == ["geometric", "distilled", "shapes_semantic"]
    assert found["distilled"] == {"use": "distilled", "folder": "judges/light", "untrusted": True}
    with pytest.raises(UsageError, match="once; several of a kind"):
        read_reward_set("distilled,folder=a,distilled,folder=b")
    with pytest.raises(UsageError, match="expected a reward set"):
        read_reward_set("folder=a,distilled")


def test_the_command(tmp_path):
    run_of(tmp_path / "run", plans(60), GeometricJudge())
    asked = ["distil", "run", "--judge", "spatial", "--out", "judges/light", "--audit-size", "small"]
    done = start(*asked, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "distilled[judge[spatial], layout features, ridge, 60 samples" in done.stdout
    assert "on unseen prompts (5 folds): Spearman" in done.stdout
    assert "use it: --judges distilled,folder=judges/light" in done.stdout
    assert "report card: judges/light/audit/audit.html" in done.stderr
    told = json.loads(start(*asked, "--json", cwd=tmp_path).stdout)
    assert told["training"]["samples"] == 60
    assert set(told["trust"]) >= {"can_be_trained_on", "told", "head"}
    for wrong, message in (
        (["--judge", "spatail"], "has no judge 'spatail'; did you mean 'spatial'?"),
        (["--features", "shapes"], "features 'shapes' are not of plans: name an encoder, or layout"),
        (["--features", "layout,model=x"], "features 'layout' have no settings, got model"),
    ):
        failed = start(*asked, *wrong, cwd=tmp_path)
        assert (failed.returncode, message in failed.stderr) == (2, True), failed.stderr


def test_training_refuses_it_before_a_policy_is_read(deaf, tmp_path):
    failed = start("train", "grpo", "--config", CONFIG, "--set", f"rewards=distilled,folder={deaf}", "--out", "run",
                   cwd=tmp_path)  # fmt: skip
    assert failed.returncode == 2
    assert "is refused as a reward: its audit says no" in failed.stderr
    assert not (tmp_path / "run").exists()


def test_untrusted_is_kept_in_the_folder_and_stands_in_the_name(tmp_path):
    draw = random.Random(5)
    write_run(tmp_path / "run", plans(60), {"spatial": lambda sample: Score(value=draw.random())})
    asked = ["distil", "run", "--judge", "spatial", "--out", "light", "--audit-size", "small", "--untrusted"]
    done = start(*asked, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].endswith(", untrusted]")
    assert "refused" not in done.stdout
    refuse_as_reward(Builder().reward_set(f"distilled,folder={tmp_path / 'light'}"))


def test_what_it_looks_at_is_never_guessed(tmp_path):
    names = {"semantic": "shapes_semantic", "taste": "my_judge"}
    scores = {factor: lambda sample: Score(value=0.5) for factor in names}
    run = write_run(tmp_path / "run", plans(40), scores, name=names.get)
    with pytest.raises(UsageError, match=r"expected a judge of pictures .* or of plans, it judges semantic"):
        distil([run], "semantic", tmp_path / "light")
    with pytest.raises(UsageError, match="nothing tells what it looks at; --looks-at picture or plan"):
        distil([run], "taste", tmp_path / "light")


def test_python_takes_a_judge_with_its_settings(light):
    sample = plans(2)[0]
    table = score_images([None], sample.prompt, [f"distilled,folder={light}", "geometric"], [sample.chain])
    assert table.columns[2].startswith("distilled[judge[spatial], layout features")
    assert table.iloc[0, 2] == judge_of(light).judge([sample])[0].value


def test_too_little_is_refused(tmp_path):
    run = run_of(tmp_path / "run", plans(8), GeometricJudge())
    with pytest.raises(UsageError, match="expected at least 20 scored samples of 5 prompts, got 8 of 4"):
        distil([run], "spatial", tmp_path / "judge")
