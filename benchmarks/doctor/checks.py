"""What an examination consists of, and the checks that models of every kind share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gotr1_eval.core.errors import GotR1Error, one_line
from gotr1_eval.core.types import Json

Array = NDArray[np.floating[Any]]
_CRASHES = (GotR1Error, ArithmeticError, LookupError, OSError, RuntimeError, TypeError, ValueError)
"""What a model may die of; that it did is what an examination is to find."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was asked of a model, and how it did."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found out about a model; it passed when every check did, and there was one."""

    kind: str
    model: str
    checks: tuple[Check, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return bool(self.checks) and all(check.passed for check in self.checks)


def checks_json(examination: Examination) -> list[Json]:
    """The checks as strict JSON."""
    return [{"name": check.name, "passed": check.passed, "detail": check.detail} for check in examination.checks]


class Named(Protocol):
    """Every model has a name in metrics."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...


M = TypeVar("M", bound=Named)


def examine(kind: str, asked: str, build: Callable[[], M], checks: Callable[[M], Iterator[Check]]) -> Examination:
    """Build a model and run its checks; a model that fails to build or to run keeps the checks before.

    Args:
        asked: what to call a model that cannot say its name.
    """
    start, model_name, done = time.perf_counter(), asked, list[Check]()
    try:
        model = build()
        model_name = model.name
        for check in checks(model):
            done.append(check)
    except _CRASHES as error:
        told = str(error) if isinstance(error, GotR1Error) else f"{type(error).__name__}: {error}"
        done.append(Check("runs", False, one_line(told)))
    return Examination(kind, model_name, tuple(done), time.perf_counter() - start)


def sound(faults: Sequence[str], detail: str) -> Check:
    """Numbers finite, of the right shape and in range; `detail` says what was looked at, `faults` what is wrong."""
    return Check("answers are sound", not faults, f"{detail}; {one_line('; '.join(faults[:3]))}" if faults else detail)


def _swapped(levels: Array) -> Array:
    return levels[..., ::-1]


SPOILT: Mapping[str, Callable[[Array], Array]] = {
    "red and blue swapped": _swapped,
    "a quarter as bright": lambda levels: levels / 4,
    "a quarter of the contrast": lambda levels: 255 - (255 - levels) / 4,
}
"""What a picture looks like to a model whose preparation is wrong: other channels, another scale, another mean."""


def spoil(picture: Image.Image, how: str) -> Image.Image:
    """The picture as one of `SPOILT`, same size."""
    return Image.fromarray(np.round(SPOILT[how](np.asarray(picture, dtype=np.float64))).astype(np.uint8))


def clear_beats_spoilt(
    pictures: Sequence[Image.Image], score: Callable[[Sequence[Image.Image]], float], margin: float
) -> Check:
    """Whether a model does better on the pictures than on spoilt ones, by a margin.

    A model that passes everything else may still be shown swapped channels or wrong levels on its way: then it does
    better on pictures that are spoilt the other way. How well it does on the pictures alone cannot tell.

    Args:
        score: how well it does, greater is better.
    """
    clear = score(pictures)
    spoilt = {how: score([spoil(picture, how) for picture in pictures]) for how in SPOILT}
    passed = all(clear - value >= margin for value in spoilt.values())
    told = ", ".join(f"{value:.3f} {how}" for how, value in spoilt.items())
    return Check("clear beats spoilt", passed, f"{clear:.3f} as drawn, {told} (margin {margin:g})")


def same_twice(first: Sequence[Array], again: Sequence[Array]) -> Check:
    """The same question twice, the same answer, bit for bit."""
    apart = _farthest(first, again)
    return Check("same twice", apart == 0, "bit for bit" if apart == 0 else f"answers differ by {apart:.2g}")


def batch_is_single(batch: Sequence[Array], singles: Sequence[Array], tolerance: float, unit: str) -> Check:
    """A batch's answers against those to its members alone, within a tolerance."""
    apart = _farthest(batch, singles)
    detail = f"{unit} at most {apart:.2g} apart in {len(batch)} answers (tolerance {tolerance:g})"
    return Check("batch equals single", apart <= tolerance, detail)


def _farthest(left: Sequence[Array], right: Sequence[Array]) -> float:
    """The greatest difference; infinite where shapes differ, or where one side only is a number."""
    if [one.shape for one in left] != [one.shape for one in right]:
        return float("inf")
    apart = 0.0
    for one, other in zip(left, right, strict=True):
        if not np.array_equal(np.isnan(one), np.isnan(other)):
            return float("inf")
        with np.errstate(invalid="ignore"):
            differences = np.where(one == other, 0.0, np.abs(one.astype(np.float64) - other.astype(np.float64)))
        apart = max(apart, float(np.nanmax(differences, initial=0.0)))
    return apart
