"""The two files that DPG-Bench's script writes, read back: its results, and every answer.

``<name>.txt`` has a line a file, ``path, crop, ..., mean``, and below the printed totals. ``<name>_detail.txt`` has a
line an answer, ``path, (left, top, right, bottom), question, answer``, from which everything can be computed again, by
either semantics, with the file of propositions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from benchmarks.dpg_bench.propositions import Item, questions_of
from benchmarks.dpg_bench.totals import Answered, File
from benchmarks.semantics import Semantics
from gotr1_eval.core.checklist import ChecklistError, UnknownParentError, apply_dependency
from gotr1_eval.core.errors import DataError

_ANSWER = re.compile(r"(?P<path>.*?), (?P<crop>\(\d+, \d+, \d+, \d+\)), (?P<question>.*), (?P<answer>[^,]*)")
_SCORES = re.compile(r"(?P<path>.*?), (?P<numbers>[0-9.e+-]+(?:, [0-9.e+-]+)+)")


@dataclass(frozen=True, slots=True)
class ReadFiles:
    """Files of judged pictures, and a line for each that has no score."""

    files: tuple[File, ...]
    failed: tuple[str, ...]


@dataclass(slots=True)
class _Answers:
    """What was said about one picture file: crop -> question -> answer."""

    crops: dict[str, dict[str, str]] = field(default_factory=dict)


def item_name(path: str) -> str:
    """The item of a picture file: its name up to the first dot, so that ``a.v2.png`` is a second file of ``a``."""
    return PurePath(path).name.split(".", maxsplit=1)[0]


def read_detail(path: Path, items: Mapping[str, Item], semantics: Semantics) -> ReadFiles:
    """The files of a ``_detail.txt``.

    Raises:
        DataError: a line is no answer.
    """
    found: dict[str, _Answers] = {}
    for number, line in enumerate(_lines(path), start=1):
        match = _ANSWER.fullmatch(line)
        if match is None:
            raise DataError("expected: path, (left, top, right, bottom), question, answer", path=path, line=number)
        crop = found.setdefault(match["path"], _Answers()).crops.setdefault(match["crop"], {})
        crop[match["question"]] = match["answer"]
    files, failed = [], []
    for name, answers in found.items():
        try:
            files.append(judge_file(items.get(item_name(name)), list(answers.crops.values()), semantics))
        except (ChecklistError, UnknownParentError) as error:
            failed.append(f"{PurePath(name).name}: {error}")
    return ReadFiles(tuple(files), tuple(failed))


def judge_file(item: Item | None, crops: Sequence[Mapping[str, str]], semantics: Semantics) -> File:
    """A file's pictures from the answers to its questions, by the questions' texts.

    Raises:
        ChecklistError: there is no such item, or a question has no answer.
        UnknownParentError: where the official script fails on it.
    """
    if item is None:
        raise ChecklistError("no item of this name")
    questions = questions_of(item, semantics)
    pictures = []
    for crop in crops:
        if missing := next((one for one in questions if one.text not in crop), None):
            raise ChecklistError(f"no answer to question {missing.id}")
        read = [float(crop[one.text] == "yes") for one in questions]
        counted = apply_dependency(
            questions, read, "transitive", unknown_parents="refused" if semantics == "reference" else "ignored"
        )
        pictures.append(
            tuple(
                Answered(one.tag, answer, value or 0.0)
                for one, answer, value in zip(questions, read, counted, strict=True)
            )
        )
    return File(item.id, tuple(pictures))


def read_scores(path: Path) -> list[tuple[str, float]]:
    """(item, score) of each file of a results file, in its order; the printed totals are passed over.

    Raises:
        DataError: no line of it is one of scores.
    """
    found = []
    for line in _lines(path):
        if match := _SCORES.fullmatch(line):
            *crops, mean = map(float, match["numbers"].split(", "))
            if abs(sum(crops) / len(crops) - mean) > 1e-9:
                raise DataError(f"the mean of {item_name(match['path'])} is not that of its crops", path=path)
            found.append((item_name(match["path"]), mean))
    if not found:
        raise DataError(
            "expected a file that DPG-Bench's script wrote: lines of path, crops, mean (or its _detail.txt)", path=path
        )
    return found


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", path=path) from None
    except UnicodeDecodeError:
        raise DataError("expected a text file that DPG-Bench's script wrote", path=path) from None
