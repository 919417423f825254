"""Ridge and logistic heads against scikit-learn, on random and on degenerate features; folds keep groups whole."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from gotr1_eval.core.statistics.folds import fold_numbers, held_out
from gotr1_eval.core.statistics.heads import PENALTIES, choose_penalty, cross_fit, fit_head


def drawn(seed, rows=80, width=6):
    generator = np.random.default_rng(seed)
    features = generator.normal(3, 5, (rows, width)) * np.array([1, 100, 0.01, *[1] * (width - 3)])
    linear = (features[:, 0] - 3) / 5 + (features[:, 1] - 300) / 1000
    return features, 1 / (1 + np.exp(-linear - generator.normal(0, 0.5, rows)))


@pytest.mark.parametrize("alpha", [0.01, 1.0, 1000.0])
@pytest.mark.parametrize(("seed", "rows", "width"), [(0, 80, 6), (1, 20, 60), (2, 6, 6)])
def test_ridge_equals_scikit_learn(seed, rows, width, alpha):
    features, targets = drawn(seed, rows, width)
    scaler = StandardScaler().fit(features)
    known = Ridge(alpha=alpha).fit(scaler.transform(features), targets)
    new = drawn(seed + 9, 30, width)[0]
    found = fit_head("ridge", features, targets, alpha)
    assert found(new) == pytest.approx(known.predict(scaler.transform(new)), rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("alpha", [0.1, 1.0, 100.0])
@pytest.mark.parametrize("seed", range(2))
def test_logistic_on_soft_targets_equals_scikit_learn_on_weighted_rows(seed, alpha):
    """A soft target is a row of each label, weighted by its chance."""
    features, targets = drawn(seed)
    scaler = StandardScaler().fit(features)
    twice = np.vstack([scaler.transform(features)] * 2)
    labels, weights = np.repeat([1, 0], len(targets)), np.append(targets, 1 - targets)
    known = LogisticRegression(C=1 / alpha, tol=1e-10, max_iter=10_000).fit(twice, labels, weights)
    new = drawn(seed + 9)[0]
    found = fit_head("logistic", features, targets, alpha)
    assert found(new) == pytest.approx(known.predict_proba(scaler.transform(new))[:, 1], abs=2e-5)


@pytest.mark.parametrize("kind", ["ridge", "logistic"])
def test_degenerate_features_and_targets_give_the_mean(kind):
    features, targets = np.full((12, 3), 1e9), np.linspace(0, 1, 12)
    head = fit_head(kind, features, targets, 1.0)
    assert not head.weights.any()
    assert head(features) == pytest.approx(np.full(12, 0.5), abs=1e-6)
    constant = fit_head(kind, np.random.default_rng(0).normal(size=(12, 3)), np.full(12, 1.0), 1.0)
    assert constant(np.zeros((1, 3))) == pytest.approx(1.0, abs=1e-4)
    doubled = fit_head("ridge", np.tile(targets[:, None], (1, 2)), targets, 1e-9)
    assert doubled.weights == pytest.approx([0.5, 0.5], rel=1e-5)


def test_folds_keep_groups_whole_and_cover_everything():
    groups = [f"p{place // 3}" for place in range(33)]
    numbers = fold_numbers(groups, seed=1)
    assert {len({numbers[place] for place in range(33) if groups[place] == name}) for name in groups} == {1}
    pairs = list(held_out(numbers))
    assert len(pairs) == 5
    assert sorted(np.concatenate([out for _, out in pairs])) == list(range(33))
    assert all(not set(fitted) & set(out) and len(fitted) + len(out) == 33 for fitted, out in pairs)
    assert len(list(held_out(fold_numbers(["a", "b", "a"], seed=0)))) == 2


def test_the_penalty_is_high_on_noise_and_low_on_signal():
    generator = np.random.default_rng(3)
    features, groups = generator.normal(size=(100, 20)), [place // 2 for place in range(100)]
    assert choose_penalty("ridge", features, features[:, 0], groups, 0) == min(PENALTIES)
    assert choose_penalty("ridge", features, generator.normal(size=100), groups, 0) >= 100


def test_a_held_out_prediction_has_not_seen_its_group():
    """Every group has a feature of its own that gives its target away: out of its fold it says nothing."""
    generator = np.random.default_rng(4)
    targets = np.repeat(generator.normal(size=15), 4)
    features = np.kron(np.eye(15), np.ones((4, 1)))
    found = cross_fit("ridge", features, targets, np.repeat(np.arange(15), 4).tolist(), 0)
    assert len(found.heads) == 5
    assert np.corrcoef(found.predictions, targets)[0, 1] < 0.3
    assert np.corrcoef(fit_head("ridge", features, targets, 0.01)(features), targets)[0, 1] > 0.99
