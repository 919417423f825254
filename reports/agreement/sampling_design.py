"""Which sample is drawn with which probability, so that a study is balanced.

Items are shared out equally over categories, within a category over models, within these over ranges of the judge's
score; where a group has fewer samples than its share, the others take over what is left. What the judge left unscored
keeps its natural share of its category and model. Probabilities within a cell are equal, except where a prompt would
then come up more often than needed: its samples are drawn less often, and others of their cells more often. Drawing
keeps these probabilities exactly and every group within one of its expected number (`draw`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.intp]
UNSCORED = "unscored"
ROUNDS = 300
"""Most rounds of evening out prompts; balance comes before it, so that the last word is the cells'."""
UNIT = 1 << 40
"""One certain draw; every probability is a whole number of 1/UNIT and an exact float."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Where a sample stands in the design.

    Attributes:
        score_range: which range of the judge's score, or `UNSCORED`.
    """

    category: str
    model: str
    score_range: str

    def __str__(self) -> str:
        return f"{self.category} / {self.model} / {self.score_range}"


def score_ranges(scores: Sequence[float | None], ranges: int) -> list[str]:
    """Each score's range, named by its least and greatest score; equal scores share one.

    Args:
        ranges: how many, cut at quantiles; fewer where scores are equal.
    """
    known = np.array([score for score in scores if score is not None], dtype=float)
    if not len(known):
        return [UNSCORED] * len(scores)
    cuts = np.unique(np.quantile(known, np.arange(1, ranges) / ranges, method="higher"))
    groups = np.searchsorted(cuts, known, side="right")
    names = {group: _name(known[groups == group]) for group in np.unique(groups)}
    found = iter(groups)
    return [UNSCORED if score is None else names[next(found)] for score in scores]


def _name(scores: Floats) -> str:
    low, high = f"{scores.min():.4g}", f"{scores.max():.4g}"
    return low if low == high else f"{low} to {high}"


def share_out(total: float, sizes: Mapping[str, int]) -> dict[str, float]:
    """The total shared equally; nobody gets more than its size, and others take over what it leaves."""
    shares: dict[str, float] = {}
    for place, (name, size) in enumerate(sorted(sizes.items(), key=lambda entry: entry[1])):
        shares[name] = min(size, (total - sum(shares.values())) / (len(sizes) - place))
    return shares


def cell_shares(cells: Sequence[Cell], count: float) -> dict[Cell, float]:
    """Expected number of items of every cell; they sum to `count`, which may not exceed the number of samples."""
    tree: dict[str, dict[str, dict[str, int]]] = {}
    for cell in cells:
        ranges = tree.setdefault(cell.category, {}).setdefault(cell.model, {})
        ranges[cell.score_range] = ranges.get(cell.score_range, 0) + 1
    by_category = share_out(count, {name: sum(map(_size, models.values())) for name, models in tree.items()})
    shares = {}
    for category, models in tree.items():
        by_model = share_out(by_category[category], {name: _size(ranges) for name, ranges in models.items()})
        for model, ranges in models.items():
            total, unscored = by_model[model], ranges.pop(UNSCORED, 0)
            if unscored:
                shares[Cell(category, model, UNSCORED)] = part = total * unscored / (unscored + _size(ranges))
                total -= part
            for name, share in share_out(total, ranges).items():
                shares[Cell(category, model, name)] = share
    return shares


def _size(ranges: Mapping[str, int]) -> int:
    return sum(ranges.values())


def inclusion_amounts(cells: Sequence[Cell], prompts: Sequence[str], count: int) -> list[int]:
    """Each sample's probability of being drawn, as a whole number of 1/UNIT; they sum to `count`."""
    if count >= len(cells):
        return [UNIT] * len(cells)
    shares = cell_shares(cells, count)
    names = {cell: place for place, cell in enumerate(shares)}
    own = np.array([names[cell] for cell in cells], dtype=np.intp)
    totals = np.array(list(shares.values()))
    chances = (totals / np.bincount(own, minlength=len(totals)))[own]
    by_prompt, most = _prompts(cells, prompts, shares)
    for _ in range(ROUNDS):
        sums = np.bincount(by_prompt, chances)
        if (sums <= most + 1e-9).all():
            break
        chances = _filled(chances * np.minimum(most / sums, 1.0)[by_prompt], own, totals)
    return _whole(chances, count)


def _prompts(cells: Sequence[Cell], prompts: Sequence[str], shares: Mapping[Cell, float]) -> tuple[Places, Floats]:
    """(each sample's prompt, how often each prompt must be shown at most)."""
    sizes: dict[str, dict[str, int]] = {}
    for cell, prompt in zip(cells, prompts, strict=True):
        of_category = sizes.setdefault(cell.category, {})
        of_category[prompt] = of_category.get(prompt, 0) + 1
    keys = {(category, prompt): place for place, (category, prompt) in enumerate(_pairs(sizes))}
    wanted = dict.fromkeys(sizes, 0.0)
    for cell, share in shares.items():
        wanted[cell.category] += share
    limits = {category: _least_limit(of.values(), wanted[category]) for category, of in sizes.items()}
    own = [keys[cell.category, prompt] for cell, prompt in zip(cells, prompts, strict=True)]
    return np.array(own, dtype=np.intp), np.array([limits[category] for category, _ in keys], dtype=float)


def _pairs(sizes: Mapping[str, Mapping[str, int]]) -> list[tuple[str, str]]:
    return [(category, prompt) for category, prompts in sizes.items() for prompt in prompts]


