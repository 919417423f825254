"""The official detectors' files, examined once by whoever has them, for a report that can be sent back.

No published file was at hand when their loaders were written. A report says of each what it is (size, sha256, tensors),
whether it loads with every tensor accounted for, and what it sees in the bundled drawings, box by box.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.doctor.checks import Check, Examination, checks_json, examine
from benchmarks.doctor.detectors import WorldAnswers, answer_checks, detect, match_answers, seen, with_clearness
from benchmarks.doctor.drawings import World, everyday
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.perception import FromFile, TensorCount
from gotr1_eval.core.protocols import Detector, Workshop
from gotr1_eval.core.types import Detection, Json
from gotr1_eval.files.official_files import (
    OfficialFile,
    file_fault,
    file_sha256,
    find_file,
    how_to_get,
    interchangeable,
    official_file,
)


@dataclass(frozen=True, slots=True)
class Case:
    """A way of running an official file: its key, whose semantics, and the detector's settings but for the files."""

    key: str
    semantics: str
    settings: Mapping[str, Json]


CASES = (
    Case("unidet-r50", "reference", {"use": "unidet", "size": "r50"}),
    Case("unidet-rs200", "reference", {"use": "unidet", "size": "rs200"}),
    Case("unidet-rs200", "corrected", {"use": "unidet", "size": "rs200", "semantics": "corrected"}),
    Case("mask2former", "reference", {"use": "mask2former"}),
    Case("mask2former-3x", "reference", {"use": "mask2former"}),
)
"""RS200 runs twice: `reference` shows it red as blue, and how much that matters only its weights can tell."""


@dataclass(slots=True)
class Report:
    """What was found out about an official file in one case; None where it did not come so far."""

    case: Case
    path: Path
    bytes: int
    sha256: str
    examination: Examination
    tensors: TensorCount | None = None
    load_seconds: float | None = None
    seconds_a_picture: float | None = None
    world_answers: WorldAnswers | None = None

    @property
    def passed(self) -> bool:
        """Whether every check did."""
        return self.examination.passed

    @property
    def found(self) -> list[tuple[str, tuple[int, int], Detection]]:
        """(drawing, its size, detection) in the drawings' order, best first."""
        if self.world_answers is None:
            return []
        pairs = zip(self.world_answers.world.drawings, self.world_answers.answers, strict=True)
        return [(drawing.name, drawing.picture.size, one) for drawing, found in pairs for one in found]


@dataclass(frozen=True, slots=True)
class Missing:
    """A file that is not there, and how to get it."""

    key: str
    name: str
    how_to_get: str


def official_cases(keys: Sequence[str], folder: Path) -> tuple[list[Case], list[Missing]]:
    """The cases that can be run with the files of a folder, and the files that lack.

    A file that another one of the same weights stands in for does not lack.
    """
    chosen = [case for case in CASES if case.key in keys]
    here = [case for case in chosen if find_file(official_file(case.key), folder)]
    wanted = [official_file(key) for key in dict.fromkeys(case.key for case in chosen)]
    if any(file.key.startswith("unidet") for file in wanted):
        wanted.append(official_file("unidet-labels"))
    missing = [
        Missing(file.key, file.name, how_to_get(file, folder))
        for file in wanted
        if not any(find_file(one, folder) for one in (file, *interchangeable(file)))
    ]
    return here, [lack for lack in missing if official_file(lack.key).instead_of is None]


def examine_official(workshop: Workshop, case: Case, folder: Path, world: World | None = None) -> Report:
    """Hash, load and run one official file of a folder.

    Args:
        world: the drawings; the everyday ones by default.
    """
    file = official_file(case.key)
    path = _need(file, folder)
    report = Report(case, path, path.stat().st_size, file_sha256(path), Examination("detector", case.key, (), 0.0))
    report.examination = examine(
        "detector",
        case.key,
        lambda: workshop.detector(_spec(case, path, folder)),
        lambda detector: _checks(detector, report, file, world or everyday()),
    )
    return report


def _need(file: OfficialFile, folder: Path) -> Path:
    path = find_file(file, folder)
    if path is None:
        raise UsageError(f"no {file.name} in {folder}; {how_to_get(file, folder)}")
    return path


def _spec(case: Case, path: Path, folder: Path) -> dict[str, Json]:
    if case.settings["use"] != "unidet":
        return {**case.settings, "model": str(path)}
    return {**case.settings, "weights": str(path), "labels": str(_need(official_file("unidet-labels"), folder))}


def _checks(detector: Detector, report: Report, file: OfficialFile, world: World) -> Iterator[Check]:
    """The file, its tensors, the drawings, and the form of the answers; fills in the report on the way."""
    fault = file_fault(file, report.path)
    yield Check("file", not fault, fault or _identity(file))
    start = time.perf_counter()
    report.tensors = _count(detector)
    report.load_seconds = time.perf_counter() - start
    counts = f"{report.tensors.in_file} in the file, {report.tensors.weights} of them weights, none left over"
    yield Check("tensors", True, counts)
    start = time.perf_counter()
    answers = detect(detector, [drawing.picture for drawing in world.drawings])
    report.seconds_a_picture = (time.perf_counter() - start) / len(world.drawings)
    report.world_answers = match_answers(world, answers)
    yield from with_clearness(detector, world, [seen([report.world_answers])], answer_checks(detector, world))


def _identity(file: OfficialFile) -> str:
    if file.hash_start is None:
        return "nobody states its sha256; compare it with another's"
    return f"sha256 begins with {file.hash_start}, as its name says"


def _count(detector: Detector) -> TensorCount:
    if not isinstance(detector, FromFile):
        raise UsageError(f"{detector.name} is not read from a file")
    return detector.count_tensors()


def report_json(report: Report) -> dict[str, Json]:
    """The report as strict JSON; boxes in pixels of the drawing."""
    examination, tensors = report.examination, report.tensors
    return {
        "key": report.case.key,
        "semantics": report.case.semantics,
        "file": report.path.name,
        "bytes": report.bytes,
        "sha256": report.sha256,
        "model": examination.model,
        "passed": report.passed,
        "tensors": None if tensors is None else {"in_file": tensors.in_file, "weights": tensors.weights},
        "load_seconds": report.load_seconds,
        "seconds_a_picture": report.seconds_a_picture,
        "checks": checks_json(examination),
        "detections": [_detection_json(*found) for found in report.found],
    }


def _detection_json(drawing: str, size: tuple[int, int], one: Detection) -> dict[str, Json]:
    corners = zip(one.box.corners, (*size, *size), strict=True)
    box: list[Json] = [round(value * side, 2) for value, side in corners]
    return {"drawing": drawing, "label": one.label, "box": box, "score": round(one.score, 6)}
