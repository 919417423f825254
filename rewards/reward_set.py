"""A reward set: judges by factor name, and perhaps a total. In a file:

[judges]
semantic = "shapes_semantic"
reasoning_image = { use = "reasoning_image", grounder = "shapes" }

[total]
rule = "paper_without_hps"
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

from pydantic import Field

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.judging import judge_batch
from gotr1_eval.core.outcome import Outcome
from gotr1_eval.core.protocols import Judge, Refusable
from gotr1_eval.core.types import Json, Sample
from gotr1_eval.files.shared_pictures import shared_pictures
from gotr1_eval.settings import Component, Settings, read_component, read_settings, read_toml
from rewards.total import TOTAL, Total, TotalSettings

UnscoredAs = float | Literal["error", "omit"]
"""What a sample without a score is to a trainer: this number, an error, or no sample at all."""
Judged = Callable[[str, Sequence[Outcome], float], None]
"""Takes a factor, its outcomes, one a sample, and the seconds that its judge took."""


class RewardSetSettings(Settings):
    """The content of a reward set's file.

    Attributes:
        judges: factor -> judge.
        judge_model: of every judge that asks one and names none.
        total: what is made of the factors; None leaves them side by side.
        absent: what becomes of a judge whose weights are not on this machine: the set is `refused`, or its column is
            `empty`.
    """

    judges: dict[str, Component] = Field(min_length=1)
    judge_model: Component | None = None
    total: TotalSettings | None = None
    absent: Literal["refused", "empty"] = "refused"


@dataclass(frozen=True, slots=True)
class RewardSet:
    """Live judges by factor name, in the order of the tables, and their total.

    Attributes:
        turns: groups of factors whose judges hold a common model of this process, so that no two of a group may be
            asked at the same time; whoever asks one after the other need not look.
    """

    judges: Mapping[str, Judge]
    total: Total | None = None
    turns: Sequence[Collection[str]] = ()

    @property
    def makers(self) -> list[tuple[str, str]]:
        """Name and fingerprint of every judge, and of the total where there is one."""
        judges = [(judge.name, judge.fingerprint) for judge in self.judges.values()]
        return judges if self.total is None else [*judges, (self.total.name, self.total.fingerprint)]

    @property
    def fingerprint(self) -> str:
        """Of the whole set: changes whenever a judge's or the total's does, or a factor is called otherwise."""
        makers: dict[str, Json] = {factor: [judge.name, judge.fingerprint] for factor, judge in self.judges.items()}
        if self.total is not None:
            makers[TOTAL] = [self.total.name, self.total.fingerprint]
        return fingerprint(makers)

    @property
    def names(self) -> list[str]:
        """The factors, and "total" where there is one."""
        return [*self.judges, *([] if self.total is None else [TOTAL])]

    @property
    def headline(self) -> str:
        """The factor that is the reward: "total", or the only judge.

        Raises:
            UsageError: several judges and no total.
        """
        if self.total is not None:
            return TOTAL
        if len(self.judges) != 1:
            raise UsageError(f"a reward set of {len(self.judges)} judges needs a total to be one reward")
        return next(iter(self.judges))

    @property
    def factors(self) -> tuple[str, ...]:
        """The judges that the headline is made of; raises as `headline`."""
        return (self.headline,) if self.total is None else self.total.rule.factors

    def judge(
        self,
        samples: Sequence[Sample],
        known: Mapping[str, Sequence[Outcome | None]] | None = None,
        judged: Judged = lambda factor, outcomes, seconds: None,
    ) -> list[dict[str, Outcome]]:
        """For each sample the outcome of every factor, and of the total under "total" where there is one.

        Args:
            known: outcomes that factors have already, one a sample; None where the judge is to be asked.
            judged: is told every factor's outcomes as soon as they are there.
        """
        columns: dict[str, list[Outcome]] = {}
        with shared_pictures():
            for factor, judge in self.judges.items():
                there = (known or {}).get(factor, [None] * len(samples))
                start = time.perf_counter()
                asked = [sample for sample, outcome in zip(samples, there, strict=True) if outcome is None]
                fresh = iter(judge_batch(judge, asked))
                columns[factor] = [next(fresh) if outcome is None else outcome for outcome in there]
                judged(factor, columns[factor], time.perf_counter() - start)
        return [self.with_total(dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]

    def with_total(self, row: Mapping[str, Outcome]) -> dict[str, Outcome]:
        """The outcomes of one sample's factors, and that of the total where there is one."""
        return {**row} if self.total is None else {**row, TOTAL: self.total.combine(row)}

    def combine(self, row: Mapping[str, Outcome], factors: Collection[str]) -> Outcome:
        """What the headline of a sample would be of these of its factors alone, at least one; as in an ablation."""
        if self.total is None:
            return row[self.headline]
        return self.total.combine(row, factors)

    def only(self, names: Collection[str]) -> RewardSet:
        """The set of these names alone: factors, or the total with the factors that it is made of."""
        total = self.total if TOTAL in names else None
        wanted = {*names, *(total.rule.factors if total is not None else ())}
        return RewardSet({factor: judge for factor, judge in self.judges.items() if factor in wanted}, total)


