"""The head of the page: what ran, and what a reader must know before believing a number."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from gotr1_eval.core.outcome import Unscored, Why
from gotr1_eval.core.types import Json
from reports.run_data import RunData
from reports.tables import Table

SEMANTICS = {
    "reference": "reference: as the official scripts compute, quirks included",
    "corrected": "corrected: with the official scripts' deviations mended; stands beside other corrected numbers only",
}


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
    odd = sum(bool(sample.meta.get("picture_remarks")) for sample in samples)
    found = [f"{truncated} of {len(run.samples)} chains hit their cap and were cut off."] if truncated else []
    return found + ([f"{odd} of {len(run.samples)} pictures are odd but were judged."] if odd else [])
