"""What each key and each word that the readers know means: one case a word, and the edges of what is counted."""

from __future__ import annotations

import json

import pytest

from gotr1_eval.core.outcome import Why
from gotr1_eval.core.reading import UnreadableReply, read_boxes, read_score, read_score_list, read_scores
from gotr1_eval.core.reading.prose import MOST_DECLARATIONS

GRID = (1000.0, 1000.0)
BOX = [100, 200, 300, 400]
TO_CORNERS = (0.1, 0.2, 0.3, 0.4)


def score(text: str) -> float | None:
    """The score of a reply; None where it is unreadable."""
    try:
        return read_score(text, low=0, high=10)
    except UnreadableReply:
        return None


def marks(text: str) -> dict[str, float] | None:
    try:
        return read_scores(text, names=("completeness", "clarity"), low=0, high=10)
    except UnreadableReply:
        return None


def boxes(text: object, **options) -> list[tuple[str | None, tuple[float, ...]]] | None:
    """(label, corners) of a reply, a JSON value or a text; None where it is unreadable."""
    reply = text if isinstance(text, str) else json.dumps(text)
    try:
        found = read_boxes(reply, **{"frame": GRID, **options})
    except UnreadableReply:
        return None
    return [(label, tuple(round(value, 6) for value in box.corners)) for label, box in found]


@pytest.mark.parametrize(
    "key",
    ["reason", "reasons", "reasoning", "explanation", "rationale", "analysis", "comment", "comments", "thought",
     "thoughts"],
)  # fmt: skip
def test_an_explanation_claims_nothing(key: str):
    both, other = {"completeness": 8, "clarity": 9}, {"completeness": 3, "clarity": 9}
    assert marks(json.dumps({"marks": both, key: other})) == both
    assert marks(json.dumps({"marks": both, "picture": other})) is None


@pytest.mark.parametrize(
    "key",
    ["answer", "arguments", "assessment", "corrected", "evaluation", "final", "final_answer", "function", "input",
     "judgement", "judgment", "output", "parameters", "response", "result", "revised"],
)  # fmt: skip
def test_a_wrapper_says_nothing(key: str):
    assert score(json.dumps({key: {"score": 8}})) == 8
    assert score(json.dumps({key: json.dumps({"score": 8})})) == 8
    assert score(json.dumps({"completeness": {"score": 8}})) is None


@pytest.mark.parametrize(
    "key",
    ["max", "max_score", "max_value", "maximum", "maximum_score", "maxscore", "out_of", "outof", "range", "scale",
     "score_range", "rating_scale", "scale_max", "score_max", "score_scale", "max_points", "max_rating", "total"],
)  # fmt: skip
def test_a_stated_scale_is_the_one_asked_for(key: str):
    assert score(json.dumps({"score": 8, key: 10})) == 8
    assert score(json.dumps({"score": 8, key: 100})) is None
    assert score(json.dumps({"score": 8, key: "0 to 10"})) == 8
    assert score(json.dumps({"score": 8, key: [0, 100]})) is None


@pytest.mark.parametrize("key", ["score", "value", "rating"])
def test_a_score_may_hold_its_value(key: str):
    assert score(json.dumps({"score": {key: 8}})) == 8


@pytest.mark.parametrize("key", ["dimension", "criterion", "aspect", "metric", "category", "name"])
@pytest.mark.parametrize("inner", ["score", "value", "rating"])
def test_rows_of_dimensions(key: str, inner: str):
    rows = [{key: "completeness", inner: 8}, {key: "clarity", inner: 9}]
    assert marks(json.dumps(rows)) == {"completeness": 8, "clarity": 9}
    assert marks(json.dumps([rows[0], {key: "beauty", inner: 9}])) is None


@pytest.mark.parametrize(
    "key",
    ["label_en", "name_en", "label", "name", "object", "text_content", "text", "class", "class_name", "category",
     "names", "object_name"],
)  # fmt: skip
def test_a_box_has_a_label(key: str):
    assert boxes([{key: "cat", "bbox_2d": BOX}]) == [("cat", TO_CORNERS)]


@pytest.mark.parametrize("key", ["bbox_2d", "bbox2d", "bbox", "box", "bounding_box", "bounding_box_2d", "boundingbox"])
def test_a_box_has_a_key(key: str):
    assert boxes([{"label": "cat", key: BOX}]) == [("cat", TO_CORNERS)]
    assert boxes([{"label": "cat", "rectangle": BOX}]) is None


