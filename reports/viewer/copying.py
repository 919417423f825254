"""A copy of the viewer's list that needs no server: one folder, a page a run, to be put on a shelf or a web site."""

from __future__ import annotations

from pathlib import Path

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.identifiers import safe_name
from gotr1_eval.files.writing import write_atomically
from reports.viewer.pages import list_page, run_page
from reports.viewer.runs_folder import RunsFolder

MOST = 200
"""Runs of one copy; each is a page of up to 15 MB."""


def write_copy(runs: RunsFolder, target: Path) -> int:
    """Write index.html and a page of each run that can be read, and return how many there are.

    Raises:
        UsageError: there are more runs than `MOST`, or the folder holds other files than a copy's.
    """
    rows = [row for row in runs.rows() if not row.fault and row.done]
    if len(rows) > MOST:
        raise UsageError(f"{runs.root}: {len(rows)} runs, and a copy holds {MOST}; name a folder with fewer")
    target.mkdir(parents=True, exist_ok=True)
    if any(path.suffix != ".html" for path in target.iterdir()):
        raise UsageError(f"--export {target}: the folder holds other files than pages; choose another")
    links = {row.name: f"{place:03}-{safe_name(row.name)[:80]}.html" for place, row in enumerate(rows)}
    for left in {path.name for path in target.iterdir()} - {*links.values(), "index.html"}:
        (target / left).unlink()  # of runs that an earlier copy had under other names
    for row in rows:
        write_atomically(target / links[row.name], run_page(runs.folder(row.name)))
    write_atomically(target / "index.html", list_page(rows, runs.root.name, links=links))
    return len(rows)
