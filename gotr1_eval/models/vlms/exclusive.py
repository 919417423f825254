"""Probabilities of choices that exclude one another.

Where a tokenizer splits numbers into digits, "1" is how "10" begins: the probability of its token also counts every
answer that goes on to "10". A choice's own share is what is left when the choices that continue it are taken away.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

LEAST = -100.0
"""Log-probability of a choice of which rounding leaves nothing."""


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
