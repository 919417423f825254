"""The samples of one run, to be filtered, ordered and shown: facts and scores in memory, all else on the disk."""

from __future__ import annotations

import json
import mmap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gotr1_eval.core.errors import DataError
from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.statistics.ranks import Floats
from gotr1_eval.core.types import Sample
from gotr1_eval.runs.judgments import read_judgment, read_sample
from gotr1_eval.runs.store import read_info, read_judgments
from reports.run_data import JudgeColumn, RunData, assemble_run


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of a run's samples.

    Attributes:
        words: all of them stand in the prompt or the chain, in any case.
        judge: whose scores order and are bounded; a factor or a full name.
        order: ``run``, ``lowest``, ``highest`` or ``unscored``.
    """

    words: str = ""
    category: str = ""
    judge: str = ""
    order: str = "run"


class RunSamples:
    """The samples of a run folder as it is now; a later state of the folder is another object.

    Raises:
        DataError: the folder holds no run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.state = state_of(folder)
        self._file = self.folder / "samples.jsonl"
        whole = assemble_run(self.folder, read_info(folder), {}, ())
        self.judges: tuple[JudgeColumn, ...] = whole.judges
        self.title = whole.title
        self._whole = whole
        self._offsets: list[tuple[int, int]] = []
        self.ids: list[str] = []
        self.prompts: list[str] = []
        self.categories: list[str] = []
        self._texts: list[str] = []
        self._read()
        self.places = {name: place for place, name in enumerate(self.ids)}
        self.scores = self._scores()

    def _read(self) -> None:
        """Facts of every sample, and where its line stands; of several lines with one id the last counts."""
        last: dict[str, int] = {}
        start = 0
        if not self._file.exists():
            return
        with self._file.open("rb") as file:
            for line in file:
                end = start + len(line)
                if line.endswith(b"\n"):
                    row = json.loads(line)
                    name, prompt = row["id"], row["prompt"]
                    category, text = row["meta"].get("category", "all"), f"{prompt}\n{row['chain'] or ''}".casefold()
                    place = last.setdefault(name, len(self.ids))
                    if place == len(self.ids):
                        self.ids.append(name)
                        self.prompts.append(prompt)
                        self.categories.append(str(category))
                        self._texts.append(text)
                        self._offsets.append((start, end))
                    else:
                        self._texts[place], self._offsets[place] = text, (start, end)
                start = end

    def _scores(self) -> dict[str, Floats]:
        """Judge -> scores, NaN where there is none: of the table of scores where it is of the present state."""
        table = self.folder / "scores.parquet"
        judgments = self.folder / "judgments.jsonl"
        newest = max((path.stat().st_mtime for path in (self._file, judgments) if path.exists()), default=0.0)
        if table.exists() and table.stat().st_mtime >= newest:
            import pyarrow.parquet as pq

            there = [column.name for column in self.judges if column.name in pq.read_schema(table).names]
            found = pq.read_table(table, columns=["id", *there])
            if found["id"].to_pylist() == self.ids:
                return {name: found[name].to_numpy().astype(float) for name in there}
        current = {(column.name, column.fingerprint) for column in self.judges}
        scores = {column.name: np.full(len(self.ids), np.nan) for column in self.judges}
        for one in read_judgments(self.folder).values():
            if (one.judge, one.fingerprint) in current and one.repeat == 0 and one.sample in self.places:
                value = one.outcome.value if isinstance(one.outcome, Score) else np.nan
                scores[one.judge][self.places[one.sample]] = value
        return scores

    def judge(self, name: str) -> JudgeColumn | None:
        """The judge of a factor or full name; without one the total, or else the first."""
        named = [column for column in self.judges if name in (column.factor, column.name)]
        total = [column for column in self.judges if column.factor == "total"]
        return next(iter([*named, *total, *self.judges]), None)

    def matching(self, wanted: Wanted) -> list[int]:
        """Places of the samples that match, in the order that is asked for; those without a score last."""
        words = wanted.words.casefold().split()
        places = [
            place
            for place in range(len(self.ids))
            if (not wanted.category or self.categories[place] == wanted.category)
            and all(word in self._texts[place] for word in words)
        ]
        column = self.judge(wanted.judge)
        if column is None or wanted.order == "run" or column.name not in self.scores:
            return places
        values = self.scores[column.name][places]
        if wanted.order == "unscored":
            return [place for place, value in zip(places, values, strict=True) if np.isnan(value)]
        keys = np.where(np.isnan(values), np.inf, values if wanted.order == "lowest" else -values)
        return [places[at] for at in np.argsort(keys, kind="stable")]

    def samples(self, places: Sequence[int]) -> list[Sample]:
        """The samples at these places, read from the disk."""
        found = []
        with self._file.open("rb") as file:
            for place in places:
                start, end = self._offsets[place]
                file.seek(start)
                found.append(read_sample(json.loads(file.read(end - start)), self.folder))
        return found

    def run_of(self, places: Sequence[int]) -> RunData:
        """A run of these samples alone, with everything that was judged of them."""
        samples = {sample.id: sample for sample in self.samples(places)}
        outcomes: dict[str, dict[str, Outcome]] = {column.name: {} for column in self.judges}
        for name in samples:
            for judge, outcome in self._outcomes(name).items():
                outcomes[judge][name] = outcome
        return replace(self._whole, samples=samples, outcomes=outcomes)

    def _outcomes(self, sample: str) -> dict[str, Outcome]:
        """Judge -> what it said of a sample: its lines are looked for without reading the others."""
        path = self.folder / "judgments.jsonl"
        current = {(column.name, column.fingerprint) for column in self.judges}
        found: dict[str, Outcome] = {}
        if not path.exists() or not path.stat().st_size:
            return found
        key = b'"sample": ' + json.dumps(sample, ensure_ascii=False).encode("utf-8", "replace")
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
            at = whole.find(key)
            while at >= 0:
                start, end = whole.rfind(b"\n", 0, at) + 1, whole.find(b"\n", at)
                if end < 0:
                    break
                one = read_judgment(json.loads(whole[start:end]))
                if one.sample == sample and (one.judge, one.fingerprint) in current and one.repeat == 0:
                    found[one.judge] = one.outcome
                at = whole.find(key, end)
        return found

    def score(self, place: int, judge: str) -> float | None:
        """A judge's score of the sample at a place; None where it has none."""
        values = self.scores.get(judge)
        return None if values is None or np.isnan(values[place]) else float(values[place])


def state_of(folder: Path) -> tuple[tuple[int, int], ...]:
    """Sizes and times of the files that a run's samples are read from."""
    names = ("run.json", "samples.jsonl", "judgments.jsonl", "scores.parquet")
    stats = [(folder / name).stat() for name in names if (folder / name).exists()]
    if not stats:
        raise DataError("no run here", path=folder)
    return tuple((stat.st_size, stat.st_mtime_ns) for stat in stats)
