"""One number for how far a judge agrees with a reference, chosen by name."""

from __future__ import annotations

from collections.abc import Sequence

from gotr1_eval.core.statistics import verdicts
from gotr1_eval.core.statistics.correlations import correlations, pearson, spearman, why_undefined
from gotr1_eval.core.statistics.ranks import Floats

CORRELATIONS = ("spearman", "pearson", "kendall_b")
COEFFICIENTS: Sequence[str] = (*CORRELATIONS, *verdicts.NAMES)


def usual(reference: Floats) -> str:
    """Of labels of 0 and 1 the ROC area, otherwise Spearman's coefficient."""
    return "roc_auc" if verdicts.are_labels(reference) else "spearman"


def coefficient(name: str, scores: Floats, reference: Floats, weights: Floats, threshold: float = 0.5) -> Floats:
    """[draws]: of `COEFFICIENTS` the one of this name; NaN where undefined, as verdicts against no labels are.

    Args:
        weights: [draws, items]; how often each stands in a draw.
        threshold: a score from it on is a verdict of 1.
    """
    if not len(scores) or (name not in CORRELATIONS and not verdicts.are_labels(reference)):
        return verdicts.verdict_numbers(scores[:0], reference[:0], weights, threshold)["accuracy"]
    if name == "spearman":
        return spearman(scores, reference, weights)
    if name == "pearson":
        return pearson(scores, reference, weights)
    if name in CORRELATIONS:
        return correlations(scores, reference, weights)[name]
    return verdicts.verdict_numbers(scores, reference, weights, threshold)[name]


def why_none(name: str, scores: Floats, reference: Floats) -> str:
    """Why the number is undefined, in words; for one that is."""
    if not len(scores):
        return "no item has both"
    if name in CORRELATIONS:
        return why_undefined(scores, reference).replace("people gave", "the reference gave")
    if not verdicts.are_labels(reference):
        return f"{name.replace('_', ' ')} needs a reference of labels 0 and 1"
    return verdicts.why_undefined(name, scores, reference)
