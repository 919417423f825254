"""GenEval 2's score files, and the tables of its scripts.

A file is a JSON list: for each prompt of the data, in its order, the list of its questions' scores (of one score for
VQAScore). Source: facebookresearch/GenEval2@a6e82d2, evaluation.py (main) and soft_tifa_analysis.py.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.geneval2.prompts import ATOMS, SKILLS, Row
from gotr1_eval.core.checklist import CheckedPicture, Mean, Question, macro, macro_by, micro, within_picture
from gotr1_eval.core.errors import DataError, one_line
from gotr1_eval.core.statistics.intervals import Interval, prompt_bootstrap
from gotr1_eval.core.types import Json

Scores = Sequence[float | None]
"""Of one prompt's questions; None for one that was not answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """GenEval 2's numbers, each in [0, 1] with what it stands on.

    Attributes:
        am, gm: means over prompts of the arithmetic and of the geometric mean of a prompt's scores.
        skills: mean over the questions of a skill, each alike, None without any; the script ends there.
        atoms: mean of the geometric means of the prompts with so many atoms, likewise.
        am_interval, gm_interval: 95 %, over prompts.
    """

    am: Mean
    gm: Mean
    skills: Mapping[str, Mean]
    atoms: Mapping[int, Mean]
    am_interval: Interval
    gm_interval: Interval

    def json(self) -> dict[str, Json]:
        """The numbers as JSON values."""
        return {
            "soft_tifa_am": {**asdict(self.am), "interval": [*self.am_interval]},
            "soft_tifa_gm": {**asdict(self.gm), "interval": [*self.gm_interval]},
            "skills": {skill: asdict(mean) for skill, mean in self.skills.items()},
            "atoms": {str(number): asdict(mean) for number, mean in self.atoms.items()},
        }

    def __str__(self) -> str:
        lines = [
            f"Soft-TIFA GM    {_told(self.gm, self.gm_interval)}",
            f"Soft-TIFA AM    {_told(self.am, self.am_interval)}",
            *(f"{skill:<16}{_told(mean)}" for skill, mean in self.skills.items()),
            *(f"{f'{number} atoms, GM':<16}{_told(mean)}" for number, mean in self.atoms.items()),
        ]
        return "\n".join(lines)


def _told(mean: Mean, interval: Interval | None = None) -> str:
    low, high = interval or (None, None)
    value = "  -   " if mean.value is None else f"{100 * mean.value:6.2f}"
    span = "" if low is None or high is None else f" [{100 * low:.2f}, {100 * high:.2f}]"
    counts = f"{mean.pictures} pictures, {mean.questions} questions"
    return f"{value}{span}  ({counts}, {mean.unanswered} not answered)"


def tables(rows: Sequence[Row], scores: Sequence[Scores]) -> Tables:
    """The tables of some pictures' scores.

    Args:
        rows: of the pictures' prompts; pictures of one row are of one prompt to the intervals.
        scores: of each picture's questions.
    """
    pairs = list(zip(rows, scores, strict=True))
    means = [_checked(row, each, geometric=False) for row, each in pairs]
    geometric = [_checked(row, each, geometric=True) for row, each in pairs]
    by_atoms = macro_by(geometric, lambda picture: int(picture.category))
    nothing = macro(())
    return Tables(
        am=macro(means),
        gm=macro(geometric),
        skills={skill: micro(means, lambda question, skill=skill: question.tag == skill) for skill in SKILLS},  # type: ignore[misc]
        atoms={number: by_atoms.get(number, nothing) for number in ATOMS},
        am_interval=_interval(rows, means),
        gm_interval=_interval(rows, geometric),
    )


def _checked(row: Row, scores: Scores, *, geometric: bool) -> CheckedPicture:
    questions: tuple[Question, ...] = row.questions
    value = within_picture(questions, scores, "geometric_mean" if geometric else "mean")
    return CheckedPicture(category=str(row.atoms), questions=questions, verdicts=tuple(scores), value=value)


def _interval(rows: Sequence[Row], pictures: Sequence[CheckedPicture]) -> Interval:
    by_prompt: dict[int, list[float]] = {}
    for row, picture in zip(rows, pictures, strict=True):
        if picture.value is not None:
            by_prompt.setdefault(row.index, []).append(picture.value)
    return prompt_bootstrap(list(by_prompt.values()))


def read_scores(path: Path) -> list[list[float]]:
    """The score lists of an official file.

    Raises:
        DataError: it holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", path=path) from None
    except (ValueError, RecursionError):
        raise DataError(
            "expected a JSON list of lists of scores, as --output_file of the script holds", path=path
        ) from None
    if not isinstance(content, list) or not content:
        raise DataError(f"expected a list of lists of scores, got {one_line(repr(content), 60)}", path=path)
    for place, scores in enumerate(content):
        if not isinstance(scores, list) or not scores or not all(map(_is_score, scores)):
            raise DataError(f"prompt {place}: expected scores in [0, 1], got {one_line(repr(scores), 60)}", path=path)
    return [[min(float(score), 1.0) for score in scores] for scores in content]


def _is_score(value: object) -> bool:
    """Whether it is a sum of probabilities, which float32 may round a little above 1."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and 0 <= value < 1 + 1e-5
        and math.isfinite(value)
    )


def write_scores(scores: Sequence[Scores]) -> str:
    """The official file of the scores of all prompts, every question answered."""
    return json.dumps([list(each) for each in scores]) + "\n"
