"""What a judge, a detector and a generator must offer. Implementations inherit nothing from here.

Everything works on batches: as many answers as inputs, in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gotr1_eval.core.outcome import Outcome, Reply, Unscored
from gotr1_eval.core.perception import Depth, Ocr, Phrases, YesNo
from gotr1_eval.core.types import AskedCalls, Detection, Json, Sample

Answers = Literal["constrained", "free", "choices", "none"]
"""Decoded under a form, as free text, not decoded at all but as probabilities of choices; or nobody is asked."""


Sees = Literal["upright", "stored"]
"""A picture upright and in RGB, as all judges see it; or as its file stores it: in its own mode, and not turned."""
LooksAt = Literal["prose", "plan", "grounding", "picture"]
"""What a judge reads of a sample: the chain's words, the chain's boxes, the picture against the boxes, or the picture
against the prompt."""
READS_CHAIN: frozenset[LooksAt | None] = frozenset({"prose", "plan", "grounding"})
READS_PICTURE: frozenset[LooksAt | None] = frozenset({"grounding", "picture"})
"""What a judge looks at that says nothing about a sample without a chain, or without a picture."""


class Judge(Protocol):
    """Answers a batch of samples with scores, or says why it cannot."""

    @property
    def name(self) -> str:
        """What the number is called; states detector, model and semantics (``reasoning_image[shapes]``)."""
        ...

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest value a score may take."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever a score could: version, prompt file, model, settings."""
        ...

    @property
    def may_not_apply(self) -> bool:
        """Whether the judge answers `NOT_APPLICABLE` to some prompts; a total must be told what then."""
        ...

    @property
    def looks_at(self) -> LooksAt | None:
        """What the judge reads of a sample; None where it is none of these, and a user must say what comes nearest."""
        ...

    @property
    def needs(self) -> frozenset[str]:
        """Keys of `Sample.meta` without any of which the judge scores nothing (``{"geneval"}``); mostly none."""
        ...

    @property
    def model_calls(self) -> int:
        """Questions to a language-vision model that one sample takes, re-asks aside; 0 for computed judges."""
        ...

    def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        """One outcome a sample, in order. Raises only what is a bug or the user's error."""
        ...


@runtime_checkable
class Remarking(Protocol):
    """A judge with something to tell about what it judges by, such as a file that somebody else made."""

    def remarks(self, samples: Iterable[Sample]) -> list[str]:
        """What a reader of its numbers should know, a line each.

        Args:
            samples: all of the run; their pictures may not be made yet.
        """
        ...


@runtime_checkable
class Foreseeing(Protocol):
    """A judge that asks some samples more than others, and says how much before it does."""

    def calls(self, sample: Sample) -> AskedCalls:
        """What the sample will take; `model_calls` of such a judge is the least."""
        ...


@runtime_checkable
class Refusable(Protocol):
    """A judge that may score anything, and of which something may be known that speaks against training on it."""

    @property
    def refused_as_reward(self) -> str:
        """Why it may be no reward, and what to do; empty where it may."""
        ...


class Detector(Protocol):
    """Finds things in pictures."""

    @property
    def name(self) -> str:
        """What the detector is called in the names of metrics."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever a detection could."""
        ...

    @property
    def open_vocabulary(self) -> bool:
        """Whether it finds only what it is asked for, by any name, and must therefore be told what to look for."""
        ...

    def detect(
        self, images: Sequence[Image.Image], labels: Sequence[Sequence[str]] | None = None
    ) -> list[list[Detection]]:
        """Detections per picture, best first.

        Args:
            images: RGB pictures.
            labels: for each picture the names to look for; a detection's label is then one of them.
                None asks for everything the detector knows.

        Raises:
            LabelError: a name that the detector cannot look for.
            UsageError: None, and the detector's vocabulary is open.
        """
        ...


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


@dataclass(frozen=True, slots=True)
class Grounding:
    """Where the named objects of one picture were found, and what the model said."""

    detections: tuple[Detection, ...]
    replies: tuple[Reply, ...] = ()


class Grounder(Protocol):
    """Answers "where is <name>?" for pictures; a detector, or a language-vision model."""

    @property
    def name(self) -> str:
        """What the grounder is called in the names of metrics."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever an answer could."""
        ...

    def calls(self, names: int) -> int:
        """Questions to a language-vision model for a picture with so many names; 0 for a detector."""
        ...

    def ground(self, images: Sequence[Image.Image], names: Sequence[Sequence[str]]) -> list[Grounding | Unscored]:
        """For each picture the instances of each of its names; `Unscored` where the answer cannot be read."""
        ...


