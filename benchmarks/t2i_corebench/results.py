"""T2I-CoReBench's result files, and what they come to.

A file is of one dimension and one judge (``<dimension>-<judge>.json``): picture -> its prompt, its checklist with a
score of 1, 0 or "" a question, and the picture's score; beside the pictures stands mean_score. Written by
KlingTeam/T2I-CoReBench@ebf7b7a, evaluate.py:234, which has no summary over dimensions; that mean is the leaderboard's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from benchmarks.t2i_corebench.reading import Verdict, dimension_mean, image_score, verdict_of
from gotr1_eval.core.errors import DataError
from gotr1_eval.core.statistics.intervals import Interval, inside, overall_bootstrap
from gotr1_eval.core.types import Json

COMPOSITION = ("C-MI", "C-MA", "C-MR", "C-TR")
REASONING = ("R-LR", "R-BR", "R-HR", "R-PR", "R-GR", "R-AR", "R-CR", "R-RR")
DIMENSIONS = (*COMPOSITION, *REASONING)
_MEAN = "mean_score"


def picture_id(file_name: str) -> str:
    """The name under which the official script files a picture: up to its *first* dot.

    Two names that differ behind it overwrite each other there.
    """
    return file_name.split(".", maxsplit=1)[0]


def prompt_key(name: str) -> str:
    """The prompt of a picture, of its name's first three parts between dashes: ``C-MI-001-2.png`` -> ``C-MI-001``."""
    return "-".join(name.split("-")[:3])


def dimension_of(name: str) -> str:
    """The dimension of a picture or prompt: ``C-MI-001`` -> ``C-MI``."""
    return "-".join(name.split("-")[:2])


