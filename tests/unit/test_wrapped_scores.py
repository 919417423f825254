"""Several scores under a name of their own: which names say that scores follow, and which say that none do."""

from __future__ import annotations

import json

import pytest

from gotr1_eval.core.reading import UnreadableReply, read_score, read_scores

RIGHT = {"completeness": 8, "faithfulness": 7, "consistency": 9, "clarity": 6}
OTHER = {"completeness": 4, "faithfulness": 4, "consistency": 1, "clarity": 1}


def marks(answer: object) -> dict[str, float] | None:
    """The four scores of a reply, an object or a text; None where they are unreadable."""
    text = answer if isinstance(answer, str) else json.dumps(answer)
    try:
        return read_scores(text, names=tuple(RIGHT), low=0, high=10, finish="stop")
    except UnreadableReply:
        return None


def table(heading: str) -> str:
    rows = "".join(f"| {name} | {value} |\n" for name, value in RIGHT.items())
    return f"| Criterion | {heading} |\n|---|---|\n{rows}"


@pytest.mark.parametrize(
    "wrapper",
    ["scores", "ratings", "marks", "evaluation", "results", "result", "criteria", "dimensions", "sub_scores",
     "detailed scores", "Final Scores"],
)  # fmt: skip
def test_names_that_say_that_scores_follow(wrapper: str):
    assert marks({wrapper: RIGHT}) == RIGHT
    assert marks({"answer": {wrapper: RIGHT}}) == RIGHT
    assert marks({wrapper: {name: {"weight": 0.25, "score": value} for name, value in RIGHT.items()}}) == RIGHT


@pytest.mark.parametrize(
    "wrapper",
    ["weights", "criteria_weights", "weighting", "example", "sample_output", "previous_scores", "initial_scores",
     "draft", "expected_scores", "format"],
)  # fmt: skip
def test_names_that_say_that_none_do(wrapper: str):
    assert marks({wrapper: OTHER}) is None
    assert marks({wrapper: OTHER, "scores": RIGHT}) == RIGHT
    assert marks({"scores": RIGHT, wrapper: OTHER}) == RIGHT


def test_the_greatest_scores_state_the_scale():
    assert marks({"max_scores": OTHER}) is None
    assert marks({"max_scores": dict.fromkeys(RIGHT, 10), "scores": RIGHT}) == RIGHT
    assert marks({"max_scores": dict.fromkeys(RIGHT, 5), "scores": RIGHT}) is None


@pytest.mark.parametrize("wrapper", ["plan_a", "picture", "someone", "plan_a_scores"])
def test_names_that_say_something_else(wrapper: str):
    assert marks({wrapper: RIGHT}) is None
    assert marks({wrapper: OTHER, "scores": RIGHT}) is None


@pytest.mark.parametrize("heading", ["Score", "Rating", "Points", "Mark", "Result", "Verdict", ""])
def test_columns_of_scores(heading: str):
    assert marks(table(heading)) == RIGHT


@pytest.mark.parametrize("heading", ["Weight", "Rank", "Confidence", "Count", "Max"])
def test_columns_of_something_else(heading: str):
    assert marks(table(heading)) is None
    with pytest.raises(UnreadableReply):
        read_score(f"| Criterion | {heading} |\n|---|---|\n| Score | 8 |", low=0, high=10)


def test_the_only_row_of_a_table_may_be_one_of_weights():
    head = f"| Picture | {' | '.join(RIGHT)} |\n|{'---|' * 5}\n"
    cells = " | ".join(map(str, RIGHT.values()))
    assert marks(f"{head}| first | {cells} |") == RIGHT
    assert marks(f"{head}| Weight | {cells} |") is None
    assert marks(f"{head}| Max | {cells} |") is None
