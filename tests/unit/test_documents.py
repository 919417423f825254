"""Exported tables: every form holds the same numbers, and no text in them is more than text."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

from gotr1_eval.core.errors import UsageError
from reports.documents import Cell, Document, Grid, check_endings, csv_text, latex, latex_text, markdown, write_document

HOSTILE = "<script>alert(1)</script> | a_b & 50 % $x$ #1 {y} ~ ^ \\input{x} ![p](http://x) `c` [l](javascript:x)\nnext"
DOCUMENT = Document(
    title=HOSTILE,
    grids=(
        Grid(HOSTILE, ("run", HOSTILE), ((Cell(HOSTILE), Cell("0.5", "[0.4, 0.6] n=3", strong=True)),), (HOSTILE,)),
    ),
    notes=(HOSTILE,),
    footer=("written by gotr1-eval", HOSTILE),
    records=(
        {"run": "=HYPERLINK(1)", "mean": 0.1234567890123, "low": None},
        {"run": HOSTILE, "mean": -1.0, "low": 0.0},
    ),
    json={"mean": 0.1234567890123},
)


def test_markdown_holds_text_only():
    text = markdown(DOCUMENT)
    assert "<script" not in text
    assert not re.search(r"(?<!\\)\]\(", text)
    table = [line for line in text.splitlines() if line.startswith("| ")]
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in table] == [3, 3, 3]
    assert "**0.5** \\[0.4, 0.6\\] n=3" in text


def test_latex_is_a_booktabs_table():
    text = latex(DOCUMENT)
    rows = re.search(r"\\toprule\n(.*)\\midrule\n(.*)\\bottomrule", text, re.S)
    assert rows is not None
    for row in rows.groups():
        assert len(re.findall(r"(?<!\\)&", row)) == 1
        assert row.endswith(" \\\\\n")
    assert r"\textbf{0.5} {\scriptsize {[}0.4, 0.6{]} n=3}" in text
    assert text.count(r"\begin{tabular}{lr}") == text.count(r"\end{tabular}") == 1
    body = re.sub(r"(?m)^%.*$", "", text)
    assert r"\input" not in body
    assert not re.search(r"(?<!\\)[%$#_^~]", body.replace(r"\textasciitilde{}", "").replace(r"\textasciicircum{}", ""))


def test_latex_braces_stay_balanced():
    text = latex_text(HOSTILE).replace(r"\{", "").replace(r"\}", "")
    assert text.count("{") == text.count("}")


def test_csv_gives_every_number_back():
    rows = list(csv.DictReader(io.StringIO(csv_text(DOCUMENT))))
    assert [float(row["mean"]) for row in rows] == [0.1234567890123, -1.0]
    assert rows[0]["low"] == ""
    assert rows[0]["run"] == "'=HYPERLINK(1)"
    assert rows[1]["run"] == HOSTILE


def test_the_ending_decides(tmp_path: Path):
    for ending in (".md", ".tex", ".csv", ".json"):
        write_document(DOCUMENT, tmp_path / f"table{ending}")
    content = json.loads((tmp_path / "table.json").read_text())
    assert content["content"] == {"mean": 0.1234567890123}
    assert content["reproduction"][0] == "written by gotr1-eval"
    with pytest.raises(UsageError, match=r"expected a file ending in \.md, \.tex, \.csv, \.json"):
        check_endings([tmp_path / "table.xlsx"])
    with pytest.raises(UsageError, match="there is no folder"):
        check_endings([tmp_path / "nowhere" / "table.md"])
