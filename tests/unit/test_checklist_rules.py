"""Questions as facts, and the rules that add verdicts up, worked by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gotr1_eval.core import checklist
from gotr1_eval.core.checklist import (
    CheckedPicture,
    ChecklistError,
    Dependency,
    Question,
    UnknownParentError,
    Verdict,
    Within,
    apply_dependency,
    read_questions,
    within_picture,
    write_questions,
)


def chain(*parents: str) -> list[Question]:
    """Questions 1, 2, ... with these parents ("" for none, commas between several)."""
    return [
        Question(id=str(place), text=f"{place}?", parents=tuple(filter(None, named.split(","))))
        for place, named in enumerate(parents, start=1)
    ]


@pytest.mark.parametrize(
    ("rule", "parents", "verdicts", "counted"),
    [
        ("none", ["", "1"], [0, 1], [0, 1]),
        ("direct", ["", "1", "2"], [0, 1, 1], [0, 0, 1]),
        ("transitive", ["", "1", "2"], [0, 1, 1], [0, 0, 0]),
        ("transitive", ["2", "3", ""], [1, 1, 0], [1, 0, 0]),  # file order: 1 asks 2 before 2 is denied
        ("direct", ["", "1"], [None, 1], [None, 1]),
        ("transitive", ["", "1"], [0, None], [0, None]),
        ("direct", ["", "1"], [0.25, 1], [0.25, 1]),
        ("direct", ["9", "9,1"], [0, 1], [0, 0]),
    ],
)
def test_what_a_parent_denies(rule: Dependency, parents: list[str], verdicts: list[Verdict], counted: list[Verdict]):
    assert apply_dependency(chain(*parents), verdicts, rule) == counted


def test_an_unknown_parent_is_refused_when_it_is_reached():
    """A parent that is no, listed before it, ends the search."""
    assert apply_dependency(chain("", "1,9"), [0, 1], "transitive", unknown_parents="refused") == [0, 0]
    with pytest.raises(UnknownParentError, match="names the parent '9'"):
        apply_dependency(chain("", "1,9"), [1, 1], "transitive", unknown_parents="refused")


@pytest.mark.parametrize(
    ("rule", "verdicts", "value"),
    [
        ("mean", [1, 0, None], 0.5),
        ("mean", [None, None], None),
        ("geometric_mean", [0.25, 1.0], 0.5),
        ("geometric_mean", [0.0, 1.0], 0.0),
        ("weighted", [1, 0, 0], 1 / 6),
        ("weighted", [None, 0, 1], 3 / 5),
        ("all", [1, 1, 1], 1.0),
        ("all", [1, 1, None], None),
        ("all", [0, None, 1], 0.0),
    ],
)
def test_within_a_picture(rule: Within, verdicts: list[Verdict], value: Verdict):
    questions = [Question(id=str(n), text="?", weight=n) for n in range(1, len(verdicts) + 1)]
    assert within_picture(questions, verdicts, rule) == (value if value is None else pytest.approx(value))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9), st.sampled_from(["mean", "geometric_mean", "weighted"]))
def test_a_value_lies_between_its_verdicts(verdicts: list[float], rule: Within):
    value = within_picture([Question(id=str(n), text="?") for n in range(len(verdicts))], verdicts, rule)
    assert value is not None
    assert min(verdicts) - 1e-9 <= value <= max(verdicts) + 1e-9


def picture(category: str, value: Verdict, **verdicts: Verdict) -> CheckedPicture:
    questions = tuple(Question(id=tag, text="?", tag=tag) for tag in verdicts)
    return CheckedPicture(category=category, questions=questions, verdicts=tuple(verdicts.values()), value=value)


PICTURES = [
    picture("a", 0.5, colour=1, size=0),
    picture("a", 1.0, colour=1, size=None),
    picture("b", 0.0, colour=0, size=0),
    picture("b", None, colour=None, size=None),
]


def numbers(mean: checklist.Mean) -> tuple[float | None, int, int, int]:
    return mean.value, mean.pictures, mean.questions, mean.unanswered


def test_over_pictures():
    assert numbers(checklist.macro(PICTURES)) == (0.5, 3, 6, 1)
    assert numbers(checklist.micro(PICTURES)) == (0.4, 3, 8, 3)
    by_tag = {tag: numbers(mean) for tag, mean in checklist.micro_by_tag(PICTURES).items()}
    assert by_tag == {"colour": (2 / 3, 3, 4, 1), "size": (0.0, 2, 4, 2)}
    assert numbers(checklist.mean_of_categories(PICTURES)) == (0.375, 3, 6, 1)
    assert numbers(checklist.fixed_weights(PICTURES, {"a": 0.8, "b": 0.2})) == (pytest.approx(0.6), 3, 6, 1)


def test_no_mean_of_categories_with_a_hole():
    assert checklist.fixed_weights(PICTURES, {"a": 1.0, "c": 1.0}).value is None
    assert checklist.mean_of_categories(PICTURES[3:]).value is None
    assert checklist.macro([]).value is None


def test_questions_come_back_as_they_were_written():
    questions = (
        Question(id="1", text="a?"),
        Question(id="x", text="b?", answers=("two", "2"), parents=("1",), weight=0.5, criterion="c", tag="t"),
    )
    assert read_questions(write_questions(questions)) == questions
    assert read_questions('[{"text": "a?"}]') == (Question(id="1", text="a?"),)
    assert read_questions([{"text": "a?", "answers": "two", "parents": [1, 2]}])[0].parents == ("1", "2")


@pytest.mark.parametrize(
    ("fact", "message"),
    [
        (None, "expected a list of questions, got None"),
        ([], "expected a list of questions"),
        ("[{", "expected a list of questions as JSON"),
        (["a?"], "question 1: expected an object with a text, got 'a?'"),
        ([{"text": " "}], "question 1: expected a text, got ' '"),
        ([{"text": "a?", "txt": 1}], "question 1: unknown field 'txt'"),
        ([{"text": "a?", "weight": -1}], "question 1: expected a weight that is not negative, got -1"),
        ([{"text": "a?", "weight": math.nan}], "question 1: expected a weight"),
        ([{"text": "a?", "answers": [True]}], "question 1: answers: expected texts"),
        ([{"text": "a?", "id": 1}, {"text": "b?", "id": "1"}], "two questions have the id '1'"),
    ],
)
def test_what_is_no_list_of_questions_is_told_in_one_line(fact: Any, message: str):
    with pytest.raises(ChecklistError) as told:
        read_questions(fact)
    assert str(told.value).startswith(message)
    assert "\n" not in str(told.value)
