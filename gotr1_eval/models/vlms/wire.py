"""Requests and replies in the form of OpenAI's chat completions, read strictly: an odd reply is an error, no text."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

from gotr1_eval.core.errors import BackendError, one_line
from gotr1_eval.core.protocols import Request

_SEEDS = 2**31
_BROKEN_OFF = frozenset({"abort", "error"})
"""Reasons by which vLLM and SGLang tell that they, and not the model, ended the answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said.

    Attributes:
        text: of the answer, empty where the server refused.
        finish: why the answer ended.
        refused: the server, or the model by its own channel, declined to answer.
        listed: (text, natural log-probability) of the likeliest first tokens; None where the server lists none.
        model: the name of the model that the server says it is; None where it says nothing.
        tokens: of question and answer, as the server counts them; None where it does not.
    """

    text: str
    finish: str | None
    refused: bool
    listed: tuple[tuple[str, float], ...] | None
    model: str | None = None
    tokens: tuple[int, int] | None = None


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
    messages: list[dict[str, Any]] = [{"role": "system", "content": request.system}] if request.system else []
    messages.append({"role": "user", "content": [*pictures, {"type": "text", "text": request.prompt}]})
    for answer, question in request.followups:
        messages += [{"role": "assistant", "content": answer}, {"role": "user", "content": question}]
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
        messages.append({"role": "assistant", "content": begun})
        # Flags of vLLM and SGLang, not of OpenAI: without them the model would begin a second answer.
        body |= {"continue_final_message": True, "add_generation_prompt": False}
    return body


def ask_for_tokens(body: dict[str, Any], listed: int) -> dict[str, Any]:
    """The same body, asking for the likeliest next tokens only.

    The temperature is 1, since some servers report log-probabilities after dividing by it.
    """
    return {**body, "max_tokens": 1, "temperature": 1.0, "logprobs": True, "top_logprobs": listed}


def read_answer(content: bytes) -> Answer:
    """The first choice of a server's reply.

    Raises:
        BackendError: the reply is not JSON, or not of the form of a chat completion.
    """
    try:
        whole = json.loads(content)
        choice = whole["choices"][0]
        message, finish = choice["message"], choice.get("finish_reason")
        text, refusal = message.get("content"), message.get("refusal")
    except (ValueError, LookupError, TypeError, AttributeError):
        seen = one_line(content[:200].decode("utf-8", "replace"), 120)
        raise BackendError(f"expected a chat completion in JSON, got {seen!r}") from None
    if finish in _BROKEN_OFF:
        raise BackendError(f"the server broke off the answer ({finish})")
    refused = finish == "content_filter" or bool(refusal)
    if not isinstance(text, str) and not refused:
        raise BackendError(f"expected a text in the chat completion, got {one_line(repr(text), 80)}")
    return Answer(
        text=text if isinstance(text, str) else str(refusal or ""),
        finish=finish if isinstance(finish, str) else None,
        refused=refused,
        listed=_read_listed(choice.get("logprobs")),
        model=named if isinstance(named := whole.get("model"), str) and named else None,
        tokens=_read_tokens(whole.get("usage")),
    )


def _read_tokens(usage: object) -> tuple[int, int] | None:
    """(of the question, of the answer), None where the server does not count them."""
    counts = [usage.get(f"{kind}_tokens") for kind in ("prompt", "completion")] if isinstance(usage, dict) else []
    whole = [count for count in counts if isinstance(count, int) and count >= 0]
    return (whole[0], whole[1]) if len(whole) == 2 else None


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
