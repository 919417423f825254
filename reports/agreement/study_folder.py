"""A study's folder: what people are asked to rate, and what they answered.

    study.json     name, seed, dimensions with the judge's own rubric, what was drawn from what
    items.jsonl    one line an item: what is shown, and with which probability it was drawn
    ratings.csv    one line a rating: item, rater, dimension, value, seconds, timestamp; of pairs also what stood where

Pictures are named relative to the folder, or absolutely. A rater must not be shown `item`, `generator`,
`category`, `stratum`, `scores`, `unscored`, `pair` or `control`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gotr1_eval.core.errors import DataError, one_line
from gotr1_eval.core.outcome import Why
from gotr1_eval.core.types import Json
from gotr1_eval.files.jsonl import dump, read_rows
from gotr1_eval.files.writing import write_atomically
from reports.agreement.marks import base_name

FORMAT = 1
PREFERENCE = "preference"
"""The dimension of pairs: 1 where the first of the two is preferred, 0 where the second is, 0.5 for a tie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """One thing to rate.

    Attributes:
        name: what the column `dimension` of the ratings says.
        judge: the judge that scores the same thing, without its model ("semantic").
        rubric: the text that the judge itself is asked with, markers and answer form left out.
        low, high: ends of the scale.
        step: distance of two marks that a rater can give.
        needs: what the item must show for it, of "chain", "plan", "image", "pair" (two pictures).
    """

    name: str
    judge: str
    rubric: str
    low: float
    high: float
    step: float = 1.0
    needs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high and self.step > 0):
            raise ValueError(f"dimension {self.name!r} needs low < high and a step above 0")

    def holds(self, value: float) -> bool:
        """Whether the value lies on the scale; any number between its ends does."""
        return self.low <= value <= self.high

    def marks(self) -> tuple[float, ...]:
        """Every mark that a rater can give, in rising order."""
        return tuple(
            self.low + place * self.step for place in range(int((self.high - self.low) / self.step + 1e-9) + 1)
        )

    def shown_by(self, *, chain: bool, image: bool, pair: bool = False) -> bool:
        """Whether something with a chain, a picture, both, or two pictures shows what the dimension needs."""
        return all({"chain": chain, "plan": chain, "image": image, "pair": pair}[need] for need in self.needs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One item of a study.

    Attributes:
        item: its id, the sample's id in the run it was drawn from; after the run's name and a slash where the study
            was drawn from several runs.
        image: a file, relative to the study's folder or absolute; None when there is no picture.
        generator: the model; the run's name where the study was drawn from several runs.
        inclusion_probability: chance, in (0, 1], with which the design draws this item.
        stratum: the cell of the design it was drawn from.
        cluster: the prompt's identity; items of one cluster are alike.
        scores: judge's full name -> what it gave when the study was drawn; never shown to a rater.
        unscored: judge's full name -> why it gave nothing; judges in neither were not asked.
        pair: the names of two samples of one prompt, in the order in which they sort; `image` is the first one's, and
            `scores` say which of them a judge prefers, as raters do (`PREFERENCE`). None for an item of one sample.
        other_image: the picture of a pair's second sample.
        control: dimension -> (lowest, highest) right mark, of an item whose answer is known. It stands for no sample.
    """

    item: str
    prompt: str
    chain: str | None = None
    image: str | None = None
    inclusion_probability: float = 1.0
    category: str = "all"
    generator: str | None = None
    stratum: str = "all"
    cluster: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    unscored: Mapping[str, str] = field(default_factory=dict)
    pair: tuple[str, str] | None = None
    other_image: str | None = None
    control: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0.0 < self.inclusion_probability <= 1.0:
            raise ValueError(f"item {self.item!r}: inclusion_probability must lie in (0, 1]")
        if self.pair is not None and (
            self.image is None or self.other_image is None or not self.pair[0] < self.pair[1]
        ):
            raise ValueError(
                f"item {self.item!r}: a pair needs two pictures, and names in the order in which they sort"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Who rates how much, and what they are told before.

    Attributes:
        instructions: in place of the page's own; paragraphs are parted by empty lines.
        items_per_rater: beside the controls, which everybody gets; None for as many as there are.
        raters_per_item: after so many nobody else gets it; None for no end.
    """

    instructions: str = ""
    items_per_rater: int | None = None
    raters_per_item: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A study as it was drawn.

    Attributes:
        population: how many samples, or pairs of them, the items stand for.
        items: those that were drawn, and the controls.
        setup: what else decided the draw (source runs, options, left-out samples by reason).
    """

    name: str
    seed: int
    population: int
    dimensions: tuple[Dimension, ...]
    items: tuple[Item, ...]
    setup: Mapping[str, Json] = field(default_factory=dict)
    design: Design = field(default_factory=Design)

    @property
    def drawn(self) -> tuple[Item, ...]:
        """The items without the controls."""
        return tuple(item for item in self.items if not item.control)

    @property
    def controls(self) -> tuple[Item, ...]:
        """The items whose answer is known."""
        return tuple(item for item in self.items if item.control)

    def dimensions_of(self, item: Item) -> tuple[Dimension, ...]:
        """Those for which the item shows what they need, and to which their judge did not say "not applicable".

        Of a control, those whose answer is known.
        """
        chain, image, pair = item.chain is not None, item.image is not None, item.pair is not None
        idle = {base_name(judge) for judge, why in item.unscored.items() if why == Why.NOT_APPLICABLE.value}
        return tuple(
            one
            for one in self.dimensions
            if one.judge not in idle
            and one.shown_by(chain=chain, image=image, pair=pair)
            and (not item.control or one.name in item.control)
        )


def write_study(study: Study, folder: Path) -> None:
    """Write study.json and items.jsonl, each in one piece."""
    folder.mkdir(parents=True, exist_ok=True)
    facts = {
        "format": FORMAT,
        "name": study.name,
        "seed": study.seed,
        "population": study.population,
        "dimensions": [asdict(dimension) for dimension in study.dimensions],
        "setup": dict(study.setup),
        "design": asdict(study.design),
    }
    write_atomically(folder / "items.jsonl", "".join(f"{dump(asdict(item))}\n" for item in study.items))
    write_atomically(folder / "study.json", json.dumps(facts, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_study(folder: Path) -> Study:
    """The study that a folder holds.

    Raises:
        DataError: a file is missing or does not hold what it should, or an item stands there twice.
    """
    path = folder / "study.json"
    try:
        return _study(json.loads(path.read_text(encoding="utf-8")), folder)
    except OSError as error:
        raise DataError(f"not a study: {error.strerror}; draw one with `gotr1-eval study`", path=path) from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"not the description of a study ({one_line(error)})", path=path) from None


def picture_path(folder: Path, item: Item) -> Path | None:
    """Where the item's picture lies, None where it has none."""
    return None if item.image is None else folder / item.image


def other_picture_path(folder: Path, item: Item) -> Path | None:
    """Where the picture of a pair's second sample lies, None where the item is no pair."""
    return None if item.other_image is None else folder / item.other_image


def _study(facts: Mapping[str, Any], folder: Path) -> Study:
    if facts["format"] != FORMAT:
        raise ValueError(f"format {facts['format']!r}, this version reads {FORMAT}")
    return Study(
        name=facts["name"],
        seed=facts["seed"],
        population=facts["population"],
        dimensions=tuple(_dimension(row) for row in facts["dimensions"]),
        items=tuple(_read_items(folder / "items.jsonl")),
        setup=facts["setup"],
        design=Design(**facts.get("design", {})),
    )


def _dimension(row: Mapping[str, Any]) -> Dimension:
    return Dimension(**{**row, "needs": tuple(row["needs"])})


def _item(row: Mapping[str, Any]) -> Item:
    pair = row.get("pair")
    control = {name: (float(low), float(high)) for name, (low, high) in row.get("control", {}).items()}
    return Item(**{**row, "pair": None if pair is None else (str(pair[0]), str(pair[1])), "control": control})


def _read_items(path: Path) -> list[Item]:
    items: dict[str, Item] = {}
    for number, row in read_rows(path):
        try:
            item = _item(row)
        except (TypeError, ValueError) as error:
            raise DataError(f"not an item ({one_line(error)})", path=path, line=number) from None
        if item.item in items:
            raise DataError(f"item {item.item!r} stands there twice", path=path, line=number)
        items[item.item] = item
    return list(items.values())
