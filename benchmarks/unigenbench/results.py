"""UniGenBench++'s result files, and their sums: per kind of test point and per primary dimension, micro over pictures.

A file is a CSV with a row a picture: index, prompt, testpoint (a Python list), output, result_json, img_path. The sums
are those of CodeGoat24/UniGenBench@49d0bce, eval/src/eval_common.py:382 (calculate_scores), which forms no overall
score; the one here is called ours. The primary dimension is the kind's name before its first dash, its blank included.
"""

from __future__ import annotations

import ast
import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.unigenbench.reading import counted_scores
from gotr1_eval.core.errors import DataError
from gotr1_eval.core.statistics.intervals import Interval, prompt_bootstrap
from gotr1_eval.core.types import Json

COLUMNS = ("index", "prompt", "testpoint", "output", "result_json", "img_path")
FEW_PROMPTS = 50
"""Prompts of a kind below which the summary says so: its interval reaches 0.12 and more to either side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture's verdicts, one a test point.

    Attributes:
        index: of its prompt.
        verdicts: None where the row is lost in the official sums.
    """

    index: str
    kinds: tuple[str, ...]
    verdicts: tuple[bool, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How many verdicts are met; `interval` is 95 % of their share, prompts drawn."""

    correct: int
    total: int
    prompts: int
    interval: Interval

    @property
    def accuracy(self) -> float:
        """Share of met verdicts, in [0, 1]."""
        return self.correct / self.total

    def json(self) -> dict[str, Json]:
        """As the official file has it (accuracies rounded to four decimals), with the interval and prompts beside."""
        official: dict[str, Json] = {"correct": self.correct, "total": self.total, "accuracy": round(self.accuracy, 4)}
        return {**official, "interval_95": list(self.interval), "prompts": self.prompts}

    def __str__(self) -> str:
        low, high = self.interval
        span = "" if low is None or high is None else f", 95 % over prompts [{low:.4f}, {high:.4f}]"
        return f"{self.correct}/{self.total} = {self.accuracy:.4f}{span}, {self.prompts} prompts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The sums, dimensions and kinds in order of first appearance.

    Attributes:
        ours: over all test points, which the official script does not sum up; None without any.
        lost: pictures without verdicts.
    """

    dimensions: Mapping[str, Share]
    kinds: Mapping[str, Share]
    ours: Share | None
    lost: int

    @property
    def thin(self) -> dict[str, int]:
        """Kinds that stand on few prompts -> how many."""
        return {kind: share.prompts for kind, share in self.kinds.items() if share.prompts < FEW_PROMPTS}

    def json(self) -> dict[str, Json]:
        """The numbers as JSON values; the first two keys are the official file's."""
        return {
            "primary_dimensions": {name: share.json() for name, share in self.dimensions.items()},
            "sub_dimensions": {name: self.kinds[name].json() for name in sorted(self.kinds)},
            "our_overall": None if self.ours is None else self.ours.json(),
            "pictures_without_verdicts": self.lost,
        }

    def __str__(self) -> str:
        lines = [f"{name.strip()}: {share}" for name, share in self.dimensions.items()]
        lines += [f"  {name}: {self.kinds[name]}" for name in sorted(self.kinds)]
        if self.ours is not None:
            lines.append(f"our overall (share of all test points; the official script has none): {self.ours}")
        if self.lost:
            lines.append(f"{self.lost} pictures have no verdicts and are in no sum")
        if self.thin:
            fewest = min(self.thin.values())
            lines.append(
                f"{len(self.thin)} of {len(self.kinds)} kinds stand on fewer than {FEW_PROMPTS} prompts (the fewest on "
                f"{fewest}): compare them with care"
            )
        return "\n".join(lines)


def dimension_of(kind: str) -> str:
    """The primary dimension of a kind: ``Attribute - Color`` -> ``Attribute ``, blank included."""
    return kind.split("-", 1)[0]


def add_up(pictures: Iterable[Picture]) -> Summary:
    """The sums over pictures; where kinds and verdicts are not as many the longer list is cut, as officially."""
    dimensions: dict[str, dict[str, list[float]]] = {}
    kinds: dict[str, dict[str, list[float]]] = {}
    everything: dict[str, list[float]] = {}
    lost = 0
    for picture in pictures:
        lost += picture.verdicts is None
        for kind, met in zip(picture.kinds, picture.verdicts or (), strict=False):
            for groups in (dimensions.setdefault(dimension_of(kind), {}), kinds.setdefault(kind, {}), everything):
                groups.setdefault(picture.index, []).append(float(met))
    return Summary(
        dimensions={name: _share(groups) for name, groups in dimensions.items()},
        kinds={name: _share(groups) for name, groups in kinds.items()},
        ours=_share(everything) if everything else None,
        lost=lost,
    )


def _share(groups: Mapping[str, Sequence[float]]) -> Share:
    values = [value for group in groups.values() for value in group]
    interval = prompt_bootstrap([*groups.values()])
    return Share(correct=int(sum(values)), total=len(values), prompts=len(groups), interval=interval)


def read_results(path: Path) -> list[Picture]:
    """The pictures of a result file.

    Raises:
        DataError: it is no such file, or no row of it has verdicts.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read ({error})", path=path) from None
    reader = csv.DictReader(io.StringIO(text, newline=""))
    if absent := {"index", "testpoint", "result_json"} - set(reader.fieldnames or ()):
        raise DataError(f"expected a result file of UniGenBench++; there is no column {min(absent)}", path=path)
    try:
        pictures = [_picture(row, path, reader.line_num) for row in reader]
    except csv.Error as error:
        raise DataError(f"expected a CSV file ({error})", path=path, line=reader.line_num) from None
    if all(picture.verdicts is None for picture in pictures):
        raise DataError("no verdict in this file", path=path)
    return pictures


def _picture(row: Mapping[str, str], path: Path, line: int) -> Picture:
    try:
        kinds = ast.literal_eval(row["testpoint"])
    except (ValueError, SyntaxError):
        kinds = None
    if not isinstance(kinds, list):
        raise DataError("expected a list of kinds as testpoint", path=path, line=line)
    verdicts = counted_scores(row["result_json"])
    return Picture(
        index=row["index"], kinds=tuple(map(str, kinds)), verdicts=None if verdicts is None else tuple(verdicts)
    )


def results_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """A result file with these rows, each with the columns' values."""
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def result_json(prompt: str, kinds: Sequence[str], verdicts: Sequence[bool] | None) -> str:
    """The cell that the official script writes for a picture; ``null`` where it has no verdicts."""
    if verdicts is None:
        return "null"
    score = [int(met) for met in verdicts]
    content = {"prompt": prompt, "testpoint": [*kinds], "analysis": ["" for _ in kinds], "score": score}
    return json.dumps(content, ensure_ascii=False, indent=4)
