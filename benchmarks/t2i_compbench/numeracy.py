"""T2I-CompBench++'s numeracy score of one picture (UniDet_eval/numeracy_eval.py).

Each counted object weighs 1 / (number of objects): half of it for being there, half for the exact count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.pixels import PixelBox, Seen
from benchmarks.semantics import Semantics, UndefinedScoreError
from benchmarks.t2i_compbench.labels import PEOPLE, find_all
from benchmarks.t2i_compbench.numeracy_prompts import Count

SAME = 0.9
"""IoU, or share of one box inside the other, above which two boxes of one label are one object."""
ALIASES = {**PEOPLE, "ship": "boat", "telivision": "tv", "goldfish": "fish", "painting": "picture"}
"""Names that the detector knows under another; the second is misspelt in the official script, so that televisions are
not found there."""


@dataclass(frozen=True, slots=True)
class NumeracyScore:
    """A picture's score, and how many of each counted object were seen."""

    value: float
    counted: tuple[int, ...]


def same_object(one: PixelBox, other: PixelBox) -> bool:
    """Whether two boxes of one label are taken for one object. Sides count one pixel more, as in the script."""
    first, second = _area(one), _area(other)
    width = max(0.0, min(one[2], other[2]) - max(one[0], other[0]) + 1)
    height = max(0.0, min(one[3], other[3]) - max(one[1], other[1]) + 1)
    shared = width * height
    return shared / (first + second - shared) > SAME or shared / first > SAME or shared / second > SAME


def _area(box: PixelBox) -> float:
    return (box[2] - box[0] + 1) * (box[3] - box[1] + 1)


def without_duplicates(seen: Sequence[Seen]) -> list[Seen]:
    """The detections, in order, without those that repeat an earlier one of the same label."""
    kept: list[Seen] = []
    for found in seen:
        if not any(found.label == other.label and same_object(other.box, found.box) for other in kept):
            kept.append(found)
    return kept


def score_numeracy(
    prompt: str, counts: Sequence[Count], seen: Sequence[Seen], semantics: Semantics = "reference"
) -> NumeracyScore:
    """The score of one picture, in [0, 1].

    Args:
        counts: what the prompt asks for; see `numeracy_prompts.read_counts`.
        seen: the detections in the detector's order.

    Raises:
        UndefinedScoreError: no counted object; `reference`: a count that the script has lost, or a prompt with an
            underscore.
    """
    if not counts:
        raise UndefinedScoreError("the prompt counts no object of the benchmark's vocabulary", "ZeroDivisionError")
    kept = without_duplicates(seen)
    if semantics == "corrected":
        return _corrected(counts, kept)
    value, counted = _reference([found.label for found in kept], counts)
    if "_" in prompt:
        raise UndefinedScoreError("the script cannot number a picture whose prompt holds an underscore", "ValueError")
    return NumeracyScore(value, tuple(counted))


def _reference(labels: list[str], counts: Sequence[Count]) -> tuple[float, list[int]]:
    """Value and counts. An object that no label equals takes over every label that contains it, for good: later
    objects of the prompt do not find those again."""
    value, weight, counted = 0.0, 1 / len(counts), []
    # The script keeps its numbers in a list of its own, which a lost one shortens.
    numbers = [count.number for count in counts if count.number is not None]
    for place, count in enumerate(counts):
        name = ALIASES.get(count.name, count.name)
        if name not in labels:
            labels = [name if name in label else label for label in labels]
        counted.append(labels.count(name))
        if not counted[-1]:
            continue
        value += weight * 0.5
        if place >= len(numbers):
            raise UndefinedScoreError("the script has lost the number of an object", "IndexError")
        if counted[-1] == numbers[place]:
            value += weight * 0.5
    return value, counted


def _corrected(counts: Sequence[Count], kept: Sequence[Seen]) -> NumeracyScore:
    """Labels are taken apart into names, and none is renamed."""
    weight = 1 / len(counts)
    counted = tuple(len(find_all(count.name, kept)) for count in counts)
    value = sum(
        weight * (0.5 * (found > 0) + 0.5 * (found == count.number))
        for found, count in zip(counted, counts, strict=True)
    )
    return NumeracyScore(min(value, 1.0), counted)
