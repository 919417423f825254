"""R_PI for the shapes world: does the picture show what the prompt states? Computed from detections.

Banded like the paper's rubric (section 3.2), on 0..10 and then over 10:
    8-10   every stated object is there and the relation holds (8 as far as there are surplus objects)
    5-7    every stated object is there, the relation does not hold
    0-4    an object is missing or looks different
Within the bands it is graded, so that a reward has a slope.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image
from scipy.optimize import linear_sum_assignment

from gotr1_eval.core.geometry import relation_score
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.protocols import LooksAt, Workshop
from gotr1_eval.core.types import Box, Detection, Sample
from gotr1_eval.settings import Settings as StrictSettings
from gotr1_eval.shapes import detecting
from gotr1_eval.shapes.scene import Kind, plain_name
from gotr1_eval.shapes.statements import Statement, read_prompt
from rewards.inputs import require_picture

VERSION = 1
RELATION_HOLDS = 0.5


class Settings(StrictSettings):
    """Nothing to set."""


class ShapesPromptImageJudge:
    """Scores a picture against a prompt of the shapes world."""

    name = "shapes_prompt_image"
    range = (0.0, 1.0)
    fingerprint = fingerprint({"judge": "shapes_prompt_image", "version": VERSION, "detector": detecting.VERSION})
    may_not_apply = False
    looks_at: LooksAt = "picture"
    needs = frozenset[str]()
    model_calls = 0

    def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        """One outcome a sample; `NO_INPUT` for a missing picture or a prompt that is not of this world."""
        return [_judge(sample) for sample in samples]


def build(settings: Settings, workshop: Workshop) -> ShapesPromptImageJudge:
    """The judge; needs no settings and no model."""
    return ShapesPromptImageJudge()


def _judge(sample: Sample) -> Outcome:
    statement = read_prompt(sample.prompt)
    if statement is None:
        return Unscored(why=Why.NO_INPUT, detail="the prompt is not a sentence of the shapes world")
    picture = require_picture(sample)
    return picture if isinstance(picture, Unscored) else score_picture(statement, picture)


def score_picture(statement: Statement, picture: Image.Image) -> Score:
    """The score of a picture for a statement; parts: presence, relation (where stated), surplus."""
    found = detecting.find_objects(picture)
    stated = statement.kinds
    alike = np.array([[_likeness(kind, seen) for seen, _, _ in found] for kind in stated]).reshape(len(stated), -1)
    pairs = dict(zip(*(list(map(int, axis)) for axis in linear_sum_assignment(alike, maximize=True)), strict=True))
    presence = sum(float(alike[row, column]) for row, column in pairs.items()) / len(stated)
    surplus = max(len(found) - len(stated), 0)
    relation = _relation(statement, pairs, [box for _, box, _ in found])
    complete = presence == 1.0
    if not complete:
        value = 0.4 * presence
    elif relation is not None and relation < RELATION_HOLDS:
        value = 0.5 + 0.2 * relation / RELATION_HOLDS
    else:
        value = 0.8 + 0.2 * (1.0 if relation is None else relation) / (1 + surplus)
    parts = {"presence": presence, "surplus": float(surplus)} | ({} if relation is None else {"relation": relation})
    seen = tuple(Detection(plain_name(kind), box, score) for kind, box, score in found)
    return Score(value=value, parts=parts, seen=seen, note="" if complete else "not every stated object is there")


def _likeness(stated: Kind, seen: Kind) -> float:
    """Share of what is stated about one object that the other one has, in [0, 1]."""
    wanted = [(stated.shape, seen.shape), (stated.colour, seen.colour), (stated.texture or "solid", seen.texture)]
    return sum(one == other for one, other in wanted) / len(wanted)


def _relation(statement: Statement, pairs: dict[int, int], boxes: Sequence[Box]) -> float | None:
    """How well the stated relation holds between the objects taken for its first two, None where none is stated."""
    if statement.relation is None:
        return None
    first, second = 0, statement.groups[0].count
    if first not in pairs or second not in pairs:
        return 0.0
    return relation_score(statement.relation, boxes[pairs[first]], boxes[pairs[second]])
