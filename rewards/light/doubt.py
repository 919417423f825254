"""How unsure a cheap judge is of a score, from 0 (sure) to 1 (it may as well be the other way round).

Only the judge's own evidence counts; four kinds of it, of which a user names one:

    value        the score as a soft verdict on the judge's range: 1 - |2p - 1|, so that the middle is all doubt
    components   the same of every part of the score (`geometric`'s relations), the most doubtful one decides: a mean of
                 0.5 may be two sure verdicts that differ
    questions    the same of every verdict of a checklist, as it was read; one that was not answered is all doubt
    spread       the standard deviation of what might have been said, over half the range: a part `spread` (several
                 answers of a rubric judge, the heads of a distilled one), or the marks' probabilities of the mode
                 `expected`, over half the rubric's scale

A score without the evidence (a noted 0 for a chain without a box has no parts) is all doubt.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Reply, Score

Evidence = Literal["value", "components", "questions", "spread"]
Range = tuple[float, float]
SPREAD = "spread"
"""The part in which judges say how far apart their answers were."""


def doubt(score: Score, evidence: Evidence, ends: Range) -> float:
    """The doubt, in [0, 1].

    Args:
        ends: the judge's range.

    Raises:
        UsageError: parts that do not lie on the judge's range are no components.
    """
    return min(max(_KINDS[evidence](score, ends), 0.0), 1.0)


def _of_verdict(value: float, ends: Range) -> float:
    low, high = ends
    return 1.0 - abs(2.0 * (value - low) / (high - low) - 1.0)


def _value(score: Score, ends: Range) -> float:
    return _of_verdict(score.value, ends)


def _components(score: Score, ends: Range) -> float:
    for name, part in score.parts.items():
        if not ends[0] <= part <= ends[1]:
            raise UsageError(
                f"evidence 'components' needs parts within the judge's range {list(ends)}, got {name} = {part:g}; "
                "take 'value' or 'spread'"
            )
    return max((_of_verdict(part, ends) for part in score.parts.values()), default=1.0)


def _questions(score: Score, ends: Range) -> float:
    verdicts = [one.verdict for one in score.questions]
    return max((1.0 if verdict is None else _of_verdict(verdict, (0.0, 1.0)) for verdict in verdicts), default=1.0)


def _spread(score: Score, ends: Range) -> float:
    if SPREAD in score.parts:
        return 2.0 * score.parts[SPREAD] / (ends[1] - ends[0])
    spreads = [_of_marks(reply) for reply in score.replies if len(reply.choice_log_probs) > 1]
    return max(spreads, default=1.0)


def _of_marks(reply: Reply) -> float:
    """The standard deviation of the marks that might have been given, over half the scale."""
    chances = [math.exp(log_prob) for log_prob in reply.choice_log_probs]
    total = math.fsum(chances)
    if total == 0:
        return 1.0
    places = range(len(chances))
    mean = math.fsum(chance * place for chance, place in zip(chances, places, strict=True)) / total
    square = math.fsum(chance * (place - mean) ** 2 for chance, place in zip(chances, places, strict=True)) / total
    return 2.0 * math.sqrt(square) / (len(chances) - 1)


_KINDS: Mapping[Evidence, Callable[[Score, Range], float]] = {
    "value": _value,
    "components": _components,
    "questions": _questions,
    "spread": _spread,
}
EVIDENCE: Sequence[Evidence] = tuple(_KINDS)


def believed(doubt: float, threshold: float) -> bool:
    """Whether a score of so much doubt stands: where it is below the threshold; at 1 every score does, at 0 none."""
    return doubt < threshold or threshold >= 1.0
