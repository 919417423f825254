"""Verdicts in words: yes and no, counts by their value, and open words, each with what is no verdict."""

from __future__ import annotations

import pytest

from benchmarks.checklist.words import lenient_word, strict_word
from gotr1_eval.core.checklist import Question
from gotr1_eval.core.outcome import Reply, Why
from gotr1_eval.core.reading import UnreadableReply

UNREAD = None


def read(text: str, *answers: str, strict: bool = False, asked: str = "?") -> float | None:
    """The verdict; None where there is none."""
    question = Question(id="1", text=asked, answers=answers)
    try:
        return (strict_word if strict else lenient_word)(Reply(text=text, model="m", finish="stop"), question)
    except UnreadableReply:
        return None


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        # behind a label, in a tag, a box, an object
        ("Answer: yes", 1.0),
        ("**Answer:** No", 0.0),
        ("The answer is no.", 0.0),
        ("The dog is there. So the answer is yes.", 1.0),
        ("The dog is there, and sits.\nFinal answer: **yes**", 1.0),
        ("<answer>yes</answer>", 1.0),
        ("Is it there? Yes. Is it red? No. <answer>no</answer>", 0.0),
        (r"\boxed{yes}", 1.0),
        (r"$\boxed{\text{no}}$", 0.0),
        ("<|begin_of_box|>yes<|end_of_box|>", 1.0),
        ('{"answer": "yes"}', 1.0),
        ('{"reasoning": "There is no dog.", "answer": false}', 0.0),
        ('```json\n{"answer": "no"}\n```', 0.0),
        # words beside it that take nothing back
        ("No it is not.", 0.0),
        ("No there is none", 0.0),
        ("no The cup is not red.", 0.0),
        ("yes The cup is red.", 1.0),
        ("No, it is actually a cat.", 0.0),
        ("No, I cannot see a dog.", 0.0),
        ("Yes, I would say so.", 1.0),
        ("Yes, it looks as if it were red.", 1.0),
        ("Yes, even if it is small.", 1.0),
        ("The dog is not visible\nNo", 0.0),
        # taken back
        ("Yes... hmm, actually the dog is missing.", UNREAD),
        ("Yes. Wait, the dog is missing.", UNREAD),
        ("Yes, but actually it is a cat.", UNREAD),
        ("No. Correction: it is there.", UNREAD),
        ("Yes. <answer>no</answer>", UNREAD),
        ("No.\nAnswer: yes", UNREAD),
        ("<answer>yes</answer> <answer>no</answer>", UNREAD),
        ('{"answer": "yes", "final_answer": "no"}', UNREAD),
        # conditional, unsure, a question
        ("Yes would be the answer if the dog was there.", UNREAD),
        ("Yes, if you count the reflection.", UNREAD),
        ("No, unless the shadow is one.", UNREAD),
        ("The answer is yes if the dog is there", UNREAD),
        ("Yes, maybe", UNREAD),
        ("Yes, but I am not sure.", UNREAD),
        ("Yes?", UNREAD),
        ("Yes and no", UNREAD),
        ("Answer: yes or no", UNREAD),
        ("The answer is not yes", UNREAD),
        # somebody else's, an example, a number
        ("The sign says:\nyes", UNREAD),
        ("The sign says\nAnswer: yes", UNREAD),
        ("Example:\nyes", UNREAD),
        ('"Yes" is written on the sign', UNREAD),
        ("No. 3 is red", UNREAD),
    ],
)
def test_yes_and_no(text: str, verdict: float | None):
    assert read(text, "yes") == verdict
    assert read(text, "no") == (None if verdict is None else 1 - verdict)


@pytest.mark.parametrize(
    ("text", "expected", "verdict"),
    [
        # one value, in words or digits on either side
        ("12", "twelve", 1.0),
        ("three", "3", 1.0),
        ("Three.", "3", 1.0),
        ("0", "zero", 1.0),
        ("None", "0", 1.0),
        ("22", "twenty-two", 1.0),
        ("twenty two", "22", 1.0),
        ("Two hundred", "200", 1.0),
        ("two dozen cups", "24", 1.0),
        ("Two hundred", "two", 0.0),
        ("11", "twelve", 0.0),
        ("Twelve cups", "twelve", 1.0),
        ("3 (three)", "three", 1.0),
        ("- 3", "three", 1.0),
        ("Answer: 3", "three", 1.0),
        ("The answer is four.", "three", 0.0),
        (r"\boxed{3}", "three", 1.0),
        ('{"answer": 3}', "three", 1.0),
        ("Three, I think", "three", 1.0),
        ("One of them.", "one", 1.0),
        # no count
        ("3%", "three", UNREAD),
        ("3.5", "three", UNREAD),
        ("3:30", "three", UNREAD),
        ("3/4", "three", UNREAD),
        ("~3", "three", UNREAD),
        ("3+", "three", UNREAD),
        ("Three hours", "three", UNREAD),
        ("Two million", "two", UNREAD),
        ("three-legged", "three", UNREAD),
        ("One moment, please.", "three", UNREAD),
        ("One can see the cups.", "three", UNREAD),
        ("One of the cups is red.", "three", UNREAD),
        ("None of the above", "three", UNREAD),
        # left open
        ("Two or more", "three", UNREAD),
        ("Three or so", "three", UNREAD),
        ("Three, at least", "three", UNREAD),
        ("Three to four", "three", UNREAD),
        ("three?", "three", UNREAD),
        ("Three if you count the reflection", "three", UNREAD),
        ("3, not counting the small ones", "three", UNREAD),
        ("Three... wait, there is another.", "three", UNREAD),
    ],
)
def test_counts_are_compared_by_their_value(text: str, expected: str, verdict: float | None):
    assert read(text, expected) == verdict


