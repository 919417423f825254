"""Whether a number is made as the published ones are, told from its name alone, and what perfect pictures would score.

A name says what made its number: ``spatial[unidet-rs200, spacy en_core_web_sm-3.5.0, reference]``. Published numbers
come from the official scripts, which have one detector, one model and one parser each.
"""

from __future__ import annotations

import re
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
_SPACY = Maker("noun phrases", ("spacy en_core_web_sm-3.5.0",))
"""The pipeline that T2I-CompBench pins: other versions parse other objects, pairs and questions out of some prompts."""
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
_COSINE = "most of its prompts are half CLIP's cosine, which pictures carry to about 0.35"
CEILINGS: Mapping[str, Mapping[str, str]] = {
    "UniDet's labels": {
        "spatial": "about 0.66: a third of its prompts name an object that no label of UniDet equals",
        "3d_spatial": "about 0.95: 20 of its 300 prompts name an object that no label of UniDet holds",
        "complex": f"0.643: {_COSINE}, and few pairs of objects are labels",
    },
    "COCO's 80 names": {
        "spatial": "0.30: seven of ten prompts name an object that is none of COCO's",
        "3d_spatial": "about 0.52: most of its prompts name an object that is none of COCO's",
        "numeracy": "0.48: half of the objects that it counts are none of COCO's",
        "complex": f"0.62: {_COSINE}, and no pair of its objects is COCO's",
    },
    "the prompts' own objects as labels": {"complex": f'0.70: {_COSINE}, and "on top of" is at most half right'},
}
"""Labels -> metric -> the most that perfect pictures could score under `reference`, and why.

Perfect means that every object that has a label is found with full confidence, in the right place and number, that
every question is answered yes, and a cosine of 0.35.
"""
_LABELS = (
    (re.compile("unidet"), "UniDet's labels"),
    (re.compile("mask2former|coco"), "COCO's 80 names"),
    (re.compile("grounding-dino"), "the prompts' own objects as labels"),
)


def ceiling(metric: str, detector: str) -> str:
    """What perfect pictures could score by a metric with a detector's labels, a sentence; empty where that is 1."""
    labels = next((name for pattern, name in _LABELS if pattern.search(detector.casefold())), None)
    if labels is not None:
        told = CEILINGS[labels].get(metric, "")
        return told and f"with {labels} perfect pictures score {told}"
    known = [f"{found[metric].partition(':')[0]} with {name}" for name, found in CEILINGS.items() if metric in found]
    return (
        f"what perfect pictures score with the labels of {detector!r} is not known ({', '.join(known)})"
        if known
        else ""
    )


@dataclass(frozen=True, slots=True)
class MetricName:
    """An official metric's name, taken apart; a frozen parse counts as its source's."""

    metric: str
    makers: tuple[str, ...]
    semantics: str

    @property
    def detector(self) -> str:
        """The detector; empty for a metric without one."""
        pairs = zip(OFFICIAL[self.metric], self.makers, strict=True)
        return next((name for official, name in pairs if official.what == "detector"), "")

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
