"""The judges of an audit, each asked only what it can be asked, and the variants of a judge that draws plans."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from benchmarks.audit.cases import Looks
from gotr1_eval.core.checklist import QUESTIONS
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Outcome, Unscored, Why
from gotr1_eval.core.protocols import Judge, LooksAt
from gotr1_eval.core.types import Json, Sample

VARIANT = "~"
"""Stands between a judge's factor and what its variant changes: ``spatial~colours``."""

VARIANT_SETTINGS: Mapping[str, Mapping[str, Json]] = {
    "colours": {"first_colour": 4},
    "labels": {"label_scale": 1.4},
}
"""Settings of the drawn layout that must not matter."""

NOT_WORDED = "the prompt is worded outside the judge's fixed language"


class Examined:
    """A judge that answers the samples made for its kind; `NOT_APPLICABLE` to all others.

    Args:
        parts: (part, roles) that it is asked about; no roles means all. Empty for every part.
    """

    may_not_apply = True
    needs = frozenset({"category", "looks_at", "role", "free"})

    def __init__(self, judge: Judge, looks: Looks, parts: Mapping[str, tuple[str, ...]] | None = None) -> None:
        self.judged = judge
        self.looks = looks
        self.looks_at = cast(LooksAt, Looks.PICTURE.value if looks is Looks.QUESTIONS else looks.value)
        self.parts = parts
        self.name = judge.name
        self.range = judge.range
        self.model_calls = judge.model_calls

    @property
    def fingerprint(self) -> str:
        """The judge's own."""
        return self.judged.fingerprint

    def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        """One outcome a sample, in order."""
        asked = [sample for sample in samples if self._asked(sample)]
        answers = iter(self.judged.judge(asked) if asked else [])
        return [self._answer(sample, answers) for sample in samples]

    def _answer(self, sample: Sample, answers: Iterator[Outcome]) -> Outcome:
        if not self._asked(sample):
            looks = sample.meta["looks_at"]
            detail = f"made for judges of {looks}, this one judges {self.looks.value}"
            return Unscored(why=Why.NOT_APPLICABLE, detail=detail if looks != self.looks.value else "not asked")
        outcome = next(answers)
        worded = sample.meta["free"] and isinstance(outcome, Unscored) and outcome.why is Why.NO_INPUT
        return Unscored(why=Why.NOT_APPLICABLE, detail=NOT_WORDED) if worded else outcome

    def _asked(self, sample: Sample) -> bool:
        if sample.meta["looks_at"] != self.looks.value:
            return False
        if self.parts is None:
            return True
        roles = self.parts.get(str(sample.meta["category"]))
        return roles is not None and (not roles or sample.meta["role"] in roles)


def looks_at(judge: Judge, given: str | None) -> Looks:
    """What the judge looks at: questions where it needs them, what its own field `looks_at` says, or else as given.

    Raises:
        UsageError: neither tells.
    """
    if QUESTIONS in judge.needs:
        return Looks.QUESTIONS
    known = [looks.value for looks in Looks]
    named = judge.looks_at or given
    if named not in known:
        came = "nothing" if named is None else repr(named)
        raise UsageError(
            f"judge {judge.name}: what does it look at? expected one of {', '.join(known)}, got {came}; say it with "
            "--looks-at, or in the judge's field looks_at"
        )
    return Looks(named)


def variant_specs(spec: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Variants of a judge that shows a model the drawn plan, by what they change; none for other judges.

    "text" writes coordinates instead, or draws where the judge itself writes: the paper's central claim, measured.
    """
    if spec.get("use") != "spatial":
        return {}
    written = bool(spec.get("text", False))
    variants: dict[str, dict[str, Any]] = {"drawn" if written else "text": {**spec, "text": not written}}
    if not written:
        variants |= {name: {**spec, **changed} for name, changed in VARIANT_SETTINGS.items()}
    return variants
