"""Features of a plan: how the two objects of each relation that the prompt states stand to each other."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from gotr1_eval.core.chain import Chain
from gotr1_eval.core.geometry import Relation, gap, iou
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.names import NameIndex
from gotr1_eval.core.outcome import Score, Unscored, Why
from gotr1_eval.core.protocols import LooksAt
from gotr1_eval.core.relations import RelationClaim, parse_relations
from gotr1_eval.core.statistics.ranks import Floats
from gotr1_eval.core.types import Box, Sample
from rewards.geometric import MOST_RELATIONS
from rewards.inputs import require_plan

VERSION = 2
_AXES = {Relation.LEFT_OF: (-1, 0), Relation.RIGHT_OF: (1, 0), Relation.ABOVE: (0, -1), Relation.BELOW: (0, 1)}
"""Which way the subject lies from the other object, x to the right and y down."""


class LayoutFeatures:
    """The mean over the prompt's relations; NOT_APPLICABLE to prompts without one that can be read."""

    name = "layout features"
    looks_at: LooksAt = "plan"
    may_not_apply = True
    fingerprint = fingerprint({"features": "layout", "version": VERSION})

    def rows(self, samples: Sequence[Sample]) -> list[Floats | Score | Unscored]:
        """[8] each."""
        return [self._row(sample) for sample in samples]

    def remarks(self, samples: Iterable[Sample]) -> list[str]:
        """Nothing."""
        return []

    def _row(self, sample: Sample) -> Floats | Score | Unscored:
        claims = parse_relations(sample.prompt).claims
        if not 0 < len(claims) <= MOST_RELATIONS:
            detail = f"the prompt states {len(claims) or 'no'} relations that can be read in the plane of the picture"
            return Unscored(why=Why.NOT_APPLICABLE, detail=detail)
        plan = require_plan(sample)
        if not isinstance(plan, Chain):
            return plan
        index, boxes = NameIndex([name for name, _ in plan.boxed]), [box for _, box in plan.boxed]
        found: Floats = np.mean([_claim(claim, index, boxes) for claim in claims], axis=0)
        return found


def _claim(claim: RelationClaim, index: NameIndex, boxes: Sequence[Box]) -> list[float]:
    """Both and one of the objects there; of their first boxes: along the axis, along it as a share of both axes,
    the share across it, its sign, overlap, distance."""
    subjects = index.find(claim.subject)
    subject = subjects[0] if subjects else None
    others = [
        place for place in index.find(claim.other, subject) or index.find(claim.rest, subject) if place != subject
    ]
    if subject is None or not others:
        return [0.0, float(subject is not None or bool(others)), *[0.0] * 6]
    one, other = boxes[subject], boxes[others[0]]
    (x, y), distance = (a - b for a, b in zip(one.center, other.center, strict=True)), gap(one, other)
    if claim.relation is Relation.NEAR:
        return [1.0, 0.0, 0.0, math.exp(-4 * distance), 0.0, 0.0, iou(one, other), distance]
    right, down = _AXES[claim.relation]
    along, across = right * x + down * y, abs(down * x) + abs(right * y)
    total = abs(along) + across or 1.0
    return [1.0, 0.0, along, along / total, across / total, math.copysign(1.0, along), iou(one, other), distance]
