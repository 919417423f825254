"""GenEval's results.jsonl, and what its summary script makes of it (evaluation/summary_scores.py).

One JSON object a picture: filename, tag, prompt, correct, reason, and as JSON texts the prompt's metadata and the
objects that counted (class -> [x1, y1, x2, y2, score] each, in pixels).
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.geneval.prompts import TAGS, Task, row_of
from gotr1_eval.core.errors import one_line
from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.statistics.intervals import Groups, Interval, inside, overall_bootstrap, overall_seeds
from gotr1_eval.core.types import Json, Sample
from gotr1_eval.files.jsonl import dump
from gotr1_eval.files.pictures import picture_size
from gotr1_eval.files.tables import read_table
from gotr1_eval.files.writing import write_atomically


@dataclass(frozen=True, slots=True)
class Result:
    """A picture's verdict; pictures with the same `metadata` are of one prompt."""

    tag: str
    metadata: str
    correct: bool


@dataclass(frozen=True, slots=True)
class ReadResults:
    """The verdicts of a file, and how many of its rows repeat a picture."""

    results: list[Result]
    repeated: int


@dataclass(frozen=True, slots=True)
class Intervals:
    """95 % intervals of a mean, (None, None) where there are too few prompts, or pictures of a prompt."""

    prompts: Interval
    seeds: Interval

    def json(self) -> dict[str, Json]:
        """By name."""
        return {"over_prompts": list(self.prompts), "over_seeds": list(self.seeds)}

    def __str__(self) -> str:
        spans = (("prompts", *self.prompts), ("seeds", *self.seeds))
        known = [f"over {name} [{low:.4f}, {high:.4f}]" for name, low, high in spans if low is not None]
        return f", 95 % {', '.join(known)}" if known else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenEvalSummary:
    """GenEval's numbers, each a share in [0, 1].

    Attributes:
        tasks: tag -> (pictures that are right, pictures), in order of first appearance.
        correct_images: share of pictures that are right.
        any_correct: share of prompts with at least one picture that is right, which the official script calls correct.
        all_correct: share of prompts of which every picture is right.
        intervals: tag -> the 95 % intervals of its mean, over prompts and over seeds.
        overall_intervals: those of the overall score, prompts drawn within their task.
    """

    images: int
    prompts: int
    tasks: Mapping[str, tuple[int, int]]
    correct_images: float
    any_correct: float
    all_correct: float
    intervals: Mapping[str, Intervals]
    overall_intervals: Intervals

    @property
    def overall(self) -> float:
        """The mean of the tasks' means, each task counting alike."""
        means = [right / number for right, number in self.tasks.values()]
        return sum(means) / len(means)

    def json(self) -> dict[str, Json]:
        """The numbers as JSON values."""
        tasks: dict[str, Json] = {
            tag: {"mean": right / number, **self.intervals[tag].json(), "correct": right, "images": number}
            for tag, (right, number) in self.tasks.items()
        }
        names = ("images", "prompts", "correct_images", "any_correct", "all_correct")
        counts: dict[str, Json] = {name: getattr(self, name) for name in names}
        return {"overall": self.overall, **self.overall_intervals.json(), **counts, "tasks": tasks}

    def __str__(self) -> str:
        tasks = [f"{tag:<16} = {r / n:.2%} ({r} / {n}){self.intervals[tag]}" for tag, (r, n) in self.tasks.items()]
        return "\n".join(
            [
                f"images: {self.images}, {self.correct_images:.2%} correct",
                f"prompts: {self.prompts}, {self.any_correct:.2%} with any image correct, "
                f"{self.all_correct:.2%} with all images correct",
                *tasks,
                f"overall (mean of {len(tasks)} task means): {self.overall:.5f}{self.overall_intervals}",
            ]
        )


def summarise_results(results: Sequence[Result]) -> GenEvalSummary | None:
    """The summary of verdicts; None without any."""
    if not results:
        return None
    tasks: dict[str, tuple[int, int]] = {}
    prompts: dict[str, list[bool]] = {}
    by_tag: dict[str, dict[str, list[float]]] = {}
    for result in results:
        right, number = tasks.get(result.tag, (0, 0))
        tasks[result.tag] = (right + result.correct, number + 1)
        prompts.setdefault(result.metadata, []).append(result.correct)
        by_tag.setdefault(result.tag, {}).setdefault(result.metadata, []).append(float(result.correct))
    return GenEvalSummary(
        images=len(results),
        prompts=len(prompts),
        tasks=tasks,
        correct_images=sum(result.correct for result in results) / len(results),
        any_correct=sum(any(verdicts) for verdicts in prompts.values()) / len(prompts),
        all_correct=sum(all(verdicts) for verdicts in prompts.values()) / len(prompts),
        intervals={tag: _intervals([list(groups.values())]) for tag, groups in by_tag.items()},
        overall_intervals=_intervals([list(groups.values()) for groups in by_tag.values()]),
    )


