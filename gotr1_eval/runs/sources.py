"""Where a benchmark's pictures come from: a generator, or a folder of pictures made elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Protocol

from gotr1_eval.core.errors import BackendError
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.protocols import Generated, Generator, Independent, PictureLayout, PlansMemory
from gotr1_eval.core.types import Json, Sample
from gotr1_eval.files.embedded import EmbeddedPictures
from gotr1_eval.files.pictures import PictureError, picture_remarks
from gotr1_eval.files.remote_pictures import EMBEDDED, NOT_MADE, PICTURE_REMARKS
from gotr1_eval.files.tables import tell
from gotr1_eval.runs.picture_folders import match_pictures
from gotr1_eval.runs.store import save_bytes, save_image


class PictureSource(Protocol):
    """Completes planned samples with chain and picture."""

    @property
    def name(self) -> str:
        """What the maker of the pictures is called in tables."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever a picture could."""
        ...

    def fingerprint_of(self, planned: Iterable[Sample]) -> str:
        """The same for these samples alone."""
        ...

    @property
    def independent(self) -> bool:
        """Whether a sample's picture is the same whatever else is made together with it."""
        ...

    def fitting_tile(self, most: int) -> int:
        """How many samples to make together, at most so many."""
        ...

    def complete(self, planned: Sequence[Sample], run: Path) -> list[Sample]:
        """The samples of one tile, completed, in order; pictures that are made go into the run folder."""
        ...


class _NoModel:
    """A source whose pictures exist already."""

    fingerprint: str
    independent = True

    def fingerprint_of(self, planned: Iterable[Sample]) -> str:
        """The same, whatever the samples."""
        return self.fingerprint

    def fitting_tile(self, most: int) -> int:
        """Any number fits."""
        return most


class GeneratedPictures:
    """Generates with a model and keeps the pictures in the run folder."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        self.name = generator.name
        self.fingerprint = generator.fingerprint
        self.independent = isinstance(generator, Independent) and generator.independent

    def fingerprint_of(self, planned: Iterable[Sample]) -> str:
        """The generator's."""
        return self.fingerprint

    def fitting_tile(self, most: int) -> int:
        """What the generator says, where it plans its memory."""
        return self.generator.fitting_tile(most) if isinstance(self.generator, PlansMemory) else most

    def complete(self, planned: Sequence[Sample], run: Path) -> list[Sample]:
        """One generator call for the tile."""
        prompts = [sample.prompt for sample in planned]
        generated = self.generator.generate(prompts, [sample.seed or 0 for sample in planned])
        if len(generated) != len(planned):
            raise BackendError(f"generator {self.name} made {len(generated)} pictures for {len(planned)} prompts")
        return [self._kept(sample, made, run) for sample, made in zip(planned, generated, strict=True)]

    def _kept(self, sample: Sample, made: Generated, run: Path) -> Sample:
        before = {key: fact for key, fact in sample.meta.items() if key != NOT_MADE}
        meta: dict[str, Json] = {**before, **made.meta, "truncated": made.truncated}
        if made.missing is not None:
            meta[NOT_MADE] = {"why": made.missing.why.value, "detail": made.missing.detail}
        image = None if made.image is None else save_image(run, sample.id, made.image)
        return replace(sample, chain=made.chain, image=image, generator=self.name, meta=meta)


def picture_stamp(path: Path) -> str:
    """Name, size and time of change: another one means another picture, which must be judged anew."""
    try:
        facts = path.stat()
    except (OSError, ValueError):  # a ValueError for a name that no file can have
        return f"{path} missing"
    return f"{path} {facts.st_size} {facts.st_mtime_ns}"


class FolderPictures(_NoModel):
    """Takes pictures made elsewhere, in a layout of official evaluators; see `gotr1_eval.runs.picture_folders`.

    The pictures stay where they are. A missing one gives a sample without a picture, which the judges leave unscored;
    what does not fit the plan is told in one line a kind.

    Raises:
        UsageError: the folder does not exist or holds no such file.
    """

    def __init__(self, folder: Path, plan: Sequence[Sample], layout: PictureLayout | None = None) -> None:
        self.name = f"folder:{folder.absolute().name}"
        matched = match_pictures(folder, plan, layout)
        self._paths = matched.paths
        self.fingerprint = self.fingerprint_of(plan)
        for line in matched.remarks:
            tell(line)

    def fingerprint_of(self, planned: Iterable[Sample]) -> str:
        """Of the pictures that were found for the samples."""
        stamps = [picture_stamp(self._paths[sample.id]) for sample in planned if sample.id in self._paths]
        return f"folder:{fingerprint({'pictures': [*sorted(stamps)]})}"

    def complete(self, planned: Sequence[Sample], run: Path) -> list[Sample]:
        """The samples with the pictures that were found for them."""
        return [replace(sample, image=self._paths.get(sample.id), generator=self.name) for sample in planned]


class GivenPictures(_NoModel):
    """Leaves the samples as a manifest gave them; pictures inside a Parquet file become files in the run folder."""

    def __init__(self, source: str) -> None:
        self.name = f"given:{source.rpartition('/')[2]}"
        self.fingerprint = f"given:{source}"
        self._embedded = EmbeddedPictures()

    def complete(self, planned: Sequence[Sample], run: Path) -> list[Sample]:
        """The samples themselves, with whatever is odd about their pictures noted in `meta`."""
        there = [self._with_file(sample, run) for sample in planned]
        return [
            replace(sample, generator=self.name, meta={**sample.meta, PICTURE_REMARKS: _remarks(sample)})
            for sample in there
        ]

    def _with_file(self, sample: Sample, run: Path) -> Sample:
        place = sample.meta.get(EMBEDDED)
        if not isinstance(place, dict):
            return sample
        file, row, column, name = (str(place[key]) for key in ("file", "row", "column", "name"))
        data = self._embedded.read(file, int(row), column)
        if data is not None:
            return replace(sample, image=save_bytes(run, sample.id, data, PurePath(name).suffix))
        return replace(sample, image=(Path(file).parent / name).absolute() if name else None)


def _remarks(sample: Sample) -> Json:
    """What is odd about the sample's picture; what makes it unfit is the judges' to say."""
    try:
        return [*picture_remarks(sample.image)] if isinstance(sample.image, Path) else []
    except PictureError:
        return []
