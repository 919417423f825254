"""A server of OpenAI's images interface on the loopback device that fails in the ways it is told to."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

DECLINED = {"error": {"message": "no", "code": "content_policy_violation"}}


def drawing(prompt: str, seed: int, size: tuple[int, int]) -> Image.Image:
    """A picture of one colour, which prompt and seed decide; never black."""
    digest = sum(map(ord, prompt)) * 7919 + seed * 104729
    return Image.new("RGB", size, (50 + digest % 200, 50 + digest // 200 % 200, 99))


class FaultyPainter(ThreadingHTTPServer):
    """Paints a colour; before that, what `faults` lists for the prompt, one a request.

    A state (500), a state with Retry-After ("429:0.2"), "half" (a picture that is cut off), "broken" (base64 that is
    none), "size" (another one than asked), "refused" and "no data" (with state 200), "address", "cut", "slow".

    Attributes:
        mood: a fault of every request that has none of its own.
        strict: names of parameters that are rejected.
        revises: whether it says that it has painted another prompt.
    """

    daemon_threads = True

    def __init__(self, faults: Mapping[str, list[str]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.faults = {prompt: list(one) for prompt, one in faults.items()}
        self.mood = ""
        self.strict: tuple[str, ...] = ()
        self.revises = False
        self.bodies: list[dict[str, Any]] = []
        self.asked: Counter[str] = Counter()
        self.under_way = self.most_under_way = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that have given up are part of the plan."""


class _Handler(BaseHTTPRequestHandler):
    server: FaultyPainter
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Silent."""

    def do_GET(self) -> None:
        self._send(200, {"data": [{"id": "painter"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        server, prompt = self.server, body["prompt"]
        with server.lock:
            server.bodies.append(body)
            server.asked[prompt] += 1
            server.under_way += 1
            server.most_under_way = max(server.most_under_way, server.under_way)
            listed = server.faults.get(prompt, [])
            fault = listed.pop(0) if listed else server.mood
        try:
            self._answer(body, fault)
        finally:
            with server.lock:
                server.under_way -= 1

    def _answer(self, body: dict[str, Any], fault: str) -> None:
        for name in self.server.strict:
            if name in body:
                return self._send(400, {"error": {"message": f"Unknown parameter: '{name}'.", "param": name}})
        state, _, wait = fault.partition(":")
        if state.isdigit():
            return self._send(int(state), {"error": {"message": "as planned"}}, {"retry-after": wait} if wait else {})
        if fault == "declined":
            return self._send(400, DECLINED)
        if fault == "cut":
            self.close_connection = True
            return None
        if fault == "slow":
            time.sleep(1.6)
        if fault in ("refused", "no data"):
            return self._send(200, {"data": [], "reason": "moderation" if fault == "refused" else "none"})
        width, height = map(int, body.get("size", "16x16").split("x"))
        size = (width + 8, height) if fault == "size" else (width, height)
        buffer = io.BytesIO()
        drawing(body["prompt"], body.get("seed", 0), size).save(buffer, format="PNG")
        content = buffer.getvalue()[: -30 if fault == "half" else None]
        entry = {"b64_json": "%%%" if fault == "broken" else base64.b64encode(content).decode()}
        if fault == "address":
            entry = {"url": "http://127.0.0.1:9/picture.png"}
        if self.server.revises:
            entry["revised_prompt"] = f"{body['prompt']}, in oil"
        return self._send(200, {"created": 1, "data": [entry]})

    def _send(self, state: int, content: object, headers: Mapping[str, str] | None = None) -> None:
        data = json.dumps(content).encode()
        self.send_response(state)
        for name, value in {"content-type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def faulty_painter(faults: Mapping[str, list[str]] | None = None) -> Iterator[FaultyPainter]:
    """A running server, stopped at the end."""
    server = FaultyPainter(faults or {})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
