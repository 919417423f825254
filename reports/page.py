"""The report page of a run: one HTML file that needs no network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gotr1_eval.files.writing import write_atomically
from reports import shell
from reports.published.peers import ceiling_lines, peers_of
from reports.run_data import RunData
from reports.run_page import curves, gallery, head, plots, scores
from reports.run_page.landmarks import landmarks
from reports.run_page.standing import Standings, chosen_samples, find_standings
from reports.tables import SUMS, Table

EMBEDDED = 200
"""Samples whose details and pictures the page itself holds."""


def write_page(run: RunData, table: Table, path: Path | None = None, *, everything: bool = False) -> Path:
    """Write the page, by default as report.html in the run folder, and return where it is.

    Args:
        everything: show all samples; those that the page does not hold are written into a folder beside it,
            ``report_files`` for ``report.html``.
    """
    path = path or run.folder / "report.html"
    beside = path.with_name(f"{path.stem}_files")
    gallery.clear_beside(beside)
    write_atomically(path, render_page(run, table, beside if everything else None))
    return path


def render_page(run: RunData, table: Table, beside: Path | None = None) -> str:
    """The page's HTML. Text from prompts, chains and replies is never markup; the page may load nothing.

    Args:
        beside: a folder for the samples that the page does not hold; None leaves them out.
    """
    standings = find_standings(run)
    data = _gallery_data(run, standings, beside)
    peers = peers_of(run, table)
    published = landmarks(run, peers)
    judges = scores.judge_rows(table, published)
    training = curves.training_folder(run.folder)
    return shell.render(
        "run.html",
        styles=["run.css"],
        scripts=["gallery.js"],
        beside=data["beside"] is not None,
        title=run.folder.absolute().name,
        run=run,
        facts=head.facts(run),
        warnings=head.warnings(run, table, training),
        judges=judges,
        published=bool(published),
        overview=scores.overview(judges),
        pooled=SUMS,
        peers=peers,
        fault_lines=scores.fault_lines,
        ceilings=ceiling_lines(run),
        distributions=plots.distributions(run, standings),
        correlations=plots.correlations(run, standings),
        lengths=plots.chain_lengths(run, standings),
        curves=curves.training_curves(training) if training is not None else [],
        data=data,
        selection=_selection(run, len(data["details"]), data["beside"] is not None),
    )


def _gallery_data(run: RunData, standings: Standings, beside: Path | None) -> dict[str, Any]:
    """What the gallery's script reads; writes the folder beside the page where one is wanted and needed."""
    chosen = chosen_samples(standings, EMBEDDED)
    details = gallery.embedded(run, chosen)
    rest = [place for place in range(len(run.samples)) if place not in details] if beside else []
    if beside is not None and rest:
        gallery.write_beside(run, rest, beside)
    shown = sorted([*details, *rest])
    rows = gallery.gallery_rows(run, standings, shown, [chosen.get(place, "") for place in shown])
    return rows | {
        "details": {row: details[place] for row, place in enumerate(shown) if place in details},
        "beside": beside.name if beside is not None and rest else None,
        "chunk": gallery.CHUNK,
        "colours": shell.COLOURS,
    }


def _selection(run: RunData, held: int, all_shown: bool) -> str:
    """Which samples the page shows, in words."""
    number = f"{len(run.samples):,}{' evenly taken' if run.left_out else ''}"
    if len(run.samples) == held:
        return f"All {number} samples."
    chosen = "the worst, the best, those the judges disagree on most, some left unscored, and the rest at random"
    if all_shown:
        return f"All {number} samples; {held} are in this file ({chosen}), the others in the folder beside it."
    return f"{held} of {number} samples: {chosen}. With --all, gotr1-eval report shows all of these."
