"""Drawing with given probabilities so that every group gets its expected number, rounded up or down.

A sample is an edge between two nested groupings, for instance model > category > score range on one side and
category > prompt on the other. Its probability is a flow through that edge and through all its groups. As long as
anything is undecided there is a cycle of undecided edges; along it the flow is pushed one way or the other, by chance
and so that every edge keeps its expectation, until one more edge is whole. In the end a sample is drawn or it is not,
with exactly its probability, and no group is more than one away from its expected number.

(Gandhi, Khuller, Parthasarathy and Srinivasan, "Dependent rounding and its applications to approximation algorithms",
Journal of the ACM 53, 2006.) Amounts are whole numbers of 1/UNIT, so that nothing is rounded on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

UNIT = 1 << 40
"""One certain draw; every probability is a whole number of 1/UNIT and an exact float."""

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
