"""The WISE suite: 1,000 prompts that are met by knowledge, by the Verified protocol or the legacy one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from benchmarks.official import ASKED, served
from benchmarks.wise.prompts import Item, fact_name, fact_of, read_items
from benchmarks.wise.protocols import PROTOCOLS, Name, Protocol
from benchmarks.wise.totals import count_rows, read_scores, total
from gotr1_eval.core.outcome import Outcome
from gotr1_eval.core.protocols import OfficialMetric, OfficialSummary, Workshop
from gotr1_eval.core.types import Json, Sample
from gotr1_eval.files.jsonl import dump
from gotr1_eval.files.public_data import require_data
from gotr1_eval.files.writing import write_atomically
from gotr1_eval.runs.stated_places import StatedPlaces
from gotr1_eval.settings import Settings as StrictSettings
from reports.run_data import load_run


class Settings(StrictSettings):
    """Which protocol, and the folder with its files; None for the fetched ones.

    Attributes:
        protocol: ``verified`` is the repository's own default, ``legacy`` what papers before April 2026 report.
    """

    data: Path | None = None
    protocol: Name = "verified"


class WiseSuite:
    """See `gotr1_eval.core.protocols.Suite`; the categories of the legacy protocol are named after it."""

    reward_set = None
    images_per_prompt = 1

    def __init__(self, data: Path | None, protocol: Protocol) -> None:
        self._data, self._protocol = data, protocol
        self.name = "wise" if protocol.name == "verified" else f"wise-{protocol.name}"
        self.categories = protocol.categories
        self.column = f"official_wise_{protocol.name}"
        self.official = (OfficialMetric(self.column, f"wise_{protocol.name}", self.categories),)
        self.layout = StatedPlaces(f"WISE {protocol.name}", self._place)

    def _place(self, sample: Sample) -> str | None:
        """``<prompt id>.png``; WISE has one picture a prompt, and further ones go beside it."""
        fact = fact_of(sample, self._protocol)
        index = sample.meta.get("image_index", 0)
        return None if fact is None else f"{fact['prompt_id']}{f'_{index}' if index else ''}.png"

    def prompts(self, category: str) -> Sequence[str]:
        """The category's prompts, in the order of their ids; raises DataError for a file that is no WISE file."""
        return [item.prompt for item in self._items[category]]

    def facts(self, category: str, prompt_index: int) -> Mapping[str, Json]:
        """The prompt's id, explanation and subcategory, under a name of the protocol."""
        return {fact_name(self._protocol): self._items[category][prompt_index].fact()}

    def official_models(self, category: str, file: Callable[[str], str]) -> Mapping[str, Mapping[str, Json]]:
        """The Verified protocol's judge as the authors serve it; none for the legacy one, whose judge is rented."""
        return {ASKED: served("Qwen3.5-35B-A3B", port=8000)} if self._protocol.name == "verified" else {}

    def write_official(self, run: Path) -> list[str]:
        """The score file of the official script and summary.json; nothing where the official judge was not asked."""
        judged = load_run(run)
        column = judged.column(self.column)
        if column is None:
            return []
        outcomes = judged.outcomes[column.name]
        rows = [row for sample in judged.samples.values() if (row := self._row(sample, outcomes.get(sample.id)))]
        rows.sort(key=lambda row: int(str(row["prompt_id"])))
        write_atomically(run / "wise_scores.jsonl", "".join(f"{dump(row)}\n" for row in rows))
        summary = total(count_rows(rows, self._protocol), self._protocol)
        write_atomically(run / "summary.json", json.dumps({"judge": column.name, **summary.json()}, indent=2) + "\n")
        return [column.name, *str(summary).splitlines()]

    def _row(self, sample: Sample, outcome: Outcome | None) -> dict[str, Json] | None:
        """The row of a score file; None for a picture without a score, which the official script drops too."""
        fact = fact_of(sample, self._protocol)
        if fact is None or outcome is None:
            return None
        marks = {one.question: one.verdict for one in outcome.questions}
        values = [marks.get(name) for name in self._protocol.marks]
        if any(value is None for value in values):
            return None
        scaled = [value * self._protocol.highest for value in values if value is not None]
        named: dict[str, Json] = dict(zip(self._protocol.marks, scaled, strict=True))
        return {"prompt_id": fact["prompt_id"], "Subcategory": fact.get("subcategory", ""), **named}

    def sum_up_results(self, path: Path, images_per_prompt: int | None) -> OfficialSummary:
        """The total of a score file of the official script, or of a folder of them, by the official rules.

        Raises:
            DataError: no row of it is of this protocol.
        """
        scores = read_scores(path, self._protocol)
        found = total(scores, self._protocol)
        gaps = list(scores.remarks)
        if found.missing:
            shown = ", ".join(map(str, found.missing[:5]))
            gaps.append(f"{len(found.missing)} of 1,000 ids have no row, such as {shown}: no overall score")
        return OfficialSummary(found.json(), str(found), tuple(gaps))

    @cached_property
    def _items(self) -> Mapping[str, Sequence[Item]]:
        return read_items(require_data("wise", self._data), self._protocol)


def build(settings: Settings, workshop: Workshop) -> WiseSuite:
    """The suite; its files are looked for when a prompt is asked for."""
    return WiseSuite(settings.data, PROTOCOLS[settings.protocol])
