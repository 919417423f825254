"""A run, read back: samples, the outcomes of its judges, and what was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gotr1_eval.core.errors import DataError
from gotr1_eval.core.outcome import Outcome
from gotr1_eval.core.runs import RunInfo, read_info, read_judgments, read_samples
from gotr1_eval.core.types import Sample


@dataclass(frozen=True, slots=True)
class JudgeColumn:
    """One judge of a run, as the tables show it; `range` is what it declares its values to lie in."""

    factor: str
    name: str
    fingerprint: str
    range: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class RunData:
    """Everything a report needs.

    Attributes:
        outcomes: judge name -> sample id -> outcome, of the judges that the run was last started with.
        expected: category -> number of samples that were asked for.
    """

    folder: Path
    info: RunInfo
    samples: Mapping[str, Sample]
    judges: tuple[JudgeColumn, ...]
    outcomes: Mapping[str, Mapping[str, Outcome]]
    expected: Mapping[str, int]

    def category(self, sample: Sample) -> str:
        """The sample's category, "all" where the run has none."""
        return str(sample.meta.get("category", "all"))


def load_run(folder: Path) -> RunData:
    """Read a run folder.

    Raises:
        DataError: it is not a run folder, or a line of it is damaged.
    """
    info = read_info(folder)
    setup: Mapping[str, Any] = info.setup
    try:
        judges = tuple(_judge(row) for row in setup["judges"])
        expected = {str(category): int(count) for category, count in setup["expected"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"not a run description ({error!r})", path=folder / "run.json") from None
    outcomes: dict[str, dict[str, Outcome]] = {column.name: {} for column in judges}
    current = {(column.name, column.fingerprint) for column in judges}
    for judgment in read_judgments(folder).values():
        if (judgment.judge, judgment.fingerprint) in current and judgment.repeat == 0:
            outcomes[judgment.judge][judgment.sample] = judgment.outcome
    return RunData(folder, info, read_samples(folder), judges, outcomes, expected)


def _judge(row: Mapping[str, Any]) -> JudgeColumn:
    low, high = row["range"]
    return JudgeColumn(row["factor"], row["name"], row["fingerprint"], (float(low), float(high)))
