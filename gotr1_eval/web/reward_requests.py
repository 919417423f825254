"""Reading the requests of the reward server: a body becomes rows, and their pictures become pixels, within limits.

What is wrong with one row stands in its place, as the reason that its client is told; what is wrong with a request as
a whole is an HTTPException. Pictures come as base64 and in no other way: the server opens no file and no address on a
client's wish.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import math
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from fastapi import HTTPException
from PIL import Image
from pydantic import BaseModel, ConfigDict, FailFast, Field, ValidationError

from gotr1_eval.core.errors import UsageError, one_line
from gotr1_eval.core.types import Sample
from gotr1_eval.files.pictures import PictureError, check_size, open_picture
from gotr1_eval.files.remote_pictures import OWN_KEYS

PROTOCOL = "1"
IDENTITY = ("request_id", "sample_id", "group_id", "source_rank", "policy_version", "scorer_version", "idempotency_key")
MIB = 2**20
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
_MOST_VALUES = 500_000
"""JSON values in a request, roughly: each may take fifty times its text in memory. Base64 holds none of these marks."""
_MOST_REWARDS = 64
_MOST_IDENTITY = 1_000
"""Characters of a value that is echoed."""
_ROW_BYTES = 4_096
"""What a row takes in memory besides its texts and pictures."""
_PIXEL_BYTES = 3
_VALUE_BYTES = 200
"""What a value among the facts takes at most, besides its text, once it is an object."""
_PIECE = 2**19
"""Bytes that are looked at in one go; a multiple of four, as base64 needs."""
_HALF, _HALF_WRITTEN = "\ufffe", b"\\ufffe"
"""Stands for half a surrogate pair, which Python's json writes as it is in a string: it must cost its own row only."""
_ESCAPE = re.compile(rb"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.", re.DOTALL)
_ADDRESSES = ("image", "images", "image_url", "image_uri", "image_path", "image_file", "url", "path", "file")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much the server takes on.

    Attributes:
        request_mib: of the body of one request.
        memory_mib: of the bodies, texts and pixels of all requests in flight.
        rows: in one request.
        waiting_rows: of all requests in flight.
        prompt_characters, chain_characters, facts_characters: of one row; of its facts as JSON.
        picture_pixels: of one picture.
        seconds: until a row that no judge has answered is unscored.
    """

    request_mib: int = 64
    memory_mib: int = 512
    rows: int = 1_024
    waiting_rows: int = 8_192
    prompt_characters: int = 8_000
    chain_characters: int = 32_000
    facts_characters: int = 32_000
    picture_pixels: int = 2**22
    seconds: float = 300.0

    def __post_init__(self) -> None:
        """Refuse what would turn every request away."""
        for whole, one in (("memory_mib", "request_mib"), ("waiting_rows", "rows")):
            if getattr(self, whole) < 2 * getattr(self, one):
                option, other = (f"--{name.replace('_', '-')}" for name in (whole, one))
                raise UsageError(
                    f"{option} {getattr(self, whole)}: expected at least twice {other} {getattr(self, one)}, because "
                    "one request gets half of what the server has"
                )


class Turn(BaseModel):
    """One entry of a history."""

    model_config = ConfigDict(extra="allow")

    text: str
    image_b64: bytes | None = None  # as bytes, because one foreign character would make a string four times as large


class ScoreItem(BaseModel):
    """One sample to be judged; unknown keys are echoed if they identify it, else ignored."""

    model_config = ConfigDict(extra="allow")

    history: list[Turn] = Field(min_length=1)
    required_rewards: list[str] = Field(min_length=1, max_length=_MOST_REWARDS)
    metadata: dict[str, Any] | None = None
    facts: dict[str, Any] | None = None


class ScoreRequest(BaseModel):
    """The body of ``POST /score``."""

    model_config = ConfigDict(extra="ignore")

    requests: Annotated[list[ScoreItem], FailFast()]
    protocol_version: str = PROTOCOL


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A sample as asked for.

    Attributes:
        rewards: the names asked for.
        facts: what is known about the prompt, as JSON; as text it takes no more memory than was sent.
        identity: what is echoed.
        picture: as encoded by its client; empty where there is none.
        pixels: of the picture.
        fault: why it cannot be judged, empty where it can.
    """

    rewards: tuple[str, ...]
    identity: dict[str, Any] = field(default_factory=dict)
    prompt: str = ""
    chain: str | None = None
    facts: str = "{}"
    picture: bytes = b""
    pixels: int = 0
    fault: str = ""

    @property
    def characters(self) -> int:
        """Of what is judged."""
        return len(self.prompt) + len(self.chain or "") + len(self.facts)

    @property
    def memory(self) -> int:
        """Bytes that it takes, roughly, with its picture decoded."""
        texts = sys.getsizeof(self.prompt) + sys.getsizeof(self.chain)
        facts = len(self.facts) + _VALUE_BYTES * sum(self.facts.count(mark) for mark in ",:[{")
        return _ROW_BYTES + texts + facts + len(self.picture) + _PIXEL_BYTES * self.pixels


