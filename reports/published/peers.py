"""A run's numbers beside published ones of the same protocol, each with what stands against the comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reports.published.benchmark import Benchmark, Peer, benchmark_of, folder_of, published
from reports.published.metrics import MetricName, read_name
from reports.run_data import RunData
from reports.run_summary import ALL, TASK_MEAN, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Peers:
    """A run's own scores, and those published under one protocol.

    Attributes:
        own: metric that the protocol has -> the run's mean, in the order of the columns; None where nothing was scored.
        faults: metric -> why the run's mean is not comparable with these rows; empty where it is.
        remarks: what else a reader should know.
        decimals: that the protocol's tables have.
    """

    protocol: str
    own: Mapping[str, float | None]
    faults: Mapping[str, Sequence[str]]
    remarks: Sequence[str]
    rows: Sequence[Peer]
    decimals: int

    @property
    def comparable(self) -> list[str]:
        """The metrics whose numbers may be laid beside the rows."""
        return [metric for metric in self.own if not self.faults[metric]]

    def show(self, value: float) -> str:
        """A score with as many decimals as the protocol's tables have."""
        return f"{value:.{self.decimals}f}"


def peers_of(run: RunData, table: Table) -> list[Peers]:
    """What is published for the metrics of a run, a protocol each; empty for runs without an official metric."""
    cells = _cells(run, table)
    own = {metric: table.rows[row][judge].mean for metric, (judge, row) in cells.items()}
    faults = {metric: faults for metric, faults in _faults(run, table).items() if metric in cells}
    groups = [_group(run, protocol, own, faults) for protocol in benchmark_of(run).protocols]
    return [group for group in groups if group.own]


def _group(run: RunData, protocol: str, own: Mapping[str, float | None], faults: Mapping[str, Sequence[str]]) -> Peers:
    """The part of the run's metrics that one protocol has, and its rows."""
    benchmark, folder = benchmark_of(run), folder_of(run)
    rows = [] if folder is None else [row for row in published(folder, protocol) if row.values.keys() & own.keys()]
    known = [metric for metric in own if any(metric in row.values for row in rows)]
    return Peers(
        protocol=protocol,
        own={metric: own[metric] for metric in known},
        faults={metric: faults[metric] for metric in known},
        remarks=[
            *_image_remark(run, benchmark),
            *(f"{category}: {remark}" for category, remark in benchmark.remarks.items() if category in known),
        ],
        rows=rows,
        decimals=benchmark.decimals,
    )


def _cells(run: RunData, table: Table) -> dict[str, tuple[str, str]]:
    """Official metric -> (judge, row) of the table where its mean stands; headlines after the categories."""
    cells: dict[str, tuple[str, str]] = {}
    headlines: dict[str, tuple[str, str]] = {}
    for category, judge, name in _official(run):
        cells[category] = judge, category
        if (overall := name.benchmark.mean_of_categories) and TASK_MEAN in table.rows:
            headlines[overall] = judge, TASK_MEAN
        if (overall := name.mean_of_pictures) and ALL in table.rows:
            headlines[overall] = judge, ALL
    return cells | headlines


def _faults(run: RunData, table: Table) -> dict[str, list[str]]:
    """Official metric -> what stands against comparing its mean."""
    faults: dict[str, list[str]] = {}
    for category, judge, name in _official(run):
        coverage = table.rows[category][judge].coverage
        holes = f"only {coverage:.1%} scored" if coverage < table.min_coverage else ""
        faults[category] = [*name.faults, *filter(None, [list_fault(run, name.benchmark, category), holes])]
    benchmark = benchmark_of(run)
    if benchmark.mean_of_categories:
        faults[benchmark.mean_of_categories] = _joint_faults(faults, benchmark.categories)
    for metric in benchmark.metrics.values():
        if metric.mean_of_pictures:
            faults[metric.mean_of_pictures] = _joint_faults(faults, metric.categories)
    return faults


def _joint_faults(faults: Mapping[str, Sequence[str]], categories: Sequence[str]) -> list[str]:
    """What stands against comparing a mean over categories: those that are not there, and what stands against any."""
    absent = [category for category in categories if category not in faults]
    told = dict.fromkeys(fault for category in categories for fault in faults.get(category, ()))
    return [*([f"without {', '.join(absent)}"] if absent else []), *told]


def ceiling_lines(run: RunData) -> list[str]:
    """What perfect pictures could score with the detector that ran, for the metrics of a run that cannot reach 1."""
    return [f"{category}: {told}" for category, _, name in _official(run) if (told := name.ceiling)]


def _official(run: RunData) -> Iterator[tuple[str, str, MetricName]]:
    """(category, judge, its name taken apart) of every official number in the run's table."""
    for column in run.judges:
        if (name := read_name(column.name, run)) is not None:
            for category in name.categories:
                if category in run.expected:
                    yield category, column.name, name


def _image_remark(run: RunData, benchmark: Benchmark) -> list[str]:
    here, usual = run.info.identity.get("images_per_prompt"), benchmark.images_per_prompt
    return [] if here == usual else [f"published with {usual} pictures a prompt, here {here}: less exact"]


def list_fault(run: RunData, benchmark: Benchmark, category: str) -> str:
    """How the prompts of a run differ from the published list, told by their digest; empty when they are that list.

    A part of a list is another benchmark.
    """
    lists = run.info.setup.get("prompts")
    found = lists.get(category) if isinstance(lists, dict) else None
    if not isinstance(found, list):
        return "its prompts are not recorded"
    official = benchmark.lists.get(category)
    if official is None:
        return "the published list is not known"
    if found == [official.prompts, official.digest]:
        return ""
    here = found[0]
    if here == official.prompts:
        return "other prompts than the published list"
    return f"{here} prompts, of a list of {official.prompts}"
