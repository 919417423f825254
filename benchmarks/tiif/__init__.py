"""The TIIF-Bench suite (testmini): 277 prompts of 39 attributes, each short and long, and their yes-no questions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.tiif.asking import FACT, PLACE
from benchmarks.tiif.prompts import Item, read_items
from benchmarks.tiif.texts import read_text_results
from benchmarks.tiif.totals import GROUPS, read_model, tabulate
from gotr1_eval.core.checklist import questions_of, write_questions
from gotr1_eval.core.facts import object_fact
from gotr1_eval.core.outcome import Outcome
from gotr1_eval.core.protocols import OfficialMetric, OfficialSummary, Workshop
from gotr1_eval.core.types import Json, Sample
from gotr1_eval.files.public_data import require_data
from gotr1_eval.files.writing import write_atomically
from gotr1_eval.runs.stated_places import StatedPlaces
from gotr1_eval.settings import Settings as StrictSettings
from reports.run_data import load_run

ATTRIBUTES = tuple(attribute for attributes in GROUPS.values() for attribute in attributes)
COLUMN = "official_tiif"


class Settings(StrictSettings):
    """The folder with the fetched files, None for the fetched ones.

    Attributes:
        model: the folder between attribute and length, in which the official layout keeps a model's pictures.
    """

    data: Path | None = None
    model: str = "model"


class TiifSuite:
    """See `gotr1_eval.core.protocols.Suite`; the categories are the 39 attributes, short prompts before long ones."""

    name = "tiif"
    categories = ATTRIBUTES
    reward_set = None
    images_per_prompt = 1
    official = (OfficialMetric(COLUMN, "tiif", ATTRIBUTES),)

    def __init__(self, data: Path | None, model: str) -> None:
        self._data, self._model = data, model
        self.layout = StatedPlaces("TIIF-Bench", self._place)
        self._lists: dict[str, Sequence[Item]] = {}

    def _place(self, sample: Sample) -> str | None:
        """``<attribute>/<model>/<length>_description/<index>.png``; further pictures of a prompt go beside it."""
        place = _place_of(sample)
        if place is None:
            return None
        image = sample.meta.get("image_index", 0)
        folder = f"{sample.meta['category']}/{self._model}/{place['length']}_description"
        return f"{folder}/{place['index']}{f'_{image}' if image else ''}.png"

    def prompts(self, category: str) -> Sequence[str]:
        """The attribute's short prompts and then its long ones; raises DataError for a file that is none of these."""
        return [item.prompt for item in self._items(category)]

    def facts(self, category: str, prompt_index: int) -> Mapping[str, Json]:
        """The prompt's questions, and its index and length."""
        item = self._items(category)[prompt_index]
        return {FACT: write_questions(item.questions), PLACE: {"index": item.index, "length": item.length}}

    def _items(self, category: str) -> Sequence[Item]:
        if category not in self._lists:
            self._lists[category] = read_items(require_data(self.name, self._data), category)
        return self._lists[category]

    def official_models(self, category: str, file: Callable[[str], str]) -> Mapping[str, Mapping[str, Json]]:
        """None on this machine: the judge is rented or served."""
        return {}

    def write_official(self, run: Path) -> list[str]:
        """The official script's verdict files in ``tiif/``, and summary.json; nothing where its judge was not asked."""
        judged = load_run(run)
        column = judged.column(COLUMN)
        if column is None:
            return []
        written = 0
        for sample in judged.samples.values():
            row = _verdict_row(sample, judged.outcomes[column.name].get(sample.id))
            if row is not None:
                place = _place_of(sample) or {}
                name = f"{place['index']}{f'_{image}' if (image := sample.meta.get('image_index', 0)) else ''}.json"
                path = run / "tiif" / str(sample.meta["category"]) / str(place["length"]) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, json.dumps(row, indent=2, ensure_ascii=False) + "\n")
                written += 1
        if not written:
            return []
        answers, _ = read_model(run / "tiif")
        table = tabulate(answers)
        write_atomically(run / "summary.json", json.dumps({"judge": column.name, **table.json()}, indent=2) + "\n")
        return [column.name, *str(table).splitlines()]

    def sum_up_results(self, path: Path, images_per_prompt: int | None) -> OfficialSummary:
        """The tables of a model's folder of verdict files; of a file of read texts, how far they are off.

        Raises:
            DataError: it is neither.
        """
        if path.is_file():
            found = read_text_results(path)
            return OfficialSummary(found.json(), str(found))
        answers, unread = read_model(path)
        table = tabulate(answers)
        absent = [name for name in ATTRIBUTES if name not in answers]
        gaps = [f"{unread} files cannot be read and are not counted"] if unread else []
        gaps += [f"no verdict on {', '.join(absent)}"] if absent else []
        return OfficialSummary(table.json(), str(table), tuple(gaps))


def _place_of(sample: Sample) -> Mapping[str, Json] | None:
    place = object_fact(sample, PLACE) or {}
    return place if {"index", "length"} <= place.keys() else None


def _verdict_row(sample: Sample, outcome: Outcome | None) -> dict[str, Json] | None:
    """A verdict file's content; None for a picture without all verdicts, which the official script asks for ever."""
    if outcome is None or not outcome.questions or any(one.verdict is None for one in outcome.questions):
        return None
    questions = questions_of(sample, FACT)
    other = {"yes": "no", "no": "yes"}
    said = [
        question.answers[0] if one.verdict else other.get(question.answers[0], "")
        for question, one in zip(questions, outcome.questions, strict=True)
    ]
    return {
        "attribute": str(sample.meta["category"]),
        "questions": [question.text for question in questions],
        "gt_answers": [question.answers[0] for question in questions],
        "model_pred": [*said],
        "model_output": outcome.replies[-1].text if outcome.replies else "",
    }


def build(settings: Settings, workshop: Workshop) -> TiifSuite:
    """The suite; its files are looked for when a prompt is asked for."""
    return TiifSuite(settings.data, settings.model)
