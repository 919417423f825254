"""What a benchmark's folder tells reports: ``reports.toml``, and the scores that others published in ``published.csv``.

Both are data and optional; nothing of a benchmark is imported. docs/extending.md shows them.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from gotr1_eval.core.errors import DataError
from gotr1_eval.core.plugins import BENCHMARKS
from gotr1_eval.settings import Settings, read_settings, read_toml
from reports.run_data import RunData

_STATED, _PUBLISHED = "reports.toml", "published.csv"
_COLUMNS = ("protocol", "kind", "source", "model", "metric", "value", "made_with", "transcribed")


class Maker(Settings):
    """A part of the official scripts: what it is, and the names under which it runs here, the official one first."""

    what: str
    names: tuple[str, ...]

    def fault(self, name: str) -> str:
        """Why another one's numbers are not comparable; empty for the official one, of whatever stated revision."""
        return "" if name.partition("@")[0] in self.names else f"{self.what} {name}, published with {self.names[0]}"


class Metric(Settings):
    """An official metric: the categories that it judges, and what makes its published numbers, as its name lists it.

    Attributes:
        mean_of_pictures: the published metric that is the mean over all pictures of these categories; None where there
            is no such headline.
    """

    categories: tuple[str, ...]
    made_with: tuple[Maker, ...]
    mean_of_pictures: str | None = None


class PromptList(Settings):
    """A category's published list: how many prompts, and their `gotr1_eval.runs.samples.PromptDigest`."""

    prompts: int
    digest: str


class Labels(Settings):
    """The names that some detectors know, and what perfect pictures could score with them.

    Attributes:
        detectors: a pattern that is searched in a detector's name.
        ceilings: metric -> the most that can be scored, and why; a metric that is not named can reach 1.
    """

    name: str
    detectors: str
    ceilings: Mapping[str, str] = {}


class Benchmark(Settings):
    """The content of ``reports.toml``.

    Attributes:
        facts: of a prompt, that only the benchmark's own judge reads: no column of a table.
        protocols: those that scores are published under, each a table of its own.
        images_per_prompt: of the published numbers; None where nothing is published.
        decimals: of the published tables.
        mean_of_categories: the published metric that is the mean of the categories' means, each counting alike; None
            where the benchmark has no such headline.
        remarks: category -> what a reader of its published numbers should know.
    """

    facts: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()
    images_per_prompt: int | None = None
    decimals: int = 4
    mean_of_categories: str | None = None
    remarks: Mapping[str, str] = {}
    metrics: Mapping[str, Metric] = {}
    lists: Mapping[str, PromptList] = {}
    labels: tuple[Labels, ...] = ()

    @property
    def categories(self) -> tuple[str, ...]:
        """Those that some metric judges."""
        return tuple(category for metric in self.metrics.values() for category in metric.categories)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A model's published scores from one source.

    Attributes:
        main: False for rows of ablations and repeated trainings.
        transcribed: copied by a third party, and not checked against the original table.
        made_with: metric -> the detectors and models of the official scripts.
    """

    model: str
    source: str
    main: bool
    transcribed: bool
    values: Mapping[str, float]
    made_with: Mapping[str, str]


def suite_names(run: RunData) -> list[str]:
    """What the run's suite may be called: the name that was asked for, without its settings, and its own."""
    request = run.info.setup.get("request")
    asked = request.get("suite") if isinstance(request, dict) else None
    return [str(name).partition(",")[0] for name in (asked, run.info.identity.get("suite")) if name]


def folder_of(run: RunData) -> Path | None:
    """The folder of the run's benchmark; None for one that is no folder or not installed here."""
    return next(filter(None, map(BENCHMARKS.folder, suite_names(run))), None)


def benchmark_of(run: RunData) -> Benchmark:
    """What the run's benchmark states; of one that states nothing, nothing.

    Raises:
        DataError: its ``reports.toml`` is no TOML file.
        UsageError: a key or a value of it is wrong.
    """
    folder = folder_of(run)
    return Benchmark() if folder is None else _read(folder)


def known_benchmarks(run: RunData | None = None) -> tuple[Benchmark, ...]:
    """What every benchmark here states, and that of a run, which may be a third party's."""
    known = tuple(map(_read, BENCHMARKS.folders().values()))
    return known if run is None else (benchmark_of(run), *known)


@lru_cache(maxsize=64)
def _read(folder: Path) -> Benchmark:
    path = folder / _STATED
    return read_settings(Benchmark, read_toml(path) if path.is_file() else {}, where=str(path))


def published(folder: Path, protocol: str) -> tuple[Peer, ...]:
    """The scores that a benchmark's folder has under one protocol, in its order.

    Raises:
        DataError: its ``published.csv`` lacks a column or a value.
    """
    return tuple(peer for name, peer in _peers(folder) if name == protocol)


@lru_cache(maxsize=64)
def _peers(folder: Path) -> tuple[tuple[str, Peer], ...]:
    """(protocol, a model's scores from one source); empty for a folder without a table."""
    path = folder / _PUBLISHED
    if not path.is_file():
        return ()
    found: dict[tuple[str, str, str], list[dict[str, str]]] = {}
    for number, row in enumerate(csv.DictReader(path.read_text(encoding="utf-8").splitlines()), start=2):
        if any(not row.get(name) for name in _COLUMNS) or not _is_number(row["value"]):
            wanted = ", ".join(_COLUMNS)
            raise DataError(
                f"expected the columns {wanted}, each filled, and a number as value", path=path, line=number
            )
        found.setdefault((row["protocol"], row["model"], row["source"]), []).append(row)
    return tuple(
        (
            protocol,
            Peer(
                model=model,
                source=source,
                main=rows[0]["kind"] == "main",
                transcribed=rows[0]["transcribed"] == "yes",
                values={row["metric"]: float(row["value"]) for row in rows},
                made_with={row["metric"]: row["made_with"] for row in rows},
            ),
        )
        for (protocol, model, source), rows in found.items()
    )


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
