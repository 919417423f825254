"""The threshold of a cascade, found on items that both judges and a reference know, and what it will cost and lose.

For every threshold the cascade's scores on such items follow from the two judges' own. The threshold is the one that
spares the strong judge most while the agreement stays within an allowed loss of the strong judge's. What is told
beforehand comes from held-out prompts: in five folds the threshold is chosen on the others alone, and the scores that
it makes of the held-out ones are put together. The interval has two errors in it: other prompts, by a bootstrap of
these, and another threshold, as it would have been chosen on other draws of the prompts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import hypot

import numpy as np
from numpy.typing import NDArray

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.statistics.folds import fold_numbers, held_out
from gotr1_eval.core.statistics.intervals import Estimate, estimate, prompt_weights
from gotr1_eval.core.statistics.ranks import Floats
from gotr1_eval.core.types import Json
from reports.frontier.cascade_study import Study
from reports.frontier.coefficients import coefficient, why_none
from rewards.cascade import ASKED_STRONG
from rewards.light.doubt import Evidence

MOST_THRESHOLDS = 100
MOST_REFITS = 200
"""Draws of prompts in which a threshold is chosen anew."""


@dataclass(frozen=True, slots=True)
class Point:
    """One threshold on the whole study: share of items for the strong judge, agreement."""

    threshold: float
    share: float
    agreement: float | None

    def json(self) -> dict[str, Json]:
        return {"threshold": self.threshold, "share": self.share, "agreement": self.agreement}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A threshold and what it promises.

    Attributes:
        by: the coefficient.
        allowed: loss of agreement.
        share: of the items that go to the strong judge, and `loss` of agreement against it alone, on held-out prompts.
        cheap, strong, cascade: agreement with the reference; of the cascade on held-out prompts.
        folds: the threshold that each fold chose.
        curve: over all thresholds, on the whole study.
    """

    threshold: float
    evidence: Evidence
    by: str
    allowed: float
    items: int
    prompts: int
    share: Estimate
    loss: Estimate
    cheap: Estimate
    strong: Estimate
    cascade: Estimate
    folds: tuple[float, ...]
    curve: tuple[Point, ...]
    left_out: Mapping[str, int]

    def json(self) -> dict[str, Json]:
        """Everything as JSON values."""
        agreement = {"cheap": self.cheap, "strong": self.strong, "cascade": self.cascade}
        return {
            "threshold": self.threshold,
            "evidence": self.evidence,
            "coefficient": self.by,
            "allowed_loss": self.allowed,
            "items": self.items,
            "prompts": self.prompts,
            "share": self.share.json(),
            "loss": self.loss.json(),
            "agreement": {who: one.json() for who, one in agreement.items()},
            "thresholds_of_folds": list(self.folds),
            "curve": [point.json() for point in self.curve],
            "left_out": dict(self.left_out),
        }


def fit_threshold(
    study: Study, *, evidence: Evidence, by: str, allowed: float, draws: int = 1000, seed: int = 0
) -> Fitted:
    """The greatest threshold within the allowed loss, and its promise from held-out prompts.

    Raises:
        UsageError: the agreement of the strong judge itself is undefined.
    """
    if _agreement(by, study.strong, study.reference) is None:
        why = why_none(by, study.strong, study.reference)
        raise UsageError(f"cascade: the strong judge's agreement is undefined: {why}")
    curve = [
        Point(t, float(study.passed(t).mean()), _agreement(by, study.scores(t), study.reference))
        for t in thresholds(study.doubts)
    ]
    made, passed, chosen = np.full(len(study.prompts), np.nan), np.zeros(len(study.prompts)), []
    for fitted, out in held_out(fold_numbers(study.prompts, seed)):
        chosen.append(choose(study.some(fitted), by, allowed))
        made[out], passed[out] = study.some(out).scores(chosen[-1]), study.some(out).passed(chosen[-1])
    told = promise(study, made, passed, by, draws, seed)
    share, loss = _chosen_anew(study, by, allowed, min(draws, MOST_REFITS), seed)
    return Fitted(
        threshold=choose(study, by, allowed),
        evidence=evidence,
        by=by,
        allowed=allowed,
        items=len(study.prompts),
        prompts=len(set(study.prompts)),
        share=_wider(told.share, share, (0.0, 1.0)),
        loss=_wider(told.loss, loss, (-2.0, 2.0)),
        cheap=told.cheap,
        strong=told.strong,
        cascade=told.cascade,
        folds=tuple(chosen),
        curve=tuple(curve),
        left_out=study.left_out,
    )


def thresholds(doubts: Floats) -> list[float]:
    """0, 1, and between them at most `MOST_THRESHOLDS` that part the doubts, in the middle between two of them."""
    known = np.unique(doubts[~np.isnan(doubts)])
    middles = np.unique(np.round((known[1:] + known[:-1]) / 2, 4))
    if len(middles) > MOST_THRESHOLDS:
        middles = middles[np.unique(np.linspace(0, len(middles) - 1, MOST_THRESHOLDS).astype(int))]
    inside = [float(one) for one in middles if 0 < one < 1]
    return [0.0, *inside, 1.0]


