"""The UniGenBench++ suite: 600 prompts, short and long, English and Chinese, and which of their test points are met."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.official import ASKED, served
from benchmarks.unigenbench.asking import FACT, OfficialPath, fact_of
from benchmarks.unigenbench.prompts import LISTS, Item, language_of, read_items
from benchmarks.unigenbench.results import Picture, add_up, read_results, result_json, results_csv
from gotr1_eval.core.outcome import Outcome
from gotr1_eval.core.protocols import OfficialMetric, OfficialSummary, Workshop
from gotr1_eval.core.types import Json, Sample
from gotr1_eval.files.public_data import require_data
from gotr1_eval.files.writing import write_atomically
from gotr1_eval.runs.stated_places import StatedPlaces
from gotr1_eval.settings import Settings as StrictSettings
from reports.run_data import RunData, load_run


class Settings(StrictSettings):
    """The folder with the fetched files (None for the fetched ones), and how the judge is asked.

    Attributes:
        judge: ``vllm`` as the authors' open judges are asked, ``gemini`` as Gemini 2.5 Pro is.
    """

    data: Path | None = None
    judge: OfficialPath = "vllm"


class UniGenBenchSuite:
    """See `gotr1_eval.core.protocols.Suite`; the categories are the four lists of prompts."""

    name = "unigenbench"
    categories = LISTS
    reward_set = None
    images_per_prompt = 4

    def __init__(self, data: Path | None, judge: OfficialPath) -> None:
        self._data, self._judge = data, judge
        metric = "unigenbench" if judge == "vllm" else f"unigenbench_{judge}"
        self.column = f"official_{metric}"
        self.official = (OfficialMetric(self.column, metric, LISTS),)
        self.layout = StatedPlaces("UniGenBench++", _place)
        self._lists: dict[str, Sequence[Item]] = {}

    def prompts(self, category: str) -> Sequence[str]:
        """The list's prompts, in the file's order; raises DataError for a file that is none of UniGenBench++."""
        return [item.prompt for item in self._items(category)]

    def facts(self, category: str, prompt_index: int) -> Mapping[str, Json]:
        """The prompt's index, language and test points; and whether its row had to be mended."""
        item = self._items(category)[prompt_index]
        fact: dict[str, Json] = {
            "index": item.index,
            "language": language_of(category),
            "kinds": [*item.kinds],
            "descriptions": [*item.descriptions],
        }
        return {FACT: fact | ({"mended": True} if item.mended else {})}

    def _items(self, category: str) -> Sequence[Item]:
        if category not in self._lists:
            folder = require_data(self.name, self._data)
            self._lists[category] = read_items(folder / f"test_prompts_{category}.csv", category)
        return self._lists[category]

    def official_models(self, category: str, file: Callable[[str], str]) -> Mapping[str, Mapping[str, Json]]:
        """The open judge as the authors serve it; none for Gemini, which is rented."""
        return {ASKED: served("QwenVL", port=8080)} if self._judge == "vllm" else {}

    def write_official(self, run: Path) -> list[str]:
        """For each list the result file of the official script and its sums; nothing where its judge was not asked."""
        judged = load_run(run)
        column = judged.column(self.column)
        if column is None:
            return []
        lines = [column.name]
        for name in LISTS:
            samples = [one for one in judged.samples.values() if judged.category(one) == name and fact_of(one)]
            if samples:
                summary = add_up(_write_list(judged, column.name, samples, run / f"unigenbench_{name}.csv"))
                content = json.dumps({"judge": column.name, **summary.json()}, indent=4, ensure_ascii=False)
                write_atomically(run / f"unigenbench_{name}.json", content + "\n")
                lines += [f"{name}:", *str(summary).splitlines()]
        return lines

    def sum_up_results(self, path: Path, images_per_prompt: int | None) -> OfficialSummary:
        """The sums of a result file of the official script; a picture is expected as often as `images_per_prompt` says.

        Raises:
            DataError: it is no such file.
        """
        pictures = read_results(path)
        summary = add_up(pictures)
        counts: dict[str, int] = {}
        for picture in pictures:
            counts[picture.index] = counts.get(picture.index, 0) + 1
        wanted = images_per_prompt or self.images_per_prompt
        gaps = [f"{len(counts)} of 600 prompts have a row"] if len(counts) != 600 else []
        if odd := [index for index, count in counts.items() if count != wanted]:
            gaps.append(f"{len(odd)} prompts have not {wanted} pictures, such as {odd[0]} ({counts[odd[0]]})")
        return OfficialSummary(summary.json(), str(summary), tuple(gaps))


def _place(sample: Sample) -> str | None:
    """``<list>/<index>_<picture>.png``."""
    fact = fact_of(sample)
    return (
        None if fact is None else f"{sample.meta['category']}/{fact['index']}_{sample.meta.get('image_index', 0)}.png"
    )


def _write_list(judged: RunData, judge: str, samples: Sequence[Sample], path: Path) -> list[Picture]:
    """Write the rows of a list's samples as the official script does, and return their verdicts."""
    rows, pictures = [], []
    for sample in samples:
        fact = fact_of(sample) or {}
        verdicts, said = _verdicts(judged.outcomes[judge].get(sample.id))
        pictures.append(Picture(index=str(fact["index"]), kinds=tuple(fact["kinds"]), verdicts=verdicts))
        rows.append(
            {
                "index": fact["index"],
                "prompt": sample.prompt,
                "testpoint": str([*fact["kinds"]]),
                "output": said,
                "result_json": result_json(sample.prompt, fact["kinds"], verdicts),
                "img_path": sample.image,
            }
        )
    write_atomically(path, results_csv(rows))
    return pictures


def _verdicts(outcome: Outcome | None) -> tuple[tuple[bool, ...] | None, str]:
    """(the verdicts, None where one is missing; the last reply)."""
    if outcome is None:
        return None, ""
    said = outcome.replies[-1].text if outcome.replies else ""
    found = [one.verdict for one in outcome.questions]
    whole = bool(found) and all(verdict is not None for verdict in found)
    return (tuple(verdict == 1 for verdict in found) if whole else None), said


def build(settings: Settings, workshop: Workshop) -> UniGenBenchSuite:
    """The suite; its files are looked for when a prompt is asked for."""
    return UniGenBenchSuite(settings.data, settings.judge)
