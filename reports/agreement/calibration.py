"""A monotone map from a judge's scores to people's marks, fitted on a study and kept in a file.

Isotonic regression by pool-adjacent-violators: of all rising step functions the one with the least weighted squared
error. Between two steps the map is a straight line, beyond the outermost it stays level.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from gotr1_eval.core.errors import DataError, RunError, UsageError, one_line
from gotr1_eval.core.identifiers import utf8
from gotr1_eval.core.statistics.folds import fold_numbers, held_out
from gotr1_eval.core.statistics.ranks import Floats
from gotr1_eval.files.writing import write_atomically

FORMAT = 1
CALIBRATED = "+calibrated["
"""Between a judge's name and that of the calibration behind it."""
LEAST_ITEMS = 10
"""Items under which nothing is fitted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """A judge's scores and people's marks of the same items.

    Attributes:
        prompts: of every item; the folds of the cross-validation and the share of a fit take prompts whole.
        weights: how many samples of the population an item stands for.
        strata: the cell of the design from which an item was drawn.
    """

    items: Sequence[str]
    prompts: Sequence[str]
    scores: Floats
    marks: Floats
    weights: Floats
    strata: Sequence[str]

    def where(self, kept: Sequence[bool]) -> Pairs:
        """Some of the items."""
        places = np.flatnonzero(kept).tolist()
        return Pairs(
            items=[self.items[place] for place in places],
            prompts=[self.prompts[place] for place in places],
            scores=self.scores[places],
            marks=self.marks[places],
            weights=self.weights[places],
            strata=[self.strata[place] for place in places],
        )

    def share(self, share: float, seed: int) -> Pairs:
        """The items of about this share of the prompts, chosen by the prompt alone."""
        return self.where([_lot(prompt, seed) < share for prompt in self.prompts])


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """Root mean squared errors against people's marks on prompts that the map was not fitted on.

    Attributes:
        mean: of giving every item the mean mark.
        line: of the best straight line.
        isotonic: of this map.
    """

    mean: float
    line: float
    isotonic: float
    folds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A fitted map.

    Attributes:
        judge: the full name of the judge whose scores it reads.
        dimension: of people's marks.
        scores, marks: its corners, both rising.
        items: those that it was fitted on; a correction must not use them again.
        gain: cross-validated; None with fewer than two folds' worth of prompts.
    """

    name: str
    judge: str
    dimension: str
    scores: tuple[float, ...]
    marks: tuple[float, ...]
    items: tuple[str, ...]
    gain: Gain | None

    @property
    def judge_name(self) -> str:
        """What the judge is called with this map behind it."""
        return f"{self.judge}{CALIBRATED}{self.name}]"

    def __call__(self, scores: Floats) -> Floats:
        """The mark that people would give, for each score."""
        return np.interp(scores, self.scores, self.marks)


def fit(pairs: Pairs, *, name: str, judge: str, dimension: str, seed: int = 0) -> Calibration:
    """Fit the map on all pairs.

    Raises:
        UsageError: too few items, or the judge gave them all the same score.
    """
    if len(pairs.items) < LEAST_ITEMS or np.ptp(pairs.scores) == 0:
        came = f"{len(pairs.items)} items" if len(pairs.items) < LEAST_ITEMS else "one score for all items"
        raise UsageError(f"calibrate: expected at least {LEAST_ITEMS} items with different scores, got {came}")
    scores, marks = _corners(pairs)
    return Calibration(
        name=name,
        judge=judge,
        dimension=dimension,
        scores=tuple(scores.tolist()),
        marks=tuple(marks.tolist()),
        items=tuple(pairs.items),
        gain=_cross_validate(pairs, seed),
    )


def write_calibration(calibration: Calibration, path: Path) -> None:
    """Write the map as JSON."""
    content = json.dumps({"format": FORMAT, **asdict(calibration)}, indent=2, ensure_ascii=False, allow_nan=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content + "\n")
    except OSError as error:
        raise UsageError(f"--out {path}: cannot be written: {error.strerror}") from None
    except RunError as error:
        raise UsageError(f"--out {str(error).rpartition('; ')[0]}") from None


def read_calibration(path: Path) -> Calibration:
    """The map that a file holds.

    Raises:
        DataError: it holds none.
    """
    try:
        return _read(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise DataError(f"not a calibration: {error.strerror}; make one with `calibrate fit`", path=path) from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"not a calibration ({one_line(error)})", path=path) from None


def _read(content: Mapping[str, Any]) -> Calibration:
    if content["format"] != FORMAT:
        raise ValueError(f"format {content['format']!r}, this version reads {FORMAT}")
    gain = content["gain"]
    found = Calibration(
        name=content["name"],
        judge=content["judge"],
        dimension=content["dimension"],
        scores=tuple(content["scores"]),
        marks=tuple(content["marks"]),
        items=tuple(content["items"]),
        gain=None if gain is None else Gain(**gain),
    )
    corners = np.array([found.scores, found.marks], dtype=float)
    if corners.size < 2 or not np.isfinite(corners).all() or (np.diff(corners, axis=1) < 0).any():
        raise ValueError("its corners do not rise")
    return found


def _corners(pairs: Pairs) -> tuple[Floats, Floats]:
    """The map's corners: both ends of every step."""
    from scipy.optimize import isotonic_regression

    scores, place = np.unique(pairs.scores, return_inverse=True)
    weights = np.bincount(place, weights=pairs.weights)
    means = np.bincount(place, weights=pairs.weights * pairs.marks) / weights
    found = isotonic_regression(means, weights=weights)
    ends = np.unique([*found.blocks[:-1], *(found.blocks[1:] - 1)])
    return scores[ends], np.asarray(found.x)[ends]


def _cross_validate(pairs: Pairs, seed: int) -> Gain | None:
    folds = fold_numbers(pairs.prompts, seed)
    guesses: dict[str, Floats] = {name: np.full(len(folds), np.nan) for name in _FITS}
    for fitted_on, out in held_out(folds):
        rest = pairs.where(np.isin(np.arange(len(folds)), fitted_on).tolist())
        if len(set(rest.scores.tolist())) < 2:
            return None
        for name, fitted in _FITS.items():
            guesses[name][out] = fitted(rest)(pairs.scores[out])
    return Gain(**{name: _error(guess, pairs) for name, guess in guesses.items()}, folds=len(np.unique(folds)))


def _error(guess: Floats, pairs: Pairs) -> float:
    return float(np.sqrt(np.average((guess - pairs.marks) ** 2, weights=pairs.weights)))


def _mean(pairs: Pairs) -> Callable[[Floats], Floats]:
    mean = float(np.average(pairs.marks, weights=pairs.weights))
    return lambda scores: np.full(len(scores), mean)


def _line(pairs: Pairs) -> Callable[[Floats], Floats]:
    # polyfit's weights belong to the residuals, not to their squares.
    slope, offset = np.polyfit(pairs.scores, pairs.marks, 1, w=np.sqrt(pairs.weights))
    return lambda scores: np.asarray(slope * scores + offset)


def _isotonic(pairs: Pairs) -> Callable[[Floats], Floats]:
    scores, marks = _corners(pairs)
    return lambda values: np.interp(values, scores, marks)


_FITS: dict[str, Callable[[Pairs], Callable[[Floats], Floats]]] = {
    "mean": _mean,
    "line": _line,
    "isotonic": _isotonic,
}


def _lot(prompt: str, seed: int) -> float:
    """A number in [0, 1) that the prompt draws."""
    return int.from_bytes(sha256(utf8(f"{seed}\n{prompt}")).digest()[:8], "big") / 2**64
