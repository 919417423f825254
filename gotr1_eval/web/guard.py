"""What stands between a socket and a server of ours: foreign pages, endless bodies and silence are turned away.

`Guard` checks every request before the server sees it and limits its body in bytes and time; `server` closes
connections whose request never begins. Limits that depend on what a request asks for are the server's own.
"""

from __future__ import annotations

import asyncio
import hmac
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import h11
import uvicorn
from starlette.exceptions import HTTPException
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from uvicorn.protocols.http.h11_impl import H11Protocol

from gotr1_eval.web.addresses import refusal

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEAD_SECONDS = 10.0
"""That a connection has to say what it wants."""
BODY_SECONDS = 30.0
"""That a body may take, and a second more for every `BYTES_A_SECOND` of it that came."""
BYTES_A_SECOND = 256 * 2**10
DRAINED_BYTES = 8 * 2**20
"""Of a refused request are still read, so that its client reads the refusal instead of a broken connection."""
CONNECTIONS = 900
"""At once; below the 1,024 files that a process may usually have open."""


class Guard:
    """ASGI middleware: refuses foreign requests, and bodies that are too large or too slow.

    Args:
        most_bytes: of one body.
        only_loopback: answer to names of this machine only, see `gotr1_eval.web.addresses.refusal`.
    """

    def __init__(self, app: ASGIApp, *, most_bytes: int, only_loopback: bool) -> None:
        self._app = app
        self._most_bytes = most_bytes
        self._only_loopback = only_loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        body = _Body(request, receive, self._most_bytes)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start" and not await body.drained():
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
            await send(message)

        refused = refusal(request.method, request.headers, only_loopback=self._only_loopback)
        declared = request.headers.get("content-length", "")
        if refused is None and declared.isdigit() and int(declared) > self._most_bytes:
            refused = 413, _too_large(self._most_bytes)
        if refused is None:
            await self._app(scope, body.receive, answer)
        else:
            await JSONResponse({"detail": refused[1]}, refused[0])(scope, body.receive, answer)


def protect(app: Starlette, *, token: str | None, cookie: str, headers: Mapping[str, str], most_bytes: int) -> None:
    """Put a server of pages behind its token and the `Guard`, and headers on everything that it answers.

    Args:
        token: that everyone must have been sent in a link; None for a server that only this machine reaches.
        cookie: for which the link's token is exchanged.
    """

    async def answer(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = _link_refusal(request, token, cookie) or await call_next(request)
        for name, value in headers.items():
            response.headers.setdefault(name, value)
        return response

    app.add_middleware(BaseHTTPMiddleware, dispatch=answer)
    app.add_middleware(Guard, most_bytes=most_bytes, only_loopback=token is None)


def _link_refusal(request: Request, token: str | None, cookie: str) -> Response | None:
    """Why a page's request is not answered; None when it may be. The link's token is exchanged for a cookie.

    Args:
        token: None for a server that only this machine reaches.
        cookie: the cookie's name.
    """
    if token is not None:
        given = request.query_params.get("token")
        if given is not None and request.url.path == "/" and hmac.compare_digest(given.encode(), token.encode()):
            response = RedirectResponse("./", 303)
            response.set_cookie(cookie, token, max_age=90 * 86_400, httponly=True, samesite="lax")
            return response
        if not hmac.compare_digest(request.cookies.get(cookie, "").encode(), token.encode()):
            return PlainTextResponse("Open the whole link that you were sent, with its token.", 401)
    return None


class _Body:
    """The body of a request as it comes in."""

    def __init__(self, request: Request, receive: Receive, most_bytes: int) -> None:
        self._receive = receive
        self._most_bytes = most_bytes
        self._came = 0
        self._begun = asyncio.get_running_loop().time()
        # Who expects "100 Continue" waits with the body until somebody asks for it.
        self._held_back = "expect" in request.headers
        self._complete = request.method in ("GET", "HEAD") and not (
            {"content-length", "transfer-encoding"} & set(request.headers)
        )

    async def receive(self) -> Message:
        """The next piece; after the last one, that the client has gone."""
        if self._complete:
            return await self._receive()
        patience = self._begun + BODY_SECONDS + self._came / BYTES_A_SECOND - asyncio.get_running_loop().time()
        try:
            message = await asyncio.wait_for(self._receive(), patience)
        except TimeoutError:
            raise HTTPException(408, f"the body did not come within {BODY_SECONDS:.0f} seconds") from None
        self._held_back = False
        self._came += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._came > self._most_bytes:
            raise HTTPException(413, _too_large(self._most_bytes))
        return message

    async def drained(self) -> bool:
        """Whether the body has been read to its end, for which a small rest is read and thrown away."""
        rest = self._came + DRAINED_BYTES
        try:
            while not (self._complete or self._held_back) and self._came < rest:
                await self.receive()
        except HTTPException:
            return False
        return self._complete


def _too_large(most_bytes: int) -> str:
    return f"a request may have {most_bytes} bytes; send less at once"


class PunctualProtocol(H11Protocol):
    """Uvicorn's protocol, which closes a connection whose request has not begun within `HEAD_SECONDS`."""

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Wait on, unless the head of a request is complete by now."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        super().connection_lost(exc)
        self._forget()

    def _watch(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._forget()
        elif self._waiting is None:
            self._waiting = self.loop.call_later(HEAD_SECONDS, self._close_if_idle)

    def _forget(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _close_if_idle(self) -> None:
        self._waiting = None
        if self.conn.their_state is h11.IDLE:
            self.transport.close()


def server(app: Any) -> uvicorn.Server:  # noqa: ANN401 - uvicorn's own type of an application is private
    """Uvicorn for an application of ours; its method ``run(sockets=[...])`` answers until interrupted."""
    # The thread that serves sockets gives the interpreter away with every system call, and gets it back from a thread
    # that computes after this interval only: by default 5 ms, which would make 64 KiB of a body take as long.
    sys.setswitchinterval(0.0005)
    config = uvicorn.Config(
        app,
        log_level="warning",
        http=PunctualProtocol,
        ws="none",
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=5,
        server_header=False,
    )
    return uvicorn.Server(config)
