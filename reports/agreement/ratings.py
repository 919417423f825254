"""What people answered: the long table of ratings, and how each rater did.

Of every rater are known how many controls came out right, how often the left one of two pictures was preferred, and
how long an answer took.
"""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from gotr1_eval.files.writing import write_atomically
from reports.agreement.study_folder import Study

RATING_COLUMNS = ("item", "rater", "dimension", "value", "seconds", "timestamp")
PAIR_COLUMNS = ("left", "right", "verdict")
"""Of a pair as it was shown, for readers of pairwise votes: the two names, and the side that was preferred, or tie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """One mark of one rater; a file holds at most one for an item, rater and dimension: the last one given.

    Attributes:
        value: None when the rater said that it cannot be judged; its cell is then empty.
        seconds: that the rater took, None where unknown.
        timestamp: ISO 8601 in UTC, empty where unknown.
        sides: of a pair the names of its left and its right sample, as the rater saw them.
    """

    item: str
    rater: str
    dimension: str
    value: float | None
    seconds: float | None = None
    timestamp: str = ""
    sides: tuple[str, str] | None = None

    @property
    def verdict(self) -> str:
        """Of a pair: left, right, tie; empty where it cannot be judged."""
        if self.value is None or self.sides is None:
            return ""
        first_is_left = self.sides[0] < self.sides[1]
        return {0.0: "right", 0.5: "tie", 1.0: "left"}[self.value if first_is_left else 1.0 - self.value]


def ratings_csv(ratings: Sequence[Rating]) -> str:
    """The long table as CSV text, with its header; `PAIR_COLUMNS` are there where a rating is of a pair."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    pairs = any(one.sides is not None for one in ratings)
    writer.writerow((*RATING_COLUMNS, *PAIR_COLUMNS) if pairs else RATING_COLUMNS)
    for one in ratings:
        value = "" if one.value is None else f"{one.value:.12g}"
        seconds = "" if one.seconds is None else f"{one.seconds:.3f}"
        shown = (*(one.sides or ("", "")), one.verdict) if pairs else ()
        writer.writerow((one.item, one.rater, one.dimension, value, seconds, one.timestamp, *shown))
    return text.getvalue()


def write_ratings(ratings: Sequence[Rating], folder: Path) -> Path:
    """Write ratings.csv in one piece, and return where it is."""
    path = folder / "ratings.csv"
    write_atomically(path, ratings_csv(ratings))
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class RaterSummary:
    """How a rater did.

    Attributes:
        items: rated ones, without the controls.
        marks, cannot_judge: answers about them.
        controls, controls_right: answers about controls, and those of them that are right; "cannot judge" is not.
        preferred, preferred_left: pairs of which one picture was preferred, and those where it stood on the left.
        median_seconds: that an answer took; None without answers that were timed.
    """

    rater: str
    items: int
    marks: int
    cannot_judge: int
    controls: int
    controls_right: int
    preferred: int
    preferred_left: int
    median_seconds: float | None

    @property
    def share_right(self) -> float | None:
        """Of the controls; None where none was answered."""
        return self.controls_right / self.controls if self.controls else None

    @property
    def share_left(self) -> float | None:
        """Of the pairs with a preference; 0.5 is expected of somebody whom the side does not sway."""
        return self.preferred_left / self.preferred if self.preferred else None


def rater_summaries(study: Study, ratings: Iterable[Rating]) -> list[RaterSummary]:
    """How each rater did, in the order in which they first appear."""
    by_rater: dict[str, list[Rating]] = {}
    for rating in ratings:
        by_rater.setdefault(rating.rater, []).append(rating)
    controls = {item.item: item.control for item in study.controls}
    return [_summary(rater, given, controls) for rater, given in by_rater.items()]


def _summary(
    rater: str, given: Sequence[Rating], controls: Mapping[str, Mapping[str, tuple[float, float]]]
) -> RaterSummary:
    known = [one for one in given if one.item in controls]
    drawn = [one for one in given if one.item not in controls]
    seconds = [one.seconds for one in given if one.seconds is not None]
    sides = [one.verdict for one in given if one.verdict in ("left", "right")]
    return RaterSummary(
        rater=rater,
        items=len({one.item for one in drawn}),
        marks=sum(one.value is not None for one in drawn),
        cannot_judge=sum(one.value is None for one in drawn),
        controls=len(known),
        controls_right=sum(_is_right(one, controls[one.item]) for one in known),
        preferred=len(sides),
        preferred_left=sides.count("left"),
        median_seconds=statistics.median(seconds) if seconds else None,
    )


def _is_right(rating: Rating, control: Mapping[str, tuple[float, float]]) -> bool:
    low, high = control[rating.dimension]
    return rating.value is not None and low <= rating.value <= high


def summaries_csv(summaries: Sequence[RaterSummary]) -> str:
    """A line a rater, with both shares; an unknown number is an empty cell."""
    text = io.StringIO()
    names = [field.name for field in fields(RaterSummary)]
    writer = csv.DictWriter(text, [*names, "share_right", "share_left"], lineterminator="\n")
    writer.writeheader()
    for one in summaries:
        row = {**asdict(one), "share_right": one.share_right, "share_left": one.share_left}
        writer.writerow({name: round(cell, 3) if isinstance(cell, float) else cell for name, cell in row.items()})
    return text.getvalue()


def kept_raters(summaries: Sequence[RaterSummary], least_right: float | None) -> list[str]:
    """Those who got at least this share of their controls right; everybody where no share is asked for.

    Who has answered no control has shown nothing, and is not among them.
    """
    if least_right is None:
        return [one.rater for one in summaries]
    return [one.rater for one in summaries if one.share_right is not None and one.share_right >= least_right]
