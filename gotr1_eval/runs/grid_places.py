"""A picture layout in which one file holds all pictures of a prompt, as the cells of a grid."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.types import Sample
from gotr1_eval.files.pictures import open_picture
from gotr1_eval.runs.stated_places import stated


@dataclass(frozen=True, slots=True)
class GridPlaces:
    """See `gotr1_eval.core.protocols.PictureLayout`; samples of one prompt have one path.

    Attributes:
        benchmark: whose scripts read it, in messages.
        place: of a sample's grid, relative to the folder, ending in ``.png``; None for a sample that has none.
    """

    benchmark: str
    place: Callable[[Sample], str | None]
    columns: int = 2
    rows: int = 2

    def paths(self, samples: Sequence[Sample]) -> dict[str, Path]:
        """Where each sample's grid belongs; raises UsageError for a sample without a place, or more than cells."""
        paths: dict[str, Path] = {}
        cells: dict[str, int] = {}
        for sample in samples:
            place = stated(self.place(sample), sample, self.benchmark)
            cells[place] = cells.get(place, 0) + 1
            if cells[place] > self.columns * self.rows:
                raise UsageError(
                    f"{sample.id}: {self.benchmark}'s grids hold {self.columns * self.rows} pictures of a prompt "
                    "(--images-per-prompt)"
                )
            paths[sample.id] = Path(place)
        return paths

    def metadata(self, sample: Sample) -> None:
        """None: the names say everything."""

    def write(self, plan: Sequence[Sample], made: Sequence[Sample], folder: Path) -> int:
        """Write the grids of which every planned picture is made; returns how many pictures are in them.

        Cells for which no picture is planned are black.
        """
        there = {sample.id: sample.image for sample in made if isinstance(sample.image, Path) and sample.image.exists()}
        groups: dict[Path, list[str]] = {}
        for name, path in self.paths(plan).items():
            groups.setdefault(path, []).append(name)
        whole = {path: names for path, names in groups.items() if all(name in there for name in names)}
        for path, names in whole.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f".{target.stem[-12:]}.{os.getpid()}.partial")
            self.paste([open_picture(there[name]) for name in names]).save(partial, format="PNG")
            partial.replace(target)
        return sum(map(len, whole.values()))

    def paste(self, pictures: Sequence[Image.Image]) -> Image.Image:
        """The grid, in reading order; cells have the first picture's size, to which others are brought."""
        width, height = pictures[0].size
        grid = Image.new("RGB", (width * self.columns, height * self.rows))
        for place, picture in enumerate(pictures):
            cell = picture if picture.size == (width, height) else picture.resize((width, height))
            grid.paste(cell, (place % self.columns * width, place // self.columns * height))
        return grid
