"""compare, leaderboard and analyse as commands: what they print, write and refuse."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from gotr1_eval.cli.app import run as run_command
from gotr1_eval.core.errors import DataError, UsageError
from tests.made_runs import made_run, scattered


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("runs")
    for salt, (name, middle) in enumerate((("a", 0.4), ("b", 0.7))):
        judges = {"semantic": scattered(0.8, 0.1, 5), "spatial": scattered(0.5, 0.3, 6)}
        judges |= {"reasoning_image": scattered(middle, 0.2, salt), "prompt_image": scattered(0.5, 0.4, 8)}
        made_run(folder / name, judges, rule="paper_without_hps", prompts=8)
    return [str(folder / name) for name in "ab"]


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run_command(arguments) == 0
    return capsys.readouterr().out


def test_compare(runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    files = [tmp_path / f"c{ending}" for ending in (".html", ".md", ".tex", ".csv", ".json")]
    exports = [word for path in files for word in ("--export", str(path))]
    out = printed(capsys, "compare", *runs, "--judges", "reasoning_image,semantic", *exports)
    assert "color: better by 0." in out
    assert "identical in all 16 pairs" in out
    assert "16 won, 0 tied, 0 lost" in out
    assert all(path.stat().st_size > 500 for path in files)
    (found,) = json.loads(printed(capsys, "compare", *runs, "--judges", "total", "--json"))
    assert found["judges"][0]["rows"]["color"]["verdict"] == "better"
    assert found["judges"][0]["risen"][0]["sample"].startswith("shapes/")
    assert json.loads(files[-1].read_text())["content"][0]["b"] == "b"


def test_compare_with_means(runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "means.csv").write_text("model,category,score\nother,color,0.9\n")
    means = ["--means", str(tmp_path / "means.csv"), "--judges", "reasoning_image"]
    out = printed(capsys, "compare", runs[0], *means)
    assert "below" in out
    assert "unpaired: of the other side only means are known" in out
    found = json.loads(printed(capsys, "compare", runs[0], *means, "--json"))
    assert found["a"]["rows"][0]["verdict"] == "below"


def test_leaderboard(runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    table = tmp_path / "board.md"
    out = printed(capsys, "leaderboard", *runs, "--judges", "reasoning_image", "--export", str(table))
    assert out.index("b  ") < out.index("a  ")
    assert "#1" in out
    assert "#2" in out
    assert "sha256" in table.read_text()
    (board,) = json.loads(printed(capsys, "leaderboard", runs[0], "--judges", "total", "--json"))
    assert board["rows"]["a"][-1]["category"] == "all"


def test_analyse(runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    table = tmp_path / "analysis.md"
    out = printed(capsys, "analyse", *runs, "--export", str(table))
    for words in ("what decides paper_without_hps", "plans and scores (Spearman)", "the order of the runs", "b > a"):
        assert words in out
    assert "## the order of the runs" in table.read_text()
    found = json.loads(printed(capsys, "analyse", runs[0], "--rewards", "sum", "--json"))
    assert found["runs"]["a"]["own"] == "sum"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["compare", "A"], "give at least two run folders"),
        (["compare", "A", "A"], "the run is given twice"),
        (["compare", "A", "B", "--judges", "x"], "no judge 'x' in both runs"),
        (["compare", "A", "B", "--export", "c.xlsx"], "expected a file ending in .md, .tex, .csv, .json, .html"),
        (["compare", "A", "B", "--export", "nowhere/c.md"], "there is no folder nowhere"),
        (["compare", "A", "--published"], "it has no official metric"),
        (["compare", "A", "--published", "--means", "m.csv"], "choose one"),
        (["compare", "A", "--means", "m.csv", "--judges", "x,y"], "one judge at most"),
        (["leaderboard", "A", "--judges", "totl"], "did you mean 'total'"),
        (["leaderboard", "A", "--export", "page.html"], "expected a file ending in .md, .tex, .csv, .json"),
        (["analyse", "A", "--rewards", "papr"], "papr"),
        (["analyse", "A", "--rewards", "paper"], "needs a judge for the factor 'aesthetic'"),
        (["analyse"], "Missing argument 'runs'"),
    ],
)
def test_bad_input_gets_one_line(runs: list[str], arguments: list[str], words: str):
    places = {"A": runs[0], "B": runs[1]}
    with pytest.raises(UsageError) as error:
        run_command([places.get(word, word) for word in arguments])
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("command", ["compare", "leaderboard", "analyse"])
def test_what_is_no_run_is_told(command: str, runs: list[str], tmp_path: Path):
    with pytest.raises(DataError, match="not a run folder"):
        run_command([command, runs[0], str(tmp_path)])


def test_a_run_that_does_not_know_its_rule(runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    shutil.copytree(runs[0], tmp_path / "old")
    description = json.loads((tmp_path / "old" / "run.json").read_text())
    for row in description["setup"]["judges"]:
        row.pop("settings", None)
    (tmp_path / "old" / "run.json").write_text(json.dumps(description))
    with pytest.raises(UsageError, match="name its reward set with --rewards"):
        run_command(["analyse", str(tmp_path / "old")])
    assert "paper_without_hps without one factor" in printed(
        capsys, "analyse", str(tmp_path / "old"), "--rewards", "paper_without_hps"
    )
