"""Finds COCO's things by name, as somebody asks for them: both COCO's names and GenEval's are known."""

from __future__ import annotations

from gotr1_eval.core.coco import FULL_NAMES, NAMES
from gotr1_eval.core.errors import LabelError, nearest_name, one_line

__all__ = ["NAMES", "class_place"]

_PLACES = {name: place for place, name in enumerate(NAMES)}
_PLACES |= {coco: _PLACES[full] for coco, full in FULL_NAMES.items()}


def class_place(name: str) -> int:
    """The place in `NAMES` of a name as somebody asks for it, in any case and spacing.

    Raises:
        LabelError: it is none of the 80.
    """
    folded = " ".join(name.casefold().split())
    place = _PLACES.get(folded)
    if place is None:
        hint = nearest_name(folded, _PLACES)
        raise LabelError(f"this detector knows COCO's 80 things only, got {one_line(name, 60)!r}{hint}")
    return place
