"""Judges that ask a language-vision model for scores on a rubric, in three ways, each a judge of its own name:

generate    the model writes a JSON object with the scores, which is read (the paper's way)
expected    the expectation over the allowed scores, from the model's probabilities after a fixed beginning of the
            answer; nothing is decoded, and the value is continuous, so that a GRPO group rarely ties
sampled     the mean of several answers at temperature 1, with their spread
"""

from __future__ import annotations

import math
import statistics
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from PIL import Image
from pydantic import Field

from gotr1_eval.core import identifiers
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.forms import FORMS_VERSION, Form, constrains, marks_form, read_form
from gotr1_eval.core.outcome import Outcome, Reply, Score, Unscored, Why
from gotr1_eval.core.protocols import Answers, LooksAt, Request, Vlm
from gotr1_eval.core.reading import READER_VERSION, read_scores
from gotr1_eval.core.types import Json, Sample
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings
from rewards.asking import Answer, ask_all
from rewards.prompt_file import PromptFile

Mode = Literal["generate", "expected", "sampled"]
LEAST_INSIDE = 0.5
"""Probability that must lie on the allowed scores; below it the model wanted to say something else."""


class RubricSettings(StrictSettings):
    """What every rubric judge can be told.

    Attributes:
        vlm: the model that is asked.
        mode: how; see the module.
        samples: answers per question in the mode "sampled".
        prompt_file: the user's own prompt text, with the same markers.
    """

    vlm: Component
    mode: Mode = "generate"
    samples: int = Field(4, ge=2)
    prompt_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Material:
    """What a sample puts into the question: foreign texts by marker, and pictures."""

    texts: Mapping[str, str]
    images: tuple[Image.Image, ...] = ()


