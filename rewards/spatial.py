"""R_spa: does the planned layout hold the prompt's relations? (paper section 3.1)

The plan is drawn on a blank canvas, each box under its object's name, and the judge looks at the drawing: language
models compare boxes better by eye than by coordinates, the paper found. ``text = true`` is the paper's ablation, in
which the coordinates are written out instead. One score from 1 to 10; the value is score / 10 as in the paper, or
(score - 1) / 9 with ``from_zero = true``.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from gotr1_eval.core.canvas import CANVAS_SIDE, draw_plan
from gotr1_eval.core.chain import GRID, Chain
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Score, Unscored
from gotr1_eval.core.protocols import LooksAt, Vlm, Workshop
from gotr1_eval.core.types import Sample
from rewards.inputs import require_plan
from rewards.rubric import Material, RubricJudge, RubricSettings


class Settings(RubricSettings):
    """Drawn or written boxes, where the scale begins, and how the drawing looks.

    Attributes:
        first_colour: place in the palette at which the frames' colours begin.
        label_scale: size of the names on the frames, 1 for the usual one.
    """

    text: bool = False
    from_zero: bool = False
    first_colour: int = Field(0, ge=0)
    label_scale: float = Field(1.0, ge=0.5, le=3.0)


class SpatialJudge(RubricJudge):
    """Scores the layout of a plan."""

    version = 2
    looks_at: LooksAt = "plan"
    names = ("score",)
    lowest, highest = 1, 10
    reasons = ("reasoning",)

    def __init__(self, vlm: Vlm, settings: Settings) -> None:
        self.text = settings.text
        self.from_zero = settings.from_zero
        self.first_colour, self.label_scale = settings.first_colour, settings.label_scale
        prompt = "spatial_text" if settings.text else "spatial"
        look = [f"colours from {self.first_colour}"] if self.first_colour else []
        look += [f"labels x{self.label_scale:g}"] if self.label_scale != 1 else []
        if look and settings.text:
            raise UsageError("judge spatial: first_colour and label_scale are for drawn plans; text = true draws none")
        self.label = "_".join([prompt, *(["from_zero"] if settings.from_zero else []), *look])
        self.markers = frozenset({"prompt", "plan"} if settings.text else {"prompt"})
        super().__init__(vlm, settings, prompt)

    def value(self, scores: Mapping[str, float]) -> float:
        """score / 10, or (score - 1) / 9."""
        score = scores["score"]
        return (score - 1) / 9 if self.from_zero else score / 10

    def material(self, sample: Sample) -> Material | Score | Unscored:
        """Prompt and layout; a chain without a readable box earns a noted 0."""
        plan = require_plan(sample)
        if not isinstance(plan, Chain):
            return plan
        if self.text:
            return Material({"prompt": sample.prompt, "plan": _written(plan)})
        drawing = draw_plan(plan.boxed, CANVAS_SIDE, first_colour=self.first_colour, label_scale=self.label_scale)
        return Material({"prompt": sample.prompt}, (drawing,))


def build(settings: Settings, workshop: Workshop) -> SpatialJudge:
    """The judge with its model."""
    return SpatialJudge(workshop.vlm(settings.vlm), settings)


def _written(plan: Chain) -> str:
    """One line an object: its name and corners on the 0..1000 grid."""
    lines = []
    for name, box in plan.boxed:
        x1, y1, x2, y2 = (round(value * GRID) for value in box.corners)
        lines.append(f"{name}: ({x1}, {y1}), ({x2}, {y2})")
    return "\n".join(lines)
