"""How often the intervals of `agreement` hold the truth: python -m tests.simulations.agreement [studies]

Six systems answer the same prompts; a judge with a scale stretched by half favours two of them, or none; a reference
errs less. The truth of the form `ranks` is that of a study of 200,000 prompts.
"""

from __future__ import annotations

import sys

import numpy as np

from gotr1_eval.core.statistics.intervals import estimate
from gotr1_eval.core.statistics.systems import SystemScores, pair_difference, self_preference
from gotr1_eval.core.statistics.verdicts import verdict_numbers
from reports.agreement.marks import Draws, ItemFacts, Unit

OWN = np.array([True, True, False, False, False, False])
FAVOUR = 0.1
PROMPTS = (10, 30, 100, 300)


def study(generator: np.random.Generator, prompts: int, *, binary: bool) -> tuple[SystemScores, SystemScores]:
    """(judge, reference), a picture each."""
    truth = np.linspace(0.8, 0.3, 6) + generator.normal(0, 0.25, (prompts, 1)) + generator.normal(0, 0.2, (prompts, 6))
    judge, reference = (
        truth * stretch + favour * OWN + generator.normal(0, noise, truth.shape)
        for stretch, favour, noise in ((1.5, FAVOUR, 0.15), (1.0, 0.0, 0.08))
    )
    if binary:
        judge, reference = (judge > 0.8).astype(float), (reference > 0.5).astype(float)
    return SystemScores(judge, np.ones(judge.shape)), SystemScores(reference, np.ones(judge.shape))


def truths(*, binary: bool) -> dict[str, float]:
    """What the intervals should hold, from one huge study."""
    judge, reference = study(np.random.default_rng(10**6), 200_000, binary=binary)
    found = {name: one.value for name, one in self_preference(judge, reference, OWN).items()}
    return found | {"pair": pair_difference(judge, 0, 5).value}


def self_preference_coverage(studies: int, *, binary: bool) -> None:
    """Print a line a number of prompts."""
    wanted = truths(binary=binary)
    for prompts in PROMPTS:
        held = dict.fromkeys(wanted, 0)
        for seed in range(studies):
            judge, reference = study(np.random.default_rng(seed), prompts, binary=binary)
            found = self_preference(judge, reference, OWN) | {"pair": pair_difference(judge, 0, 5)}
            for name, one in found.items():
                held[name] += one.low is not None and one.low <= wanted[name] <= one.high
        shares = ", ".join(f"{name} {count / studies:.1%}" for name, count in held.items())
        print(f"{'binary' if binary else 'continuous'}, {prompts} prompts: {shares}", flush=True)


def verdict_coverage(studies: int) -> None:
    """The accuracy and the kappa of verdicts, four questions a prompt that share their difficulty."""

    def answers(generator: np.random.Generator, prompts: int) -> tuple[np.ndarray, np.ndarray]:
        hard = generator.beta(4, 1, (prompts, 1))
        labels = (generator.random((prompts, 4)) < 0.6).astype(float)
        return np.where(generator.random((prompts, 4)) < hard, labels, 1 - labels).ravel(), labels.ravel()

    scores, labels = answers(np.random.default_rng(10**6), 200_000)
    wanted = {name: values[0] for name, values in verdict_numbers(scores, labels, np.ones((1, len(labels)))).items()}
    for prompts in PROMPTS:
        units = [Unit(f"{prompt}/{question}") for prompt in range(prompts) for question in range(4)]
        items = {unit.item: ItemFacts(unit.item.split("/")[0]) for unit in units}
        held = dict.fromkeys(("accuracy", "balanced_accuracy", "kappa"), 0)
        for seed in range(studies):
            scores, labels = answers(np.random.default_rng(seed), prompts)
            (merged, given), weights = Draws(items, 1000, seed).merged(units, scores, labels)
            found = verdict_numbers(merged, given, weights)
            for name in held:
                one = estimate(found[name], prompts=prompts)
                held[name] += one.low is not None and one.low <= wanted[name] <= one.high
        shares = ", ".join(f"{name} {count / studies:.1%}" for name, count in held.items())
        print(f"verdicts, {prompts} prompts of 4 questions: {shares}", flush=True)


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    for kind in (False, True):
        self_preference_coverage(number, binary=kind)
    verdict_coverage(number)
