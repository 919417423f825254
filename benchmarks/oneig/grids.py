"""OneIG-Bench's picture files: ``<class>/<model>/<id>.webp``, each a grid of a prompt's pictures.

The scripts save every cell as JPEG (quality 75) before it is judged, and leave out cells that are black all over, which
stand for pictures that a model refused to make. `corrected` judges the cells as they are, black ones too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.checklist.encoding import AsItIs, Encoding, Grid
from benchmarks.semantics import Semantics
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.types import Sample
from gotr1_eval.files.pictures import is_shown
from gotr1_eval.runs.stated_places import Matched

Place = Callable[[Sample], tuple[str, str] | None]
"""(class, prompt id) of a sample; None for one that is no prompt of the benchmark."""
MODEL = "model"
"""The name of a model's folder where none is given."""


def encoding(semantics: Semantics, columns: int, rows: int) -> Encoding:
    """What the judge is shown of a file with so many columns and rows; of a single picture, 1 and 1."""
    if semantics == "reference":
        return Grid(columns, rows, quality=75, drop_black=True)
    return AsItIs() if (columns, rows) == (1, 1) else Grid(columns, rows)


def read_size(text: str) -> tuple[int, int]:
    """``2x2``: columns and rows; raises UsageError for another text."""
    columns, _, rows = text.partition("x")
    if not (columns.isdecimal() and rows.isdecimal() and int(columns) and int(rows)):
        raise UsageError(f"grid: expected columns and rows, such as 2x2, got {text!r}")
    return int(columns), int(rows)


@dataclass(frozen=True, slots=True)
class OfficialGrids:
    """See `gotr1_eval.core.protocols.PictureLayout` and `gotr1_eval.runs.stated_places.Matching`.

    Attributes:
        place: of a sample.
        model: the folder of the model's pictures; None takes the only one there is, or files without such a folder.
    """

    place: Place
    model: str | None = None

    def paths(self, samples: Sequence[Sample]) -> dict[str, Path]:
        """``<class>/<model>/<id>.png``; raises UsageError for a sample of another benchmark."""
        return {sample.id: Path(name, self.model or MODEL, f"{key}.png") for sample, name, key in self._known(samples)}

    def _known(self, samples: Sequence[Sample]) -> Iterable[tuple[Sample, str, str]]:
        for sample in samples:
            place = self.place(sample)
            if place is None:
                raise UsageError(f"{sample.id}: no place in OneIG-Bench's layout; only its own prompts have one")
            yield sample, *place

    def metadata(self, sample: Sample) -> None:
        """None: the names say everything."""

    def match(self, folder: Path, plan: Sequence[Sample]) -> Matched:
        """The one file whose name begins with the prompt's id; by the scripts none where there are several."""
        if not folder.is_dir():
            raise UsageError(f"--images {folder}: not a folder")
        folder = folder.absolute()
        paths: dict[str, Path] = {}
        several = []
        for sample, name, key in self._known(plan):
            place = self._folder(folder / name)
            found = sorted(path for path in place.glob(f"{key}*") if path.is_file() and is_shown(path.name))
            if len(found) == 1:
                paths[sample.id] = found[0]
            elif found:
                several.append(found[0])
        if plan and not paths:
            raise UsageError(
                f"--images {folder}: no picture there; OneIG-Bench looks for <class>/<model>/<id>*, such as "
                "anime/my-model/000.webp (the setting model names the model's folder)"
            )
        return Matched(paths, tuple(_remarks(folder, several, len(plan) - len(paths))))

    def _folder(self, place: Path) -> Path:
        """Where the class's pictures lie.

        Raises:
            UsageError: there are folders of several models, and none is named.
        """
        if self.model is not None:
            return place / self.model
        models = sorted(path.name for path in place.iterdir() if path.is_dir()) if place.is_dir() else []
        if len(models) > 1:
            raise UsageError(f"{place}: folders of {len(models)} models ({', '.join(models[:4])}); name one, model=...")
        return place / models[0] if models else place


def _remarks(folder: Path, several: Sequence[Path], missing: int) -> Iterable[str]:
    if several:
        yield f"{folder}: {len(several)} prompts have several files and no picture, such as {several[0].name}"
    if missing:
        yield f"{folder}: {missing} planned samples have no picture"
