"""Semantic part: one fault at a time in the words of a faithful chain. The right mark must fall, the others stay.

A judge that gives marks for completeness, faithfulness, consistency and clarity is held to those that the fault
is about; one that gives a single number is held to the number.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from benchmarks.audit.cases import Case, Check, Looks, Part, Rule, Scale, Variant
from benchmarks.audit.scenes import Scenery, scenery, with_sentence
from gotr1_eval.core.chain import BEGIN_OF_IMAGE
from gotr1_eval.core.outcome import Score
from gotr1_eval.core.types import Json
from gotr1_eval.shapes.layout import write_scene_chain
from gotr1_eval.shapes.scene import Scene

HARMLESS = "The background is plain and bright."
DIMENSIONS = ("completeness", "faithfulness", "consistency", "clarity")
SAME_MARK = 1.0
"""Points of ten within which a mark counts as the same."""


def make(seed: str, count: int) -> list[Case]:
    """A faithful chain and five edits of it."""
    rng = random.Random(seed)
    return [_case(scenery(rng)) for _ in range(count)]


def _case(base: Scenery) -> Case:
    chain = write_scene_chain(base.scene, base.statement)
    sentence = chain.removesuffix(BEGIN_OF_IMAGE)
    swapped = base.recoloured()
    kinds = [group.kind for group in swapped.statement.groups]
    recoloured = Scene(
        tuple(
            type(placed)(type(kind)(kind.shape, kind.colour, "solid"), placed.box)
            for kind, placed in zip(kinds, base.scene.objects, strict=True)
        )
    )
    chains = {
        "faithful": chain,
        "object dropped": write_scene_chain(Scene(base.scene.objects[:1]), base.statement),
        "attributes swapped": write_scene_chain(recoloured, swapped.statement),
        "contradicted": write_scene_chain(base.scene, base.opposite().statement),
        "repeated": f"{sentence} {sentence} {sentence}{BEGIN_OF_IMAGE}",
        "harmless detail": with_sentence(chain, HARMLESS),
    }
    return Case(Looks.PROSE, {role: Variant(prompt=base.prompt, chain=text) for role, text in chains.items()})


def _falls(role: str, dimension: str) -> Rule:
    def rule(scores: Mapping[str, Score], scale: Scale, facts: Mapping[str, Json]) -> bool:
        before, after = scores["faithful"], scores[role]
        if dimension in before.parts and dimension in after.parts:
            return after.parts[dimension] < before.parts[dimension]
        return after.value < before.value

    return rule


def _stay(role: str, dimensions: tuple[str, ...]) -> Rule:
    def rule(scores: Mapping[str, Score], scale: Scale, facts: Mapping[str, Json]) -> bool:
        before, after = scores["faithful"], scores[role]
        named = [name for name in dimensions if name in before.parts and name in after.parts]
        if not named and dimensions == DIMENSIONS:
            return abs(after.value - before.value) <= scale.step
        return all(abs(after.parts[name] - before.parts[name]) <= SAME_MARK for name in named)

    return rule


def _pair(role: str, dimension: str, others: tuple[str, ...]) -> tuple[Check, Check]:
    roles = ("faithful", role)
    return (
        Check(f"{role}: {dimension} falls", roles, _falls(role, dimension)),
        Check(f"{role}: {' and '.join(others)} stay{'' if len(others) > 1 else 's'}", roles, _stay(role, others)),
    )


PART = Part(
    name="semantic",
    question="Does the right mark fall for each fault in the words, and no other?",
    looks=(Looks.PROSE,),
    checks=(
        *_pair("object dropped", "completeness", ("faithfulness", "clarity")),
        *_pair("attributes swapped", "faithfulness", ("clarity",)),
        *_pair("contradicted", "faithfulness", ("completeness", "clarity")),
        *_pair("repeated", "clarity", ("completeness", "faithfulness")),
        Check(
            "harmless detail: every mark stays", ("faithful", "harmless detail"), _stay("harmless detail", DIMENSIONS)
        ),
    ),
    make=make,
)
