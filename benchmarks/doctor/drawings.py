"""The bundled drawings: pictures made by code, with what is in them and where.

Two worlds. ``everyday`` holds ten things of COCO's in five scenes, for detectors, encoders and answerers that were
trained on photographs; ``shapes`` is the project's own world, for detectors made for it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from PIL import Image

from benchmarks.doctor.pen import Pen, finished, new_sheet
from benchmarks.doctor.things import THINGS
from gotr1_eval.core.types import Box
from gotr1_eval.shapes.drawing import draw_scene
from gotr1_eval.shapes.layout import place
from gotr1_eval.shapes.scene import Kind

VERSION = 1
"""Counted up whenever a pixel or a known answer changes."""


@dataclass(frozen=True, slots=True)
class Thing:
    """Something drawn: its name and its box."""

    name: str
    box: Box


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture, what is in it, and a sentence about it."""

    name: str
    picture: Image.Image
    things: tuple[Thing, ...]
    caption: str


@dataclass(frozen=True, slots=True)
class World:
    """Drawings whose things have names of one vocabulary."""

    name: str
    drawings: tuple[Drawing, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of all things, each once."""
        return tuple(dict.fromkeys(thing.name for drawing in self.drawings for thing in drawing.things))


@cache
def everyday() -> World:
    """Five scenes with two things each; one is not square, so that a batch mixes sizes."""
    return World("everyday", tuple(_draw(*scene) for scene in _SCENES))


def _street(pen: Pen) -> None:
    pen.fade(0, 0.62, (120, 175, 230), (205, 226, 242))
    pen.fade(0.58, 0.7, (96, 140, 72), (84, 126, 60))
    pen.fade(0.7, 1, (98, 98, 102), (72, 72, 76))
    pen.polygon([(0.255, 0.3), (0.275, 0.3), (0.28, 0.74), (0.25, 0.74)], (140, 144, 150))
    for left in (0.02, 0.3, 0.58, 0.86):
        pen.polygon([(left, 0.95), (left + 0.12, 0.95), (left + 0.13, 0.97), (left + 0.01, 0.97)], (235, 235, 230))


def _crossing(pen: Pen) -> None:
    pen.fade(0, 0.63, (150, 190, 225), (220, 230, 236))
    for index, (left, top) in enumerate(((0.0, 0.2), (0.34, 0.1), (0.62, 0.24))):
        shade = 150 + 22 * index
        pen.polygon([(left, top), (left + 0.3, top), (left + 0.3, 0.62), (left, 0.62)], (shade, shade - 15, shade - 30))
        for row in range(3):
            for column in range(3):
                window = Box(
                    left + 0.04 + 0.09 * column,
                    top + 0.05 + 0.1 * row,
                    left + 0.09 + 0.09 * column,
                    top + 0.11 + 0.1 * row,
                )
                pen.at(window).polygon([(0, 0), (1, 0), (1, 1), (0, 1)], (84, 104, 124))
    pen.fade(0.62, 0.72, (176, 172, 166), (160, 156, 150))
    pen.fade(0.72, 1, (112, 112, 116), (88, 88, 92))
    pen.polygon([(0.165, 0.4), (0.195, 0.4), (0.195, 0.8), (0.165, 0.8)], (70, 74, 76))


def _harbour(pen: Pen) -> None:
    pen.fade(0, 0.6, (84, 150, 220), (206, 228, 244))
    pen.fade(0.6, 1, (44, 110, 160), (22, 70, 116))
    for index in range(26):
        x, y = (index * 0.37) % 1, 0.63 + 0.36 * ((index * 0.61) % 1)
        pen.line([(x, y), (x + 0.05, y - 0.004), (x + 0.09, y)], (120, 176, 210), 0.003)


def _table(pen: Pen) -> None:
    pen.fade(0, 1, (164, 112, 68), (138, 90, 52))
    for index in range(1, 6):
        y = index / 6
        pen.line([(0, y), (0.4, y + 0.006), (1, y - 0.004)], (108, 68, 38), 0.004)
        pen.line([(0, y - 0.07), (0.6, y - 0.075), (1, y - 0.065)], (150, 101, 60), 0.003)


def _room(pen: Pen) -> None:
    pen.fade(0, 0.74, (226, 218, 200), (212, 202, 182))
    pen.fade(0.74, 0.76, (245, 243, 238), (235, 232, 226))
    pen.fade(0.76, 1, (150, 108, 72), (124, 86, 56))
    pen.polygon([(0.2, 0.7), (0.96, 0.7), (0.96, 0.9), (0.2, 0.9)], (96, 62, 40))
    pen.polygon([(0.18, 0.68), (0.98, 0.68), (0.98, 0.71), (0.18, 0.71)], (124, 84, 54))
    for middle in (0.39, 0.58, 0.77):
        pen.line([(middle, 0.72), (middle, 0.89)], (70, 44, 28), 0.004)


_Scene = tuple[str, tuple[int, int], Callable[[Pen], None], dict[str, Box], str]
_SCENES: tuple[_Scene, ...] = (
    ("street", (512, 512), _street, {"stop sign": Box(0.11, 0.08, 0.42, 0.39), "car": Box(0.4, 0.6, 0.95, 0.86)},
     "a stop sign and a red car on a street"),
    ("crossing", (512, 512), _crossing,
     {"traffic light": Box(0.11, 0.08, 0.25, 0.42), "bicycle": Box(0.36, 0.52, 0.94, 0.92)},
     "a traffic light and a blue bicycle in a city"),
    ("harbour", (640, 448), _harbour, {"boat": Box(0.08, 0.36, 0.44, 0.86), "airplane": Box(0.5, 0.08, 0.94, 0.32)},
     "a sailing boat on the sea and an airplane in the sky"),
    ("table", (512, 512), _table, {"pizza": Box(0.05, 0.06, 0.61, 0.62), "banana": Box(0.46, 0.68, 0.94, 0.92)},
     "a pizza and a banana on a wooden table"),
    ("room", (512, 512), _room, {"clock": Box(0.07, 0.1, 0.33, 0.36), "tv": Box(0.4, 0.28, 0.92, 0.69)},
     "a clock on the wall and a television in a living room"),
)  # fmt: skip


def _draw(
    name: str, size: tuple[int, int], background: Callable[[Pen], None], things: dict[str, Box], caption: str
) -> Drawing:
    sheet = new_sheet(*size)
    pen = Pen(sheet, Box(0, 0, 1, 1))
    background(pen)
    for thing, box in things.items():
        THINGS[thing](pen.at(box))
    return Drawing(name, finished(sheet, len(name)), tuple(Thing(*thing) for thing in things.items()), caption)


_KINDS = (
    (Kind("circle", "red", "solid"), Kind("square", "blue", "solid"), Kind("triangle", "green", "striped")),
    (Kind("diamond", "yellow", "solid"), Kind("cross", "purple", "solid"), Kind("circle", "black", "dotted")),
    (Kind("square", "orange", "striped"), Kind("triangle", "red", "solid"), Kind("diamond", "blue", "dotted")),
)


@cache
def shapes() -> World:
    """Three scenes of the shapes world with three objects each."""
    drawn = []
    for number, kinds in enumerate(_KINDS):
        scene = place(list(kinds), random.Random(number))
        things = tuple(Thing(placed.name, placed.box) for placed in scene.objects)
        names = " and ".join(f"a {thing.name}" for thing in things)
        drawn.append(Drawing(f"shapes {number + 1}", draw_scene(scene, 256), things, names))
    return World("shapes", tuple(drawn))
