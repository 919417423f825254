"""Verdicts and pair sums against scikit-learn, statsmodels, scipy, and plain loops."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.inter_rater import cohens_kappa

from gotr1_eval.core.statistics.correlations import NAMES as COEFFICIENTS
from gotr1_eval.core.statistics.correlations import correlations
from gotr1_eval.core.statistics.ranks import sign_sums
from gotr1_eval.core.statistics.verdicts import NAMES, verdict_numbers, why_undefined


def soft(seed: int, items: int = 60, decimals: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Soft verdicts with ties, and labels that they go along with."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, items).astype(float)
    return np.round(np.clip(labels * 0.3 + generator.uniform(0, 0.7, items), 0, 1), decimals), labels


def plain(scores, labels, weights=None):
    found = verdict_numbers(scores, labels, np.ones((1, len(scores))) if weights is None else weights)
    return {name: values[0] for name, values in found.items()}


@pytest.mark.parametrize("seed", range(6))
def test_every_number_is_scikit_learns(seed):
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn, of the extra dev, is not installed")
    scores, labels = soft(seed, decimals=seed % 3 + 1)
    weights = np.random.default_rng(seed).integers(0, 4, (1, len(scores))).astype(float)
    said, extra = scores >= 0.5, {"sample_weight": weights[0]}
    found = plain(scores, labels, weights)
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(labels, said, **extra))
    assert found["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(labels, said, **extra))
    assert found["kappa"] == pytest.approx(metrics.cohen_kappa_score(labels, said, **extra))
    assert found["roc_auc"] == pytest.approx(metrics.roc_auc_score(labels, scores, **extra))
    assert found["average_precision"] == pytest.approx(metrics.average_precision_score(labels, scores, **extra))


@pytest.mark.parametrize("seed", range(6))
def test_kappa_is_statsmodels_and_the_area_mann_whitneys(seed):
    scores, labels = soft(seed)
    found = plain(scores, labels)
    table = [[int(((labels == a) & ((scores >= 0.5) == b)).sum()) for b in (0, 1)] for a in (0, 1)]
    assert found["kappa"] == pytest.approx(cohens_kappa(np.array(table)).kappa)
    above = stats.mannwhitneyu(scores[labels == 1], scores[labels == 0]).statistic
    assert found["roc_auc"] == pytest.approx(above / (labels.sum() * (1 - labels).sum()))
    by_hand, before = 0.0, 0.0
    for cut in sorted(set(scores), reverse=True):
        recall = labels[scores >= cut].sum() / labels.sum()
        by_hand += (recall - before) * labels[scores >= cut].mean()
        before = recall
    assert found["average_precision"] == pytest.approx(by_hand)


def test_what_is_undefined_is_called_so():
    ones = np.ones(4)
    scores = np.array([0.2, 0.4, 0.6, 0.8])
    assert plain(scores, ones)["accuracy"] == 0.5
    for name in ("balanced_accuracy", "roc_auc"):
        assert np.isnan(plain(scores, ones)[name])
        assert why_undefined(name, scores, ones) == "every label is 1"
    assert plain(scores, ones)["average_precision"] == 1.0
    assert np.isnan(plain(scores, 1 - ones)["average_precision"])
    assert np.isnan(plain(ones, ones)["kappa"])  # chance alone agrees fully
    wide = plain(scores * 10, np.array([0.0, 1, 0, 1]))
    assert np.isnan(wide["accuracy"])
    assert wide["roc_auc"] == 0.75
    assert "[0, 1]" in why_undefined("kappa", scores * 10, np.array([0.0, 1, 0, 1]))
    none = np.empty(0)
    assert all(np.isnan(value) for value in plain(none, none).values())
    assert why_undefined("accuracy", none, none) == "no item has both"


@pytest.mark.parametrize("seed", range(5))
def test_pair_sums_are_those_over_all_pairs(seed):
    generator = np.random.default_rng(seed)
    x, y = generator.integers(0, 3 + 5 * seed, 23).astype(float), generator.integers(0, 9, 23).astype(float)
    weights = np.vstack([generator.integers(0, 3, (3, 23)).astype(float), generator.uniform(0, 2, (1, 23))])
    for row, found in zip(weights, sign_sums(x, y, weights), strict=True):
        pairs = itertools.product(range(23), repeat=2)
        assert found == pytest.approx(sum(row[i] * row[j] * np.sign((x[i] - x[j]) * (y[i] - y[j])) for i, j in pairs))


def test_weights_are_repetitions_for_every_number():
    scores, labels = soft(3)
    often = np.random.default_rng(1).integers(0, 3, len(scores))
    repeated = [np.repeat(column, often) for column in (scores, labels)]
    for rule, names in ((verdict_numbers, NAMES), (correlations, COEFFICIENTS)):
        weighted = rule(scores, labels, often[None].astype(float))
        whole = rule(*repeated, np.ones((1, len(repeated[0]))))
        assert [weighted[name][0] for name in names] == pytest.approx([whole[name][0] for name in names])
