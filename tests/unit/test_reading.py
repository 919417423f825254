"""Readers of answers: by hand, on generated good and bad answers, and on anything at all."""

from __future__ import annotations

import contextlib
import json
import random
import re
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gotr1_eval.core.outcome import Why
from gotr1_eval.core.reading import UnreadableReply, read_boxes, read_score, read_score_list, read_scores

ASKED = {"low": 0, "high": 10}
GRID = (1000.0, 1000.0)
CAT = [("cat", (0.1, 0.2, 0.3, 0.4))]
PLAIN = [(None, (0.1, 0.2, 0.3, 0.4))]


def why(call: Callable[[], object]) -> Why:
    with pytest.raises(UnreadableReply) as caught:
        call()
    assert str(caught.value).count("\n") == 0
    return caught.value.why


def boxes(text: str, **options) -> list[tuple[str | None, tuple[float, ...]]]:
    found = read_boxes(text, frame=GRID, **options)
    return [(label, tuple(round(value, 6) for value in box.corners)) for label, box in found]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"score": 8}', 8),
        ("{'score': 8.5, 'fine': True, 'note': None,}", 8.5),
        ('{"score": "8/10", "reasoning": "3 of 4"}', 8),
        ("**Final score:** 8/10", 8),
        ("I would rate this 8 out of 10.", 8),
        ('At first {"score": 3}, but: {"score": 7}', 7),
        ('{"score": 6}\nas asked: {"score": n}', 6),
        ('{"reasoning": "The "red", blue cat", "score": 8}', 8),
        ('{"reasoning": "a", "score": 8,', 8),
        ("<think>{'score': 3}</think>{'score': 9}", 9),
        ("<think>done</think>\n8/10<|im_end|>", 8),
        ('{"result": {"score": 8}}', 8),
        ('{"score": 8, "out_of": 10}', 8),
        ("Score (0-10): 8. There are 3 apples.", 8),
        ("| Criterion | Mark |\n|---|---|\n| Score | 8 |", 8),
        ("So the answer is \\boxed{8}\nScore: 8", 8),
    ],
)
def test_scores_that_a_person_reads(text: str, value: float):
    assert read_score(text, **ASKED) == value


@pytest.mark.parametrize(
    "text",
    [
        '{"score": 8, "score": 5}',
        '{"score": 8, "max_score": 100}',
        '{"score": 8 (or 9)}',
        '{"score": 8,5}',
        '{"score": 1,000}',
        '{"completeness": {"score": 8}}',
        '{"score": 5} Wait, the hat is missing, so 3.',
        'For example: {"score": 7}',
        "8-10: objects shown\n5-7: partly",
        "The score is around 8.",
        "I would not rate this 8 out of 10.",
        "I give the colours 9/10. I give the layout of the hats 3/10.",
        "Score: 7\nFinal score: 8-9",
        '{"points": 8}',
        "The score is 8.\n\nBut given the missing hat the score is 5.",
        "Score: 8 for colour and 4 for shape",
        '{"score": "9, if red"}',
        'It is not {"score": 9}.',
    ],
)
def test_scores_that_need_a_guess(text: str):
    assert why(lambda: read_score(text, **ASKED)) is Why.UNREADABLE


def test_digits_at_the_end_of_a_cut_answer_are_uncertain():
    """8 may have been 8.5, unless the model is known to have stopped by itself."""
    text = '{"reasoning": "a", "score": 8'
    assert why(lambda: read_score(text, **ASKED)) is Why.TRUNCATED
    assert why(lambda: read_score("Score: 8", finish="length", **ASKED)) is Why.TRUNCATED
    assert read_score(text, finish="stop", **ASKED) == 8
    assert why(lambda: read_score('{"score": 5}\n{"reasoning": "on reflection the', **ASKED)) is Why.TRUNCATED
    assert why(lambda: read_score("<think>hm, 7", **ASKED)) is Why.TRUNCATED
    assert why(lambda: read_score("I'm sorry, I can't rate this image.", **ASKED)) is Why.REFUSED


