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
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from fastapi import HTTPException
from PIL import Image
from pydantic import BaseModel, ValidationError

from gotr1_eval.core.errors import one_line
from gotr1_eval.core.types import Sample
from gotr1_eval.files.pictures import PictureError, check_size, open_picture
from gotr1_eval.files.remote_pictures import OWN_KEYS
from gotr1_eval.web.admission import Limits
from gotr1_eval.web.reward_schemas import (
    IDENTITY,
    MOST_IDENTITY,
    PROTOCOL,
    BatchRequest,
    HandshakeRequest,
    ScoreItem,
    ScoreRequest,
    Terms,
)

_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
_MOST_VALUES = 500_000
"""JSON values in a request, roughly: each may take fifty times its text in memory. Base64 holds none of these marks."""
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
_ADDRESSES = (
    "image", "images", "image_url", "image_uri", "image_path", "image_file", "image_ipc", "video_b64", "video_path",
    "url", "path", "file",
)  # fmt: skip
_Body = TypeVar("_Body", bound=BaseModel)


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


def read_rows(body: bytes | bytearray, terms: Terms, limits: Limits) -> list[Row]:
    """The rows of a ``POST /score``; of pictures nothing but their beginning is read.

    Raises:
        HTTPException: it is no request of the protocol, or asks for too many rows, for rewards that nobody serves or
            for another version of them.
    """
    # Every row has this key, and no text does: quotes are escaped there. Counting is cheap, reading rows is not.
    _check_rows(body.count(b'"required_rewards"'), limits)
    parsed = _parse(ScoreRequest, body)
    _check_protocol(parsed.protocol_version)
    if parsed.grad_mode or parsed.call_id is not None:
        raise HTTPException(422, "grad_mode, call_id: this server scores without gradients")
    _check_rows(len(parsed.requests), limits)
    _check_served({name for item in parsed.requests for name in item.required_rewards}, terms)
    for item in parsed.requests:
        _check_version(item.scorer_version, terms)
    return [_row(item, terms, limits) for item in parsed.requests]


def read_batch(body: bytes | bytearray, terms: Terms, limits: Limits) -> list[Row]:
    """The rows of a ``POST /``; as `read_rows`."""
    parsed = _parse(BatchRequest, body)
    count = len(parsed.prompts)
    _check_rows(count, limits)
    _check_version(parsed.scorer_version, terms)
    reward = parsed.reward or terms.headline
    if reward is None:
        raise HTTPException(422, f"reward: name one, this server has no total (served: {', '.join(terms.served)})")
    _check_served({reward}, terms)
    none = [None] * count
    columns = {"chains": parsed.chains or none, "metadata": parsed.metadata or none, "images": parsed.images or none}
    for name, column in columns.items():
        if len(column) != count:
            raise HTTPException(422, f"{name}: {len(column)} entries for {count} prompts")
    return [
        _checked(Row(rewards=(reward,)), prompt, chain, facts or {}, image, terms, limits)
        for prompt, chain, facts, image in zip(
            parsed.prompts, parsed.chains or none, parsed.metadata or none, parsed.images or none, strict=True
        )
    ]


def read_handshake(body: bytes | bytearray, terms: Terms) -> HandshakeRequest:
    """A client's greeting.

    Raises:
        HTTPException: it was made for something else than this server.
    """
    parsed = _parse(HandshakeRequest, body)
    _check_protocol(parsed.protocol_version)
    _check_version(parsed.scorer_version, terms)
    _check_served(set(parsed.required_rewards), terms)
    return parsed


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


def _parse(form: type[_Body], body: bytes | bytearray) -> _Body:
    if sum(body.count(mark, *piece) for piece in _pieces(body) for mark in (b",", b":", b"[", b"{")) > _MOST_VALUES:
        raise HTTPException(413, f"a request may hold {_MOST_VALUES} JSON values; send fewer samples at once")
    try:
        try:
            return form.model_validate_json(body)
        except ValidationError as error:
            if error.errors(include_url=False)[0]["type"] != "json_invalid" or body.count(b"\\") > _MOST_VALUES:
                raise
            return form.model_validate_json(_ESCAPE.sub(_whole, body))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = one_line(".".join(str(part) for part in first["loc"]) or "body", 100)
        unknown = first["type"] == "extra_forbidden"
        known = f"no field of this server's (those of {form.__name__}: {', '.join(form.model_fields)})"
        raise HTTPException(422, f"{place}: {known if unknown else one_line(first['msg'])}") from None


def _check_rows(many: int, limits: Limits) -> None:
    if many > limits.rows:
        raise HTTPException(413, f"{many} samples, a request may have {limits.rows}; send fewer at once")


def _check_protocol(version: str) -> None:
    if version != PROTOCOL:
        raise HTTPException(422, f"protocol_version {one_line(version, 80)!r}, this server speaks {PROTOCOL!r}")


def _check_version(asked: object, terms: Terms) -> None:
    if asked is not None and asked != terms.scorer_version:
        asked = one_line(asked, 80)
        raise HTTPException(409, f"scorer_version {asked!r} is asked for, this server has {terms.scorer_version!r}")


def _check_served(names: set[str], terms: Terms) -> None:
    if unknown := names - set(terms.served):
        asked = one_line(", ".join(sorted(unknown)))
        raise HTTPException(400, f"no reward named {asked} (served: {', '.join(terms.served)})")


def _whole(escape: re.Match[bytes]) -> bytes:
    return _HALF_WRITTEN if escape["half"] else escape.group()


def _row(item: ScoreItem, terms: Terms, limits: Limits) -> Row:
    identity = {key: _echo(key, getattr(item, key)) for key in IDENTITY} | {"scorer_version": terms.scorer_version}
    row, turn = Row(rewards=tuple(item.required_rewards), identity=identity), item.history[-1]
    address = next((key for key in _ADDRESSES if (turn.model_extra or {}).get(key) is not None), None)
    if turn.image_b64 is None and address is not None:
        return replace(row, fault=f"{address!r} is not opened: a picture comes as base64 in image_b64")
    facts = {**(item.metadata or {}), **(item.facts or {})}
    return _checked(row, turn.text, item.chain, facts, turn.image_b64, terms, limits)


def _checked(
    row: Row,
    prompt: str,
    chain: str | None,
    given: dict[str, Any],
    encoded: bytes | None,
    terms: Terms,
    limits: Limits,
) -> Row:
    """The row with what is to be judged, or with its fault."""
    stated = given.pop("chain", None)
    if chain is None and isinstance(stated, str):
        chain = stated
    known: dict[str, Any] = {key: value for key, value in given.items() if key not in OWN_KEYS}
    if known and terms.metadata_is is not None and terms.metadata_is not in known:
        known = {terms.metadata_is: known}
    facts = json.dumps(known, ensure_ascii=False)
    for name, text, most in (
        ("prompt", prompt, limits.prompt_characters),
        ("chain", chain or "", limits.chain_characters),
        ("metadata", facts, limits.facts_characters),
    ):
        if len(text) > most:
            return replace(row, fault=f"the {name} has {len(text)} characters, over the limit of {most}")
        if _HALF in text:
            return replace(row, fault=f"the {name} holds half a surrogate pair, which is no character")
    row = replace(row, prompt=prompt, chain=chain, facts=facts)
    if encoded is None:
        return row
    try:
        data, pixels = _measured(encoded, limits)
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
    text = isinstance(value, str) and len(value) <= MOST_IDENTITY
    if value is None or text or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise HTTPException(422, f"{key}: expected a number or a text of at most {MOST_IDENTITY} characters")
