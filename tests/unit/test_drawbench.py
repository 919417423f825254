"""DrawBench's prompts: each once, in the file's order, judged by the small panel."""

from __future__ import annotations

from pathlib import Path

import pytest

from gotr1_eval.build import Builder
from gotr1_eval.core.errors import GotR1Error
from rewards.reward_set import shipped_sets


def test_prompts_that_come_several_times_are_one_each(tmp_path: Path):
    (tmp_path / "test.txt").write_text("a red car.\nan elephant under the sea.\n\na red car. \n", encoding="utf-8")
    suite = Builder().suite({"use": "drawbench", "data": str(tmp_path)})
    assert suite.prompts("drawbench") == ["a red car.", "an elephant under the sea."]
    assert suite.reward_set in shipped_sets()


def test_without_the_file_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GOTR1_CACHE", str(tmp_path))
    with pytest.raises(GotR1Error, match="gotr1-eval data fetch drawbench"):
        Builder().suite({"use": "drawbench"}).prompts("drawbench")