def read_rows(body: bytes | bytearray, served: Sequence[str], limits: Limits) -> list[Row]:
    """The rows of a request; of pictures nothing but their beginning is read.

    Raises:
        HTTPException: it is no request of the protocol, or asks for too many rows or for rewards that nobody serves.
    """
    if sum(body.count(mark, *piece) for piece in _pieces(body) for mark in (b",", b":", b"[", b"{")) > _MOST_VALUES:
        raise HTTPException(413, f"a request may hold {_MOST_VALUES} JSON values; send fewer samples at once")
    # Every row has this key, and no text does: quotes are escaped there. Counting is cheap, reading rows is not.
    many = body.count(b'"required_rewards"')
    if many > limits.rows:
        raise HTTPException(413, f"{many} samples, a request may have {limits.rows}; send fewer at once")
    parsed = _parse(body)
    if parsed.protocol_version != PROTOCOL:
        version = one_line(parsed.protocol_version, 80)
        raise HTTPException(422, f"protocol_version {version!r}, this server speaks {PROTOCOL!r}")
    if len(parsed.requests) > limits.rows:
        raise HTTPException(
            413, f"{len(parsed.requests)} samples, a request may have {limits.rows}; send fewer at once"
        )
    unknown = {name for item in parsed.requests for name in item.required_rewards} - set(served)
    if unknown:
        names = one_line(", ".join(sorted(unknown)))
        raise HTTPException(400, f"no reward named {names} (served: {', '.join(served)})")
    return [_row(item, limits) for item in parsed.requests]


def decode(row: Row, limits: Limits) -> Row | Sample:
    """The row as a sample; with its fault where the picture is damaged."""
    if row.fault:
        return row
    image = None
    try:
        if row.picture:
            with Image.open(io.BytesIO(row.picture), formats=_FORMATS) as picture:
                check_size(picture, limits.picture_pixels)
                picture.load()
                image = open_picture(picture)
    except Exception as error:  # noqa: BLE001 - Pillow raises errors of many kinds on damaged files
        return replace(row, picture=b"", fault=_reason(error))
    return Sample(id="", prompt=row.prompt, chain=row.chain, image=image, meta=json.loads(row.facts))


def _parse(body: bytes | bytearray) -> ScoreRequest:
    try:
        try:
            return ScoreRequest.model_validate_json(body)
        except ValidationError as error:
            if error.errors(include_url=False)[0]["type"] != "json_invalid" or body.count(b"\\") > _MOST_VALUES:
                raise
            return ScoreRequest.model_validate_json(_ESCAPE.sub(_whole, body))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = one_line(".".join(str(part) for part in first["loc"]) or "body", 100)
        raise HTTPException(422, f"{place}: {one_line(first['msg'])}") from None


def _whole(escape: re.Match[bytes]) -> bytes:
    return _HALF_WRITTEN if escape["half"] else escape.group()


def _row(item: ScoreItem, limits: Limits) -> Row:
    extra = item.model_extra or {}
    row = Row(rewards=tuple(item.required_rewards), identity={key: _echo(key, extra.get(key)) for key in IDENTITY})
    given = {**(item.metadata or {}), **(item.facts or {})}
    turn, chain = item.history[-1], given.pop("chain", None)
    chain = chain if isinstance(chain, str) else None
    facts = json.dumps({key: value for key, value in given.items() if key not in OWN_KEYS}, ensure_ascii=False)
    for name, text, most in (
        ("prompt", turn.text, limits.prompt_characters),
        ("chain", chain or "", limits.chain_characters),
        ("metadata", facts, limits.facts_characters),
    ):
        if len(text) > most:
            return replace(row, fault=f"the {name} has {len(text)} characters, over the limit of {most}")
        if _HALF in text:
            return replace(row, fault=f"the {name} holds half a surrogate pair, which is no character")
    address = next((key for key in _ADDRESSES if (turn.model_extra or {}).get(key) is not None), None)
    if turn.image_b64 is None and address is not None:
        return replace(row, fault=f"{address!r} is not opened: a picture comes as base64 in image_b64")
    row = replace(row, prompt=turn.text, chain=chain, facts=facts)
    if turn.image_b64 is None:
        return row
    try:
        data, pixels = _measured(turn.image_b64, limits)
    except Exception as error:  # noqa: BLE001 - Pillow raises errors of many kinds on damaged files
        return replace(row, fault=_reason(error))
    return replace(row, picture=data, pixels=pixels)


def _measured(encoded: bytes, limits: Limits) -> tuple[bytes, int]:
    """(the picture's file, its pixels); see `decode` for what may be raised."""
    if encoded.startswith(b"data:"):
        encoded = encoded.partition(b",")[2]
    data = b"".join(base64.b64decode(encoded[start:end], validate=True) for start, end in _pieces(encoded))
    with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
        check_size(picture, limits.picture_pixels)
        return data, picture.width * picture.height


def _pieces(data: bytes | bytearray) -> Iterator[tuple[int, int]]:
    """(start, end) of pieces short enough that working on one does not keep other threads waiting."""
    return ((start, start + _PIECE) for start in range(0, len(data), _PIECE))


def _reason(error: Exception) -> str:
    if isinstance(error, PictureError):
        return str(error)
    if isinstance(error, binascii.Error):
        return "the picture is not base64 (paths and addresses are not opened)"
    return f"the picture cannot be decoded: {one_line(error)}"


def _echo(key: str, value: object) -> object:
    """A value that identifies a sample."""
    text = isinstance(value, str) and len(value) <= _MOST_IDENTITY
    if value is None or text or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise HTTPException(422, f"{key}: expected a number or a text of at most {_MOST_IDENTITY} characters")
