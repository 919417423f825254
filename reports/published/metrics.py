"""Whether a number is made as the published ones are, told from its name alone, and what perfect pictures would score.

A name says what made its number: ``spatial[unidet-rs200, spacy, reference]``. Published numbers come from the official
scripts, which have one detector, one model and one parser each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Maker:
    """A part of the official scripts: what it is, and the names under which this project runs it."""

    what: str
    names: tuple[str, ...]

    def fault(self, name: str) -> str:
        """Why another one's numbers are not comparable; empty for the official one."""
        return "" if name in self.names else f"{self.what} {name}, published with {self.names[0]}"


_BLIP = Maker("yes-no model", ("blip-vqa",))
_RS200 = Maker("detector", ("unidet-rs200", "unidet-rs200-fp16"))
_R50 = Maker("detector", ("unidet-r50", "unidet-r50-fp16"))
_DEPTH = Maker("depth model", ("dpt-hybrid-midas",))
_CLIP_B = Maker("encoder", ("clip-vit-base-patch32", "ViT-B-32"))
_CLIP_L = Maker("encoder", ("clip-vit-large-patch14", "ViT-L-14"))
_SPACY = Maker("noun phrases", ("spacy",))
_M2F = Maker("detector", ("mask2former-openmmlab",))

OFFICIAL: Mapping[str, tuple[Maker, ...]] = {
    "attribute": (_BLIP, _SPACY),
    "spatial": (_RS200, _SPACY),
    "3d_spatial": (_R50, _DEPTH, _SPACY),
    "numeracy": (_R50, _SPACY),
    "non_spatial": (_CLIP_B,),
    "complex": (_BLIP, _RS200, _CLIP_B, _SPACY),
    "geneval": (_M2F, _CLIP_L),
}
"""Metric -> what makes its published numbers, in the order of its name."""
CATEGORIES: Mapping[str, tuple[str, ...]] = {
    **{metric: (metric,) for metric in OFFICIAL},
    "attribute": ("color", "shape", "texture"),
    "geneval": ("single_object", "two_object", "counting", "colors", "position", "color_attr"),
}
CEILINGS = {
    "spatial": "about 0.65: a third of its prompts name an object that no label of UniDet equals",
    "3d_spatial": "about 0.95: 20 of its 300 prompts name an object that no label of UniDet holds",
    "complex": "about 0.68: most of its prompts are half CLIP's cosine, which pictures carry to about 0.35",
}
"""Metric -> the most that perfect pictures could score under `reference` with UniDet's labels, and why."""


@dataclass(frozen=True, slots=True)
class MetricName:
    """An official metric's name, taken apart; a frozen parse counts as its source's."""

    metric: str
    makers: tuple[str, ...]
    semantics: str

    @property
    def faults(self) -> list[str]:
        """Why its numbers are not comparable with published ones; empty where they are."""
        pairs = zip(OFFICIAL[self.metric], self.makers, strict=True)
        faults = [fault for official, name in pairs if (fault := official.fault(name))]
        if self.semantics != "reference":
            faults.append(f"{self.semantics} semantics, published with reference")
        return faults


def read_name(name: str) -> MetricName | None:
    """The parts of an official metric's name; None for the names of all other judges."""
    metric, bracket, rest = name.partition("[")
    parts = [part for part in rest.removesuffix("]").split(", ") if part != "frozen"]
    if not bracket or metric not in OFFICIAL or len(parts) != len(OFFICIAL[metric]) + 1:
        return None
    return MetricName(metric, tuple(parts[:-1]), parts[-1])