def _intervals(tasks: Sequence[Groups]) -> Intervals:
    return Intervals(overall_bootstrap(tasks), inside(overall_seeds(tasks), (0.0, 1.0)))


def read_results(path: Path) -> ReadResults:
    """The verdicts in an official results.jsonl; a picture that stands there several times counts once.

    Raises:
        DataError: a line is no verdict, or a picture has two different ones.
    """
    first: dict[tuple[str, str], tuple[int, bool]] = {}
    results, repeated = [], 0
    for row in read_table(str(path)):
        tag, correct, metadata = row.cells.get("tag"), row.cells.get("correct"), row.cells.get("metadata")
        if not (isinstance(tag, str) and isinstance(correct, bool) and isinstance(metadata, str)):
            raise row.fault(
                f"expected tag, correct (true or false) and metadata (a text), got {one_line(dump(row.cells), 100)}"
            )
        if isinstance(name := row.cells.get("filename"), str):
            line, verdict = first.setdefault((os.path.normpath(name), metadata), (row.line, correct))
            if verdict != correct:
                raise row.fault(
                    f"{name} is {_word(correct)} here and {_word(verdict)} in line {line}; keep one of them"
                )
            if line != row.line:
                repeated += 1
                continue
        results.append(Result(tag, metadata, correct))
    return ReadResults(results, repeated)


def _word(correct: bool) -> str:
    return "correct" if correct else "wrong"


def gap_lines(read: ReadResults, tasks: Sequence[Task] | None = None, pictures: int | None = None) -> list[str]:
    """One line for each kind of what is wrong with a file of verdicts as a whole.

    Args:
        tasks: all prompts of the benchmark, where they are known.
        pictures: of each prompt; by default as many as the prompt with most has.
    """
    lines = [f"{read.repeated} rows repeat the same picture (by its filename) and count once"] if read.repeated else []
    absent = [tag for tag in TAGS if tag not in {result.tag for result in read.results}]
    if absent:
        lines.append(f"no row of {', '.join(absent)}: the overall score is the mean of the other tasks")
    counts = Counter(result.metadata for result in read.results)
    number = pictures or max(counts.values(), default=0)
    fewer = [name for name, count in counts.items() if count < number]
    if fewer:
        shown = f"{_prompt_of(fewer[0])[1]!r} {counts[fewer[0]]} of {number}"
        lines.append(f"{len(fewer)} of {len(counts)} prompts have fewer than {number} pictures, such as {shown}")
    if pictures is not None and (more := [name for name, count in counts.items() if count > number]):
        lines.append(f"{len(more)} prompts have more than {number} pictures, such as {_prompt_of(more[0])[1]!r}")
    if tasks is not None:
        there, known = {_prompt_of(name) for name in counts}, {(task.tag, task.prompt) for task in tasks}
        for prompts, what in ((known - there, "prompts have no row"), (there - known, "prompts are not in --data")):
            if prompts:
                lines.append(f"{len(prompts)} {what}, such as {min(prompts)[1]!r}")
    return lines


def _prompt_of(metadata: str) -> tuple[str, str]:
    """(tag, prompt) of a row's metadata; what is no metadata is its own prompt."""
    try:
        row = json.loads(metadata)
        return str(row["tag"]), str(row["prompt"])
    except (ValueError, KeyError, TypeError):
        return "", one_line(metadata, 80)


def write_results(samples: Sequence[Sample], outcomes: Mapping[str, Outcome], path: Path) -> list[Result]:
    """Write the scored pictures as an official results.jsonl, and return their verdicts.

    Args:
        outcomes: sample id -> GenEval's outcome; samples without a score are left out, as pictures that are not there.
    """
    rows, results = [], []
    for sample in samples:
        outcome, row = outcomes.get(sample.id), row_of(sample)
        if isinstance(outcome, Score) and row is not None and isinstance(sample.image, Path):
            written = _row(sample, sample.image, row, outcome)
            rows.append(written)
            results.append(Result(written["tag"], written["metadata"], written["correct"]))
    write_atomically(path, "".join(f"{dump(row)}\n" for row in rows))
    return results


def _row(sample: Sample, image: Path, row: Mapping[str, Json], outcome: Score) -> dict[str, Any]:
    width, height = picture_size(image)
    details: dict[str, list[list[float]]] = {}
    for found in outcome.seen:
        pixels = [float(np.float32(v * side)) for v, side in zip(found.box.corners, (width, height) * 2, strict=True)]
        details.setdefault(found.label, []).append([*pixels, found.score])
    return {
        "filename": str(image),
        "tag": str(row["tag"]),
        "prompt": sample.prompt,
        "correct": outcome.value == 1.0,
        "reason": outcome.note,
        "metadata": json.dumps(row),
        "details": json.dumps(details),
    }
