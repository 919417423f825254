"""Folds of a cross-validation that take whole groups: what was made of one prompt is alike, and stays together."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

FOLDS = 5
Places = NDArray[np.intp]


def fold_numbers(groups: Sequence[Hashable], seed: int, folds: int = FOLDS) -> Places:
    """[items]: the fold of each; groups are dealt out in an order that the seed shuffles.

    There are as many folds as groups where these are fewer.
    """
    names = list(dict.fromkeys(groups))
    shuffled = np.random.default_rng(seed).permutation(len(names))
    fold_of = {name: int(place) % min(folds, len(names)) for name, place in zip(names, shuffled, strict=True)}
    return np.array([fold_of[group] for group in groups], dtype=np.intp)


def held_out(numbers: Places) -> Iterator[tuple[Places, Places]]:
    """(places to fit on, places held out), a pair a fold."""
    for number in np.unique(numbers):
        yield np.flatnonzero(numbers != number), np.flatnonzero(numbers == number)
