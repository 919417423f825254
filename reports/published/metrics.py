"""Whether a number is made as the published ones are, told from its name alone, and what perfect pictures would score.

A name says what made its number: ``spatial[unidet-rs200, spacy en_core_web_sm-3.5.0, reference]``. Published numbers
come from the official scripts, which have one detector, one model and one parser each; the benchmark's folder names
them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from reports.published.benchmark import Benchmark, Maker, known_benchmarks
from reports.run_data import RunData


@dataclass(frozen=True, slots=True)
class MetricName:
    """An official metric's name, taken apart; a frozen parse counts as its source's."""

    benchmark: Benchmark
    metric: str
    makers: tuple[str, ...]
    semantics: str

    @property
    def categories(self) -> tuple[str, ...]:
        """Those that the metric judges."""
        return self.benchmark.metrics[self.metric].categories

    @property
    def mean_of_pictures(self) -> str | None:
        """The published metric that is the mean over all pictures of these categories."""
        return self.benchmark.metrics[self.metric].mean_of_pictures

    @property
    def detector(self) -> str:
        """The detector; empty for a metric without one."""
        return next((name for official, name in self._pairs if official.what == "detector"), "")

    @property
    def faults(self) -> list[str]:
        """Why its numbers are not comparable with published ones; empty where they are."""
        faults = [fault for official, name in self._pairs if (fault := official.fault(name))]
        if self.semantics != "reference":
            faults.append(f"{self.semantics} semantics, published with reference")
        return faults

    @property
    def ceiling(self) -> str:
        """What perfect pictures could score, a sentence; empty where that is 1, and for other semantics."""
        told = self.semantics == "reference" and self.detector
        return ceiling(self.benchmark, self.metric, self.detector) if told else ""

    @property
    def _pairs(self) -> list[tuple[Maker, str]]:
        return list(zip(self.benchmark.metrics[self.metric].made_with, self.makers, strict=True))


def read_name(name: str, run: RunData | None = None) -> MetricName | None:
    """The parts of an official metric's name; None for the names of all other judges.

    Args:
        run: whose judge it is; its benchmark may be a third party's.
    """
    metric, bracket, rest = name.partition("[")
    parts = [part for part in rest.removesuffix("]").split(", ") if part != "frozen"]
    for benchmark in known_benchmarks(run) if bracket else ():
        if metric in benchmark.metrics and len(parts) == len(benchmark.metrics[metric].made_with) + 1:
            return MetricName(benchmark, metric, tuple(parts[:-1]), parts[-1])
    return None


def ceiling(benchmark: Benchmark, metric: str, detector: str) -> str:
    """What perfect pictures could score by a metric with a detector's labels, a sentence; empty where that is 1."""
    for labels in benchmark.labels:
        if re.search(labels.detectors, detector.casefold()):
            told = labels.ceilings.get(metric, "")
            return told and f"with {labels.name} perfect pictures score {told}"
    known = [
        f"{labels.ceilings[metric].partition(':')[0]} with {labels.name}"
        for labels in benchmark.labels
        if metric in labels.ceilings
    ]
    return (
        f"what perfect pictures score with the labels of {detector!r} is not known ({', '.join(known)})"
        if known
        else ""
    )
