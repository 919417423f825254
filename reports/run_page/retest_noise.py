"""How much a reward differs when its judges are asked again: from the retested evaluations of a training run."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.runs.judgments import Judgment
from gotr1_eval.runs.store import read_info, read_judgments
from reports.run_data import JudgeColumn, RunData, assemble_run
from rewards.total import TOTAL, Total, TotalSettings


@dataclass(frozen=True, slots=True)
class RetestNoise:
    """The standard deviation of a reward about its own mean, over the samples that were judged more than once."""

    deviation: float
    samples: int


def retest_noise(evaluations: Path) -> RetestNoise | None:
    """Of the total, or of the only reward, over every evaluation that was retested; None where none was.

    A total is formed anew of each repeat's factors. Samples that were not scored twice do not count.

    Args:
        evaluations: the folder with a run for each evaluation.

    Raises:
        DataError: an evaluation's files are damaged.
    """
    variances: list[float] = []
    for folder in sorted(path.parent for path in evaluations.glob("step-*/run.json")):
        info, judgments = read_info(folder), [*read_judgments(folder).values()]
        if any(judgment.repeat for judgment in judgments):
            run = assemble_run(folder, info, {}, ())
            variances += [statistics.variance(values) for values in _repeated(run, judgments) if len(values) > 1]
    return RetestNoise(math.sqrt(statistics.fmean(variances)), len(variances)) if variances else None


def _repeated(run: RunData, judgments: Sequence[Judgment]) -> list[list[float]]:
    """For each sample the reward of every time that it was judged."""
    factors = {(column.name, column.fingerprint): column.factor for column in run.judges}
    rows: dict[tuple[str, int], dict[str, Outcome]] = defaultdict(dict)
    for judgment in judgments:
        if factor := factors.get((judgment.judge, judgment.fingerprint)):
            rows[judgment.sample, judgment.repeat][factor] = judgment.outcome
    total = _total(run)
    by_sample: dict[str, list[float]] = defaultdict(list)
    for (sample, _), row in rows.items():
        reward = _reward(row, total, run.judges)
        if isinstance(reward, Score):
            by_sample[sample].append(reward.value)
    return [*by_sample.values()]


def _reward(row: Mapping[str, Outcome], total: Total | None, columns: Sequence[JudgeColumn]) -> Outcome | None:
    if total is None:
        return row.get(columns[0].factor)
    return total.combine(row) if all(factor in row for factor in total.rule.factors) else None


def _total(run: RunData) -> Total | None:
    """The run's total, as its description has it; None where the reward is a single judge."""
    setup: Mapping[str, Any] = run.info.setup
    for described in setup["judges"]:
        if described["factor"] == TOTAL:
            settings = TotalSettings.model_validate(described["settings"])
            facts = {
                column.factor: (column.range, column.factor in settings.when_applicable)
                for column in run.judges
                if column.factor != TOTAL
            }
            return Total(settings, facts)
    return None
