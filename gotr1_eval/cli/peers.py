"""What the terminal shows of published scores: a table a protocol, or why there is nothing to compare with."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table as RichTable
from rich.text import Text

from gotr1_eval.cli.terminal import out
from reports.published.peers import Peers


def show_peers(groups: Sequence[Peers]) -> None:
    """The run beside published rows; without a comparable number only the reasons (the report page has the rows)."""
    for group in groups:
        if group.comparable:
            out.print(f"\npublished under {group.protocol}", style="bold", markup=False)
            _show_rows(group)
            for remark in group.remarks:
                out.print(remark, style="dim", markup=False, soft_wrap=True)
    against = {metric: faults for group in groups for metric, faults in group.faults.items()}
    for metric, faults in against.items():
        if faults:
            line = f"* {metric}: not comparable with published numbers: {'; '.join(faults)}"
            out.print(line, style="dim", markup=False, soft_wrap=True)


def _show_rows(group: Peers) -> None:
    rows = [row for row in group.rows if row.main]
    sources = list(dict.fromkeys(row.source for row in rows))
    grid = RichTable(box=None, pad_edge=False, header_style="bold")
    grid.add_column("model")
    for metric in group.own:
        grid.add_column(Text(f"{metric}{'*' if group.faults[metric] else ''}"), justify="right")
    own = [Text("-" if value is None else group.show(value), style="bold") for value in group.own.values()]
    grid.add_row(Text("this run", style="bold"), *own)
    for row in rows:
        name = f"{row.model} [{sources.index(row.source) + 1}]{' †' if row.transcribed else ''}"
        values = [row.values.get(metric) for metric in group.own]
        grid.add_row(Text(name), *(Text("-" if value is None else group.show(value)) for value in values))
    out.print(grid)
    for number, source in enumerate(sources, start=1):
        out.print(f"[{number}] {source}", style="dim", markup=False, soft_wrap=True)
    if any(row.transcribed for row in rows):
        out.print("† transcribed by a third party", style="dim", markup=False)
