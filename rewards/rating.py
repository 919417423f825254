"""Judging by a reward model: its own number, raw.

`pick_score`, `image_reward`, `laion_aesthetic` and `hps_v3` are such judges. Their numbers have no bounds, and none
means anything beside another's: a total takes them through a named map (`rewards.total`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from gotr1_eval.core import identifiers
from gotr1_eval.core.outcome import Outcome, Score, Unscored
from gotr1_eval.core.protocols import LooksAt, RewardModel
from gotr1_eval.core.types import Sample
from rewards.inputs import require_picture, require_stored_picture
from rewards.long_prompts import cut_notes, cut_remarks

VERSION = 1
UNBOUNDED = (-1e9, 1e9)
"""The range of numbers that have no bounds; what a sound model says is nowhere near its ends."""


class RatingJudge:
    """What a reward model makes of picture and prompt.

    Args:
        kind: the judge's plug-in name; with the model's it makes the name (``image_reward[ImageReward-v1.0]``).
        model: rates both.
    """

    range = UNBOUNDED
    may_not_apply = False
    looks_at: LooksAt = "picture"
    needs = frozenset[str]()
    model_calls = 0

    def __init__(self, kind: str, model: RewardModel) -> None:
        self._kind = kind
        self._model = model
        self.name = f"{kind}[{model.name}]"

    @property
    def fingerprint(self) -> str:
        """Of the judge and the model; may read the model's files."""
        return identifiers.fingerprint({"judge": self._kind, "version": VERSION, "model": self._model.fingerprint})

    def remarks(self, samples: Iterable[Sample]) -> list[str]:
        """Whether prompts are longer than the model reads."""
        return cut_remarks(self._model, self._model.name, samples)

    def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        """One outcome a sample; `NO_INPUT` without a picture that opens. Raises what the model does."""
        require = require_picture if self._model.sees == "upright" else require_stored_picture
        pictures = [require(sample) for sample in samples]
        shown = [picture for picture in pictures if not isinstance(picture, Unscored)]
        pairs = zip(samples, pictures, strict=True)
        prompts = [sample.prompt for sample, picture in pairs if not isinstance(picture, Unscored)]
        rated = (
            zip(self._model.rate(shown, prompts), cut_notes(self._model, prompts), strict=True) if shown else iter(())
        )
        outcomes: list[Outcome] = []
        for picture in pictures:
            outcome, note = (picture, "") if isinstance(picture, Unscored) else next(rated)
            outcomes.append(replace(outcome, note=note) if note and isinstance(outcome, Score) else outcome)
        return outcomes