def test_named_scores_are_read_all_or_none():
    names = ("completeness", "clarity")

    def read(text: str) -> dict[str, float]:
        return read_scores(text, names=names, **ASKED)

    expected = {"completeness": 8, "clarity": 7}
    assert read('{"clarity": 7, "Completeness": "8/10"}') == expected
    assert read('{"scores": {"completeness": 8, "clarity": 7}}') == expected
    assert read('{"completeness": {"score": 8, "reason": "5 of 5"}, "clarity": {"score": 7}}') == expected
    assert read("- **Completeness**: 8/10 - all there\n- **Clarity** (0-10): 7") == expected
    assert why(lambda: read('{"completeness": 8}')) is Why.UNREADABLE
    assert why(lambda: read('{"completeness": 8, "cla')) is Why.TRUNCATED
    assert why(lambda: read('{"completeness": 8, "clarity": 70}')) is Why.UNREADABLE


def test_a_list_of_scores_has_the_asked_length():
    assert read_score_list('{"score": [8, 7.5]}', count=2, **ASKED) == [8, 7.5]
    for text in (
        '{"score": [8, 7]}\n{"score": [1, 2]}',
        '{"score": [8, 80]}',
        '{"score": [8]}',
        '{"score": ["8", 7]}',
        '{"score": [8, 7',
        '{"score": 8}',
    ):
        why(lambda text=text: read_score_list(text, count=2, **ASKED))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('```json\n[{"bbox_2d": [100, 200, 300, 400], "label": "cat"}]\n```', CAT),
        ("[('cat', (100, 200, 300, 400))]", CAT),
        ('{"cat": [100, 200, 300, 400]}', CAT),
        ("<ref>cat</ref><box>(100,200),(300,400)</box>", CAT),
        ("<|ref|>cat<|/ref|><|det|>[[100, 200, 300, 400]]<|/det|>", CAT),
        ("The cat is at [100, 200, 300, 400].", CAT),
        ("It is at [100, 200, 300, 400].", PLAIN),
        ("cat: [100, 200, 300, 400]", CAT),
        ("cat<box>(100,200),(300,400)</box>", CAT),
        ("<box>(100,200),(300,400)</box><ref>cat</ref>", CAT),
        ("[100, 200, 300, 400] is a cat.", CAT),
        ("(100,200),(300,400)", PLAIN),
        ('{"bbox_2d": [x1, y1, x2, y2]}\n{"bbox_2d": [100, 200, 300, 400], "label": "ca', PLAIN),
        ("First [1, 2, 3, 4]. Correction: [100, 200, 300, 400]", PLAIN),
        ("[100, 200, 300, 400]\n[100, 200, 300, 400]", PLAIN * 2),
        ("[]", []),
        ('{"bbox_2d": null, "label": "cat"}', []),
        ("Not found.", []),
        ("There is no cat in the image.", []),
    ],
)
def test_boxes_that_a_person_reads(text: str, expected: list[tuple[str | None, tuple[float, ...]]]):
    assert boxes(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "[300, 200, 100, 400]",
        "[100, 200, 300]",
        "[100, 200, NaN, 400]",
        "[100, 200, 300, 1400]",
        "[0.1, 0.2, 0.3, 0.4]",
        '{"box_2d": [100, 200, 300, 400]}',
        '{"found": false, "bbox_2d": [100, 200, 300, 400]}',
        "One at [100, 200, 300, 400] and another at [500, 600, 700, 800].",
        "I cannot see any image.",
        "There is no cat in the image, but a dog at [100, 200, 300, 400].",
        "(100,200),(300,400),(500,600)",
        '{"label": "cat", "x": [100, 200, 300, 400]}',
        "The cat is on the left.",
    ],
)
def test_boxes_that_need_a_guess(text: str):
    why(lambda: boxes(text))


