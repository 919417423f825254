"""LongText-Bench's picture folder: ``<prompt id>.png`` or ``<prompt id>_<anything>.png``, any number a prompt.

The official script takes one folder a language; a run over both has them in ``en/`` and ``zh/``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from gotr1_eval.core.errors import UsageError, one_line
from gotr1_eval.core.types import Sample
from gotr1_eval.files.pictures import is_shown
from gotr1_eval.runs.stated_places import Matched

Identify = Callable[[Sample], tuple[str, int] | None]
"""(language, prompt id) of a sample; None for one that is no prompt of the benchmark."""


def official_order(names: Iterable[str], prompt_ids: Collection[int]) -> list[tuple[str, int]]:
    """(file, prompt id) of each picture, in the script's order; files that do not end in ``.png`` are passed over.

    Raises:
        UsageError: a name that begins with no number, or with that of no prompt; the script ends there.
    """
    found = []
    for name in sorted(name for name in names if name.endswith(".png") and not name.startswith(".")):
        prompt_id = _number(name.split("_" if "_" in name else ".", 1)[0])
        if prompt_id is None or prompt_id not in prompt_ids:
            raise UsageError(
                f"{one_line(name, 80)}: expected <prompt id>.png or <prompt id>_<number>.png, with the id of a prompt"
            )
        found.append((name, prompt_id))
    return found


def _number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


class LongTextLayout:
    """See `gotr1_eval.core.protocols.PictureLayout` and `gotr1_eval.runs.stated_places.Matching`."""

    def __init__(self, identify: Identify) -> None:
        self._identify = identify

    def paths(self, samples: Sequence[Sample]) -> dict[str, Path]:
        """``<language>/<prompt id>_<number>.png``; raises UsageError for a sample of another benchmark."""
        paths = {}
        for sample in samples:
            language, prompt_id = self._known(sample)
            paths[sample.id] = Path(language, f"{prompt_id}_{sample.meta.get('image_index', 0)}.png")
        return paths

    def _known(self, sample: Sample) -> tuple[str, int]:
        identity = self._identify(sample)
        if identity is None:
            raise UsageError(f"{sample.id}: no place in LongText-Bench's layout; only its own prompts have one")
        return identity

    def metadata(self, sample: Sample) -> None:
        """None: the names say everything."""

    def match(self, folder: Path, plan: Sequence[Sample]) -> Matched:
        """A prompt's pictures by image index, in the script's order; a folder of one language may be given itself."""
        if not folder.is_dir():
            raise UsageError(f"--images {folder}: not a folder")
        folder = folder.absolute()
        wanted: dict[str, dict[int, list[Sample]]] = {}
        for sample in plan:
            language, prompt_id = self._known(sample)
            wanted.setdefault(language, {}).setdefault(prompt_id, []).append(sample)
        paths: dict[str, Path] = {}
        surplus: list[Path] = []
        for language, prompts in wanted.items():
            place = folder / language if len(wanted) > 1 or (folder / language).is_dir() else folder
            there = _pictures(place, prompts)
            for prompt_id, samples in prompts.items():
                files = there.get(prompt_id, [])
                paths |= dict(zip((sample.id for sample in samples), files, strict=False))
                surplus += files[len(samples) :]
        if plan and not paths:
            raise UsageError(f"--images {folder}: no picture such as <prompt id>.png there, or in en/ and zh/")
        return Matched(paths, tuple(_remarks(folder, plan, paths, surplus)))


def _pictures(place: Path, prompts: Collection[int]) -> dict[int, list[Path]]:
    """The pictures of each prompt; those of prompts that are not asked for are left aside."""
    found: dict[int, list[Path]] = {}
    if place.is_dir():
        names = [path.name for path in place.iterdir() if path.is_file() and is_shown(path.name)]
        for name, prompt_id in official_order(names, range(10**9)):
            if prompt_id in prompts:
                found.setdefault(prompt_id, []).append(place / name)
    return found


def _remarks(folder: Path, plan: Sequence[Sample], paths: dict[str, Path], surplus: Sequence[Path]) -> Iterable[str]:
    if surplus:
        shown = one_line(surplus[0].relative_to(folder), 120)
        yield (
            f"{folder}: {len(surplus)} pictures are beyond the --images-per-prompt that are asked for and not judged, "
            f"such as {shown}"
        )
    if missing := len(plan) - len(paths):
        yield f"{folder}: {missing} planned samples have no picture"
