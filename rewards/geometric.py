"""Geometric judge: does the plan's layout hold the relation that the prompt states? Needs no model.

A free reward and the yardstick for the spatial judge R_spa. For every relation of the prompt its two objects are
looked up in the plan and the relation is scored softly; at 0.5 the verdict on left, right, above and below is that
of T2I-CompBench's 2D rule (its rule for "near" is another: it accepts almost any two boxes).

Value in [0, 1], the mean over the prompt's relations. Where a name occurs several times, the mean over all pairs
(the best pair would pay a plan for scattering copies). An object that the plan does not hold: 0.25 if the other
one is there, else 0. A prompt without a relation in the plane is `NOT_APPLICABLE`.
"""

from __future__ import annotations

from collections.abc import Sequence

from gotr1_eval.core.chain import Chain
from gotr1_eval.core.geometry import relation_score
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.protocols import Workshop
from gotr1_eval.core.relations import RelationClaim, find_named, read_relations
from gotr1_eval.core.types import Sample
from gotr1_eval.settings import Settings as StrictSettings
from rewards.inputs import require_plan

VERSION = 1
ONE_OBJECT_FOUND = 0.25
"""Credit when one of the two objects is planned: below the verdict's threshold, but a step in the right direction."""


class Settings(StrictSettings):
    """Nothing to set."""


class GeometricJudge:
    """Scores the layout of the plan against the relations of the prompt."""

    name = "geometric"
    range = (0.0, 1.0)
    fingerprint = fingerprint({"judge": "geometric", "version": VERSION})
    may_not_apply = True
    looks_at = "plan"
    model_calls = 0

    def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        """One outcome a sample; parts give each relation's score as ``subject relation object``."""
        return [self._judge(sample) for sample in samples]

    def _judge(self, sample: Sample) -> Outcome:
        claims = read_relations(sample.prompt)
        if not claims:
            return Unscored(why=Why.NOT_APPLICABLE, detail="the prompt states no relation in the plane of the picture")
        plan = require_plan(sample)
        if not isinstance(plan, Chain):
            return plan
        scored = [_score_claim(claim, plan) for claim in claims]
        parts = {
            f"{index}: {claim.relation.value}": value
            for index, (claim, (value, _)) in enumerate(zip(claims, scored, strict=True), 1)
        }
        value = sum(value for value, _ in scored) / len(scored)
        return Score(value=value, parts=parts, note="; ".join(note for _, note in scored if note))


def build(settings: Settings, workshop: Workshop) -> GeometricJudge:
    """The judge; needs no settings and no model."""
    return GeometricJudge()


def _score_claim(claim: RelationClaim, plan: Chain) -> tuple[float, str]:
    """(score, note) of one relation."""
    names = [name for name, _ in plan.boxed]
    subjects = find_named(claim.subject, names)
    # An object is not its own counterpart ("a cat next to a cat" needs two), so subjects are out of the search.
    others = _find_other(
        claim, ["" if index in subjects and len(subjects) == 1 else name for index, name in enumerate(names)]
    )
    pairs = [(one, other) for one in subjects for other in others if one != other]
    if not pairs:
        missing = [text for text, found in ((claim.subject, subjects), (claim.other, others)) if not found]
        credit = ONE_OBJECT_FOUND if subjects or others else 0.0
        return credit, f"not in the plan: {', '.join(missing) or claim.other}"
    boxes = [box for _, box in plan.boxed]
    scores = [relation_score(claim.relation, boxes[one], boxes[other]) for one, other in pairs]
    return sum(scores) / len(scores), ""


def _find_other(claim: RelationClaim, names: Sequence[str]) -> list[int]:
    return find_named(claim.other, names) or find_named(claim.rest, names)