def refuse_as_reward(rewards: RewardSet) -> None:
    """See that every judge of a set that is to be a reward may be one.

    Raises:
        UsageError: one may not, and why.
    """
    for factor, judge in rewards.judges.items():
        if isinstance(judge, Refusable) and (why := judge.refused_as_reward):
            raise UsageError(f"{factor}: {judge.name} is refused as a reward: {why}")


def shipped_sets() -> dict[str, str]:
    """Name -> first comment line of every reward set that comes with the package."""
    folder = resources.files("rewards") / "sets"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda file: file.name)
    return {file.name.removesuffix(".toml"): file.read_text("utf-8").partition("\n")[0].lstrip("# ") for file in files}


def read_reward_set(name: str) -> RewardSetSettings:
    """The settings of a reward set.

    Args:
        name: of a shipped set; a path ending in ``.toml``; or judges by name, separated by commas, without a total,
            each with its settings behind it (``geometric,distilled,folder=judges/light``).

    Raises:
        UsageError, DataError: nothing of that name, or the file is not a reward set.
    """
    if name.endswith(".toml") and ("," not in name or Path(name).exists()):
        return read_settings(RewardSetSettings, read_toml(Path(name)), where=name)
    sets = shipped_sets()
    if name in sets:
        path = Path(str(resources.files("rewards") / "sets" / f"{name}.toml"))
        return read_settings(RewardSetSettings, read_toml(path), where=name)
    judges: list[str] = []
    for part in (part.strip() for part in name.split(",")):
        if "=" in part and judges:
            judges[-1] += f",{part}"
        else:
            judges.append(part)
    names = [judge.partition(",")[0] for judge in judges]
    if not all(names) or "=" in names[0]:
        raise UsageError(f"--judges {name!r}: expected a reward set, a .toml file, or judges separated by commas")
    if len(set(names)) < len(names):
        raise UsageError(f"--judges {name!r}: every judge must be asked once; several of a kind stand in a .toml file")
    specs = (read_component(judge, "--judges") for judge in judges)
    return RewardSetSettings(judges=dict(zip(names, specs, strict=True)))


def assemble(
    settings: RewardSetSettings, judges: Mapping[str, Judge], turns: Sequence[Collection[str]] = ()
) -> RewardSet:
    """Judges and total as one; `turns` as of `RewardSet`.

    Raises:
        UsageError: the total does not fit the judges; see `rewards.total.Total`.
    """
    by_name: dict[str, str] = {}
    for factor, judge in judges.items():
        if factor == TOTAL:
            raise UsageError("a judge cannot be called 'total', which is the name of the reward set's own result")
        if judge.name in by_name:
            twins = f"{by_name[judge.name]!r} and {factor!r}"
            raise UsageError(f"judges {twins} are both named {judge.name!r}: their scores could not be told apart")
        by_name[judge.name] = factor
    if settings.total is None:
        return RewardSet(judges, turns=turns)
    facts = {factor: (judge.range, judge.may_not_apply) for factor, judge in judges.items()}
    return RewardSet(judges, Total(settings.total, facts, judges), turns)
