"""OneIG-Bench's text score: edit distance, exactness and matched words of what was read in a picture.

Wanted and read text are cleaned apart, so that one Chinese character in what was read joins all of its words; upper and
lower case differ. `corrected` keeps the letters of every script, and lets the wanted text say whether words or Chinese
characters are compared. Source: OneIG-Bench/OneIG-Benchmark @ 41b4983, ``scripts/text/``.
"""

from __future__ import annotations

import ast
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.rendered_text import (
    HALLUCINATED,
    Match,
    any_letters,
    edit_distance,
    has_chinese,
    match,
    micro_interval,
    spaced,
    unspaced,
)
from benchmarks.semantics import Semantics, UndefinedScoreError
from gotr1_eval.core.statistics.intervals import Interval, prompt_bootstrap
from gotr1_eval.core.types import Json

Language = Literal["en", "zh"]
CAPS: Mapping[Language, int] = {"en": 100, "zh": 50}
"""Edit distances from which on nothing gets worse."""
TOKENS = (128, 256)
"""Of a reader's answer: for texts of up to 60 words, and for longer ones."""
_LONG = 60


def answer_tokens(gold: str) -> int:
    """Tokens that the reader may take for a picture with this text."""
    return TOKENS[len(gold.split()) > _LONG]


def clean(read: str) -> str:
    """What was read without the model's own phrases."""
    for phrase in HALLUCINATED:
        read = read.replace(phrase, "")
    return read


def normalise(text: str) -> str:
    """What of a text counts, by the script: without white space where a Chinese character is in it."""
    kept = spaced(text)
    return unspaced(text) if has_chinese(kept) else kept


@dataclass(frozen=True, slots=True)
class CellText:
    """What was read in one picture against what was wanted."""

    distance: int
    match: Match

    @property
    def exact(self) -> bool:
        """Whether both are the same."""
        return not self.distance

    @property
    def ratio(self) -> float:
        """Matched over wanted words; 0 where none is wanted."""
        return self.match.matched / self.match.wanted if self.match.wanted else 0.0


def compare(gold: str, read: str, semantics: Semantics) -> CellText:
    """One picture; `gold` is the authors' cell, a list of texts as Python writes it; `read` is as it was read."""
    if semantics == "reference":
        wanted, found = normalise(gold), normalise(clean(read))
    else:
        joined = " ".join(_texts(gold))
        words = not has_chinese(joined)
        wanted, found = (any_letters(text, blanks=words, fold=False) for text in (joined, clean(read)))
    if has_chinese(wanted):
        return CellText(edit_distance(found, wanted), match(wanted, found))
    return CellText(edit_distance(found, wanted), match(wanted.split(), found.split()))


def _texts(gold: str) -> list[str]:
    """The texts of a cell; the cell itself where it is no list."""
    try:
        found = ast.literal_eval(gold)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return [gold]
    return [str(one) for one in found] if isinstance(found, list) else [gold]


def text_score(distance: float, exact: float, accuracy: float, language: Language) -> float:
    """The official combination, in [0, 1]: any one of the three can carry it."""
    cap = CAPS[language]
    return 1 - min(cap, distance) * (1 - exact) * (1 - accuracy) / cap


@dataclass(frozen=True, slots=True)
class TextTotals:
    """OneIG's numbers on its texts: means over pictures, and matched over wanted words of all of them.

    Attributes:
        distance: ED, mean edit distance.
        exact: CR, share of pictures without any fault.
        accuracy: WAC, words matched.
        prompts: mean distance, exactness and ratio of each prompt; None for one without a file.
    """

    distance: float
    exact: float
    accuracy: float
    score: float
    pictures: int
    intervals: Mapping[str, Interval]
    prompts: Mapping[str, tuple[float, float, float] | None]

    def json(self) -> dict[str, Json]:
        """As JSON."""
        return {
            "text_score": self.score, "edit_distance": self.distance, "completion_rate": self.exact,
            "word_accuracy": self.accuracy, "pictures": self.pictures,
            "prompts": sum(one is not None for one in self.prompts.values()),
            "intervals": {name: [*interval] for name, interval in self.intervals.items()},
        }  # fmt: skip

    def __str__(self) -> str:
        """In words."""
        return (
            f"text score {self.score:.4f} over {self.pictures} pictures: edit distance {self.distance:.2f}, exact "
            f"{self.exact:.4f}, words {self.accuracy:.4f}"
        )


@dataclass(frozen=True, slots=True)
class PromptTexts:
    """A prompt's text as its cell holds it, and what was read in its pictures.

    Attributes:
        read: one a picture that is not black; None where there is no single file.
    """

    gold: str
    read: Sequence[str] | None


def sum_up(prompts: Mapping[str, PromptTexts], language: Language, semantics: Semantics) -> TextTotals | None:
    """The totals in the order of the prompts; None where no picture was read.

    Under `reference` a prompt whose pictures are all black is given what was read for the prompt before it.

    Raises:
        UndefinedScoreError: such a prompt is the first one, where the script ends.
    """
    cells: dict[str, list[CellText]] = {}
    before: Sequence[str] | None = None
    for name, prompt in prompts.items():
        read = prompt.read
        if read is None:
            continue
        if not read and semantics == "reference":
            if before is None:
                raise UndefinedScoreError(
                    f"{name}: all pictures are black, and none was read before", "UnboundLocalError"
                )
            read = before
        before = read
        cells[name] = [compare(prompt.gold, one, semantics) for one in read]
    found = {name: each for name, each in cells.items() if each}
    every = [one for each in found.values() for one in each]
    wanted = sum(one.match.wanted for one in every)
    if not every or not wanted:
        return None
    distance, exact = statistics.fmean(one.distance for one in every), statistics.fmean(one.exact for one in every)
    accuracy = sum(one.match.matched for one in every) / wanted
    return TextTotals(
        distance=distance,
        exact=exact,
        accuracy=accuracy,
        score=text_score(distance, exact, accuracy, language),
        pictures=len(every),
        intervals={
            "edit_distance": prompt_bootstrap([[float(one.distance) for one in each] for each in found.values()]),
            "completion_rate": prompt_bootstrap([[float(one.exact) for one in each] for each in found.values()]),
            "word_accuracy": micro_interval([[one.match for one in each] for each in found.values()]),
        },
        prompts={name: _means(found[name]) if name in found else None for name in prompts},
    )


def _means(cells: Sequence[CellText]) -> tuple[float, float, float]:
    return (
        statistics.fmean(one.distance for one in cells),
        statistics.fmean(one.exact for one in cells),
        statistics.fmean(one.ratio for one in cells),
    )