@runtime_checkable
class FileGrounder(Protocol):
    """A grounder that knows picture files and looks at no pixels."""

    def ground_files(self, samples: Sequence[Sample], names: Sequence[Sequence[str]]) -> list[Grounding | Unscored]:
        """As `Grounder.ground`, of the samples' files; `NO_INPUT` for one that is not there or not known."""
        ...

    def remarks(self, samples: Sequence[Sample]) -> list[str]:
        """What a reader of its numbers should know, a line each."""
        ...


@dataclass(frozen=True, slots=True)
class OfficialMetric:
    """A benchmark's own metric for some of its categories.

    Which models it looks with is stated by its judge's settings: those without a default are needed, and a category
    whose models are not all named gets no official score.

    Attributes:
        column: its name in the tables.
        judge: the plug-in that computes it.
        settings: of that judge, which follow from the suite's own.
    """

    column: str
    judge: str
    categories: tuple[str, ...]
    settings: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OfficialSummary:
    """What a file of a benchmark's scripts comes to: as JSON, for people, and a line for each thing that is missing."""

    content: Mapping[str, Json]
    text: str
    gaps: tuple[str, ...] = ()


class PictureLayout(Protocol):
    """The folder in which a benchmark's official evaluator looks for pictures; see `gotr1_eval.runs.layouts`."""

    def paths(self, samples: Sequence[Sample]) -> dict[str, Path]:
        """Where each sample's picture belongs, relative to the folder, by sample id.

        Args:
            samples: all of the run, whether made or not, so that shards and restarts agree on names and numbers.

        Raises:
            UsageError: a sample that the layout cannot hold.
        """
        ...

    def metadata(self, sample: Sample) -> Mapping[str, Json] | None:
        """The row of the ``metadata.jsonl`` above the picture's folder; None in a layout without such files."""
        ...


class Suite(Protocol):
    """A benchmark's prompts, its official metrics, and the judges it is usually scored with.

    What needs no code stands in data files of its folder, all optional: ``data.toml`` (what is fetched, with pins and
    licence), ``weights.toml`` (the official weights), ``reports.toml`` (what published numbers were made with) and
    ``published.csv`` (the numbers). docs/extending.md shows them.
    """

    @property
    def name(self) -> str:
        """The first part of every sample id."""
        ...

    @property
    def categories(self) -> tuple[str, ...]:
        """In the order of the tables."""
        ...

    @property
    def reward_set(self) -> str | None:
        """Name of the judges and total used when none are asked for; None where official metrics alone make sense."""
        ...

    @property
    def official(self) -> tuple[OfficialMetric, ...]:
        """The benchmark's own metrics, in the order of the tables; none where it has none."""
        ...

    @property
    def images_per_prompt(self) -> int:
        """Used when no other number is asked for."""
        ...

    @property
    def layout(self) -> PictureLayout | None:
        """How its official evaluator wants the pictures; None where it has none."""
        ...

    def prompts(self, category: str) -> Sequence[str]:
        """The category's prompts; a prompt's place in this list is its index for ever."""
        ...

    def facts(self, category: str, prompt_index: int) -> Mapping[str, Json]:
        """What is known about a prompt besides its text, for its samples' `meta`; mostly nothing."""
        ...

    def official_models(self, category: str, file: Callable[[str], str]) -> Mapping[str, Mapping[str, Json]]:
        """Role -> settings of the models with which the category's published scores were made.

        Args:
            file: the place of an official file on this machine, by its key in `gotr1_eval.files.official_files`.
        """
        ...

    def write_official(self, run: Path) -> list[str]:
        """Write what the official scripts write into a judged run's folder; lines that sum it up, for people."""
        ...

    def sum_up_results(self, path: Path, images_per_prompt: int | None) -> OfficialSummary:
        """The summary of a file that the official scripts wrote.

        Raises:
            UsageError: the benchmark's scripts write no such file.
            DataError: the file is another one.
        """
        ...


UNREAD = "unread_tokens"


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """What a generator made of one prompt.

    Attributes:
        image: the picture; None where there is none, and never a black one in its place.
        chain: the reasoning text, None when the generator writes none.
        truncated: the chain hit its cap and `<begin_of_image>` was forced.
        meta: what else is worth keeping (token counts, ...); JSON values only. Under `UNREAD` stands how many tokens
            at the end of the text no text encoder has read, where the generator knows.
        missing: why there is no picture: `NOT_GENERATED` is final, `BACKEND` is tried again when the run resumes.

    Raises:
        ValueError: neither a picture nor why there is none, or both.
    """

    image: Image.Image | None
    chain: str | None = None
    truncated: bool = False
    meta: Mapping[str, Json] = field(default_factory=dict)
    missing: Unscored | None = None

    def __post_init__(self) -> None:
        if (self.image is None) == (self.missing is None):
            raise ValueError("what was generated has a picture, or the reason why it has none")


