"""GenEval's verdict on one picture: right or wrong, and in the official words why (evaluation/evaluate_images.py).

The colours of objects are asked of CLIP: an object is cut out along its box, everything outside its mask painted grey
(#999), and compared with three sentences a colour; each colour's direction is the mean of its three embeddings. The
sentences of a class are embedded once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.geneval.objects import DEFAULTS, CountedObject, Options, relations
from benchmarks.geneval.prompts import COLOURS, Clause, Task
from benchmarks.semantics import Semantics, UndefinedScoreError
from gotr1_eval.core.protocols import Encoder

BACKGROUND = "#999"
TEMPLATES = ("a photo of a {colour} {name}", "a photo of a {colour}-colored {name}", "a photo of a {colour} object")
Objects = Mapping[str, Sequence[CountedObject]]


def cut_out(picture: Image.Image, found: CountedObject, semantics: Semantics = "reference") -> Image.Image:
    """The object alone: grey around its mask, cut along its box rounded to pixels; black beyond the picture's border.

    Args:
        picture: RGB, of the mask's size.

    Raises:
        UndefinedScoreError: `reference`, and the rounded box has no pixel, which ends the official script; `corrected`
            takes the pixel there.
    """
    if found.mask is not None:
        grey = Image.new("RGB", picture.size, BACKGROUND)
        picture = Image.composite(picture, grey, Image.fromarray(found.mask))
    left, top, right, bottom = (round(float(value)) for value in found.box)
    if right <= left or bottom <= top:
        if semantics == "reference":
            raise UndefinedScoreError("an object's box has no pixel to tell a colour from", "ZeroDivisionError")
        right, bottom = max(right, left + 1), max(bottom, top + 1)
    return picture.crop((left, top, right, bottom))


class ColourNamer:
    """Names the colours of cut-out objects with an encoder of pictures and texts."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self._directions: dict[str, NDArray[np.float32]] = {}

    def name_colours(self, cuts: Sequence[tuple[str, Image.Image]]) -> list[str]:
        """One of `COLOURS` for each (class name, cut-out object); all pictures are embedded together."""
        if not cuts:
            return []
        self._embed_sentences([name for name, _ in cuts])
        pictures = self.encoder.embed_images([cut for _, cut in cuts])
        pairs = zip(pictures, cuts, strict=True)
        return [COLOURS[int(np.argmax(self._directions[name] @ picture))] for picture, (name, _) in pairs]

    def _embed_sentences(self, names: Sequence[str]) -> None:
        """Unit directions [colours, width] of the classes that have none yet, in one call to the encoder."""
        new = [name for name in dict.fromkeys(names) if name not in self._directions]
        if not new:
            return
        texts = [form.format(colour=colour, name=name) for name in new for colour in COLOURS for form in TEMPLATES]
        rows = self.encoder.embed_texts(texts)
        means = rows.reshape(len(new), len(COLOURS), len(TEMPLATES), -1).mean(axis=2)
        units = means / np.linalg.norm(means, axis=-1, keepdims=True)
        self._directions |= dict(zip(new, units, strict=True))


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the picture shows what was asked for; each fault is a line of `reason`.

    Where two objects stand in two relations, the official script joins them in the order of a Python set, which
    changes from run to run; here they are sorted.
    """

    correct: bool
    reason: str


def coloured_clauses(task: Task, objects: Objects) -> list[int]:
    """Indices of the clauses whose objects' colours decide: those with a colour and with enough objects."""
    return [
        index
        for index, clause in enumerate(task.include)
        if clause.colour is not None and len(objects.get(clause.name, ())) >= clause.count
    ]


def judge_picture(
    task: Task, objects: Objects, colours: Mapping[int, Sequence[str]], options: Options = DEFAULTS
) -> Verdict:
    """The verdict.

    Args:
        objects: of the picture, by class, the most certain first.
        colours: for each clause of `coloured_clauses` the colours of its first `count` objects.
    """
    faults: list[str] = []
    groups: list[Sequence[CountedObject] | None] = []
    for index, clause in enumerate(task.include):
        found = list(objects.get(clause.name, ()))[: clause.count]
        fault = _fault(clause, found, colours.get(index, ()), groups, options)
        groups.append(None if fault else found)
        if fault:
            faults.append(fault)
    for clause in task.exclude:
        number = len(objects.get(clause.name, ()))
        if number >= clause.count:
            faults.append(f"expected {clause.name}<{clause.count}, found {number}")
    return Verdict(not faults, "\n".join(faults))


def _fault(
    clause: Clause,
    found: Sequence[CountedObject],
    colours: Sequence[str],
    groups: Sequence[Sequence[CountedObject] | None],
    options: Options,
) -> str:
    """What is wrong with the objects of a clause: their number, else their colour, else their place; empty if
    nothing."""
    if len(found) < clause.count:
        return f"expected {clause.name}>={clause.count}, found {len(found)}"
    if clause.colour is not None and colours.count(clause.colour) < clause.count:
        others = ", ".join(f"{colours.count(colour)} {colour}" for colour in COLOURS if colour in colours)
        number = colours.count(clause.colour)
        wanted = f"{clause.colour} {clause.name}>={clause.count}"
        return f"expected {wanted}, found {number} {clause.colour}; and {others}"
    if clause.position is None:
        return ""
    relation, target = clause.position
    # A clause can only hold to an earlier one: the official script has not looked at later ones yet.
    targets = groups[target] if target < len(groups) else None
    if targets is None:
        return f"no target for {clause.name} to be {relation}"
    for one in found:
        for other in targets:
            holding = relations(one.box, other.box, options.position)
            if relation not in holding:
                return f"expected {clause.name} {relation} target, found {' and '.join(holding)} target"
    return ""
