"""A judgment: one judge's outcome on one sample, and how it is written as a line of JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import NoneType
from typing import Any

from gotr1_eval.core.outcome import Outcome, QuestionVerdict, Score, Unscored, Why
from gotr1_eval.core.types import Box, Detection, Json, Sample
from gotr1_eval.models.vlms.cached import read_reply_row, reply_row

Row = dict[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgment:
    """One line of judgments.jsonl.

    Attributes:
        sample: the sample's id.
        judge: the judge's full name.
        fingerprint: of the judge when it judged.
        repeat: 0, or the number of a repeated judgment of the same sample.
        seconds: share of the batch's wall time.
    """

    sample: str
    judge: str
    fingerprint: str
    outcome: Outcome
    repeat: int = 0
    seconds: float = 0.0

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What identifies a judgment; the last line with a key counts."""
        return (self.sample, self.judge, self.fingerprint, self.repeat)

    @property
    def final(self) -> bool:
        """Whether a resume keeps it: everything but a failure of the backend."""
        return isinstance(self.outcome, Score) or self.outcome.why is not Why.BACKEND


def judgment_row(judgment: Judgment) -> Row:
    """The judgment as JSON values; `read_judgment` gives it back."""
    row: Row = {
        "sample": judgment.sample,
        "judge": judgment.judge,
        "fingerprint": judgment.fingerprint,
        "repeat": judgment.repeat,
    }
    outcome = judgment.outcome
    if isinstance(outcome, Score):
        row |= {"value": outcome.value, "parts": dict(outcome.parts), "note": outcome.note}
        row["seen"] = [[seen.label, *map(float, seen.box.corners), float(seen.score)] for seen in outcome.seen]
    else:
        row |= {"why": outcome.why.value, "detail": outcome.detail}
    row["replies"] = [reply_row(reply) for reply in outcome.replies]
    row |= {"questions": [_question_row(one) for one in outcome.questions]} if outcome.questions else {}
    row["seconds"] = round(judgment.seconds, 6)
    return row


def _question_row(one: QuestionVerdict) -> Row:
    return {**asdict(one), "replies": list(one.replies)}


def _read_question(row: Mapping[str, Any]) -> QuestionVerdict:
    return QuestionVerdict(**{**row, "replies": tuple(row["replies"])})


def read_judgment(row: Mapping[str, Any]) -> Judgment:
    """The judgment that a row holds.

    Raises:
        KeyError, ValueError, TypeError: the row was not written by `judgment_row`.
    """
    replies = tuple(read_reply_row(reply) for reply in row["replies"])
    questions = tuple(_read_question(one) for one in row.get("questions", ()))
    outcome: Outcome
    if "why" in row:
        outcome = Unscored(why=Why(row["why"]), detail=row["detail"], replies=replies, questions=questions)
    else:
        seen = tuple(Detection(label, Box(*corners), score) for label, *corners, score in row["seen"])
        outcome = Score(
            value=_of(row, "value", int, float), parts=_of(row, "parts", dict), note=row["note"], replies=replies,
            seen=seen, questions=questions,
        )  # fmt: skip
    return Judgment(
        sample=_of(row, "sample", str),
        judge=_of(row, "judge", str),
        fingerprint=_of(row, "fingerprint", str),
        repeat=_of(row, "repeat", int),
        outcome=outcome,
        seconds=row["seconds"],
    )


def sample_row(sample: Sample, run: Path) -> Row:
    """The sample as JSON values; a picture inside the run folder is written relative to it."""
    image = sample.image
    if image is not None and not isinstance(image, Path):
        raise TypeError(f"sample {sample.id!r} holds its picture in memory; save it before the sample")
    if image is not None and image.is_relative_to(run):
        image = image.relative_to(run)
    return {
        "id": sample.id,
        "prompt": sample.prompt,
        "chain": sample.chain,
        "image": None if image is None else image.as_posix(),
        "seed": sample.seed,
        "generator": sample.generator,
        "meta": dict(sample.meta),
    }


def read_sample(row: Mapping[str, Any], run: Path) -> Sample:
    """The sample that a row of the given run holds.

    Raises:
        KeyError, TypeError: the row was not written by `sample_row`.
    """
    image = None if row["image"] is None else run / row["image"]
    return Sample(
        id=_of(row, "id", str),
        prompt=_of(row, "prompt", str),
        chain=_of(row, "chain", str, NoneType),
        image=image,
        seed=_of(row, "seed", int, NoneType),
        generator=row["generator"],
        meta=_of(row, "meta", dict),
    )


def _of(row: Mapping[str, Any], name: str, *kinds: type) -> Any:  # noqa: ANN401 - of one of the kinds
    """The value under a name; raises TypeError where it is of no such kind."""
    value = row[name]
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise TypeError(f"{name}: expected {wanted}, got {type(value).__name__}")
    return value
