"""What all models in this process share: batching, pictures encoded once, memory, decoding and scoring."""

from __future__ import annotations

import json
import logging
import re
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field

from gotr1_eval.core.errors import BackendError, UsageError, one_line
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.outcome import Reply, Unscored, Why
from gotr1_eval.core.protocols import FollowedAnswer, Request
from gotr1_eval.core.types import Json
from gotr1_eval.models.checkpoint import find_folder, folder_digest
from gotr1_eval.models.local_model import LocalModel
from gotr1_eval.models.vlms.constrained_decoding import FormCompiler, Walk
from gotr1_eval.models.vlms.decoding import Sampling, decode, read_rows, score_choices
from gotr1_eval.models.vlms.picture_features import Picture
from gotr1_eval.models.vlms.rows import Row, batches
from gotr1_eval.models.vlms.stepwise import exclusive
from gotr1_eval.settings import Settings as StrictSettings

VERSION = 1
_THOUGHT = re.compile(r"</?(?:seed:)?think(?:ing)?>|◁/?think▷|\[/?THINK\]|<\|channel\|>", re.I)
log = logging.getLogger(__name__)


class LocalSettings(StrictSettings):
    """What every model that runs in this process can be told.

    Attributes:
        model: a checkpoint folder, or a repository on the Hugging Face hub.
        revision: of the repository: a commit, tag or branch.
        device: `auto` is the first GPU if there is one.
        dtype: `auto` is float32 on the CPU and bfloat16 on a GPU.
        batch_size: questions that go through the model together; halved when the memory does not suffice.
        share_beginnings: read what the questions of a batch have in common once.
        pictures_kept: encoded pictures kept for later questions; 0 encodes every picture of every question anew.
        constrained: whether judges hold answers to a form while they are decoded; `auto` does so unless the tokenizer
            cannot be used for it, or the model thinks before it answers.
    """

    model: str
    revision: str | None = None
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    batch_size: int = Field(8, ge=1)
    share_beginnings: bool = True
    pictures_kept: int = Field(32, ge=0)
    constrained: bool | Literal["auto"] = "auto"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in evaluation mode, its tokenizer, and the tokens that end an answer."""

    model: Any
    tokenizer: Any
    stops: tuple[int, ...]


class LocalVlm(LocalModel[Loaded]):
    """A language-vision model in this process; see `gotr1_eval.core.protocols.Vlm`.

    The base owns everything but how a family writes its prompts and encodes its pictures.
    """

    scores_choices = True

    def __init__(self, settings: LocalSettings) -> None:
        """Raises UsageError when there is no such device."""
        super().__init__(device=settings.device, dtype=settings.dtype, batch_size=settings.batch_size)
        self._settings = settings
        self._kept: OrderedDict[str, Picture] = OrderedDict()

    @abstractmethod
    def box_frame(self, size: tuple[int, int]) -> tuple[float, float]:
        """(width, height) of the coordinates of boxes for a picture of (width, height) pixels."""

    @property
    @abstractmethod
    def tokenizer(self) -> Any:  # noqa: ANN401 - transformers is untyped
        """The checkpoint's tokenizer, which needs no weights."""

    @abstractmethod
    def _read(self, request: Request) -> tuple[Row, Mapping[str, Picture]] | Unscored:
        """The request as tokens, and the features of its pictures by key."""

    @abstractmethod
    def _facts(self) -> Mapping[str, Json]:
        """What changes answers beside the checkpoint's files and the number format."""

    @property
    def name(self) -> str:
        """The last part of the folder's or repository's name."""
        return Path(self._settings.model).expanduser().resolve().name

    @cached_property
    def folder(self) -> Path:
        """The checkpoint's folder; raises UsageError when there is none."""
        return find_folder(self._settings.model, self._settings.revision)

    @property
    def _network(self) -> torch.nn.Module:
        network: torch.nn.Module = self.loaded.model
        return network

    @cached_property
    def fingerprint(self) -> str:
        """Of the checkpoint's files, the number format, the picture processing and this code's version."""
        facts: dict[str, Json] = {"version": VERSION, "files": folder_digest(self.folder), "dtype": str(self._dtype)}
        return f"{self.name}-{fingerprint({**facts, **self._facts()})}"

    def constrains(self) -> bool:
        """See `gotr1_eval.core.protocols.Constraining`; reads the tokenizer, not the weights."""
        return self._settings.constrained is not False and self._can_be_held

    @cached_property
    def _can_be_held(self) -> bool:
        """Whether nothing speaks against forms."""
        fault = "its chat template lets it think first, and a form would suppress the thought" if self._thinks else ""
        fault = fault or self._forms.fault
        if fault and self._settings.constrained is True:
            raise UsageError(f"{self.name}: constrained = true cannot be had: {fault}")
        if fault:
            log.warning("answers of %s are free text, not held to a form: %s", self.name, fault)
        return not fault

    @cached_property
    def _forms(self) -> FormCompiler:
        """The grammars over this tokenizer."""
        return FormCompiler(self.tokenizer)

    @property
    def _thinks(self) -> bool:
        """Whether the model's own chat template speaks of thoughts."""
        template, *others = (self.folder / f"chat_template.{ending}" for ending in ("jinja", "json"))
        texts = [template.read_text(encoding="utf-8")] if template.is_file() else []
        for path in (*others, self.folder / "tokenizer_config.json"):
            if path.is_file():
                texts.append(str(json.loads(path.read_text(encoding="utf-8")).get("chat_template")))
        return any(_THOUGHT.search(text) for text in texts)

    def reply(self, requests: Sequence[Request]) -> list[Reply | Unscored]:
        """One reply a request, in order; a request that alone exhausts the memory is `Unscored(BACKEND)`.

        Raises:
            UsageError: a choice is empty, or a form cannot be followed.
            BackendError: the device failed.
        """
        replies: dict[int, Reply | Unscored] = {}
        with self._running():
            for batch in batches(requests, self._batch_size):
                replies.update(zip(batch, self._in_halves([requests[place] for place in batch]), strict=True))
        return [replies[place] for place in range(len(requests))]

    def follow(self, requests: Sequence[Request], answer: str, temperature: float) -> list[FollowedAnswer | Unscored]:
        """See `gotr1_eval.core.protocols.FollowsAnswers`; requests go through the model one by one."""
        with self._running():
            return [self._follow(request, self._tokens(answer), temperature) for request in requests]

    def _follow(self, request: Request, answer: Sequence[int], temperature: float) -> FollowedAnswer | Unscored:
        read = self._read(request)
        if isinstance(read, Unscored):
            return read
        row, pictures = read
        steps: list[tuple[float, ...]] = []

        def watch(log_probs_BV: torch.Tensor) -> None:
            steps.append(tuple((log_probs_BV[0] / temperature).log_softmax(dim=-1)[list(answer)].tolist()))

        loaded = self.loaded
        seen = read_rows(loaded.model, [row], pictures)
        (ids,) = decode(loaded.model, seen, [self._sampling(request)], loaded.stops, watch)
        if seen.broken:
            return self._broken()
        ended = ids[-1] in {*loaded.stops, loaded.tokenizer.pad_token_id}
        return FollowedAnswer(self._reply(ids, None), tuple(steps[: len(ids)]), ended)

    def _in_halves(self, batch: Sequence[Request]) -> list[Reply | Unscored]:
        """Answers a batch, in ever smaller parts while the memory does not suffice."""
        try:
            return self._answer(batch)
        except RuntimeError as error:
            shortage = _shortage(error)
        # Outside the handler: the exception holds every tensor of the failed attempt.
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        if len(batch) == 1:
            return [Unscored(why=Why.BACKEND, detail=f"not enough memory for one question alone: {shortage}")]
        middle = len(batch) // 2
        return [*self._in_halves(batch[:middle]), *self._in_halves(batch[middle:])]

    def _answer(self, batch: Sequence[Request]) -> list[Reply | Unscored]:
        read = [self._read(request) for request in batch]
        ready: list[tuple[Request, Row]] = []
        pictures: dict[str, Picture] = {}
        for request, each in zip(batch, read, strict=True):
            if not isinstance(each, Unscored):
                ready.append((request, each[0]))
                pictures.update(each[1])
        replies = iter(self._run(ready, pictures) if ready else ())
        return [each if isinstance(each, Unscored) else next(replies) for each in read]

    def _run(self, ready: Sequence[tuple[Request, Row]], pictures: Mapping[str, Picture]) -> list[Reply | Unscored]:
        """Replies to requests that all have choices, first tokens or neither; Unscored where a logit is not finite."""
        loaded, rows = self.loaded, [row for _, row in ready]
        seen = read_rows(loaded.model, rows, pictures, share=self._settings.share_beginnings)
        if rows[0].choices:
            begun = score_choices(loaded.model, seen, [row.choices for row in rows])
            return [
                self._broken() if place in seen.broken else self._scored(request, row, each)
                for place, ((request, row), each) in enumerate(zip(ready, begun, strict=True))
            ]
        sampling = [self._sampling(request) for request, _ in ready]
        answers = decode(loaded.model, seen, sampling, loaded.stops)
        return [
            self._broken() if place in seen.broken else self._reply(ids, row.walk)
            for place, (ids, row) in enumerate(zip(answers, sampling, strict=True))
        ]

    def _broken(self) -> Unscored:
        """Of a question whose logits were no numbers: what was decoded from them is no answer."""
        return Unscored(
            why=Why.BACKEND,
            detail=f"{self.name}: its logits are not finite (NaN or infinity) in "
            f"{str(self._dtype).removeprefix('torch.')}; the weights are damaged, or try dtype float32",
        )

    def _scored(self, request: Request, row: Row, log_probs: tuple[float, ...]) -> Reply:
        """The reply that tells the probabilities of a request's choices or first tokens."""
        if request.first_tokens:
            named = dict(zip(self._first_tokens(request), log_probs, strict=True))
            return Reply(text="", model=self.name, finish="first_tokens", first_tokens=named)
        shares = exclusive(log_probs, row.choices)
        return Reply(text="", model=self.name, finish="choices", choice_log_probs=shares)

    def _sampling(self, request: Request) -> Sampling:
        if request.form is not None and not self.constrains():
            raise UsageError(f"{self.name}: a question has a form, and answers are not held to one")
        walk = self._forms.begin(request.form) if request.form is not None else None
        return Sampling(request.max_tokens, request.temperature, request.seed + request.repeat, walk)

    def _reply(self, ids: Sequence[int], walk: Walk | None) -> Reply:
        stopped = bool(ids) and ids[-1] in self.loaded.stops if walk is None else walk.complete
        text = self.loaded.tokenizer.decode(list(ids), skip_special_tokens=True)
        return Reply(text=text, model=self.name, finish="stop" if stopped else "length")

    def _answer_tokens(self, request: Request) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
        """Tokens of the answer's prefix, and of each choice after it; the first tokens are choices of one token each.

        Prefix and choice are split into tokens together, since a tokenizer may join characters of both. Where it does,
        the prefix is cut back to the tokens that all choices leave as they are, and what is left of it counts as part
        of each choice.
        """
        if any(not text for text in (*request.choices, *request.first_tokens)):
            raise UsageError("a choice is empty; every choice needs at least one character")
        if request.first_tokens:
            return (), tuple((token,) for token in self._first_tokens(request).values())
        prefix = self._tokens(request.answer_prefix)
        joined = [self._tokens(request.answer_prefix + choice) for choice in request.choices]
        kept = next(
            (place for place, token in enumerate(prefix) if any(ids[place : place + 1] != (token,) for ids in joined)),
            len(prefix),
        )
        return prefix[:kept], tuple(ids[kept:] for ids in joined)

    def _first_tokens(self, request: Request) -> dict[str, int]:
        """The tokens with which the request's texts begin, each once, by the first text that begins with it."""
        texts: dict[int, str] = {}
        for text in request.first_tokens:
            texts.setdefault(self._tokens(text)[0], text)
        return {text: token for token, text in texts.items()}

    def _tokens(self, text: str) -> tuple[int, ...]:
        return tuple(self.loaded.tokenizer(text, add_special_tokens=False)["input_ids"]) if text else ()

    def _picture(self, key: str, encode: Callable[[], Picture]) -> Picture:
        """The picture's features, encoded alone so that they do not depend on the neighbours."""
        picture = self._kept.pop(key, None) or encode()
        if self._settings.pictures_kept:
            self._kept[key] = picture
        if len(self._kept) > self._settings.pictures_kept:
            self._kept.popitem(last=False)
        return picture


def _shortage(error: RuntimeError) -> str:
    """What the device said about its memory.

    Raises:
        BackendError: the device failed in another way.
        RuntimeError: the error itself, when it is no failure of the device but a bug.
    """
    message = one_line(error, 160)
    if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in message:
        return message
    if "CUDA error" in message:
        raise BackendError(f"the device failed: {message}") from error
    raise error


def stop_tokens(model: Any, *others: int | None) -> tuple[int, ...]:  # noqa: ANN401
    """Tokens after which an answer is complete: those of the generation configuration, and the others."""
    configured = model.generation_config.eos_token_id
    known = configured if isinstance(configured, list) else [configured]
    return tuple(sorted({token for token in (*known, *others) if token is not None}))
