"""The report page of a run: one HTML file that needs no network."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Unscored, Why
from gotr1_eval.core.types import Json
from gotr1_eval.files.writing import write_atomically
from gotr1_eval.runs.costs import cost_of
from reports import shell
from reports.diversity import READING as DIVERSITY
from reports.diversity import run_diversity
from reports.origins import run_labels
from reports.published.peers import ceiling_lines, peers_of
from reports.run_data import RunData
from reports.run_page import gallery, plots, score_table, training
from reports.run_page.opening import mean_and_half, opening
from reports.run_page.sample_ranks import SampleRanks, chosen_samples, rank_samples
from reports.run_page.score_table import published_scores
from reports.run_summary import SUMS, Table

EMBEDDED = 200
"""Samples whose details and pictures the page itself holds."""
SEMANTICS = {
    "reference": "reference: as the official scripts compute, quirks included",
    "corrected": "corrected: with the official scripts' deviations mended; stands beside other corrected numbers only",
}


def write_page(
    run: RunData, table: Table, path: Path | None = None, *, everything: bool = False, before: RunData | None = None
) -> Path:
    """Write the page, by default as report.html in the run folder, and return where it is.

    Args:
        everything: show all samples; those that the page does not hold are written into a folder beside it,
            ``report_files`` for ``report.html``.
        before: another run, such as that of an earlier checkpoint, whose pictures and scores of the same samples stand
            beside this one's.

    Raises:
        UsageError: the runs share no sample.
    """
    path = path or run.folder / "report.html"
    beside = path.with_name(f"{path.stem}_files")
    gallery.clear_beside(beside)
    write_atomically(path, render_page(run, table, beside if everything else None, before))
    return path


def render_page(run: RunData, table: Table, beside: Path | None = None, before: RunData | None = None) -> str:
    """The page's HTML. Text from prompts, chains and replies is never markup; the page may load nothing.

    Args:
        beside: a folder for the samples that the page does not hold; None leaves them out.
        before: see `write_page`.
    """
    if before is not None and not set(run.samples) & set(before.samples):
        raise UsageError(f"report --before {before.folder}: it shares no sample with {run.folder}: other prompts")
    ranked = rank_samples(run)
    data = _gallery_data(run, table, ranked, beside, before)
    peers = peers_of(run, table)
    published = published_scores(run, peers)
    judges = score_table.judge_rows(table, published)
    trained_in = training.training_folder(run.folder)
    first = opening(run, table, judges, peers, ranked, data["rows"], data["details"])
    return shell.render(
        "run.html",
        styles=["run.css"],
        scripts=["gallery.js", "sortable.js"],
        beside=data["beside"] is not None,
        title=run.title,
        run=run,
        opening=first,
        half=mean_and_half,
        facts=facts(run),
        warnings=warnings(run, table, trained_in),
        judges=judges,
        published=bool(published),
        overview=score_table.overview(judges),
        pooled=SUMS,
        peers=peers,
        fault_lines=score_table.fault_lines,
        ceilings=ceiling_lines(run),
        distributions=plots.distributions(run, ranked),
        correlations=plots.correlations(run, ranked),
        lengths=plots.chain_lengths(run, ranked),
        diversity=run_diversity(run),
        diversity_reading=DIVERSITY,
        curves=training.training_curves(trained_in) if trained_in is not None else [],
        data=data,
        selection=_selection(run, len(data["details"]), data["beside"] is not None),
    )


def _gallery_data(
    run: RunData, table: Table, ranked: SampleRanks, beside: Path | None, before: RunData | None
) -> dict[str, Any]:
    """What the gallery's script reads; writes the folder beside the page where one is wanted and needed."""
    chosen = chosen_samples(ranked, EMBEDDED)
    details = gallery.embedded(run, chosen, before)
    rest = [place for place in range(len(run.samples)) if place not in details] if beside else []
    if beside is not None and rest:
        gallery.write_beside(run, rest, beside, before)
    shown = sorted([*details, *rest])
    rows = gallery.gallery_rows(run, ranked, shown, [chosen.get(place, "") for place in shown], before)
    return rows | {
        "details": {row: details[place] for row, place in enumerate(shown) if place in details},
        "beside": beside.name if beside is not None and rest else None,
        "chunk": gallery.CHUNK,
        "colours": shell.COLOURS,
        "table": _table_lines(table),
        "before": None if before is None else run_labels([before, run])[0],
    }