def test_a_measure_that_is_asked_for_is_a_count():
    assert read("Three hours", "three", asked="How many hours does the clock show?") == 1.0


@pytest.mark.parametrize(
    ("text", "expected", "verdict"),
    [
        # the expected words, in any number and with any article
        ("Red.", "red", 1.0),
        ("dark red", "red", 1.0),
        ("Dogs", "dog", 1.0),
        ("a brown dog", "dog", 1.0),
        ("Gray", "grey", 1.0),
        ("Ice cream.", "ice cream", 1.0),
        ("Answer: red", "red", 1.0),
        # other answers
        ("Blue.", "red", 0.0),
        ("dark blue", "red", 0.0),
        ("a cat", "dog", 0.0),
        ("cake", "ice cream", 0.0),
        # sentences, right and wrong alike
        ("It is red", "red", 1.0),
        ("It is blue", "red", 0.0),
        ("The car is red.", "red", 1.0),
        ("The car is blue.", "red", 0.0),
        ("Red, like the sky.", "red", 1.0),
        ("Blue, like the sea.", "red", 0.0),
        ("To the left", "left", 1.0),
        ("to the right", "left", 0.0),
        ("It is a dog.", "dog", 1.0),
        ("It is a cat.", "dog", 0.0),
        ("Dog. It sits on a chair.", "dog", 1.0),
        ("Cat. It sits on a chair.", "dog", 0.0),
        # no answer
        ("I am not sure", "red", UNREAD),
        ("Unable to determine", "red", UNREAD),
        ("N/A", "red", UNREAD),
        ("The", "red", UNREAD),
        ("It", "red", UNREAD),
        ("It is parked", "red", UNREAD),
        ("It is missing", "red", UNREAD),
        ("Unfortunately, I see little", "red", UNREAD),
        ("Access denied", "red", UNREAD),
        # several, or not clear
        ("Red? No, blue", "red", UNREAD),
        ("red or blue", "red", UNREAD),
        ("red and blue", "red", UNREAD),
        ("Red at first glance.\nBlue", "red", UNREAD),
        ("not red", "red", UNREAD),
        ("The car is not red", "red", UNREAD),
        ("reddish", "red", UNREAD),
        ("wood", "wooden", UNREAD),
        ("hot dog", "dog", UNREAD),
        ("dog and cat", "dog", UNREAD),
        ("ice", "ice cream", UNREAD),
        ('"Red" is written on it', "red", UNREAD),
    ],
)
def test_open_words(text: str, expected: str, verdict: float | None):
    assert read(text, expected) == verdict


@pytest.mark.parametrize(
    "text", ["yes", "No.", "three", "3", "12", "none", "red", "Blue.", "Dogs", "gray", "The", "it", "N/A", "ice cream"]
)
@pytest.mark.parametrize(
    "answers", [("yes",), ("three", "3"), ("twelve",), ("0",), ("red",), ("grey",), ("ice cream",)]
)
def test_what_a_strict_reader_takes_is_the_same_to_the_lenient_one(text: str, answers: tuple[str, ...]):
    strict = read(text, *answers, strict=True)
    assert strict is None or read(text, *answers) == strict


@pytest.mark.parametrize(
    "text",
    [
        "No, I cannot see the image.",
        "Yes, I can help you with that. Please upload the picture.",
        "No image was provided.\nno",
        '{"reasoning": "I am unable to view images.", "answer": "no"}',
        "3. I cannot see the image.",
    ],
)
@pytest.mark.parametrize("expected", ["yes", "three"])
def test_a_declined_answer_is_no_verdict(text: str, expected: str):
    with pytest.raises(UnreadableReply) as caught:
        lenient_word(Reply(text=text, model="m", finish="stop"), Question(id="1", text="?", answers=(expected,)))
    assert caught.value.why is Why.REFUSED


@pytest.mark.parametrize("expected", ["yes", "three", "red"])
def test_time_grows_with_the_length(expected: str):
    for unit in (
        "*",
        " ",
        "\n",
        "1",
        "yes ",
        "no ",
        "three ",
        "red ",
        "a-",
        "wait ",
        "if ",
        "Answer: ",
        "\\boxed{",
        "<answer>",
    ):
        read("yes\n" + unit * (20_000 // len(unit)), expected)
        read(unit * (20_000 // len(unit)), expected)