def choose(study: Study, by: str, allowed: float) -> float:
    """The greatest threshold at which the agreement is at most so much below the strong judge's."""
    whole = _agreement(by, study.strong, study.reference)
    for threshold in reversed(thresholds(study.doubts)):
        found = _agreement(by, study.scores(threshold), study.reference)
        if whole is not None and found is not None and whole - found <= allowed + 1e-12:
            return threshold
    return 0.0


def _chosen_anew(study: Study, by: str, allowed: float, draws: int, seed: int) -> tuple[Floats, Floats]:
    """[draws] each: share of the strong judge, and loss, of the whole study at thresholds chosen on draws of it."""
    counts = prompt_weights(study.prompts, draws, seed)[0][1:]
    candidates = thresholds(study.doubts)
    whole = coefficient(by, study.strong, study.reference, counts)
    losses = np.array([whole - coefficient(by, study.scores(t), study.reference, counts) for t in candidates])
    within = losses <= allowed + 1e-12
    within[0] = True
    chosen = len(candidates) - 1 - np.argmax(within[::-1], axis=0)
    shares = np.array([study.passed(threshold).mean() for threshold in candidates])
    whole_losses = np.array([_loss(study, by, threshold) for threshold in candidates])
    return shares[chosen], whole_losses[chosen]


def _loss(study: Study, by: str, threshold: float) -> float:
    """On the whole study; NaN where undefined."""
    whole, made = (_agreement(by, scores, study.reference) for scores in (study.strong, study.scores(threshold)))
    return np.nan if whole is None or made is None else whole - made


def _wider(told: Estimate, drawn: Floats, ends: tuple[float, float]) -> Estimate:
    """The interval of new prompts, and what other thresholds would have made of the number, as independent errors.

    Args:
        ends: where the number cannot go beyond.
    """
    known = drawn[~np.isnan(drawn)]
    if told.low is None or told.high is None or told.value is None or not len(known):
        return told
    low, middle, high = np.quantile(known, (0.025, 0.5, 0.975)).tolist()
    return Estimate(
        told.value,
        max(told.value - hypot(told.value - told.low, middle - low), ends[0]),
        min(told.value + hypot(told.high - told.value, high - middle), ends[1]),
    )


def _agreement(by: str, scores: Floats, reference: Floats) -> float | None:
    found = float(coefficient(by, scores, reference, np.ones((1, len(scores))))[0])
    return None if np.isnan(found) else found


@dataclass(frozen=True, slots=True)
class Promise:
    """Share of the strong judge, loss against it, and three agreements."""

    share: Estimate
    loss: Estimate
    cheap: Estimate
    strong: Estimate
    cascade: Estimate


def promise(study: Study, made: Floats, passed: Floats, by: str, draws: int, seed: int) -> Promise:
    """What a cascade's scores on the study's items come to, with intervals over prompts.

    Args:
        made: [items] the cascade's scores.
        passed: [items] 1 where the strong judge was asked.
    """
    weights, many = prompt_weights(study.prompts, draws, seed)
    scored = ~np.isnan(study.cheap)

    def agreement(scores: Floats, kept: NDArray[np.bool_] | slice = slice(None)) -> Floats:
        return coefficient(by, scores[kept], study.reference[kept], weights[:, kept])

    whole, cascade = agreement(study.strong), agreement(made)
    cheap = agreement(study.cheap, scored)
    return Promise(
        share=estimate((weights @ passed) / weights.sum(axis=1), prompts=many),
        loss=estimate(whole - cascade, why_none(by, made, study.reference), many),
        cheap=estimate(cheap, why_none(by, study.cheap[scored], study.reference[scored]), many),
        strong=estimate(whole, prompts=many),
        cascade=estimate(cascade, why_none(by, made, study.reference), many),
    )


def share_of(prompts: Sequence[str], passed: Floats, draws: int, seed: int) -> Estimate:
    """The share of items that went to the strong judge, with its interval over prompts."""
    weights, many = prompt_weights(prompts, draws, seed)
    return estimate((weights @ passed) / weights.sum(axis=1), prompts=many)


@dataclass(frozen=True, slots=True)
class Kept:
    """Whether a promise was kept on other items.

    Attributes:
        told, found: the number beforehand and afterwards.
    """

    told: Estimate
    found: Estimate

    @property
    def verdict(self) -> str:
        """In words; two numbers agree where their difference is within both intervals together."""
        told, found = self.told, self.found
        if None in (told.value, told.low, told.high, found.value, found.low, found.high):
            return "cannot be told"
        reach = hypot(*((one.high or 0.0) - (one.low or 0.0) for one in (told, found))) / 2
        difference = (found.value or 0.0) - (told.value or 0.0)
        return "as told" if abs(difference) <= reach else "more than told" if difference > 0 else "less than told"

    def json(self) -> dict[str, Json]:
        return {"told": self.told.json(), "found": self.found.json(), "verdict": self.verdict}


def asked_of_run(outcomes: Mapping[str, Outcome]) -> dict[str, float]:
    """Item -> whether the strong judge decided, of a cascade's own scores."""
    scores = {item: one for item, one in outcomes.items() if isinstance(one, Score) and ASKED_STRONG in one.parts}
    return {item: one.parts[ASKED_STRONG] for item, one in scores.items()}
