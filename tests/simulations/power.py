"""Is what `compare` and `regress` state true? python -m tests.simulations.power [pilots] [prompts ...]

False alarms: differences with a mean of 0, the rate for any of several categories. Power: a pilot states the detectable
difference of one category of several; new comparisons with that shift are then tested as the real one is. Errors: lists
whose true loss is the margin, which must not pass. Observed differences are those of two public generators' answers
under one judge (DSG, where `GOTR1_SHARED` has it), without their mean, drawn with replacement.
"""

from __future__ import annotations

import csv
import itertools
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from gotr1_eval.core.statistics.paired import LopsidedTest
from gotr1_eval.core.statistics.power import detectable_shift, loss_bounds, may_be_undone
from gotr1_eval.core.statistics.significance import DRAWS, LEVEL, MOST_PATTERNS, flipped_sums

MARGIN = 0.05
PROMPTS = (5, 10, 30, 50, 300)
CATEGORIES = (1, 6, 8)
AGAIN = 5
"""New comparisons a pilot."""
LISTS = 100
"""Null lists a pilot."""
WEIGHINGS = 4000
AT_ONCE = 1000
Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
NOISE: Mapping[str, Draw] = {
    "normal": lambda generator, shape: generator.normal(0, 0.3, shape),
    "wins and losses": lambda generator, shape: generator.choice([-1.0, 0.0, 1.0], p=[0.1, 0.8, 0.1], size=shape),
    "exponential": lambda generator, shape: generator.exponential(0.3, shape) - 0.3,
    "lognormal": lambda generator, shape: generator.lognormal(0, 0.8, shape) - np.exp(0.32),
    "rare breaks": lambda generator, shape: (
        0.05 * generator.normal(size=shape) + 0.02 - (generator.random(shape) < 0.02)
    ),
}
LOSSES: Mapping[str, Draw] = {
    "binary": lambda generator, shape: generator.choice([1.0, 0.0, -1.0], p=[0.15, 0.75, 0.10], size=shape),
    "rare breaks": lambda generator, shape: (generator.random(shape) < MARGIN).astype(float),
    "rare half breaks": lambda generator, shape: 0.5 * (generator.random(shape) < 2 * MARGIN),
    "noise": lambda generator, shape: generator.normal(MARGIN, 0.1, shape),
    "skewed": lambda generator, shape: generator.exponential(MARGIN, shape),
}
OBSERVED = {
    "mplug_dsg.csv": [("sd1dot5", "sd2dot1"), ("sd2dot1", "vq-diffusion")],
    "mplug_vq2a.csv": [("sd1dot5", "vq-diffusion")],
    "mplug_tifa.csv": [("sd2dot1", "vq-diffusion")],
}
"""File of answers -> pairs of generators: skewness 2.0, -1.2, 0.7 and -3.8."""


def observed() -> dict[str, np.ndarray]:
    """Name -> differences of the share of questions answered with yes, a prompt each; empty without the data."""
    folder = Path(os.environ.get("GOTR1_SHARED", "../shared")) / "data/agreement/dsg"
    found = {}
    for file, pairs in OBSERVED.items() if folder.is_dir() else ():
        answers: dict[tuple[str, str], list[bool]] = defaultdict(list)
        for row in csv.DictReader((folder / file).open(encoding="utf-8")):
            answers[row["t2i_model"], row["item_id"]].append(row["answer"] == "yes")
        shares = {key: float(np.mean(given)) for key, given in answers.items()}
        for one, other in pairs:
            items = [item for model, item in shares if model == one and (other, item) in shares]
            name = f"{file.removesuffix('.csv').removeprefix('mplug_')} {one} to {other}"
            found[name] = np.array([shares[other, item] - shares[one, item] for item in items])
    return found


def centred(pool: np.ndarray) -> Draw:
    """Draws from a pool without its mean."""
    return lambda generator, shape: generator.choice(pool - pool.mean(), size=shape)


def p_values(values: np.ndarray) -> np.ndarray:
    """`paired_p` of every column."""
    return np.maximum(sign_p_values(values), in_blocks(_lopsided, values))


