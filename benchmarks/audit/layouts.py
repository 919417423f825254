"""Layouts of two named objects whose relation is true, false or ambiguous by construction, among distractors.

Distances are between centres, in shares of the canvas. "True" keeps the direction within about 14 degrees of the
axis; "ambiguous" stands on the diagonal, or half over the other object; "false" is the true layout of the
opposite relation, and for "next to" far apart.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gotr1_eval.core.chain import write_chain
from gotr1_eval.core.geometry import Relation, intersection
from gotr1_eval.core.types import Box, Json

Plan = tuple[tuple[str, Box], ...]

NOUNS = (
    "cat", "dog", "lamp", "chair", "bicycle", "backpack", "bowl", "clock", "kite", "mug", "pillow", "guitar",
    "suitcase", "umbrella", "teapot", "candle", "drum", "vase", "laptop", "hat",
)  # fmt: skip
PHRASES: Mapping[Relation, str] = {
    Relation.LEFT_OF: "on the left of",
    Relation.RIGHT_OF: "on the right of",
    Relation.ABOVE: "above",
    Relation.BELOW: "below",
    Relation.NEAR: "next to",
}
SYNONYMS: Mapping[Relation, str] = {
    Relation.LEFT_OF: "to the left of",
    Relation.RIGHT_OF: "to the right of",
    Relation.ABOVE: "over",
    Relation.BELOW: "beneath",
    Relation.NEAR: "beside",
}
OPPOSITE: Mapping[Relation, Relation] = {
    Relation.LEFT_OF: Relation.RIGHT_OF,
    Relation.RIGHT_OF: Relation.LEFT_OF,
    Relation.ABOVE: Relation.BELOW,
    Relation.BELOW: Relation.ABOVE,
}
SIZES = {"equal": (0.16, 0.16), "larger": (0.22, 0.11), "smaller": (0.11, 0.22)}
"""Sides of subject and other object."""
GAPS = {"near": 0.02, "medium": 0.15, "far": 0.32}
"""Between the nearest edges, along the axis of the relation."""
AXES: Mapping[str, tuple[str | int, ...]] = {
    "relation": tuple(relation.value for relation in PHRASES),
    "distance": ("near", "medium", "far", "overlapping"),
    "size": tuple(SIZES),
    "distractors": (0, 2, 5),
}


@dataclass(frozen=True, slots=True)
class Layout:
    """What a layout is to be: the values of the axes, and the two names."""

    relation: Relation
    distance: str
    size: str
    distractors: int
    subject: str
    other: str

    @property
    def prompt(self) -> str:
        """The relation as a request."""
        return word(self.subject, PHRASES[self.relation], self.other)

    @property
    def facts(self) -> dict[str, Json]:
        """The axes, for tables."""
        names = ("relation", "distance", "size", "distractors")
        values = (self.relation.value, self.distance, self.size, self.distractors)
        return dict(zip(names, values, strict=True))


def word(subject: str, phrase: str, other: str, article: str | None = None) -> str:
    """ "a cat on the left of an umbrella"; with `article` both objects carry that one."""
    first, second = (f"{article or ('an' if name[0] in 'aeiou' else 'a')} {name}" for name in (subject, other))
    return f"{first} {phrase} {second}"


def draw_layouts(rng: random.Random, count: int, relations: Sequence[Relation] = tuple(PHRASES)) -> list[Layout]:
    """So many layouts; every axis goes through all its values equally often, in combinations drawn at random."""
    columns = [
        _balanced(rng, count, choices) for choices in (relations, AXES["distance"], AXES["size"], AXES["distractors"])
    ]
    layouts = []
    for relation, distance, size, distractors in zip(*columns, strict=True):
        subject, other = rng.sample(NOUNS, 2)
        apart = "near" if relation is Relation.NEAR else distance
        layouts.append(Layout(relation, apart, size, distractors, subject, other))
    return layouts


def _balanced(rng: random.Random, count: int, choices: Sequence[object]) -> list[object]:
    column = [choices[place % len(choices)] for place in range(count)]
    rng.shuffle(column)
    return column


def true_plan(layout: Layout, rng: random.Random) -> Plan:
    """A plan in which the relation clearly holds."""
    distance = _clear_distance(layout)
    return _placed(layout, rng, distance, rng.uniform(-0.25, 0.25) * distance)


def false_plan(layout: Layout, rng: random.Random) -> Plan:
    """A plan in which the relation clearly does not hold."""
    if layout.relation is Relation.NEAR:
        return _placed(layout, rng, _reach(layout) + rng.uniform(0.45, 0.55), 0.0)
    distance = _clear_distance(layout)
    return _placed(layout, rng, -distance, rng.uniform(-0.25, 0.25) * distance)


def ambiguous_plan(layout: Layout, rng: random.Random) -> Plan:
    """A plan about which reasonable people differ: on the diagonal, or half over the other object."""
    reach = _reach(layout)
    if layout.relation is Relation.NEAR:
        return _placed(layout, rng, 2 * reach, 0.0)
    if layout.distance == "overlapping":
        return _placed(layout, rng, 0.5 * reach, 0.0)
    distance = _clear_distance(layout) * 0.8
    return _placed(layout, rng, distance, rng.choice((-1, 1)) * distance)


def chain_of(plan: Plan) -> str:
    """The plan as a chain."""
    return write_chain(plan)


def mirrored(box: Box, relation: Relation) -> Box:
    """The box on the other side of the picture, along the axis of the relation."""
    if relation in (Relation.ABOVE, Relation.BELOW):
        return Box(box.x1, 1 - box.y2, box.x2, 1 - box.y1)
    return Box(1 - box.x2, box.y1, 1 - box.x1, box.y2)


def _reach(layout: Layout) -> float:
    """Distance of the centres at which the boxes touch."""
    return sum(SIZES[layout.size]) / 2


def _clear_distance(layout: Layout) -> float:
    reach = _reach(layout)
    return 0.9 * reach if layout.distance == "overlapping" else reach + GAPS[layout.distance]


def _placed(layout: Layout, rng: random.Random, along: float, across: float) -> Plan:
    """Both objects so that the other one lies `along` the relation's axis and `across` it, among distractors.

    The canvas holds every layout; where on it the pair stands is drawn at random.
    """
    toward = {Relation.RIGHT_OF: (-1, 0), Relation.ABOVE: (0, 1), Relation.BELOW: (0, -1)}.get(layout.relation, (1, 0))
    dx, dy = toward[0] * along + toward[1] * across, toward[1] * along + toward[0] * across
    first, second = SIZES[layout.size]
    x, second_x = _offsets(rng, dx, first / 2, second / 2)
    y, second_y = _offsets(rng, dy, first / 2, second / 2)
    pair = [(layout.subject, _square(x, y, first)), (layout.other, _square(second_x, second_y, second))]
    plan = [*pair, *_distractors(layout, rng, [box for _, box in pair])]
    rng.shuffle(plan)
    return tuple(plan)


def _offsets(rng: random.Random, delta: float, first: float, second: float) -> tuple[float, float]:
    """Two centres `delta` apart, somewhere on [0.02, 0.98] with their half sides."""
    low = min(-first, delta - second)
    high = max(first, delta + second)
    start = rng.uniform(0.02 - low, 0.98 - high)
    return start, start + delta


def _square(x: float, y: float, side: float) -> Box:
    return Box(x - side / 2, y - side / 2, x + side / 2, y + side / 2)


def _distractors(layout: Layout, rng: random.Random, taken: list[Box]) -> list[tuple[str, Box]]:
    """Other objects that touch nothing; fewer when the canvas is full."""
    names = rng.sample([noun for noun in NOUNS if noun not in (layout.subject, layout.other)], layout.distractors)
    found: list[tuple[str, Box]] = []
    for name in names:
        for _ in range(200):
            side = rng.uniform(0.07, 0.12)
            box = _square(rng.uniform(0.07, 0.93), rng.uniform(0.07, 0.93), side)
            if all(intersection(box, other) == 0 for other in [*taken, *(box for _, box in found)]):
                found.append((name, box))
                break
    return found
