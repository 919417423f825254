"""Verdicts against labels of 0 and 1: accuracy, balanced accuracy, Cohen's kappa, ROC area, average precision.

The first three are of verdicts, which a soft one in [0, 1] becomes at a threshold; the last two are of the soft ones
themselves. Weights are rows, one a draw, as in `correlations`; NaN stands for undefined, and `why_undefined` says why.
"""

from __future__ import annotations

import numpy as np

from gotr1_eval.core.statistics.correlations import in_blocks
from gotr1_eval.core.statistics.ranks import Floats, Ties, sign_sums

HARD = ("accuracy", "balanced_accuracy", "kappa")
SOFT = ("roc_auc", "average_precision")
NAMES = (*HARD, *SOFT)


def are_labels(values: Floats) -> bool:
    """Whether there is nothing but 0 and 1; of no value it is said neither way, and so not."""
    return bool(len(values)) and bool(np.isin(values, (0.0, 1.0)).all())


def verdict_numbers(scores: Floats, labels: Floats, weights: Floats, threshold: float = 0.5) -> dict[str, Floats]:
    """Name -> [draws].

    Args:
        scores: [items]; outside of [0, 1] they are no verdicts, and the first three numbers are undefined.
        labels: [items] of 0 and 1.
        threshold: a score from it on is a verdict of 1.
    """
    if not len(scores):
        return {name: np.full(len(weights), np.nan) for name in NAMES}
    said = scores >= threshold if ((scores >= 0) & (scores <= 1)).all() else np.full(len(scores), np.nan)
    cells = np.stack([(said == verdict) & (labels == label) for label in (1, 0) for verdict in (1, 0)], axis=1)
    ties = Ties.of(-scores)

    def of(rows: Floats) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            hard = _hard(rows @ cells.astype(float))
            positive = rows * labels
            pairs = positive.sum(axis=1) * (rows * (1 - labels)).sum(axis=1)
            # Twice the pairs are counted, and a tie is half a success.
            area = (sign_sums(scores, labels, rows) / (2.0 * pairs) + 1.0) / 2.0
            return np.stack([*hard, area, _average_precision(ties, rows, positive)])

    return dict(zip(NAMES, in_blocks(of, weights), strict=True))


def why_undefined(name: str, scores: Floats, labels: Floats) -> str:
    """Why that number has no value; for one that is undefined."""
    if not len(scores):
        return "no item has both"
    if name in HARD and ((scores < 0) | (scores > 1)).any():
        return "scores outside of [0, 1] are no verdicts"
    if len(np.unique(labels)) == 1:
        return f"every label is {labels[0]:g}"
    return "undefined"


def _hard(cells: Floats) -> list[Floats]:
    """Accuracy, balanced accuracy and kappa from [draws, (1 said 1, 1 said 0, 0 said 1, 0 said 0)]."""
    right_1, wrong_1, wrong_0, right_0 = cells.T
    positive, negative = right_1 + wrong_1, wrong_0 + right_0
    total = positive + negative
    observed = (right_1 + right_0) / total
    expected = (positive * (right_1 + wrong_0) + negative * (wrong_1 + right_0)) / total**2
    kappa = np.where(expected < 1.0, (observed - expected) / (1.0 - expected), np.nan)
    return [observed, (right_1 / positive + right_0 / negative) / 2.0, kappa]


def _average_precision(ties: Ties, rows: Floats, positive: Floats) -> Floats:
    """The sum over distinct scores, from the highest on, of the gain in recall times the precision so far."""
    gains, every = ties.group_weights(positive), np.cumsum(ties.group_weights(rows), axis=1)
    precision = np.divide(np.cumsum(gains, axis=1), every, out=np.zeros_like(every), where=every > 0)
    found: Floats = (gains * precision).sum(axis=1) / gains.sum(axis=1)
    return found
