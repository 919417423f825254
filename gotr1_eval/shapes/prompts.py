"""The prompt lists of the shapes world, in T2I-CompBench's categories.

Every possible statement of a category is listed once and put in order by its hash; the first 300 are the val
split, the rest (at most 3,000) train. So the splits are the same everywhere, never overlap, and need no file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from itertools import permutations, product
from typing import Literal

from gotr1_eval.core.geometry import Relation
from gotr1_eval.shapes.scene import COLOURS, SHAPES, TEXTURES, Kind
from gotr1_eval.shapes.statements import RELATION_PHRASES, Stated, Statement, write_prompt

Split = Literal["train", "val"]
CATEGORIES = ("color", "shape", "texture", "spatial", "numeracy", "complex")
VAL_PROMPTS = 300
MOST_TRAIN_PROMPTS = 3000


@cache
def prompts(category: str, split: Split) -> tuple[str, ...]:
    """The prompts of one category and split, in their fixed order."""
    listed = sorted({write_prompt(statement) for statement in _STATEMENTS[category]()}, key=_order)
    return tuple(listed[:VAL_PROMPTS] if split == "val" else listed[VAL_PROMPTS:][:MOST_TRAIN_PROMPTS])


def _order(prompt: str) -> bytes:
    return hashlib.sha256(prompt.encode()).digest()


def _kept(prompt: str, one_in: int) -> bool:
    """Thins out categories with far more statements than anyone needs, always the same ones."""
    return _order(prompt)[-1] % one_in == 0


def _pair(first: Kind, second: Kind, relation: Relation | None = None) -> Statement:
    return Statement((Stated(first), Stated(second)), relation)


def _coloured() -> list[Kind]:
    return [Kind(shape, colour) for colour, shape in product(COLOURS, SHAPES)]


def _color() -> Iterator[Statement]:
    """Two objects of different colours."""
    for first, second in permutations(_coloured(), 2):
        if first.colour != second.colour:
            yield _pair(first, second)


def _shape() -> Iterator[Statement]:
    """Two or three different shapes, all of one colour, so that only the shapes tell them apart."""
    for colour, count in product(COLOURS, (2, 3)):
        for shapes in permutations(SHAPES, count):
            yield Statement(tuple(Stated(Kind(shape, colour)) for shape in shapes))


def _texture() -> Iterator[Statement]:
    """Two objects of different textures."""
    for first, second in permutations(_coloured(), 2):
        for one, other in permutations(TEXTURES, 2):
            if first != second and _kept(f"{one}{first.name}{other}{second.name}", 2):
                yield _pair(Kind(first.shape, first.colour, one), Kind(second.shape, second.colour, other))


def _spatial() -> Iterator[Statement]:
    """Two objects in a relation."""
    for (first, second), relation in product(permutations(_coloured(), 2), RELATION_PHRASES):
        yield _pair(first, second, relation)


def _numeracy() -> Iterator[Statement]:
    """One or two counted groups, six objects at most."""
    for kind, count in product(_coloured(), range(2, 7)):
        yield Statement((Stated(kind, count),))
    for first, second in permutations(_coloured(), 2):
        for one, other in product(range(1, 5), repeat=2):
            if 3 <= one + other <= 6 and _kept(f"{one}{first.name}{other}{second.name}", 4):
                yield Statement((Stated(first, one), Stated(second, other)))


def _complex() -> Iterator[Statement]:
    """A relation between textured and plain objects, and one or two further objects."""
    for (first, second), relation in product(permutations(_coloured(), 2), RELATION_PHRASES):
        digest = _order(f"{first.name}{relation}{second.name}")
        texture = TEXTURES[1:][digest[0] % 2]
        third = _coloured()[digest[1] % len(_coloured())]
        if third not in (first, second):
            groups = (
                Stated(Kind(first.shape, first.colour, texture)),
                Stated(second),
                Stated(third, 1 + digest[2] % 2),
            )
            yield Statement(groups, relation)


_STATEMENTS = {
    "color": _color,
    "shape": _shape,
    "texture": _texture,
    "spatial": _spatial,
    "numeracy": _numeracy,
    "complex": _complex,
}
