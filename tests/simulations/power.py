"""Is what `compare` and `regress` state true? python -m tests.simulations.power [repeats]

Power: a pilot states the detectable difference of one category of several; a new comparison with that shift is then
tested as the real one is. False alarms: differences of two runs of one kind. Errors: lists whose true loss is the
margin, which must not pass.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

import numpy as np

from gotr1_eval.core.statistics.power import detectable_shift, loss_bounds
from gotr1_eval.core.statistics.significance import DRAWS, MOST_PATTERNS, flipped_sums, holm

MARGIN = 0.05
Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
NOISE: Mapping[str, Draw] = {
    "normal": lambda generator, shape: generator.normal(0, 0.3, shape),
    "wins and losses": lambda generator, shape: generator.choice([-1.0, 0.0, 1.0], p=[0.1, 0.8, 0.1], size=shape),
    "skewed": lambda generator, shape: generator.exponential(0.3, shape) - 0.3,
}
LOSSES: Mapping[str, Draw] = {
    "binary": lambda generator, shape: generator.choice([1.0, 0.0, -1.0], p=[0.15, 0.75, 0.10], size=shape),
    "rare breaks": lambda generator, shape: (generator.random(shape) < MARGIN).astype(float),
    "rare half breaks": lambda generator, shape: 0.5 * (generator.random(shape) < 2 * MARGIN),
    "noise": lambda generator, shape: generator.normal(MARGIN, 0.1, shape),
    "skewed": lambda generator, shape: generator.exponential(MARGIN, shape),
}


def p_values(values: np.ndarray) -> np.ndarray:
    """`sign_flip_p` of every column."""
    flipped = np.abs(flipped_sums(values))
    beyond = flipped >= np.abs(values.sum(axis=0)) * (1 - 1e-12)
    return beyond.mean(axis=0) if 2 ** len(values) <= MOST_PATTERNS else (beyond.sum(axis=0) + 1) / (DRAWS + 1)


def stated_power(repeats: int) -> None:
    """Print the share found of what is stated to be found in 80 of 100, and the false alarms of any category."""
    for prompts in (5, 10, 50, 300):
        for kind, draw in NOISE.items():
            for categories in (1, 6, 8):
                generator = np.random.default_rng(prompts + categories)
                pilots = draw(generator, (prompts, repeats))
                shifts = [detectable_shift(pilot, np.ones(prompts), categories) for pilot in pilots.T]
                shape = (2, prompts, repeats)
                others = [p_values(np.subtract(*draw(generator, shape))) for _ in range(categories)]
                alarms = np.mean([min(holm(row)) < 0.05 for row in np.array(others).T.tolist()])
                known = [place for place, shift in enumerate(shifts) if shift is not None]
                told = "nothing can be found"
                if known:
                    found = p_values(draw(generator, (prompts, len(known))) + np.array([shifts[at] for at in known]))
                    rows = np.column_stack([found, *(other[known] for other in others[1:])]).tolist()
                    told = f"found {np.mean([holm(row)[0] < 0.05 for row in rows]):.1%} of {len(known)}"
                print(
                    f"{prompts} prompts, {kind}, {categories} categories: {told}; false alarms {alarms:.1%}", flush=True
                )


def errors(repeats: int) -> None:
    """Print the share of lists that pass although they lost the margin."""
    for prompts in (50, 60, 100, 300):
        for kind, draw in LOSSES.items():
            losses = draw(np.random.default_rng(prompts), (repeats, prompts))
            weights = np.ones(prompts)
            passed = [
                np.mean(loss_bounds(-one, weights, 1.0, seed) >= MARGIN) < 0.05 for seed, one in enumerate(losses)
            ]
            print(f"{prompts} prompts, {kind}: {np.mean(passed):.1%} pass with a loss of the margin", flush=True)


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    stated_power(number)
    errors(number)
