"""What the tiny Janus is taught: prompts of the shapes world with chains and pictures, wrong at a stated rate.

A model that has only seen faithful examples leaves reinforcement learning nothing to win, so the corpus errs on
purpose, in the ways GoT-R1 sets out to mend: a plan that misses its prompt and a picture that misses its plan.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gotr1_eval.core.geometry import gap
from gotr1_eval.core.types import Box
from gotr1_eval.shapes.drawing import draw_scene
from gotr1_eval.shapes.layout import Fault, random_scene, scene_for, write_scene_chain
from gotr1_eval.shapes.prompts import CATEGORIES, prompts
from gotr1_eval.shapes.scene import GRID, Scene
from gotr1_eval.shapes.statements import Statement, read_prompt

FAULT_RATE = 0.15
"""How often each `Fault` strikes a scene, independently of the others: plan and picture then miss the prompt."""
DISPLACED_RATE = 0.2
"""How often one object is drawn elsewhere than its chain says."""
PICTURE_SIDE = 64


@dataclass(frozen=True, slots=True)
class Example:
    """One example: the caption, the chain up to `<begin_of_image>`, and the picture, uint8 [64, 64, 3]."""

    prompt: str
    chain: str
    picture: NDArray[np.uint8]


def examples(count: int, seed: int) -> Iterator[Example]:
    """So many examples from the train prompts; the same seed gives the same ones."""
    rng = random.Random(f"shapes corpus {seed}")
    for _ in range(count):
        prompt = rng.choice(prompts(rng.choice(CATEGORIES), "train"))
        statement = read_prompt(prompt)
        if statement is None:
            raise AssertionError(f"the world cannot read its own prompt {prompt!r}")
        yield _example(prompt, statement, rng)


def random_pictures(count: int, seed: int) -> NDArray[np.uint8]:
    """Pictures of one to five random objects, uint8 [count, 64, 64, 3]; two in three objects have a texture."""
    rng = random.Random(f"shapes pictures {seed}")
    scenes = (random_scene(rng, rng.randint(1, 5)) for _ in range(count))
    return np.stack([np.asarray(draw_scene(scene, PICTURE_SIDE)) for scene in scenes])


def _example(prompt: str, statement: Statement, rng: random.Random) -> Example:
    faults = frozenset(fault for fault in Fault if rng.random() < FAULT_RATE)
    scene = scene_for(statement, rng, faults)
    drawn = displaced(scene, rng) if rng.random() < DISPLACED_RATE else scene
    return Example(prompt, write_scene_chain(scene, statement), np.asarray(draw_scene(drawn, PICTURE_SIDE)))


def displaced(scene: Scene, rng: random.Random) -> Scene:
    """The scene with one object moved to where it touches no other; unchanged when no such place is found."""
    at = rng.randrange(len(scene.objects))
    moved = scene.objects[at]
    others = [placed.box for index, placed in enumerate(scene.objects) if index != at]
    for _ in range(40):
        box = _elsewhere(moved.box, rng)
        if all(gap(box, other) >= 1 / GRID for other in others):
            return Scene((*scene.objects[:at], replace(moved, box=box), *scene.objects[at + 1 :]))
    return scene


def _elsewhere(box: Box, rng: random.Random) -> Box:
    """A box of the same size anywhere on the grid."""
    width, height = round(box.width * GRID), round(box.height * GRID)
    x, y = rng.randint(0, GRID - width), rng.randint(0, GRID - height)
    return Box(x / GRID, y / GRID, (x + width) / GRID, (y + height) / GRID)
