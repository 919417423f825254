"""Lines above a score: statements of their own, however they end, and words that say whose the score is."""

from __future__ import annotations

import pytest

from gotr1_eval.core.reading import UnreadableReply, read_score, read_scores


def score(text: str) -> float | None:
    """The score of a reply; None where it is unreadable."""
    try:
        return read_score(text, low=0, high=10, finish="stop")
    except UnreadableReply:
        return None


@pytest.mark.parametrize(
    "line",
    [
        "Dog: not visible", "Dog: yes", "Cat: could be behind the car", "**Dog:** not there",
        "- Dog: missing, if at all",
        "Reasoning: The dog is not visible", "Caption: a cat", "Description: a sign that says STOP above a dog",
        "The dog is not visible", "The dog isn't in the picture at all", "The image does not match the prompt",
        "The hat has never been red", "The picture cannot pass for a photo",
    ],
)  # fmt: skip
def test_a_line_without_a_full_stop_decides_nothing(line: str):
    for answer in ("Score: 2", "**Score:** 2", '{"score": 2}', '```json\n{"score": 2}\n```'):
        assert score(f"{line}\n{answer}") == 2, answer
        assert score(f"{line}.\n{answer}") == 2, answer


def test_a_line_with_a_colon_may_be_a_statement():
    assert score('The image does not match the prompt:\n\n```json\n{"score": 2}\n```') == 2
    assert score('The dog is not there:\n{"score": 2}') == 2


@pytest.mark.parametrize(
    "line",
    [
        "The sign says", "The sign does not say", "Text: GAME OVER", "OCR: HOME 3", "Example: a cat", "If it were red",
        "Previous answer: good", "Reasoning: the sign reads", "The image does not contain", "It is not:", "Not so:",
        "I would not answer:", "The score is not the following:", "The score is not right:", "Sign: STOP",
    ],
)  # fmt: skip
def test_a_line_that_leads_to_anothers_words_still_does(line: str):
    assert score(f"{line}\nScore: 9") is None
    assert score(f'{line}\n{{"score": 9}}') is None


def test_remarks_of_one_score_do_not_lead_to_the_next():
    text = "Completeness: 8 - the dog is not named\nFaithfulness: 7 - the cat is never shown\nClarity: 9 - ok"
    expected = {"completeness": 8, "faithfulness": 7, "clarity": 9}
    assert read_scores(text, names=tuple(expected), low=0, high=10) == expected


@pytest.mark.parametrize(
    "text",
    [
        '<|begin_of_box|>{"score": 8}<|end_of_box|>', "<|begin_of_box|>Score: 8<|end_of_box|>",
        '<think>x</think>\n<|begin_of_box|>{"reasoning": "ok", "score": 8}<|end_of_box|>',
        "So the answer is <|begin_of_box|>8<|end_of_box|>.", "### Score\n8/10", "**Score**\n8",
        "## Final score\n\n**8**",
        "<final_score>8</final_score>", "Score [0-10]: 8", "✅ Score: 8/10", "Score = 8", "综合评分：8/10",
    ],
)  # fmt: skip
def test_dresses_of_a_score(text: str):
    assert score(text) == 8


@pytest.mark.parametrize(
    "text",
    [
        "<|begin_of_box|>The sign says {\"score\": 8}<|end_of_box|>", "Score [1-5]: 4", "### Score\n4/5",
        "**Score**\n8-9", "### Scores\n8", "```python\nscore = 8\n```", "Score = 8 - 3", "**Score**\n8 dogs",
    ],
)  # fmt: skip
def test_dresses_of_no_score(text: str):
    assert score(text) is None


def test_headings_of_several_scores():
    text = "**Clarity**\n8\n\n**Unity**\n7/10"
    assert read_scores(text, names=("clarity", "unity"), low=0, high=10) == {"clarity": 8, "unity": 7}
