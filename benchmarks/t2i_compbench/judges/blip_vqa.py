"""T2I-CompBench's attribute binding: the product of BLIP-VQA's "yes" over the prompt's noun phrases."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from benchmarks.detection_source import Pictures, open_all
from benchmarks.semantics import Semantics, UndefinedScoreError, metric_name, official_prompt, undefined, within
from benchmarks.t2i_compbench.attributes import attribute_questions, attribute_score
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.outcome import Outcome, Score, Unscored
from gotr1_eval.core.perception import Parse, Phrases, YesNo
from gotr1_eval.core.protocols import LooksAt, Workshop
from gotr1_eval.core.types import Sample
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings

VERSION = 1
CATEGORIES = ("color", "shape", "texture")


class Settings(StrictSettings):
    """The model that answers, the source of the noun phrases, and whose semantics."""

    yes_no: Component
    phrases: Component = Field(default={"use": "builtin"})
    semantics: Semantics = "reference"


class BlipVqaJudge:
    """Asks about each noun phrase of a picture's prompt; parts are the answers and the number of questions."""

    range = (0.0, 1.0)
    may_not_apply = True
    looks_at: LooksAt = "picture"
    needs = frozenset({"category"})
    model_calls = 0

    def __init__(self, yes_no: YesNo, phrases: Phrases, semantics: Semantics) -> None:
        self.yes_no = yes_no
        self.phrases = phrases
        self.semantics: Semantics = semantics
        self.name = metric_name("attribute", [yes_no.name, phrases.name], semantics)

    @property
    def fingerprint(self) -> str:
        """Of the models' and the settings."""
        parts = [self.yes_no.fingerprint, self.phrases.fingerprint]
        return fingerprint({"judge": self.name, "version": VERSION, "of": [*parts]})

    def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        """One outcome a sample; `NOT_APPLICABLE` outside color, shape and texture."""
        return within(CATEGORIES, samples, self._judge)

    def _judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        parses = self.phrases.parse([official_prompt(sample.prompt, self.semantics) for sample in samples])
        return attribute_outcomes(self.yes_no, open_all(samples), parses, self.semantics)


def attribute_outcomes(
    yes_no: YesNo, pictures: Pictures, parses: Sequence[Parse], semantics: Semantics
) -> list[Outcome]:
    """The attribute score of each picture; all questions go to the model in one call."""
    outcomes: list[Outcome | None] = []
    asked: list[tuple[str, ...]] = []
    for picture, parse in zip(pictures, parses, strict=True):
        questions = picture if isinstance(picture, Unscored) else _questions(parse, semantics)
        outcomes.append(questions if isinstance(questions, Unscored) else None)
        if not isinstance(questions, Unscored):
            asked.append(questions)
    open_pictures = [picture for picture, out in zip(pictures, outcomes, strict=True) if out is None]
    images = [picture for picture in open_pictures if not isinstance(picture, Unscored)]
    answers = iter(zip(asked, yes_no.probability(images, asked), strict=True))
    return [_score(*next(answers), semantics) if outcome is None else outcome for outcome in outcomes]


def _questions(parse: Parse, semantics: Semantics) -> tuple[str, ...] | Unscored:
    try:
        return attribute_questions(parse.noun_chunks, semantics)
    except UndefinedScoreError as error:
        return undefined(error)


def _score(questions: Sequence[str], answers: Sequence[float], semantics: Semantics) -> Score:
    parts = dict(zip(questions, answers, strict=True))
    note = "" if questions else "no noun phrase in the prompt, which the official script scores 1"
    value = attribute_score(answers, semantics)
    return Score(value=value, parts={**parts, "questions": float(len(questions))}, note=note)


def build(settings: Settings, workshop: Workshop) -> BlipVqaJudge:
    """The judge; its models load when first asked."""
    return BlipVqaJudge(workshop.yes_no(settings.yes_no), workshop.phrases(settings.phrases), settings.semantics)