@pytest.mark.parametrize(
    "names",
    [("x1", "y1", "x2", "y2"), ("xmin", "ymin", "xmax", "ymax"), ("x_min", "y_min", "x_max", "y_max"),
     ("left", "top", "right", "bottom")],
)  # fmt: skip
def test_corners_by_name(names: tuple[str, ...]):
    """In any order of their keys."""
    fields = dict(zip(reversed(names), reversed(BOX), strict=True))
    assert boxes([{"label": "cat", **fields}]) == [("cat", TO_CORNERS)]


@pytest.mark.parametrize(
    "names",
    [("x", "y", "w", "h"), ("x", "y", "width", "height"), ("x1", "y1", "w", "h"), ("x1", "y1", "width", "height"),
     ("left", "top", "w", "h"), ("left", "top", "width", "height"), ("xmin", "ymin", "w", "h"),
     ("xmin", "ymin", "width", "height"), ("x_min", "y_min", "w", "h"), ("x_min", "y_min", "width", "height")],
)  # fmt: skip
def test_sides_by_name(names: tuple[str, ...]):
    fields = dict(zip(reversed(names), (200, 200, 200, 100), strict=True))
    assert boxes([{"label": "cat", **fields}]) == [("cat", TO_CORNERS)]


@pytest.mark.parametrize(
    "key",
    ["reason", "reasons", "reasoning", "explanation", "color", "colour", "size", "image_size", "resolution", "score"],
)
def test_what_says_nothing_about_boxes(key: str):
    assert boxes({"boxes": [{"label": "cat", "bbox_2d": BOX}], key: [640, 480, 3, 1]}) == [("cat", TO_CORNERS)]


@pytest.mark.parametrize("key", ["found", "present", "exists", "visible", "detected"])
@pytest.mark.parametrize("no", [False, "no"])
def test_presence_denied(key: str, no: object):
    assert boxes({"label": "cat", key: no}) == []
    assert boxes({"label": "cat", key: no, "bbox_2d": BOX}) is None


@pytest.mark.parametrize("text", ["None.", "**not found**", '"nothing"', "`no`", "_none_", " nil ", "not  found!"])
def test_a_word_of_absence_may_be_marked(text: str):
    assert boxes({"bbox_2d": text}) == []


@pytest.mark.parametrize(
    ("named", "order"),
    [
        ("[x1, y1, x2, y2]", "xyxy"), ("[left, top, right, bottom]", "xyxy"), ("[xmin, ymin, xmax, ymax]", "xyxy"),
        ("[y1, x1, y2, x2]", "yxyx"), ("[top, left, bottom, right]", "yxyx"), ("[ymin, xmin, ymax, xmax]", "yxyx"),
        ("[x, y, w, h]", "xywh"), ("[x, y, width, height]", "xywh"),
        ("xyxy", "xyxy"), ("ltrb", "xyxy"), ("yxyx", "yxyx"), ("xywh", "xywh"), ("ltwh", "xywh"),
        ("coco format", "xywh"),
        ("[x_center, y_center, w, h]", None), ("[cx, cy, w, h]", None), ("cxcywh", None), ("yolo format", None),
        ("[c_x, c_y, w, h]", None), ("tlwh", None),
    ],
)  # fmt: skip
def test_an_order_by_name_is_the_one_asked_for(named: str, order: str | None):
    reply = json.dumps([{"label": "cat", "bbox_2d": [100, 200, 300, 400]}]) + f"\nThe numbers are {named}."
    for asked in ("xyxy", "yxyx", "xywh"):
        assert (boxes(reply, order=asked) is not None) is (asked == order)


def test_fractions_in_a_frame_of_pixels_are_refused():
    """One pixel at the corner is a box; in a frame of up to 10 fractions are what was asked for."""
    assert boxes([{"bbox_2d": [0, 0, 1, 1]}]) is None
    assert boxes([{"bbox_2d": [0, 0, 0, 0]}]) == [(None, (0, 0, 0, 0))]
    assert boxes([{"bbox_2d": [0, 0, 1, 2]}]) == [(None, (0, 0, 0.001, 0.002))]
    assert boxes([{"bbox_2d": [0, 0, 1, 1]}], frame=(10.0, 10.0)) == [(None, (0, 0, 0.1, 0.1))]
    assert boxes([{"bbox_2d": [0, 0, 1, 1]}], frame=(10.0, 11.0)) is None
    assert boxes([{"bbox_2d": [0, 0, 1, 1]}], frame=(1.0, 1.0)) == [(None, (0, 0, 1, 1))]


