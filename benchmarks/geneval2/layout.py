"""GenEval 2's picture layout: a JSON object of prompts and picture files, one picture a prompt."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from gotr1_eval.core.errors import DataError, UsageError, one_line
from gotr1_eval.core.types import Sample
from gotr1_eval.runs.stated_places import Matched

MAP = "image_paths.json"


class PromptMap:
    """See `gotr1_eval.core.protocols.PictureLayout`, and `Matching` and `Indexed` of `gotr1_eval.runs`.

    Read is the map itself (``--images paths.json``), or a folder with ``image_paths.json``; paths in it that are not
    absolute are looked for beside it, and then where the command runs, as the official script does.
    """

    def paths(self, samples: Sequence[Sample]) -> dict[str, Path]:
        """``<5 digits>.png``, by place in the plan; raises UsageError for a prompt that is there twice."""
        taken: dict[str, str] = {}
        for sample in samples:
            if (other := taken.setdefault(sample.prompt, sample.id)) != sample.id:
                raise UsageError(
                    f"{sample.id}: GenEval 2's layout has one picture a prompt, and {other} is of the same one; use "
                    "--images-per-prompt 1"
                )
        return {sample.id: Path(f"{place:05d}.png") for place, sample in enumerate(samples)}

    def metadata(self, sample: Sample) -> None:
        """None: the map says everything."""

    def index(self, pictures: Mapping[str, Path]) -> tuple[str, str]:
        """The map: prompt -> absolute path, since the script opens paths where it is started."""
        content = {prompt: str(path.absolute()) for prompt, path in pictures.items()}
        return MAP, json.dumps(content, ensure_ascii=False, indent=1) + "\n"

    def match(self, folder: Path, plan: Sequence[Sample]) -> Matched:
        """The pictures that the map names for the plan's prompts.

        Raises:
            UsageError: there is no map, or it names no prompt of the plan.
            DataError: it holds something else.
        """
        path = folder / MAP if folder.is_dir() else folder
        if not path.is_file():
            raise UsageError(f"--images {folder}: expected a JSON file of prompts and paths, or a folder with {MAP}")
        named = _read_map(path)
        found = {s.id: _place(path, named[s.prompt]) for s in plan if s.prompt in named and _is_first(s)}
        if plan and not found:
            raise UsageError(
                f"--images {path}: none of its {len(named)} prompts is asked for, such as {plan[0].prompt!r}"
            )
        return Matched(found, tuple(_remarks(path, named, plan, found)))


def _is_first(sample: Sample) -> bool:
    return sample.meta.get("image_index", 0) == 0


def _read_map(path: Path) -> dict[str, str]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"expected JSON ({one_line(error, 80)})", path=path) from None
    if not isinstance(content, dict) or not all(isinstance(place, str) for place in content.values()):
        raise DataError("expected an object: prompt -> path of its picture", path=path)
    return content


def _place(path: Path, named: str) -> Path:
    beside = path.absolute().parent / named
    return beside if beside.exists() or not Path(named).exists() else Path(named).absolute()


def _remarks(path: Path, named: Mapping[str, str], plan: Sequence[Sample], found: Mapping[str, Path]) -> list[str]:
    lines = []
    prompts = {sample.prompt for sample in plan}
    if others := [prompt for prompt in named if prompt not in prompts]:
        lines.append(
            f"{path}: {len(others)} prompts are not asked for and not judged, such as {one_line(others[0], 80)!r}"
        )
    if missing := [sample for sample in plan if sample.id not in found]:
        what = "planned samples have no picture (the official script ends there), such as"
        lines.append(f"{path}: {len(missing)} {what} {one_line(missing[0].prompt, 80)!r}")
    return lines
