"""The plan of a run: every sample that will be made, before any is."""

from __future__ import annotations

from collections.abc import Sequence

from gotr1_eval.core.errors import UsageError, nearest_name
from gotr1_eval.core.identifiers import sample_id, sample_seed
from gotr1_eval.core.protocols import Suite
from gotr1_eval.core.types import Json, Sample


def chosen_categories(suite: Suite, wanted: Sequence[str]) -> tuple[str, ...]:
    """The categories asked for, in the suite's order; all when none is named.

    Raises:
        UsageError: a category the suite does not have.
    """
    for name in wanted:
        if name not in suite.categories:
            hint = nearest_name(name, suite.categories)
            raise UsageError(
                f"suite {suite.name} has no category {name!r}{hint} (known: {', '.join(suite.categories)})"
            )
    return tuple(name for name in suite.categories if not wanted or name in wanted)


def plan_samples(
    suite: Suite, categories: Sequence[str], *, images_per_prompt: int, limit: int | None, seed: int
) -> list[Sample]:
    """Every sample of a run, without chain and picture yet, in the order in which they are made.

    Args:
        images_per_prompt: at least 1.
        limit: only so many prompts of each category; None for all. Ids and seeds do not depend on it.
        seed: of the run; each sample's own seed follows from it and the id.
    """
    planned = []
    for category in categories:
        for prompt_index, prompt in enumerate(suite.prompts(category)[:limit]):
            facts = suite.facts(category, prompt_index)
            for image_index in range(images_per_prompt):
                name = sample_id(suite.name, category, prompt_index, image_index)
                meta: dict[str, Json] = {"category": category, "prompt_index": prompt_index, "image_index": image_index}
                planned.append(Sample(id=name, prompt=prompt, seed=sample_seed(seed, name), meta={**meta, **facts}))
    return planned
