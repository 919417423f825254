"""Any model behind an OpenAI-compatible server: vLLM, SGLang, transformers serve, or a vendor's own."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any, Literal

from pydantic import Field

from gotr1_eval.core.errors import BackendError, UsageError
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.outcome import Reply, Unscored, Why
from gotr1_eval.core.protocols import Request, Workshop
from gotr1_eval.models.vlms.exclusive import exclusive
from gotr1_eval.models.vlms.resizing import smart_resized
from gotr1_eval.models.vlms.retrying import Patience, RejectedError, ask_patiently
from gotr1_eval.models.vlms.stepwise import Listed, TooLikelyToLeaveOutError, score_by_steps
from gotr1_eval.models.vlms.wire import Answer, ask_for_tokens, picture_url, read_answer, write_body
from gotr1_eval.settings import Settings as StrictSettings

VERSION = 1
_PLAIN_SAMPLING = {"repetition_penalty": 1.0, "top_k": -1}
"""Sent lest the server takes others from the checkpoint: the repetition penalty of Qwen2.5-VL's, 1.05, bends scores."""


class Settings(StrictSettings):
    """Which server and model, and how patiently to ask.

    Attributes:
        base_url: with the version, ``http://127.0.0.1:8000/v1``.
        model: the name under which the server offers it.
        revision: of the model behind that name, where you know it; part of the fingerprint, not sent.
        api_key_env: environment variable with the key; servers of your own need none.
        family: how the model answers boxes: `qwen2.5-vl` in pixels after its own resizing, `pixels` of the picture as
            sent, `thousand` in thousandths.
        min_pixels: of Qwen2.5-VL's resizing, as the server is set; the defaults are the released model's.
        max_pixels: the same.
        workers: requests under way at a time.
        timeout_s: seconds of silence after which an attempt has failed.
        retries: attempts after the first one.
        first_wait_s: seconds before the first retry, doubled before each further one.
        log_probs: whether the server lists log-probabilities (checked before the first request with choices).
        listed_tokens: how many of the likeliest tokens to ask for; vLLM allows 20 unless told otherwise.
        extensions: whether the server knows what vLLM and SGLang add to OpenAI's requests: going on with a begun
            answer, and switching off the penalties that a checkpoint's own settings may hold.
        extra_body: sent with every request beside what OpenAI defines, such as ``{min_p = 0.0}``.
    """

    base_url: str
    model: str
    revision: str = ""
    api_key_env: str = "OPENAI_API_KEY"
    family: Literal["qwen2.5-vl", "thousand", "pixels"] | None = None
    min_pixels: int = Field(56 * 56, ge=1)
    max_pixels: int = Field(28 * 28 * 16384, ge=1)
    workers: int = Field(16, ge=1)
    timeout_s: float = Field(120.0, gt=0)
    retries: int = Field(5, ge=0)
    first_wait_s: float = Field(1.0, ge=0)
    log_probs: bool = True
    listed_tokens: int = Field(20, ge=1)
    extensions: bool = True
    extra_body: dict[str, Any] = Field(default_factory=dict)


