"""The prompt lists that published numbers stand on, known by their digests: a part of a list is another benchmark."""

from __future__ import annotations

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
"""Category -> (prompts, `PromptDigest.value`) of the lists at the commits that `gotr1-eval data` fetches."""


def list_fault(run: RunData, category: str) -> str:
    """How the prompts of a run differ from the published list; empty when they are that list."""
    lists = run.info.setup.get("prompts")
    found = lists.get(category) if isinstance(lists, dict) else None
    if not isinstance(found, list):
        return "its prompts are not recorded"
    number, digest = LISTS[category]
    if found == [number, digest]:
        return ""
    here = found[0]
    return "other prompts than the published list" if here == number else f"{here} prompts, of a list of {number}"
