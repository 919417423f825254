"""OneIG-Bench, alignment and text: do pictures answer questions about their prompts, and can their texts be read?"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from benchmarks.checklist.results import checked_pictures
from benchmarks.official import PlainSuite
from benchmarks.oneig.grids import MODEL, OfficialGrids, read_size
from benchmarks.oneig.prompts import ALIGNMENT, OF_LANGUAGE, TEXT, Item, category_of, gold_of, read_items
from benchmarks.oneig.results import read_table, sum_up_model
from benchmarks.oneig.texts import Language, PromptTexts, sum_up
from benchmarks.semantics import Semantics, UndefinedScoreError
from gotr1_eval.core.checklist import macro
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.protocols import OfficialMetric, OfficialSummary, Workshop
from gotr1_eval.core.statistics.intervals import prompt_bootstrap
from gotr1_eval.core.types import Json, Sample
from gotr1_eval.files.public_data import require_data
from gotr1_eval.files.writing import write_atomically
from gotr1_eval.runs.grid_places import GridPlaces
from gotr1_eval.settings import Settings as StrictSettings
from reports.run_data import RunData, load_run

OFFICIAL_ALIGNMENT, OFFICIAL_TEXT = "official_alignment", "official_text"
OFFICIAL_READER = "qwen25-vl-7b"
_PICTURES = 4


class Settings(StrictSettings):
    """Where the files lie, and what a sample's picture is.

    Attributes:
        data: the folder with the files; None for the fetched ones.
        language: of the prompts; the classes of Chinese ones are named ``zh_anime`` and so on.
        grid: columns and rows of the official files of pictures, ``2x2``: then a sample is such a file; None for single
            pictures, four a prompt, which the official layout pastes into 2x2 grids.
        model: the folder of the model's pictures in the official layout.
    """

    data: Path | None = None
    language: Language = "en"
    grid: str | None = None
    model: str | None = None


class OneIgSuite(PlainSuite):
    """See `gotr1_eval.core.protocols.Suite`; the categories are the classes whose metrics are here."""

    reward_set = None

    def __init__(self, settings: Settings) -> None:
        """Raises UsageError for a grid that is none."""
        self._data, self.language = settings.data, settings.language
        self.name = "oneig" if settings.language == "en" else f"oneig-{settings.language}"
        self._class_of = {category_of(name, self.language): name for name in OF_LANGUAGE[self.language]}
        self.categories = tuple(self._class_of)
        self.images_per_prompt = _PICTURES if settings.grid is None else 1
        chosen: dict[str, Json] = (
            {} if settings.grid is None else {"grid": "x".join(map(str, read_size(settings.grid)))}
        )
        asked = tuple(category for category, name in self._class_of.items() if name != "text")
        self.official = (
            OfficialMetric(OFFICIAL_ALIGNMENT, "oneig_alignment", asked, chosen),
            OfficialMetric(OFFICIAL_TEXT, "oneig_text", (category_of("text", self.language),), chosen),
        )
        model = settings.model or MODEL

        def grid_file(sample: Sample) -> str | None:
            place = _place(sample)
            return None if place is None else f"{place[0]}/{model}/{place[1]}.png"

        self.layout = (
            GridPlaces("OneIG-Bench", grid_file) if settings.grid is None else OfficialGrids(_place, settings.model)
        )

    def prompts(self, category: str) -> Sequence[str]:
        """The prompts of a class, in the order of the file; raises DataError for another file."""
        return [item.prompt for item in self._items[self._class_of[category]]]

    def facts(self, category: str, prompt_index: int) -> Mapping[str, Json]:
        """The prompt's questions with what they depend on, or the text to be shown."""
        return self._items[self._class_of[category]][prompt_index].fact

    def official_models(self, category: str, file: Callable[[str], str]) -> Mapping[str, Mapping[str, Json]]:
        """Qwen2.5-VL-7B-Instruct, which reads texts; as the judge of alignment it is named by ``--judge-model``."""
        return {"ocr": {"use": "vlm", "model": file(OFFICIAL_READER)}} if self._class_of[category] == "text" else {}

    def write_official(self, run: Path) -> list[str]:
        """summary.json with alignment and text apart, of those that were judged."""
        judged = load_run(run)
        summary: dict[str, Json] = {}
        lines: list[str] = []
        for column in judged.judges:
            semantics: Semantics = "corrected" if column.name.endswith("corrected]") else "reference"
            if column.factor == OFFICIAL_ALIGNMENT:
                found, told = _alignment(judged, column.name)
            elif column.factor == OFFICIAL_TEXT:
                found, told = _texts(judged, column.name, self.language, semantics)
            else:
                continue
            summary[column.factor] = {"judge": column.name, **found}
            lines += [column.name, told]
        if summary:
            write_atomically(run / "summary.json", json.dumps(summary, indent=2) + "\n")
        return lines

    def sum_up_results(self, path: Path, images_per_prompt: int | None) -> OfficialSummary:
        """The means of each model of a table that the official scripts wrote, a row a prompt.

        Raises:
            DataError: it is another file.
        """
        content: dict[str, Json] = {}
        lines, gaps = [], []
        for scores in read_table(path):
            content[scores.model], told = sum_up_model(scores)
            lines.append(f"{scores.model}: {told}")
            if missing := len(scores.values) - len(scores.known):
                gaps.append(f"{scores.model}: {missing} of {len(scores.values)} prompts have no score")
        return OfficialSummary(content, "\n".join(lines), tuple(gaps))

    @cached_property
    def _items(self) -> Mapping[str, Sequence[Item]]:
        return read_items(require_data("oneig", self._data), self.language)


