"""A picture layout in which each sample's file has a place of its own, such as ``17.png`` or ``12_3.png``.

A benchmark says how the place follows from the sample's facts; pictures are written there, and read back from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from gotr1_eval.core.errors import UsageError, one_line
from gotr1_eval.core.types import Sample
from gotr1_eval.files.pictures import is_shown

_ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
"""In the order in which they are looked for; the official scripts read the first."""


@dataclass(frozen=True, slots=True)
class Matched:
    """Which picture belongs to which planned sample, and one line for each kind of what does not fit."""

    paths: Mapping[str, Path]
    remarks: tuple[str, ...]


@runtime_checkable
class Matching(Protocol):
    """A layout that finds pictures made elsewhere by itself, beside a `gotr1_eval.core.protocols.PictureLayout`."""

    def match(self, folder: Path, plan: Sequence[Sample]) -> Matched:
        """The folder's pictures by planned sample.

        Raises:
            UsageError: it holds none of them.
        """
        ...


@dataclass(frozen=True, slots=True)
class StatedPlaces:
    """See `gotr1_eval.core.protocols.PictureLayout` and `Matching`.

    Attributes:
        benchmark: whose scripts read it, in messages.
        place: of a sample's picture, relative to the folder, ending in ``.png``; None for a sample that has none.
    """

    benchmark: str
    place: Callable[[Sample], str | None]

    def paths(self, samples: Sequence[Sample]) -> dict[str, Path]:
        """Where each picture belongs; raises UsageError for a sample without a place or two with one."""
        paths: dict[str, Path] = {}
        taken: dict[str, str] = {}
        for sample in samples:
            place = stated(self.place(sample), sample, self.benchmark)
            if (other := taken.setdefault(place, sample.id)) != sample.id:
                raise UsageError(f"{sample.id}: {self.benchmark}'s layout has {place} for {other} already")
            paths[sample.id] = Path(place)
        return paths

    def metadata(self, sample: Sample) -> None:
        """None: the names say everything."""

    def match(self, folder: Path, plan: Sequence[Sample]) -> Matched:
        """The pictures at their places, also with another ending than ``.png``."""
        if not folder.is_dir():
            raise UsageError(f"--images {folder}: not a folder")
        folder = folder.absolute()
        wanted = self.paths(plan)
        found = {name: path for name, place in wanted.items() if (path := _at(folder / place)) is not None}
        if plan and not found:
            first = next(iter(wanted.values()))
            raise UsageError(
                f"--images {folder}: none of the {len(plan)} pictures is there; {self.benchmark} looks for {first} and "
                "so on"
            )
        return Matched(found, tuple(_remarks(folder, found, plan, wanted)))


def stated(place: str | None, sample: Sample, benchmark: str) -> str:
    """The place that a benchmark's layout states for a sample; raises UsageError where it states none."""
    if place is None:
        raise UsageError(f"{sample.id}: no place in {benchmark}'s layout; only its own prompts have one")
    return place


def _at(place: Path) -> Path | None:
    return next((path for ending in _ENDINGS if (path := place.with_suffix(ending)).is_file()), None)


def _remarks(
    folder: Path, found: Mapping[str, Path], plan: Sequence[Sample], wanted: Mapping[str, Path]
) -> Iterable[str]:
    used = {*found.values()}
    places = {(folder / place).parent for place in wanted.values()}
    others = sorted(
        path
        for place in places
        if place.is_dir()
        for path in place.iterdir()
        if path.suffix.lower() in _ENDINGS and is_shown(path.name) and path not in used
    )
    if others:
        shown = one_line(others[0].relative_to(folder), 120)
        yield f"{folder}: {len(others)} pictures are of no sample that is asked for and not judged, such as {shown}"
    if missing := [sample for sample in plan if sample.id not in found]:
        yield f"{folder}: {len(missing)} planned samples have no picture, such as {wanted[missing[0].id]}"
