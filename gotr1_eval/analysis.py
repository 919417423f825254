"""A run's reward taken apart, from its judgments alone: no judge is asked again.

from gotr1_eval import analyse_run
print(analyse_run("runs/demo").decided)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.settings import read_settings
from reports.analysis.reward import TOTAL, Analysis, Remade, analyse
from reports.run_data import RunData, load_run
from rewards.retotal import ablate, make_again, other_totals
from rewards.reward_set import read_reward_set
from rewards.rules import OF_CHAIN
from rewards.total import JudgeFacts, Total, TotalSettings

Totals = Mapping[str, Outcome]
"""Sample id -> total."""


def analyse_run(run: RunData | Path | str, rewards: str | None = None) -> Analysis:
    """Analyse the reward of a run.

    Args:
        run: the run, or its folder.
        rewards: a reward set, by name or as a .toml file, whose total is taken for the run's own. Only its rule
            counts: the factors are those that the run's judges gave.

    Raises:
        UsageError: the run lacks a factor of that total.
    """
    if not isinstance(run, RunData):
        run = load_run(Path(run))
    return analyse(run, remake(run, rewards))


def remake(run: RunData, rewards: str | None = None) -> Remade:
    """The totals that the rules make of a run's judgments; see `analyse_run`."""
    judged = _judged(run)
    facts = _facts(run, judged)
    optional = tuple(factor for factor, (_, may_not_apply) in facts.items() if may_not_apply and factor in OF_CHAIN)
    totals, impossible = other_totals(facts, optional)
    again = {name: make_again(total, judged) for name, total in totals.items()}
    settings = _own_settings(run, rewards)
    if settings is None:
        return Remade("", {}, {}, again, impossible)
    own = Total(settings, facts)
    ablation = ablate(own, judged)
    without = {
        factor: {sample: Score(value=value) for sample, value in values.items()}
        for factor, values in ablation.without.items()
    }
    return Remade(
        settings.rule, ablation.terms, without, _first(settings.rule, make_again(own, judged), again), impossible
    )


def _first(name: str, outcomes: Totals, others: Mapping[str, Totals]) -> dict[str, Totals]:
    """The named one before all others, and instead of one of that name."""
    return {name: outcomes, **{other: of_other for other, of_other in others.items() if other != name}}


def _judged(run: RunData) -> dict[str, dict[str, Outcome]]:
    """Sample id -> factor -> outcome; what has not been judged yet is unscored."""
    missing = Unscored(why=Why.NO_INPUT, detail="not judged yet")
    factors = {column.factor: run.outcomes[column.name] for column in run.judges if column.factor != TOTAL}
    return {
        sample: {factor: outcomes.get(sample, missing) for factor, outcomes in factors.items()}
        for sample in run.samples
    }


def _facts(run: RunData, judged: Mapping[str, Mapping[str, Outcome]]) -> dict[str, JudgeFacts]:
    """Factor -> range of its judge, and whether it did not apply to some sample."""
    absent = {
        factor
        for outcomes in judged.values()
        for factor, outcome in outcomes.items()
        if isinstance(outcome, Unscored) and outcome.why is Why.NOT_APPLICABLE
    }
    return {column.factor: (column.range, column.factor in absent) for column in run.judges if column.factor != TOTAL}


def _own_settings(run: RunData, rewards: str | None) -> TotalSettings | None:
    """How the run's total was made, or the one that is asked for; None where there is none."""
    if rewards is not None:
        total = read_reward_set(rewards).total
        if total is None:
            raise UsageError(f"--rewards {rewards}: this reward set has no total")
        return total
    setup: Any = run.info.setup
    row = next((row for row in setup["judges"] if row["factor"] == TOTAL), None)
    if row is None:
        return None
    if "settings" not in row:
        raise UsageError(
            f"{run.folder}: this run does not say how its total was made; name its reward set with --rewards"
        )
    return read_settings(TotalSettings, row["settings"], where=str(run.folder / "run.json"))