def sign_p_values(values: np.ndarray) -> np.ndarray:
    """`sign_flip_p` of every column."""
    return in_blocks(_signs, values)


def in_blocks(test: Callable[[np.ndarray], np.ndarray], values: np.ndarray) -> np.ndarray:
    """The test of every column, some at once."""
    return np.concatenate([test(values[:, at : at + AT_ONCE]) for at in range(0, values.shape[1], AT_ONCE)])


def _signs(values: np.ndarray) -> np.ndarray:
    flipped = np.abs(flipped_sums(values))
    beyond = flipped >= np.abs(values.sum(axis=0)) * (1 - 1e-12)
    return beyond.mean(axis=0) if 2 ** len(values) <= MOST_PATTERNS else (beyond.sum(axis=0) + 1) / (DRAWS + 1)


def _lopsided(values: np.ndarray) -> np.ndarray:
    return LopsidedTest(values, np.ones_like(values), WEIGHINGS).p()


def stated_power(prompts: int, draw: Draw, pilots: int) -> list[str]:
    """The false alarms of any category, and the share found of what is stated to be found, by number of categories."""
    generator = np.random.default_rng(prompts)
    nothing = draw(generator, (prompts, pilots * LISTS))
    lists = p_values(nothing)
    told = [f"signs alone: alarms {np.mean(sign_p_values(nothing) < LEVEL):.1%}"]
    for categories in CATEGORIES:
        # Categories are independent, and Holm's first step decides whether any is called.
        alarms = 1 - (1 - np.mean(lists < LEVEL / categories)) ** categories
        shifts = [detectable_shift(one, np.ones(prompts), categories) for one in draw(generator, (pilots, prompts))]
        known = np.repeat(np.array([shift for shift in shifts if shift is not None]), AGAIN)
        power = "nothing stated"
        if len(known):
            values = draw(generator, (prompts, len(known))) + known
            found = (p_values(values) < LEVEL / categories) & (values.sum(axis=0) > 0)
            power = f"found {found.mean():.0%} of {len(known) // AGAIN} stated"
        told.append(f"{categories} categories: alarms {alarms:.1%}, {power}")
    return told


def unmarked_alarms(prompts: int, draw: Draw, lists: int) -> float:
    """The share of lists that are called a difference without the remark that rare breaks could undo it."""
    values = draw(np.random.default_rng(prompts), (prompts, lists))
    called = values[:, p_values(values) < LEVEL].T
    return sum(not may_be_undone(one, np.ones(prompts), 1.0) for one in called) / lists


def errors(prompts: int, draw: Draw, repeats: int) -> float:
    """The share of lists that pass although they lost the margin."""
    losses = draw(np.random.default_rng(prompts), (repeats, prompts))
    passed = [
        np.mean(loss_bounds(-one, np.ones(prompts), 1.0, seed) >= MARGIN) < LEVEL for seed, one in enumerate(losses)
    ]
    return float(np.mean(passed))


def main(pilots: int, numbers: tuple[int, ...]) -> None:
    """Print a line a number of prompts and kind of differences."""
    pools = observed()
    for prompts, (kind, draw) in itertools.product(
        numbers, {**NOISE, **{name: centred(pool) for name, pool in pools.items()}}.items()
    ):
        print(f"{prompts} prompts, {kind}: {'; '.join(stated_power(prompts, draw, pilots))}", flush=True)
    for prompts in numbers:
        alarms = unmarked_alarms(prompts, NOISE["rare breaks"], pilots * AGAIN)
        print(f"{prompts} prompts, rare breaks, one category: unmarked alarms {alarms:.1%}", flush=True)
    losing = {f"{name}, {MARGIN} lost": _losing(pool) for name, pool in pools.items()}
    for prompts, (kind, draw) in itertools.product((50, 60, 100, 300), {**LOSSES, **losing}.items()):
        print(f"{prompts} prompts, {kind}: {errors(prompts, draw, pilots * AGAIN):.1%} pass", flush=True)


def _losing(pool: np.ndarray) -> Draw:
    draw = centred(pool)
    return lambda generator, shape: MARGIN - draw(generator, shape)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100, tuple(map(int, sys.argv[2:])) or PROMPTS)
