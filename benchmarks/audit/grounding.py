"""Grounding part: scenes and composed pictures whose boxes are known to the pixel.

The plan names what is there where it is, so that the judge's value is the IoU of its own boxes with the truth; or it
names something that is not there (a phantom), or the right things in the wrong places.

The frame check reads the model's raw answers about wide pictures in every frame that models are known to count
in (thousandths of each side, pixels of the picture, fractions), and asks whether one of them fits the truth
better than the frame in which the judge reads. Judges without a model have no such answers: not applicable.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from PIL import Image

from benchmarks.audit.cases import Case, Check, Looks, Part, Scale, Variant
from benchmarks.audit.scenes import SIDE, absent_name, distinct_scene, empty_box, painted, plan_chain
from gotr1_eval.core.chain import write_chain
from gotr1_eval.core.geometry import iou
from gotr1_eval.core.outcome import Reply, Score
from gotr1_eval.core.reading import UnreadableReply, read_boxes
from gotr1_eval.core.types import Box, Json
from gotr1_eval.shapes.drawing import draw_scene
from gotr1_eval.shapes.scene import Scene

FOUND = 0.5
"""IoU from which an object counts as found, as in PASCAL VOC."""
PHANTOM = 0.1
"""A plan of something absent may earn no more than this."""
FRAME_MARGIN = 0.05
"""Mean IoU by which another frame must fit better before the judge's own is called wrong."""


def make(seed: str, count: int) -> list[Case]:
    """Single scenes, and wide pictures composed of two."""
    rng = random.Random(seed)
    return [_case(rng) for _ in range(count)]


def _case(rng: random.Random) -> Case:
    scene = distinct_scene(rng, rng.randint(1, 4))
    wide = (distinct_scene(rng, 2), distinct_scene(rng, 2))
    while {placed.name for placed in wide[0].objects} & {placed.name for placed in wide[1].objects}:
        wide = (wide[0], distinct_scene(rng, 2))
    absent = absent_name(rng, scene)
    elsewhere = [(placed.name, empty_box(rng, scene)) for placed in scene.objects]
    truth = _wide_boxes(wide)
    picture = painted(scene)
    prompt = " and ".join(f"a {placed.name}" for placed in scene.objects)
    variants = {
        "planned": Variant(prompt=prompt, chain=plan_chain(scene), picture=picture),
        "moved": Variant(prompt=prompt, chain=write_chain(elsewhere), picture=picture),
        "absent": Variant(prompt=f"a {absent}", chain=write_chain([(absent, empty_box(rng, scene))]), picture=picture),
        "composed": Variant(
            prompt=" and ".join(f"a {name}" for name in truth),
            chain=write_chain(truth.items()),
            picture=_composed(wide),
        ),
    }
    boxes: dict[str, Json] = {name: list(box.corners) for name, box in truth.items()}
    facts: dict[str, Json] = {"absent": absent, "truth": boxes, "size": [2 * SIDE, SIDE]}
    return Case(Looks.GROUNDING, variants, facts)


def _composed(scenes: tuple[Scene, Scene]) -> Callable[[], Image.Image]:
    """Two scenes side by side: twice as wide as high, so that the frames of the two axes differ."""

    def draw() -> Image.Image:
        canvas = Image.new("RGB", (2 * SIDE, SIDE))
        for place, scene in enumerate(scenes):
            canvas.paste(draw_scene(scene, SIDE), (place * SIDE, 0))
        return canvas

    return draw


def _wide_boxes(scenes: tuple[Scene, Scene]) -> dict[str, Box]:
    return {
        placed.name: Box((placed.box.x1 + place) / 2, placed.box.y1, (placed.box.x2 + place) / 2, placed.box.y2)
        for place, scene in enumerate(scenes)
        for placed in scene.objects
    }


def _no_phantom(scores: Mapping[str, Score], scale: Scale, facts: Mapping[str, Json]) -> bool:
    score = scores["absent"]
    return score.value <= PHANTOM and all(seen.label != facts["absent"] for seen in score.seen)


def frame_fits(replies: Sequence[Reply], facts: Mapping[str, Json]) -> dict[str, float]:
    """Mean IoU of the raw answers with the truth, for every frame they may have been meant in; empty without answers.

    Works on what could not be read, too: that is what a wrong frame often leads to. One answer an object is taken in
    the plan's order; of any other number the last one counts, and its boxes are told apart by their labels.
    """
    boxes = cast(dict[str, list[float]], facts["truth"])
    width, height = cast(list[float], facts["size"])
    truth = {name: Box(*corners) for name, corners in boxes.items()}
    frames = {"thousandths": (1000.0, 1000.0), "pixels": (width, height), "fractions": (1.0, 1.0)}
    return {frame: _fit(replies, truth, size) for frame, size in frames.items()} if replies else {}


def _fit(replies: Sequence[Reply], truth: Mapping[str, Box], frame: tuple[float, float]) -> float:
    """Mean best IoU of the objects; an answer that does not fit into the frame is worth nothing."""
    total = 0.0
    for place, (name, box) in enumerate(truth.items()):
        each = len(replies) == len(truth)
        reply = replies[place if each else -1]
        try:
            found = read_boxes(reply.text, frame=frame, finish=reply.finish)
        except UnreadableReply:
            continue
        total += max((iou(box, seen) for label, seen in found if each or label == name), default=0.0)
    return total / len(truth)


def _own_frame(scores: Mapping[str, Score], scale: Scale, facts: Mapping[str, Json]) -> bool | None:
    fits = frame_fits(scores["composed"].replies, facts)
    return scores["composed"].value >= max(fits.values()) - FRAME_MARGIN if fits else None


def measure(scores: Mapping[str, Score]) -> dict[str, float]:
    """Mean IoU and share of objects not found at all, of one case's true plan."""
    overlaps = [value for name, value in scores["planned"].parts.items() if name[:1].isdigit()]
    missed = sum(value == 0 for value in overlaps)
    return {"IoU": scores["planned"].value} | ({"missed": missed / len(overlaps)} if overlaps else {})


def _at_least(role: str, least: float) -> Callable[[Mapping[str, Score], Scale, Mapping[str, Json]], bool]:
    return lambda scores, scale, facts: scores[role].value >= least


def _not_credited(scores: Mapping[str, Score], scale: Scale, facts: Mapping[str, Json]) -> bool:
    return scores["moved"].value < min(scores["planned"].value, FOUND)


PART = Part(
    name="grounding",
    question="Does it find what is there, where it is, and nothing else?",
    looks=(Looks.GROUNDING,),
    checks=(
        Check("objects are found (IoU 0.5)", ("planned",), _at_least("planned", FOUND)),
        Check("objects of a wide picture are found", ("composed",), _at_least("composed", FOUND)),
        Check("a plan with moved boxes is not credited", ("planned", "moved"), _not_credited),
        Check("nothing is found where it is absent", ("absent",), _no_phantom),
        Check("boxes are read in the frame they were meant in", ("composed",), _own_frame),
    ),
    make=make,
)
