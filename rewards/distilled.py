"""A light judge: a small head on features, fitted by `gotr1-eval distil` to the scores of a strong judge.

Its name states the judge that it imitates, the features, the kind of head and its training set; parts hold the raw
value (before it is cut off at the range) and the spread of the cross-validation's heads on this sample, which tells a
`cascade` how sure it is. A policy finds what a head of few numbers gives for nothing: where the audit's trust card says
no, or there is none of this very head, it is refused as a reward unless `untrusted` is set, and then its name says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from gotr1_eval.core import identifiers
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.protocols import LooksAt, Workshop
from gotr1_eval.core.types import Sample
from gotr1_eval.settings import Settings as StrictSettings
from rewards.light.features import Features, build_features
from rewards.light.head_file import Distilled, read_head

VERSION = 1
TRUSTED = ("yes", "with care")
"""Answers of the trust card under which a judge may be a reward."""


class Settings(StrictSettings):
    """Where it lies.

    Attributes:
        folder: that `gotr1-eval distil` wrote.
        untrusted: take it as a reward although its audit failed.
    """

    folder: Path
    untrusted: bool = False


class DistilledJudge:
    """Scores by the head of a folder."""

    needs = frozenset[str]()
    model_calls = 0

    def __init__(self, distilled: Distilled, features: Features, *, untrusted: bool = False) -> None:
        self.distilled = distilled
        self._features = features
        self.range = distilled.range
        self.may_not_apply = features.may_not_apply
        self.looks_at: LooksAt = features.looks_at
        self._accepted = (untrusted or distilled.untrusted) and bool(self._fault)
        training = f"{distilled.training['samples']} samples {str(distilled.training['digest'])[:4]}"
        told = [distilled.source, distilled.features_name, distilled.head.kind, training]
        self.name = f"distilled[{', '.join([*told, *(['untrusted'] if self._accepted else [])])}]"

    @cached_property
    def fingerprint(self) -> str:
        """Of the heads, and of the features as they are now; may read the encoder's files."""
        self._check_features()
        return identifiers.fingerprint({"judge": "distilled", "version": VERSION, "head": self.distilled.fingerprint})

    @property
    def _fault(self) -> str:
        """Why it should not be trained on; empty where its audit passed."""
        trust = self.distilled.trust
        if trust is None or trust.get("head") != self.distilled.fingerprint:
            return "it has no audit of this head"
        return "" if trust["can_be_trained_on"] in TRUSTED else f"its audit says {trust['told']}"

    @property
    def refused_as_reward(self) -> str:
        """See `gotr1_eval.core.protocols.Refusable`."""
        return (
            "" if self._accepted or not self._fault else f"{self._fault}; set untrusted = true to take it all the same"
        )

    def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        """One outcome a sample; what the features say of samples that have none. Raises what an encoder does."""
        self._check_features()
        rows = self._features.rows(samples)
        table = np.array([row for row in rows if isinstance(row, np.ndarray)])
        if not len(table):
            return [row for row in rows if not isinstance(row, np.ndarray)]
        if table.shape[1] != len(self.distilled.head.weights):
            raise UsageError(
                f"{self.name}: fitted on {len(self.distilled.head.weights)} features, got {table.shape[1]}"
            )
        scores = iter(self._scores(table))
        return [next(scores) if isinstance(row, np.ndarray) else row for row in rows]

    def _scores(self, table: np.ndarray) -> list[Score]:
        raw, spread = self.distilled.raw(table), self.distilled.spread(table)
        values = np.clip(raw, *self.range)
        return [
            Score(value=value, parts={"raw": before, "spread": sure})
            for value, before, sure in zip(values.tolist(), raw.tolist(), spread.tolist(), strict=True)
        ]

    def remarks(self, samples: Iterable[Sample]) -> list[str]:
        """What the features have to remark, a failed audit, and prompts that the heads were fitted on."""
        samples = list(samples)
        fault = [f"{self.name}: {self._fault}"] if self._fault else []
        return [*fault, *self._seen(samples), *self._features.remarks(samples)]

    def _seen(self, samples: Sequence[Sample]) -> list[str]:
        known = self.distilled.training.get("prompt_marks", [])
        assert isinstance(known, list)
        prompts = {sample.prompt for sample in samples}
        seen = sum(prompt_mark(prompt) in known for prompt in prompts)
        if not seen:
            return []
        return [
            f"{self.name}: {seen} of {len(prompts)} prompts are among those it was distilled from; there its agreement "
            "with its source is no evidence"
        ]

    def _check_features(self) -> None:
        if self._features.fingerprint != self.distilled.features_fingerprint:
            raise UsageError(
                f"{self.name}: fitted on features with the fingerprint {self.distilled.features_fingerprint}, "
                f"{self._features.name} now has {self._features.fingerprint}; distil it again"
            )


def prompt_mark(prompt: str) -> str:
    """By which a prompt is known again without being kept."""
    return hashlib.sha256(identifiers.utf8(prompt)).hexdigest()[:12]


def build(settings: Settings, workshop: Workshop) -> DistilledJudge:
    """The judge with its features."""
    distilled = read_head(settings.folder)
    features = build_features(distilled.features, distilled.looks_at, workshop)
    return DistilledJudge(distilled, features, untrusted=settings.untrusted)
