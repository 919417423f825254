"""Where numbers come from: the footer that every exported table carries."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.types import Json
from reports.run_data import RunData


@dataclass(frozen=True, slots=True)
class Origin:
    """What made one run's numbers.

    Attributes:
        files: name -> sha256 of the files that hold the truth, as `sha256sum` prints it.
    """

    label: str
    command: str
    generator: str
    versions: Mapping[str, Json]
    files: Mapping[str, str]

    def __str__(self) -> str:
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items() if version)
        files = ", ".join(f"{name} sha256 {digest[:16]}" for name, digest in self.files.items())
        return f"{self.label}: gotr1-eval {self.command}; generator {self.generator}; {versions}; {files}"

    def columns(self) -> dict[str, Json]:
        """The same for a row of a CSV file."""
        version = self.versions.get("gotr1-eval")
        names = {name.replace(".", "_") + "_sha256": digest for name, digest in self.files.items()}
        return {"command": self.command, "generator": self.generator, "gotr1_eval": version, **names}


def origin(run: RunData, label: str) -> Origin:
    """The origin of a run's numbers."""
    setup = run.info.setup
    versions = setup.get("versions")
    return Origin(
        label=label,
        command=str(setup.get("command", "")),
        generator=str(setup.get("generator", "")),
        versions=versions if isinstance(versions, Mapping) else {},
        files={name: _digest(run.folder / name) for name in ("samples.jsonl", "judgments.jsonl")},
    )


def _digest(path: Path) -> str:
    if not path.exists():
        return "none"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def footer(origins: Sequence[Origin], command: str = "") -> tuple[str, ...]:
    """One line for what wrote the table, one for each run in it.

    Args:
        command: the command line that asked for the table, without the program's name.
    """
    asked = f": gotr1-eval {command}" if command else ""
    return (f"written by gotr1-eval {metadata.version('gotr1-eval')}{asked}", *map(str, origins))


def run_labels(runs: Sequence[RunData]) -> list[str]:
    """A name a run: its title where it has one of its own, else its folder, with as many of the folders above it as
    tell equal ones apart.

    Raises:
        UsageError: one folder is given twice.
    """
    places = [run.folder.resolve() for run in runs]
    for place in places:
        if places.count(place) > 1:
            raise UsageError(f"{place}: the run is given twice")
    titles = [run.title for run in runs]
    return [
        run.title if run.title != place.name and titles.count(run.title) == 1 else _shortest(place, places)
        for run, place in zip(runs, places, strict=True)
    ]


def _shortest(place: Path, places: Sequence[Path]) -> str:
    for depth in range(1, len(place.parts) + 1):
        if sum(other.parts[-depth:] == place.parts[-depth:] for other in places) == 1:
            return "/".join(place.parts[-depth:])
    return str(place)
