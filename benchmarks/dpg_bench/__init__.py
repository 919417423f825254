"""DPG-Bench: 1,065 long prompts, each with a graph of yes-no questions."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

from benchmarks.dpg_bench.propositions import FACT, Item, read_items
from benchmarks.dpg_bench.results import read_detail, read_scores
from benchmarks.dpg_bench.totals import Answered, File, total
from benchmarks.official import PlainSuite
from benchmarks.semantics import Semantics
from gotr1_eval.core.errors import DataError
from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.protocols import OfficialMetric, OfficialSummary, Workshop
from gotr1_eval.core.statistics.intervals import prompt_bootstrap
from gotr1_eval.core.types import Json, Sample
from gotr1_eval.files.public_data import require_data
from gotr1_eval.files.writing import write_atomically
from gotr1_eval.runs.grid_places import GridPlaces
from gotr1_eval.runs.stated_places import StatedPlaces
from gotr1_eval.settings import Settings as StrictSettings
from reports.run_data import load_run

PROPOSITIONS = "dpg_bench.csv"
CATEGORY = "all"
OFFICIAL, BY_VLM = "official_dpg", "dpg_vlm"


class Settings(StrictSettings):
    """Where the file of propositions lies, and what a sample's picture is.

    Attributes:
        data: the file, or a folder with ``dpg_bench.csv``; None for the fetched one.
        pictures: ``single`` pictures, four a prompt, which the official layout pastes into grids; or ``grid``, files of
            the official layout, each with four pictures of a prompt.
    """

    data: Path | None = None
    pictures: Literal["single", "grid"] = "single"


class DpgSuite(PlainSuite):
    """See `gotr1_eval.core.protocols.Suite`; categories are of questions here, and all prompts are of one."""

    name = "dpg-bench"
    categories = (CATEGORY,)
    reward_set = None

    def __init__(self, settings: Settings) -> None:
        self._data = settings.data
        grid = settings.pictures == "grid"
        self.images_per_prompt = 1 if grid else 4
        chosen: dict[str, Json] = {"grid": True} if grid else {}
        self.official = (
            OfficialMetric(OFFICIAL, "dpg", self.categories, chosen),
            OfficialMetric(BY_VLM, "dpg_vlm", self.categories, chosen),
        )
        self.layout = StatedPlaces("DPG-Bench", _place) if grid else GridPlaces("DPG-Bench", _place)

    def prompts(self, category: str) -> Sequence[str]:
        """The prompts in the order of the file; raises DataError for a file that is not of propositions."""
        return [item.prompt for item in self._items]

    def facts(self, category: str, prompt_index: int) -> Mapping[str, Json]:
        """The prompt's id and its propositions under ``dpg``."""
        return {FACT: self._items[prompt_index].fact()}

    def official_models(self, category: str, file: Callable[[str], str]) -> Mapping[str, Mapping[str, Json]]:
        """mPLUG-large, from ModelScope's folder."""
        return {"yes_no": {"use": "mplug", "model": str(Path(file("mplug-vqa")).parent)}}

    def write_official(self, run: Path) -> list[str]:
        """summary.json with the score and its categories, of every judge of these questions that was asked."""
        judged = load_run(run)
        summaries: dict[str, Json] = {}
        lines = []
        for column in judged.judges:
            if column.factor not in (OFFICIAL, BY_VLM):
                continue
            semantics: Semantics = "corrected" if column.name.endswith("corrected]") else "reference"
            found = total(judged_files(judged.samples.values(), judged.outcomes[column.name]), semantics)
            if found is not None:
                summaries[column.name] = found.json()
                lines += [column.name, *str(found).splitlines()]
        if summaries:
            write_atomically(run / "summary.json", json.dumps(summaries, indent=2) + "\n")
        return lines

    def sum_up_results(self, path: Path, images_per_prompt: int | None) -> OfficialSummary:
        """The score of a results file of the official script; from a ``_detail.txt`` by both semantics.

        Raises:
            DataError: it is neither.
        """
        if path.stem.endswith("_detail"):
            return self._sum_up_detail(path)
        scores = read_scores(path)
        values = [score for _, score in scores]
        low, high = prompt_bootstrap([[value] for value in values])
        mean = sum(values) / len(values)
        told = "" if low is None or high is None else f" [{100 * low:.2f}, {100 * high:.2f}]"
        content: dict[str, Json] = {"dpg": mean, "files": len(values), "interval": [low, high]}
        return OfficialSummary(
            content,
            f"DPG {100 * mean:.2f}{told} over {len(values)} files; categories need the file of answers, _detail.txt",
            self._gaps({name for name, _ in scores}) if self._data is not None else (),
        )

    def _sum_up_detail(self, path: Path) -> OfficialSummary:
        items = {item.id: item for item in self._items}
        content: dict[str, Json] = {}
        texts, gaps, names = [], list[str](), set[str]()
        both: tuple[Semantics, ...] = ("reference", "corrected")
        for semantics in both:
            read = read_detail(path, items, semantics)
            found = total(read.files, semantics)
            if found is None:
                raise DataError("no file of it has a score", path=path)
            content[semantics] = found.json()
            texts.append(f"{semantics}: {found}")
            gaps += [f"{semantics}: {fault}" for fault in read.failed]
            names |= {file.item for file in read.files}
        return OfficialSummary(content, "\n".join(texts), (*gaps, *self._gaps(names)))

    def _gaps(self, names: Collection[str]) -> tuple[str, ...]:
        missing = [item.id for item in self._items if item.id not in names]
        return (f"{len(missing)} of {len(self._items)} prompts have no file, such as {missing[0]}",) if missing else ()

    @cached_property
    def _items(self) -> Sequence[Item]:
        data = require_data(self.name, self._data)
        return read_items(data / PROPOSITIONS if data.is_dir() else data)


def _place(sample: Sample) -> str | None:
    """``<item id>.png``, the one file of a prompt's pictures."""
    fact = sample.meta.get(FACT)
    return f"{fact['item_id']}.png" if isinstance(fact, dict) else None


def answered_file(item: str, outcomes: Sequence[Score]) -> File:
    """A prompt's judged pictures, in order; a grid is one outcome with several."""
    pictures = []
    for outcome in outcomes:
        shown: dict[int, list[Answered]] = {}
        for one in outcome.questions:
            if one.verdict is not None and one.counted is not None:
                shown.setdefault(one.picture, []).append(Answered(one.tag, one.verdict, one.counted))
        pictures += [tuple(shown[place]) for place in sorted(shown)]
    return File(item, tuple(pictures))


def judged_files(samples: Iterable[Sample], outcomes: Mapping[str, Outcome]) -> list[File]:
    """The prompts of which a picture has a score, in order of first appearance, with their pictures by image index."""
    by_item: dict[str, list[tuple[int, Score]]] = {}
    for sample in samples:
        outcome, fact = outcomes.get(sample.id), sample.meta.get(FACT)
        if isinstance(outcome, Score) and isinstance(fact, dict):
            index = sample.meta.get("image_index", 0)
            by_item.setdefault(str(fact["item_id"]), []).append((index if isinstance(index, int) else 0, outcome))
    return [
        answered_file(item, [outcome for _, outcome in sorted(found, key=lambda pair: pair[0])])
        for item, found in by_item.items()
    ]


def build(settings: Settings, workshop: Workshop) -> DpgSuite:
    """The suite; its file is looked for when a prompt is asked for."""
    return DpgSuite(settings)
