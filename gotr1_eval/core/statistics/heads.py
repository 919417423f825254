"""Small heads on features: ridge regression, and logistic regression on targets that may be soft.

Features are standardised before they are fitted, so that one penalty suits all of them, and the weights are given for
the features as they came; a feature without variance gets the weight 0. The offset is not penalised. The penalty is
that of scikit-learn's `Ridge(alpha)` and `LogisticRegression(C=1/alpha)` on standardised features.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gotr1_eval.core.statistics.folds import fold_numbers, held_out
from gotr1_eval.core.statistics.ranks import Floats

Kind = Literal["ridge", "logistic"]
PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0)
"""From which cross-validation chooses."""


@dataclass(frozen=True, slots=True)
class Head:
    """A fitted head.

    Attributes:
        weights: [features], of the features as they come.
    """

    kind: Kind
    weights: Floats
    offset: float

    def __call__(self, features: Floats) -> Floats:
        """[rows] of features [rows, features]; in [0, 1] of a logistic head, without bounds of a ridge."""
        # Not a product of matrices, whose last digits depend on how many rows stand beside one.
        linear: Floats = (features * self.weights).sum(axis=1) + self.offset
        return _logistic(linear) if self.kind == "logistic" else linear


def fit_head(kind: Kind, features: Floats, targets: Floats, alpha: float) -> Head:
    """Fit a head.

    Args:
        features: [rows, features], finite.
        targets: [rows]; in [0, 1] for a logistic head, where one in between is a chance.
        alpha: the penalty, above 0.
    """
    mean, spread = features.mean(axis=0), features.std(axis=0)
    varies = spread > 1e-12 * np.maximum(np.abs(mean), 1.0)
    standard = (features[:, varies] - mean[varies]) / spread[varies]
    inner, offset = (_ridge if kind == "ridge" else _soft_logistic)(standard, targets, alpha)
    weights = np.zeros(features.shape[1])
    weights[varies] = inner / spread[varies]
    return Head(kind, weights, offset - float(weights @ mean))


def _ridge(standard: Floats, targets: Floats, alpha: float) -> tuple[Floats, float]:
    """The closed form; in the smaller of the two dimensions, for features may outnumber rows."""
    offset = float(targets.mean())
    rows, width = standard.shape
    if width <= rows:
        gram = standard.T @ standard + alpha * np.eye(width)
        return np.asarray(np.linalg.solve(gram, standard.T @ (targets - offset)), dtype=np.float64), offset
    kernel = standard @ standard.T + alpha * np.eye(rows)
    return standard.T @ np.linalg.solve(kernel, targets - offset), offset


def _soft_logistic(standard: Floats, targets: Floats, alpha: float) -> tuple[Floats, float]:
    """The minimum of the cross-entropy to the targets plus half of alpha times the squared weights."""
    from scipy.optimize import minimize

    def loss(parameters: Floats) -> tuple[float, Floats]:
        weights, linear = parameters[:-1], standard @ parameters[:-1] + parameters[-1]
        error = _logistic(linear) - targets
        value = float((np.logaddexp(0.0, linear) - targets * linear).sum() + 0.5 * alpha * weights @ weights)
        return value, np.append(standard.T @ error + alpha * weights, error.sum())

    # Without this the offset of targets that are all 0 or all 1 has no end.
    start = np.append(np.zeros(standard.shape[1]), _logit(float(np.clip(targets.mean(), 1e-6, 1 - 1e-6))))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 5000, "ftol": 1e-14, "gtol": 1e-9})
    return np.asarray(found.x[:-1], dtype=np.float64), float(found.x[-1])


def _logistic(linear: Floats) -> Floats:
    found: Floats = 0.5 * (1.0 + np.tanh(0.5 * linear))
    return found


def _logit(chance: float) -> float:
    return float(np.log(chance / (1.0 - chance)))


def choose_penalty(kind: Kind, features: Floats, targets: Floats, groups: Sequence[Hashable], seed: int) -> float:
    """Of `PENALTIES` the one with the least squared error on held-out groups, the greatest of equally good ones."""
    numbers = fold_numbers(groups, seed)
    errors = np.zeros(len(PENALTIES))
    for fitted, out in held_out(numbers):
        for place, alpha in enumerate(PENALTIES):
            head = fit_head(kind, features[fitted], targets[fitted], alpha)
            errors[place] += float(((head(features[out]) - targets[out]) ** 2).sum())
    return PENALTIES[int(np.flatnonzero(errors <= errors.min() * (1 + 1e-9))[-1])]


@dataclass(frozen=True, slots=True)
class CrossFitted:
    """Heads of a cross-validation by groups, the penalty chosen anew within each.

    Attributes:
        heads: one a fold, fitted on all others.
        predictions: [rows], each by the head that has not seen its group.
    """

    heads: tuple[Head, ...]
    predictions: Floats


def cross_fit(kind: Kind, features: Floats, targets: Floats, groups: Sequence[Hashable], seed: int) -> CrossFitted:
    """Fit a head a fold; there must be two groups."""
    heads, predictions = [], np.full(len(targets), np.nan)
    for fitted, out in held_out(fold_numbers(groups, seed)):
        rest = [groups[place] for place in fitted]
        alpha = choose_penalty(kind, features[fitted], targets[fitted], rest, seed) if len(set(rest)) > 1 else 1.0
        heads.append(fit_head(kind, features[fitted], targets[fitted], alpha))
        predictions[out] = heads[-1](features[out])
    return CrossFitted(tuple(heads), predictions)
