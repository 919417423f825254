"""Reading and writing reasoning chains: prose with named objects and their boxes.

The two forms of the paper (section 3; the released examples), on a 0..1000 grid:

    A <|obj_start|>yellow vase<|obj_end|> <|box_start|>(202,482),(729,964)<|box_end|>, which sits ...
    a butterfly (0,246),(533,861) and a candle (501,133),(992,897)

and what other models write, all of them also mixed:

    cat [0, 400, 200, 600]      cat: (0, 400, 200, 600)      cat: [[0, 400], [200, 600]]
    <ref>cat</ref><box>(0,400),(200,600)</box>, and the same markers as <|object_ref_start|>, <|ref|>, <bbox>, <|det|>
    [{"bbox_2d": [0, 400, 200, 600], "label": "cat"}], {"cat": [0, 400, 200, 600]}: what `core.reading` takes for boxes

Numbers are x1, y1, x2, y2. Their scale is one for the whole chain: fractions where all coordinates lie between 0 and 1
and one has a decimal point, else thousandths. Boxes that this leaves open have no place (`Defect.UNKNOWN_SCALE`).

Names and boxes are paired by position: a box belongs to the last name before it, or, where every box of a chain has
its name right behind it, to that one. No input raises; whatever is wrong with a chain becomes a named `Defect`, for a
broken chain is data about the model that wrote it. `core.chain_reading` does the parsing.
"""

from __future__ import annotations

from collections.abc import Iterable

from gotr1_eval.core.chain_reading import ANY_MARKER, parse_chain
from gotr1_eval.core.chain_types import (
    BEGIN_OF_IMAGE,
    BOX_END,
    BOX_START,
    GRID,
    OBJ_END,
    OBJ_START,
    Chain,
    Defect,
    PlannedObject,
)
from gotr1_eval.core.types import Box

__all__ = [
    "BEGIN_OF_IMAGE",
    "BOX_END",
    "BOX_START",
    "GRID",
    "NOTATIONS",
    "OBJ_END",
    "OBJ_START",
    "Chain",
    "Defect",
    "PlannedObject",
    "parse_chain",
    "write_box",
    "write_chain",
    "write_object",
]

NOTATIONS = (
    "<|obj_start|>cat<|obj_end|> <|box_start|>(0,400),(200,600)<|box_end|>, cat (0,400),(200,600), "
    'cat [0, 400, 200, 600], <box>...</box>, and JSON such as [{"bbox_2d": [0, 400, 200, 600], "label": "cat"}]'
)
"""The notations of plans, for messages."""


def write_box(box: Box) -> str:
    """The box as a chain writes it, on the 0..1000 grid and between markers."""
    x1, y1, x2, y2 = (round(value * GRID) for value in box.corners)
    return f"{BOX_START}({x1},{y1}),({x2},{y2}){BOX_END}"


def write_object(name: str, box: Box) -> str:
    """One named object with its box, in the special-token form.

    Raises:
        ValueError: the name is empty or holds one of the markers, so that it could not be read back.
    """
    if not name.strip() or ANY_MARKER.search(name) or BEGIN_OF_IMAGE in name:
        raise ValueError(f"an object needs a name without chain markers, got {name!r}")
    return f"{OBJ_START}{name}{OBJ_END} {write_box(box)}"


def write_chain(objects: Iterable[tuple[str, Box]]) -> str:
    """A plain chain from a plan: one sentence that names every object with its box, then `<begin_of_image>`.

    `parse_chain` gives the same names in the same order, and the same boxes to within half a grid step.
    """
    written = [f"a {write_object(name, box)}" for name, box in objects]
    sentence = f"The picture shows {', '.join(written)}." if written else "The picture is empty."
    return sentence + BEGIN_OF_IMAGE
