"""What a distilled judge's head reads: numbers about a sample, from a frozen encoder or from rules of our own.

<encoder>   the picture and the prompt, or the drawn plan and the prompt: the product of the two embeddings, place by
            place, and their cosine; a head on it may weigh what of the likeness matters
layout      of plans: where the objects of each stated relation stand to each other
shapes      of drawn shapes: colours, pieces and patterns of the picture beside what the prompt states; no outline is
            looked at, so that it is a tenth of the work of the shapes detector, and knows less
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol

import numpy as np
from PIL import Image

from gotr1_eval.core.canvas import CANVAS_SIDE, draw_plan
from gotr1_eval.core.chain import Chain
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.outcome import Score, Unscored
from gotr1_eval.core.protocols import Encoder, LooksAt, Workshop
from gotr1_eval.core.statistics.ranks import Floats
from gotr1_eval.core.types import Json, Sample
from rewards.inputs import require_picture, require_plan
from rewards.light.layout_features import LayoutFeatures
from rewards.light.shapes_features import ShapesFeatures
from rewards.long_prompts import cut_remarks

Kind = Literal["picture", "plan"]
Row = Floats | Score | Unscored
"""The numbers, or the outcome of a sample that has none: it may score without them (a chain without a box: 0)."""
OWN: Mapping[Kind, str] = {"picture": "shapes", "plan": "layout"}
"""What a judge looks at -> the features that need no encoder."""
VERSION = 1


class Features(Protocol):
    """Numbers about samples, always the same number of them."""

    @property
    def name(self) -> str:
        """Names the encoder, or the rules."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever a number could; may read the encoder's files."""
        ...

    @property
    def looks_at(self) -> LooksAt:
        """What of a sample they are about."""
        ...

    @property
    def may_not_apply(self) -> bool:
        """Whether some prompts have none by their nature."""
        ...

    def rows(self, samples: Sequence[Sample]) -> list[Row]:
        """[features] of each sample, or the outcome that stands for them."""
        ...

    def remarks(self, samples: Iterable[Sample]) -> list[str]:
        """See `gotr1_eval.core.protocols.Remarking`."""
        ...


class EncoderFeatures:
    """Embeddings of prompt and picture, multiplied place by place, and their sum, the cosine."""

    may_not_apply = False

    def __init__(self, encoder: Encoder, kind: Kind) -> None:
        self._encoder = encoder
        self.looks_at: LooksAt = kind
        self.name = encoder.name if kind == "picture" else f"{encoder.name} of drawn plans"

    @property
    def fingerprint(self) -> str:
        """Of the encoder and what it is shown."""
        return fingerprint(
            {"features": "encoder", "version": VERSION, "of": self.looks_at, "encoder": self._encoder.fingerprint}
        )

    def rows(self, samples: Sequence[Sample]) -> list[Row]:
        """[width + 1] each."""
        shown = [self._shown(sample) for sample in samples]
        pictures = [each for each in shown if isinstance(each, Image.Image)]
        if not pictures:
            return [each for each in shown if not isinstance(each, Image.Image)]
        pairs = zip(samples, shown, strict=True)
        prompts = [sample.prompt for sample, each in pairs if isinstance(each, Image.Image)]
        # In double precision, and row by row the same whatever stands beside it in a batch.
        products = self._encoder.embed_images(pictures).astype(np.float64) * self._encoder.embed_texts(prompts)
        numbers = iter(np.column_stack([products, products.sum(axis=1)]))
        return [next(numbers) if isinstance(each, Image.Image) else each for each in shown]

    def remarks(self, samples: Iterable[Sample]) -> list[str]:
        """Whether prompts are longer than the encoder reads."""
        return cut_remarks(self._encoder, self._encoder.name, samples)

    def _shown(self, sample: Sample) -> Image.Image | Score | Unscored:
        if self.looks_at == "picture":
            return require_picture(sample)
        plan = require_plan(sample)
        return draw_plan(plan.boxed, CANVAS_SIDE) if isinstance(plan, Chain) else plan


def build_features(spec: Mapping[str, Json], kind: Kind, workshop: Workshop) -> Features:
    """The features that ``{"use": ...}`` names: `shapes`, `layout`, or an encoder with its settings.

    Raises:
        UsageError: features of the other kind, settings that rules do not have, or no encoder of that name.
    """
    name = str(spec.get("use", ""))
    if name not in OWN.values():
        return EncoderFeatures(workshop.encoder(spec), kind)
    if name != OWN[kind]:
        raise UsageError(f"features {name!r} are not of {kind}s: name an encoder, or {OWN[kind]}")
    if len(spec) > 1:
        raise UsageError(f"features {name!r} have no settings, got {', '.join(key for key in spec if key != 'use')}")
    return LayoutFeatures() if kind == "plan" else ShapesFeatures()
