"""The leaderboard: no column mixes metrics, equal ranks within noise, and numbers that are the runs' own."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Score, Unscored, Why
from reports.comparison.leaderboard import EACH, board_json, leaderboard, leaderboard_document
from reports.comparison.ranks import compare_two, ranks
from reports.documents import csv_text, markdown
from reports.run_data import load_run
from reports.run_summary import summarise_run
from tests.made_runs import made_run, scattered


def values(generator, mean, prompts=60, images=2, base=None):
    base = np.zeros(prompts) if base is None else base
    return {
        f"s/c/{prompt:05d}/{image}": float(base[prompt] + generator.normal(mean, 0.1))
        for prompt in range(prompts)
        for image in range(images)
    }


def test_runs_within_noise_share_a_rank():
    generator = np.random.default_rng(0)
    base = generator.normal(0, 0.3, 60)
    runs = {name: values(generator, mean, base=base) for name, mean in (("a", 0.5), ("b", 0.5), ("c", 0.8), ("d", 0.2))}
    assert ranks(runs) == {"a": 2, "b": 2, "c": 1, "d": 4}
    assert ranks({"a": runs["a"], "nothing": {}}) == {"a": 1}
    assert ranks({}) == {}


def test_equal_runs_are_rarely_ranked_apart():
    """Four runs that differ by noise alone: a rank other than 1 at most as often as the tests' level allows."""
    generator = np.random.default_rng(1)
    apart = 0
    for _ in range(200):
        base = generator.normal(0, 0.3, 12)
        apart += set(ranks({name: values(generator, 0.5, 12, base=base) for name in "abcd"}).values()) != {1}
    assert apart <= 18


def test_runs_without_shared_prompts_are_compared_as_independent():
    generator = np.random.default_rng(2)
    one = {f"s/c/{index:05d}/0": float(generator.normal(0.5, 0.1)) for index in range(40)}
    two = {f"s/c/{index:05d}/0": float(generator.normal(0.6, 0.1)) for index in range(100, 130)}
    difference, p = compare_two(one, two)
    a, b = np.array(list(one.values())), np.array(list(two.values()))
    assert difference == pytest.approx(b.mean() - a.mean())
    error = np.hypot(stats.sem(a), stats.sem(b))
    assert p == pytest.approx(2 * stats.t.sf(difference / error, 29))
    assert compare_two({"s/c/0/0": 0.1}, {"s/c/1/0": 0.9})[1] == 1.0


def test_a_board_has_the_runs_own_numbers(tmp_path: Path):
    runs = [
        made_run(tmp_path / name, {"one": scattered(0.5, 0.3, salt), "two": scattered(0.7, 0.1, salt)}, rule=None)
        for salt, name in enumerate("ab")
    ]
    boards = leaderboard(runs)
    assert [board.title for board in boards] == ["one", "two"]
    for run in runs:
        table = summarise_run(run).rows
        for board in boards:
            row = board.rows[run.folder.name]
            assert [column.category for column in row] == ["color", "spatial", "all"]
            for column, entry in row.items():
                assert entry.summary == table[column.category][board.title]
    assert [board.title for board in leaderboard(runs, ["two"])] == ["two"]
    with pytest.raises(UsageError, match="no judge 'tow' in these runs; did you mean 'two'"):
        leaderboard(runs, ["tow"])
    with pytest.raises(UsageError, match="given twice"):
        leaderboard([runs[0], runs[0]])


def test_another_setup_or_other_prompts_never_share_a_column(tmp_path: Path):
    a = made_run(tmp_path / "a", {"one": scattered(0.5)})
    b = made_run(tmp_path / "b", {"one": scattered(0.5)})
    text = (tmp_path / "b" / "run.json").read_text().replace("one-1", "one-2")
    (tmp_path / "b" / "run.json").write_text(text)
    judged = (tmp_path / "b" / "judgments.jsonl").read_text().replace("one-1", "one-2")
    (tmp_path / "b" / "judgments.jsonl").write_text(judged)
    boards = leaderboard([a, load_run(tmp_path / "b")])
    assert [board.title for board in boards] == ["one, set up as one-1, on shapes", "one, set up as one-2, on shapes"]
    assert [list(board.rows) for board in boards] == [["a"], ["b"]]
    assert b.folder.name == "b"


