"""Prompt-image part: one picture under its true prompt and under three false ones. The true one must score more.

Order is all that counts, so that judges on any scale (cosines too) can be held to it; a tie is a failure.
"""

from __future__ import annotations

import random

from benchmarks.audit.cases import Case, Check, Looks, Part, Variant, higher
from benchmarks.audit.scenes import Scenery, painted, scenery, unrelated


def make(seed: str, count: int) -> list[Case]:
    """Pictures with a true, an attribute-swapped, a relation-swapped and an unrelated prompt."""
    rng = random.Random(seed)
    return [_case(scenery(rng), rng) for _ in range(count)]


def _case(base: Scenery, rng: random.Random) -> Case:
    prompts = {
        "true": base.prompt,
        "attributes swapped": base.recoloured().prompt,
        "relation swapped": base.opposite().prompt,
        "unrelated": unrelated(base, rng).prompt,
    }
    picture = painted(base.scene)
    variants = {role: Variant(prompt=prompt, picture=picture) for role, prompt in prompts.items()}
    return Case(Looks.PICTURE, variants, {"relation": base.relation.value})


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
