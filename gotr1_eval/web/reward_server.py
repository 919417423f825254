"""A reward server: judges behind JSON over HTTP, for trainers that run elsewhere.

``POST /score`` and ``GET /health`` speak the protocol of the reward service of Tencent-Hunyuan/UniRL (version "1"):

    {"requests": [{"history": [{"text": prompt, "image_b64": ...}], "required_rewards": ["total"],
                   "metadata": {"chain": ...}}]}
    {"results": [{"total": {"value": 0.31, "semantic": 0.9, ...}}], "errors": [{}], "identities": [...]}

The last entry of the history is judged. An unscored reward stands under ``errors`` with its reason and never among
the results. Pictures are base64 (no pickle); a request is limited in size.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gotr1_eval.core.errors import GotR1Error, one_line
from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.pictures import MAX_PIXELS, PictureError, check_size, open_picture
from gotr1_eval.core.types import Sample
from gotr1_eval.web.batching import BatchingJudges
from rewards.reward_set import RewardSet

PROTOCOL = "1"
MOST_PIXELS = 512_000_000
"""Of all pictures of one request, decoded: 1.5 GB as RGB."""
IDENTITY = ("request_id", "sample_id", "group_id", "source_rank", "policy_version", "scorer_version", "idempotency_key")


class Turn(BaseModel):
    """One entry of a history."""

    model_config = ConfigDict(extra="ignore")

    text: str
    image_b64: str | None = None


class ScoreItem(BaseModel):
    """One sample to be judged; unknown keys are echoed if they identify it, else ignored."""

    model_config = ConfigDict(extra="allow")

    history: list[Turn] = Field(min_length=1)
    required_rewards: list[str] = Field(min_length=1)
    metadata: dict[str, Any] | None = None


class ScoreRequest(BaseModel):
    """The body of ``POST /score``."""

    model_config = ConfigDict(extra="ignore")

    requests: list[ScoreItem]
    protocol_version: str = PROTOCOL


def create_app(rewards: RewardSet, *, token: str | None = None, most_bytes: int = 256 * 2**20) -> FastAPI:
    """The server.

    Args:
        rewards: what is served: every judge under its factor's name, and "total" where there is one.
        token: that requests must carry as ``Authorization: Bearer``; None lets everyone in.
        most_bytes: of one request; a larger one is refused unread.
    """
    batching = BatchingJudges(rewards.judges)
    names = [*rewards.judges, *(["total"] if rewards.total is not None else [])]

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        worker = asyncio.create_task(batching.work())
        yield
        worker.cancel()

    app = FastAPI(title="gotr1-eval rewards", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.batching = batching

    @app.get("/health")
    async def health() -> dict[str, object]:
        return {"status": "ok", "rewards": {name: ["value"] for name in names}, "protocol_version": PROTOCOL}

    @app.post("/score")
    async def score(request: Request) -> JSONResponse:
        _authorise(request, token)
        body = _parse(await _limited(request, most_bytes))
        unknown = {name for item in body.requests for name in item.required_rewards} - set(names)
        if unknown:
            raise HTTPException(400, f"no reward named {', '.join(sorted(unknown))} (served: {', '.join(names)})")
        samples = await asyncio.to_thread(_samples, body.requests)
        try:
            judged = await asyncio.gather(
                *(
                    _score_item(batching, rewards, item, sample)
                    for item, sample in zip(body.requests, samples, strict=True)
                )
            )
        except GotR1Error as error:
            raise HTTPException(502, one_line(error)) from None
        return JSONResponse(
            {
                "protocol_version": PROTOCOL,
                "results": [results for results, _ in judged],
                "errors": [errors for _, errors in judged],
                "identities": [_identity(item) for item in body.requests],
            }
        )

    return app


def _authorise(request: Request, token: str | None) -> None:
    given = request.headers.get("authorization", "")
    if token is not None and not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        raise HTTPException(401, "a bearer token is needed")


async def _limited(request: Request, most: int) -> bytes:
    """The body, given up as soon as it is over the limit, whatever its declared length."""
    chunks = bytearray()
    async for chunk in request.stream():
        chunks += chunk
        if len(chunks) > most:
            raise HTTPException(413, f"a request may have {most} bytes; send fewer samples at once")
    return bytes(chunks)


def _parse(body: bytes) -> ScoreRequest:
    try:
        parsed = ScoreRequest.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "body"
        raise HTTPException(422, f"{place}: {one_line(first['msg'])}") from None
    if parsed.protocol_version != PROTOCOL:
        raise HTTPException(422, f"protocol_version {parsed.protocol_version!r}, this server speaks {PROTOCOL!r}")
    return parsed


async def _score_item(
    batching: BatchingJudges, rewards: RewardSet, item: ScoreItem, sample: Sample | PictureError
) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    """(results, errors) of one sample."""
    if isinstance(sample, PictureError):
        return {}, dict.fromkeys(item.required_rewards, f"no_input: {sample}")
    wanted = set(item.required_rewards)
    total = rewards.total if "total" in wanted else None
    factors = [name for name in rewards.judges if name in wanted or (total and name in total.rule.factors)]
    outcomes: dict[str, Outcome] = dict(
        zip(factors, await asyncio.gather(*(batching.outcome(name, sample) for name in factors)), strict=True)
    )
    if total is not None:
        outcomes["total"] = total.combine(outcomes)
    results: dict[str, dict[str, float]] = {}
    errors: dict[str, str] = {}
    for name in item.required_rewards:
        outcome = outcomes[name]
        if isinstance(outcome, Score):
            results[name] = {"value": outcome.value, **outcome.parts}
        else:
            errors[name] = f"{outcome.why.value}: {outcome.detail}"
    return results, errors


def _samples(items: Sequence[ScoreItem]) -> list[Sample | PictureError]:
    """The samples of a request, or what is wrong with their pictures; the pixels of all together are limited."""
    left = MOST_PIXELS
    found: list[Sample | PictureError] = []
    for item in items:
        try:
            sample = _sample(item, left)
        except PictureError as error:
            found.append(error)
            continue
        if isinstance(sample.image, Image.Image):
            left -= sample.image.width * sample.image.height
        found.append(sample)
    return found


def _sample(item: ScoreItem, most_pixels: int) -> Sample:
    """The sample that a request holds.

    Raises:
        PictureError: the picture is not base64, or not a picture.
    """
    turn = item.history[-1]
    metadata: Mapping[str, Any] = item.metadata or {}
    chain = metadata.get("chain")
    picture = None if turn.image_b64 is None else _picture(turn.image_b64, most_pixels)
    return Sample(id="", prompt=turn.text, chain=chain if isinstance(chain, str) else None, image=picture)


def _picture(encoded: str, most_pixels: int) -> Image.Image:
    try:
        data = base64.b64decode(encoded, validate=True)
        with Image.open(io.BytesIO(data)) as picture:
            check_size(picture, min(MAX_PIXELS, most_pixels))
            picture.load()
            return open_picture(picture)
    except binascii.Error:
        raise PictureError("the picture is not base64") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, PictureError):
            raise
        raise PictureError(f"the picture cannot be decoded: {one_line(error)}") from None


def _identity(item: ScoreItem) -> dict[str, Any]:
    extra = item.model_extra or {}
    return {key: extra.get(key) for key in IDENTITY}
