"""Words by which a model says that it saw no picture or gives no answer, and words that only sound alike."""

from __future__ import annotations

import json
import time

import pytest

from benchmarks.unigenbench.reading import read_verdicts
from gotr1_eval.core.forms import marks_form, read_form
from gotr1_eval.core.outcome import Why
from gotr1_eval.core.reading import UnreadableReply, read_score, read_score_list, read_scores
from gotr1_eval.core.reading.reply import declines

DECLINED = (
    "There is no image attached.",
    "No image provided.",
    "No image was provided, so I cannot judge.",
    "No images were given",
    "No image found.",
    "No image data was received.",
    "There were no pictures attached.",
    "There is no picture.",
    "[Image not provided]",
    "Image not available",
    "The photo is not present.",
    "The attached image is missing.",
    "The image could not be loaded.",
    "The image failed to load.",
    "The image you mention is not attached.",
    "I don't see any image.",
    "I don’t have access to the image.",
    "I did not receive an image.",
    "I see no image.",
    "Without the image, nothing can be said.",
    "Since no picture was attached, 0.",
    "I'm unable to view images.",
    "I cannot see the image, so I cannot judge.",
    "Cannot view the image.",
    "I could not open the file.",
    "I was unable to access the picture",
    "I'm a language model and cannot see images.",
    "As an AI language model, I don't have the ability to view images.",
    "As a text-based model, I do not have eyes.",
    "No, I cannot see the image.",
    "Yes, I can help you with that. Please upload the picture.",
    "Could you please provide the image?",
    "I can't assist with that.",
    "I'm sorry, I can't rate this image.",
    "I won’t answer this question.",
    "I cannot rate how well it matches.",
    "I cannot evaluate how well the picture shows it.",
    "I must decline to rate this.",
    "I cannot give a score.",
    "I cannot provide a rating without the image.",
    "I can't rate this image so I give 0",
    "Unable to determine.",
    "<description>No image was provided.</description>",
    "If you want a score, please provide the image.",
    "无法查看图片",
    "没有提供图片。",
    "图片无法加载。",
    "请上传图片",
    "我看不到图片",
    "无法评分",
)
ANSWERED = (
    "",
    "I cannot see the dog.",
    "I cannot find a dog in the image.",
    "I do not see the dog in the picture.",
    "No dog is visible in the image.",
    "The image does not show a dog.",
    "The picture is missing a dog.",
    "The image is not clear.",
    "The picture cannot be faulted.",
    "I cannot see the picture frame that was requested.",
    "I do not see any picture on the wall.",
    "There is no picture on the wall.",
    "No photo is visible on the desk.",
    "The man cannot see the picture.",
    "I won't rate it higher because the dog is cut off.",
    "I cannot rate the image higher than 6.",
    "I cannot give full marks.",
    "The dog file is missing.",
    "I cannot give a score of 10.",
    "I cannot help but notice that the dog is missing.",
    "This image serves as an AI-generated artwork.",
    "As an AI judge, I rate this 8.",
    "If no image was provided, the score would be 0.",
    'The sign says "I cannot see the image".',
    "The sign says “No image available”.",
    "The sign says 'no image available'.",
    "图片没有显示狗",
    "我无法看到图中的狗",
)


@pytest.mark.parametrize("text", DECLINED)
def test_words_that_decline(text: str):
    assert declines(text)
    assert declines(f"Let me see.\n{text}")
    assert declines(f"{text}\nScore: 0")


@pytest.mark.parametrize("text", ANSWERED)
def test_words_that_do_not(text: str):
    assert not declines(text)
    assert not declines(f"Let me see.\n{text}\nScore: 8")


def test_a_text_that_is_all_in_quotation_marks():
    assert declines('"I cannot see the image."')
    assert not declines('It says: "I cannot see the image."')


@pytest.mark.parametrize("words", ["\n", "no ", "I can ", "the image ", "i can not see the ", "there is no ", "因为"])
def test_the_time_is_linear_in_the_length(words: str):
    start = time.process_time()
    assert not declines(words * 20_000)
    assert time.process_time() - start < 5


def refused(read, *arguments, **options) -> bool:
    """Whether a reader finds that an answer declines; False also where it reads a value, or complains otherwise."""
    try:
        read(*arguments, **options)
    except UnreadableReply as fault:
        return fault.why is Why.REFUSED
    return False


UNSEEN = (
    'There is no image attached. {"score": 0}',
    '{"score": 0}\nNo image was provided.',
    "No image provided. Score: 0",
    "Score: 0 (no image provided)",
    "<analysis>I cannot see the image.</analysis>\nScore: 0",
    "<reasoning>No image was attached.</reasoning><score>0</score>",
    '{"description": "I\'m unable to view images.", "caption": "", "score": 0}',
    '{"score": 0, "reasoning": ["No image was attached."]}',
    '{"score": 0, "reasons": {"dog": "I cannot see the image."}}',
    '{"note": "I cannot see the image."}\n{"score": 0}',
    '"{\\"reason\\": \\"No image provided\\", \\"score\\": 0}"',
    "| Criterion | Score | Comment |\n|---|---|---|\n| Score | 0 | No image provided |",
)
SEEN = (
    '{"reasoning": "The sign says \\"No image available\\".", "score": 8}',
    '{"reasoning": "I cannot see the dog in the image.", "score": 8}',
    "I won't rate it higher because the dog is cut off.\nScore: 8",
    'This image serves as an AI-generated artwork.\n{"score": 8}',
    "I cannot see the picture frame that was requested.\nScore: 8",
    "<think>There is no image attached?</think>\nScore: 8",
)


@pytest.mark.parametrize("reply", UNSEEN)
def test_a_score_beside_such_words_is_none(reply: str):
    assert refused(read_score, reply, low=0, high=10)


@pytest.mark.parametrize("reply", SEEN)
def test_a_score_beside_other_words_is_one(reply: str):
    assert read_score(reply, low=0, high=10) == 8


def test_several_scores_beside_such_words_are_none():
    asked = {"names": ("completeness", "clarity"), "low": 0, "high": 10}
    assert refused(read_scores, "Completeness: 0 - no image was attached\nClarity: 0", **asked)
    assert refused(read_scores, '{"completeness": 0, "clarity": 0, "note": "I cannot see the image."}', **asked)
    listed = '{"reasoning": "No image was provided.", "score": [0, 0]}'
    assert refused(read_score_list, listed, count=2, low=0, high=10)


def test_an_answer_in_a_form_may_decline_in_its_texts():
    form = marks_form(("score",), range(11), ("description", "reasoning"))
    answer = {"description": "A dog.", "reasoning": "The dog is brown.", "score": 0}
    assert read_form(json.dumps(answer), form) == answer
    for text in ("I'm unable to view images.", "No image was provided.", "I cannot see the image, so I cannot judge."):
        assert refused(read_form, json.dumps({**answer, "description": text}), form)
        assert refused(read_form, json.dumps({**answer, "reasoning": text}), form)


def test_verdicts_on_points_beside_such_words_are_none():
    form = "<description>{}</description><analysis>{}</analysis><score>[0, 1]</score>"
    assert read_verdicts(form.format("A dog.", ["The sign says 'no image'.", "ok"]), 2) == [False, True]
    assert refused(read_verdicts, form.format("No image was provided.", ["a", "b"]), 2)
    assert refused(read_verdicts, form.format("A dog.", ["I cannot see the image.", "b"]), 2)
    assert refused(read_verdicts, "<score>[0, 0]</score>\n<analysis>['No image was provided.', 'b']</analysis>", 2)
