"""A calibrated judge in a run: judgments of its own beside those that they were made from."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.types import Json
from gotr1_eval.runs.judgments import Judgment
from gotr1_eval.runs.store import RunInfo, RunStore, read_info
from reports.agreement.calibration import Calibration
from reports.run_data import JudgeColumn, load_run


def apply_to_run(calibration: Calibration, folder: Path) -> int:
    """Add the calibrated judge to a run's judges; what the judge left unscored stays so. Applied again, it replaces.

    Returns:
        How many samples got a calibrated score.

    Raises:
        UsageError: the run has no such judge.
    """
    run = load_run(folder)
    column = next((column for column in run.judges if column.name == calibration.judge), None)
    if column is None:
        names = ", ".join(column.name for column in run.judges) or "none"
        raise UsageError(f"calibrate apply: {folder} has no judge {calibration.judge!r} (it has: {names})")
    printed = fingerprint({"judge": column.fingerprint, "map": _facts(calibration)})
    judgments = [
        Judgment(
            sample=sample,
            judge=calibration.judge_name,
            fingerprint=printed,
            outcome=_calibrated(calibration, outcome),
        )
        for sample, outcome in run.outcomes[calibration.judge].items()
    ]
    with RunStore.open(folder, _with_judge(read_info(folder), calibration, column, printed)) as store:
        store.append_judgments(judgments)
    return sum(isinstance(judgment.outcome, Score) for judgment in judgments)


def _facts(calibration: Calibration) -> dict[str, Json]:
    return {"scores": list(calibration.scores), "marks": list(calibration.marks)}


def _calibrated(calibration: Calibration, outcome: Outcome) -> Outcome:
    if not isinstance(outcome, Score):
        return replace(outcome, replies=())
    value = float(calibration(np.array([outcome.value]))[0])
    return Score(value=value, note=f"{calibration.name}: calibrated from {outcome.value:.6g}")


def _with_judge(info: RunInfo, calibration: Calibration, column: JudgeColumn, printed: str) -> RunInfo:
    """The run's description with the judge in it; its entry keeps the whole map and what it was fitted on."""
    listed = info.setup["judges"]
    assert isinstance(listed, list)
    name = calibration.judge_name
    entry: dict[str, Json] = {
        "factor": f"{column.factor}+{calibration.name}",
        "name": name,
        "fingerprint": printed,
        "range": [calibration.marks[0], calibration.marks[-1]],
        "calibration": {**asdict(calibration)},
    }
    others = [judge for judge in listed if not (isinstance(judge, dict) and judge.get("name") == name)]
    return RunInfo(identity=info.identity, setup={**info.setup, "judges": [*others, entry]})
