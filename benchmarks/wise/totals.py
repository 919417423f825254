"""WISE's totals, from marks by prompt id: of a run, or of the score files that the official scripts wrote.

A score file has one JSON object a line: prompt_id, Subcategory, and the marks under their names.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.wise.protocols import SUBJECTS, Protocol
from benchmarks.wise.reading import BAGEL_MISSING
from gotr1_eval.core.errors import DataError
from gotr1_eval.core.statistics.intervals import Interval, inside, overall_bootstrap
from gotr1_eval.core.types import Json

FILE_PARTS: Mapping[str, tuple[str, ...]] = {
    "all": SUBJECTS,
    "culture": ("culture",),
    "space-time": ("time", "space"),
    "science": ("biology", "physics", "chemistry"),
}
"""What a score file may be about, as the official scripts' --category calls it, and its subjects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreFile:
    """What a file of marks holds.

    Attributes:
        present: the ids that stand in it, also those whose marks are no numbers.
        values: subject -> the values of its rows; a row that is repeated counts again, as in the official script.
        remarks: what is wrong with its rows, a line a kind.
        not_found: rows with a mark that BAGEL's script did not find.
    """

    present: frozenset[int]
    values: Mapping[str, Sequence[float]]
    remarks: tuple[str, ...] = ()
    not_found: int = 0


def read_scores(path: Path, protocol: Protocol) -> ScoreFile:
    """The marks of a score file, or of all ``*scores*.jsonl`` of a folder: the official scripts write three.

    Raises:
        DataError: it cannot be read, or none of its rows is a row of this protocol.
    """
    files = sorted(path.glob("*scores*.jsonl")) if path.is_dir() else [path]
    try:
        lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read ({error})", path=path) from None
    scores = count_rows(map(_row, lines), protocol)
    if not any(scores.values.values()):
        raise DataError(f"no row with prompt_id and {', '.join(protocol.marks)} (WISE {protocol.name})", path=path)
    return scores


def _row(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def count_rows(rows: Iterable[Mapping[str, Any] | None], protocol: Protocol) -> ScoreFile:
    """The rows by subject, as the official scripts sort them; None stands for a line that is no JSON."""
    present: set[int] = set()
    values: dict[str, list[float]] = {}
    faults: Counter[str] = Counter()
    seen: Counter[int] = Counter()
    not_found = 0
    for row in rows:
        prompt_id = None if row is None else row.get("prompt_id")
        if row is None or not isinstance(prompt_id, int):
            faults["rows are no JSON or have no whole prompt_id"] += 1
            continue
        present.add(prompt_id)
        marks = {name: row.get(name) for name in protocol.marks}
        not_found += BAGEL_MISSING in marks.values()
        if fault := _fault(marks, protocol):
            faults[fault] += 1
        elif (subject := protocol.subject_of(prompt_id)) is None:
            faults["rows have an id that the benchmark does not have"] += 1
        else:
            values.setdefault(subject, []).append(protocol.value(marks))  # type: ignore[arg-type]
            seen[prompt_id] += 1
    if repeated := sum(count - 1 for count in seen.values()):
        faults["rows repeat an id and count again"] = repeated
    ordered = {subject: values[subject] for subject in SUBJECTS if subject in values}
    remarks = tuple(f"{count} {what}" for what, count in faults.items())
    return ScoreFile(present=frozenset(present), values=ordered, remarks=remarks, not_found=not_found)


def _fault(marks: Mapping[str, object], protocol: Protocol) -> str:
    """Why the official script leaves a row out of the means although its id counts as present; empty where it does not.

    The legacy script takes any number, the Verified one 0 and 1 only.
    """
    if not all(isinstance(mark, int | float) for mark in marks.values()):
        return "rows have a mark that is no number; their ids count as present"
    if protocol.name == "verified" and marks["score"] not in (0, 1):
        return "rows have a mark other than 0 and 1; their ids count as present"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """The means of a protocol.

    Attributes:
        means: subject -> (mean in [0, 1], number of pictures).
        missing: ids without a row.
        overall: by the protocol's weights; None where the official script refuses it: an id is missing, a subject is
            empty, or only a part was counted.
        interval: of `overall`, 95 %, prompts drawn within their subject.
        bagel: the plain mean of the six subjects, which BAGEL's script calls overall; of the legacy protocol alone.
    """

    protocol: Protocol
    means: Mapping[str, tuple[float, int]]
    missing: tuple[int, ...]
    overall: float | None
    interval: Interval
    bagel: float | None

    @property
    def refused(self) -> bool:
        """Whether the official script ends without any number, because ids are missing."""
        return bool(self.missing)

    def json(self) -> dict[str, Json]:
        """The numbers as JSON values."""
        return {
            "protocol": self.protocol.name,
            "overall": self.overall,
            "interval_95": list(self.interval),
            **({} if self.bagel is None else {"bagel_overall": self.bagel}),
            "missing_ids": list(self.missing),
            "categories": {
                self.protocol.category(subject): {"mean": mean, "pictures": count}
                for subject, (mean, count) in self.means.items()
            },
        }

    def __str__(self) -> str:
        lines = [
            f"{self.protocol.category(subject):<18} = {mean:.4f} ({count} pictures)"
            for subject, (mean, count) in self.means.items()
        ]
        if self.overall is None:
            why = f"{len(self.missing)} ids are missing" if self.missing else "not every category has a value"
            return "\n".join([*lines, f"overall: none, {why}"])
        low, high = self.interval
        span = "" if low is None or high is None else f", 95 % over prompts [{low:.4f}, {high:.4f}]"
        lines.append(f"WISE {self.protocol.name}, overall (official weights): {self.overall:.4f}{span}")
        if self.bagel is not None:
            lines.append(f"legacy_bagel_mean (BAGEL's script: plain mean of six, another number): {self.bagel:.4f}")
        return "\n".join(lines)


def total(scores: ScoreFile, protocol: Protocol, part: str = "all") -> Total:
    """The means and the overall score, by the official rules.

    Args:
        part: what is counted, a key of `FILE_PARTS`; an overall score has only all of it.
    """
    wanted = [prompt_id for subject in FILE_PARTS[part] for prompt_id in protocol.ids[subject]]
    missing = tuple(prompt_id for prompt_id in wanted if prompt_id not in scores.present)
    means = {subject: (sum(values) / len(values), len(values)) for subject, values in scores.values.items() if values}
    whole = part == "all" and not missing and len(means) == len(SUBJECTS)
    overall = sum(weight * means[subject][0] for subject, weight in protocol.weights.items()) if whole else None
    return Total(
        protocol=protocol,
        means=means,
        missing=missing,
        overall=overall,
        interval=_interval(scores, protocol) if whole else (None, None),
        bagel=_bagel(scores, means) if whole and protocol.name == "legacy" else None,
    )


def _bagel(scores: ScoreFile, means: Mapping[str, tuple[float, int]]) -> float | None:
    """BAGEL's overall; None where its script ends in a TypeError, because one mark was not found."""
    return None if scores.not_found else sum(mean for mean, _ in means.values()) / len(means)


def _interval(scores: ScoreFile, protocol: Protocol) -> Interval:
    subjects = [[[value] for value in scores.values[subject]] for subject in protocol.weights]
    return inside(overall_bootstrap(subjects, weights=[*protocol.weights.values()]), (0.0, 1.0))
