"""Whose words a line is: a turn of another speaker, or the name of a thing in the picture."""

from __future__ import annotations

import pytest

from gotr1_eval.core.reading import UnreadableReply, read_score


def score(text: str) -> float | None:
    """The score of a reply; None where it is unreadable."""
    try:
        return read_score(text, low=0, high=10, finish="stop")
    except UnreadableReply:
        return None


THINGS = ("Observation", "Tool", "Model", "Bot", "AI", "Human", "Developer")


@pytest.mark.parametrize("thing", THINGS)
def test_a_thing_may_bear_a_speakers_name(thing: str):
    assert score(f"{thing}: it is on the left.\nScore: 3") == 3
    assert score(f"**{thing}**\n- present\n\n**Dog**\n- missing\n\nScore: 3") == 3
    assert score(f"### {thing}\nIt is there.\n\n### Dog\nMissing.\n\nScore: 3") == 3
    assert score(f'{{"score": 8}}\n\n{thing}: it is there.') == 8


@pytest.mark.parametrize("thing", THINGS)
def test_a_correction_behind_such_a_name_counts(thing: str):
    assert score(f'{{"score": 8}}\n\n{thing}: it is missing.\n\nOn reflection: {{"score": 5}}') in (5, None)
    assert score(f"Score: 8\n\n{thing}: it is cut off.\n\nCorrected score: 5") in (5, None)
    assert score(f'{{"score": 8}}\n\n{thing}: it is cut off.\n\nWait, that is too generous.') is None


@pytest.mark.parametrize(
    "mark",
    ["<|observation|>", "<|tool|>", "<|user|>", "<|im_start|>user\n", "[USER]", "User:", "User: next\n", "user\n",
     "**User**: next\n", "Human:\n", "**Human:**\n", "Assistant: ", "System: you rate.\n", "### Instruction\n"],
)  # fmt: skip
def test_another_speakers_turn_still_ends_the_answer(mark: str):
    assert score(f"Score: 8\n{mark}Score: 3") == 8


def test_an_echo_of_the_question_as_a_section():
    assert score("### Task\nCompare the picture.\n### Score: 3") == 3
    assert score('### Instruction:\nRate it.\n\n### Response:\n{"score": 3}') == 3
    assert score("### Task\nScore: 3") is None
    assert score("### Prompt\nA dog.\nScore: 3") is None
