"""Scene -> reasoning chain, in the format of GoT-R1: named objects with boxes on the 0..1000 grid."""

from __future__ import annotations

from gotr1_eval.core.chain import BEGIN_OF_IMAGE, write_object
from gotr1_eval.shapes.language import RELATION_PHRASES, Statement
from gotr1_eval.shapes.scene import Placed, Scene


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
