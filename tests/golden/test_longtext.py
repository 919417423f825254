"""LongText-Bench against golden vectors: what its own scripts answer on invented texts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.longtext.layout import official_order
from benchmarks.longtext.texts import clean, compare, normalise, text_accuracy
from benchmarks.semantics import UndefinedScoreError
from gotr1_eval.core.errors import UsageError
from tests.conftest import rows, shared_parameters

FILES = shared_parameters("golden/checklists/longtext_*.jsonl")
Read = Callable[[Path], str]


@pytest.mark.parametrize("path", FILES)
def test_a_picture_is_compared_as_the_script_does(path: Path, read_shared: Read):
    for row in rows(read_shared(path), "picture"):
        cleaned = clean(row["ocr_raw"], "reference")
        assert cleaned == (row["ocr_raw"] if row["ocr_clean"] is None else row["ocr_clean"]), row["id"]
        gold = normalise(" ".join(row["gold"]), row["mode"], "reference")
        assert gold == row["gold_norm"], row["id"]
        assert normalise(cleaned, row["mode"], "reference") == row["ocr_norm"], row["id"]
        if not row["gold_count"]:
            with pytest.raises(UndefinedScoreError, match="no letter"):
                compare(row["gold"], cleaned, row["mode"], "reference")
            continue
        found = compare(row["gold"], cleaned, row["mode"], "reference")
        assert (found.matched, found.wanted) == (row["match"], row["gold_count"]), row["id"]
        assert (sorted(found.unmatched)[:6], len(found.unmatched)) == (row["unmatched"], row["n_unmatched"]), row["id"]


@pytest.mark.parametrize("path", FILES)
def test_the_summary_is_micro(path: Path, read_shared: Read):
    for row in rows(read_shared(path), "summary"):
        if row["error"] == "ZeroDivisionError" and row["pictures"]:
            with pytest.raises(UndefinedScoreError):
                [compare(one["gold"], one["ocr"], row["mode"], "reference") for one in row["pictures"]]
            continue
        # A text for a list is joined letter by letter, as the script does on its own second run.
        found = [compare(one["gold"], one["ocr"], row["mode"], "reference") for one in row["pictures"]]
        total = text_accuracy(found)
        if row["error"]:
            assert total.value is None
            continue
        assert [one.matched for one in found] == row["match"], row["id"]
        assert [one.wanted for one in found] == row["gold_count"], row["id"]
        assert total.value == pytest.approx(row["score"], abs=1e-9)
        assert [one.matched / one.wanted for one in found] == pytest.approx(row["picture_ratio"], abs=1e-9)


@pytest.mark.parametrize("path", FILES)
def test_files_are_read_as_the_script_reads_them(path: Path, read_shared: Read):
    for row in rows(read_shared(path), "folder"):
        if row["error"]:
            with pytest.raises(UsageError, match="prompt"):
                official_order(row["files"], row["prompt_ids"])
            continue
        assert [list(one) for one in official_order(row["files"], row["prompt_ids"])] == row["order"], row["id"]
