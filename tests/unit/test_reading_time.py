"""Reading takes a time that is linear in the length, whatever character a model repeats."""

from __future__ import annotations

import contextlib
import json
import string
import time
from collections.abc import Callable

import pytest

from benchmarks.unigenbench.reading import read_verdicts
from gotr1_eval.core.forms import marks_form, read_form
from gotr1_eval.core.reading import UnreadableReply, read_score, read_score_list, read_scores
from rewards.unified_reward import read_final_score, read_marks

LENGTH = 20_000
LONGEST = 5.0
"""Seconds of one answer, some hundred times of what it takes: a time that grows with the square takes far more."""
ASKED = {"low": 0, "high": 10, "finish": "stop"}
FORM = marks_form(("score",), range(11), ("reasoning",))
NAMED = '{"clarity": 8, "unity": 8}\n'
MARKS = "Alignment Score: 3\nCoherence Score: 3\nStyle Score: 3\n"
READERS: dict[str, tuple[str, Callable[[str], object]]] = {
    "object": ('{"score": 8}\n', lambda text: read_score(text, **ASKED)),
    "line": ("Score: 8 ", lambda text: read_score(text, **ASKED)),
    "alone": ("", lambda text: read_score(text, **ASKED)),
    "several": (NAMED, lambda text: read_scores(text, names=("clarity", "unity"), **ASKED)),
    "list": ('{"score": [8, 8]}\n', lambda text: read_score_list(text, count=2, **ASKED)),
    "form": ("", lambda text: read_form(json.dumps({"reasoning": text, "score": 8}), FORM)),
    "marks": (MARKS, read_marks),
    "final": ("Final Score: 3\n", read_final_score),
    "points": ("<score>[1, 0]</score>", lambda text: read_verdicts(text, 2)),
}
REPEATED = (
    *("Score: 8\n", "8\n", "10 ", "one ", "wait, ", "Final: ", "5 of ", "minus 3 ", "scale of ", "1 to ", "max "),
    *("Alignment: 3\n", "I cannot ", "the image ", "no image ", '{"score": 8}\n', '"a" ', "**", "| 8 |\n", "８", "分"),
)


def seconds(reader: str, repeated: str) -> float:
    head, read = READERS[reader]
    text = head + repeated * (LENGTH // len(repeated))
    start = time.process_time()
    with contextlib.suppress(UnreadableReply):
        read(text)
    return time.process_time() - start


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS)
def test_any_character_may_be_repeated(reader: str):
    signs = string.printable if reader in ("object", "line") else f"{string.punctuation}{string.whitespace}0aZ"
    slow = {sign: took for sign in signs if (took := seconds(reader, sign)) > LONGEST}
    assert slow == {}


@pytest.mark.parametrize("reader", READERS)
def test_any_words_may_be_repeated(reader: str):
    slow = {words: took for words in REPEATED if (took := seconds(reader, words)) > LONGEST}
    assert slow == {}
