"""LongText-Bench: how much of a long text, English or Chinese, can be read in the picture?"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path

from benchmarks.longtext.layout import LongTextLayout
from benchmarks.longtext.prompts import FACT, Prompt, read_fact, read_prompts
from benchmarks.longtext.results import read_results
from benchmarks.longtext.texts import Language, clean, text_accuracy
from benchmarks.official import PlainSuite
from benchmarks.rendered_text import Match, micro_interval
from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.protocols import OfficialMetric, OfficialSummary, Workshop
from gotr1_eval.core.types import Json, Sample
from gotr1_eval.files.jsonl import dump
from gotr1_eval.files.public_data import require_data
from gotr1_eval.files.writing import write_atomically
from gotr1_eval.settings import Settings as StrictSettings
from reports.run_data import load_run

LANGUAGES: tuple[Language, ...] = ("en", "zh")
OFFICIAL = "official_longtext"
OFFICIAL_READER = "qwen25-vl-7b"


class Settings(StrictSettings):
    """The folder with the files of prompts; None for the fetched ones."""

    data: Path | None = None


class LongTextSuite(PlainSuite):
    """See `gotr1_eval.core.protocols.Suite`; the categories are the languages."""

    name = "longtext"
    categories = LANGUAGES
    reward_set = None
    images_per_prompt = 4
    official = (OfficialMetric(OFFICIAL, "longtext", LANGUAGES),)

    def __init__(self, data: Path | None) -> None:
        self._data = data
        self.layout = LongTextLayout(_identity)

    def prompts(self, category: str) -> Sequence[str]:
        """The prompts of a language, in the order of its file; raises DataError for another file."""
        return [prompt.prompt for prompt in self._prompts[category]()]

    def facts(self, category: str, prompt_index: int) -> Mapping[str, Json]:
        """The prompt's language, id and texts under ``longtext``."""
        return {FACT: self._prompts[category]()[prompt_index].fact()}

    def official_models(self, category: str, file: Callable[[str], str]) -> Mapping[str, Mapping[str, Json]]:
        """Qwen2.5-VL-7B-Instruct, which the scripts ask to read."""
        return {"ocr": {"use": "vlm", "model": file(OFFICIAL_READER)}}

    def write_official(self, run: Path) -> list[str]:
        """A file of results a language, as the official script writes it, and summary.json."""
        judged = load_run(run)
        column = judged.column(OFFICIAL)
        if column is None:
            return []
        outcomes = judged.outcomes[column.name]
        summary: dict[str, Json] = {"judge": column.name}
        lines = [column.name]
        for language in LANGUAGES:
            scored = _scored(judged.samples.values(), outcomes, language)
            if not scored:
                continue
            rows = "".join(f"{dump(_row(sample, prompt, outcome))}\n" for sample, prompt, outcome in scored)
            write_atomically(run / f"results_{language}.jsonl", rows)
            by_prompt: dict[int, list[Match]] = {}
            for _, prompt, outcome in scored:
                by_prompt.setdefault(prompt.prompt_id, []).append(_match(outcome))
            summary[language], told = _sum_up(list(by_prompt.values()))
            lines.append(f"{language}: {told}")
        write_atomically(run / "summary.json", json.dumps(summary, indent=2) + "\n")
        return lines

    def sum_up_results(self, path: Path, images_per_prompt: int | None) -> OfficialSummary:
        """The accuracy of a results.jsonl of the official scripts; its rows name no prompt, so without an interval.

        Raises:
            DataError: it is another file.
        """
        read = read_results(path)
        content, told = _sum_up([read.pictures])
        return OfficialSummary({read.language: content}, f"{read.language}: {told}", read.remarks)

    @cached_property
    def _prompts(self) -> Mapping[str, Callable[[], list[Prompt]]]:
        def reader(language: Language) -> Callable[[], list[Prompt]]:
            return cache(lambda: read_prompts(require_data(self.name, self._data), language))

        return {language: reader(language) for language in LANGUAGES}


def _identity(sample: Sample) -> tuple[str, int] | None:
    prompt = read_fact(sample.meta.get(FACT))
    return None if prompt is None else (prompt.language, prompt.prompt_id)


def _scored(
    samples: Iterable[Sample], outcomes: Mapping[str, Outcome], language: Language
) -> list[tuple[Sample, Prompt, Score]]:
    found = []
    for sample in samples:
        prompt, outcome = read_fact(sample.meta.get(FACT)), outcomes.get(sample.id)
        if prompt is not None and prompt.language == language and isinstance(outcome, Score):
            found.append((sample, prompt, outcome))
    return sorted(found, key=lambda one: (one[1].prompt_id, str(one[0].meta.get("image_index", 0))))


def _row(sample: Sample, prompt: Prompt, outcome: Score) -> dict[str, Json]:
    """A row as the official script writes it before its summary."""
    read = clean("".join(reply.text for reply in outcome.replies), "reference")
    return {
        "image": str(sample.image or ""), "prompt": sample.prompt, "ocr_gt": list(prompt.text), "ocr_results": read,
    }  # fmt: skip


def _match(outcome: Score) -> Match:
    return Match(int(outcome.parts["matched"]), int(outcome.parts["wanted"]), ())


def _sum_up(by_prompt: Sequence[Sequence[Match]]) -> tuple[Json, str]:
    """The official number of a language with its interval by prompt, as JSON and in words; of one group without."""
    total = text_accuracy([one for group in by_prompt for one in group])
    low, high = micro_interval(by_prompt)
    within = "" if low is None or high is None else f" [{low:.4f}, {high:.4f}]"
    content: Json = {
        "text_accuracy": total.value, "interval": [low, high], "matched": total.matched, "wanted": total.wanted,
        "pictures": total.pictures, **({"prompts": len(by_prompt)} if len(by_prompt) > 1 else {}),
    }  # fmt: skip
    told = f"{total.matched} of {total.wanted} words or characters in {total.pictures} pictures"
    return content, f"text accuracy {total.value:.4f}{within} ({told})"


def build(settings: Settings, workshop: Workshop) -> LongTextSuite:
    """The suite; its files are looked for when a prompt is asked for."""
    return LongTextSuite(settings.data)
