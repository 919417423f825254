"""What guards our servers' sockets, on real ones: silence, drip, endless bodies, clients that go away."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from fastapi import FastAPI

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.types import Sample
from gotr1_eval.web import addresses, guard
from gotr1_eval.web.admission import Limits
from gotr1_eval.web.reward_server import create_app
from rewards.reward_set import RewardSet
from tests.fakes import ScriptedJudge
from tests.perf.hostile_clients import MOST_MEMORY, measure

pytestmark = pytest.mark.slow

BODY = json.dumps(
    {"requests": [{"history": [{"text": "a cat"}], "required_rewards": ["x"], "metadata": {"chain": ""}}]}
).encode()
HEAD = b"POST /score HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


def app(limits: Limits | None = None) -> FastAPI:
    return create_app(RewardSet({"x": ScriptedJudge(lambda _: Score(value=1.0))}), limits=limits)


@contextmanager
def running(application: FastAPI) -> Iterator[int]:
    """The port at which the application answers."""
    with addresses.listening("127.0.0.1", 0) as listener:
        server = guard.server(application)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(30)


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        yield connection


def answer(connection: socket.socket) -> str:
    """All that comes until the server closes the connection."""
    came = b""
    while piece := connection.recv(65_536):
        came += piece
    return came.decode()


def sized(body: bytes) -> bytes:
    return HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def test_an_honest_request_is_answered():
    with running(app()) as port, connected(port) as connection:
        connection.sendall(sized(BODY))
        assert '"results": [{"x": {"value": 1.0}}]' in answer(connection)


@pytest.mark.parametrize("beginning", [b"", b"POST /score HT", HEAD + b"X: "])
def test_a_request_that_never_begins_is_hung_up_on(monkeypatch: pytest.MonkeyPatch, beginning: bytes):
    monkeypatch.setattr(guard, "HEAD_SECONDS", 0.5)
    with running(app()) as port, connected(port) as connection:
        connection.sendall(beginning)
        assert answer(connection) == ""


def test_a_second_request_must_begin_in_time_as_well(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(guard, "HEAD_SECONDS", 0.5)
    with running(app()) as port, connected(port) as connection:
        connection.sendall(sized(BODY).replace(b"Connection: close\r\n", b""))
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
        # From here on uvicorn's own limit on idle connections does not hold any more.
        connection.sendall(b"GET ")
        begun = time.monotonic()
        answer(connection)
        assert time.monotonic() - begun < 4


def test_a_body_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.5)
    with running(app()) as port, connected(port) as connection:
        connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n")
        for _ in range(3):
            connection.sendall(b" ")
            time.sleep(0.1)
        told = answer(connection)
    assert told.startswith("HTTP/1.1 408")
    assert "connection: close" in told.lower()


def test_an_endless_body_ends(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(guard, "DRAINED_BYTES", 2**20)
    with running(app(Limits(request_mib=1))) as port, connected(port) as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        with suppress(ConnectionError):
            for _ in range(1_000):
                connection.sendall(piece)
            pytest.fail("a thousand pieces were taken")


def test_a_refused_request_is_read_to_its_end_so_that_its_client_hears_why():
    with running(app()) as port, connected(port) as connection:
        connection.sendall(sized(b"x" * 2**20).replace(b"127.0.0.1", b"evil.example"))
        told = answer(connection)
    assert told.startswith("HTTP/1.1 403")
    assert "this server is not 'evil.example'" in told


def test_who_announces_too_much_is_refused_unread():
    with running(app()) as port, connected(port) as connection:
        connection.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: 99999999999\r\n\r\n")
        assert answer(connection).startswith("HTTP/1.1 413")


def test_what_a_client_asked_for_is_dropped_when_it_has_gone():
    begun, let_go = threading.Event(), threading.Event()

    def slow(sample: Sample) -> Outcome:
        begun.set()
        let_go.wait(30)
        return Score(value=1.0)

    judge = ScriptedJudge(slow)
    with running(create_app(RewardSet({"x": judge}))) as port:
        with connected(port) as busy:
            busy.sendall(sized(BODY))
            assert begun.wait(20)
            for _ in range(5):
                with connected(port) as hasty:
                    hasty.sendall(sized(BODY))
                    time.sleep(0.1)
            time.sleep(0.3)
            let_go.set()
            assert '"value": 1.0' in answer(busy)
        with connected(port) as later:
            later.sendall(sized(BODY))
            answer(later)
    assert len(judge.asked) == 2


@pytest.mark.parametrize(("given", "token"), [("secret\n", "secret"), ("  ", None), (None, None)])
def test_a_token_is_taken_without_its_line_end(monkeypatch: pytest.MonkeyPatch, given: str | None, token: str | None):
    monkeypatch.delenv(addresses.TOKEN, raising=False)
    if given is not None:
        monkeypatch.setenv(addresses.TOKEN, given)
    assert addresses.token_of_environment() == token


@pytest.mark.parametrize("given", ["two words", "a\nb", "sécret"])
def test_a_token_that_fits_no_header_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch, given: str):
    monkeypatch.setenv(addresses.TOKEN, given)
    with pytest.raises(UsageError) as refused:
        addresses.token_of_environment()
    assert given not in str(refused.value)


def test_a_taken_port_is_one_line():
    with addresses.listening("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        assert addresses.address("127.0.0.1", listener) == f"http://127.0.0.1:{port}"
        with pytest.raises(UsageError, match=f"--port {port}: cannot listen there"):
            addresses.listening("127.0.0.1", port)


def test_a_websocket_is_not_spoken():
    async def upgrade() -> None:
        sent: list[dict[str, object]] = []

        async def receive() -> dict[str, object]:
            return {"type": "websocket.connect"}

        async def send(message: dict[str, object]) -> None:
            sent.append(message)

        scope = {"type": "websocket", "path": "/score", "headers": [], "query_string": b"", "subprotocols": []}
        await app()(scope, receive, send)  # type: ignore[arg-type]
        assert [message["type"] for message in sent] == ["websocket.close"]

    asyncio.run(upgrade())


@pytest.mark.slow
def test_among_hostile_clients_of_every_kind_honest_ones_get_scores_or_are_told_when_to_try_again():
    seen, _, memory, ended = measure(seconds=10, hostile=23, honest=2)
    assert ended is None
    assert memory < MOST_MEMORY
    assert set(seen.told) <= {"200", "429, Retry-After"}
    assert seen.told["200"]