class RubricJudge(ABC):
    """The base of the rubric judges; a subclass says what it asks about.

    Attributes:
        label: what the judge is called.
        version: counted up whenever a score could change.
        names: the scores that are asked for.
        lowest, highest: the rubric's scale.
        markers: of the prompt file, besides ``answer``.
        marks: those that an answer under a form may give; every whole number of the scale unless the question asks for
            finer ones.
        reasons: keys of free text that the answer holds before the scores.
    """

    label: str
    version: int
    names: tuple[str, ...]
    lowest: int
    highest: int
    markers: frozenset[str]
    marks: tuple[float, ...] = ()
    reasons: tuple[str, ...] = ()
    range = (0.0, 1.0)
    may_not_apply = False
    looks_at: LooksAt
    needs = frozenset[str]()

    def __init__(self, vlm: Vlm, settings: RubricSettings, prompt: str) -> None:
        if settings.mode == "expected" and not vlm.scores_choices:
            raise UsageError(
                f"judge {self.label}: mode 'expected' needs log-probabilities, which {vlm.name} does not return"
            )
        self.vlm = vlm
        self.mode = settings.mode
        self.samples = settings.samples
        self.prompt = PromptFile(prompt, settings.prompt_file, self.markers | {"answer"})
        mode = {"generate": "", "expected": ",expected", "sampled": f",mean of {self.samples}"}[self.mode]
        own = f",own prompt {self.prompt.digest}" if settings.prompt_file else ""
        self.name = f"{self.label}[{vlm.name}{mode}{own}]"
        self._facts: dict[str, Json] = {
            "judge": self.label,
            "version": self.version,
            "prompt": self.prompt.text,
            "names": list(self.names),
            "mode": mode,
            "vlm": vlm.fingerprint,
        }

    @cached_property
    def answers(self) -> Answers:
        """Under a form wherever the model can be held to one."""
        if self.mode == "expected":
            return "choices"
        return "constrained" if constrains(self.vlm) else "free"

    @cached_property
    def fingerprint(self) -> str:
        """Of everything that a score depends on; a server may have to be asked whether it holds answers to a form."""
        reader = {"forms": FORMS_VERSION} if self.answers == "constrained" else {"reader": READER_VERSION}
        return identifiers.fingerprint({**self._facts, **reader})

    @cached_property
    def form(self) -> Form | None:
        """What an answer is held to; None where it is free text."""
        if self.answers != "constrained":
            return None
        return marks_form(self.names, self.marks or range(self.lowest, self.highest + 1), self.reasons)

    @property
    def model_calls(self) -> int:
        """Questions a sample."""
        return {"generate": 1, "expected": len(self.names), "sampled": self.samples}[self.mode]

    @abstractmethod
    def material(self, sample: Sample) -> Material | Score | Unscored:
        """What to ask about, or the outcome when the sample does not have it."""

    def value(self, scores: Mapping[str, float]) -> float:
        """The judge's value in [0, 1]: the mean of the scores over the highest."""
        return sum(scores.values()) / len(scores) / self.highest

    def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        """One outcome a sample; parts hold the scores on the rubric's own scale."""
        materials = [self.material(sample) for sample in samples]
        asked = [material for material in materials if isinstance(material, Material)]
        answer = {"generate": self._generate, "expected": self._expected, "sampled": self._sampled}[self.mode]
        outcomes = iter(answer(asked))
        return [next(outcomes) if isinstance(material, Material) else material for material in materials]

    def _generate(self, materials: Sequence[Material]) -> list[Outcome]:
        requests = [self._question(material) for material in materials]
        return [self._outcome(answer) for answer in ask_all(self.vlm, requests, self._read)]

    def _sampled(self, materials: Sequence[Material]) -> list[Outcome]:
        requests = [
            replace(self._question(material), temperature=1.0, seed=seed)
            for material in materials
            for seed in range(self.samples)
        ]
        single = [self._outcome(answer) for answer in ask_all(self.vlm, requests, self._read)]
        groups = [single[start : start + self.samples] for start in range(0, len(single), self.samples)]
        return [_mean_of(group) for group in groups]

    def _expected(self, materials: Sequence[Material]) -> list[Outcome]:
        choices = tuple(str(score) for score in range(self.lowest, self.highest + 1))
        requests = [
            replace(self._request(material, _only(name)), answer_prefix=f'{{"{name}": ', choices=choices)
            for material in materials
            for name in self.names
        ]
        replies = self.vlm.reply(requests) if requests else []
        width = len(self.names)
        return [self._expectation(replies[start : start + width]) for start in range(0, len(replies), width)]

    def _expectation(self, replies: Sequence[Reply | Unscored]) -> Outcome:
        scores: dict[str, float] = {}
        inside: dict[str, float] = {}
        kept: list[Reply] = []
        for name, reply in zip(self.names, replies, strict=True):
            if isinstance(reply, Unscored):
                return replace(reply, replies=(*kept, *reply.replies))
            kept.append(reply)
            chances = [math.exp(log_prob) for log_prob in reply.choice_log_probs]
            inside[name] = math.fsum(chances)
            if inside[name] < LEAST_INSIDE:
                detail = f"only {inside[name]:.0%} of the probability for {name!r} lies on the allowed scores"
                return Unscored(why=Why.UNREADABLE, detail=detail, replies=tuple(kept))
            weighted = math.fsum(chance * (self.lowest + place) for place, chance in enumerate(chances))
            scores[name] = min(max(weighted / inside[name], self.lowest), self.highest)
        parts = scores | {f"inside {name}": min(share, 1.0) for name, share in inside.items()}
        return Score(value=self.value(scores), parts=parts, replies=tuple(kept))

    def _request(self, material: Material, answer: str) -> Request:
        return Request(prompt=self.prompt.fill({**material.texts, "answer": answer}), images=material.images)

    def _question(self, material: Material) -> Request:
        """The question for all scores at once."""
        return replace(self._request(material, self._look(self.names)), form=self.form)

    def _look(self, names: Sequence[str]) -> str:
        """How the answer is to look."""
        fields = [f'"{reason}": "..."' for reason in self.reasons]
        fields += [f'"{name}": <{self.lowest} to {self.highest}>' for name in names]
        return f"Answer with one JSON object and nothing after it: {{{', '.join(fields)}}}"

    def _read(self, index: int, reply: Reply) -> dict[str, float]:
        if self.form is not None:
            answer = read_form(reply.text, self.form, finish=reply.finish)
            return {name: float(answer[name]) for name in self.names}
        return read_scores(reply.text, names=self.names, low=self.lowest, high=self.highest, finish=reply.finish)

    def _outcome(self, answer: Answer[dict[str, float]] | Unscored) -> Outcome:
        if isinstance(answer, Unscored):
            return answer
        return Score(value=self.value(answer.value), parts=answer.value, replies=answer.replies)


def _only(name: str) -> str:
    return f'Answer with one JSON object that holds the score for {name} alone: {{"{name}": <score>}}'


def _mean_of(outcomes: Sequence[Outcome]) -> Outcome:
    """The mean of the readable answers with their spread; unscored when fewer than half could be read.

    When the model failed on any of them there is no verdict yet: a resume asks again.
    """
    failures = [outcome for outcome in outcomes if isinstance(outcome, Unscored) and outcome.why is Why.BACKEND]
    replies = tuple(reply for outcome in outcomes for reply in outcome.replies)
    if failures:
        return replace(failures[0], replies=replies)
    scored = [outcome for outcome in outcomes if isinstance(outcome, Score)]
    if 2 * len(scored) < len(outcomes) or len(scored) < 2:
        failed = next(outcome for outcome in outcomes if isinstance(outcome, Unscored))
        return replace(failed, replies=replies)
    parts = {name: statistics.fmean(score.parts[name] for score in scored) for name in scored[0].parts}
    values = [score.value for score in scored]
    parts |= {"spread": statistics.stdev(values), "answers": float(len(scored))}
    return Score(value=statistics.fmean(values), parts=parts, replies=replies)
