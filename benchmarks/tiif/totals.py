"""TIIF-Bench's tables: accuracy per attribute and prompt length, nine groups of attributes, and two overall means.

Sources: A113N-W3I/TIIF-Bench@3aae750, eval/summary_results.py (accuracies, written with four decimals) and
eval/summary_dimension_results.py (groups, made of those rounded numbers).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gotr1_eval.core.errors import DataError
from gotr1_eval.core.statistics.intervals import Interval, inside, overall_bootstrap
from gotr1_eval.core.types import Json

LENGTHS = ("short", "long")
_REASONING = ("numeracy", "comparison", "differentiation", "negation")


def _pairs(first: Sequence[str], second: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{one}+{other}" for one in first for other in second)


GROUPS: Mapping[str, tuple[str, ...]] = {
    "Basic_Attribute": ("shape+color", "color+texture", "texture+color", "shape+texture"),
    "Basic_Relation": ("2d_spatial_relation", "3d_spatial_relation", "action+2d", "action+3d"),
    "Basic_Reasoning": ("numeracy", "negation", "differentiation", "comparison"),
    "Advanced_Attribute+Relation": (
        *_pairs(("action",), ("color", "texture")),
        *_pairs(("color", "shape", "texture"), ("2d", "3d")),
    ),
    "Advanced_Attribute+Reasoning": _pairs(_REASONING, ("color", "texture")),
    "Advanced_Relation+Reasoning": _pairs(_REASONING, ("2d", "3d")),
    "Advanced_Text Generation": ("text",),
    "Advanced_Style Control": ("style",),
    "Real_Complex": ("real_world",),
}
"""Group -> its attributes: 39 in all."""
_DECIMALS = 4
FEW_PICTURES = 30

Answers = Mapping[str, Mapping[str, Sequence[tuple[Sequence[str], Sequence[str]] | None]]]
"""Attribute -> length -> (expected answers, verdicts) a picture; None for a file that cannot be read."""


@dataclass(frozen=True, slots=True)
class Count:
    """Right verdicts of an attribute at one length; `pictures` holds those of each picture, 1 for a right one."""

    correct: int
    total: int
    pictures: Sequence[Sequence[float]] = field(default=(), compare=False, repr=False)

    @property
    def accuracy(self) -> float | None:
        """Share of right verdicts; None without any."""
        return self.correct / self.total if self.total else None


@dataclass(frozen=True, slots=True)
class Table:
    """One model's numbers.

    Attributes:
        counts: attribute -> length -> what was right.
        groups: group -> its mean at either length; None where none of its attributes has a number.
        overall: the mean of the groups that have a number, at either length; `intervals` are their 95 %, prompts drawn
            within their attributes, where all 39 have two or more.
        mean_accuracy: over all attributes and lengths, by which the official table is sorted.
    """

    counts: Mapping[str, Mapping[str, Count]]
    groups: Mapping[str, tuple[float | None, float | None]]
    overall: tuple[float | None, float | None]
    intervals: tuple[Interval, Interval]
    mean_accuracy: float | None

    @property
    def fewest(self) -> int:
        """Pictures of the attribute with the fewest at one length."""
        return min((len(one.pictures) for by_length in self.counts.values() for one in by_length.values()), default=0)

    def json(self) -> dict[str, Json]:
        """The numbers as JSON values."""
        return {
            "overall": dict(zip(LENGTHS, self.overall, strict=True)),
            "interval_95": {name: list(interval) for name, interval in zip(LENGTHS, self.intervals, strict=True)},
            "groups": {name: dict(zip(LENGTHS, pair, strict=True)) for name, pair in self.groups.items()},
            "attributes": {
                attribute: {
                    length: {"accuracy": one.accuracy, "correct": one.correct, "total": one.total}
                    for length, one in by_length.items()
                }
                for attribute, by_length in self.counts.items()
            },
        }

    def __str__(self) -> str:
        lines = [f"{name}: {_shown(short)} short, {_shown(long)} long" for name, (short, long) in self.groups.items()]
        spans = (
            f" [{low:.4f}, {high:.4f}]" if low is not None and high is not None else "" for low, high in self.intervals
        )
        pairs = zip(LENGTHS, self.overall, spans, strict=True)
        told = ", ".join(f"{_shown(mean)}{span} {name}" for name, mean, span in pairs)
        lines.append(f"overall (mean of nine groups, 95 % over prompts): {told}")
        if self.fewest < FEW_PICTURES:
            lines.append(f"an attribute stands on {self.fewest} pictures only: its share tells little by itself")
        return "\n".join(lines)


def tabulate(answers: Answers) -> Table:
    """The table of a model's verdicts.

    An expected answer is lowered and stripped before it is compared, as a verdict is; the shorter of two lists decides,
    and a picture without a readable file is not counted. The groups are means of accuracies with four decimals.
    """
    counts = {
        attribute: {length: _count(pictures) for length, pictures in by_length.items()}
        for attribute, by_length in answers.items()
    }
    accuracies = [one.accuracy for by_length in counts.values() for one in by_length.values()]
    groups = {name: (_group(counts, of, "short"), _group(counts, of, "long")) for name, of in GROUPS.items()}
    short, long = zip(*groups.values(), strict=True)
    return Table(
        counts=counts,
        groups=groups,
        overall=(_mean(short), _mean(long)),
        intervals=(_interval(counts, "short"), _interval(counts, "long")),
        mean_accuracy=_mean(accuracies),
    )


def _interval(counts: Mapping[str, Mapping[str, Count]], length: str) -> Interval:
    """Each attribute weighs its share of its group, and each group a ninth."""
    tasks, weights = [], []
    for attributes in GROUPS.values():
        for attribute in attributes:
            found = counts.get(attribute, {}).get(length)
            tasks.append([one for one in found.pictures if one] if found is not None else [])
            weights.append(1 / len(attributes))
    return inside(overall_bootstrap(tasks, weights=weights), (0.0, 1.0))


def _shown(mean: float | None) -> str:
    return "none" if mean is None else f"{mean:.4f}"


def _count(pictures: Sequence[tuple[Sequence[str], Sequence[str]] | None]) -> Count:
    right = [
        [float(gold.strip().lower() == said.strip().lower()) for gold, said in zip(*one, strict=False)]
        for one in pictures
        if one is not None
    ]
    return Count(int(sum(map(sum, right))), sum(map(len, right)), right)


def _group(counts: Mapping[str, Mapping[str, Count]], attributes: Sequence[str], length: str) -> float | None:
    """The mean of the attributes that have an accuracy, each as the official table writes it."""
    found = [counts[one][length].accuracy for one in attributes if length in counts.get(one, ())]
    return _mean([None if one is None else float(f"{one:.{_DECIMALS}f}") for one in found])


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def read_model(folder: Path) -> tuple[Answers, int]:
    """A model's verdict files, ``<attribute>/<short or long>/<number>.json``, and how many could not be read.

    Raises:
        DataError: the folder holds none.
    """
    answers: dict[str, dict[str, list[tuple[Sequence[str], Sequence[str]] | None]]] = {}
    for path in sorted(folder.glob("*/*/*.json")):
        answers.setdefault(path.parts[-3], {}).setdefault(path.parts[-2], []).append(_verdicts(path))
    if not answers:
        raise DataError("expected a model's verdict files, <attribute>/<short or long>/<number>.json", path=folder)
    unread = sum(one is None for by_length in answers.values() for pictures in by_length.values() for one in pictures)
    return answers, unread


def _verdicts(path: Path) -> tuple[Sequence[str], Sequence[str]] | None:
    """(expected answers, verdicts) of one file; None where it holds none, which the official script passes over."""
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
        expected, said = row.get("gt_answers", []), row.get("model_pred", [])
    except (OSError, ValueError, AttributeError):
        return None
    if not all(isinstance(one, list) and all(isinstance(word, str) for word in one) for one in (expected, said)):
        return None
    return expected, said