def test_boxes_in_other_frames_and_orders():
    assert why(lambda: boxes('[{"bbox_2d": [100, 200, 300, 400]}, {"bbox_2d": [5')) is Why.TRUNCATED
    assert boxes('{"box_2d": [200, 100, 400, 300]}', order="yxyx") == PLAIN
    assert boxes("[100, 200, 200, 200]", order="xywh") == PLAIN
    assert boxes("[100, 200, 300, 1005]") == [(None, (0.1, 0.2, 0.3, 1.0))]
    ((_, box),) = read_boxes("[46, 70, 467, 700]", frame=(467, 700))
    assert box.corners == pytest.approx((46 / 467, 0.1, 1, 1))
    with pytest.raises(ValueError, match="positive width"):
        read_boxes("[]", frame=(0, 10))


PROSE = (
    "",
    "Let me look at the picture. It shows 3 cats and 2 dogs [see above].\n",
    'You asked for {"score": n} with n from 0 to 10.\n',
    "The rubric says 8-10: all shown, 5-7: partly, 1-4: missing.\n",
    'A draft: {"score": 1}\nBetter:\n',
    "<think>Score: 2? No.</think>\n",
)
AFTER = ("", "\nI hope this helps!", "\nThe 2 cats are lovely.", "<|im_end|>")
REASONS = ("Fine.", "The 3 cats are there, 1 is red.", 'It says "STOP, now" on it.', "it's {good} [or so]: yes")


def written(value: float) -> str:
    return f"{value:g}"


def good_answers(count: int, seed: int) -> Iterator[tuple[str, float]]:
    """Answers that a person reads, and what they say."""
    draw = random.Random(seed)
    for _ in range(count):
        value = draw.choice((*range(11), 2.5, 7.25))
        number = draw.choice((value, written(value), f"{written(value)}/10"))
        pairs = [("score", number), ("reasoning", draw.choice(REASONS)), ("objects", [1, 2])]
        draw.shuffle(pairs)
        body = draw.choice(
            (
                json.dumps(dict(pairs), indent=draw.choice((None, 2))),
                repr(dict(pairs)),
                json.dumps(dict(pairs)).replace('"score"', '"Score"').removesuffix("}") + ",}",
                f"**Score:** {written(value)}/10",
                f"Final score: {written(value)}",
                f"I would rate this image {written(value)} out of 10.",
            )
        )
        fence = draw.choice(("{}", "```json\n{}\n```", "```\n{}\n```"))
        yield draw.choice(PROSE) + fence.replace("{}", body) + draw.choice(AFTER), value


def bad_answers(count: int, seed: int) -> Iterator[str]:
    """Answers that give no certain number from 0 to 10."""
    draw = random.Random(seed)
    values = ("-3", "11", "85", "NaN", "true", "null", '"high"', '"85%"', "4/5", '"7-8"', "[7, 8]", '"<0-10>"', "1e9")
    for _ in range(count):
        value, reason = draw.choice(values), json.dumps(draw.choice(REASONS))
        number = value.strip('"')
        body = draw.choice(
            (
                f'{{"score": {value}, "reasoning": {reason}}}',
                f'{{"reasoning": {reason}, "score": {value}}}',
                f'{{"points": {draw.randrange(11)}, "reasoning": {reason}}}',
                f'{{"reasoning": {reason}, "score": {draw.randrange(10)}',
                f'{{"score": {draw.randrange(5)}, "score": {draw.randrange(5, 11)}}}',
                f"Score: {number}",
                f"It has {draw.randrange(11)} cats, which is {draw.choice(('good', 'bad'))}.",
            )
        )
        yield draw.choice(PROSE[:4]) + body


def test_good_answers_are_read_right():
    answers = list(good_answers(600, seed=1))
    read = 0
    for text, value in answers:
        try:
            found = read_score(text, **ASKED)
        except UnreadableReply:
            continue
        assert found == value, text
        read += 1
    print(f"{read} of {len(answers)} good answers read")
    assert read >= 0.97 * len(answers)


def test_bad_answers_are_never_read():
    for text in bad_answers(600, seed=2):
        why(lambda text=text: read_score(text, **ASKED))


