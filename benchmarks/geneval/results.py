"""GenEval's results.jsonl, and what its summary script makes of it (evaluation/summary_scores.py).

One JSON object a picture: filename, tag, prompt, correct, reason, and as JSON texts the prompt's metadata and the
objects that counted (class -> [x1, y1, x2, y2, score] each, in pixels).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.layouts import geneval_row
from gotr1_eval.core.errors import DataError, one_line
from gotr1_eval.core.intervals import Groups, Interval, overall_bootstrap, overall_seeds
from gotr1_eval.core.jsonl import dump, read_rows
from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.pictures import picture_size
from gotr1_eval.core.runs import write_atomically
from gotr1_eval.core.types import Json, Sample


@dataclass(frozen=True, slots=True)
class Result:
    """A picture's verdict; pictures with the same `metadata` are of one prompt."""

    tag: str
    metadata: str
    correct: bool


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
    return Intervals(overall_bootstrap(tasks), overall_seeds(tasks))


def read_results(path: Path) -> list[Result]:
    """The verdicts in an official results.jsonl.

    Raises:
        DataError: a line is no verdict.
    """
    results = []
    for line, row in read_rows(path, ours=False):
        tag, correct, metadata = row.get("tag"), row.get("correct"), row.get("metadata")
        if not (isinstance(tag, str) and isinstance(correct, bool) and isinstance(metadata, str)):
            message = f"expected tag, correct (true or false) and metadata (a text), got {one_line(dump(row), 100)}"
            raise DataError(message, path=path, line=line)
        results.append(Result(tag, metadata, correct))
    return results


def write_results(samples: Sequence[Sample], outcomes: Mapping[str, Outcome], path: Path) -> list[Result]:
    """Write the scored pictures as an official results.jsonl, and return their verdicts.

    Args:
        outcomes: sample id -> GenEval's outcome; samples without a score are left out, as pictures that are not there.
    """
    rows, results = [], []
    for sample in samples:
        outcome, row = outcomes.get(sample.id), geneval_row(sample)
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
