"""Spatial part: plans whose relation is true, false or ambiguous by construction.

Graded: yes to the true ones, no to the false ones, the ambiguous ones in between. Measured beside: accuracy by axis,
area under the ROC curve (a tie counts half), and how far the values are from chances (Brier score, calibration error).
"""

from __future__ import annotations

import random

from benchmarks.audit.cases import Case, Check, Looks, Part, Variant, both, higher, is_no, is_yes
from benchmarks.audit.layouts import ambiguous_plan, chain_of, draw_layouts, false_plan, true_plan


def make(seed: str, count: int) -> list[Case]:
    """Layouts over all axes, each true, false and ambiguous."""
    rng = random.Random(seed)
    cases = []
    for layout in draw_layouts(rng, count):
        plans = {"true": true_plan, "false": false_plan, "ambiguous": ambiguous_plan}
        variants = {
            role: Variant(prompt=layout.prompt, chain=chain_of(plan(layout, rng))) for role, plan in plans.items()
        }
        cases.append(Case(Looks.PLAN, variants, layout.facts))
    return cases


PART = Part(
    name="spatial",
    question="Does it see whether two planned objects stand as requested?",
    looks=(Looks.PLAN,),
    checks=(
        Check("yes to a relation that holds", ("true",), is_yes("true")),
        Check("no to a relation that does not", ("false",), is_no("false")),
        Check(
            "ambiguous layouts in between",
            ("true", "ambiguous", "false"),
            both(higher("true", "ambiguous"), higher("ambiguous", "false")),
        ),
    ),
    make=make,
)