def kept_verdict(entry: Any, question: str) -> Verdict | None:  # noqa: ANN401 (an entry of somebody's file)
    """The verdict that a file holds on a question; None where it holds none, or one on another wording.

    The official --update asks again then.
    """
    score = entry.get("score") if isinstance(entry, dict) and entry.get("question") == question else None
    return verdict_of(score) if isinstance(score, int | float) and score in (0, 1) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture's verdicts, one a question, None for no verdict."""

    id: str
    verdicts: tuple[Verdict | None, ...]

    @property
    def score(self) -> float | None:
        """The mean of its verdicts."""
        return image_score(self.verdicts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """A dimension's mean.

    Attributes:
        mean: over pictures with a verdict, in [0, 1]; None without any.
        pictures: that have one.
        questions: of all pictures; `silent`: without a verdict.
        groups: the pictures' scores, a list a prompt.
    """

    mean: float | None
    pictures: int
    questions: int
    silent: int
    groups: Sequence[Sequence[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The dimensions in the benchmark's order, and the means over them; None while a dimension is missing."""

    dimensions: Mapping[str, Dimension]

    def mean_of(self, names: Iterable[str]) -> float | None:
        """The mean of these dimensions' means; None where one has none."""
        means = [self.dimensions[name].mean if name in self.dimensions else None for name in names]
        known = [mean for mean in means if mean is not None]
        return sum(known) / len(known) if len(known) == len(means) else None

    @property
    def interval(self) -> Interval:
        """95 % of the mean of all dimensions, prompts drawn within theirs."""
        if self.mean_of(DIMENSIONS) is None:
            return (None, None)
        return inside(overall_bootstrap([self.dimensions[name].groups for name in DIMENSIONS]), (0.0, 1.0))

    def json(self) -> dict[str, Json]:
        """The numbers as JSON values."""
        return {
            "composition": self.mean_of(COMPOSITION),
            "reasoning": self.mean_of(REASONING),
            "overall": self.mean_of(DIMENSIONS),
            "interval_95": list(self.interval),
            "dimensions": {
                name: {"mean": one.mean, "pictures": one.pictures, "questions": one.questions, "no_verdict": one.silent}
                for name, one in self.dimensions.items()
            },
        }

    def __str__(self) -> str:
        lines = [
            f"{name} = {_shown(one.mean)} ({one.pictures} pictures, {one.questions} questions, "
            f"{one.silent} without a verdict)"
            for name, one in self.dimensions.items()
        ]
        low, high = self.interval
        span = "" if low is None or high is None else f", 95 % over prompts [{low:.4f}, {high:.4f}]"
        groups = (("composition", COMPOSITION, ""), ("reasoning", REASONING, ""), ("overall", DIMENSIONS, span))
        return "\n".join(
            [*lines, *(f"{name} (mean of {len(of)}): {_shown(self.mean_of(of))}{end}" for name, of, end in groups)]
        )


def _shown(mean: float | None) -> str:
    return "none" if mean is None else f"{mean:.4f}"


def summarise(pictures: Iterable[Picture]) -> Summary:
    """The summary of pictures of any dimensions."""
    by_dimension: dict[str, list[Picture]] = {}
    for picture in pictures:
        by_dimension.setdefault(dimension_of(picture.id), []).append(picture)
    names = [*DIMENSIONS, *(name for name in by_dimension if name not in DIMENSIONS)]
    return Summary(dimensions={name: _dimension(by_dimension[name]) for name in names if name in by_dimension})


def _dimension(pictures: Sequence[Picture]) -> Dimension:
    scores = {picture.id: picture.score for picture in pictures}
    groups: dict[str, list[float]] = {}
    for name, score in scores.items():
        if score is not None:
            groups.setdefault(prompt_key(name), []).append(score)
    return Dimension(
        mean=dimension_mean(scores),
        pictures=sum(map(len, groups.values())),
        questions=sum(len(picture.verdicts) for picture in pictures),
        silent=sum(verdict is None for picture in pictures for verdict in picture.verdicts),
        groups=list(groups.values()),
    )


def read_results(path: Path, prompts: Mapping[str, tuple[str, Sequence[str]]] | None) -> tuple[list[Picture], int]:
    """The pictures of a result file, or of all result files of a folder, and how many verdicts were left out.

    Args:
        prompts: prompt key -> (prompt, questions) of the benchmark, where they are at hand; verdicts on other wordings
            are then left out, as the official --update does.

    Raises:
        DataError: it is no such file; or pictures of several judges would be mixed.
    """
    files = [path]
    if path.is_dir():
        files = [file for file in sorted(path.glob("*.json")) if dimension_of(file.stem) in DIMENSIONS]
    judges = {file.stem.removeprefix(f"{dimension_of(file.stem)}-") for file in files}
    if len(judges) > 1:
        raise DataError(f"result files of several judges ({', '.join(sorted(judges))}); name one file a dimension",
                        path=path)  # fmt: skip
    read = [_picture(name, entry, prompts, file) for file in files for name, entry in _entries(file).items()]
    if not read:
        raise DataError("no picture in these results", path=path)
    return [picture for picture, _ in read], sum(left_out for _, left_out in read)


def _entries(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"expected a result file as JSON ({error})", path=path) from None
    if not isinstance(found, dict) or _MEAN not in found:
        raise DataError(f"expected an object with pictures and {_MEAN}", path=path)
    return {name: entry for name, entry in found.items() if name != _MEAN}


def _picture(
    name: str,
    entry: object,
    prompts: Mapping[str, tuple[str, Sequence[str]]] | None,
    path: Path,
) -> tuple[Picture, int]:
    """A picture, and how many of its verdicts are left out."""
    facts = entry if isinstance(entry, dict) else {}
    rows = facts.get("Checklist")
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "question" in row for row in rows):
        raise DataError(f"{name}: expected a Checklist of questions", path=path)
    stated = [kept_verdict(row, row["question"]) for row in rows]
    if prompts is None:
        return Picture(id=name, verdicts=tuple(stated)), 0
    prompt, questions = prompts.get(prompt_key(name), (None, ()))
    pairs = zip_longest(rows[: len(questions)], questions)
    kept = tuple(kept_verdict(row, question) if prompt == facts.get("Prompt") else None for row, question in pairs)
    return Picture(id=name, verdicts=kept), _given(stated) - _given(kept)


def _given(verdicts: Iterable[Verdict | None]) -> int:
    return sum(verdict is not None for verdict in verdicts)
