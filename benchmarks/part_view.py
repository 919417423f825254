"""The JSON lines of a run that was made in parts: the same files that a run of one process writes."""

from __future__ import annotations

import os
from pathlib import Path

from gotr1_eval.core.parts import PartFolder, parts_of


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
