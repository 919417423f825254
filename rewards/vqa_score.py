"""VQAScore (arXiv 2404.01291): how likely is "Yes" as the answer to whether the picture shows the prompt?

The probability of the one token "Yes" among all tokens, not only against "No", at the first step of the answer; nothing
is renormalised. Source: linzhiqiu/t2v_metrics@6ecb74f (Apache-2.0), models/vqascore_models/qwen2vl_model.py; the
published CLIP-FlanT5 is not run here. Question, answer and temperature are settings, and another than t2v_metrics's is
part of the name: each wording is a metric of its own.

With `answer_tokens` above 1 the model writes its own answer of so many tokens at most, and the value is the geometric
mean of the stated answer's tokens, aligned to the *end* of what was written, as t2v_metrics does it. That needs the
predictions of every step, so a model in this process. (`outputs.scores` of transformers are processed: there a
repetition penalty of a checkpoint lowers words of the question. Here it is not applied.)
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import cached_property

from pydantic import Field

from gotr1_eval.core import identifiers
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Outcome, Reply, Score, Unscored, Why
from gotr1_eval.core.protocols import Answers, FollowedAnswer, FollowsAnswers, LooksAt, Request, Vlm, Workshop
from gotr1_eval.core.types import Json, Sample
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings
from rewards.inputs import require_stored_picture

VERSION = 1
QUESTION = 'Does this figure show "{}"? Please answer Yes or No.'
"""t2v_metrics's default for Qwen-VL (Apache-2.0)."""
ANSWER = "Yes"


class Settings(StrictSettings):
    """Which model, and how it is asked.

    Attributes:
        vlm: a model that tells probabilities of tokens: in this process, or a server with `log_probs`.
        question: with ``{}`` where the prompt goes.
        answer: whose probability is the score.
        answer_tokens: that the model writes at most; 1 looks at the first prediction alone and writes nothing.
        temperature: the logits are divided by it.
    """

    vlm: Component
    question: str = QUESTION
    answer: str = Field(ANSWER, min_length=1)
    answer_tokens: int = Field(1, ge=1)
    temperature: float = Field(1.0, gt=0, allow_inf_nan=False)


class VqaScoreJudge:
    """The probability of the answer, in [0, 1]."""

    range = (0.0, 1.0)
    may_not_apply = False
    looks_at: LooksAt = "picture"
    needs = frozenset[str]()
    model_calls = 1
    answers: Answers = "choices"

    def __init__(self, vlm: Vlm, settings: Settings) -> None:
        """Raises UsageError for a question without a place for the prompt, or a model that tells too little."""
        if settings.question.count("{}") != 1:
            raise UsageError(f"vqa_score: question {settings.question!r} needs {{}} once, where the prompt goes")
        self.settings = settings
        self.vlm = vlm
        self.name = f"vqa_score[{', '.join([vlm.name, *_named(settings)])}]"
        if self._writes and not isinstance(vlm, FollowsAnswers):
            raise UsageError(
                f"{self.name}: {vlm.name} tells no predictions of every step, which answer_tokens above 1 and another "
                "temperature need: take a model in this process"
            )
        if not self._writes and not vlm.scores_choices:
            raise UsageError(f"{self.name}: {vlm.name} returns no probabilities of tokens (setting 'log_probs')")

    @property
    def _writes(self) -> bool:
        return self.settings.answer_tokens > 1 or self.settings.temperature != 1

    @cached_property
    def fingerprint(self) -> str:
        """Of the question, the answer and the model."""
        facts: dict[str, Json] = self.settings.model_dump(mode="json", exclude={"vlm"})
        return identifiers.fingerprint({"judge": "vqa_score", "version": VERSION, "vlm": self.vlm.fingerprint, **facts})

    def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        """One outcome a sample; raises what the model does."""
        pictures = [require_stored_picture(sample) for sample in samples]
        requests = [
            Request(
                prompt=self.settings.question.replace("{}", sample.prompt),
                images=(picture.convert("RGB"),),
                max_tokens=self.settings.answer_tokens,
            )
            for sample, picture in zip(samples, pictures, strict=True)
            if not isinstance(picture, Unscored)
        ]
        outcomes = iter(self._ask(requests))
        return [each if isinstance(each, Unscored) else next(outcomes) for each in pictures]

    def _ask(self, requests: Sequence[Request]) -> list[Outcome]:
        answer, vlm = self.settings.answer, self.vlm
        if not requests:
            return []
        if self._writes and isinstance(vlm, FollowsAnswers):
            return [_followed(each) for each in vlm.follow(requests, answer, self.settings.temperature)]
        first = [
            Request(prompt=one.prompt, images=one.images, max_tokens=1, first_tokens=(answer,)) for one in requests
        ]
        return [_first(reply, answer) for reply in vlm.reply(first)]


def _first(reply: Reply | Unscored, answer: str) -> Outcome:
    if isinstance(reply, Unscored):
        return reply
    log_prob = reply.first_tokens.get(answer)
    if log_prob is None:
        least = "" if reply.unlisted is None else f": it is below {math.exp(reply.unlisted):.2g}"
        detail = f"the model does not tell the probability of {answer!r}{least}"
        return Unscored(why=Why.UNREADABLE, detail=detail, replies=(reply,))
    return Score(value=min(math.exp(log_prob), 1.0), replies=(reply,))


def _followed(answer: FollowedAnswer | Unscored) -> Outcome:
    if isinstance(answer, Unscored):
        return answer
    try:
        value = answer_probability(answer.log_probs, ended=answer.ended)
    except ValueError as error:
        return Unscored(why=Why.UNDEFINED, detail=str(error), replies=(answer.reply,))
    return Score(value=min(value, 1.0), replies=(answer.reply,))


def answer_probability(log_probs: Sequence[Sequence[float]], *, ended: bool) -> float:
    """The geometric mean of the probabilities of a stated answer's tokens, in [0, 1].

    The answer's tokens are aligned to the end of what was written, or to the token before it where the last one ends
    the answer. Of an answer longer than what was written the end is left out.

    Args:
        log_probs: a row a written token, in it the log-probability of each token of the stated answer at that step.
        ended: whether the last written token ends the answer.

    Raises:
        ValueError: nothing was written but the end of the answer.
    """
    written = len(log_probs) - ended
    count = min(len(log_probs[0]), written)
    if count < 1:
        raise ValueError("the model wrote nothing but the end of its answer")
    chosen = [log_probs[written - count + place][place] for place in range(count)]
    return math.exp(math.fsum(chosen) / count)


def _named(settings: Settings) -> list[str]:
    """What the name says of the settings: whose wording, and whatever differs from its defaults."""
    own = hashlib.sha256(settings.question.encode()).hexdigest()[:4]
    facts = ["t2v_metrics" if settings.question == QUESTION else f"own question {own}"]
    facts += [f"answer {settings.answer}"] if settings.answer != ANSWER else []
    facts += [f"{settings.answer_tokens} tokens"] if settings.answer_tokens > 1 else []
    facts += [f"temperature {settings.temperature:g}"] if settings.temperature != 1 else []
    return facts


def build(settings: Settings, workshop: Workshop) -> VqaScoreJudge:
    """The judge with its model."""
    return VqaScoreJudge(workshop.vlm(settings.vlm), settings)
