"""A run that is asked for more of the same: prompts, pictures a prompt, categories, rows behind those of a table.

What was made and judged stays. That the old samples are part of the new plan is proved by their digest, not assumed:
the part of the plan that the run was asked for must give the digest that its run.json holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gotr1_eval.core.types import Json, Sample
from gotr1_eval.runs.store import RunInfo

GROWING = ("categories", "images_per_prompt", "limit", "plan", "pictures")
"""Keys of a run's identity that differ where it grows."""
GROWN = "grown"
"""The key that holds how many samples there were each time the run grew; tiles do not cross these places."""


def earlier_plan(there: RunInfo, identity: Mapping[str, Json], plan: Sequence[Sample]) -> list[Sample] | None:
    """The part of a plan that a run was asked for before; None where it is no run of less.

    Whether these are the same samples is for the caller to say, from their digest.
    """
    old = there.identity
    differing = {key for key in (*old, *identity) if key != GROWN and old.get(key) != identity.get(key)}
    setup: Mapping[str, Any] = there.setup
    prompts, expected = setup.get("prompts"), setup.get("expected")
    if "plan" not in differing or differing - set(GROWING) or not prompts or not expected or "parts" in setup:
        return None
    if "source" in old:
        return list(plan[: sum(expected.values())])
    images = old.get("images_per_prompt")
    if not isinstance(images, int):
        return None

    def was_asked(sample: Sample) -> bool:
        number = prompts.get(str(sample.meta.get("category", "all")), (0,))[0]
        return _place(sample, "prompt_index") < number and _place(sample, "image_index") < images

    return [sample for sample in plan if was_asked(sample)]


def _place(sample: Sample, key: str) -> int:
    value = sample.meta.get(key)
    return value if isinstance(value, int) else 0


def grown_identity(
    there: RunInfo,
    identity: Mapping[str, Json],
    plan: Sequence[Sample],
    identity_of: Callable[[Sequence[Sample]], Mapping[str, Json]],
    made: int,
) -> dict[str, Json] | None:
    """The identity of a run that grows, or that has grown before; None where it does neither.

    Args:
        identity_of: plan and pictures of any part of the plan.
        made: samples that the run has.
    """
    grown = there.identity.get(GROWN)
    before = [int(str(count)) for count in grown] if isinstance(grown, list) else []
    if before and {**there.identity} == {**identity, GROWN: [*before]}:
        return dict(there.identity)
    old = earlier_plan(there, identity, plan)
    if old is None or len(old) == len(plan):
        return None
    if any(there.identity.get(key) != value for key, value in identity_of(old).items()):
        return None
    return {**identity, GROWN: [*dict.fromkeys([*before, made])]}


def in_order_made(plan: Sequence[Sample], made: Mapping[str, Sample]) -> list[Sample]:
    """The samples of a grown run: those that were made in the order in which they were, then the others."""
    planned = {sample.id: sample for sample in plan}
    first = [planned[name] for name in made if name in planned]
    return first + [sample for sample in plan if sample.id not in made]


def places(identity: Mapping[str, Json]) -> tuple[int, ...]:
    """Where a run's tiles begin anew."""
    grown = identity.get(GROWN)
    return tuple(int(str(count)) for count in grown) if isinstance(grown, list) else ()
