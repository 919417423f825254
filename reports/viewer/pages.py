"""The pages of the viewer: each is made from what was asked for, and every one has an address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from gotr1_eval.core.types import Sample
from reports import shell, svg
from reports.comparison.leaderboard import leaderboard, leaderboard_document
from reports.documents import Document
from reports.origins import run_labels
from reports.run_data import RunData, load_run
from reports.run_page.page import render_page
from reports.run_page.sample_details import SampleDetails, sample_details
from reports.run_page.training import is_training, render_training_page
from reports.run_summary import summarise_run
from reports.viewer.run_samples import RunSamples, Wanted
from reports.viewer.runs_folder import RunRow
from reports.viewer.search import Hit

CARD = "audit.html"
"""The page of an audit, which `benchmarks.audit` writes."""

ROWS = 12
"""Samples on one page."""
ORDERS = {
    "run": "as in the run",
    "lowest": "lowest score first",
    "highest": "highest score first",
    "unscored": "unscored",
}
TABLES = 24
"""Most runs of one leaderboard: their numbers are computed when it is asked for."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A sample of one run in a row of pictures.

    Attributes:
        picture: its address; None where the sample has none, or the run lacks the sample.
        score: of the chosen judge, in words.
    """

    picture: str | None
    score: str
    address: str


@dataclass(frozen=True, slots=True)
class PictureRow:
    """One prompt and seed, in every run that is shown."""

    prompt: str
    category: str
    cells: tuple[Cell, ...]


def address(path: str, runs: Sequence[str] = (), **query: object) -> str:
    """A page's address, with the runs that it is about."""
    pairs = [
        *(("run", run) for run in runs),
        *((key, value) for key, value in query.items() if value not in ("", None)),
    ]
    return f"{path}?{urlencode(pairs)}" if pairs else path


def list_page(rows: Sequence[RunRow], root: str, *, links: Mapping[str, str] | None = None) -> str:
    """All runs.

    Args:
        links: run -> file of its page, in a copy that needs no server; None where the server makes pages.
    """
    factors = list(dict.fromkeys(factor for row in rows for factor in row.means))
    return _render(
        "view_list.html", title=root, rows=rows, factors=factors, links=links, address=address,
        data=[row.json() for row in rows], served=links is None,
    )  # fmt: skip


def run_page(folder: Path) -> str:
    """The page of a run or a training, as its report holds it; of an audit its card, which alone says what is good."""
    if is_training(folder):
        return render_training_page(folder)
    if (card := folder / CARD).exists():
        return card.read_text(encoding="utf-8")
    run = load_run(folder)
    return render_page(run, summarise_run(run))


def samples_page(runs: Mapping[str, RunSamples], titles: Mapping[str, str], wanted: Wanted, page: int) -> str:
    """The samples of a run, or those of the same prompt and seed in several, side by side."""
    names = list(runs)
    first = runs[names[0]]
    matching = first.matching(wanted)
    pages = max(-(-len(matching) // ROWS), 1)
    page = min(max(page, 1), pages)
    judge = first.judge(wanted.judge)
    rows = [
        PictureRow(
            first.prompts[place], first.categories[place],
            tuple(_cell(name, runs[name], first.ids[place], judge.name if judge else "", names) for name in names),
        )
        for place in matching[(page - 1) * ROWS : page * ROWS]
    ]  # fmt: skip
    query = {"q": wanted.words, "category": wanted.category, "judge": wanted.judge, "order": wanted.order}
    return _render(
        "view_samples.html", title=", ".join(titles[name] for name in names), names=names, titles=titles, rows=rows,
        wanted=wanted, orders=ORDERS, judges=[column.factor for column in first.judges],
        judge=judge.factor if judge else "", categories=list(dict.fromkeys(first.categories)),
        count=len(matching), total=len(first.ids), page=page, pages=pages,
        turn=lambda number: address("/samples", names, **query, page=number), address=address,
    )  # fmt: skip


def _cell(name: str, run: RunSamples, sample: str, judge: str, names: Sequence[str]) -> Cell:
    place = run.places.get(sample)
    if place is None:
        return Cell(None, "not in this run", address("/sample", names, id=sample))
    value = run.score(place, judge)
    shown = "no score" if value is None else svg.minus(f"{value:.3f}")
    return Cell(address("/picture", [name], id=sample), shown, address("/sample", names, id=sample))


def sample_page(sample: str, runs: Mapping[str, RunData], titles: Mapping[str, str]) -> str:
    """One sample whole, in every run that has it: chain, boxes, and what every judge said."""
    shown: list[tuple[str, Sample, SampleDetails, str]] = []
    for name, run in runs.items():
        if sample in run.samples:
            one = run.samples[sample]
            picture = address("/picture", [name], id=sample)
            shown.append((name, one, sample_details(run, one), picture))
    return _render(
        "view_sample.html", title=sample, shown=shown, titles=titles,
        prompt=shown[0][1].prompt if shown else "", runs=list(runs), address=address,
    )  # fmt: skip


def fault_page(fault: str) -> str:
    """What stands in place of a page that cannot be made."""
    return shell.render("view_fault.html", styles=["run.css", "view.css"], served=True, title="Not here", fault=fault)


def search_page(words: str, hits: Sequence[Hit], *, more: bool, progress: str) -> str:
    """What a search over all runs found."""
    return _render(
        "view_search.html", title=f"Search: {words}" if words else "Search", words=words, hits=hits, more=more,
        progress=progress, address=address,
    )  # fmt: skip


def board_page(runs: Sequence[RunData], names: Sequence[str]) -> str:
    """The leaderboard of these runs, ranks with ties within noise.

    Raises:
        UsageError: a run is given twice.
    """
    document: Document = leaderboard_document(runs, leaderboard(runs), "")
    return _render("view_board.html", title="Leaderboard", document=document, names=names, labels=run_labels(runs),
                   address=address)  # fmt: skip


def _render(template: str, *, served: bool = True, **context: Any) -> str:  # noqa: ANN401 (whatever a page shows)
    return shell.render(
        template,
        styles=["run.css", "view.css"],
        scripts=["view.js", "sortable.js"],
        served=served,
        **context,
    )
