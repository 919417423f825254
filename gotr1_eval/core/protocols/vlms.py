"""What a language-vision model must offer, what it is asked, and what it may offer beside that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, runtime_checkable

from PIL import Image

from gotr1_eval.core.outcome import Reply, Unscored
from gotr1_eval.core.types import Json

Answers = Literal["constrained", "free", "choices", "none"]
"""Decoded under a form, as free text, not decoded at all but as probabilities of choices; or nobody is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One question to a language-vision model.

    Attributes:
        prompt: the text of the user's turn; the pictures come before it, or after it where `pictures_last`.
        images: RGB pictures; requests that share a picture object may share the work of encoding it.
        system: system prompt; empty for none.
        answer_prefix: text that the answer is made to begin with; it is not repeated in the reply.
        choices: when given, nothing is decoded; the reply holds the log-probability of each of these texts as the
            continuation of `answer_prefix`.
        first_tokens: when given, nothing is decoded; the reply holds the log-probability that the answer begins with
            the token with which each of these texts begins. A server knows tokens by their text alone, so that a text
            that is no single token is never found there.
        followups: earlier rounds, (the model's answer, our next turn), after the first turn.
        max_tokens: of the answer.
        temperature: 0 decodes greedily.
        seed: of sampling, where the temperature is above 0.
        repeat: how often the same question has been asked before, for test and retest: a repeat is never answered from
            a cache, and samples with the seed that follows so many later.
        form: JSON schema that the answer is made to follow while it is decoded (see `core.forms`); None for free text.

    Raises:
        ValueError: a form together with an answer prefix or choices, which begin the answer outside of it; first tokens
            together with any of these.
    """

    prompt: str
    images: tuple[Image.Image, ...] = ()
    system: str = ""
    answer_prefix: str = ""
    choices: tuple[str, ...] = ()
    followups: tuple[tuple[str, str], ...] = ()
    max_tokens: int = 512
    temperature: float = 0.0
    seed: int = 0
    repeat: int = 0
    form: Mapping[str, Json] | None = None
    first_tokens: tuple[str, ...] = ()
    pictures_last: bool = False

    def __post_init__(self) -> None:
        if self.form is not None and (self.answer_prefix or self.choices):
            raise ValueError("a request has a form, or an answer prefix and choices, not both")
        if self.first_tokens and (self.form is not None or self.answer_prefix or self.choices):
            raise ValueError("a request for first tokens has no form, answer prefix or choices")


@dataclass(frozen=True, slots=True)
class FollowedAnswer:
    """How likely the tokens of a stated answer were, step by step, while the model wrote an answer of its own.

    Attributes:
        reply: what the model wrote, greedily.
        log_probs: one row a token that it wrote; in it the log-probability of each token of the stated answer there.
        ended: the last token that it wrote is one that ends or fills up an answer.
    """

    reply: Reply
    log_probs: tuple[tuple[float, ...], ...]
    ended: bool


@runtime_checkable
class FollowsAnswers(Protocol):
    """What a language-vision model in this process offers beside a `Vlm`: its predictions at every step."""

    def follow(self, requests: Sequence[Request], answer: str, temperature: float) -> list[FollowedAnswer | Unscored]:
        """Write an answer to each request and tell how likely a stated answer's tokens were at each step.

        Args:
            temperature: the logits are divided by it; the answer is written greedily all the same.
        """
        ...


class Vlm(Protocol):
    """A language-vision model, in this process or behind a server."""

    @property
    def name(self) -> str:
        """What the model is called in the names of metrics."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever an answer could: model, revision, precision, picture processing."""
        ...

    @property
    def scores_choices(self) -> bool:
        """Whether requests with choices or first tokens can be answered."""
        ...

    def box_frame(self, size: tuple[int, int]) -> tuple[float, float]:
        """(width, height) of the coordinates in which the model answers boxes for a picture of (width, height) pixels.

        (1000, 1000) for models that count thousandths; the size after the model's own resizing for those that count
        pixels.
        """
        ...

    def reply(self, requests: Sequence[Request]) -> list[Reply | Unscored]:
        """One reply a request, in order; `Unscored(BACKEND)` for those that failed while others did not.

        Raises:
            UsageError: choices, first tokens or a form were given, and the model cannot score or follow them.
        """
        ...


@runtime_checkable
class Constraining(Protocol):
    """What a model that can be held to a request's form offers beside a `Vlm`."""

    def constrains(self) -> bool:
        """Whether answers are made to follow a form; a server is asked once to find out.

        Raises:
            UsageError: the settings want it and it cannot be had, or the servers of a fleet differ.
            BackendError: no server answers.
        """
        ...


@runtime_checkable
class Served(Protocol):
    """What a model behind servers offers beside a `Vlm`."""

    def ready(self) -> None:
        """Return when a server answers; raises UsageError or BackendError with what is wrong."""
        ...

    def traffic(self) -> str:
        """What the servers are doing, for a line of progress."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a model behind servers was asked for, as the servers count it.

    Attributes:
        name: the model's.
        unit: what is counted, in the plural: tokens, pictures.
        asked, answered: of questions, and of answers.
        cost: by the prices that its settings state; None where they state none.
    """

    name: str
    unit: str
    asked: int
    answered: int
    cost: float | None = None

    def __add__(self, other: Spent) -> Spent:
        cost = None if self.cost is None and other.cost is None else (self.cost or 0.0) + (other.cost or 0.0)
        return replace(self, asked=self.asked + other.asked, answered=self.answered + other.answered, cost=cost)

    def __sub__(self, other: Spent) -> Spent:
        cost = None if self.cost is None else self.cost - (other.cost or 0.0)
        return replace(self, asked=self.asked - other.asked, answered=self.answered - other.answered, cost=cost)

    def __bool__(self) -> bool:
        return bool(self.asked or self.answered)

    def __str__(self) -> str:
        """In words."""
        counts = f"{self.asked:,} + {self.answered:,}" if self.asked else f"{self.answered:,}"
        money = "" if self.cost is None else f", {self.cost:.2f} by the stated prices"
        return f"{self.name}: {counts} {self.unit}{money}"


@runtime_checkable
class Metered(Protocol):
    """What a model offers whose servers count what they are asked for."""

    def spent(self) -> Spent:
        """Since it was made."""
        ...


@runtime_checkable
class Asking(Protocol):
    """What a judge or a grounder that asks a language-vision model offers beside its other protocol."""

    @property
    def answers(self) -> Answers:
        """How the model's answers come about; part of the fingerprint, and told in run.json."""
        ...


@runtime_checkable
class HoldsVlm(Protocol):
    """A judge that asks one language-vision model, or a model that stands before another one, such as a cache."""

    @property
    def vlm(self) -> Vlm:
        """The model."""
        ...
