"""Probabilities of choices: of whole texts from the likeliest next tokens alone, and of texts that exclude one another.

A server lists only the likeliest next tokens. Each step looks the choice's next token up in the list, the longest one
that fits (what a tokenizer would have taken), and asks again with the answer begun so far. Choices that begin alike
share their steps.

Where a tokenizer splits numbers into digits, "1" is how "10" begins: the probability of its token also counts every
answer that goes on to "10". A choice's own share is what is left when the choices that continue it are taken away.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

LEAST = -100.0
"""Log-probability of a choice of which rounding leaves nothing."""
Listed = Sequence[tuple[str, float]]
NEGLIGIBLE = math.log(1e-4)
"""Below this log-probability an upper bound is as good as the value: eleven of them move a mean of 0..10 by 0.006."""


class TooLikelyToLeaveOutError(Exception):
    """A choice is not among the listed tokens, and may still be likelier than negligible."""


def score_by_steps(
    list_next: Callable[[str], Listed], choices: Sequence[str]
) -> tuple[tuple[float, ...], tuple[tuple[str, ...], ...]]:
    """Natural log-probability of each choice as a beginning of the answer, and the tokens it was followed along.

    Where a log-probability is below that of 1e-4, it is an upper bound.

    Args:
        list_next: (text, log-probability) of the likeliest tokens after the text that it is given, best first.

    Raises:
        TooLikelyToLeaveOutError: the list is too short to say; the message tells the choice and the bound.
    """
    asked: dict[str, Listed] = {}

    def following(spelled: str) -> Listed:
        if spelled not in asked:
            asked[spelled] = list_next(spelled)
        return asked[spelled]

    scored = [_score(following, choice) for choice in choices]
    return tuple(total for total, _ in scored), tuple(path for _, path in scored)


def _score(following: Callable[[str], Listed], choice: str) -> tuple[float, tuple[str, ...]]:
    spelled, total, path = "", 0.0, list[str]()
    while spelled != choice and (total > NEGLIGIBLE or not spelled):
        listed, rest = following(spelled), choice[len(spelled) :]
        fitting = [entry for entry in listed if entry[0] and rest.startswith(entry[0])]
        if not fitting:
            return _bound(choice, total + min(log_prob for _, log_prob in listed)), (*path, rest)
        token, log_prob = max(fitting, key=lambda entry: len(entry[0]))
        spelled, total = spelled + token, total + log_prob
        path.append(token)
    return total, (*path, choice[len(spelled) :]) if spelled != choice else tuple(path)


def _bound(choice: str, bound: float) -> float:
    if bound > NEGLIGIBLE:
        raise TooLikelyToLeaveOutError(
            f"choice {choice!r} is not among the likeliest tokens that the server lists, and its probability may be up "
            f"to {math.exp(bound):.4f}; raise 'listed_tokens'"
        )
    return bound


def exclusive(log_probs: Sequence[float], paths: Sequence[Sequence[object]]) -> tuple[float, ...]:
    """Log-probability of each choice less that of the choices that continue it.

    Args:
        log_probs: of each choice as a beginning of the answer.
        paths: the tokens that each choice was followed along.
    """
    steps = [tuple(path) for path in paths]
    left = []
    for place, path in enumerate(steps):
        longer = [other for other in steps if len(other) > len(path) and other[: len(path)] == path]
        # Of choices that continue one another ("1", "10", "100") the nearest counts the further ones already.
        nearest = [index for index, other in enumerate(steps) if other in longer and not _between(other, longer)]
        share = math.exp(log_probs[place]) - math.fsum(math.exp(log_probs[index]) for index in nearest)
        left.append(log_probs[place] if not nearest else math.log(share) if share > 0 else LEAST)
    return tuple(left)


def _between(path: tuple[object, ...], others: Sequence[tuple[object, ...]]) -> bool:
    """Whether a shorter one of the others leads to the path."""
    return any(len(other) < len(path) and path[: len(other)] == other for other in others)