class ServedVlm:
    """A model behind a server; see `gotr1_eval.core.protocols.Vlm`. The address is not part of its fingerprint."""

    def __init__(self, settings: Settings) -> None:
        """Asks nothing yet."""
        self._settings = settings
        self._patience = Patience(retries=settings.retries, first_wait_s=settings.first_wait_s)
        self._answers = False
        self._lists_tokens = False
        self.name = settings.model.rstrip("/").rpartition("/")[2]
        self.scores_choices = settings.log_probs

    @cached_property
    def fingerprint(self) -> str:
        """Of the model's name and stated revision, the picture sizes and this code's version."""
        kept = self._settings.model_dump(
            include={"model", "revision", "family", "min_pixels", "max_pixels", "extensions", "extra_body"}
        )
        return f"{self.name}-{fingerprint({'version': VERSION, **kept})}"

    def box_frame(self, size: tuple[int, int]) -> tuple[float, float]:
        """By the setting `family`."""
        settings = self._settings
        if settings.family is None:
            raise UsageError(
                f"{self.name}: how does the model answer boxes? set family = qwen2.5-vl, thousand or pixels"
            )
        if settings.family == "thousand":
            return (1000.0, 1000.0)
        if settings.family == "pixels":
            return (float(size[0]), float(size[1]))
        width, height = smart_resized(size, factor=28, min_pixels=settings.min_pixels, max_pixels=settings.max_pixels)
        return (float(width), float(height))

    def check(self, *, choices: bool = False) -> None:
        """Ask the server one short question, so that what cannot work shows at the start.

        Args:
            choices: whether log-probabilities are going to be needed.

        Raises:
            UsageError: address, model name or key are wrong, or the server lists no log-probabilities.
            BackendError: the server does not answer.
        """
        if choices and not self.scores_choices:
            raise UsageError(f"{self.name}: choices need a server with log-probabilities and the setting 'log_probs'")
        body = write_body(self._settings.model, Request(prompt="Answer with one digit.", max_tokens=1), {})
        try:
            answer = self._post(ask_for_tokens(body, self._settings.listed_tokens) if choices else body)
        except RejectedError as error:
            raise UsageError(
                f"{self._settings.base_url} rejects the simplest question: {error}; for other servers than vLLM and "
                "SGLang set extensions = false"
            ) from None
        except BackendError as error:
            raise BackendError(f"{self._settings.base_url}: {error}") from None
        if choices and answer.listed is None:
            raise UsageError(
                f"{self._settings.base_url} returns no log-probabilities, which choices need (transformers serve "
                "never does); use vLLM or SGLang, or a judge that reads text"
            )
        self._answers, self._lists_tokens = True, self._lists_tokens or choices

    def reply(self, requests: Sequence[Request]) -> list[Reply | Unscored]:
        """One reply a request, in order; what fails at last is `Unscored(BACKEND)` with the reason.

        Raises:
            UsageError: address, model name or key are wrong, or a request needs what the server does not offer.
            BackendError: the server answers nothing at all.
        """
        if not requests:
            return []
        choices = any(request.choices for request in requests)
        if not self._answers or (choices and not self._lists_tokens):
            self.check(choices=choices)
        urls = {id(image): picture_url(image) for image in _distinct(requests)}
        with ThreadPoolExecutor(self._settings.workers) as pool:
            under_way = [pool.submit(self._reply, request, urls) for request in requests]
            try:
                return [future.result() for future in under_way]
            finally:
                pool.shutdown(cancel_futures=True)

    def _reply(self, request: Request, urls: Mapping[int, str]) -> Reply | Unscored:
        try:
            if request.choices:
                return self._score(request, urls)
            answer = self._post(write_body(self._settings.model, request, urls))
        except TooLikelyToLeaveOutError as error:
            return Unscored(why=Why.UNREADABLE, detail=str(error))
        except BackendError as error:
            return Unscored(why=Why.BACKEND, detail=str(error))
        reply = Reply(text=answer.text, model=self.name, finish=answer.finish)
        if answer.refused:
            return Unscored(why=Why.REFUSED, detail="the server declined to answer", replies=(reply,))
        return reply

    def _score(self, request: Request, urls: Mapping[int, str]) -> Reply:
        def list_next(spelled: str) -> Listed:
            body = write_body(self._settings.model, request, urls, spelled=spelled)
            listed = self._post(ask_for_tokens(body, self._settings.listed_tokens)).listed
            if listed is None:
                raise BackendError("the server returned no log-probabilities this time")
            return listed

        scores, paths = score_by_steps(list_next, request.choices)
        return Reply(text="", model=self.name, finish="choices", choice_log_probs=exclusive(scores, paths))

    def _post(self, body: Mapping[str, Any]) -> Answer:
        if "continue_final_message" in body and not self._settings.extensions:
            raise UsageError(f"{self.name}: the server does not go on with begun answers (setting 'extensions')")
        create = self._client.chat.completions.with_raw_response.create
        known = {"model", "messages", "max_tokens", "temperature", "top_p", "seed", "logprobs", "top_logprobs"}
        sent = {name: value for name, value in body.items() if name in known}
        extra = {name: value for name, value in body.items() if name not in known}
        extra = {**(_PLAIN_SAMPLING if self._settings.extensions else {}), **extra, **self._settings.extra_body}
        return ask_patiently(
            lambda: read_answer(create(**sent, extra_body=extra or None).http_response.content), self._patience
        )

    @cached_property
    def _client(self) -> Any:  # noqa: ANN401 - the client's type would load its package
        from openai import OpenAI

        # Retries are our own: the client's are not counted in what we report, and end too early.
        key = os.environ.get(self._settings.api_key_env) or "none"
        return OpenAI(base_url=self._settings.base_url, api_key=key, timeout=self._settings.timeout_s, max_retries=0)


def _distinct(requests: Sequence[Request]) -> list[Any]:
    """Every picture object once."""
    return list({id(image): image for request in requests for image in request.images}.values())


def build(settings: Settings, workshop: Workshop) -> ServedVlm:
    """The model; needs nothing from the workshop, and asks the server nothing yet."""
    return ServedVlm(settings)
