"""When a detector's label is the object that a prompt names.

UniDet's labels list several names, ``table, desk`` or ``pen, pen/pencil`` or ``mouse2, mouse``; the official scripts
compare whole labels (2D), or look for the name anywhere inside one (3D and numeracy: a car in ``carpet``).
`corrected` takes a label apart into its names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from benchmarks.pixels import PixelDetection, to_pixels
from benchmarks.semantics import Semantics
from gotr1_eval.core.coco import coco_name
from gotr1_eval.core.perception import PictureDetections

PEOPLE = {"girl": "person", "boy": "person", "man": "person", "woman": "person"}
"""Names that the official scripts look for as a person."""


SYNONYMS = {
    "ship": {"boat"},
    "goldfish": {"fish"},
    "painting": {"picture"},
    "television": {"tv"},
    "phone": {"mobile phone", "cell phone", "telephone", "corded phone"},
    "table": {"dining table", "coffee table"},
    "sofa": {"couch", "studio couch", "sofa bed"},
    "couch": {"sofa", "studio couch", "sofa bed"},
    "bag": {"handbag", "plastic bag"},
    "computer": {"laptop", "tablet computer"},
}
"""`corrected`: what else in UniDet's vocabulary is the object; the rest of a prompt's objects are a label's name."""


def seen_in(in_picture: PictureDetections, frame: tuple[int, int]) -> list[PixelDetection]:
    """What was found, in pixels of a frame of (width, height), under COCO's own names where GenEval has others.

    This benchmark's prompts say "mouse" and "keyboard"; no label of UniDet's is one of GenEval's three names.
    """
    return [
        replace(found, label=coco_name(found.label)) if coco_name(found.label) != found.label else found
        for found in to_pixels(in_picture.detections, frame)
    ]


def fits_exactly(name: str, label: str, semantics: Semantics) -> bool:
    """Whether the 2D metric may find an object under a label."""
    return name == coco_name(label) if semantics == "reference" else _is_one_of(name, label)


def fits_in_part(name: str, label: str, semantics: Semantics) -> bool:
    """Whether the 3D metric and numeracy may find an object under a label."""
    return name in coco_name(label) if semantics == "reference" else _is_one_of(name, label)


def _is_one_of(name: str, label: str) -> bool:
    return bool(find_all(name, [PixelDetection(coco_name(label), 1.0, (0, 0, 1, 1))]))


def first_exact(name: str, seen: Sequence[PixelDetection]) -> PixelDetection | None:
    """The first detection whose whole label is the name."""
    return next((found for found in seen if found.label == name), None)


def find_all(name: str, seen: Sequence[PixelDetection]) -> list[PixelDetection]:
    """`corrected`: every detection that one of its label's names makes the object, most certain first."""
    folded = PEOPLE.get(name.lower(), name.lower())
    wanted = {folded} | SYNONYMS.get(folded, set())
    return sorted((found for found in seen if wanted & label_names(found.label)), key=lambda found: -found.score)


@lru_cache(maxsize=4096)
def label_names(label: str) -> frozenset[str]:
    """The names of a label, in lower case: ``"pen, pen/pencil"`` -> pen, pencil; ``"mouse1"`` -> mouse, mouse1.

    People of any age and sex are also a person, as a prompt's are looked for.
    """
    names = {part.strip() for part in re.split("[,/]", label.lower()) if part.strip()}
    names |= {re.sub("[0-9]+$", "", name) for name in names}
    names |= {PEOPLE[name] for name in names if name in PEOPLE}
    return frozenset(names)
