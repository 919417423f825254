"""Any model behind OpenAI-compatible servers: vLLM, SGLang, transformers serve, or a vendor's own; one or a fleet."""

from __future__ import annotations

import logging
import math
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from gotr1_eval.core.errors import BackendError, BudgetError, UsageError
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.outcome import Reply, Unscored, Why
from gotr1_eval.core.protocols import Request, Spent, Workshop
from gotr1_eval.models.servers.connection import Budget, api_key, open_fleet, read_headers, served_names
from gotr1_eval.models.servers.fleet import Fleet, Server
from gotr1_eval.models.servers.replies import read_reply
from gotr1_eval.models.servers.retrying import PassingError, RefusedError, RejectedError
from gotr1_eval.models.vlms.schema_probe import agreed, fault_of, held_question
from gotr1_eval.models.vlms.server_settings import Settings, smart_resized
from gotr1_eval.models.vlms.stepwise import LEAST, Listed, TooLikelyToLeaveOutError, exclusive, score_by_steps
from gotr1_eval.models.vlms.wire import (
    Answer,
    Dialect,
    ask_for_tokens,
    picture_url,
    read_answer,
    read_tokens,
    write_body,
)

__all__ = ["ServedVlm", "Settings", "build"]

log = logging.getLogger(__name__)

VERSION = 1
ROUNDING = 1e-5
"""Probability by which the sum of a server's rounded log-probabilities may be off."""
_MOST_NAMES = 12
_NOBODY = "no answer ("
"""Said where a server cannot be reached, as `retrying` words it."""
_MORE_ROOM = "output limit was reached|higher max_tokens|below minimum"
"""How OpenAI's thinking models reject a question that leaves no room for the answer."""
_PLAIN_SAMPLING = {"repetition_penalty": 1.0, "top_k": -1}
"""Sent lest the server takes others from the checkpoint: the repetition penalty of Qwen2.5-VL's, 1.05, bends scores."""


