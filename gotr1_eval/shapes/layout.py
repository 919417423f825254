"""A scene for a statement, one that fulfils it or one that breaks it in a named way; and the chain of a scene."""

from __future__ import annotations

import random
from enum import StrEnum

from gotr1_eval.core.chain import BEGIN_OF_IMAGE, write_object
from gotr1_eval.core.geometry import Relation, direction_score, gap
from gotr1_eval.core.types import Box
from gotr1_eval.shapes.scene import COLOURS, GRID, SHAPES, TEXTURES, Kind, Placed, Scene
from gotr1_eval.shapes.statements import RELATION_PHRASES, Statement

CLEAR_DIRECTION = 0.7
"""Least `direction_score` of a drawn relation: clearly on the named side, not on the diagonal."""


class Fault(StrEnum):
    """How a scene can break its statement."""

    RELATION = "relation"
    ATTRIBUTE = "attribute"
    MISSING = "missing"


def random_kind(rng: random.Random) -> Kind:
    """Any kind, fully stated."""
    return Kind(rng.choice(SHAPES), rng.choice(list(COLOURS)), rng.choice(TEXTURES))


def random_scene(rng: random.Random, count: int) -> Scene:
    """So many random objects that do not touch one another."""
    return place([random_kind(rng) for _ in range(count)], rng)


def scene_for(statement: Statement, rng: random.Random, faults: frozenset[Fault] = frozenset()) -> Scene:
    """A scene drawn at random among those that fulfil the statement, but for the given faults.

    `Fault.RELATION` places the objects without regard to the relation (which may hold by chance);
    `Fault.ATTRIBUTE` gives one object another colour or shape; `Fault.MISSING` leaves one object out.
    """
    kinds = [
        Kind(kind.shape, kind.colour or rng.choice(list(COLOURS)), kind.texture or "solid") for kind in statement.kinds
    ]
    if Fault.ATTRIBUTE in faults:
        at = rng.randrange(len(kinds))
        kinds[at] = _altered(kinds[at], rng)
    relation = None if Fault.RELATION in faults else statement.relation
    scene = place(kinds, rng, relation)
    if Fault.MISSING in faults and len(kinds) > 1:
        at = rng.randrange(len(kinds))
        return Scene(scene.objects[:at] + scene.objects[at + 1 :])
    return scene


def _altered(kind: Kind, rng: random.Random) -> Kind:
    if rng.random() < 0.5:
        return Kind(kind.shape, rng.choice([colour for colour in COLOURS if colour != kind.colour]), kind.texture)
    return Kind(rng.choice([shape for shape in SHAPES if shape != kind.shape]), kind.colour, kind.texture)


def place(kinds: list[Kind], rng: random.Random, relation: Relation | None = None) -> Scene:
    """Put the kinds on the grid at random, a cell apart at least, the first two in the relation."""
    while True:
        boxes = _boxes(len(kinds), rng, relation)
        if boxes is not None:
            return Scene(tuple(Placed(kind, box) for kind, box in zip(kinds, boxes, strict=True)))


def _boxes(count: int, rng: random.Random, relation: Relation | None) -> list[Box] | None:
    """Boxes that keep their distance, or None when this draw got stuck."""
    sizes = (2, 3) if count <= 3 else (2, 2)
    boxes: list[Box] = []
    for index in range(count):
        for _ in range(40):
            box = _random_box(rng, *sizes)
            apart = all(gap(box, other) >= 1 / GRID for other in boxes)
            if apart and (
                index != 1 or relation is None or direction_score(relation, boxes[0], box) >= CLEAR_DIRECTION
            ):
                boxes.append(box)
                break
        else:
            return None
    return boxes


def _random_box(rng: random.Random, least: int, most: int) -> Box:
    size = rng.randint(least, most)
    x, y = rng.randint(0, GRID - size), rng.randint(0, GRID - size)
    return Box(x / GRID, y / GRID, (x + size) / GRID, (y + size) / GRID)


def write_scene_chain(scene: Scene, statement: Statement) -> str:
    """One sentence that names every object of the scene with its box, in the words of the statement.

    The relation is stated whenever the statement has one and two objects are there, whatever the boxes say:
    a chain that contradicts itself is a fault the judges must see.
    """
    written = [f"a {_write(placed)}" for placed in scene.objects]
    if statement.relation is not None and len(written) >= 2:
        written = [f"{written[0]} is {RELATION_PHRASES[statement.relation]} {written[1]}", *written[2:]]
    listed = written[0] if len(written) == 1 else f"{', '.join(written[:-1])} and {written[-1]}"
    return f"{listed[0].upper()}{listed[1:]}.{BEGIN_OF_IMAGE}"


def _write(placed: Placed) -> str:
    return write_object(placed.name, placed.box)
