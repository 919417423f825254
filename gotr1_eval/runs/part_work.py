"""Working on a run part by part: laying the plan out, painting and judging a part, in whichever process.

What a process needs is in the part and in its arguments, so that parts may be done anywhere, in any order, and again:
a part that is done twice is the same part.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from pathlib import Path

from gotr1_eval.core.outcome import Why
from gotr1_eval.core.types import Sample
from gotr1_eval.runs.judgments import Judgment
from gotr1_eval.runs.parts import Part, PartFolder, parts_of
from gotr1_eval.runs.sources import Painter
from gotr1_eval.runs.stages import TileWork, kept_keys, lacking
from gotr1_eval.runs.store import read_judgments, read_samples, tiles
from rewards.reward_set import RewardSet

MOST_PARTS = 10_000
"""A driver keeps a few facts of each part; larger plans have larger parts."""
ROWS = 1024
"""Samples of a part, about, where they are only judged."""


def part_size(count: int, tile: int, *, paints: bool) -> int:
    """Samples of a part: whole tiles; a single one where pictures are painted, of which little should be lost."""
    least = tile if paints else max(ROWS // tile, 1) * tile
    wanted = -(-count // MOST_PARTS)
    return max(least, -(-wanted // tile) * tile)


def lay_out(
    parts: PartFolder, plan: Iterable[Sample], count: int, size: int, judges: Sequence[tuple[str, str]] = ()
) -> int:
    """Write the parts that are not there yet; returns how many the plan has.

    Rows that the run's JSON lines hold already go into them: a run of one process can be gone on with in parts.

    Args:
        plan: is read once more, and only where a part is missing.
        count: samples of the plan.
        judges: name and fingerprint of every judge that the parts have columns of.
    """
    parts.tidy()
    number_of_parts = -(-count // size)
    there = set(parts.numbers())
    if len(there) == number_of_parts:
        return number_of_parts
    made, judged = _known(parts.run)
    samples = iter(plan)
    for number in range(number_of_parts):
        piece = list(islice(samples, size))
        if number not in there:
            done = [judgment for sample in piece for judgment in judged.get(sample.id, ())]
            part = Part([made.get(sample.id, sample) for sample in piece], {each.key: each for each in done})
            parts.write(number, part, judges)
    return number_of_parts


def _known(run: Path) -> tuple[dict[str, Sample], dict[str, list[Judgment]]]:
    """Samples by id and judgments by sample of a run's JSON lines; empty for a run that was always in parts."""
    judged: dict[str, list[Judgment]] = {}
    for judgment in read_judgments(run).values():
        judged.setdefault(judgment.sample, []).append(judgment)
    return read_samples(run), judged


def paint_part(part: Part, painter: Painter, run: Path, tile: int) -> None:
    """Make the samples that the part lacks, tile by tile as `gotr1_eval.runs.stages.generate` does."""
    for start in range(0, len(part.samples), tile):
        planned = part.samples[start : start + tile]
        if any(sample.generator is None or lacking(sample) for sample in planned):
            part.samples[start : start + tile] = painter.paint(planned, run)


def judge_part(part: Part, rewards: RewardSet, tile: int, retry: Collection[Why] = ()) -> None:
    """Judge what the part's samples lack, tile by tile as `gotr1_eval.runs.stages.judge` does.

    What was judged before an error (a budget that is spent) is in the part all the same.
    """
    kept = kept_keys(part.judgments, retry)
    for samples in tiles(part.samples, tile):
        work = TileWork(samples, rewards, part.judgments, kept)
        if not work.complete():
            fresh: list[Judgment] = []
            try:
                work.judge(fresh)
            finally:
                part.judgments |= {judgment.key: judgment for judgment in fresh}


def write_view(parts: PartFolder) -> int:
    """Write samples.jsonl and judgments.jsonl anew from the parts, in the plan's order; returns the samples.

    Holds one part at a time; a reader finds the old files or the new ones.
    """
    count = 0
    partial = [parts.run / f".{name}.partial" for name in ("samples.jsonl", "judgments.jsonl")]
    with partial[0].open("w", encoding="utf-8") as samples, partial[1].open("w", encoding="utf-8") as judgments:
        for number in parts.numbers():
            for sample, judged in parts.lines(number):
                samples.write(f"{sample}\n")
                judgments.writelines(f"{line}\n" for line in judged)
                count += 1
        for file in (samples, judgments):
            file.flush()
            os.fsync(file.fileno())
    for path in partial:
        path.replace(parts.run / path.name[1 : -len(".partial")])
    return count


def bring_view_up_to_date(folder: Path) -> None:
    """Before one process goes on with a run that was made in parts: its JSON lines must hold what the parts hold."""
    parts = parts_of(folder)
    if parts is not None:
        write_view(parts)
