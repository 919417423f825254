"""A judged run's pictures with their verdicts, as the rules over pictures take them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from gotr1_eval.core.checklist import CheckedPicture, Question
from gotr1_eval.core.outcome import Outcome, QuestionVerdict, Score
from gotr1_eval.core.types import Sample


def checked_pictures(
    samples: Iterable[Sample],
    outcomes: Mapping[str, Outcome],
    verdicts: Literal["counted", "as read"] = "counted",
) -> list[CheckedPicture]:
    """The samples whose outcome has verdicts on questions; their category is that of the sample's `meta`.

    Args:
        outcomes: sample id -> outcome of a checklist's judge.
        verdicts: after the rule of dependency, or before it.
    """
    found = []
    for sample in samples:
        outcome = outcomes.get(sample.id)
        if outcome is not None and outcome.questions:
            found.append(_checked(str(sample.meta.get("category", "all")), outcome, before=verdicts == "as read"))
    return found


def _checked(category: str, outcome: Outcome, *, before: bool) -> CheckedPicture:
    return CheckedPicture(
        category=category,
        questions=tuple(_question(one) for one in outcome.questions),
        verdicts=tuple(one.verdict if before else one.counted for one in outcome.questions),
        value=outcome.value if isinstance(outcome, Score) else None,
    )


def _question(one: QuestionVerdict) -> Question:
    name = f"{one.picture}/{one.question}" if one.picture else one.question
    return Question(id=name, text=one.text, tag=one.tag)
