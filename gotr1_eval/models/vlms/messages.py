"""Chat messages in the form of qwen-vl-utils, as a question to any language-vision model here.

Text stands in strings or in parts; a picture is a part ``{"type": "image", "image": ...}`` with a file, an address
``file://...``, a data URL or a PIL picture, or ``{"type": "image_url", "image_url": {"url": ...}}``. Its `min_pixels`,
`max_pixels`, `resized_height` and `resized_width` are obeyed with the same sizes and the same interpolation.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from gotr1_eval.core.errors import UsageError, one_line
from gotr1_eval.core.protocols import Request
from gotr1_eval.files.pictures import PictureError, open_picture
from gotr1_eval.models.vlms.server_settings import smart_resized

TOKEN_SIDE = 28
"""Pixels of what becomes one token of Qwen2-VL and Qwen2.5-VL; 32 for Qwen3-VL."""
MOST_TOKENS, FEWEST_TOKENS = 16_384, 4
"""Of a picture whose limits are not stated."""
Message = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Turn:
    """What one message says: its text, its pictures, and whether they come after the text."""

    role: str
    text: str
    images: tuple[Image.Image, ...]
    pictures_last: bool


def read_messages(messages: Sequence[Message], *, token_side: int = TOKEN_SIDE, **settings: Any) -> Request:  # noqa: ANN401
    """The question that a conversation asks.

    A picture without any of the four sizes is left as it is: the model's own processor brings it to the size that
    qwen-vl-utils would have given it.

    Args:
        messages: perhaps a system turn, a user turn with all pictures before its text or all of them after it, and
            perhaps further rounds of assistant and user in text.
        token_side: side of what becomes one token, in pixels.
        settings: other fields of `Request`, such as ``max_tokens``.

    Raises:
        UsageError: a video, another order of turns or pictures, or a picture that cannot be read.
    """
    turns = [_read_turn(message, token_side, at) for at, message in enumerate(messages)]
    system = turns.pop(0).text if turns and turns[0].role == "system" else ""
    roles = [turn.role for turn in turns]
    if not roles or roles != ["user", "assistant"] * (len(roles) // 2) + ["user"]:
        told = ", ".join(roles) or "none"
        raise UsageError(f"messages: expected user, assistant, user, ... after the system turn, got {told}")
    first, *later = turns
    if any(turn.images for turn in later):
        raise UsageError("messages: pictures are taken in the first user turn only")
    answers, questions = later[::2], later[1::2]
    followups = tuple((answer.text, question.text) for answer, question in zip(answers, questions, strict=True))
    return Request(
        prompt=first.text,
        images=first.images,
        system=system,
        followups=followups,
        pictures_last=first.pictures_last,
        **settings,
    )


def _read_turn(message: Message, token_side: int, at: int) -> _Turn:
    where = f"messages[{at}]"
    role, content = message.get("role"), message.get("content")
    if role not in ("system", "user", "assistant"):
        raise UsageError(f"{where}: expected the role system, user or assistant, got {one_line(repr(role), 40)}")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not isinstance(parts, Sequence) or not all(isinstance(part, Mapping) for part in parts):
        raise UsageError(f"{where}: expected content as a text or a list of parts, got {one_line(repr(content), 60)}")
    texts: list[str] = []
    images: list[Image.Image] = []
    order = ""
    for part in parts:
        if "image" in part or "image_url" in part:
            images.append(_read_image(part, token_side, where))
            order += "i"
        elif isinstance(part.get("text"), str):
            texts.append(part["text"])
            order += "t"
        else:
            raise UsageError(f"{where}: expected parts of text and pictures, got {one_line(repr(dict(part)), 60)}")
    if "it" in order and "ti" in order:
        raise UsageError(f"{where}: pictures are taken before the text or after it, not between its parts")
    return _Turn(role, "".join(texts), tuple(images), "ti" in order)


def _read_image(part: Message, token_side: int, where: str) -> Image.Image:
    """The picture of one part, resized where the part says to which size."""
    source = part.get("image", part.get("image_url"))
    source = source.get("url") if isinstance(source, Mapping) else source
    try:
        picture = open_picture(_source(source, where))
        width, height = _size(part, picture.size, token_side)
    except (PictureError, binascii.Error, ValueError) as error:
        raise UsageError(f"{where}: the picture cannot be read: {one_line(error)}") from None
    return picture if (width, height) == picture.size else picture.resize((width, height))


def _source(source: object, where: str) -> Path | bytes | Image.Image:
    if isinstance(source, Image.Image | Path):
        return source
    if not isinstance(source, str):
        raise UsageError(
            f"{where}: expected a picture as a file, a data URL or a PIL picture, got {type(source).__name__}"
        )
    if source.startswith(("http://", "https://")):
        raise UsageError(f"{where}: {one_line(source, 80)}: pictures behind an address are not fetched; open it first")
    if source.startswith("data:image"):
        return base64.b64decode(source.partition("base64,")[2], validate=True)
    return Path(source.removeprefix("file://"))


def _size(part: Message, size: tuple[int, int], token_side: int) -> tuple[int, int]:
    """(width, height) that a part asks for; the picture's own where it asks for none."""
    area = token_side**2
    fewest, most = FEWEST_TOKENS * area, MOST_TOKENS * area
    if "resized_height" in part and "resized_width" in part:
        asked = (part["resized_width"], part["resized_height"])
        return smart_resized(asked, factor=token_side, min_pixels=fewest, max_pixels=most)
    if "min_pixels" not in part and "max_pixels" not in part:
        return size
    limits = {"min_pixels": part.get("min_pixels", fewest), "max_pixels": part.get("max_pixels", most)}
    return smart_resized(size, factor=token_side, **limits)
