"""Prompt-image part: one picture under its true prompt and under three false ones. The true one must score more.

Order is all that counts, so that judges on any scale (cosines too) can be held to it; a tie is a failure.
"""

from __future__ import annotations

import random
from dataclasses import replace

from benchmarks.audit.cases import Case, Check, Looks, Part, Variant, higher
from benchmarks.audit.scenes import PLAIN_COLOURS, Scenery, painted, scenery
from gotr1_eval.shapes.scene import SHAPES
from gotr1_eval.shapes.statements import Stated, Statement, write_prompt


def make(seed: str, count: int) -> list[Case]:
    """Pictures with a true, an attribute-swapped, a relation-swapped and an unrelated prompt."""
    rng = random.Random(seed)
    return [_case(scenery(rng), rng) for _ in range(count)]


def _case(base: Scenery, rng: random.Random) -> Case:
    prompts = {
        "true": base.prompt,
        "attributes swapped": base.recoloured().prompt,
        "relation swapped": base.opposite().prompt,
        "unrelated": _unrelated(base, rng),
    }
    picture = painted(base.scene)
    variants = {role: Variant(prompt=prompt, picture=picture) for role, prompt in prompts.items()}
    return Case(Looks.PICTURE, variants, {"relation": base.relation.value})


def _unrelated(base: Scenery, rng: random.Random) -> str:
    """A request in the same words for objects of other shapes and other colours."""
    kinds = [group.kind for group in base.statement.groups]
    shapes = rng.sample([shape for shape in SHAPES if shape not in {kind.shape for kind in kinds}], 2)
    colours = rng.sample([colour for colour in PLAIN_COLOURS if colour not in {kind.colour for kind in kinds}], 2)
    others = (
        Stated(replace(kind, shape=shape, colour=colour))
        for kind, shape, colour in zip(kinds, shapes, colours, strict=True)
    )
    return write_prompt(Statement(tuple(others), base.relation))


PART = Part(
    name="prompt-image",
    question="Does it prefer the true prompt of a picture to a false one?",
    looks=(Looks.PICTURE,),
    checks=tuple(
        Check(f"true over {role}", ("true", role), higher("true", role))
        for role in ("attributes swapped", "relation swapped", "unrelated")
    ),
    make=make,
)
