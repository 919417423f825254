"""The geometric judge on layouts that a language model wrote for real prompts, against the two official rules.

T2I-CompBench's rule scores the two boxes it is given; GenEval's also needs the plan to use its class names, so
layouts that it rejects for a name alone ("plant" for "potted plant") say nothing about geometry and are counted apart.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gotr1_eval.core.chain import write_chain
from gotr1_eval.core.geometry import relation_score
from gotr1_eval.core.outcome import Score
from gotr1_eval.core.relations import read_relations
from gotr1_eval.core.types import Box, Sample
from rewards.geometric import GeometricJudge
from tests.conftest import rows, shared_parameters

CANVAS = 512
"""Pixels a side of the layouts' canvas."""
DIRECTIONS = ("on the left of", "on the right of", "on the top of", "on the bottom of")


def box(corners: list[float]) -> Box:
    return Box.clipped(*(value / CANVAS for value in corners[:4]))


def verdict(prompt: str, objects: list[tuple[str, Box]]) -> bool:
    (outcome,) = GeometricJudge().judge([Sample(id="s", prompt=prompt, chain=write_chain(objects))])
    assert isinstance(outcome, Score), (prompt, outcome)
    return outcome.value >= 0.5


@pytest.mark.parametrize("path", shared_parameters("data/layouts/compbench_2dspatial*.jsonl"))
def test_verdicts_agree_with_t2i_compbench(path: Path, read_shared: Callable[[Path], str]):
    judged = [row for row in rows(read_shared(path)) if row["locality"] in DIRECTIONS]
    agreed = 0
    for row in judged:
        objects = [(row["obj1"], box(row["box1"])), (row["obj2"], box(row["box2"]))]
        agreed += verdict(row["prompt"], objects) == (row["position_score"] >= 0.5)
    print(f"{path.name}: {agreed} of {len(judged)}")
    assert agreed / len(judged) >= 0.98


@pytest.mark.parametrize("path", shared_parameters("data/layouts/geneval_position*.jsonl"))
def test_verdicts_agree_with_geneval(path: Path, read_shared: Callable[[Path], str]):
    agreed = judged = 0
    for row in rows(read_shared(path)):
        details = json.loads(row["details"])
        objects = [(name.replace("_", " "), box(corners)) for name, found in details.items() for corners in found]
        if "found 0" in row["reason"] or not read_relations(row["prompt"]):
            continue
        judged += 1
        agreed += verdict(row["prompt"], objects) == row["correct"]
    print(f"{path.name}: {agreed} of {judged}")
    assert agreed / judged >= 0.94


def test_by_hand_where_the_two_official_rules_differ():
    """50 degrees off the axis: GenEval says "right of" (cosine above 0.5), T2I-CompBench does not."""
    (claim,) = read_relations("a bench to the right of a potted plant")
    one, other = Box(0.6, 0.6, 0.7, 0.7), Box(0.2, 0.12, 0.3, 0.22)
    assert relation_score(claim.relation, one, other) < 0.5
