"""A run, read back: samples, the outcomes of its judges, and what was asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gotr1_eval.core.errors import DataError
from gotr1_eval.core.outcome import Outcome
from gotr1_eval.core.types import Sample
from gotr1_eval.runs.judgments import Judgment
from gotr1_eval.runs.store import RunInfo, read_info, read_judgments, read_samples


@dataclass(frozen=True, slots=True)
class JudgeColumn:
    """One judge of a run, as the tables show it.

    Attributes:
        range: what it declares its values to lie in.
        remarks: what a reader of its numbers should know, a line each.
    """

    factor: str
    name: str
    fingerprint: str
    range: tuple[float, float] = (0.0, 1.0)
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunData:
    """Everything a report needs.

    Attributes:
        outcomes: judge name -> sample id -> outcome, of the judges that the run was last started with.
        expected: category -> number of samples that were asked for.
        left_out: samples that the run has besides these, where it is too large to be held.
    """

    folder: Path
    info: RunInfo
    samples: Mapping[str, Sample]
    judges: tuple[JudgeColumn, ...]
    outcomes: Mapping[str, Mapping[str, Outcome]]
    expected: Mapping[str, int]
    left_out: int = 0

    @property
    def title(self) -> str:
        """What the run was called (``--title``); its folder's name where it was not."""
        return run_title(self.info, self.folder)

    @property
    def remarks(self) -> list[str]:
        """What its judges remarked, each line once."""
        return list(dict.fromkeys(line for column in self.judges for line in column.remarks))

    def column(self, factor: str) -> JudgeColumn | None:
        """The judge of that column; None where it was not asked."""
        return next((column for column in self.judges if column.factor == factor), None)

    def category(self, sample: Sample) -> str:
        """The sample's category, "all" where the run has none."""
        return str(sample.meta.get("category", "all"))


def run_title(info: RunInfo, folder: Path) -> str:
    """What a run was called (``--title``); its folder's name where it was not."""
    request = info.setup.get("request")
    title = request.get("title") if isinstance(request, Mapping) else None
    return str(title or folder.absolute().name)


def load_run(folder: Path) -> RunData:
    """Read a run folder.

    Raises:
        DataError: it is not a run folder, or a line of it is damaged.
    """
    info = read_info(folder)
    return assemble_run(folder, info, read_samples(folder), read_judgments(folder).values())


def assemble_run(folder: Path, info: RunInfo, samples: Mapping[str, Sample], judgments: Iterable[Judgment]) -> RunData:
    """A run, or a part of one, from its rows.

    Raises:
        DataError: `info` is not a run's.
    """
    setup: Mapping[str, Any] = info.setup
    try:
        judges = tuple(_judge(row) for row in setup["judges"])
        expected = {str(category): int(count) for category, count in setup["expected"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"not a run description ({error!r})", path=folder / "run.json") from None
    outcomes: dict[str, dict[str, Outcome]] = {column.name: {} for column in judges}
    current = {(column.name, column.fingerprint) for column in judges}
    for judgment in judgments:
        if (judgment.judge, judgment.fingerprint) in current and judgment.repeat == 0:
            outcomes[judgment.judge][judgment.sample] = judgment.outcome
    return RunData(folder, info, samples, judges, outcomes, expected)


def _judge(row: Mapping[str, Any]) -> JudgeColumn:
    low, high = row["range"]
    remarks = tuple(map(str, row.get("remarks", ())))
    return JudgeColumn(row["factor"], row["name"], row["fingerprint"], (float(low), float(high)), remarks)