_NUMBERS = (
    "mean", "low", "high", "seeds_low", "seeds_high", "scored", "unscored", "not_applicable", "missing",
)  # fmt: skip


def _table_lines(table: Table) -> list[list[Json]]:
    """The table as lines of a CSV file, a line a cell."""
    lines: list[list[Json]] = [["category", "judge", *_NUMBERS]]
    for category, row in table.rows.items():
        lines += [[category, judge, *(getattr(cell, name) for name in _NUMBERS)] for judge, cell in row.items()]
    return lines


def _selection(run: RunData, held: int, all_shown: bool) -> str:
    """Which samples the page shows, in words."""
    number = f"{len(run.samples):,}{' evenly taken' if run.left_out else ''}"
    if len(run.samples) == held:
        return f"All {number} samples."
    chosen = "the worst, the best, those the judges disagree on most, some left unscored, and the rest at random"
    if all_shown:
        return f"All {number} samples; {held} are in this file ({chosen}), the others in the folder beside it."
    return f"{held} of {number} samples: {chosen}. With --all, gotr1-eval report shows all of these."


def facts(run: RunData) -> list[tuple[str, str]]:
    """(what, how) of the run, in the order of reading."""
    identity, asked = run.info.identity, sum(run.expected.values())
    made = len(run.samples) + run.left_out
    found: list[tuple[str, Json]] = [
        ("Generator", run.info.setup.get("generator")),
        ("Suite", identity.get("suite")),
        ("Source", identity.get("source")),
        ("Step", identity.get("step")),
        ("Samples", f"{made:,}" if made == asked else f"{made:,} of {asked:,}"),
        ("Pictures a prompt", identity.get("images_per_prompt")),
        ("Seed", identity.get("seed")),
        ("Shard", identity.get("shard")),
        ("Semantics", "; ".join(semantics(run))),
        ("Cost", str(cost_of(run.info))),
    ]
    return [(name, str(value)) for name, value in found if value not in (None, "")]


def semantics(run: RunData) -> list[str]:
    """Whose reading of the official metrics the run's judges follow, in words; empty without official metrics."""
    named = {column.name.rstrip("]").rpartition(", ")[2] for column in run.judges if column.name.endswith("]")}
    return [words for name, words in SEMANTICS.items() if name in named]


def warnings(run: RunData, table: Table, training: Path | None) -> list[str]:
    """What a reader must know before believing the table."""
    found = [f"Incomplete: {gap}, needed {table.min_coverage:.0%}." for gap in table.gaps]
    if run.left_out:
        whole = len(run.samples) + run.left_out
        found.append(
            f"The table is of all {whole:,} samples; everything else here is of {len(run.samples):,}, taken evenly."
        )
    suite = run.info.identity.get("suite")
    if isinstance(suite, str) and suite.startswith("shapes"):
        found.append("The shapes world is drawn and computed; nothing here is a result about real pictures.")
    if training is not None:
        found.append(f"A held-out evaluation of the training run {training.name}: the judges are also its rewards.")
    return [*found, *(f"{line}." for line in run.remarks), *_unscored(run), *_oddities(run)]


def _unscored(run: RunData) -> list[str]:
    found = []
    for column in run.judges:
        outcomes = (run.outcomes[column.name].get(identity) for identity in run.samples)
        reasons = Counter(
            outcome.why.value.replace("_", " ")
            for outcome in outcomes
            if isinstance(outcome, Unscored) and outcome.why is not Why.NOT_APPLICABLE
        )
        if reasons and column.factor != "total":
            counts = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
            found.append(f"Left unscored by {column.name}: {counts}.")
    return found


def _oddities(run: RunData) -> list[str]:
    samples = run.samples.values()
    truncated = sum(sample.meta.get("truncated") is True for sample in samples)
    absent = [sample.image.name for sample in samples if isinstance(sample.image, Path) and not sample.image.is_file()]
    odd = sum(bool(sample.meta.get("picture_remarks")) for sample in samples)
    found = [f"{truncated} of {len(run.samples)} chains hit their cap and were cut off."] if truncated else []
    if absent:
        found.append(f"{len(absent)} of {len(run.samples)} pictures are missing, such as {absent[0]}.")
    return found + ([f"{odd} of {len(run.samples)} pictures are odd but were judged."] if odd else [])
