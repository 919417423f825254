"""Pictures made elsewhere, in a folder of either layout of `gotr1_eval.runs.layouts`, held against a plan.

Whatever does not fit is told in one line a kind: pictures of prompts that are not planned, pictures beyond those that
are asked for, and planned samples without a picture.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from gotr1_eval.core.errors import UsageError, one_line
from gotr1_eval.core.protocols import PictureLayout
from gotr1_eval.core.types import Sample
from gotr1_eval.files.pictures import is_shown
from gotr1_eval.runs.layouts import NUMBERED, read_metadata
from gotr1_eval.runs.stated_places import Matched, Matching

_PICTURE = re.compile(r"(?P<number>[0-9]+)\.(?:png|jpg|jpeg|webp)", re.I)
_MARKS = re.compile(r"[^\w\s]|_")

Key = tuple[str | None, str]
"""(category, None where the folder does not say; the prompt, composed as Unicode's NFC has it).

The row of a numbered folder calls the category ``tag``.
"""


@dataclass(frozen=True, slots=True)
class Group:
    """The pictures of one folder that are of one prompt, by number.

    Attributes:
        twice: those that have the number of another one (0000.png beside 0000.jpg).
    """

    key: Key
    pictures: tuple[Path, ...]
    twice: tuple[Path, ...] = ()


def match_pictures(folder: Path, plan: Sequence[Sample], layout: PictureLayout | Matching | None = None) -> Matched:
    """The pictures of a folder by planned sample: as the benchmark's layout finds them, or else in either general one.

    `PromptFolders` are known by ``<digits>/metadata.jsonl``. A prompt's pictures are its image indices 0, 1, ... by
    number. Where the plan has a prompt as often as the folder has folders of it, each has its own; else the pictures
    of all its folders are dealt out in order.

    Raises:
        UsageError: the folder does not exist, or holds pictures in neither layout.
        DataError: a metadata.jsonl holds something else than a prompt's row.
    """
    if isinstance(layout, Matching):
        return layout.match(folder, plan)
    if not folder.is_dir():
        raise UsageError(f"--images {folder}: not a folder")
    folder = folder.absolute()
    numbered = [path for path in sorted(folder.iterdir()) if path.name.isdigit() and (path / "metadata.jsonl").exists()]
    groups = [_numbered_folder(path) for path in numbered] if numbered else _numbered_names(folder)
    if not any(group.pictures for group in groups):
        raise UsageError(
            f"--images {folder}: no picture named like '<prompt>_000000.png' there, in samples/ or in "
            "<category>/samples/, and no folder like 00000/ with metadata.jsonl and samples/0000.png"
        )
    return _match(folder, groups, plan)


def _match(folder: Path, groups: Sequence[Group], plan: Sequence[Sample]) -> Matched:
    there: dict[Key, list[Group]] = {}
    for group in groups:
        there.setdefault(group.key, []).append(group)
    wanted: dict[Key, dict[str, list[Sample]]] = {}
    for sample in plan:
        key = _key_of(sample)
        key = key if key in there else (None, key[1])
        wanted.setdefault(key, {}).setdefault(sample.id.rpartition("/")[0], []).append(sample)
    paths: dict[str, Path] = {}
    for key, prompts in wanted.items():
        for samples, pictures in zip(prompts.values(), _shares(there.get(key, []), prompts), strict=True):
            paths |= {s.id: pictures[index] for s in samples if (index := _index(s)) < len(pictures)}
    used = set(paths.values())
    surplus = [path for key in wanted for group in there.get(key, []) for path in group.pictures if path not in used]
    twice = [path for group in groups for path in group.twice]
    unplanned = [group for group in groups if group.key not in wanted]
    missing = [sample for sample in plan if sample.id not in paths]
    return Matched(paths, tuple(_remarks(folder, surplus, twice, unplanned, missing, wanted)))


def _shares(groups: Sequence[Group], prompts: Mapping[str, Sequence[Sample]]) -> list[Sequence[Path]]:
    """The pictures of each of the plan's occurrences of one prompt."""
    if len(groups) == len(prompts):
        return [group.pictures for group in groups]
    pool = list(chain.from_iterable(group.pictures for group in groups))
    if len(prompts) == 1:
        return [pool]
    count = 1 + max(_index(sample) for samples in prompts.values() for sample in samples)
    return [pool[place * count : (place + 1) * count] for place in range(len(prompts))]


def _index(sample: Sample) -> int:
    index = sample.meta.get("image_index")
    return index if isinstance(index, int) else 0


def _key_of(sample: Sample) -> Key:
    return str(sample.meta.get("category")), _composed(sample.prompt)


def _composed(prompt: str) -> str:
    """The same text in one spelling: macOS takes the accents of file names apart."""
    return unicodedata.normalize("NFC", prompt)


def _remarks(
    folder: Path,
    surplus: Sequence[Path],
    twice: Sequence[Path],
    unplanned: Sequence[Group],
    missing: Sequence[Sample],
    wanted: Iterable[Key],
) -> list[str]:
    lines = []
    others = [path for group in unplanned for path in group.pictures]
    for paths, what, hint in (
        (surplus, "more than the --images-per-prompt that are asked for", ""),
        (twice, "of the same prompt and number as another", ""),
        (others, "of a prompt that is not asked for", _near(unplanned, wanted)),
    ):
        if paths:
            lines.append(
                f"{folder}: {len(paths)} picture{'s are' if len(paths) > 1 else ' is'} {what} and not judged, "
                f"such as {one_line(paths[0].relative_to(folder), 120)}{hint}"
            )
    if missing:
        first = missing[0]
        lines.append(
            f"{folder}: {len(missing)} planned sample{'s have' if len(missing) > 1 else ' has'} no picture, such as "
            f"{one_line(first.prompt, 120)!r}, picture {_index(first) + 1}"
        )
    return lines


def _near(unplanned: Sequence[Group], wanted: Iterable[Key]) -> str:
    """A hint where a prompt is a planned one but for its punctuation, case or blanks."""
    known = {_bare(prompt): prompt for _, prompt in wanted}
    for group in unplanned:
        prompt = group.key[1]
        if group.pictures and (planned := known.get(_bare(prompt))) is not None:
            where = "" if planned != prompt else " in another category"
            return f"; {prompt!r} is not the planned {planned!r}{where}"
    return ""


def _bare(prompt: str) -> str:
    return " ".join(_MARKS.sub("", unicodedata.normalize("NFKC", prompt).casefold()).split())


def _numbered_names(folder: Path) -> list[Group]:
    """Pictures named ``<prompt>_<6 digits>``, in the folder, its ``samples/``, or ``<category>/samples/``."""
    places: list[tuple[str | None, Path]] = [(None, folder / "samples" if (folder / "samples").is_dir() else folder)]
    places += [(path.parent.name, path) for path in sorted(folder.glob("*/samples")) if path.is_dir()]
    found: dict[Key, list[tuple[int, Path]]] = {}
    for category, place in places:
        for path in place.iterdir():
            if is_shown(path.name) and (match := NUMBERED.fullmatch(path.name)):
                found.setdefault((category, _composed(match["prompt"])), []).append((int(match["number"]), path))
    return [_group(key, found[key]) for key in sorted(found, key=lambda key: (key[0] or "", key[1]))]


def _numbered_folder(folder: Path) -> Group:
    row, samples = read_metadata(folder / "metadata.jsonl"), folder / "samples"
    paths = [path for path in samples.iterdir() if _PICTURE.fullmatch(path.name)] if samples.is_dir() else []
    return _group((str(row.get("tag")), _composed(str(row["prompt"]))), [(int(path.stem), path) for path in paths])


def _group(key: Key, numbered: Iterable[tuple[int, Path]]) -> Group:
    by_number: dict[int, Path] = {}
    twice = []
    for number, path in sorted(numbered):
        if by_number.setdefault(number, path) is not path:
            twice.append(path)
    return Group(key, tuple(by_number.values()), tuple(twice))
