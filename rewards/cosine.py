"""Judging by an encoder: the cosine of the embeddings of picture and prompt.

Any encoder makes such a judge; `aesthetic` and `clip_score` are the two that have a name of their own. The value is
the raw cosine in [-1, 1], not scaled and not cut at 0: a total takes it through a named map (`rewards.total`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from gotr1_eval.core import identifiers
from gotr1_eval.core.outcome import Outcome, Score, Unscored
from gotr1_eval.core.protocols import Encoder, LooksAt
from gotr1_eval.core.types import Sample
from rewards.inputs import require_picture
from rewards.long_prompts import cut_notes, cut_remarks

VERSION = 1


class CosineJudge:
    """The cosine of picture and prompt.

    Args:
        kind: the judge's plug-in name; with the encoder's it makes the name (``aesthetic[hps-v2.1]``).
        encoder: embeds both.
    """

    range = (-1.0, 1.0)
    may_not_apply = False
    looks_at: LooksAt = "picture"
    needs = frozenset[str]()
    model_calls = 0

    def __init__(self, kind: str, encoder: Encoder) -> None:
        self._kind = kind
        self._encoder = encoder
        self.name = f"{kind}[{encoder.name}]"

    @property
    def fingerprint(self) -> str:
        """Of the judge and the encoder; may read the encoder's files."""
        return identifiers.fingerprint({"judge": self._kind, "version": VERSION, "encoder": self._encoder.fingerprint})

    def remarks(self, samples: Iterable[Sample]) -> list[str]:
        """Whether prompts are longer than the encoder reads."""
        return cut_remarks(self._encoder, self._encoder.name, samples)

    def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        """One outcome a sample; `NO_INPUT` without a picture that opens. Raises what the encoder does."""
        pictures = [require_picture(sample) for sample in samples]
        shown = [picture for picture in pictures if not isinstance(picture, Unscored)]
        if not shown:
            return [picture for picture in pictures if isinstance(picture, Unscored)]
        pairs = zip(samples, pictures, strict=True)
        prompts = [sample.prompt for sample, picture in pairs if not isinstance(picture, Unscored)]
        cosines = (self._encoder.embed_images(shown) * self._encoder.embed_texts(prompts)).sum(axis=1)
        # Unit rows in float32 can have a cosine a hair above 1.
        values = np.clip(cosines, -1.0, 1.0).tolist()
        notes = cut_notes(self._encoder, prompts)
        scores = iter([Score(value=value, note=note) for value, note in zip(values, notes, strict=True)])
        return [picture if isinstance(picture, Unscored) else next(scores) for picture in pictures]
