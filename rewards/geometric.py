"""Geometric judge: does the plan's layout hold the relation that the prompt states? Needs no model.

A free reward and the yardstick for the spatial judge R_spa. For every relation of the prompt its two objects are
looked up in the plan and the relation is scored softly; at 0.5 the verdict on left, right, above and below is that
of T2I-CompBench's 2D rule (its rule for "near" is another: it accepts almost any two boxes).

Value in [0, 1], the mean over the prompt's relations that can be read with certainty (`gotr1_eval.core.relations`); a
note quotes the others. Where a name occurs several times, the mean over all pairs (the best pair would pay a plan for
scattering copies) of its first `MOST_INSTANCES`. An object that the plan does not hold: 0.25 if the other one is there,
else 0. A prompt without a relation in the plane, without one that can be read, or with more than `MOST_RELATIONS`
is `NOT_APPLICABLE`.
"""

from __future__ import annotations

from collections.abc import Sequence

from gotr1_eval.core.chain import Chain
from gotr1_eval.core.geometry import relation_score
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.names import NameIndex
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.protocols import LooksAt, Workshop
from gotr1_eval.core.relations import RelationClaim, Relations, parse_relations
from gotr1_eval.core.types import Box, Sample
from gotr1_eval.settings import Settings as StrictSettings
from rewards.inputs import require_plan

VERSION = 3
ONE_OBJECT_FOUND = 0.25
"""Credit when one of the two objects is planned: below the verdict's threshold, but a step in the right direction."""
MOST_RELATIONS, MOST_INSTANCES = 200, 50
"""More of them are no prompt and no plan of a picture; these limits keep the time linear in the length of both."""
_MOST_QUOTED = 3


class Settings(StrictSettings):
    """Nothing to set."""


class GeometricJudge:
    """Scores the layout of the plan against the relations of the prompt."""

    name = "geometric"
    range = (0.0, 1.0)
    fingerprint = fingerprint({"judge": "geometric", "version": VERSION})
    may_not_apply = True
    looks_at: LooksAt = "plan"
    needs = frozenset[str]()
    model_calls = 0

    def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        """One outcome a sample; parts give each relation's score as ``subject relation object``."""
        return [self._judge(sample) for sample in samples]

    def _judge(self, sample: Sample) -> Outcome:
        relations = parse_relations(sample.prompt)
        if not 0 < len(relations.claims) <= MOST_RELATIONS:
            return Unscored(why=Why.NOT_APPLICABLE, detail=_why_not(relations))
        plan = require_plan(sample)
        if not isinstance(plan, Chain):
            return plan
        index, boxes = NameIndex([name for name, _ in plan.boxed]), [box for _, box in plan.boxed]
        scored = [_score_claim(claim, index, boxes) for claim in relations.claims]
        parts = {
            f"{place}: {claim.relation.value}": value
            for place, (claim, (value, _)) in enumerate(zip(relations.claims, scored, strict=True), 1)
        }
        notes = [note for _, note in scored if note] + ([_unread(relations)] if relations.unread else [])
        return Score(value=sum(value for value, _ in scored) / len(scored), parts=parts, note="; ".join(notes))


def build(settings: Settings, workshop: Workshop) -> GeometricJudge:
    """The judge; needs no settings and no model."""
    return GeometricJudge()


def _why_not(relations: Relations) -> str:
    if relations.claims:
        return f"the prompt states {len(relations.claims)} relations, at most {MOST_RELATIONS} are compared with a plan"
    return _unread(relations) if relations.unread else "the prompt states no relation in the plane of the picture"


def _unread(relations: Relations) -> str:
    shown = ", ".join(f"'{text}'" for text in relations.unread[:_MOST_QUOTED])
    more = len(relations.unread) - _MOST_QUOTED
    return f"not read with certainty: {shown}" + (f" and {more} more" if more > 0 else "")


def _score_claim(claim: RelationClaim, index: NameIndex, boxes: Sequence[Box]) -> tuple[float, str]:
    """(score, note) of one relation."""
    subjects = index.find(claim.subject)
    # An object is not its own counterpart ("a cat next to a cat" needs two), so a single subject is out of the search.
    subject = subjects[0] if len(subjects) == 1 else None
    others = index.find(claim.other, subject) or index.find(claim.rest, subject)
    pairs = [(one, other) for one in subjects[:MOST_INSTANCES] for other in others[:MOST_INSTANCES] if one != other]
    if not pairs:
        missing = [text for text, found in ((claim.subject, subjects), (claim.other, others)) if not found]
        credit = ONE_OBJECT_FOUND if subjects or others else 0.0
        return credit, f"not in the plan: {', '.join(missing) or claim.other}"
    scores = [relation_score(claim.relation, boxes[one], boxes[other]) for one, other in pairs]
    return sum(scores) / len(scores), ""