def test_a_frame_may_be_small():
    assert boxes([{"bbox_2d": [0, 0, 0.5, 0.5]}], frame=(0.5, 1.0)) == [(None, (0, 0, 1, 0.5))]
    for frame in ((0.0, 1.0), (1.0, -1.0), (float("inf"), 1.0), (float("nan"), 1.0)):
        with pytest.raises(ValueError, match="a frame needs a positive width and height"):
            read_boxes("[]", frame=frame)


def test_long_answers_are_no_word_of_absence():
    """Three hundred characters are the most that a plain "there is none" takes."""
    sentence = "There is no cat visible in the image."
    assert boxes(sentence + " " * (300 - len(sentence))) == []
    assert boxes(f"{sentence} {'It is a picture of a meadow. ' * 12}") is None


@pytest.mark.parametrize(
    "reply",
    [
        '[{"label": "cat", "bbox_2d": [100, 200, 300, 400)}]',
        "<ref>cat</ref><box>(100,200),(300,400)",
        "<ref>cat</ref><box>(100,200),(300,400)<box>(1,2),(3,4)</box>",
        "<box>(100,200)</box>",
        "<box>(10%,20%),(30%,40%)</box>",
        "<box>(100px,200px),(300px,400px)</box>",
        "<box>(100,200,300),(400)</box>",
        "<box>(1-2),(3-4)</box>",
        '{"bbox": "10%, 20%, 30%, 40%"}',
    ],
)
def test_broken_marks_are_unreadable(reply: str):
    assert boxes(reply) is None


@pytest.mark.parametrize("text", ["(.1,.2),(.3,.4)", "[.1, .2, .3, .4]", "[[.1, .2], [.3, .4]]", ".1 .2 .3 .4"])
def test_fractions_may_lack_their_zero(text: str):
    assert boxes(f"<box>{text}</box>", frame=(1.0, 1.0)) == [(None, TO_CORNERS)]
    assert boxes({"bbox": text}, frame=(1.0, 1.0)) == [(None, TO_CORNERS)]
    assert boxes(f"<box>{text}</box>") is None


def test_two_corners_between_square_brackets_are_a_box():
    assert boxes("<box>[100,200],[300,400]</box>") == [(None, TO_CORNERS)]
    assert boxes("<box>[]</box>") == []


def test_marked_boxes_stand_beside_nothing_else():
    """What lies between the marks is read once, and not again as points or lists."""
    assert boxes("<ref>cat</ref><box>(100,200),(300,400)</box>") == [("cat", TO_CORNERS)]
    assert boxes("Here: <ref>cat</ref><box>[100, 200, 300, 400]</box> That is all.") == [("cat", TO_CORNERS)]
    both = "<ref>cat</ref><box>(100,200),(300,400)</box><ref>dog</ref><box>(100,200),(300,400)</box>"
    assert boxes(both) == [("cat", TO_CORNERS), ("dog", TO_CORNERS)]


@pytest.mark.parametrize(
    ("word", "number"),
    [("one", 1), ("two", 2), ("three", 3), ("four", 4), ("five", 5), ("six", 6), ("seven", 7), ("eight", 8),
     ("nine", 9), ("ten", 10), ("twenty", 20), ("hundred", 100)],
)  # fmt: skip
def test_words_of_a_scale(word: str, number: int):
    assert read_score(f"Score: 1 out of {word}", low=0, high=number) == 1
    with pytest.raises(UnreadableReply):
        read_score(f"Score: 1 out of {word}", low=0, high=number + 1)


def test_a_list_of_one_is_its_number():
    assert score('{"score": [8]}') == 8
    assert score('{"score": [8, 9]}') is None
    assert score('{"score": []}') is None


def test_zero_has_no_sign():
    assert str(score('{"score": -0.0}')) == "0.0"


