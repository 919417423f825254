"""Where a benchmark's pictures come from: a generator, or a folder of pictures made elsewhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from gotr1_eval.core.errors import BackendError, UsageError
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.pictures import PictureError, picture_remarks
from gotr1_eval.core.protocols import Generator
from gotr1_eval.core.runs import RunStore
from gotr1_eval.core.types import Json, Sample


class Painter(Protocol):
    """Completes planned samples with chain and picture."""

    @property
    def name(self) -> str:
        """What the maker of the pictures is called in tables."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever a picture could."""
        ...

    def paint(self, planned: Sequence[Sample], store: RunStore) -> list[Sample]:
        """The samples of one tile, completed, in order."""
        ...


class GeneratorPainter:
    """Paints with a model and keeps the pictures in the run folder."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        self.name = generator.name
        self.fingerprint = generator.fingerprint

    def paint(self, planned: Sequence[Sample], store: RunStore) -> list[Sample]:
        """One generator call for the tile."""
        prompts = [sample.prompt for sample in planned]
        generated = self.generator.generate(prompts, [sample.seed or 0 for sample in planned])
        if len(generated) != len(planned):
            raise BackendError(f"generator {self.name} made {len(generated)} pictures for {len(planned)} prompts")
        return [
            replace(
                sample,
                chain=made.chain,
                image=store.save_image(sample.id, made.image),
                generator=self.name,
                meta={**sample.meta, **made.meta, "truncated": made.truncated},
            )
            for sample, made in zip(planned, generated, strict=True)
        ]


_NUMBERED = re.compile(r"(?P<prompt>.+)_(?P<number>[0-9]{6})\.(?:png|jpg|jpeg|webp)", re.I | re.S)


def picture_stamp(path: Path) -> str:
    """Name, size and time of change: another one means another picture, which must be judged anew."""
    try:
        facts = path.stat()
    except OSError:
        return f"{path} missing"
    return f"{path} {facts.st_size} {facts.st_mtime_ns}"


def prompt_of(path: Path) -> str:
    """The prompt that a file name states: up to ``_`` and six digits where there are any, else the whole stem."""
    match = _NUMBERED.fullmatch(path.name)
    return match["prompt"] if match else path.stem


class FolderPainter:
    """Takes pictures in T2I-CompBench's layout: ``<prompt>_<6 digits>.png``, in the folder or its ``samples/``.

    A prompt's pictures, sorted by number, are its image indices 0, 1, ...; the pictures stay where they are. A missing
    one gives a sample without a picture, which the judges leave unscored.

    Raises:
        UsageError: the folder does not exist or holds no such file.
    """

    def __init__(self, folder: Path) -> None:
        samples = folder / "samples"
        self.folder = (samples if samples.is_dir() else folder).absolute()
        self.name = f"folder:{folder.absolute().name}"
        if not self.folder.is_dir():
            raise UsageError(f"--images {folder}: not a folder")
        self._pictures: dict[str, list[tuple[int, Path]]] = {}
        for path in self.folder.iterdir():
            if match := _NUMBERED.fullmatch(path.name):
                self._pictures.setdefault(match["prompt"], []).append((int(match["number"]), path))
        if not self._pictures:
            raise UsageError(f"--images {folder}: no picture named like '<prompt>_000000.png' in {self.folder}")
        for pictures in self._pictures.values():
            pictures.sort()
        stamps = [picture_stamp(path) for pictures in self._pictures.values() for _, path in pictures]
        self.fingerprint = f"folder:{fingerprint({'pictures': [*sorted(stamps)]})}"

    def paint(self, planned: Sequence[Sample], store: RunStore) -> list[Sample]:
        """Looks the pictures up by prompt and image index."""
        return [replace(sample, image=self._find(sample), generator=self.name) for sample in planned]

    def _find(self, sample: Sample) -> Path | None:
        index = sample.meta["image_index"]
        pictures = self._pictures.get(sample.prompt, [])
        return pictures[index][1] if isinstance(index, int) and index < len(pictures) else None


class AsTheyAre:
    """Leaves the samples as a manifest gave them."""

    def __init__(self, source: Path) -> None:
        self.name = f"given:{source.name}"
        self.fingerprint = f"given:{source.absolute()}"

    def paint(self, planned: Sequence[Sample], store: RunStore) -> list[Sample]:
        """The samples themselves, with whatever is odd about their pictures noted in `meta`."""
        return [
            replace(sample, generator=self.name, meta={**sample.meta, "picture_remarks": _remarks(sample)})
            for sample in planned
        ]


def _remarks(sample: Sample) -> Json:
    """What is odd about the sample's picture; what makes it unfit is the judges' to say."""
    try:
        return [*picture_remarks(sample.image)] if isinstance(sample.image, Path) else []
    except PictureError:
        return []