def test_good_boxes_are_read_right_and_broken_ones_never():
    draw = random.Random(3)
    labels = ("cat", "red car", "it's a dog")
    for _ in range(300):
        corners = sorted(draw.sample(range(2, 1000), 4))
        raw = [{"bbox_2d": [corners[0], corners[1], corners[2], corners[3]], "label": draw.choice(labels)}]
        text = draw.choice(
            (json.dumps(raw), repr(raw), json.dumps(raw[0]), f"```json\n{json.dumps(raw, indent=1)}\n```")
        )
        text = draw.choice(("", "Here it is:\n", 'Format {"bbox_2d": [x1, y1, x2, y2]}:\n')) + text
        assert boxes(text) == [(raw[0]["label"], tuple(value / 1000 for value in corners))]
        for old, new in ((corners[3], corners[0] - 1), (corners[3], 4000), (corners[0], "NaN"), (corners[0], "1, 2")):
            why(lambda old=old, new=new, text=text: boxes(text.replace(str(old), str(new))))


PIECES = st.sampled_from(
    re.findall(
        r"\S+|\n",
        '{ } [ ] ( ) " \' : , / - . \n \\ 8 10 0.5 1e9 score "score": bbox_2d "bbox_2d": label true null NaN <box> '
        "</box> <|box_start|> <|box_end|> <think> </think> ``` ```json Score: sorry (1,2),(3,4) [1,2,3,4] // # Wait",
    )
)


@settings(max_examples=400, deadline=None)
@given(
    st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=25).map("".join)),
    st.sampled_from((None, "stop", "length")),
)
def test_nothing_but_a_value_in_range_or_a_complaint(text: str, finish: str | None):
    readers: tuple[Callable[[], list[float]], ...] = (
        lambda: [read_score(text, low=1, high=10, finish=finish)],
        lambda: list(read_scores(text, names=("score", "label"), low=1, high=10, finish=finish).values()),
        lambda: read_score_list(text, count=2, low=1, high=10, finish=finish),
        lambda: [1 + 9 * value for _, box in read_boxes(text, frame=GRID, finish=finish) for value in box.corners],
    )
    for reader in readers:
        try:
            values = reader()
        except UnreadableReply:
            continue
        assert all(1 <= value <= 10 for value in values)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "[" * 100_000 + "]" * 100_000,
        '{"a":' * 200_000,
        '{"' * 500_000,
        "word " * 200_000 + '{"score": 8}',
        "Score: " * 140_000,
        "9" * 1_000_000,
        "[1," * 300_000,
        "<box>" * 200_000,
        '{"a": "' + 'x" ' * 300_000,
        "There is no " + "x" * 1_000_000,
        "The image does not contain " + "x" * 250,
        "(1,2),(3,4)" * 90_000,
    ],
    ids=lambda text: text[:12],
)
def test_a_megabyte_is_read_at_once(text: str):
    """Well under a second each; the bound leaves room for a busy machine."""
    start = time.process_time()
    for reader in (lambda: read_score(text, **ASKED), lambda: read_boxes(text, frame=GRID)):
        with contextlib.suppress(UnreadableReply):
            assert reader() in (8, [])
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    "answer",
    [
        '{"clarity": 8, "unity": 7}\n\nWait, actually clarity should be 3.',
        "clarity: 8\nunity: 7\n\nWait, actually it should be 6.",
        '{"clarity": 8, "unity": 7} but then the clarity is 5',
    ],
)
def test_named_scores_that_are_taken_back_are_unreadable(answer: str):
    with pytest.raises(UnreadableReply):
        read_scores(answer, names=("clarity", "unity"), low=0, high=10)


def test_prose_behind_a_whole_object_never_changes_its_value():
    """It is either passed over, or it takes the value back and nothing can be read."""
    asked = {"names": ("score",), "low": 0, "high": 10, "finish": "stop"}
    assert read_scores('{"score": 8}\n\nScore: 3', **asked) == {"score": 8}
    for taken_back in ("Final score: 3", "Wait, that is too generous.", "But then the score is 3."):
        with pytest.raises(UnreadableReply):
            read_scores(f'{{"score": 8}}\n\n{taken_back}', **asked)
