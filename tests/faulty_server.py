"""A server of chat completions on the loopback device that fails in the ways it is told to."""

from __future__ import annotations

import json
import math
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Next = Callable[[str], Mapping[str, float]]


class FaultyServer(ThreadingHTTPServer):
    """Answers "echo: <question>", or what `text` makes of it; before that, what `faults` lists for the question.

    One fault a request: a state (500), a state with Retry-After ("429:0.2"), "slow", "busy", "cut", "half", "not json",
    "odd json", "empty", "abort" or "filter"; a fault given as a bare string, not in a list, lasts for ever.

    Attributes:
        mood: a fault of every request that has none of its own; besides those above "hang" (silence until the mood
            changes) and "babble" (an answer in good form whose text means nothing).
        model: the name that replies state; None states none.
        tokens: that replies say question and answer had; None says nothing.
        answer: instead of all that, what a body is answered with: (state, JSON value or bytes, headers).
        names: of the models that it lists; None where it lists none.
        headers: of every request.
        held: the answer under the schema of a `response_format`, "400" or "500" to reject it; None ignores it.
    """

    daemon_threads = True

    def __init__(self, faults: Mapping[str, list[str] | str], next_tokens: Next | None, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.faults = {name: fault if isinstance(fault, str) else list(fault) for name, fault in faults.items()}
        self.next_tokens = next_tokens
        self.text: Callable[[str], str] = lambda question: f"echo: {question}"
        self.held: Callable[[Any], str] | None = None
        self.mood = ""
        self.model: str | None = None
        self.tokens: tuple[int, int] | None = None
        self.answer: Callable[[dict[str, Any]], tuple[int, Any, Mapping[str, str]]] | None = None
        self.names: list[str] | None = None
        self.headers: list[Mapping[str, str]] = []
        self.bodies: list[dict[str, Any]] = []
        self.asked: Counter[str] = Counter()
        self.times: dict[str, list[float]] = defaultdict(list)
        self.under_way = self.most_under_way = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def fault(self, question: str) -> str:
        with self.lock:
            given = self.faults.get(question, "")
            if isinstance(given, str):
                return given or self.mood
            return given.pop(0) if given else self.mood

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that have given up are part of the plan."""


class _Handler(BaseHTTPRequestHandler):
    server: FaultyServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Silent."""

    def do_GET(self) -> None:
        names = self.server.names
        listed = {"data": [{"id": name} for name in names or ()]}
        self._send(404 if names is None else 200, json.dumps(listed).encode())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        asked = next(turn for turn in body["messages"] if turn["role"] == "user")["content"]
        question = [part["text"] for part in asked if part["type"] == "text"][-1]
        server = self.server
        with server.lock:
            server.bodies.append(body)
            server.headers.append(dict(self.headers.items()))
            server.asked[question] += 1
            server.times[question].append(time.monotonic())
            server.under_way += 1
            server.most_under_way = max(server.most_under_way, server.under_way)
        try:
            self._answer(question, body, server.fault(question))
        finally:
            with server.lock:
                server.under_way -= 1

    def _answer(self, question: str, body: dict[str, Any], fault: str) -> None:
        if self.server.answer is not None:
            given, content, headers = self.server.answer(body)
            return self._send(given, content if isinstance(content, bytes) else json.dumps(content).encode(), headers)
        held = ""
        if self.server.held is not None and "response_format" in body and not fault:
            held = self.server.held(body["response_format"]["json_schema"]["schema"])
            fault = held if held.isdigit() else ""
        state, _, wait = fault.partition(":")
        if state.isdigit():
            headers = {"retry-after": wait} if wait else {}
            return self._send(int(state), b'{"error": {"message": "as planned"}}', headers)
        if fault == "cut":
            self.close_connection = True
            return None
        if fault == "hang":
            while self.server.mood == "hang":
                time.sleep(0.02)
        if fault in ("slow", "busy"):
            time.sleep(1.6 if fault == "slow" else 0.05)
        no_answer = {"not json": b"<html>all is well</html>", "odd json": b'{"choices": []}'}
        if fault in no_answer:
            return self._send(200, no_answer[fault])
        odd = {"empty": None, "filter": None, "babble": "!!!!!!"}
        text = odd[fault] if fault in odd else held or self.server.text(question)
        choice: dict[str, Any] = {"message": {"content": text}, "finish_reason": "stop"}
        if fault in ("filter", "abort"):
            choice["finish_reason"] = "content_filter" if fault == "filter" else "abort"
        if body.get("logprobs") and self.server.next_tokens is not None:
            choice["logprobs"] = {"content": [{"top_logprobs": self._listed(body)}]}
        reply: dict[str, Any] = {"choices": [choice]}
        if self.server.model is not None:
            reply["model"] = self.server.model
        if self.server.tokens is not None:
            asked, answered = self.server.tokens
            reply["usage"] = {"prompt_tokens": asked, "completion_tokens": answered}
        content = json.dumps(reply).encode()
        return self._send(200, content, cut=fault == "half")

    def _listed(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        last = body["messages"][-1]
        begun = last["content"] if last["role"] == "assistant" else ""
        following = self.server.next_tokens(begun).items() if self.server.next_tokens else ()
        best = sorted(following, key=lambda entry: -entry[1])[: body["top_logprobs"]]
        return [{"token": token, "logprob": math.log(chance)} for token, chance in best]

    def _send(self, state: int, content: bytes, headers: Mapping[str, str] | None = None, *, cut: bool = False) -> None:
        self.send_response(state)
        for name, value in {"content-type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if cut else content)
        if cut:
            self.close_connection = True


@contextmanager
def faulty_server(
    faults: Mapping[str, list[str] | str] | None = None, next_tokens: Next | None = None, port: int = 0
) -> Iterator[FaultyServer]:
    """A running server, stopped at the end; at any free port, unless one is given."""
    server = FaultyServer(faults or {}, next_tokens, port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
