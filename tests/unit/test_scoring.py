"""Scoring arbitrary pictures in three lines of Python."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from gotr1_eval import score_images
from gotr1_eval.core.chain import write_chain
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.types import Box

CHAIN = write_chain([("cat", Box(0, 0.4, 0.2, 0.6)), ("dog", Box(0.8, 0.4, 1, 0.6))])


def test_three_lines(tmp_path: Path):
    prompts = ["a cat on the left of a dog", "a cat", "a cat on the right of a dog"]
    table = score_images([None, None, None], prompts, judges=["geometric"], chains=[CHAIN, CHAIN, None])
    assert table["geometric"].tolist()[0] == 1.0
    assert math.isnan(table["geometric"][1])
    assert table["geometric/why"].tolist() == ["", "not_applicable", "no_input"]
    with pytest.raises(UsageError, match="got 1, 2, 2"):
        score_images([None], ["a", "b"], judges=["geometric"])
    with pytest.raises(UsageError, match="asked once"):
        score_images([None], ["a"], judges=["geometric", "geometric"])
