"""Replies of UniGenBench++'s judges -> one verdict a test point.

A reply holds an XML-like ``<analysis>`` and ``<score>``, each a Python list with an entry a test point. `reference`
reads it as CodeGoat24/UniGenBench@49d0bce, eval/src/eval_common.py:222 (parse_evaluation_response) does, and counts it
as :382 (calculate_scores) does after the result has gone through JSON text and back; `corrected` takes a list of whole
0 and 1 after the last thought and refuses everything else. docs/benchmarks/unigenbench.md lists the differences.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Sequence
from typing import Any

from benchmarks.semantics import UndefinedScoreError
from gotr1_eval.core.reading import UnreadableReply
from gotr1_eval.core.reading.claims import refuse_declined
from gotr1_eval.core.reading.reply import own_turn

Lists = tuple[Any, Any]
"""(analysis, score) as they stand in the tags: mostly two lists."""

_ANALYSIS = re.compile(r"<analysis>(.*?)</analysis>", re.S)
_SCORE = re.compile(r"<score>(.*?)</score>", re.S)
_ANY_SCORE = re.compile(r"<score>(.*?)</score>", re.S | re.I)
_CLOSING = re.compile(r"(?:\s|```|</\w+>|<analysis>.*?</analysis>)*", re.S | re.I)
_ENTRY = re.compile(r"[01](?:\.0)?")
_LIST = re.compile(rf"\[\s*({_ENTRY.pattern}(?:\s*,\s*{_ENTRY.pattern})*)\s*,?\s*\]")


def parse_reply(text: str, points: int) -> Lists | None:
    """What the official parser takes from a reply; None where it asks again.

    Args:
        points: number of test points; both lists must have as many entries.

    Raises:
        UndefinedScoreError: the official run ends here: a tag holds a bare number, which has no length.
    """
    found = [pattern.search(text) for pattern in (_ANALYSIS, _SCORE)]
    if found[0] is None or found[1] is None:
        return None
    try:
        analysis, score = (_literal(match[1].strip()) for match in found if match)
    except (ValueError, SyntaxError):
        return None
    except (RecursionError, MemoryError) as error:
        raise UndefinedScoreError("the reply nests too deep to be read", type(error).__name__) from None
    try:
        fits = points == len(analysis) and points == len(score)
    except TypeError:
        raise UndefinedScoreError("a tag of the reply holds a bare value where a list belongs", "TypeError") from None
    return (analysis, score) if fits else None


def _literal(text: str) -> Any:  # noqa: ANN401 (whatever literal stands there)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a model's back slashes are no concern of ours
        return ast.literal_eval(text)


def count_lists(lists: Lists) -> list[bool] | None:
    """Which test points the official sums count as met, one a test point; None where the row is lost in the sums.

    The result is written as JSON and read back as a Python literal: true, false, null and infinite numbers, in the
    scores or in the analysis, cost the whole row, and a score that is no list is read a second time and lost.

    Raises:
        UndefinedScoreError: the official run ends here: the lists hold what JSON cannot (a set, bytes).
    """
    analysis, score = lists
    try:
        written = json.dumps({"analysis": analysis, "score": score}, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise UndefinedScoreError("the lists of the reply cannot be written as JSON", type(error).__name__) from None
    return counted_scores(written)


def counted_scores(written: str) -> list[bool] | None:
    """The verdicts in a result's JSON text as the official sums read it, as a Python literal; None where that fails."""
    try:
        scores = _literal(written)["score"]
    except (ValueError, SyntaxError, KeyError, TypeError):
        return None
    return [one == 1 for one in scores] if isinstance(scores, list) else None


def read_verdicts(text: str, points: int, finish: str | None = None) -> list[bool]:
    """The verdicts of a reply that can be read with certainty: one list of as many 0 and 1 as there are test points.

    Raises:
        UnreadableReply: the reply is none, or says that the picture was not seen; tags quoted in a thought are no
            answer.
    """
    answer = own_turn(text, finish=finish)
    matches = list(_ANY_SCORE.finditer(answer))
    if not matches or not _CLOSING.fullmatch(answer, matches[-1].end()):
        raise UnreadableReply("The answer must end with <score>...</score> and a list of 0 and 1 in it.")
    refuse_declined(answer)
    found = {match[1].strip() for match in matches}
    lists = [_LIST.fullmatch(one) for one in found]
    if len(lists) > 1 or lists[0] is None:
        raise UnreadableReply("Write one <score> that holds one list of 0 and 1, such as <score>[1, 0]</score>.")
    verdicts = [entry.startswith("1") for entry in _ENTRY.findall(lists[0][1])]
    if len(verdicts) != points:
        raise UnreadableReply(f"The list of scores must have {points} entries, one a checkpoint, not {len(verdicts)}.")
    return verdicts


def official_verdicts(text: str, points: int) -> Sequence[bool] | None:
    """`parse_reply` and `count_lists` together; None where the official script asks again.

    Raises:
        UndefinedScoreError: it ends, or accepts the reply and loses its row in the sums.
    """
    lists = parse_reply(text, points)
    if lists is None:
        return None
    verdicts = count_lists(lists)
    if verdicts is None:
        raise UndefinedScoreError("the official script accepts this reply and loses it in its sums")
    return verdicts
