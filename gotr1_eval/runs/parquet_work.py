"""The plan of a run in Parquet parts, and the way between them and the run's JSON lines.

What a process needs to work on a part is in the part and in its own arguments, so that parts may be done anywhere, in
any order, and again: a part that is done twice is the same part.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from gotr1_eval.core.types import Sample
from gotr1_eval.runs.description import expected_of
from gotr1_eval.runs.judgments import Judgment
from gotr1_eval.runs.parquet_parts import Part, PartFolder, parts_of
from gotr1_eval.runs.store import read_info, read_judgments, read_samples, tiles

MOST_PARTS = 10_000
"""A driver keeps a few facts of each part; larger plans have larger parts."""
ROWS = 1024
"""Samples of a part, about, where they are only judged."""


def part_size(count: int, tile: int, *, generates: bool) -> int:
    """Samples of a part: whole tiles; a single one where pictures are generated, of which little should be lost."""
    least = tile if generates else max(ROWS // tile, 1) * tile
    wanted = -(-count // MOST_PARTS)
    return max(least, -(-wanted // tile) * tile)


def number_of_parts(count: int, size: int, anew: Sequence[int] = ()) -> int:
    """How many parts so many samples take; like tiles, parts begin anew where the run grew."""
    return len(tiles(range(count), size, anew))


def lay_out(
    parts: PartFolder,
    plan: Iterable[Sample],
    count: int,
    size: int,
    judges: Sequence[tuple[str, str]] = (),
    anew: Sequence[int] = (),
    *,
    rows: bool = True,
) -> int:
    """Write the parts that are not there yet; returns how many the plan has.

    Rows that the run's JSON lines hold already go into them: a run of one process can be gone on with in parts.

    Args:
        plan: is read once more, and only where a part is missing.
        count: samples of the plan.
        judges: name and fingerprint of every judge that the parts have columns of.
        anew: places where parts begin anew.
        rows: whether the run's JSON lines may hold rows of what is missing.
    """
    parts.tidy()
    pieces = tiles(range(count), size, anew)
    there = set(parts.numbers())
    if there.issuperset(range(len(pieces))):
        return len(pieces)
    made, judged = _known(parts.run) if rows else ({}, {})
    samples = iter(plan)
    for number, piece in enumerate(pieces):
        planned = list(islice(samples, len(piece)))
        if number not in there:
            done = [judgment for sample in planned for judgment in judged.get(sample.id, ())]
            part = Part([made.get(sample.id, sample) for sample in planned], {each.key: each for each in done})
            parts.write(number, part, judges)
    return len(pieces)


def _known(run: Path) -> tuple[dict[str, Sample], dict[str, list[Judgment]]]:
    """Samples by id and judgments by sample of a run's JSON lines."""
    judged: dict[str, list[Judgment]] = {}
    for judgment in read_judgments(run).values():
        judged.setdefault(judgment.sample, []).append(judgment)
    return read_samples(run), judged


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


def bring_view_up_to_date(folder: Path) -> int:
    """Before one process goes on with a run that was made in parts: its JSON lines must hold what the parts hold.

    Returns:
        How many samples the parts still lack; 0 for a run that is in none.
    """
    parts = parts_of(folder)
    return 0 if parts is None else sum(expected_of(read_info(folder)).values()) - write_view(parts)