@dataclass(frozen=True, slots=True)
class TokenBudget:
    """Tokens that one sample takes: at most so many for the chain, exactly so many for the picture."""

    chain_at_most: int
    image: int


ABILITIES = ("writes chains", "gives log-probabilities", "trains", "batches", "takes seeds")
"""What a generator may be able to do beside painting; its module says which in a tuple CAN, which listing reads."""


class Generator(Protocol):
    """Makes pictures from prompts."""

    @property
    def name(self) -> str:
        """What the generator is called in tables."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever a picture could: checkpoint, sampling settings."""
        ...

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Generated]:
        """One picture a prompt, or why there is none. The same prompts and seeds in one call give the same pictures,
        bit for bit."""
        ...


@runtime_checkable
class Independent(Protocol):
    """What a generator offers beside its protocol that may not need whole tiles."""

    @property
    def independent(self) -> bool:
        """Whether a picture depends on its own prompt and seed only, and on nothing that is made in the same call.

        A tile that was made in part is then completed; otherwise all of it is made again.
        """
        ...


@runtime_checkable
class PlansMemory(Protocol):
    """A generator that knows how many samples fit into its device's memory."""

    def fitting_tile(self, most: int) -> int:
        """At least 1, at most `most`."""
        ...


class Encoder(Protocol):
    """Embeds pictures and texts into one space."""

    @property
    def name(self) -> str:
        """What the encoder is called in the names of metrics."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever an embedding could."""
        ...

    def embed_images(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Unit rows, float32 [pictures, width]."""
        ...

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit rows, float32 [texts, width]; longer texts than the encoder reads are cut off."""
        ...


class Perceptual(Protocol):
    """Tells how different pictures look."""

    @property
    def name(self) -> str:
        """What the distance is called in the names of metrics."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever a distance could."""
        ...

    def features(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """float32 [pictures, width]: rows whose squared distances are the pictures' distances."""
        ...


class RewardModel(Protocol):
    """Rates pictures for their prompts on a scale of its own, as a network trained on what people chose does."""

    @property
    def name(self) -> str:
        """What the model is called in the names of metrics."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever a rating could."""
        ...

    @property
    def sees(self) -> Sees:
        """Which pictures it is to be given; what it does with them is its official preprocessing."""
        ...

    def rate(self, images: Sequence[Image.Image], prompts: Sequence[str]) -> list[Outcome]:
        """One rating a picture and its prompt, in order; `Unscored` for a prompt that it cannot be asked about."""
        ...


@runtime_checkable
class CutsTexts(Protocol):
    """What an encoder or a reward model that reads texts up to some length offers beside its other protocol."""

    def cut_off(self, texts: Sequence[str]) -> list[int]:
        """How many tokens at the end of each text it does not read; needs the tokenizer, not the weights."""
        ...


class Workshop(Protocol):
    """Hands out live objects by settings, each built once; judges and benchmarks are built with its help."""

    def judge(self, spec: Mapping[str, Json]) -> Judge:
        """The judge that ``{"use": name, ...}`` describes, for judges that ask others."""
        ...

    def vlm(self, spec: Mapping[str, Json] | str) -> Vlm:
        """The language-vision model that ``{"use": name, ...}`` describes, or a text as ``--judge-model`` takes it."""
        ...

    def generator(self, spec: Mapping[str, Json]) -> Generator:
        """The generator that ``{"use": name, ...}`` describes."""
        ...

    def encoder(self, spec: Mapping[str, Json]) -> Encoder:
        """The encoder that ``{"use": name, ...}`` describes."""
        ...

    def reward_model(self, spec: Mapping[str, Json]) -> RewardModel:
        """The reward model that ``{"use": name, ...}`` describes."""
        ...

    def detector(self, spec: Mapping[str, Json]) -> Detector:
        """The detector that ``{"use": name, ...}`` describes."""
        ...

    def grounder(self, spec: Mapping[str, Json]) -> Grounder:
        """The grounder that ``{"use": name, ...}`` describes: a detector by name, wrapped."""
        ...

    def yes_no(self, spec: Mapping[str, Json]) -> YesNo:
        """The yes-no model that ``{"use": name, ...}`` describes."""
        ...

    def depth(self, spec: Mapping[str, Json]) -> Depth:
        """The depth model that ``{"use": name, ...}`` describes."""
        ...

    def phrases(self, spec: Mapping[str, Json]) -> Phrases:
        """The source of noun phrases that ``{"use": name, ...}`` describes."""
        ...

    def ocr(self, spec: Mapping[str, Json]) -> Ocr:
        """The reader of text that ``{"use": name, ...}`` describes."""
        ...