def test_metrics_of_one_category_share_a_board(tmp_path: Path):
    def only(category):
        answer = scattered(0.5, salt=len(category))
        return lambda sample: (
            answer(sample) if f"/{category}/" in sample.id else Unscored(why=Why.NOT_APPLICABLE, detail="other")
        )

    run = made_run(tmp_path / "run", {"colours": only("color"), "places": only("spatial")})
    (board,) = leaderboard([run])
    assert board.title == EACH
    assert [(column.category, column.judge) for column in board.columns] == [
        ("color", "colours"),
        ("spatial", "places"),
    ]
    assert "| run | color: colours | spatial: places |" in markdown(leaderboard_document([run], [board]))


def test_runs_of_other_samples_are_told(tmp_path: Path):
    a = made_run(tmp_path / "a", {"one": scattered(0.5)}, prompts=4)
    b = made_run(tmp_path / "b", {"one": scattered(0.5)}, prompts=3)
    (board,) = leaderboard([a, b])
    assert any("b has other samples than a (6 of 8 samples in both)" in note for note in board.notes)
    c = made_run(tmp_path / "c", {"one": scattered(0.5)}, categories=("color",))
    (board,) = leaderboard([a, c])
    assert [column.category for column in board.columns] == ["color", "spatial"]
    assert board.notes[0].startswith("no column for all categories")


def test_a_mean_of_tasks_ranks_by_the_mean_of_tasks(tmp_path: Path):
    """Better in a small task and worse in a large one: pooled samples say the reverse."""

    def task(large, small):
        answers = {"color": scattered(large, 0.02, 1), "spatial": scattered(small, 0.02, 2)}

        def answer(sample):
            category = sample.id.split("/")[1]
            few = category == "spatial" and int(sample.id.split("/")[2]) >= 30
            return Unscored(why=Why.UNDEFINED) if few else answers[category](sample)

        return answer

    runs = []
    for name, large, small in (("a", 0.6, 0.3), ("b", 0.5, 0.5)):
        made_run(tmp_path / name, {"one": task(large, small)}, prompts=100, images=1)
        text = (tmp_path / name / "run.json").read_text().replace('"suite": "shapes"', '"suite": "geneval"')
        (tmp_path / name / "run.json").write_text(text)
        runs.append(load_run(tmp_path / name))
    (board,) = leaderboard(runs)
    ranked = {column.category: {name: row[column].rank for name, row in board.rows.items()} for column in board.columns}
    assert ranked["all"] == {"a": 1, "b": 2}
    assert ranked["mean of tasks"] == {"a": 2, "b": 1}


def test_holes_stay_in_sight(tmp_path: Path):
    run = made_run(
        tmp_path / "run",
        {"one": lambda sample: Unscored(why=Why.UNREADABLE) if sample.id.endswith("/1") else Score(value=0.5)},
    )
    (board,) = leaderboard([run])
    assert board_json(board)["rows"]["run"][0]["unscored"] == 4
    document = leaderboard_document([run], [board], "leaderboard run")
    assert "n=4, unscored 4" in markdown(document)
    rows = list(csv.DictReader(io.StringIO(csv_text(document))))
    assert {row["unscored"] for row in rows} == {"4", "8"}
    assert all(len(row["judgments_jsonl_sha256"]) == 64 for row in rows)
    assert document.footer[0].endswith("gotr1-eval leaderboard run")


def test_runs_of_one_name_are_told_apart(tmp_path: Path):
    runs = [made_run(tmp_path / place / "run", {"one": scattered(0.5)}, prompts=1) for place in "xy"]
    assert set(leaderboard(runs)[0].rows) == {"x/run", "y/run"}
