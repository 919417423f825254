"""How numbers of a run go together: correlations with intervals that draw whole prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gotr1_eval.core.chain import parse_chain
from gotr1_eval.core.statistics.correlations import pearson, spearman
from gotr1_eval.core.statistics.intervals import Estimate, drawn_counts, estimate
from gotr1_eval.core.statistics.ranks import Floats
from gotr1_eval.core.types import Sample

DRAWS = 1000
"""Bootstrap draws of an interval."""

Column = Mapping[str, float]
"""Sample id -> value; what has none is not in it."""


@dataclass(frozen=True, slots=True)
class Relation:
    """How two columns go together over the samples that have both."""

    x: str
    y: str
    samples: int
    spearman: Estimate
    pearson: Estimate


def relate(x: str, y: str, columns: Mapping[str, Column], seed: int = 0) -> Relation:
    """Spearman and Pearson correlation of two columns, with 95 % intervals over prompts.

    The prompt of a sample is its id without the part behind the last slash.
    """
    # In a fixed order: draws would otherwise fall on other prompts where a run's rows stand in another order.
    shared = sorted(sample for sample in columns[x] if sample in columns[y])
    one, two = (np.array([columns[name][sample] for sample in shared]) for name in (x, y))
    if len(shared) < 2:
        nothing = Estimate(None, why="fewer than two samples have both")
        return Relation(x, y, len(shared), nothing, nothing)
    constant = next((name for name, values in ((x, one), (y, two)) if np.ptp(values) == 0), None)
    if constant is not None:
        nothing = Estimate(None, why=f"{constant} is the same everywhere")
        return Relation(x, y, len(shared), nothing, nothing)
    weights = _weights([sample.rpartition("/")[0] for sample in shared], seed)
    return Relation(x, y, len(shared), estimate(spearman(one, two, weights)), estimate(pearson(one, two, weights)))


def _weights(prompts: Sequence[str], seed: int) -> Floats:
    """[1 + draws, samples]: the data itself, then how often each draw of whole prompts holds each sample."""
    place = {name: index for index, name in enumerate(dict.fromkeys(prompts))}
    own = np.ones((1, len(prompts)))
    if len(place) < 2:
        return own
    counts = drawn_counts(len(place), np.random.default_rng(seed))[:DRAWS]
    return np.vstack([own, counts[:, [place[name] for name in prompts]]])


def plan_columns(samples: Sequence[Sample]) -> dict[str, Column]:
    """What a chain is like before any judge has seen it, of the samples that have one.

    chain words      words of the prose, boxes left out
    planned objects  named objects, with or without a readable box
    planned area     mean share of the picture that one planned box covers, where any can be read
    """
    words: dict[str, float] = {}
    objects: dict[str, float] = {}
    area: dict[str, float] = {}
    for sample in samples:
        if sample.chain is None:
            continue
        chain = parse_chain(sample.chain)
        words[sample.id] = len(chain.prose.split())
        objects[sample.id] = len(chain.objects)
        if chain.boxed:
            area[sample.id] = sum(box.area for _, box in chain.boxed) / len(chain.boxed)
    return {"chain words": words, "planned objects": objects, "planned area": area}
