"""The summary table in a terminal of 80 columns: no number is broken, and every mean has its count."""

from __future__ import annotations

import re

import pytest

from gotr1_eval.cli import run_table, terminal
from gotr1_eval.cli.finish import finish_document, show_report
from gotr1_eval.core.statistics.summary import Summary
from reports.documents import Cell, Document, Grid
from reports.run_data import JudgeColumn
from reports.run_report import Digest, Lines
from reports.run_summary import Table
from tests.made_runs import made_run, scattered

LONG = "a judge with a name that is longer than most[and, a, model, at, the, end]"


def summary(mean: float | None = 0.5, scored: int = 20, **counts: int) -> Summary:
    low, high = (None, None) if mean is None else (mean - 0.1, mean + 0.12)
    given = {"unscored": 0, "not_applicable": 0, "missing": 0, **counts}
    return Summary(mean=mean, low=low, high=high, scored=scored, seeds_low=low, seeds_high=high, **given)


def table(judges: dict[str, Summary], categories: tuple[str, ...] = ("color", "3d_spatial", "all")) -> Table:
    columns = tuple(JudgeColumn(factor, f"{factor} {LONG}", "1") for factor in judges)
    rows = {name: {column.name: judges[column.factor] for column in columns} for name in categories}
    return Table(columns, rows, 0.95)


@pytest.fixture(autouse=True)
def eighty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal.out, "_width", 80)


def shown(capsys: pytest.CaptureFixture[str], of: Table, *, intervals: bool = False) -> list[str]:
    """The table's lines, without what explains it."""
    run_table.show_table(of, as_json=False, intervals=intervals)
    lines = capsys.readouterr().out.splitlines()
    return [line for line in lines if LONG not in line and not line.startswith(("±", "95 %"))]


PAPER = ("semantic", "spatial", "reasoning_image", "prompt_image", "aesthetic", "total")
MEANS = {"fractions": 0.852, "of a scale to 100": 21.345, "below 0": -10.25}


@pytest.mark.parametrize("intervals", [False, True])
@pytest.mark.parametrize("mean", MEANS.values(), ids=MEANS)
@pytest.mark.parametrize("judges", [1, 2, 5, 6])
def test_tables_fit_80_columns(judges: int, mean: float, intervals: bool, capsys: pytest.CaptureFixture[str]):
    lines = shown(capsys, table({name: summary(mean) for name in PAPER[:judges]}), intervals=intervals)
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert text.count(f"{mean:.3f}" if intervals else f"{mean:.3f} ±.110") == judges * 3
    assert all(name.split("_")[-1] in text for name in PAPER[:judges])
    if intervals:
        assert text.count(f"{mean - 0.1:.3f} to {mean + 0.12:.3f}") == 2 * judges * 3


def test_five_judges_of_the_demo_stand_side_by_side(capsys: pytest.CaptureFixture[str]):
    lines = shown(capsys, table({name: summary(0.852) for name in PAPER if name != "aesthetic"}))
    assert sum(line.startswith("color") for line in lines) == 1


def test_a_count_that_is_not_the_rows_stands_below_its_mean(capsys: pytest.CaptureFixture[str]):
    of = {
        "whole": summary(0.8),
        "part": summary(0.7, scored=15, not_applicable=5),
        "broken": summary(0.6, scored=17, unscored=2, missing=1),
        "beside": summary(None, scored=0, not_applicable=20),
        "failed": summary(None, scored=0, unscored=20),
    }
    lines = shown(capsys, table(of, ("color",)))
    cells = ["color", "20", "0.800 ±.110", "0.700 ±.110", "0.600 ±.110 !", "n/a", "- !"]
    assert re.split(r"  +", lines[1].strip()) == cells
    assert lines[2].split() == ["n=15", "n=17", "n=0"]
    assert lines[3].startswith("!: samples that should have been scored")
    (line,) = [
        line for line in shown(capsys, table(of, ("color",)), intervals=True) if " 0.600 " in line and "17" in line
    ]
    assert line.split()[-4:] == ["unscored", "2,", "missing", "1"]


@pytest.mark.parametrize("columns", [1, 2, 7, 20])
def test_other_tables_fit_80_columns(columns: int, capsys: pytest.CaptureFixture[str]):
    cell = Cell("0.350 #1", "[0.173, 0.531] n=20, not applicable 10", strong=True)
    label = Cell("a run whose folder has a name that is longer than anybody would like it to be")
    names = ("run", *(f"category {place}" for place in range(columns)))
    grid = Grid("a table", names, ((label, *[cell] * columns),))
    finish_document(Document("runs", (grid,), (), (), (), None), (), as_json=False)
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert printed.count("[0.173, 0.531]") == printed.count("n=20, not applicable 10") == columns


def test_reasons_are_grouped(capsys: pytest.CaptureFixture[str], tmp_path):
    lines = Lines()
    lines.add([("spatial: unreadable", f"s/{place}: spatial: unreadable: no number") for place in range(300)])
    lines.add([("semantic: refused", "s/7: semantic: refused: I cannot")])
    run = made_run(tmp_path / "run", {"spatial": scattered(0.5)}, prompts=1, images=1)
    told = Digest(table({"spatial": summary()}), run, Lines(), lines)

    def named(**how: bool) -> list[str]:
        show_report(told, tmp_path / "report.html", as_json=False, **how)
        return [line for line in capsys.readouterr().err.splitlines() if line.startswith("unscored")]

    assert named() == [
        "unscored: 300 samples: spatial: unreadable; such as s/0: spatial: unreadable: no number",
        "unscored: s/7: semantic: refused: I cannot",
    ]
    assert len(named(verbose=True)) == 101
    assert named(verbose=True)[-1] == "unscored: and 201 more; the scores say all"
    assert named(quiet=True) == []


def test_codes_of_other_people_do_nothing(capsys: pytest.CaptureFixture[str]):
    hostile = "a cat\x1b]0;renamed\x07\x1b[2J\x9b31m\r here"
    terminal.out.print(hostile, markup=False, soft_wrap=True)
    run_table.show_table(table({"spatial": summary()}, (hostile,)), as_json=False)
    printed = capsys.readouterr().out
    assert not set(printed) & {"\x1b", "\x07", "\x9b", "\r"}
    assert "here" in printed


def test_a_log_has_a_line_every_so_often(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """The clock goes on by 20 seconds whenever it is looked at."""
    clock = iter(range(0, 100_000, 20))
    monkeypatch.setattr(terminal, "monotonic", lambda: float(next(clock)))
    with terminal.Bars() as bars:
        bars.start("judge", 100, 40)
        for _ in range(4):
            bars.advance(10)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "judge: 40 of 100 were there already"
    assert lines[1] == "judge: 60 of 100, 0.33/s, 0:02 h left"
    assert len(lines) == 3
