"""TIIF-Bench's readings, tables and text numbers against what its own scripts answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.tiif.reading import read_lines
from benchmarks.tiif.texts import edit_distance, gned, recall
from benchmarks.tiif.totals import GROUPS, Table, tabulate
from gotr1_eval.core.reading import UnreadableReply
from tests.conftest import rows, shared_parameters

Read = Callable[[Path], str]
Row = dict[str, Any]
GOLDEN = shared_parameters("golden/checklists/tiif_*.jsonl")


@pytest.mark.parametrize("path", GOLDEN)
def test_replies(path: Path, read_shared: Read):
    for row in rows(read_shared(path), "reply"):
        if row["error"] is None:
            assert read_lines(row["text"], row["n_questions"]) == row["verdicts"], row["id"]
        else:
            assert row["error"] == "OutputFormatError"
            with pytest.raises(UnreadableReply):
                read_lines(row["text"], row["n_questions"])


def assert_near(found: dict[str, Any], expected: dict[str, Any], where: str) -> None:
    assert found.keys() == expected.keys(), where
    for name, numbers in expected.items():
        for one, other in zip(found[name], numbers, strict=True):
            assert one == (None if other is None else pytest.approx(other, abs=1e-9)), f"{where}: {name}"


@pytest.mark.parametrize("path", GOLDEN)
def test_tables(path: Path, read_shared: Read):
    for row in rows(read_shared(path), "tables"):
        if row["error"] is not None:
            continue  # the scripts end, and there is nothing to compare
        tables: dict[str, Table] = {model: tabulate(answers) for model, answers in row["verdicts"].items()}
        for model, table in tables.items():
            counts = {
                attribute: {length: [one.correct, one.total] for length, one in by_length.items()}
                for attribute, by_length in table.counts.items()
            }
            assert counts == row["counts"][model], row["id"]
            for attribute, by_length in row["accuracy"][model].items():
                for length, accuracy in by_length.items():
                    found = table.counts[attribute][length].accuracy
                    assert found == (None if accuracy is None else pytest.approx(accuracy, abs=1e-9)), row["id"]
            if row["groups_error"] is None:
                assert_near({**table.groups}, row["groups"][model], row["id"])
                assert_near({model: table.overall}, {model: row["overall"][model]}, row["id"])
            assert f"{table.mean_accuracy:.4f}" == row["mean_accuracy_column"][model], row["id"]
        # Rows of equal mean stay in the order of their names.
        ranked = sorted(sorted(tables), key=lambda model: -float(f"{tables[model].mean_accuracy:.4f}"))
        assert ranked == row["order"], row["id"]
    assert sum(map(len, GROUPS.values())) == 39


@pytest.mark.parametrize("path", GOLDEN)
def test_rendered_text(path: Path, read_shared: Read):
    text = read_shared(path)
    for row in rows(text, "text"):
        assert gned(row["gold"], row["pieces"]) == pytest.approx(row["gned"], abs=1e-9), row["id"]
        assert recall(row["gold"], row["pieces"]) == pytest.approx(row["recall"], abs=1e-9), row["id"]
    for row in rows(text, "edit"):
        assert edit_distance(row["a"], row["b"]) == pytest.approx(row["normalised"], abs=1e-9), row["id"]
