"""A comparison in sentences."""

from __future__ import annotations

from collections.abc import Mapping

from reports.comparison.paired import Difference
from reports.comparison.runs import Comparison, JudgeComparison


def sentence(category: str, row: Difference) -> str:
    """One category in words: better, worse, or within noise, and how it is known."""
    if row.mean is None:
        return f"{category}: no sample is scored in both runs"
    if row.ties == row.pairs:
        return f"{category}: identical in all {row.pairs} pairs"
    interval = "" if row.low is None else f" [{row.low:+.3f}, {row.high:+.3f}]"
    tail = f"p {row.adjusted_p:.3f}, {row.pairs} pairs of {row.prompts} prompts"
    if row.verdict == "within noise":
        needed = "" if row.detectable is None else f"; a difference of {row.detectable:.3f} could have been found"
        return f"{category}: within noise, {row.mean:+.3f}{interval} ({tail}{needed})"
    return f"{category}: {row.verdict} by {abs(row.mean):.3f}{interval} ({tail})"


def counts(row: Difference) -> str:
    """Wins, ties and losses of B, and what was left out."""
    return f"{row.wins} won, {row.ties} tied, {row.losses} lost{_left_out(row.left_out)}"


def _left_out(reasons: Mapping[str, int]) -> str:
    return "".join(f", {count} {reason}" for reason, count in reasons.items())


def warnings(comparison: Comparison, judge: JudgeComparison) -> list[str]:
    """What a reader must know before believing a judge's differences."""
    found = []
    if judge.fingerprints_differ:
        found.append("set up differently in the two runs: these differences are not the generators' alone")
    for label, count in ((comparison.a, comparison.only_a), (comparison.b, comparison.only_b)):
        if count:
            found.append(f"{count} samples of {label} are not in the other run and are left out")
    return found
