"""T2I-CompBench's non-spatial metric: the cosine of picture and prompt in CLIP's space, as it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.detection_source import Pictures, open_all
from benchmarks.semantics import Semantics, metric_name, official_prompt, within
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.outcome import Outcome, Score, Unscored
from gotr1_eval.core.protocols import Encoder, LooksAt, Workshop
from gotr1_eval.core.types import Sample
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings

VERSION = 1
CATEGORIES = ("non_spatial",)


class Settings(StrictSettings):
    """The encoder (the benchmark's own is CLIP ViT-B/32), and whose semantics."""

    encoder: Component
    semantics: Semantics = "reference"


class NonSpatialJudge:
    """Both semantics agree but for prompts with an underscore. Texts over 77 tokens, which end the official script, are
    cut off by the encoder."""

    range = (-1.0, 1.0)
    may_not_apply = True
    looks_at: LooksAt = "picture"
    needs = frozenset({"category"})
    model_calls = 0

    def __init__(self, encoder: Encoder, semantics: Semantics) -> None:
        self.encoder = encoder
        self.semantics: Semantics = semantics
        self.name = metric_name("non_spatial", [encoder.name], semantics)

    @property
    def fingerprint(self) -> str:
        """Of the encoder's and the settings."""
        return fingerprint({"judge": self.name, "version": VERSION, "of": self.encoder.fingerprint})

    def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        """One outcome a sample; `NOT_APPLICABLE` outside the category non_spatial."""
        return within(CATEGORIES, samples, self._judge)

    def _judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        texts = [official_prompt(sample.prompt, self.semantics) for sample in samples]
        return cosine_outcomes(self.encoder, open_all(samples), texts)


def cosine_outcomes(encoder: Encoder, pictures: Pictures, texts: Sequence[str]) -> list[Outcome]:
    """The cosine of each picture and its text; a text that occurs several times is embedded once."""
    sound = [
        (picture, text) for picture, text in zip(pictures, texts, strict=True) if not isinstance(picture, Unscored)
    ]
    places = {text: place for place, text in enumerate(dict.fromkeys(text for _, text in sound))}
    if not sound:
        return [picture for picture in pictures if isinstance(picture, Unscored)]
    rows = encoder.embed_images([picture for picture, _ in sound])
    columns = encoder.embed_texts(list(places))[[places[text] for _, text in sound]]
    # Rounding may carry the cosine of equal directions over 1 by an ulp.
    values = iter(np.clip(np.einsum("nd,nd->n", rows, columns), -1.0, 1.0).tolist())
    return [picture if isinstance(picture, Unscored) else Score(value=next(values)) for picture in pictures]


def build(settings: Settings, workshop: Workshop) -> NonSpatialJudge:
    """The judge; the encoder loads when first asked."""
    return NonSpatialJudge(workshop.encoder(settings.encoder), settings.semantics)
