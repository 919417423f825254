"""How different the samples of one prompt are: pictures, plans, and chains.

A policy that learns one answer a prompt scores well and has lost what it could do; a reward that only looks at single
samples does not see it. Each function takes the samples of one prompt and gives None where it is undefined: fewer than
two samples, or nothing in them to count.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gotr1_eval.core.chain import Chain, parse_chain
from gotr1_eval.core.names import name_words
from gotr1_eval.core.types import Box

CELLS = 3
"""Cells a side into which the centre of a planned box falls: left, middle, right, and top, middle, bottom."""
_WORD = re.compile(r"\w+")

LAYOUT, *DISTINCT = ("layout entropy", "distinct-1", "distinct-2")
"""What is told of chains."""
Layout = tuple[tuple[str, int, int], ...]
"""(name, column, row) of every planned object, in the order of the alphabet."""


def mean_pairwise_distance(rows: NDArray[np.floating]) -> float | None:
    """The mean of 1 - cosine over all pairs of rows, [samples, width], in [0, 2]; None where a row is all 0."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    number = len(rows)
    if number < 2 or not (lengths > 0).all():
        return None
    # The squared length of the sum holds every pair twice, and every row with itself once.
    total = float(np.square((rows / lengths).sum(axis=0, dtype=np.float64)).sum())
    return max(1.0 - (total - number) / (number * (number - 1)), 0.0)


def mean_pairwise_square(rows: NDArray[np.floating]) -> float | None:
    """The mean squared distance over all pairs of rows, [samples, width]; None of fewer than two."""
    number = len(rows)
    if number < 2:
        return None
    # Summed over pairs, squared distances are n times those from the mean.
    spread = float(np.square(rows - rows.mean(axis=0, dtype=np.float64)).sum())
    return 2.0 * spread / (number - 1)


def layout_of(chain: Chain) -> Layout | None:
    """What stands where in a plan, on a grid of `CELLS` x `CELLS`; None of a plan without a readable box."""
    placed = sorted((" ".join(name_words(name)), *_cell(box)) for name, box in chain.boxed)
    return tuple(placed) or None


def _cell(box: Box) -> tuple[int, int]:
    column, row = (min(int(place * CELLS), CELLS - 1) for place in box.center)
    return column, row


def layout_entropy(layouts: Sequence[Hashable]) -> float | None:
    """Shannon's entropy of the layouts of a prompt as a share of the most there can be, log n: 0 where all are the
    same, 1 where no two are (Pielou's evenness over samples)."""
    number = len(layouts)
    if number < 2:
        return None
    shares = [count / number for count in Counter(layouts).values()]
    return abs(math.fsum(share * math.log(share) for share in shares)) / math.log(number)


def distinct(texts: Sequence[str], n: int) -> float | None:
    """Distinct n-grams of a prompt's texts over their words, in [0, 1]: distinct-1 and distinct-2 of Li et al. ("A
    Diversity-Promoting Objective Function for Neural Conversation Models", 2016). No n-gram spans two texts."""
    words = [_WORD.findall(text.casefold()) for text in texts]
    total = sum(map(len, words))
    if len(texts) < 2 or not total:
        return None
    grams = {tuple(text[start : start + n]) for text in words for start in range(len(text) - n + 1)}
    return len(grams) / total


def chain_diversity(chains: Sequence[str]) -> Mapping[str, float | None]:
    """`LAYOUT` over the plans that can be read, `DISTINCT` over the prose, of the chains of one prompt."""
    parsed = [parse_chain(chain) for chain in chains]
    layouts = [layout for chain in parsed if (layout := layout_of(chain)) is not None]
    prose = [chain.prose for chain in parsed]
    return {LAYOUT: layout_entropy(layouts)} | {name: distinct(prose, n) for n, name in enumerate(DISTINCT, start=1)}
