"""The plan of a run: every sample that will be made, before any is."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from gotr1_eval.core.errors import UsageError, nearest_name
from gotr1_eval.core.identifiers import sample_id, sample_seed, utf8
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


def list_samples(
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


class PromptDigest:
    """The prompts of a plan's samples, in order and each once; keeps none of them.

    `value` is the first 16 hex digits of the sha256 of the prompts, one a line; `number` says how many there are.
    """

    def __init__(self) -> None:
        self.number = 0
        self._digest = hashlib.sha256()
        self._last: str | None = None

    def add(self, sample: Sample) -> None:
        """One more sample; all of a prompt stand together."""
        # Prompts may repeat in a list: the identity of one is the sample's id without the image index.
        identity = sample.id.rpartition("/")[0]
        if identity != self._last:
            self._digest.update(utf8(f"\n{sample.prompt}" if self.number else sample.prompt))
            self.number, self._last = self.number + 1, identity

    @property
    def value(self) -> str:
        """See the class."""
        return self._digest.hexdigest()[:16]
