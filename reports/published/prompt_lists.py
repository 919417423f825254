"""The prompt lists that published numbers stand on, known by their digests: a part of a list is another benchmark."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from reports.run_data import RunData

LISTS = {
    "color": (300, "c735840f3de60531"),
    "shape": (300, "bf557e22414dbc69"),
    "texture": (300, "fa60c83f215a8753"),
    "spatial": (300, "ae35e77cafeffb07"),
    "3d_spatial": (300, "c9953597315f36a5"),
    "non_spatial": (300, "2b9c2b1a26350308"),
    "numeracy": (300, "dad8df141604b70b"),
    "complex": (300, "e23a7dfb80d4a4ee"),
    "single_object": (80, "52623cdf7bcbcef3"),
    "two_object": (99, "848a4e91b1804fdc"),
    "counting": (80, "1701f7a0be87c921"),
    "colors": (94, "0e83261f95d3977a"),
    "position": (100, "b34887e6563a19d7"),
    "color_attr": (100, "5a3d6bb7c8eb942c"),
}
"""Category -> (prompts, `list_digest`) of the lists at the commits that `gotr1-eval data` fetches."""


def list_digest(prompts: Sequence[str]) -> str:
    """The first 16 hex digits of the sha256 of the prompts, one a line."""
    return hashlib.sha256("\n".join(prompts).encode()).hexdigest()[:16]


def list_fault(run: RunData, category: str) -> str:
    """How the prompts of a run differ from the published list; empty when they are that list."""
    number, digest = LISTS[category]
    prompts = {
        sample.id.rpartition("/")[0]: sample.prompt
        for sample in run.samples.values()
        if run.category(sample) == category
    }
    if len(prompts) < number:
        return f"{len(prompts)} of its {number} prompts"
    # Samples may come from shards in any order; their ids count the prompts.
    return (
        ""
        if list_digest([prompts[key] for key in sorted(prompts)]) == digest
        else "other prompts than the published list"
    )
