"""Metamorphic part: changes that must turn a verdict, and changes that must not touch it."""

from __future__ import annotations

import random
from collections.abc import Mapping

from benchmarks.audit.cases import Case, Check, Looks, Part, Scale, Variant, same
from benchmarks.audit.layouts import (
    OPPOSITE,
    PHRASES,
    SYNONYMS,
    Layout,
    Plan,
    chain_of,
    draw_layouts,
    mirrored,
    true_plan,
    word,
)
from benchmarks.audit.scenes import Scenery, painted, plan_chain, scenery
from gotr1_eval.core.outcome import Score
from gotr1_eval.core.types import Json


def make(seed: str, count: int) -> list[Case]:
    """Plans, pictures, and pictures with plans."""
    rng = random.Random(seed)
    plans = [_plan_case(layout, true_plan(layout, rng)) for layout in draw_layouts(rng, count, tuple(OPPOSITE))]
    scenes = [scenery(rng) for _ in range(count)]
    return [*plans, *map(_picture_case, scenes), *map(_grounding_case, scenes)]


def _plan_case(layout: Layout, plan: Plan) -> Case:
    turned = chain_of(tuple((name, mirrored(box, layout.relation)) for name, box in plan))
    first, relation, second = layout.subject, layout.relation, layout.other
    chain = chain_of(plan)
    variants = {
        "base": Variant(prompt=layout.prompt, chain=chain),
        "mirrored": Variant(prompt=layout.prompt, chain=turned),
        "mirrored twice": Variant(prompt=word(first, PHRASES[OPPOSITE[relation]], second), chain=turned),
        "reordered": Variant(prompt=layout.prompt, chain=chain_of(plan[::-1])),
        "synonym": Variant(prompt=word(first, SYNONYMS[relation], second), chain=chain, free=True),
        "articles": Variant(prompt=word(first, PHRASES[relation], second, "the"), chain=chain, free=True),
    }
    return Case(Looks.PLAN, variants, layout.facts)


def _picture_case(base: Scenery) -> Case:
    turned = base.mirrored()
    picture, turned_picture = painted(base.scene), painted(turned.scene)
    variants = {
        "base": Variant(prompt=base.prompt, picture=picture),
        "mirrored": Variant(prompt=base.prompt, picture=turned_picture),
        "mirrored twice": Variant(prompt=turned.opposite().prompt, picture=turned_picture),
        "synonym": Variant(prompt=base.reworded(synonym=True), picture=picture, free=True),
        "articles": Variant(prompt=base.reworded(article="the"), picture=picture, free=True),
    }
    return Case(Looks.PICTURE, variants, {"relation": base.relation.value})


def _grounding_case(base: Scenery) -> Case:
    turned = base.mirrored()
    chain = plan_chain(base.scene)
    variants = {
        "base": Variant(prompt=base.prompt, chain=chain, picture=painted(base.scene)),
        "mirrored": Variant(prompt=base.prompt, chain=chain, picture=painted(turned.scene)),
        "mirrored twice": Variant(
            prompt=turned.opposite().prompt, chain=plan_chain(turned.scene), picture=painted(turned.scene)
        ),
    }
    return Case(Looks.GROUNDING, variants, {"relation": base.relation.value})


def _turns(scores: Mapping[str, Score], scale: Scale, facts: Mapping[str, Json]) -> bool:
    """The mirrored layout scores less; where there is a verdict, it is another one."""
    base, other = scores["base"].value, scores["mirrored"].value
    return base > other and (scale.verdict is None or base >= scale.verdict > other)


PART = Part(
    name="metamorphic",
    question="Does its verdict turn with the layout, and with nothing else?",
    looks=(Looks.PLAN, Looks.PICTURE, Looks.GROUNDING),
    checks=(
        Check("mirrored layout: the verdict turns", ("base", "mirrored"), _turns),
        Check("mirrored layout and request: it stays", ("base", "mirrored twice"), same("base", "mirrored twice")),
        Check("order of the boxes does not matter", ("base", "reordered"), same("base", "reordered")),
        Check("colours of the boxes do not matter", ("base", "base~colours"), same("base", "base~colours")),
        Check("size of the labels does not matter", ("base", "base~labels"), same("base", "base~labels")),
        Check("a synonym does not matter", ("base", "synonym"), same("base", "synonym")),
        Check("articles do not matter", ("base", "articles"), same("base", "articles")),
    ),
    make=make,
)
