"""The report page of a run: one HTML file that needs no network."""

from __future__ import annotations

from pathlib import Path

from gotr1_eval.core.runs import write_atomically
from reports.gallery import choose, make_card
from reports.published.peers import ceiling_lines, peers_of
from reports.run_data import RunData
from reports.tables import Table

GALLERY = 120
"""Most samples that the page shows."""


def write_page(run: RunData, table: Table, path: Path | None = None) -> Path:
    """Write the page, by default as report.html in the run folder, and return where it is."""
    path = path or run.folder / "report.html"
    write_atomically(path, render_page(run, table))
    return path


def render_page(run: RunData, table: Table) -> str:
    """The page's HTML. Text from prompts, chains and replies is escaped; the page may load nothing."""
    # Imported here: jinja2 is needed for pages alone, and reading runs should stay light.
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reports"), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    chosen = choose(run, GALLERY)
    return environment.get_template("page.html").render(
        title=run.folder.name,
        run=run,
        table=table,
        groups={category: [make_card(run, sample) for sample in samples] for category, samples in chosen.items()},
        shown=sum(map(len, chosen.values())),
        warnings=_warnings(run, table),
        peers=peers_of(run, table),
        ceilings=ceiling_lines(run),
    )


def _warnings(run: RunData, table: Table) -> list[str]:
    """What a reader must know before believing the table."""
    found = [f"Incomplete: {gap}, needed {table.min_coverage:.0%}." for gap in table.gaps]
    suite = run.info.identity.get("suite")
    if isinstance(suite, str) and suite.startswith("shapes"):
        found.append("The shapes world is drawn and computed; nothing here is a result about real pictures.")
    truncated = sum(sample.meta.get("truncated") is True for sample in run.samples.values())
    if truncated:
        found.append(f"{truncated} of {len(run.samples)} chains hit their cap and were cut off.")
    return found
