"""The page of a training run, and the curves of an evaluation's page."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from PIL import Image

from gotr1_eval import score
from gotr1_eval.core.errors import DataError
from gotr1_eval.core.outcome import Score
from gotr1_eval.files.jsonl import append_rows, read_rows
from gotr1_eval.runs.judgments import Judgment, judgment_row
from reports.run_data import load_run
from reports.run_page.page import render_page
from reports.run_page.retest_noise import retest_noise
from reports.run_page.training import (
    HeldOut,
    evaluation_diversity,
    groups_below_noise,
    is_training,
    movements,
    thinned,
    training_curves,
    training_folder,
    write_training_page,
)
from reports.run_summary import summarise_run
from tests.made_runs import made_run
from tests.report_runs import varied_run


def write_training(folder: Path, steps: int = 12) -> Path:
    """What a GRPO run leaves behind, without its checkpoints."""
    folder.mkdir(parents=True)
    (folder / "training.json").write_text(json.dumps({"ckpt": "tiny-janus", "steps": steps, "seed": 0, "note": "<b>"}))
    append_rows(
        folder / "metrics.jsonl",
        [
            {
                "step": step,
                "reward/total/mean": step / steps,
                "reward/total/unscored": 0.0,
                "reward/prompt_image/mean": 0.5,
                "groups/learned": 8,
                "groups/too_few": 0,
                "chain/tokens": 70 + step,
                "text/entropy": 1.0,
                "image/entropy": 3.0,
                "grad_norm": 0.1,
            }
            for step in range(1, steps + 1)
        ],
    )
    append_rows(
        folder / "evaluations.jsonl",
        [{"step": step, "total/mean": 0.2, "total/low": 0.1, "total/high": 0.3} for step in (0, steps)],
    )
    return folder


def test_curves_tell_training_from_held_out(tmp_path: Path):
    total, prompt_image, *others = training_curves(write_training(tmp_path / "grpo"))
    assert (total.caption, prompt_image.caption) == ("Reward: total", "Reward: prompt image")
    assert total.drawing.count("<circle") == 2
    assert total.note == "line: training prompts; dots: held-out prompts"
    assert "<circle" not in prompt_image.drawing
    assert [plot.caption for plot in others] == [
        "Unscored", "Groups of a step", "Entropy", "Chain length, tokens", "Gradient norm"
    ]  # fmt: skip
    assert ">text<" in others[2].drawing
    assert ">image<" in others[2].drawing


def test_the_page_holds_every_evaluation_and_the_settings(tmp_path: Path):
    folder = write_training(tmp_path / "grpo")
    assert is_training(folder)
    page = write_training_page(folder).read_text("utf-8")
    assert page.count("0.100 – 0.300") == 4  # in both tables
    assert "<b>0.200</b>" in page
    assert '"note": "<b>"' not in page
    assert "not a result" not in page
    assert "nothing here is a result about real pictures" in page


def test_a_run_without_a_step_is_one_clear_line(tmp_path: Path):
    folder = write_training(tmp_path / "grpo")
    (folder / "metrics.jsonl").unlink()
    with pytest.raises(DataError, match="no step is done yet"):
        write_training_page(folder)
    append_rows(folder / "metrics.jsonl", [{"step": 1, "reward/total/mean": 0.0}])
    (folder / "training.json").write_text("[]")
    with pytest.raises(DataError, match="expected a JSON object, got list"):
        write_training_page(folder)


def test_an_evaluations_page_has_the_curves(tmp_path: Path):
    folder = write_training(tmp_path / "grpo")
    run = load_run(varied_run(folder / "evaluations" / "step-000012", prompts=3))
    assert training_folder(run.folder) == folder
    page = render_page(run, summarise_run(run))
    assert "Reward: total" in page
    assert "A held-out evaluation of the training run grpo" in page


def test_the_page_tells_the_diversity_of_the_first_and_the_last_evaluation(tmp_path: Path):
    folder = write_training(tmp_path / "grpo")
    for step in (0, 6, 12):
        made_run(folder / "evaluations" / f"step-{step:06}", {"one": lambda _: Score(value=0.5)}, prompts=1, images=2)
    assert list(evaluation_diversity(folder)) == ["step 0", "step 12"]
    page = write_training_page(folder).read_text("utf-8")
    assert page.count('<th scope="col">layout entropy</th>') == 2
    assert "<h3>step 12</h3>" in page


def test_long_lines_are_thinned_by_means():
    line = [(float(step), float(step % 2)) for step in range(1, 6001)]
    short = thinned(line)
    assert len(short) == 300
    assert short[0] == (10.5, 0.5)
    assert thinned(line[:300]) == line[:300]


TOTAL = '[total]\nrule = "weighted"\nweights = { liked = 2.0 }\nmaps = { liked = "affine(0,1)" }\n'


def judged_twice(folder: Path, total: str, delta: float) -> None:
    """A run of one judge that was asked again, and then gave each of two samples so much less."""
    table, rewards = folder.parent / "table.jsonl", folder.parent / "rewards.toml"
    table.parent.mkdir(parents=True)
    for name in ("red", "green"):
        Image.new("RGB", (8, 8), name).save(table.with_name(f"{name}.png"))
        append_rows(table, [{"prompt": f"a {name} thing", "image": f"{name}.png"}])
    judge = '{ use = "pick_score", model = "tests.plugins.fake_reward_model" }'
    rewards.write_text(f"[judges]\nliked = {judge}\n{total}")
    score(source=str(table), judges=str(rewards), out=folder)
    run = load_run(folder)
    column = run.judges[0]
    for sample, outcome in run.outcomes[column.name].items():
        assert isinstance(outcome, Score)
        again = Score(value=outcome.value - delta)
        row = Judgment(sample=sample, judge=column.name, fingerprint=column.fingerprint, repeat=1, outcome=again)
        append_rows(folder / "judgments.jsonl", [judgment_row(row)])


def with_watched(folder: Path) -> Path:
    """A run that is evaluated twice: the reward rises, one watched judge falls, one stays, one has no weights."""
    write_training(folder)
    rows = [row for _, row in read_rows(folder / "metrics.jsonl")]
    shares = {f"watched/{name}/unscored": 0.0 for name in ("falls", "stays", "absent")}
    (folder / "metrics.jsonl").write_text("".join(json.dumps({**row, **shares}) + "\n" for row in rows))
    means = {"total": (0.2, 0.6), "falls": (20.0, 18.0), "stays": (5.0, 5.05)}
    evaluations = [
        {
            "step": step,
            "absent/scored": 0,
            **{f"{name}/mean": pair[at] for name, pair in means.items()},
            **{f"{name}/low": pair[at] - 0.1 for name, pair in means.items()},
            **{f"{name}/high": pair[at] + 0.1 for name, pair in means.items()},
        }
        for at, step in enumerate((0, 12))
    ]
    (folder / "evaluations.jsonl").write_text("".join(json.dumps(row) + "\n" for row in evaluations))
    return folder


def test_the_table_sets_the_reward_beside_what_it_was_not_trained_on(tmp_path: Path):
    moved = {each.factor: each for each in movements(with_watched(tmp_path / "grpo"))}
    assert next(iter(moved)) == "total"
    assert {name: each.direction for name, each in moved.items()} == {
        "total": "up", "falls": "down", "stays": "not apart", "absent": "empty"
    }  # fmt: skip
    assert moved["total"].trained
    assert not moved["falls"].trained
    page = write_training_page(tmp_path / "grpo").read_text("utf-8")
    assert "Trained reward and the judges beside it" in page
    assert "<td>watched</td>" in page
    assert "gotr1-eval retest grpo/evaluations/step-000000" in page


def test_without_two_evaluations_the_ends_of_the_training_are_compared(tmp_path: Path):
    folder = write_training(tmp_path / "grpo", steps=20)
    (folder / "evaluations.jsonl").unlink()
    (total,) = movements(folder)
    assert total.first == HeldOut(10.0, pytest.approx(5.5 / 20), None, None)
    assert total.direction == "up"


@pytest.mark.parametrize(("total", "deviation"), [("", 0.2), (TOTAL, 0.4)])
def test_groups_decided_by_chance_are_counted_once_the_judges_were_asked_again(
    tmp_path: Path, total: str, deviation: float
):
    """Two scores of a sample that differ by d have a standard deviation of d over the root of 2."""
    folder = write_training(tmp_path / "grpo")
    append_rows(folder / "groups.jsonl", [{"step": 1, "spreads": [0.001, 0.5, 0.9, 0.002]}, {"step": 2, "spreads": []}])
    assert retest_noise(folder / "evaluations") is None
    assert groups_below_noise(folder, None) == []
    judged_twice(folder / "evaluations" / "step-000000", total, 0.2)
    noise = retest_noise(folder / "evaluations")
    assert noise is not None
    assert (noise.deviation, noise.samples) == (pytest.approx(deviation / math.sqrt(2)), 2)
    assert groups_below_noise(folder, noise) == [(1.0, 0.5)]
    assert "Groups decided by less than the judges" in write_training_page(folder).read_text("utf-8")
