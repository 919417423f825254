"""Several judges on the same items, read from runs, studies and tables, with what runs know besides the scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gotr1_eval.core.outcome import Outcome
from gotr1_eval.runs.store import read_info, read_judgments
from reports.agreement.foreign_tables.mapping import ANY, MappingFile
from reports.agreement.judge_agreement import JudgeMarks
from reports.agreement.mark_sources import Sources, item_names, read_sources, systems_of
from reports.agreement.marks import Unit, base_name
from reports.run_data import RunData, load_run

FACTORS: Mapping[str, tuple[str, frozenset[str]]] = {
    "semantic": ("prose", frozenset({"semantic", "shapes_semantic"})),
    "spatial": ("plan", frozenset({"spatial", "geometric"})),
    "reasoning_image": ("grounding", frozenset({"reasoning_image"})),
    "prompt_image": (
        "picture",
        frozenset({"prompt_image", "shapes_prompt_image", "checklist", "vqa_score", "clip_score"}),
    ),
}
"""Factor of the reward -> what its judges look at, and those that are known by name, for runs that do not say it."""
TOTAL = "total"


@dataclass(slots=True)
class Judged:
    """What judges said, and what is known of them.

    Attributes:
        outcomes: judge -> item -> outcome, of runs only.
        factors: judge -> factor, of those that serve one.
        ranges: judge -> what it declares, of runs only.
        seconds: judge -> measured for each of its judgments, of runs only.
    """

    sources: Sources
    outcomes: dict[str, dict[str, Outcome]] = field(default_factory=dict)
    factors: dict[str, str] = field(default_factory=dict)
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)

    @property
    def judges(self) -> list[str]:
        """All that scored whole items, without totals."""
        names = [who for dimension, who in self.sources.judges.who() if dimension == ANY]
        return [name for name in names if base_name(name) != TOTAL]

    def marks(self, judge: str, dimension: str = ANY) -> JudgeMarks:
        """A judge's scores: of the dimension where it has some, else of whole items."""
        judges = self.sources.judges
        own = dimension if judges.scores(dimension, judge) else ANY
        scores = {unit: mark for unit, mark in judges.scores(own, judge).items() if isinstance(mark, float)}
        return JudgeMarks(
            name=judge,
            scores=scores,
            unscored=judges.unscored.get((own, judge), {}),
            not_applicable=frozenset(judges.not_applicable.get((own, judge), ())),
        )

    def prompt(self, unit: Unit) -> str:
        """The cluster of an item."""
        facts = self.sources.judges.items.get(unit.item)
        return unit.item if facts is None or facts.prompt is None else facts.prompt


def read_judged(paths: Sequence[Path], mapping: MappingFile, folder: Path) -> Judged:
    """Read what a command line names; as `reports.agreement.mark_sources.read_sources`, whose errors it raises."""
    judged = Judged(read_sources(paths, mapping, folder))
    for path, system in systems_of([path for path in paths if (path / "run.json").exists()]):
        _add(judged, load_run(path), system)
    for judge in judged.judges:
        if (factor := judged.factors.get(judge) or _factor_of(judge)) is not None:
            judged.factors[judge] = factor
    return judged


def factors_of(run: RunData) -> dict[str, str]:
    """Judge -> factor, by its name, by what run.json says that it looks at, or by the factor that it was asked as."""
    looks = _looks_at(run)
    known = {column.name: _factor_of(column.name) or looks.get(column.name) for column in run.judges}
    named = {column.name: known[column.name] or _named(column.factor) for column in run.judges}
    return {judge: factor for judge, factor in named.items() if factor is not None}


def _add(judged: Judged, run: RunData, system: str | None) -> None:
    names = item_names(run, judged.sources.people, system)
    for column in run.judges:
        outcomes = judged.outcomes.setdefault(column.name, {})
        outcomes |= {names[sample]: one for sample, one in run.outcomes[column.name].items() if sample in names}
        judged.ranges[column.name] = column.range
    judged.factors |= factors_of(run)
    current = {(column.name, column.fingerprint) for column in run.judges}
    for one in read_judgments(run.folder).values():
        # What nobody measured (a calibrated score, a run put together by hand) has no seconds.
        if one.repeat == 0 and one.seconds > 0 and (one.judge, one.fingerprint) in current:
            judged.seconds.setdefault(one.judge, []).append(one.seconds)


def _looks_at(run: RunData) -> dict[str, str]:
    """Judge -> factor, by what run.json says that it looks at."""
    listed = read_info(run.folder).setup.get("judges")
    rows = [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
    by_look = {looks: factor for factor, (looks, _) in FACTORS.items()}
    return {str(row["name"]): by_look[str(row["looks_at"])] for row in rows if row.get("looks_at") in by_look}


def _factor_of(judge: str) -> str | None:
    return next((factor for factor, (_, names) in FACTORS.items() if base_name(judge) in names), None)


def _named(factor: str) -> str | None:
    return factor if factor in FACTORS else None
