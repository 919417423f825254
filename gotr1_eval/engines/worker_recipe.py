"""What another process needs to build a run's generator and judges: plain values that travel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gotr1_eval.build import Builder
from gotr1_eval.core.types import Json
from gotr1_eval.runs.sources import GeneratedPictures, PictureSource
from rewards.reward_set import RewardSet
from rewards.total import Total


@dataclass(frozen=True, slots=True)
class Recipe:
    """A source of pictures and judges, not built yet.

    Attributes:
        pictures: the settings of the model that generates, or a source that finds its pictures without one.
        judges: factor -> the settings of its judge.
    """

    pictures: dict[str, Json] | PictureSource
    judges: Mapping[str, Mapping[str, Json]]
    total: Total | None

    @classmethod
    def of(cls, builder: Builder, pictures: PictureSource, rewards: RewardSet) -> Recipe:
        """The recipe of what this builder built.

        Raises:
            UsageError: a judge or generator was made elsewhere.
        """
        return cls(
            pictures=builder.spec_of(pictures.generator) if isinstance(pictures, GeneratedPictures) else pictures,
            judges={factor: builder.spec_of(judge) for factor, judge in rewards.judges.items()},
            total=rewards.total,
        )

    @property
    def generates(self) -> bool:
        """Whether a model generates the pictures."""
        return isinstance(self.pictures, dict)

    def source(self, builder: Builder) -> PictureSource:
        """The source of the pictures; a model reads its weights when it is first asked."""
        if isinstance(self.pictures, dict):
            return GeneratedPictures(builder.generator(self.pictures))
        return self.pictures

    def rewards(self, builder: Builder) -> RewardSet:
        """The judges and their total."""
        return RewardSet({factor: builder.judge(spec) for factor, spec in self.judges.items()}, self.total)
