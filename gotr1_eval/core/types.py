"""The nouns: a box, a detection, a sample.

Boxes are (x1, y1, x2, y2), floats in [0, 1] of the picture, origin top left, everywhere in the project.
Adapters that speak pixels or a 0..1000 grid convert on entry.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-parallel box in fractions of the picture.

    Raises:
        ValueError: a coordinate is not finite, outside [0, 1], or the corners are swapped.
    """

    x1: float
    y1: float
    x2: float
    y2: float

    def __post_init__(self) -> None:
        inside = all(math.isfinite(value) and 0.0 <= value <= 1.0 for value in self.corners)
        if not inside or self.x1 > self.x2 or self.y1 > self.y2:
            raise ValueError(f"a box needs 0 <= x1 <= x2 <= 1 and 0 <= y1 <= y2 <= 1, got {self.corners}")

    @classmethod
    def clipped(cls, x1: float, y1: float, x2: float, y2: float) -> Box:
        """The box cut off at the borders of the picture; corners in any order."""
        left, right = sorted((min(max(x1, 0.0), 1.0), min(max(x2, 0.0), 1.0)))
        top, bottom = sorted((min(max(y1, 0.0), 1.0), min(max(y2, 0.0), 1.0)))
        return cls(left, top, right, bottom)

    @property
    def corners(self) -> tuple[float, float, float, float]:
        """(x1, y1, x2, y2)."""
        return (self.x1, self.y1, self.x2, self.y2)

    @property
    def width(self) -> float:
        """x2 - x1, in [0, 1]."""
        return self.x2 - self.x1

    @property
    def height(self) -> float:
        """y2 - y1, in [0, 1]."""
        return self.y2 - self.y1

    @property
    def area(self) -> float:
        """Share of the picture that the box covers, in [0, 1]."""
        return self.width * self.height

    @property
    def center(self) -> tuple[float, float]:
        """The middle of the box, (x, y)."""
        return ((self.x1 + self.x2) / 2, (self.y1 + self.y2) / 2)


@dataclass(frozen=True, slots=True)
class Detection:
    """Something seen in a picture: what, where, how surely (score in [0, 1]).

    Attributes:
        mask: which pixels of the picture it covers, bool [height, width]; None where the detector gives boxes only.
    """

    label: str
    box: Box
    score: float = 1.0
    mask: NDArray[np.bool_] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a generator is asked for, and what is known about it besides the text.

    Attributes:
        facts: by name (category, a benchmark's own row, a list of questions, ...); JSON values only. They stand in the
            `meta` of every sample that is made of the prompt.
    """

    text: str
    facts: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One thing to be judged: a prompt, and what a generator made of it.

    Attributes:
        id: unique within a run, ``<suite>/<category>/<prompt index>/<image index>``.
        chain: the reasoning text as generated, None when the generator wrote none.
        image: the picture: a file, or in memory while training; None when there is none.
        meta: what the benchmark knows about the prompt (category, stated objects, ...); JSON values only.
    """

    id: str
    prompt: str
    chain: str | None = None
    image: Path | Image | None = None
    seed: int | None = None
    generator: str | None = None
    meta: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AskedCalls:
    """What judging a sample takes of a language-vision model, re-asks aside.

    Attributes:
        calls: questions.
        characters: of all texts that are sent.
        answer_tokens_at_most: of all answers, were each to reach its cap.
    """

    calls: int = 0
    characters: int = 0
    answer_tokens_at_most: int = 0

    def __add__(self, other: AskedCalls) -> AskedCalls:
        return AskedCalls(
            self.calls + other.calls,
            self.characters + other.characters,
            self.answer_tokens_at_most + other.answer_tokens_at_most,
        )
