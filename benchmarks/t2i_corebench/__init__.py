"""The T2I-CoReBench suite: twelve dimensions of 90 dense prompts, and a checklist of questions to each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.official import ASKED, served
from benchmarks.t2i_corebench.asking import FACT, KEY, key_of
from benchmarks.t2i_corebench.prompts import Item, read_items
from benchmarks.t2i_corebench.reading import OfficialPath, dimension_mean, verdict_of
from benchmarks.t2i_corebench.results import (
    DIMENSIONS,
    Picture,
    read_results,
    summarise,
)
from gotr1_eval.core.checklist import write_questions
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Outcome
from gotr1_eval.core.protocols import OfficialMetric, OfficialSummary, Workshop
from gotr1_eval.core.types import Json, Sample
from gotr1_eval.files.public_data import require_data
from gotr1_eval.files.writing import write_atomically
from gotr1_eval.runs.stated_places import StatedPlaces
from gotr1_eval.settings import Settings as StrictSettings
from reports.run_data import load_run


class Settings(StrictSettings):
    """The folder with the fetched files (None for the fetched ones), and how the judge is asked.

    Attributes:
        judge: ``vllm`` as the open judges are asked, ``gemini`` as Gemini 2.5 Flash is.
    """

    data: Path | None = None
    judge: OfficialPath = "vllm"


class CoReBenchSuite:
    """See `gotr1_eval.core.protocols.Suite`; the categories are the twelve dimensions."""

    name = "t2i-corebench"
    categories = DIMENSIONS
    reward_set = None
    images_per_prompt = 4

    def __init__(self, data: Path | None, judge: OfficialPath) -> None:
        self._data, self._judge = data, judge
        metric = "t2i_corebench" if judge == "vllm" else f"t2i_corebench_{judge}"
        self.column = f"official_{metric}"
        self.official = (OfficialMetric(self.column, metric, DIMENSIONS),)
        self.layout = StatedPlaces("T2I-CoReBench", _place)
        self._lists: dict[str, Sequence[Item]] = {}

    def prompts(self, category: str) -> Sequence[str]:
        """The dimension's prompts, in the file's order; raises DataError for a file that is none of T2I-CoReBench."""
        return [item.prompt for item in self._items(category)]

    def facts(self, category: str, prompt_index: int) -> Mapping[str, Json]:
        """The prompt's key and its questions."""
        item = self._items(category)[prompt_index]
        return {KEY: item.key, FACT: write_questions(item.questions)}

    def _items(self, category: str) -> Sequence[Item]:
        if category not in self._lists:
            self._lists[category] = read_items(require_data(self.name, self._data) / f"{category}.json")
        return self._lists[category]

    def official_models(self, category: str, file: Callable[[str], str]) -> Mapping[str, Mapping[str, Json]]:
        """The open judge that does not think, served here; none for Gemini, which is rented."""
        return {ASKED: served("Qwen/Qwen2.5-VL-72B-Instruct", port=8000)} if self._judge == "vllm" else {}

    def write_official(self, run: Path) -> list[str]:
        """A result file of the official script for each dimension, and summary.json over them."""
        judged = load_run(run)
        column = judged.column(self.column)
        if column is None:
            return []
        outcomes = judged.outcomes[column.name]
        pictures: list[Picture] = []
        for name in DIMENSIONS:
            samples = [one for one in judged.samples.values() if judged.category(one) == name and key_of(one)]
            found = {one.id: _picture(one, outcomes[one.id]) for one in samples if one.id in outcomes}
            if found:
                rows = {
                    found[one.id].id: _entry(one, outcomes[one.id], found[one.id]) for one in samples if one.id in found
                }
                mean = dimension_mean({picture.id: picture.score for picture in found.values()})
                text = json.dumps({**rows, "mean_score": _or_blank(mean)}, indent=2, ensure_ascii=False)
                write_atomically(run / f"{name}-judged.json", text + "\n")
                pictures += found.values()
        if not pictures:
            return []
        summary = summarise(pictures)
        write_atomically(run / "summary.json", json.dumps({"judge": column.name, **summary.json()}, indent=2) + "\n")
        return [column.name, *str(summary).splitlines()]

    def sum_up_results(self, path: Path, images_per_prompt: int | None) -> OfficialSummary:
        """The summary of a result file of the official script, or of a folder with one a dimension.

        Verdicts on other prompts or questions than the benchmark's, where that is at hand, are left out.

        Raises:
            DataError: it is no such file.
        """
        pictures, left_out = read_results(path, self._known())
        summary = summarise(pictures)
        gaps = [f"{left_out} verdicts are on other prompts or questions and left out"] if left_out else []
        if absent := [name for name in DIMENSIONS if name not in summary.dimensions]:
            gaps.append(f"no picture of {', '.join(absent)}: no overall score")
        return OfficialSummary(summary.json(), str(summary), tuple(gaps))

    def _known(self) -> dict[str, tuple[str, Sequence[str]]] | None:
        """Prompt key -> (prompt, questions); None where the benchmark's files are not on this machine."""
        try:
            items = [item for name in DIMENSIONS for item in self._items(name)]
        except UsageError:
            return None
        return {item.key: (item.prompt, [question.text for question in item.questions]) for item in items}


def _place(sample: Sample) -> str | None:
    """``<dimension>/<key>-<picture>.png``."""
    return None if key_of(sample) is None else f"{sample.meta['category']}/{_picture_name(sample)}.png"


def _picture_name(sample: Sample) -> str:
    return f"{key_of(sample)}-{sample.meta.get('image_index', 0)}"


def _picture(sample: Sample, outcome: Outcome) -> Picture:
    """The verdicts of a judged sample."""
    read = [one.verdict for one in outcome.questions]
    verdicts = tuple(None if verdict is None else verdict_of(verdict) for verdict in read)
    return Picture(id=_picture_name(sample), verdicts=verdicts)


def _entry(sample: Sample, outcome: Outcome, picture: Picture) -> dict[str, Json]:
    """A picture of a result file: its prompt, its checklist with the scores, and the mean of these."""
    pairs = zip(outcome.questions, picture.verdicts, strict=True)
    rows: list[Json] = [{"question": one.text, "tags": [one.tag], "score": _or_blank(score)} for one, score in pairs]
    return {"Prompt": sample.prompt, "Checklist": rows, "image_score": _or_blank(picture.score)}


def _or_blank(number: float | None) -> Json:
    """The official files write an empty text where there is no number."""
    return "" if number is None else number


def build(settings: Settings, workshop: Workshop) -> CoReBenchSuite:
    """The suite; its files are looked for when a prompt is asked for."""
    return CoReBenchSuite(settings.data, settings.judge)
