"""What another process needs to build a run's painter and judges: plain values that travel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gotr1_eval.build import Builder
from gotr1_eval.core.types import Json
from gotr1_eval.runs.sources import GeneratorPainter, Painter
from rewards.reward_set import RewardSet
from rewards.total import Total


@dataclass(frozen=True, slots=True)
class Recipe:
    """A painter and judges, not built yet.

    Attributes:
        pictures: the settings of the model that paints, or a painter that finds its pictures without one.
        judges: factor -> the settings of its judge.
    """

    pictures: dict[str, Json] | Painter
    judges: Mapping[str, Mapping[str, Json]]
    total: Total | None

    @classmethod
    def of(cls, builder: Builder, painter: Painter, rewards: RewardSet) -> Recipe:
        """The recipe of what this builder built.

        Raises:
            UsageError: a judge or generator was made elsewhere.
        """
        return cls(
            pictures=builder.spec_of(painter.generator) if isinstance(painter, GeneratorPainter) else painter,
            judges={factor: builder.spec_of(judge) for factor, judge in rewards.judges.items()},
            total=rewards.total,
        )

    @property
    def paints(self) -> bool:
        """Whether a model paints the pictures."""
        return isinstance(self.pictures, dict)

    def painter(self, builder: Builder) -> Painter:
        """The painter; a model reads its weights when it is first asked."""
        if isinstance(self.pictures, dict):
            return GeneratorPainter(builder.generator(self.pictures))
        return self.pictures

    def rewards(self, builder: Builder) -> RewardSet:
        """The judges and their total."""
        return RewardSet({factor: builder.judge(spec) for factor, spec in self.judges.items()}, self.total)
