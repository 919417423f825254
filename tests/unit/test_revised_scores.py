"""Answers that take their score back behind it, in words, another field or another number; and those that do not."""

from __future__ import annotations

import pytest

from gotr1_eval.core.reading import UnreadableReply, read_score, read_scores

FOUR = ("completeness", "faithfulness", "consistency", "clarity")


def score(text: str) -> float | None:
    """The score of a reply; None where it is unreadable."""
    try:
        return read_score(text, low=0, high=10, finish="stop")
    except UnreadableReply:
        return None


def marks(text: str) -> tuple[float, ...] | None:
    try:
        return tuple(read_scores(text, names=FOUR, low=0, high=10, finish="stop").values())
    except UnreadableReply:
        return None


@pytest.mark.parametrize(
    "behind",
    [
        "8, wait, 5", "8, actually 5", "8, on reflection 5", "8 (correction: 5)", "8, no, 5", "8, sorry, 5",
        "8, reduced to 5 for the missing dog", "8 - lowered to five", "6, no wait, 8", "8, make that 5", "8 (now 5)",
        "8 (changed to 5)", "8; rather 5", "8 — hmm, 5", "8/10, wait, 5/10", "8. Actually 5",
        "10 – minus three for the dog",
        "10 (deduct 3)", "10 (minus 3 for the dog)", "10. I deducted 3 points.", "8 (应为5分)",
    ],
)  # fmt: skip
def test_words_right_behind_the_number(behind: str):
    assert score(f"Score: {behind}") is None
    assert score(f"**Final score:** {behind}") is None


@pytest.mark.parametrize(
    "value",
    ["10 - minus two", "8, wait, five", "8 - correction: five", "10, deduct three", "8, or rather, too generous"],
)
def test_words_in_the_value(value: str):
    assert score(f'{{"score": "{value}"}}') is None


@pytest.mark.parametrize("answer", ['{"score": 8}', "Score: 8", "| Criterion | Score |\n|---|---|\n| Score | 8 |"])
@pytest.mark.parametrize(
    "behind",
    [
        "No, 5.", "Update: 5", "Updated: 5/10", "Corrected: 5", "Correction - 5", "Final: 6", "**Final:** **6**",
        "Final verdict: 6/10", "My final mark = 6", "Oops, the dog is missing, so 5.", "Oops, the dog is missing.",
        "Rather 5.", "5", "5/10", "Sorry, I meant 5.", "The score is now 5.", "I changed it to 5.", "Scratch that.",
        "So: 5", "Hence 5.", "nope, 5", "I will go with 5.", "Let me go with 5 instead.", "P.S. It deserves 5.",
        "On closer look the dog is missing: 5", "Given the missing dog, 5.", "I now rate it 5/10.", "The rating is 5.",
        "Answer: 5", "应该是5分", "改为5分。", "On second thought, five.", "It should be 5.",
        "That is too generous.", "Too generous.",
    ],
)  # fmt: skip
def test_words_on_a_later_line(answer: str, behind: str):
    assert score(f"{answer}\n{behind}") is None
    assert score(f"{answer}\n\n{behind}") is None


@pytest.mark.parametrize(
    "field",
    [
        '"revised_score": 5', '"adjusted_score": 5', '"final_score": 5', '"score_corrected": 5', '"final_rating": 5',
        '"updated_rating": 5', '"corrected": 5', '"note": "Correction: the score should be 5"',
        '"comment": "Wait, the dog is missing, so 5."', '"reasoning": "My final score is 5."',
        '"remarks": ["Oops."]', '"remarks": {"last": "The score is now 5."}',
    ],
)  # fmt: skip
def test_another_field_of_the_object(field: str):
    assert score(f'{{"score": 8, {field}}}') is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Score: 8. I deducted 2 points for the dog.", 8),
        ("Score: 8\n\nI deducted 2 points because the dog is cut off.", 8),
        ("Score: 8 (two points were deducted for the dog)", 8),
        ("Score: 8 (the dog is 3 px too low)", 8),
        ("Score: 8 (3 of 4 dogs are there)", 8),
        ("Score: 8 - correct number of dogs (3)", 8),
        ("Score: 8, as 3 of 4 dogs are there.", 8),
        ("Score: 8. The image could be better; rather than 3 dogs it has 2.", 8),
        ("Score: 8\nThe dog is placed too low, the light is too harsh.", 8),
        ("Score: 8\nThe people wait, as was asked.", 8),
        ("Score: 8\n8", 8),
        ("Score: 8\n\n1. The dog is there.\n2. The cat is there.", 8),
        ("Score: 8\n\nNo dog is missing; all 3 are there.", 8),
        ('{"score": 8}\n\nActually 3 dogs are visible.', 8),
        ('{"score": 8}\n\nNo, 3 dogs are no problem.', 8),
        ('{"score": 8}\n\nFinal score: 8', 8),
        ('{"score": 8}\n\nColours: 9\nLayout: 7', 8),
        ('{"score": 8}\n\nThe score is 8 because 3 dogs are visible.', 8),
        ('{"score": 8, "final_score": 8}', 8),
        ('{"score": 8, "final": true}', 8),
        ('{"original_score": 8, "revised_score": 5}', 5),
        ('{"reasoning": "Wait, there are 2 dogs. The score is 6? No, 8.", "score": 8}', 8),
        ('{"score": 8, "reasoning": "Actually 2 dogs are there, the 3rd is missing."}', 8),
        ('{"score": 6, "reasoning": "There are 3 apples but there should be 5."}', 6),
        ('{"score": 8, "reasoning": "The hat is red; for a score of 10 it should be blue."}', 8),
        ("评分：8分（扣2分）", 8),
        ('{"score": 8}\n应该是5只狗', 8),
        ('{"score": 8}\n\nThe picture deserves 3 dogs, hence 2 are missing.', 8),
        ('{"score": 8}\n\nThe dogs are brown, 3 of them wet, 2 dry.', 8),
    ],
)
def test_words_that_take_nothing_back(text: str, value: float):
    assert score(text) == value


def test_a_later_word_is_held_against_the_score_that_it_names():
    answer = '{"completeness": 8, "faithfulness": 7, "consistency": 9, "clarity": 8}'
    lines = "Completeness: 8\nFaithfulness: 7\nConsistency: 9\nClarity: 8"
    for given in (answer, lines):
        for behind in (
            "Actually, clarity should be 7.", "Actually, it should be 8.", "Wait, clarity 7.",
            "Actually, clarity should be 8 and faithfulness 6.", "Correction: faithfulness: 8", "Final: 7.5",
        ):  # fmt: skip
            assert marks(f"{given}\n\n{behind}") is None, behind
        for behind in (
            "Actually, clarity should be 8.", "Clarity is fine; 3 dogs could be better.", "Overall: 8", "Total: 32",
        ):  # fmt: skip
            assert marks(f"{given}\n\n{behind}") == (8, 7, 9, 8), behind
    assert marks(f"{answer}\n\nCorrected clarity: 7") is None
    assert marks(f"{lines}\n\nCorrected clarity: 7") == (8, 7, 9, 7)
    assert marks(lines.replace("8\nF", "8, wait, 5\nF")) is None
    assert marks(answer.replace("}", ', "revised_clarity": 7}')) is None
    assert marks(answer.replace("}", ', "note": "The clarity should be 7."}')) is None
