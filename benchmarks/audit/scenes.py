"""Scenes of the shapes world for the audit: prompts, chains and pictures that agree by construction."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from PIL import Image

from benchmarks.audit.layouts import OPPOSITE, SYNONYMS, mirrored, word
from gotr1_eval.core.chain import BEGIN_OF_IMAGE, write_chain
from gotr1_eval.core.geometry import Relation, intersection
from gotr1_eval.core.types import Box
from gotr1_eval.shapes.drawing import draw_scene
from gotr1_eval.shapes.layout import place, scene_for
from gotr1_eval.shapes.scene import COLOURS, GRID, SHAPES, Kind, Placed, Scene
from gotr1_eval.shapes.statements import Stated, Statement, write_prompt

SIDE = 256
"""Pixels of a picture: small, and yet readable for a language-vision model."""
PLAIN_COLOURS = tuple(colour for colour in COLOURS if colour != "orange")
"""Those that take the article "a"."""
WRITING_ROW = (GRID - 1) / GRID
"""Below this a picture is kept free for writing."""


@dataclass(frozen=True, slots=True)
class Scenery:
    """A request for two objects in a relation, and a scene that fulfils it."""

    statement: Statement
    scene: Scene

    @property
    def relation(self) -> Relation:
        """The stated one."""
        assert self.statement.relation is not None
        return self.statement.relation

    @property
    def prompt(self) -> str:
        """The request."""
        return write_prompt(self.statement)

    def reworded(self, *, synonym: bool = False, article: str | None = None) -> str:
        """The request with another phrase or article, which means the same."""
        first, second = (group.kind.name for group in self.statement.groups)
        phrase = SYNONYMS[self.relation] if synonym else self.prompt.split(first)[1].rsplit(" a ", 1)[0].strip()
        return word(first, phrase, second, article)

    def opposite(self) -> Scenery:
        """The same scene under the opposite request."""
        return Scenery(replace(self.statement, relation=OPPOSITE[self.relation]), self.scene)

    def mirrored(self) -> Scenery:
        """The same request over the mirrored scene, which breaks it."""
        return Scenery(self.statement, mirror(self.scene, self.relation))

    def recoloured(self) -> Scenery:
        """A request in which the two objects have exchanged their colours, over the same scene."""
        first, second = (group.kind for group in self.statement.groups)
        swapped = (replace(first, colour=second.colour), replace(second, colour=first.colour))
        return Scenery(Statement(tuple(map(Stated, swapped)), self.relation), self.scene)


def scenery(rng: random.Random, relation: Relation | None = None) -> Scenery:
    """Two objects of different shapes and colours; nothing in the row that is kept for writing."""
    shapes, colours = rng.sample(SHAPES, 2), rng.sample(PLAIN_COLOURS, 2)
    kinds = tuple(Stated(Kind(shape, colour)) for shape, colour in zip(shapes, colours, strict=True))
    return fulfilled(Statement(kinds, relation or rng.choice(list(OPPOSITE))), rng)


def unrelated(base: Scenery, rng: random.Random) -> Scenery:
    """A request in the same words for objects of other shapes and other colours, and a scene that fulfils it."""
    kinds = [group.kind for group in base.statement.groups]
    shapes = rng.sample([shape for shape in SHAPES if shape not in {kind.shape for kind in kinds}], 2)
    colours = rng.sample([colour for colour in PLAIN_COLOURS if colour not in {kind.colour for kind in kinds}], 2)
    others = (
        Stated(replace(kind, shape=shape, colour=colour))
        for kind, shape, colour in zip(kinds, shapes, colours, strict=True)
    )
    return fulfilled(Statement(tuple(others), base.relation), rng)


def fulfilled(statement: Statement, rng: random.Random) -> Scenery:
    """A scene that fulfils the statement, with nothing in the row that is kept for writing."""
    while True:
        scene = scene_for(statement, rng)
        if all(placed.box.y1 >= 1 - WRITING_ROW and placed.box.y2 <= WRITING_ROW for placed in scene.objects):
            return Scenery(statement, scene)


def distinct_scene(rng: random.Random, count: int) -> Scene:
    """So many solid objects, no two of one shape and colour."""
    names = rng.sample([(shape, colour) for shape in SHAPES for colour in PLAIN_COLOURS], count)
    while True:
        scene = place([Kind(shape, colour, "solid") for shape, colour in names], rng)
        if all(placed.box.y2 <= WRITING_ROW for placed in scene.objects):
            return scene


def absent_name(rng: random.Random, scene: Scene) -> str:
    """The name of an object that the scene does not hold, neither its shape nor its colour."""
    shapes = {placed.kind.shape for placed in scene.objects}
    colours = {placed.kind.colour for placed in scene.objects}
    shape = rng.choice([shape for shape in SHAPES if shape not in shapes])
    return f"{rng.choice([colour for colour in PLAIN_COLOURS if colour not in colours])} {shape}"


def empty_box(rng: random.Random, scene: Scene) -> Box:
    """A box that touches no object of the scene."""
    while True:
        x, y = rng.randint(0, GRID - 2) / GRID, rng.randint(0, GRID - 2) / GRID
        box = Box(x, y, x + 2 / GRID, y + 2 / GRID)
        if all(intersection(box, placed.box) == 0 for placed in scene.objects):
            return box


def mirror(scene: Scene, relation: Relation) -> Scene:
    """The scene with every object on the other side, along the axis of the relation."""
    return Scene(tuple(Placed(placed.kind, mirrored(placed.box, relation)) for placed in scene.objects))


def painted(scene: Scene) -> Callable[[], Image.Image]:
    """Draws the scene."""
    return lambda: draw_scene(scene, SIDE)


def plan_chain(scene: Scene) -> str:
    """A chain that plans the scene as it is."""
    return write_chain([(placed.name, placed.box) for placed in scene.objects])


def with_sentence(chain: str, sentence: str) -> str:
    """The chain with one more sentence at its end."""
    return chain.replace(BEGIN_OF_IMAGE, f" {sentence}{BEGIN_OF_IMAGE}")