def _least_limit(sizes: Iterable[int], wanted: float) -> int:
    """The least number of times that every prompt may be shown for so many items to be there."""
    counts = np.array(list(sizes))
    limit = 1
    while np.minimum(counts, limit).sum() < wanted - 1e-9:
        limit += 1
    return limit


def _filled(chances: Floats, own: Places, totals: Floats) -> Floats:
    """The chances scaled so that each cell sums to its total, none above 1."""
    for _ in range(len(chances)):
        certain = chances >= 1.0
        free = np.bincount(own, np.where(certain, 0.0, chances), len(totals))
        left = totals - np.bincount(own, certain, len(totals))
        factor = np.divide(left, free, out=np.ones_like(free), where=free > 0)
        chances = np.where(certain, 1.0, chances * factor[own])
        if (chances <= 1.0 + 1e-12).all():
            break
    return np.minimum(chances, 1.0)


def _whole(chances: Floats, count: int) -> list[int]:
    """The chances as whole numbers of 1/UNIT, none 0, with the sum they must have."""
    amounts = np.clip(np.round(chances * UNIT), 1, UNIT).astype(np.int64)
    while missing := count * UNIT - int(amounts.sum()):
        step = 1 if missing > 0 else -1
        movable = np.flatnonzero((amounts + step >= 1) & (amounts + step <= UNIT))[: abs(missing)]
        amounts[movable] += step
    return [int(amount) for amount in amounts]


def draw_places(amounts: Sequence[int], cells: Sequence[Cell], prompts: Sequence[str], seed: int) -> list[int]:
    """Places of the drawn samples, in random order."""
    generator = np.random.default_rng(seed)
    order = [int(place) for place in generator.permutation(len(cells))]
    drawn = draw(
        [amounts[place] for place in order],
        [(cells[place].model, cells[place].category, cells[place].score_range) for place in order],
        [(cells[place].category, prompts[place]) for place in order],
        lambda probability: bool(generator.random() < probability),
    )
    return [place for place, taken in zip(order, drawn, strict=True) if taken]


Groups = tuple[Hashable, ...]
Node = tuple[str, *Groups]


@dataclass(slots=True)
class _Edge:
    tail: Node
    head: Node
    amount: int

    def room(self, sign: int) -> int:
        """How far the amount may go up (1) or down (-1) before it is whole."""
        return (-self.amount if sign > 0 else self.amount) % UNIT


def draw(
    amounts: Sequence[int],
    one: Sequence[Groups],
    other: Sequence[Groups],
    choose: Callable[[float], bool],
) -> list[bool]:
    """Which samples are drawn.

    Args:
        amounts: each sample's probability times UNIT, in [0, UNIT]; their sum must be a multiple of UNIT.
        one, other: each sample's groups, the widest first, as names within the group before; equally many for all.
        choose: whether an event of the given probability happens.
    """
    edges = _flow(amounts, one, other)
    undecided: dict[Node, dict[int, None]] = {}
    for place, edge in enumerate(edges):
        if edge.amount % UNIT:
            undecided.setdefault(edge.tail, {})[place] = None
            undecided.setdefault(edge.head, {})[place] = None
    while undecided:
        cycle = _cycle(edges, undecided)
        _push(edges, cycle, choose)
        for place, _ in cycle:
            if edges[place].amount % UNIT == 0:
                _decide(place, edges[place], undecided)
    return [edge.amount == UNIT for edge in edges[: len(amounts)]]


def _flow(amounts: Sequence[int], one: Sequence[Groups], other: Sequence[Groups]) -> list[_Edge]:
    """The samples' edges, then those between groups; both ends of all, ("one",) and ("other",), are whole."""
    total = sum(amounts)
    if total % UNIT:
        raise ValueError("the probabilities must sum to a whole number")
    edges = [_Edge(("one", *a), ("other", *b), amount) for amount, a, b in zip(amounts, one, other, strict=True)]
    inner: dict[tuple[Node, Node], int] = {}
    for amount, a, b in zip(amounts, one, other, strict=True):
        for depth in range(len(a)):
            step: tuple[Node, Node] = ("one", *a[:depth]), ("one", *a[: depth + 1])
            inner[step] = inner.get(step, 0) + amount
        for depth in range(len(b)):
            step = ("other", *b[: depth + 1]), ("other", *b[:depth])
            inner[step] = inner.get(step, 0) + amount
    return edges + [_Edge(tail, head, amount) for (tail, head), amount in inner.items()]


def _cycle(edges: Sequence[_Edge], undecided: dict[Node, dict[int, None]]) -> list[tuple[int, int]]:
    """(edge, 1 along it or -1 against it) round a cycle; what flows into a node flows out, so no walk ends."""
    node = next(iter(undecided))
    walked: list[tuple[int, int]] = []
    seen = {node: 0}
    came = -1
    while True:
        came = next(place for place in undecided[node] if place != came)
        edge = edges[came]
        along = edge.tail == node
        walked.append((came, 1 if along else -1))
        node = edge.head if along else edge.tail
        if node in seen:
            return walked[seen[node] :]
        seen[node] = len(walked)


def _push(edges: Sequence[_Edge], cycle: Sequence[tuple[int, int]], choose: Callable[[float], bool]) -> None:
    forward = min(edges[place].room(sign) for place, sign in cycle)
    backward = min(edges[place].room(-sign) for place, sign in cycle)
    step = forward if choose(backward / (forward + backward)) else -backward
    for place, sign in cycle:
        edges[place].amount += sign * step


def _decide(place: int, edge: _Edge, undecided: dict[Node, dict[int, None]]) -> None:
    for node in (edge.tail, edge.head):
        del undecided[node][place]
        if not undecided[node]:
            del undecided[node]
