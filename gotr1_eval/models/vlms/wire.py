"""Requests and replies in the form of OpenAI's chat completions, read strictly: an odd reply is an error, no text."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from gotr1_eval.core.errors import BackendError, one_line
from gotr1_eval.core.identifiers import encodable
from gotr1_eval.core.protocols import Request
from gotr1_eval.core.secrets import redact
from gotr1_eval.models.servers.replies import NOT_TAKEN

_SEEDS = 2**31
_BROKEN_OFF = frozenset({"abort", "error"})
"""Reasons by which vLLM and SGLang tell that they, and not the model, ended the answer."""
_CUT_OFF = frozenset({"length", "max_tokens", "max_output_tokens", "model_length"})
_DECLINED = frozenset({"content_filter", "refusal", "safety"})
_OPTIONAL = ("temperature", "top_p", "seed", "repetition_penalty", "top_k")
"""What can be left out where a server does not take it; the answer is then sampled as the server likes."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said.

    Attributes:
        text: of the answer, empty where the server refused, or where the answer ended before its text began.
        finish: why the answer ended; ``length`` where it was cut off, however the server calls that.
        refused: the server, or the model by its own channel, declined to answer.
        listed: (text, natural log-probability) of the likeliest first tokens; None where the server lists none.
        model: the name of the model that the server says it is; None where it says nothing.
        thought: what the model thought before, where the server tells it apart.
    """

    text: str
    finish: str | None
    refused: bool
    listed: tuple[tuple[str, float], ...] | None
    model: str | None = None
    thought: str = ""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a server takes the parameters on which servers do not agree.

    Attributes:
        length_field: under which the length of an answer is sent: ``max_tokens``, or ``max_completion_tokens``.
        omitted: parameters that are not sent.
    """

    length_field: str = "max_tokens"
    omitted: frozenset[str] = frozenset()

    def spell(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The body as the server takes it."""
        names = {"max_tokens": self.length_field}
        return {names.get(name, name): value for name, value in body.items() if name not in self.omitted}

    def corrected(self, complaint: str, sent: Mapping[str, Any]) -> Dialect | None:
        """The dialect that a server asks for when it rejects a body; None where it complains of something else."""
        if self.length_field in sent and self.length_field == "max_tokens" and "max_completion_tokens" in complaint:
            return replace(self, length_field="max_completion_tokens")
        named = [name for name in _OPTIONAL if name in sent and re.search(rf"\b{name}\b", complaint)]
        if not named or not NOT_TAKEN.search(complaint):
            return None
        # Of two that cannot both be given (Claude's temperature and top_p) the one that says nothing goes.
        gone = "top_p" if "top_p" in named else named[0]
        return replace(self, omitted=self.omitted | {gone})


def picture_url(image: Image.Image) -> str:
    """The picture as a data URL, in PNG: a lossy format would change what the model sees."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def write_body(model: str, request: Request, urls: Mapping[int, str], *, spelled: str = "") -> dict[str, Any]:
    """The JSON body of a request.

    Args:
        urls: data URL of each picture, by the picture object's `id`.
        spelled: more of the answer, after the request's own prefix.
    """
    pictures = [{"type": "image_url", "image_url": {"url": urls[id(image)]}} for image in request.images]
    messages: list[dict[str, Any]] = [_turn("system", request.system)] if request.system else []
    text = [{"type": "text", "text": encodable(request.prompt)}]
    messages.append({"role": "user", "content": [*text, *pictures] if request.pictures_last else [*pictures, *text]})
    for answer, question in request.followups:
        messages += [_turn("assistant", answer), _turn("user", question)]
    body: dict[str, Any] = {
        "model": model,
        "messages": messages,
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": 1.0,
        "seed": (request.seed + request.repeat) % _SEEDS,
    }
    begun = request.answer_prefix + spelled
    if begun:
        messages.append(_turn("assistant", begun))
        # Flags of vLLM and SGLang, not of OpenAI: without them the model would begin a second answer.
        body |= {"continue_final_message": True, "add_generation_prompt": False}
    if request.form is not None:
        schema = json.loads(encodable(json.dumps(dict(request.form), ensure_ascii=False)))
        held = {"name": "answer", "strict": True, "schema": schema}
        body["response_format"] = {"type": "json_schema", "json_schema": held}
    return body


def _turn(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": encodable(text)}


def ask_for_tokens(body: dict[str, Any], listed: int) -> dict[str, Any]:
    """The same body, asking for the likeliest next tokens only.

    The temperature is 1, since some servers report log-probabilities after dividing by it.
    """
    return {**body, "max_tokens": 1, "temperature": 1.0, "logprobs": True, "top_logprobs": listed}


def read_answer(whole: Mapping[str, Any]) -> Answer:
    """The first choice of a server's reply.

    Raises:
        BackendError: the reply is not of the form of a chat completion, or holds no answer at all.
    """
    try:
        choice = whole["choices"][0]
        message, finish = choice["message"], choice.get("finish_reason")
        text, thought = _text_of(message.get("content"))
        refusal = message.get("refusal")
        thought = thought or next(filter(None, map(message.get, ("reasoning_content", "reasoning"))), "")
        text = text or _arguments(message.get("tool_calls")) or text
    except (LookupError, TypeError, AttributeError):
        seen = one_line(json.dumps(whole)[:400], 160)
        raise BackendError(f"expected a chat completion in JSON, got {seen!r}") from None
    if finish in _BROKEN_OFF:
        raise BackendError(f"the server broke off the answer ({finish})")
    finish = finish if isinstance(finish, str) else None
    finish = "length" if finish is not None and finish.lower() in _CUT_OFF else finish
    refused = (finish or "").lower() in _DECLINED or bool(refusal)
    if text is None and not (refused or thought or finish == "length"):
        raise BackendError(f"expected a text in the chat completion, got {one_line(repr(message.get('content')), 80)}")
    return Answer(
        text=redact(text if text is not None else str(refusal or "")),
        finish=finish,
        refused=refused,
        listed=_read_listed(choice.get("logprobs")),
        model=named if isinstance(named := whole.get("model"), str) and named else None,
        thought=redact(thought) if isinstance(thought, str) else "",
    )


def _text_of(content: object) -> tuple[str | None, str]:
    """(text, thought) of a message's content: a text, or a list of parts; None where it holds no text."""
    if isinstance(content, str):
        return content, ""
    if not isinstance(content, list):
        return None, ""
    texts: list[str] = []
    thoughts: list[str] = []
    for part in content:
        if isinstance(part, str):
            texts.append(part)
        elif "thinking" in part or "reasoning" in str(part.get("type")):
            inner = part.get("thinking") or part.get("text") or part.get("reasoning")
            thoughts.append(inner if isinstance(inner, str) else _text_of(inner)[0] or "")
        elif isinstance(part.get("text"), str):
            texts.append(part["text"])
    return ("".join(texts) if texts else None), "".join(thoughts)


def _arguments(calls: object) -> str | None:
    """What the model answered through a tool, where it called one and no more."""
    if not isinstance(calls, list) or len(calls) != 1:
        return None
    arguments = calls[0]["function"]["arguments"]
    return arguments if isinstance(arguments, str) else json.dumps(arguments)


def read_tokens(whole: Mapping[str, Any]) -> tuple[int, int] | None:
    """(of the question, of the answer with its thought), None where the server does not count them.

    What the total holds beyond both is thought that some servers count nowhere else.
    """
    usage = whole.get("usage")
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    counts = [usage.get(name) for name in names] if isinstance(usage, dict) else []
    asked, answered, total = [count if isinstance(count, int) and count >= 0 else None for count in counts] or [
        None
    ] * 3
    if asked is None or answered is None:
        return None
    return asked, max(answered, (total or 0) - asked)


def _read_listed(log_probs: object) -> tuple[tuple[str, float], ...] | None:
    """The first token's alternatives, None where there are none."""
    content = log_probs.get("content") if isinstance(log_probs, dict) else None
    first = content[0] if isinstance(content, list) and content else None
    entries = first.get("top_logprobs") if isinstance(first, dict) else None
    if not isinstance(entries, list) or not entries:
        return None
    try:
        return tuple((str(entry["token"]), float(entry["logprob"])) for entry in entries)
    except (LookupError, TypeError, ValueError):
        raise BackendError("expected tokens with log-probabilities in the chat completion") from None
