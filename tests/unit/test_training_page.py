"""The page of a training run, and the curves of an evaluation's page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gotr1_eval.core.errors import DataError
from gotr1_eval.files.jsonl import append_rows
from reports.run_data import load_run
from reports.run_page.page import render_page
from reports.run_page.training import is_training, thinned, training_curves, training_folder, write_training_page
from reports.tables import summarise_run
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
    assert page.count("0.100 – 0.300") == 2
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


def test_long_lines_are_thinned_by_means():
    line = [(float(step), float(step % 2)) for step in range(1, 6001)]
    short = thinned(line)
    assert len(short) == 300
    assert short[0] == (10.5, 0.5)
    assert thinned(line[:300]) == line[:300]