@pytest.mark.parametrize("heading", ["Score", "Mark", "Value", "Points", "Rating"])
def test_a_table_has_a_column_of_scores(heading: str):
    """Beside a column of other numbers; two rows that differ are no answer."""
    head = f"| Criterion | Weight | {heading} |\n|---|---|---|\n"
    assert score(f"{head}| Score | 2 | 8 |") == 8
    assert score(f"{head}| Score | 2 | 8 |\n| Score | 2 | 5 |") is None
    both = {"completeness": 8, "clarity": 9}
    assert marks(f"{head}| Completeness | 2 | 8 |\n| Clarity | 3 | 9 |") == both
    assert marks(f"Completeness: 8\nClarity: 9\n\n{head}| Completeness | 2 | 8 |") == both
    assert marks(f"Completeness: 8\nClarity: 9\n\n{head}| Completeness | 2 | 3 |") is None


def test_scores_under_headings():
    """A verdict on the whole beside them is no mark of one; a heading that comes twice says nothing."""
    both = {"completeness": 8, "clarity": 9}
    for word in ("Score", "Rating"):
        assert marks(f"## Completeness\n{word}: 8\n## Clarity\n{word}: 9") == both
    assert marks("Completeness: 8\nClarity: 9\nI would rate this 3 out of 10.") == both
    assert marks("## Completeness\nScore: 8\n## Clarity\nScore: 9\n## Clarity\nScore: 3") is None
    assert marks("## Completeness\nScore: 8\n## Beauty\nScore: 9") is None


def test_a_list_is_one_closed_list():
    def found(text: str) -> list[float] | None:
        try:
            return read_score_list(text, count=2, low=0, high=10)
        except UnreadableReply:
            return None

    assert found('{"score": [8, 7]}') == [8, 7]
    assert found('{"score": [8, 7], "score": [8, 7]}') is None
    assert found('{"score": [8, 7') is None
    assert found('{"score": [8, 7, 6]}') is None
    assert found('{"score": ["8", 7]}') is None


def test_an_answer_may_repeat_itself_a_while():
    assert score('{"score": 8}\n' * (MOST_DECLARATIONS + 1)) == 8
    assert score('{"score": 8}\n' * (MOST_DECLARATIONS + 2)) is None


@pytest.mark.parametrize(
    "word",
    ["rating", "grade", "评分", "得分", "分数", "打分", "总分", "評分", "スコア", "評価", "점수", "평점", "Bewertung",
     "Punktzahl", "Puntuación", "Pontuação", "Punteggio", "оценка"],
)  # fmt: skip
def test_a_score_goes_by_other_names(word: str):
    assert score(f"{word}: 8") == 8
    assert score(f"{word}: 8\n{word}: 3") is None
    assert score(f"{word.upper()}: 8") == 8


@pytest.mark.parametrize(
    "language",
    ["", "json", "json5", "jsonc", "text", "txt", "markdown", "md", "yaml", "plaintext", "xml", "html", "answer",
     "output", "JSON"],
)  # fmt: skip
def test_a_fence_of_data_is_no_code(language: str):
    """Among other words; an object alone in a fence is an answer in any language."""
    assert score(f'```{language}\nHere it is: {{"score": 8}}\n```') == 8
    assert score(f"```{language}\nScore: 8\n```") == 8
    assert score('```python\nresult = {"score": 8}\n```') is None
    assert score('```python\n{"score": 8}\nprint(result)\n```') is None
    assert score("```python\nScore: 8\n```") is None
    assert score('```python\n{"score": 8}\n```') == 8


@pytest.mark.parametrize("tag", ["answer", "score", "rating", "result", "final", "output", "response", "conclusion"])
def test_a_number_alone_may_stand_in_a_tag(tag: str):
    assert score(f"<{tag}>8</{tag}>") == 8
    assert score(f"<{tag}>8</{tag}> or <{tag}>3</{tag}>") is None


def test_a_number_alone_is_a_short_answer():
    """Two hundred characters are the most of it; boxed counts where no name was asked for beside others."""
    assert score("**8**") == 8
    assert score(" 8 / 10. ") == 8
    assert score("8" + " " * 199) == 8
    assert score("8 apples") is None
    assert score("\\boxed{8}") == 8
    assert score("<|begin_of_box|>8<|end_of_box|>") == 8
    assert marks("\\boxed{8}") is None


@pytest.mark.parametrize("heading", ["Meaning", "Description", "Definition", "Label"])
def test_a_table_of_meanings_is_a_rubric(heading: str):
    assert score(f"| Score | {heading} |\n|---|---|\n| 8 | good |") is None
    assert score("| Score | Remark |\n|---|---|\n| 8 | good |") == 8


