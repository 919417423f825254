"""A run cut into shards: several processes or machines make its tiles, and one command puts them together.

Shard i of n takes every n-th tile of the plan and writes a run folder of its own beside the whole run's,
``<out>.shard-i-of-n``. Tiles are the same whatever the number of shards, and so is every picture.
"""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.core.types import Json, Sample
from gotr1_eval.runs.costs import Cost, cost_of
from gotr1_eval.runs.description import expected_of
from gotr1_eval.runs.store import KEPT, RunInfo, RunStore, read_info, read_judgments, read_samples, tiles

_FOLDER = re.compile(r"\.shard-(\d+)-of-(\d+)")


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `count` shards, counted from 1."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def take(self, plan: Sequence[Sample], tile: int) -> list[Sample]:
        """This shard's samples of a plan: whole tiles, dealt out in turn."""
        return [sample for part in tiles(plan, tile)[self.number - 1 :: self.count] for sample in part]

    def folder(self, out: Path) -> Path:
        """Where this shard of the run `out` is written."""
        return out.with_name(f"{out.name}.shard-{self.number}-of-{self.count}")


def read_shard(text: str | None, environment: Mapping[str, str] = os.environ) -> Shard | None:
    """The shard that ``--shard 1/4`` names, or that `accelerate launch` and `torchrun` give this process.

    Raises:
        UsageError: not two whole numbers, the first of 1 to the second.
    """
    if text is None:
        count = int(environment.get("WORLD_SIZE", "1"))
        return Shard(int(environment.get("RANK", "0")) + 1, count) if count > 1 else None
    match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(f"--shard {text}: expected a number and how many there are, from 1/4 to 4/4")
    return Shard(int(match[1]), int(match[2])) if int(match[2]) > 1 else None


def merge(out: Path) -> int:
    """Make the run `out` of its finished shards; returns the number of samples.

    The pictures are linked where the file system can, and copied elsewhere. The same command without ``--shard`` then
    goes on in `out`, with judging for example.

    Raises:
        UsageError: there are no shards, one is missing, or `out` holds a run already.
        DataError: a shard is not finished, or is of another run.
    """
    shards = _shards(out)
    infos = [read_info(folder) for folder in shards]
    identity = _without_shard(infos[0])
    for folder, info in zip(shards, infos, strict=True):
        if _without_shard(info) != identity:
            raise DataError(f"the shard is of another run than {shards[0].name}", path=folder / "run.json")
    expected = sum((Counter(expected_of(info)) for info in infos), Counter())
    setup: dict[str, Json] = {**infos[0].setup, "expected": dict(expected), "merged": [each.name for each in shards]}
    if cost := sum(map(cost_of, infos), Cost()):
        setup[KEPT] = cost.json()
    if (out / "run.json").exists():
        raise UsageError(f"{out} holds a run already; nothing was merged")
    parts: list[list[Sequence[Sample]]] = []
    for folder, info in zip(shards, infos, strict=True):
        samples = list(read_samples(folder).values())
        if len(samples) < sum(expected_of(info).values()):
            raise DataError(f"the shard has {len(samples)} samples only; let it finish first", path=folder)
        moved = [_moved(sample, folder, out) for sample in samples]
        parts.append([*tiles(moved, _tile(identity))])
    # A tile of each in turn: in the plan's order, as one process would have written them.
    in_order = [sample for dealt in zip_longest(*parts, fillvalue=()) for part in dealt for sample in part]
    with RunStore.open(out, RunInfo(identity=identity, setup=setup)) as store:
        for folder in shards:
            if (folder / "images").is_dir():  # not where pictures were judged that lie elsewhere
                shutil.copytree(folder / "images", out / "images", copy_function=_link, dirs_exist_ok=True)
        store.append_samples(in_order)
        for folder in shards:
            store.append_judgments(read_judgments(folder).values())
    return len(in_order)


def _tile(identity: Mapping[str, Json]) -> int:
    tile = identity.get("tile")
    return tile if isinstance(tile, int) else 1


def _shards(out: Path) -> list[Path]:
    """The folders of all shards, in order."""
    found: dict[int, Path] = {}
    counts = set()
    for path in out.parent.glob(f"{out.name}.shard-*"):
        if match := _FOLDER.fullmatch(path.name.removeprefix(out.name)):
            found[int(match[1])] = path
            counts.add(int(match[2]))
    if not found:
        raise UsageError(f"merge: no shards beside {out}, such as {out.name}.shard-1-of-4")
    if len(counts) > 1:
        raise UsageError(f"merge: shards of {out} of different cuts, into {' and '.join(map(str, sorted(counts)))}")
    count = counts.pop()
    missing = [str(number) for number in range(1, count + 1) if number not in found]
    if missing:
        raise UsageError(f"merge: of the {count} shards of {out}, {', '.join(missing)} are missing")
    return [found[number] for number in range(1, count + 1)]


def _without_shard(info: RunInfo) -> dict[str, Json]:
    return {key: value for key, value in info.identity.items() if key != "shard"}


def _moved(sample: Sample, folder: Path, out: Path) -> Sample:
    """The sample with its picture in the merged run."""
    images = folder.absolute() / "images"
    if isinstance(sample.image, Path) and sample.image.is_relative_to(images):
        return replace(sample, image=out.absolute() / "images" / sample.image.relative_to(images))
    return sample


def _link(source: str, target: str) -> str:
    Path(target).unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    return target
