"""A cascade: a cheap judge where it is sure, a strong one where it is not.

    cascade,cheap=geometric,strong=spatial,threshold=0.4,evidence=components

The cheap judge sees every sample. Its score stands where its doubt (`rewards.light.doubt`) is below the threshold,
which `gotr1-eval cascade fit` finds on a study; every other sample goes to the strong judge. So does what the cheap one
could not score, for whatever reason but one: a failure of its model or server is no verdict, and is asked again. At
threshold 0 the cascade is the strong judge; at 1 it is the cheap one, and the strong one scores what that could not.

The value and all parts are those of the judge that decided; two more parts say how it came to that (`asked strong`, 0
or 1, and `doubt` of the cheap one where it scored), and the replies of both are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import ClassVar

from pydantic import Field

from gotr1_eval.core import identifiers
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.judging import judge_batch
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.protocols import Answers, Asking, Foreseeing, Judge, LooksAt, Refusable, Remarking, Workshop
from gotr1_eval.core.types import AskedCalls, Sample
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings
from rewards.light.doubt import Evidence, believed, doubt

VERSION = 1
ASKED_STRONG, DOUBT = "asked strong", "doubt"


class Settings(StrictSettings):
    """Who is asked, and when.

    Attributes:
        cheap, strong: judges with their settings; a common model of the command is that of both.
        threshold: the doubt from which the strong judge is asked, in [0, 1].
        evidence: what of the cheap judge's answer says how sure it is.
    """

    holds_judges: ClassVar[frozenset[str]] = frozenset({"cheap", "strong"})
    cheap: Component
    strong: Component
    threshold: float = Field(ge=0, le=1)
    evidence: Evidence = "value"


class CascadeJudge:
    """The cheap judge's score where it is sure, otherwise the strong one's."""

    def __init__(self, cheap: Judge, strong: Judge, threshold: float, evidence: Evidence = "value") -> None:
        """Raises UsageError for judges on different scales, or one judge twice."""
        if cheap.range != strong.range:
            raise UsageError(
                f"cascade: {cheap.name} scores in {list(cheap.range)} and {strong.name} in {list(strong.range)}; both "
                "judges must be on one scale"
            )
        if cheap.name == strong.name:
            raise UsageError(f"cascade: cheap and strong are the same judge, {cheap.name}")
        self.cheap, self.strong = cheap, strong
        self.threshold, self.evidence = threshold, evidence
        self.name = f"cascade[{cheap.name}, {strong.name} from doubt {threshold!r} of its {evidence}]"
        self.range = strong.range
        self.may_not_apply = strong.may_not_apply
        self.looks_at: LooksAt | None = strong.looks_at if strong.looks_at == cheap.looks_at else None
        self.needs = cheap.needs & strong.needs
        self.model_calls = cheap.model_calls

    @cached_property
    def fingerprint(self) -> str:
        """Of both judges, the threshold and the evidence."""
        return identifiers.fingerprint(
            {
                "judge": "cascade", "version": VERSION, "cheap": self.cheap.fingerprint,
                "strong": self.strong.fingerprint, "threshold": self.threshold, "evidence": self.evidence,
            }
        )  # fmt: skip

    @property
    def answers(self) -> Answers:
        """Of the strong judge where it asks a model, else of the cheap one."""
        asking = [judge.answers for judge in (self.strong, self.cheap) if isinstance(judge, Asking)]
        return next((answers for answers in asking if answers != "none"), "none")

    @property
    def refused_as_reward(self) -> str:
        """What speaks against either judge."""
        judges = [judge for judge in (self.cheap, self.strong) if isinstance(judge, Refusable)]
        return "; ".join(f"{judge.refused_as_reward}" for judge in judges if judge.refused_as_reward)

    def calls(self, sample: Sample) -> AskedCalls:
        """At most so many: both judges are asked."""
        return _calls(self.cheap, sample) + _calls(self.strong, sample)

    def remarks(self, samples: Iterable[Sample]) -> list[str]:
        """Those of both judges."""
        known = list(samples)
        return [
            line for judge in (self.cheap, self.strong) if isinstance(judge, Remarking) for line in judge.remarks(known)
        ]

    def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        """One outcome a sample, in order."""
        first = judge_batch(self.cheap, samples)
        doubts = [doubt(one, self.evidence, self.cheap.range) if isinstance(one, Score) else None for one in first]
        passed = [
            place
            for place, (outcome, unsure) in enumerate(zip(first, doubts, strict=True))
            if passes_on(outcome, unsure, self.threshold)
        ]
        answers = dict(zip(passed, judge_batch(self.strong, [samples[place] for place in passed]), strict=True))
        return [
            _told(answers[place], doubts[place], before=outcome) if place in answers else _told(outcome, doubts[place])
            for place, outcome in enumerate(first)
        ]


def passes_on(outcome: Outcome, unsure: float | None, threshold: float) -> bool:
    """Whether a sample goes to the strong judge.

    Args:
        outcome: the cheap judge's.
        unsure: its doubt, where it scored.
    """
    if isinstance(outcome, Unscored):
        return outcome.why is not Why.BACKEND
    return unsure is None or not believed(unsure, threshold)


def _told(outcome: Outcome, unsure: float | None, before: Outcome | None = None) -> Outcome:
    """The deciding judge's outcome, with how it came to be asked and what the cheap one had replied."""
    replies = (*(() if before is None else before.replies), *outcome.replies)
    if isinstance(outcome, Unscored):
        return replace(outcome, replies=replies)
    way = {ASKED_STRONG: float(before is not None)} | ({} if unsure is None else {DOUBT: unsure})
    return replace(outcome, parts={**outcome.parts, **way}, replies=replies)


def _calls(judge: Judge, sample: Sample) -> AskedCalls:
    return judge.calls(sample) if isinstance(judge, Foreseeing) else AskedCalls(calls=judge.model_calls)


def build(settings: Settings, workshop: Workshop) -> CascadeJudge:
    """The judge with both of its judges."""
    cheap, strong = workshop.judge(settings.cheap), workshop.judge(settings.strong)
    return CascadeJudge(cheap, strong, settings.threshold, settings.evidence)
