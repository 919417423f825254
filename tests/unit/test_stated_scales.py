"""Scales that an answer states besides its value: in any field, column or language; and counts that are no scale."""

from __future__ import annotations

import json

import pytest

from gotr1_eval.core.reading import UnreadableReply, read_score, read_score_list, read_scores

FOUR = ("completeness", "faithfulness", "consistency", "clarity")


def score(text: str) -> float | None:
    """The score of a reply; None where it is unreadable."""
    try:
        return read_score(text, low=0, high=10, finish="stop")
    except UnreadableReply:
        return None


def marks(text: str) -> set[float] | None:
    """The values of four scores; None where they are unreadable."""
    try:
        return set(read_scores(text, names=FOUR, low=0, high=10, finish="stop").values())
    except UnreadableReply:
        return None


KEYS = (
    "max", "max_score", "maxScore", "bestRating", "best_possible_score", "max_possible", "maximum_possible_score",
    "denominator", "scoreRange", "rating_scale", "top score", "out of", "full_marks", "likert scale",
)  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("five", [5, "5", "five", "1-5", [1, 5], {"min": 1, "max": 5}])
def test_a_field_states_the_scale_wherever_it_stands(key: str, five: object):
    ten = json.loads(json.dumps(five).replace("5", "10").replace("five", "ten"))
    for top, expected in ((five, None), (ten, 4)):
        assert score(json.dumps({"score": 4, key: top})) == expected
        assert score(json.dumps({key: top, "result": {"score": 4}})) == expected
        assert score(json.dumps({"result": {"score": 4}, "meta": {key: top}})) == expected
        named = marks(json.dumps({key: top, "scores": dict.fromkeys(FOUR, 4)}))
        assert named == (None if expected is None else {4})


@pytest.mark.parametrize("unit", ["%", "percent", "stars", "★"])
def test_a_unit_is_another_scale(unit: str):
    assert score(json.dumps({"score": 4, "unit": unit})) is None
    assert score('{"score": 4, "unit": "points"}') == 4


@pytest.mark.parametrize("heading", ["Max", "Max score", "Maximum", "Out of", "Scale"])
def test_a_column_or_row_of_a_table_states_it(heading: str):
    for top, expected in (("5", None), ("10", {4})):
        rows = "".join(f"| {name} | {top} | 4 |\n" for name in FOUR)
        assert marks(f"| Criterion | {heading} | Score |\n|---|---|---|\n{rows}") == expected
        one = None if expected is None else 4
        assert score(f"| Score | {heading} |\n|---|---|\n| 4 | {top} |") == one
        assert score(f"| Item | Value |\n|---|---|\n| Score | 4 |\n| {heading} | {top} |") == one


@pytest.mark.parametrize(
    "words",
    [
        "En una escala de 1 a {}.\nPuntuación: 4", "Em uma escala de 1 a {}\nPontuação: 4",
        "Scala da 1 a {}\nPunteggio: 4", "Skala von 1 bis {}\nBewertung: 4", "По шкале от 1 до {}\nоценка: 4",
        "{}점 만점 기준\n점수: 4", "評価: 4（{}点満点）", "{}段階\nスコア: 4", "评分：4（满分{}分）", "{}分制\n评分：4",
        "Bewertung: 4 (von {})", "Bewertung: 4 von {}", "Puntuación: 4 sobre {}", "оценка: 4 из {}",
        "I rate from 1 to {}.\nScore: 4", "Scores lie between 0 and {}.\nScore: 4",
        "On a scale of 1 to {}: 4.\nScore: 4",
    ],
)  # fmt: skip
def test_a_scale_in_the_language_of_the_label(words: str):
    assert score(words.format(5)) is None
    assert score(words.format(10)) == 4


def test_a_scale_in_words_or_brackets():
    assert score("评分：4（满分五分）") is None
    assert score("五分制\n评分：4") is None
    assert score("满分十分\n评分：4") == 4


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"reasoning": "Only 2 out of 3 objects are present.", "score": 2}', 2),
        ('{"reasoning": "2/3 red hats are there", "score": 2}', 2),
        ('{"description": "A clock shows 8/12", "score": 8}', 8),
        ("Score: 8 of 10", 8),
        ("Score: 8\n\n8 out of 9 apples are there.", 8),
        ("Score: 8\n\n8 of 9 people are there.", 8),
        ('{"description": "A model train at a scale of 1 to 24.", "score": 8}', 8),
        ("The dogs range from 3 to 5 years.\nScore: 8", 8),
        ('{"score": 8, "best": "the 3 dogs"}', 8),
        ('{"score": 8, "top": [1, 2, 3]}', 8),
        ('{"score": 8, "full_prompt": "3 dogs"}', 8),
    ],
)
def test_counts_are_no_scale(text: str, value: float):
    assert score(text) == value


@pytest.mark.parametrize(
    "reason",
    [
        "4 out of 5", "4 out of 5 stars", "4 out of 5 points", "4/5 because dogs are missing",
        "4/5 as dogs are missing",
        "4 out of 5 mainly due to the hat", "4 out of 5, the dogs differ", "At a scale of 1 to 5 I give 4.",
    ],
)  # fmt: skip
def test_a_share_that_counts_nothing_is_a_scale(reason: str):
    assert score(json.dumps({"score": 4, "reasoning": reason})) is None


def test_a_share_of_no_scale_is_read_in_a_description_alone():
    assert score('{"description": "4/5", "score": 4}') == 4
    assert score('{"remark": "4/5", "score": 4}') is None
    assert score('{"description": "on a scale of 1 to 5", "score": 4}') is None
    for text in ("Score: 4 of 5", "Score: 8 of 10 dogs", "Score: 8 of 9"):
        assert score(text) is None


def test_a_sum_beside_several_scores_is_none():
    assert marks(json.dumps({**dict.fromkeys(FOUR, 8), "total": 32})) == {8}
    assert score('{"score": 8, "total": 32}') is None


def test_a_list_of_scores_has_a_scale_too():
    assert read_score_list('{"score": [4, 4], "max_score": 10}', count=2, low=0, high=10) == [4, 4]
    with pytest.raises(UnreadableReply):
        read_score_list('{"score": [4, 4], "max_score": 5}', count=2, low=0, high=10)