def _place(sample: Sample) -> tuple[str, str] | None:
    """(class, prompt id) of a sample."""
    for name in (ALIGNMENT, TEXT):
        fact = sample.meta.get(name)
        if isinstance(fact, dict) and isinstance(fact.get("class"), str) and isinstance(fact.get("id"), str):
            return str(fact["class"]), str(fact["id"])
    return None


def _by_prompt(samples: Iterable[Sample]) -> dict[str, list[Sample]]:
    """The samples of each prompt, both in order."""
    found: dict[str, list[Sample]] = {}
    for sample in sorted(samples, key=lambda one: one.id):
        found.setdefault(sample.id.rpartition("/")[0], []).append(sample)
    return found


def _alignment(judged: RunData, name: str) -> tuple[dict[str, Json], str]:
    """The mean over prompts, a prompt's being over its pictures; also by class."""
    outcomes = judged.outcomes[name]
    scores: dict[str, list[tuple[str, list[float]]]] = {}
    for samples in _by_prompt(judged.samples.values()).values():
        values = [outcome.value for one in samples if isinstance(outcome := outcomes.get(one.id), Score)]
        if values:
            scores.setdefault(str(samples[0].meta.get("category")), []).append((samples[0].id, values))
    prompts = [values for each in scores.values() for _, values in each]
    questions = macro(checked_pictures(judged.samples.values(), outcomes))
    overall = _mean(prompts)
    found: dict[str, Json] = {
        **overall, "questions": questions.questions, "unanswered": questions.unanswered,
        "classes": {category: _mean([values for _, values in each]) for category, each in scores.items()},
    }  # fmt: skip
    value = overall["alignment"]
    return found, f"alignment {value:.4f} over {len(prompts)} prompts" if prompts else "no prompt has a score"


def _mean(prompts: Sequence[Sequence[float]]) -> dict[str, Json]:
    means = [[sum(values) / len(values)] for values in prompts]
    value = sum(one for (one,) in means) / len(means) if means else None
    return {"alignment": value, "interval": [*prompt_bootstrap(means)], "prompts": len(means)}


def _texts(judged: RunData, name: str, language: Language, semantics: Semantics) -> tuple[dict[str, Json], str]:
    """ED, CR, WAC and their combination over all pictures that were read."""
    outcomes = judged.outcomes[name]
    prompts = {}
    for key, samples in _by_prompt(judged.samples.values()).items():
        gold = gold_of(samples[0].meta.get(TEXT))
        if gold is not None:
            prompts[key] = PromptTexts(gold, _read([outcomes.get(sample.id) for sample in samples]))
    try:
        total = sum_up(prompts, language, semantics)
    except UndefinedScoreError as error:
        return {"undefined": str(error)}, str(error)
    return (total.json(), str(total)) if total is not None else ({"pictures": 0}, "no picture was read")


def _read(outcomes: Sequence[Outcome | None]) -> list[str] | None:
    """What was read in a prompt's pictures; empty where all are black, None where none has an outcome otherwise."""
    read = [reply.text for outcome in outcomes if isinstance(outcome, Score) for reply in outcome.replies]
    black = any(isinstance(outcome, Unscored) and outcome.why is Why.UNDEFINED for outcome in outcomes)
    return read if read or black else None


def build(settings: Settings, workshop: Workshop) -> OneIgSuite:
    """The suite; its files are looked for when a prompt is asked for."""
    return OneIgSuite(settings)
