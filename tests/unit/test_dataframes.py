"""A run in a notebook: tidy tables that hold the run's own numbers, and figures."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import gotr1_eval
from gotr1_eval.core.errors import DataError
from gotr1_eval.core.outcome import Score, Unscored, Why
from reports.run_summary import summarise_run
from tests.made_runs import made_run, scattered


def with_holes(sample):
    if "/spatial/" in sample.id:
        return Unscored(why=Why.NOT_APPLICABLE, detail="other prompts")
    if sample.id.endswith("/1"):
        return Unscored(why=Why.UNREADABLE, detail="no number")
    return Score(value=0.25, note="a note")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "a"
    made_run(folder, {"semantic": scattered(0.8, 0.1), "prompt_image": with_holes})
    return folder


def test_samples(folder: Path):
    run = gotr1_eval.load_run(folder)
    assert list(run.samples.index) == list(run.data.samples)
    first = run.samples.iloc[0]
    assert first["category"] == "color"
    assert first["prompt id"] == "shapes/color/00000"
    assert first["chain words"] == len(gotr1_eval.parse_chain(first["chain"]).prose.split())
    assert 0 < first["planned area"] < 1
    assert run.samples["seed"].nunique() == 16


def test_judgments(folder: Path):
    run = gotr1_eval.load_run(str(folder))
    counts = run.judgments.groupby(["factor", "why"]).size()
    assert counts["semantic", ""] == 16
    assert counts["prompt_image", ""] == 4
    assert counts["prompt_image", "unreadable"] == 4
    assert counts["prompt_image", "not_applicable"] == 8
    scored = run.judgments[run.judgments["why"] == ""]
    assert scored["value"].notna().all()
    assert run.judgments[run.judgments["why"] != ""]["value"].isna().all()
    assert set(run.judgments.loc[run.judgments["why"] == "unreadable", "detail"]) == {"no number"}


def test_summary_is_the_runs_table(folder: Path):
    run = gotr1_eval.load_run(folder)
    table = summarise_run(run.data).rows
    for row in run.summary.itertuples():
        cell = table[row.category][row.judge]
        assert row.scored == cell.scored
        assert row.mean == pytest.approx(np.nan if cell.mean is None else cell.mean, nan_ok=True)
    mine = run.judgments.groupby(["category", "factor"])["value"].mean()
    own = run.summary.set_index(["category", "factor"])["mean"]
    pd.testing.assert_series_equal(mine.dropna(), own.loc[mine.dropna().index], check_names=False)


def test_values_are_wide(folder: Path):
    run = gotr1_eval.load_run(folder)
    assert list(run.values.columns) == ["semantic", "prompt_image"]
    assert list(run.values.index) == list(run.samples.index)
    assert run.values["prompt_image"].notna().sum() == 4


@pytest.mark.parametrize("plot", ["plot_scores", "plot_distributions", "plot_factors", "plot_against_plan"])
def test_figures_are_returned_and_shown(plot: str, folder: Path):
    figure = getattr(gotr1_eval, plot)(gotr1_eval.load_run(folder))
    assert [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_a_figure_shows_the_tables_numbers(folder: Path):
    run = gotr1_eval.load_run(folder)
    axes = gotr1_eval.plot_scores(run).axes[0]
    drawn = sorted(bar.get_width() for bar in axes.patches)
    assert drawn == pytest.approx(sorted(run.summary[run.summary["factor"] == "semantic"]["mean"]))


def test_what_is_no_run_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="not a run folder"):
        gotr1_eval.load_run(tmp_path)


@pytest.mark.slow
def test_importing_the_package_imports_none_of_this():
    check = "import gotr1_eval, sys; assert not {'pandas', 'matplotlib', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)


def test_a_run_shows_itself(folder: Path):
    """Two lines in a terminal, its table in a notebook; a name of somebody else's is text."""
    run = gotr1_eval.load_run(folder)
    mean = summarise_run(run.data).rows["all"]["semantic"].mean
    assert repr(run).splitlines() == [
        "a: oracle on shapes, 16 samples", f"semantic {mean:.3f} (n=16), prompt_image 0.250 (n=4)",
    ]  # fmt: skip
    page = run._repr_html_()
    assert f"{mean:.3f}" in page
    assert page.count("<tr") == 5  # two of heads, two categories, and all of them
    nothing = made_run(folder.parent / "<b>", {"semantic": with_holes}, categories=("spatial",))
    shown = gotr1_eval.load_run(nothing.folder)
    assert repr(shown).endswith("semantic without a score")
    assert "<b>: " not in shown._repr_html_()


def test_figures_take_a_folder(folder: Path):
    assert len(gotr1_eval.plot_scores(folder).axes) == len(gotr1_eval.plot_scores(str(folder)).axes) == 2


def test_runs_are_compared_and_shown(folder: Path, tmp_path: Path):
    """The table holds the comparison's own numbers; folders and loaded runs are the same."""
    other = made_run(tmp_path / "b", {"semantic": scattered(0.6, 0.1, salt=1), "prompt_image": with_holes}).folder
    found = gotr1_eval.compare_runs(folder, other)
    a, b = (gotr1_eval.load_run(path).values["semantic"] for path in (folder, other))
    row = found.table.set_index(["judge", "category"]).loc["semantic", "all"]
    assert row["difference"] == pytest.approx((b - a).mean())
    assert (row["won"], row["ties"], row["lost"]) == ((b > a).sum(), (b == a).sum(), (b < a).sum())
    assert row["verdict"] == "worse"
    assert gotr1_eval.compare_runs(gotr1_eval.load_run(folder), other).table.equals(found.table)
    first, second = repr(found).splitlines()
    assert first == "b against a"
    assert second.startswith("semantic, all: worse by ")
    shown = found._repr_html_()
    assert shown.count("<tr") == len(found.table) + 1
    path = gotr1_eval.write_page(folder, tmp_path / "page.html", before=other)
    assert path == tmp_path / "page.html"
    assert '"before":"b"' in path.read_text()


def test_progress_is_shown_where_it_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "list.jsonl").write_text('{"prompt": "a cat", "chain": "a cat (0,0),(500,500)"}\n')
    asked = {"source": str(tmp_path / "list.jsonl"), "judges": "geometric"}
    gotr1_eval.score(**asked, out=tmp_path / "silent")
    assert "1/1" not in capsys.readouterr().out
    run = gotr1_eval.score(**asked, out=tmp_path / "shown", progress=True)
    said = capsys.readouterr().out
    assert "judge" in said
    assert "1/1" in said
    assert len(run.samples) == 1


@pytest.mark.slow
def test_the_documented_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    documented = (Path(gotr1_eval.__file__).parents[1] / "docs" / "reports.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"## In Python\n```python\n(.*?)```", documented, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(code, "docs/reports.md", "exec"), names)
    assert len(names["run"].samples) == 4
    assert "since" in (tmp_path / "runs/after/report.html").read_text()
