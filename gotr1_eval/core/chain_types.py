"""What a parsed reasoning chain is made of: its markers, objects and defects."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gotr1_eval.core.types import Box

OBJ_START, OBJ_END = "<|obj_start|>", "<|obj_end|>"
BOX_START, BOX_END = "<|box_start|>", "<|box_end|>"
BEGIN_OF_IMAGE = "<begin_of_image>"
GRID = 1000
"""Chains count coordinates from 0 to this, origin top left."""


class Defect(StrEnum):
    """What can be wrong with a chain or with one of its objects."""

    MISSING_BOX = "missing box"
    MISSING_NUMBER = "missing number"
    EXTRA_NUMBER = "extra number"
    UNREADABLE_NUMBER = "unreadable number"
    SWAPPED_CORNERS = "swapped corners"
    OUT_OF_RANGE = "out of range"
    ZERO_AREA = "zero area"
    CUT_OFF = "cut off"
    UNNAMED_BOX = "unnamed box"
    STRAY_TOKEN = "stray token"
    UNKNOWN_SCALE = "unknown scale"


@dataclass(frozen=True, slots=True)
class PlannedObject:
    """One object of a plan.

    Attributes:
        name: as written, white space folded.
        box: clipped to the picture, corners sorted; None when no box can be read (see `defects`).
        span: where name and box stand in the chain's text, [start, end).
    """

    name: str
    box: Box | None
    defects: tuple[Defect, ...] = ()
    span: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Chain:
    """A parsed reasoning chain.

    Attributes:
        text: what was parsed, up to `<begin_of_image>`.
        objects: every named object in order of appearance, with or without a readable box.
        prose: the text without boxes and without markers, as the semantic judge reads it.
        defects: faults of no object in particular (an unnamed box, a stray token).
        ended: the chain closed itself with `<begin_of_image>`.
    """

    text: str
    objects: tuple[PlannedObject, ...]
    prose: str
    defects: tuple[Defect, ...]
    ended: bool

    @property
    def boxed(self) -> tuple[tuple[str, Box], ...]:
        """(name, box) of the objects that have a readable box."""
        return tuple((planned.name, planned.box) for planned in self.objects if planned.box is not None)