@pytest.mark.parametrize("row", ["Overall", "Total", "Final", "Final score", "**Overall** (of 10)", "`Total`"])
def test_a_table_may_end_in_its_sum(row: str):
    table = f"| Criterion | Score |\n|:--|--:|\n| Colour | 3 |\n| {row} | 8 |"
    assert score(table) == 8
    assert score(table.replace(row, "Layout")) is None
    assert score(f"{table} | 9 |") is None, "a row of another length is none of the table's"


def test_a_table_is_made_of_lines_that_are_not_endless():
    row = "| Score | 8 | " + "x" * 1983 + " |"
    assert len(row) == 1999
    head = "| Criterion | Score | Reason |\n|---|---|---|\n"
    assert score(head + row) == 8
    assert score(head + row.replace("x |", "xx |")) is None


def test_lines_that_follow_each_other_share_what_is_said_before_them():
    quoted = "The sign says:\nScore: 9\nScore: 3\n\nScore: 8"
    assert score(quoted) in (8, None)
    assert score("Score: 8\n" * MOST_DECLARATIONS) == 8
    assert score("Score: 8\n" * (MOST_DECLARATIONS + 1)) is None


def why(text: str, **options) -> Why | None:
    """Why a reply is unreadable; None where it is read."""
    try:
        read_score(text, low=0, high=10, **options)
    except UnreadableReply as fault:
        return fault.why
    return None


@pytest.mark.parametrize(
    "mark",
    ["<|user|>", "<|human|>", "<|system|>", "<|tool|>", "<|observation|>", "<|ipython|>", "<|developer|>", "[INST]",
     "### Input\n", "### Question\n", "### Task\n", "### Prompt\n", "User:\n", "Human:\n"],
)  # fmt: skip
def test_another_speakers_turn_is_no_answer(mark: str):
    """At the very beginning nothing was answered; behind an answer it ends there."""
    assert score(f"{mark}Score: 3") is None
    assert score(f"Score: 8\n{mark}Score: 3") == 8
    assert score("<|assistant|>Score: 8") == 8


def test_a_thought_that_is_only_spoken_of_ends_nothing():
    """The words of the same line, and no more than eighty characters before the mark, tell."""
    assert score("The picture contains the text </think> in red.\nScore: 8") == 8
    assert score('The sign says "</think>".\nScore: 8\nScore: 8') == 8
    # Said on another line, or in another sentence, it is a mark, and what stands before it a thought.
    assert score("Score: 3, for it says so.\nNow I know. </think>\nScore: 8") == 8
    assert score("Score: 3\nThe sign reads\n</think>\nScore: 8") == 8
    assert score(f"Score: 3\nthe text {'x' * 90} </think>\nScore: 8") == 8


def test_a_thought_without_an_end_has_a_reason():
    assert why("<think>Score: 8") is Why.TRUNCATED
    assert why("<think>Score: 8", finish="stop") is Why.UNREADABLE
    assert why("<reasoning>Score: 8") is Why.TRUNCATED
    assert why('{"score": 8', finish="length") is Why.TRUNCATED
    assert why('{"score": ') is Why.TRUNCATED
    assert why('{"score": ', finish="stop") is Why.UNREADABLE


def test_an_aside_between_tags_is_no_answer():
    assert score("<reasoning>Score: 3</reasoning>Score: 8") == 8
    assert score("Score: 8<explanation>Score: 3</explanation>") == 8
    assert score("Score: 8 <reason>it is good</reason> points") == 8
    assert score("Score: <comment>as asked</comment>8") == 8


def test_an_answer_may_be_one_string_of_json():
    """With its escapes: quotes, backslashes, line ends and tabs."""
    assert score(json.dumps('{"score": 8}')) == 8
    assert score(json.dumps('{\n\t"score": 8,\n\t"reason": "a \\"b\\" c"\n}')) == 8
    assert score('"Score 8"') is None


def test_a_runaway_repetition_is_not_read():
    """Fifty thousand brackets and commas, or three hundred thousand characters, are the most of an answer."""
    for sign in "[{(,":
        assert score("Score: 8\n" + sign * 50_001) is None
    assert score("Score: 8\n" + "x " * 20_000) == 8
    assert score('{"score": 8, "reason": "' + "word " * 59_000 + '"}') == 8
    assert score('{"score": 8, "reason": "' + "word " * 60_001 + '"}') is None
    commas = '{"score": 8, "reason": "' + "," * 49_998
    assert score(commas + '"}') == 8
    assert score(commas + ',"}') is None