class ServedVlm:
    """A model behind servers; see `gotr1_eval.core.protocols.Vlm`. No address is part of its fingerprint."""

    def __init__(self, settings: Settings) -> None:
        """Asks nothing yet. Raises UsageError when the key or a header cannot be sent."""
        self._settings = settings
        self._key = api_key(settings)
        read_headers(settings)
        self._dialect = Dialect(settings.length_field, frozenset(settings.omit))
        self._room = 1
        self._budget = Budget(
            settings.budget_tokens, settings.budget_cost, (settings.price_in / 1e6, settings.price_out / 1e6)
        )
        self._reported: str | None = None
        self._starting = threading.Lock()
        self._answers = False
        self._lists_tokens = False
        self._holds: bool | None = None
        self.name = settings.model.rstrip("/").rpartition("/")[2]
        self.scores_choices = settings.log_probs

    @cached_property
    def fingerprint(self) -> str:
        """Of the model's name and stated revision, the picture sizes and this code's version."""
        kept = self._settings.model_dump(
            include={"model", "revision", "family", "min_pixels", "max_pixels", "extensions", "extra_body"}
        )
        # Newer settings count where they are set, so that what was judged before them keeps its fingerprint.
        kept |= self._settings.model_dump(include={"max_tokens", "omit"}, exclude_defaults=True)
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
        """Ask every server one short question, so that what cannot work shows at the start.

        Args:
            choices: whether log-probabilities are going to be needed.

        Raises:
            UsageError: address, model name or key are wrong, a server lists no log-probabilities or counts no tokens
                where they are needed, or two servers say that they serve different models.
            BackendError: no server answers.
        """
        if choices and not self.scores_choices:
            raise UsageError(f"{self.name}: choices need a server with log-probabilities and the setting 'log_probs'")
        found = self._first_answers(choices=choices)
        for server, answer in found:
            if choices and answer.listed is None:
                raise UsageError(
                    f"{server.url} returns no log-probabilities, which choices need (transformers serve never does); "
                    "use vLLM or SGLang, or a judge that reads text"
                )
            if choices and answer.thought:
                raise UsageError(
                    f"{server.url}: the model thinks before it answers, so that the probabilities of its first token "
                    "say nothing of the answer: use the mode 'generate', or switch its thoughts off (extra_body = "
                    "{chat_template_kwargs = {enable_thinking = false}})"
                )
        self._agree(found)
        self._answers, self._lists_tokens = True, self._lists_tokens or choices

    def _first_answers(self, *, choices: bool = False, held: bool = False) -> list[tuple[Server, Answer]]:
        """What every server makes of the short question, in the dialect that they turn out to understand.

        Args:
            held: or of the question that shows whether answers are held to a form.

        Raises:
            RejectedError: they reject that one; UsageError where it is the short one.
        """
        while True:
            body = write_body(self._settings.model, held_question(self._length), {}) if held else None
            body = body or self._question(choices=choices)
            try:
                return self._fleet.ask_everyone(
                    lambda server, body=body: self._send(server, body),  # type: ignore[misc]
                    telling=not held,
                )
            except RejectedError as error:
                corrected = self._dialect.corrected(error.complaint, self._spelled(body))
                if corrected is not None:
                    self._learn(corrected)
                elif self._room == 1 and re.search(_MORE_ROOM, error.complaint):
                    self._room = self._length
                elif held:
                    raise
                else:
                    raise UsageError(
                        f"the simplest question is rejected: {error}; the settings max_tokens, length_field, omit, "
                        "extensions and extra_body say what is sent (docs/servers.md)"
                    ) from None
            except RefusedError as error:
                raise UsageError(f"{error}{self._advice(error.state)}") from None

    def _learn(self, dialect: Dialect) -> None:
        """Speak so from now on, and say so where the answers are others then."""
        for name in sorted(dialect.omitted - self._dialect.omitted):
            follows = ": its answers are sampled, and differ from one time to the next" if name == "temperature" else ""
            log.warning("%s takes no %s, which is left out%s (setting omit)", self.name, name, follows)
        self._dialect = dialect

    def _advice(self, state: int) -> str:
        """What helps against a server that refuses everything: where the key comes from, or which models there are."""
        if state in (401, 403):
            there = "was sent" if self._key != "none" else "is empty or not set"
            return f" ({self._settings.api_key_env}, which {there}; setting api_key_env)"
        if state != 404:
            return ""
        names = served_names(self._fleet.servers[0].client)
        if names is None:
            return f" ({self._settings.base_url[0]}/models is not there either: does the address end in /v1?)"
        if self._settings.model in names:
            return ""
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        return f" (it serves: {', '.join(map(repr, names[:_MOST_NAMES]))}{more})"

    def constrains(self) -> bool:
        """See `gotr1_eval.core.protocols.Constraining`; what the settings claim is checked before any question."""
        asked = self._settings.constrained
        return self._enforced() if asked == "auto" else asked

    def _enforced(self) -> bool:
        """Whether all servers hold answers to a form; each is asked once."""
        with self._starting:
            if self._holds is None:
                self._holds = self._find_out()
        return self._holds

    def _find_out(self) -> bool:
        first: dict[Server, Answer] = {}
        try:
            if not self._answers:
                found = self._first_answers(held=True)
                self._agree(found)
                self._answers, first = True, dict(found)
        except BackendError as error:
            if _NOBODY in str(error):
                raise
            self.check()  # is it this question alone?
        try:
            faults = self._fleet.ask_everyone(lambda server: self._fault(server, first.get(server)), telling=False)
        except BackendError as error:
            faults = [(self._fleet.servers[0], f"it fails on a question with a form ({error})")]
        insisted = self._settings.constrained is True
        return agreed({server.url: fault for server, fault in faults}, self.name, insisted=insisted)

    def _fault(self, server: Server, first: Answer | None = None) -> str:
        """Why the server's answers are not to be held to a form; empty where nothing speaks against it."""
        model, length = self._settings.model, self._length
        return fault_of(lambda request: self._send(server, write_body(model, request, {})), length, first)

    @property
    def _length(self) -> int:
        """Tokens of an answer."""
        return self._settings.max_tokens or Request(prompt="").max_tokens

    def ready(self) -> None:
        """Ask the short question unless it was answered before; raises as `check`."""
        with self._starting:
            if not self._answers:
                self.check()

    def traffic(self) -> str:
        """What the servers are doing, for a line of progress."""
        return f"{self.name}: {self._fleet.traffic()}, {self._budget}"

    def spent(self) -> Spent:
        """What the servers counted, see `gotr1_eval.core.protocols.Metered`."""
        return self._budget.told(self.name)

    def reply(self, requests: Sequence[Request]) -> list[Reply | Unscored]:
        """One reply a request, in order; what fails at last is `Unscored(BACKEND)` with the reason.

        Raises:
            UsageError: address, model name or key are wrong, or a request needs what the server does not offer.
            BackendError: no server answers anything at all.
            BudgetError: the budget was spent before; what is left open when it ends midway is `Unscored(BACKEND)`.
        """
        if not requests:
            return []
        choices = any(request.choices or request.first_tokens for request in requests)
        if any(request.form is not None for request in requests) and not self._enforced():
            raise UsageError(
                f"{self.name}: the servers do not hold answers to a form, as they did when the reply cache was begun; "
                "begin a new one, or set constrained = false"
            )
        with self._starting:
            if not self._answers or (choices and not self._lists_tokens):
                self.check(choices=choices)
        if not all(request.followups for request in requests):
            self._budget.check()  # a second round completes what was begun before the budget was spent
        urls = {id(image): picture_url(image) for image in _distinct(requests)}
        return self._fleet.each(requests, lambda request: self._reply(request, urls))

    def _reply(self, request: Request, urls: Mapping[int, str]) -> Reply | Unscored:
        try:
            if request.choices:
                return self._score(request, urls)
            if request.first_tokens:
                return self._list_first(request, urls)
            if self._settings.max_tokens is not None:
                request = replace(request, max_tokens=self._settings.max_tokens)
            server, answer = self._post(write_body(self._settings.model, request, urls), last=_rejected(request))
        except TooLikelyToLeaveOutError as error:
            return Unscored(why=Why.UNREADABLE, detail=str(error))
        except RejectedError as error:
            return Unscored(why=Why.REFUSED if error.declined else Why.BACKEND, detail=str(error))
        except (BackendError, BudgetError) as error:
            return Unscored(why=Why.BACKEND, detail=str(error))
        self._fleet.remember(hash((request.prompt, answer.text)), server)
        return self._read(answer, request.max_tokens)

    def _read(self, answer: Answer, length: int) -> Reply | Unscored:
        """The reply that an answer is; none where the server declined, or cut off before any text.

        A cut is final: the same question at temperature 0 is cut off again, and every try is paid for.
        """
        reply = Reply(text=answer.text, model=self.name, finish=answer.finish, thought=answer.thought)
        if answer.refused:
            return Unscored(why=Why.REFUSED, detail="the server declined to answer", replies=(reply,))
        if answer.finish != "length" or answer.text.strip():
            return reply
        first = ": it thinks first" if answer.thought else ""
        detail = (
            f"the model was cut off after {length} tokens, before its answer began{first}; allow more with the "
            "setting max_tokens"
        )
        return Unscored(why=Why.TRUNCATED, detail=detail, replies=(reply,))

    def _list_first(self, request: Request, urls: Mapping[int, str]) -> Reply:
        """What the server's list of likeliest first tokens says of those asked for, and how likely an unlisted one is.

        The least likely listed token bounds it, and so does what the listed ones leave.
        """
        listed = [(token, max(log_prob, LEAST)) for token, log_prob in self._list_next(request, urls)]
        found = dict(reversed(listed))  # of tokens with the same text the likeliest
        left = 1 - math.fsum(math.exp(log_prob) for _, log_prob in listed)
        bound = min(*(log_prob for _, log_prob in listed), math.log(max(left, 0) + ROUNDING))
        named = {text: found.get(text) for text in request.first_tokens}
        unlisted = bound if None in named.values() else None
        return Reply(text="", model=self.name, finish="first_tokens", first_tokens=named, unlisted=unlisted)

    def _list_next(self, request: Request, urls: Mapping[int, str], spelled: str = "") -> Listed:
        body = write_body(self._settings.model, request, urls, spelled=spelled)
        listed = self._post(ask_for_tokens(body, self._settings.listed_tokens))[1].listed
        assert listed is not None
        return listed

    def _score(self, request: Request, urls: Mapping[int, str]) -> Reply:
        def list_next(spelled: str) -> Listed:
            return self._list_next(request, urls, spelled)

        scores, paths = score_by_steps(list_next, request.choices)
        return Reply(text="", model=self.name, finish="choices", choice_log_probs=exclusive(scores, paths))

    def _post(self, body: Mapping[str, Any], last: int | None = None) -> tuple[Server, Answer]:
        """The answer and who gave it, as long as the budget lasts; `last` is the key of an unreadable answer."""
        if "continue_final_message" in body and not self._settings.extensions:
            raise UsageError(f"{self.name}: the server does not go on with begun answers (setting 'extensions')")

        def call(server: Server) -> tuple[Server, Answer]:
            self._budget.check()
            answer = self._send(server, body)
            if "logprobs" in body and answer.listed is None:
                raise BackendError("the server returned no log-probabilities this time")
            return server, answer

        return self._fleet.ask(call, last=last)

    def _send(self, server: Server, body: Mapping[str, Any]) -> Answer:
        """One attempt at one server."""
        create = server.client.chat.completions.with_raw_response.create
        spelled = self._spelled(body)
        known = {"model", "messages", self._dialect.length_field, "temperature", "top_p", "seed", "logprobs"}
        known |= {"top_logprobs"}
        sent = {name: value for name, value in spelled.items() if name in known}
        extra = {name: value for name, value in spelled.items() if name not in known}
        whole = read_reply(create(**sent, extra_body=extra or None).http_response.content, "a chat completion")
        tokens = read_tokens(whole)  # before anything is found wrong with the answer: it was paid for all the same
        if tokens is not None:
            self._budget.spend(*tokens)
        elif self._budget.limited and "choices" in whole:
            raise UsageError(f"{server.url} does not count tokens ('usage'), which a budget needs")
        answer = read_answer(whole)
        if self._reported is not None and answer.model is not None and answer.model != self._reported:
            raise PassingError(f"it now says that it is {answer.model!r}, not {self._reported!r}")
        return answer

    def _spelled(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The body as these servers take it, with what the settings add."""
        plain = _PLAIN_SAMPLING if self._settings.extensions else {}
        return {**self._dialect.spell({**plain, **body}), **self._settings.extra_body}

    def _question(self, *, choices: bool) -> dict[str, Any]:
        """The short question of checks and probes."""
        body = write_body(self._settings.model, Request(prompt="Answer with one digit.", max_tokens=self._room), {})
        return ask_for_tokens(body, self._settings.listed_tokens) if choices else body

    def _probe(self, server: Server) -> Answer:
        answer = self._send(server, self._question(choices=self._lists_tokens))
        if self._holds and (fault := self._fault(server)):
            raise PassingError(f"the others hold answers to a form, but {fault}")
        return answer

    def _agree(self, found: Sequence[tuple[Server, Answer]]) -> None:
        """Hold the servers of a fleet to one model, as far as they say which one they serve."""
        told: dict[str, str] = {}
        for server, answer in found:
            if answer.model is not None:
                told.setdefault(answer.model, server.url)
        if len(told) > 1:
            raise UsageError(
                "the servers of a fleet must serve one model under one name: "
                + ", ".join(f"{url} says it is {model!r}" for model, url in told.items())
            )
        if len(self._fleet.servers) > 1 and told:
            self._reported = next(iter(told))

    @cached_property
    def _fleet(self) -> Fleet:
        return open_fleet(self, self._settings, self._probe)


def _rejected(request: Request) -> int | None:
    """Key of the answer that a second round complains of."""
    return hash((request.prompt, request.followups[-1][0])) if request.followups else None


def _distinct(requests: Sequence[Request]) -> list[Any]:
    """Every picture object once."""
    return list({id(image): image for request in requests for image in request.images}.values())


def build(settings: Settings, workshop: Workshop) -> ServedVlm:
    """The model; needs nothing from the workshop, and asks the server nothing yet."""
    return ServedVlm(settings)
