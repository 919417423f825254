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
LIST = "pages.txt"
"""Names the pages of a copy, so that the next one removes those alone."""


def write_copy(runs: RunsFolder, target: Path) -> int:
    """Write index.html and a page of each run that can be read, and return how many there are.

    Pages of an earlier copy whose runs are gone are removed.

    Raises:
        UsageError: there are more runs than `MOST`, or the folder holds anything that is not a copy's.
    """
    rows = [row for row in runs.rows() if not row.fault and row.done]
    if len(rows) > MOST:
        raise UsageError(f"{runs.root}: {len(rows)} runs, and a copy holds {MOST}; name a folder with fewer")
    target.mkdir(parents=True, exist_ok=True)
    listed = (target / LIST).read_text("utf-8").splitlines() if (target / LIST).is_file() else []
    own = {name for name in listed if Path(name).name == name and name.endswith(".html")}
    if foreign := sorted({path.name for path in target.iterdir()} - {*own, LIST}):
        raise UsageError(
            f"--export {target}: the folder holds {foreign[0]}, which is no page of a copy; choose another folder"
        )
    # By the run's name, so that a link stays what it is from copy to copy.
    links = {row.name: f"run-{safe_name(row.name)}.html" for row in rows}
    pages = ["index.html", *links.values()]
    write_atomically(target / LIST, "".join(f"{name}\n" for name in sorted({*own, *pages})))
    for row in rows:
        write_atomically(target / links[row.name], run_page(runs.folder(row.name)))
    write_atomically(target / "index.html", list_page(rows, runs.root.name, links=links))
    for name in own - {*pages}:
        (target / name).unlink(missing_ok=True)
    write_atomically(target / LIST, "".join(f"{name}\n" for name in sorted(pages)))
    return len(rows)
