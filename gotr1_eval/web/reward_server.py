"""A reward server: judges behind JSON over HTTP, for trainers that run elsewhere.

``POST /score`` takes rows as the clients of Tencent-Hunyuan/UniRL's reward service send them, ``POST /`` a batch in the
fields of flow_grpo's clients; ``GET /health``, ``GET /rewards`` and ``POST /handshake`` say what is served. All of them
are described by ``GET /openapi.json``, from `gotr1_eval.web.reward_schemas`. Pictures are base64 (no pickle). What all
requests in flight take is limited: one that finds no room is answered 429 with Retry-After, one that never would 413.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import Response

from gotr1_eval.core.protocols import READS_CHAIN, READS_PICTURE
from gotr1_eval.web.admission import MIB, Limits
from gotr1_eval.web.guard import Guard
from gotr1_eval.web.openapi import describe
from gotr1_eval.web.reward_requests import read_batch, read_handshake, read_rows
from gotr1_eval.web.reward_schemas import (
    PROTOCOL,
    BatchAnswer,
    HandshakeAnswer,
    Health,
    Refusal,
    ScoreAnswer,
    Served,
    Terms,
)
from gotr1_eval.web.reward_service import RewardService, say_columns, say_rows
from rewards.reward_set import RewardSet, UnscoredAs, refuse_as_reward

_REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Refusal, "description": "A reward is asked for that nobody serves."},
    401: {"model": Refusal, "description": "The token is missing or wrong."},
    403: {"model": Refusal, "description": "Another page asks, or by another name than this machine's."},
    408: {"model": Refusal, "description": "The body did not come in time."},
    409: {"model": Refusal, "description": "Another scorer_version is asked for."},
    413: {"model": Refusal, "description": "More than a request may hold."},
    415: {"model": Refusal, "description": "The body is not said to be JSON."},
    422: {"model": Refusal, "description": "The body is no request of this server's, or a sample is unscored."},
    429: {"model": Refusal, "description": "No room right now; Retry-After says when."},
    503: {"model": Refusal, "description": "A judge failed, or there are too many connections."},
}


def create_app(
    rewards: RewardSet,
    *,
    token: str | None = None,
    limits: Limits | None = None,
    unscored: UnscoredAs = "error",
    metadata_is: str | None = None,
) -> FastAPI:
    """The server.

    Args:
        rewards: what is served: every judge under its factor's name, and "total" where there is one.
        token: that requests must carry; None lets everyone in who asks for this machine by a loopback name.
        limits: how much is taken on.
        unscored: what is said of samples that a judge could not score.
        metadata_is: name of the fact that a whole ``metadata`` object is; None where it holds facts by name.

    Raises:
        UsageError: a judge is refused as a reward.
    """
    refuse_as_reward(rewards)
    terms = Terms(
        served=tuple(rewards.names),
        headline=rewards.headline if rewards.total is not None or len(rewards.judges) == 1 else None,
        scorer_version=rewards.fingerprint,
        unscored=unscored,
        metadata_is=metadata_is,
    )
    service = RewardService(rewards, terms, limits or Limits())

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        worker = asyncio.create_task(service.work())
        yield
        worker.cancel()

    async def admit(request: Request) -> None:
        if token is not None and not any(hmac.compare_digest(one.encode(), token.encode()) for one in _given(request)):
            raise HTTPException(401, "the token is needed: as a bearer, as basic authorization's password, or ?token=")

    app = FastAPI(title="gotr1-eval rewards", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.add_middleware(Guard, most_bytes=service.limits.request_mib * MIB, only_loopback=token is None)
    app.state.lanes = service.lanes
    app.openapi = lambda: describe(app, terms)  # type: ignore[method-assign]
    served = served_rewards(rewards, terms)

    @app.get("/health", response_model=Health)
    async def health() -> dict[str, object]:
        """Whether the server lives, however busy its judges are; needs no token."""
        names = {name: ["value"] for name in terms.served}
        versions = {"protocol_version": PROTOCOL, "scorer_version": terms.scorer_version}
        return {"status": "ok", "rewards": names, **versions}

    @app.get("/rewards", response_model=Served, responses={401: _REFUSALS[401]}, dependencies=[Depends(admit)])
    async def list_rewards() -> dict[str, object]:
        """What is served, and what its rows must bring."""
        return served

    @app.post("/handshake", response_model=HandshakeAnswer, responses=_REFUSALS, dependencies=[Depends(admit)])
    async def handshake(request: Request) -> dict[str, object]:
        """What is served, to a client that says what it was made for; what the server is not is refused."""
        asked = read_handshake(await service.greeting(request), terms)
        reason = "" if asked.proposed_transport == "http" else "pictures come as base64 over http"
        return {**served, "fingerprint": {}, "accepted_transport": "http", "reason": reason}

    @app.post("/score", response_model=ScoreAnswer, responses=_REFUSALS, dependencies=[Depends(admit)])
    async def score(request: Request) -> Response:
        """Rewards of rows, each with its own list of them (UniRL's protocol)."""
        return Response(await service.answer(request, read_rows, say_rows), media_type="application/json")

    @app.post("/", response_model=BatchAnswer, responses=_REFUSALS, dependencies=[Depends(admit)])
    async def score_batch(request: Request) -> Response:
        """One reward of a batch in columns (flow_grpo's fields, as JSON)."""
        return Response(await service.answer(request, read_batch, say_columns), media_type="application/json")

    return app


def served_rewards(rewards: RewardSet, terms: Terms) -> dict[str, object]:
    """A `gotr1_eval.web.reward_schemas.Served`."""
    details = {}
    for name in terms.served:
        part = rewards.only({name})
        maker = part.judges[name] if part.total is None else part.total
        looks = {judge.looks_at for judge in part.judges.values()}
        details[name] = {
            "judge": maker.name,
            "range": [limit if math.isfinite(limit) else None for limit in maker.range],
            "chain": bool(looks & READS_CHAIN),
            "picture": bool(looks & READS_PICTURE),
            "facts": sorted({fact for judge in part.judges.values() for fact in judge.needs}),
            "may_not_apply": any(judge.may_not_apply for judge in part.judges.values()),
        }
    return {
        "rewards": list(terms.served), "headline": terms.headline, "details": details, "protocol_version": PROTOCOL,
        "scorer_version": terms.scorer_version, "unscored": terms.unscored,
    }  # fmt: skip


def _given(request: Request) -> list[str]:
    """Every token that a request carries: in its query, as a bearer, or as the password of basic authorization.

    An address such as ``http://any:TOKEN@host:8780`` becomes the last of them in most clients.
    """
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    tokens = [*request.query_params.getlist("token")]
    if kind.lower() == "bearer":
        tokens.append(value)
    if kind.lower() == "basic":
        with suppress(binascii.Error, UnicodeError):
            tokens.append(base64.b64decode(value, validate=True).decode().partition(":")[2])
    return tokens
