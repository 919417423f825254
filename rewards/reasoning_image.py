"""R_RI: does the picture hold each planned object where the plan put it? (paper section 3.3)

Each planned object is looked up in the picture by a grounder (a language-vision model, or a detector: the paper's
"Grounding DINO instead of the MLLM" is another grounder, not another judge). The value, in [0, 1], is the mean over
all planned objects of the IoU of planned and found box; an object that is not found counts 0.

Decided here, because the paper does not say:
- an object named without a readable box counts 0, or breaking boxes would pay; so does a box without area;
- names that differ in case, blanks or an article are asked once for all instances. What is found is assigned one to one
  so that the IoU sum is greatest, among all objects of one head noun: one dog in the picture stands for one of "dog",
  "Dog" and "brown dog". An object takes only what was found under its own name.
  ``matching = "paper"`` compares every object with the first answer about its name instead, also twice the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Literal

import numpy as np
from PIL import Image
from scipy.optimize import linear_sum_assignment

from gotr1_eval.core import identifiers
from gotr1_eval.core.chain import Chain, PlannedObject
from gotr1_eval.core.geometry import iou
from gotr1_eval.core.names import spelling, take_apart
from gotr1_eval.core.outcome import Outcome, Score, Unscored
from gotr1_eval.core.protocols import Answers, Asking, FileGrounder, Grounder, Grounding, LooksAt, Workshop
from gotr1_eval.core.types import Detection, Json, Sample
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings
from rewards.inputs import require_picture, require_plan

VERSION = 3
TYPICAL_OBJECTS = 5
"""Names in a plan, for estimates of cost: as many as in the published chains."""
Matching = Literal["assigned", "paper"]
ONE_THING, REPEATED = 0.5, 0.9
"""IoU from which two boxes show one thing: found under two names (PASCAL VOC's criterion), or under the same name,
where the grounder itself tells overlapping things apart."""


class Settings(StrictSettings):
    """Who looks the objects up, and how equal names are treated."""

    grounder: Component
    matching: Matching = "assigned"


class ReasoningImageJudge:
    """Mean IoU of planned and grounded boxes."""

    range = (0.0, 1.0)
    may_not_apply = False
    looks_at: LooksAt = "grounding"
    needs = frozenset[str]()

    def __init__(self, grounder: Grounder, matching: Matching = "assigned") -> None:
        self.grounder = grounder
        self.matching = matching
        self.model_calls = grounder.calls(TYPICAL_OBJECTS)
        suffix = "" if matching == "assigned" else f",{matching}"
        self.name = f"reasoning_image[{grounder.name}{suffix}]"

    @cached_property
    def fingerprint(self) -> str:
        """Of the matching and the grounder."""
        facts: dict[str, Json] = {"judge": "reasoning_image", "version": VERSION, "matching": self.matching}
        return identifiers.fingerprint({**facts, "grounder": self.grounder.fingerprint})

    @property
    def answers(self) -> Answers:
        """Of the grounder."""
        return self.grounder.answers if isinstance(self.grounder, Asking) else "none"

    def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        """One outcome a sample; parts give each object's IoU as ``<place in the plan>: <name>``."""
        if isinstance(self.grounder, FileGrounder):
            return self._judge_files(samples, self.grounder)
        prepared = [_prepare(sample) for sample in samples]
        asked = [entry for entry in prepared if isinstance(entry, tuple)]
        names = [_names_to_ask(chain.objects) for chain, _ in asked]
        answers = iter(self.grounder.ground([picture for _, picture in asked], names) if asked else [])
        return [self._score(entry[0], next(answers)) if isinstance(entry, tuple) else entry for entry in prepared]

    def remarks(self, samples: Iterable[Sample]) -> list[str]:
        """See `gotr1_eval.core.protocols.Remarking`: of a grounder that reads a file."""
        return self.grounder.remarks(list(samples)) if isinstance(self.grounder, FileGrounder) else []

    def _judge_files(self, samples: Sequence[Sample], grounder: FileGrounder) -> list[Outcome]:
        plans = [require_plan(sample) for sample in samples]
        asked = [(plan, sample) for plan, sample in zip(plans, samples, strict=True) if isinstance(plan, Chain)]
        names = [_names_to_ask(chain.objects) for chain, _ in asked]
        answers = iter(grounder.ground_files([sample for _, sample in asked], names))
        return [self._score(plan, next(answers)) if isinstance(plan, Chain) else plan for plan in plans]

    def _score(self, chain: Chain, answer: Grounding | Unscored) -> Outcome:
        if isinstance(answer, Unscored):
            return answer
        found: dict[str, list[Detection]] = {}
        for detection in answer.detections:
            found.setdefault(spelling(detection.label), []).append(detection)
        match = _assign if self.matching == "assigned" else _surest
        overlaps = match(chain.objects, found)
        parts = {
            f"{place}: {planned.name}": value
            for place, (planned, value) in enumerate(zip(chain.objects, overlaps, strict=True), 1)
        }
        lost = sum(planned.box is None for planned in chain.objects)
        return Score(
            value=sum(overlaps) / len(overlaps),
            parts=parts,
            replies=answer.replies,
            seen=answer.detections,
            note=f"{lost} of {len(chain.objects)} planned objects without a readable box" if lost else "",
        )


def build(settings: Settings, workshop: Workshop) -> ReasoningImageJudge:
    """The judge with its grounder."""
    return ReasoningImageJudge(workshop.grounder(settings.grounder), settings.matching)


def _prepare(sample: Sample) -> tuple[Chain, Image.Image] | Score | Unscored:
    plan = require_plan(sample)
    if not isinstance(plan, Chain):
        return plan
    picture = require_picture(sample)
    return picture if isinstance(picture, Unscored) else (plan, picture)


def _names_to_ask(objects: Sequence[PlannedObject]) -> list[str]:
    """The first writing of every name."""
    names: dict[str, str] = {}
    for planned in objects:
        names.setdefault(spelling(planned.name), planned.name)
    return list(names.values())


Thing = dict[str, list[Detection]]
"""What is taken for one thing in the picture: name -> how it was found under that name."""


def _assign(objects: Sequence[PlannedObject], found: dict[str, list[Detection]]) -> list[float]:
    """Each object's IoU when the things of a head noun are shared out one to one, for the greatest sum."""
    overlaps = [0.0] * len(objects)
    groups: dict[str, list[int]] = {}
    for index, planned in enumerate(objects):
        groups.setdefault(take_apart(planned.name).head or spelling(planned.name), []).append(index)
    for places in groups.values():
        names = dict.fromkeys(spelling(objects[index].name) for index in places)
        things = _things({name: found.get(name, []) for name in names})
        table = np.array([[_overlap_with(objects[index], thing) for thing in things] for index in places])
        if table.size:
            for row, column in zip(*linear_sum_assignment(table, maximize=True), strict=True):
                overlaps[places[row]] = float(table[row, column])
    return overlaps


def _things(found: dict[str, list[Detection]]) -> list[Thing]:
    """What was found under the names of a group, put together where it is one thing under several names."""
    things: list[Thing] = []
    for name, detections in found.items():
        for seen in detections:
            alike = [(_likeness(thing, name, seen), place) for place, thing in enumerate(things)]
            likeness, place = max(alike, default=(0.0, 0), key=lambda pair: pair[0])
            if likeness > 0:
                things[place].setdefault(name, []).append(seen)
            else:
                things.append({name: [seen]})
    return things


def _likeness(thing: Thing, name: str, seen: Detection) -> float:
    """The greatest IoU with the thing's boxes, 0 where it is too small for one thing."""
    nearest = max(iou(other.box, seen.box) for boxes in thing.values() for other in boxes)
    return nearest if nearest >= (REPEATED if name in thing else ONE_THING) else 0.0


def _overlap_with(planned: PlannedObject, thing: Thing) -> float:
    """The IoU with a thing that was found under the object's own name, else 0."""
    return max((_overlap(planned, seen) for seen in thing.get(spelling(planned.name), ())), default=0.0)


def _surest(objects: Sequence[PlannedObject], found: dict[str, list[Detection]]) -> list[float]:
    """Each object's IoU with the surest instance of its name."""
    best = {name: max(seen, key=lambda detection: detection.score) for name, seen in found.items()}
    names = [spelling(planned.name) for planned in objects]
    return [
        _overlap(planned, best[name]) if name in best else 0.0 for planned, name in zip(objects, names, strict=True)
    ]


def _overlap(planned: PlannedObject, seen: Detection) -> float:
    return 0.0 if planned.box is None else iou(planned.box, seen.box)
