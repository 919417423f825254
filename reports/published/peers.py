"""A run's numbers beside published ones of the same protocol, each with what stands against the comparison.

T2I-CompBench and T2I-CompBench++ are two protocols, and are never put into one table.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from reports.published.metrics import CATEGORIES, MetricName, ceiling, read_name
from reports.published.prompt_lists import list_fault
from reports.run_data import RunData
from reports.tables import TASK_MEAN, Table

OVERALL = "overall"
"""GenEval's headline: the mean of its six tasks' means."""
PROTOCOLS = {"t2i-compbench": ("T2I-CompBench", "T2I-CompBench++"), "geneval": ("GenEval",)}
IMAGES = {"t2i-compbench": 10, "geneval": 4}
DUPLICATES = "color: published before September 2025 on a list with five duplicates, which were replaced then"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A model's published scores from one source.

    Attributes:
        main: False for rows of ablations and repeated trainings.
        transcribed: copied by a third party, and not checked against the original table.
        made_with: metric -> the detectors and models of the official scripts.
    """

    model: str
    source: str
    main: bool
    transcribed: bool
    values: Mapping[str, float]
    made_with: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Peers:
    """A run's own scores, and those published under one protocol.

    Attributes:
        own: metric that the protocol has -> the run's mean, in the order of the columns; None where nothing was scored.
        faults: metric -> why the run's mean is not comparable with these rows; empty where it is.
        remarks: what else a reader should know.
    """

    protocol: str
    own: Mapping[str, float | None]
    faults: Mapping[str, Sequence[str]]
    remarks: Sequence[str]
    rows: Sequence[Peer]

    @property
    def comparable(self) -> list[str]:
        """The metrics whose numbers may be laid beside the rows."""
        return [metric for metric in self.own if not self.faults[metric]]

    def show(self, value: float) -> str:
        """A score with as many decimals as the protocol's tables have."""
        return f"{value:.{2 if self.protocol == 'GenEval' else 4}f}"


def peers_of(run: RunData, table: Table) -> list[Peers]:
    """What is published for the metrics of a run, a protocol each; empty for runs without an official metric."""
    suite = str(run.info.identity.get("suite"))
    cells = _cells(run, table)
    own = {metric: table.rows[row][judge].mean for metric, (judge, row) in cells.items()}
    faults = {metric: faults for metric, faults in _faults(run, table).items() if metric in cells}
    groups = [_group(run, protocol, own, faults) for protocol in PROTOCOLS.get(suite, ())]
    return [group for group in groups if group.own]


def _group(run: RunData, protocol: str, own: Mapping[str, float | None], faults: Mapping[str, Sequence[str]]) -> Peers:
    """The part of the run's metrics that one protocol has, and its rows."""
    rows = [row for row in published(protocol) if row.values.keys() & own.keys()]
    known = [metric for metric in own if any(metric in row.values for row in rows)]
    return Peers(
        protocol=protocol,
        own={metric: own[metric] for metric in known},
        faults={metric: faults[metric] for metric in known},
        remarks=[*_image_remark(run), *([DUPLICATES] if "color" in known else [])],
        rows=rows,
    )


def _cells(run: RunData, table: Table) -> dict[str, tuple[str, str]]:
    """Official metric -> (judge, row) of the table where its mean stands."""
    cells: dict[str, tuple[str, str]] = {}
    for category, judge, _ in _official(run):
        cells[category] = judge, category
        if category in CATEGORIES["geneval"] and TASK_MEAN in table.rows:
            cells[OVERALL] = judge, TASK_MEAN
    return cells


def _faults(run: RunData, table: Table) -> dict[str, list[str]]:
    """Official metric -> what stands against comparing its mean."""
    faults: dict[str, list[str]] = {}
    for category, judge, name in _official(run):
        coverage = table.rows[category][judge].coverage
        holes = f"only {coverage:.1%} scored" if coverage < table.min_coverage else ""
        faults[category] = [*name.faults, *filter(None, [list_fault(run, category), holes])]
    tasks = CATEGORIES["geneval"]
    absent = [task for task in tasks if task not in faults]
    told = dict.fromkeys(fault for task in tasks for fault in faults.get(task, ()))
    return faults | {OVERALL: [*([f"without {', '.join(absent)}"] if absent else []), *told]}


def ceiling_lines(run: RunData) -> list[str]:
    """What perfect pictures could score with the detector that ran, for the metrics of a run that cannot reach 1."""
    lines = ((metric, ceiling(metric, name.detector)) for metric, _, name in _official(run) if _may_fall_short(name))
    return [f"{metric}: {line}" for metric, line in lines if line]


def _may_fall_short(name: MetricName) -> bool:
    return name.semantics == "reference" and name.metric != "geneval" and bool(name.detector)


def _official(run: RunData) -> Iterator[tuple[str, str, MetricName]]:
    """(category, judge, its name taken apart) of every official number in the run's table."""
    for column in run.judges:
        if (name := read_name(column.name)) is not None:
            for category in CATEGORIES[name.metric]:
                if category in run.expected:
                    yield category, column.name, name


def _image_remark(run: RunData) -> list[str]:
    here, usual = run.info.identity.get("images_per_prompt"), IMAGES[str(run.info.identity.get("suite"))]
    return [f"published with {usual} pictures a prompt, here {here}: less exact"] if here != usual else []


@lru_cache(maxsize=8)
def published(protocol: str) -> tuple[Peer, ...]:
    """Everything in the table of published scores under one protocol, in its order."""
    found: dict[tuple[str, str], list[dict[str, str]]] = {}
    text = files("reports.published").joinpath("scores.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        if row["protocol"] == protocol:
            found.setdefault((row["model"], row["source"]), []).append(row)
    return tuple(
        Peer(
            model=model,
            source=source,
            main=rows[0]["kind"] == "main",
            transcribed=rows[0]["transcribed"] == "yes",
            values={row["metric"]: float(row["value"]) for row in rows},
            made_with={row["metric"]: row["made_with"] for row in rows},
        )
        for (model, source), rows in found.items()
    )
