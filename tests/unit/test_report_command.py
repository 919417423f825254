"""gotr1-eval report: several runs, all samples, training runs, and what it cannot read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gotr1_eval.cli.app import run
from gotr1_eval.core.errors import DataError, RunError, UsageError
from gotr1_eval.core.outcome import Score
from gotr1_eval.core.types import Sample
from tests.made_runs import made_run, scattered
from tests.report_runs import varied_run, write_run
from tests.unit.test_training_page import write_training


def scored_run(folder: Path) -> Path:
    samples = [Sample(id=f"s/c/{place}/0", prompt=f"p{place}", meta={"category": "c"}) for place in range(3)]
    return write_run(folder, samples, {"one": lambda sample: Score(value=0.5)})


def test_a_page_each_and_every_incomplete_run_is_named(tmp_path: Path):
    whole, holed = scored_run(tmp_path / "whole"), varied_run(tmp_path / "holed", prompts=4)
    with pytest.raises(RunError, match=r"holed: .* marked incomplete") as caught:
        run(["report", str(holed), str(whole)])
    assert "\n" not in str(caught.value)
    assert (whole / "report.html").is_file()
    assert (holed / "report.html").is_file()
    assert not (holed / "report_files").exists()


def test_all_writes_a_folder_beside_only_where_it_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = scored_run(tmp_path / "run")
    run(["report", str(folder), "--all"])
    assert not (folder / "report_files").exists()
    monkeypatch.setattr("reports.run_page.page.EMBEDDED", 2)
    run(["report", str(folder), "--all"])
    assert [path.name for path in (folder / "report_files").iterdir()] == ["0.js"]
    kept = folder / "report_files" / "mine.txt"
    kept.write_text("not the page's")
    run(["report", str(folder)])
    assert list((folder / "report_files").iterdir()) == [kept]
    kept.unlink()
    run(["report", str(folder)])
    assert not (folder / "report_files").exists()


def test_json_is_one_value_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run(["report", str(scored_run(tmp_path / "run")), "--json"])
    assert json.loads(capsys.readouterr().out)["rows"]["c"]["judge[one]"]["mean"] == 0.5


def test_a_training_run_gets_its_own_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = write_training(tmp_path / "grpo")
    run(["report", str(folder)])
    assert "report: " in capsys.readouterr().err
    assert "Held-out evaluations" in (folder / "report.html").read_text("utf-8")


def test_a_folder_that_is_no_run_is_one_line(tmp_path: Path):
    with pytest.raises(DataError, match="not a run folder"):
        run(["report", str(tmp_path)])


def test_a_run_before_needs_the_same_samples(tmp_path: Path):
    folder = scored_run(tmp_path / "run")
    other = made_run(tmp_path / "other", {"one": scattered(0.5)}, prompts=1).folder
    with pytest.raises(UsageError, match=r"--before .*other: it shares no sample with .*run: other prompts"):
        run(["report", str(folder), "--before", str(other)])
