"""How every run ends: the report is written, the table printed, and a run with holes is an error."""

from __future__ import annotations

from pathlib import Path

from gotr1_eval.core.errors import RunError

SHOWN = 20
"""Unscored samples, and odd pictures, that are named in the terminal."""


def finish(folder: Path, *, min_coverage: float, as_json: bool, everything: bool = False) -> None:
    """Write the page and print the table of a finished run.

    Args:
        everything: the page shows all samples, with files beside it.

    Raises:
        RunError: a cell of the table has fewer scored samples than `min_coverage`; everything is saved all the same.
    """
    from gotr1_eval.cli.peers import show_peers
    from gotr1_eval.cli.terminal import err, show_table
    from reports.export import remark_lines, unscored_lines, write_scores
    from reports.page import write_page
    from reports.published.peers import ceiling_lines, peers_of
    from reports.run_data import load_run
    from reports.tables import summarise_run

    run = load_run(folder)
    table = summarise_run(run, min_coverage)
    page = write_page(run, table, everything=everything)
    write_scores(run)
    show_table(table, as_json=as_json)
    if not as_json:
        show_peers(peers_of(run, table))
    for line in ceiling_lines(run):
        err.print(f"note: {line}", markup=False, soft_wrap=True)
    for word, lines in (("note", remark_lines(run)), ("unscored", unscored_lines(run))):
        for line in lines[:SHOWN]:
            err.print(f"{word}: {line}", markup=False, soft_wrap=True)
        if len(lines) > SHOWN:
            err.print(f"{word}: and {len(lines) - SHOWN} more", markup=False)
    if all(cell.mean is None for row in table.rows.values() for cell in row.values()):
        err.print("note: nothing was scored; the reasons are in the report", markup=False)
    err.print(f"report: {page}", markup=False, soft_wrap=True)
    if table.gaps:
        raise RunError(
            f"{folder}: {len(table.gaps)} of the table's cells have under {min_coverage:.0%} of their samples scored "
            "(see the reasons in the report); the run is saved and marked incomplete"
        )
