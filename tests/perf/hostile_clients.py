"""The reward server among hostile clients; prints what honest ones see of it.

    python -m tests.perf.hostile_clients [--seconds 120] [--hostile 50] [--honest 4]

Starts `gotr1-eval serve --judges geometric`. Every hostile client does one thing over and over: huge prompts, chains
full of boxes, pictures at the limit and far beyond it, facts of a hundred thousand values, batches in columns of all of
these, JSON of a million values, bodies that drip or never end, wrong types, foreign pages, requests whose client does
not wait for the answer. An honest client sends eight samples with
pictures a quarter of a second after its last answer. Ends with status 1 unless the server lives, held less than 2 GB,
and answered 95 % of the honest requests within five seconds and the rest 429 with Retry-After.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import json
import os
import random
import re
import struct
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

PATIENCE = 5.0
MOST_MEMORY = 2_000_000_000
CHAIN = "A cat (0,400),(200,600) and a dog (800,400),(1000,600)"
Client = Callable[[int], Awaitable[None]]


@dataclass(slots=True)
class Observed:
    """What honest clients saw."""

    seconds: list[float] = field(default_factory=list)
    told: Counter[str] = field(default_factory=Counter)

    def share(self) -> float:
        """Of requests that were answered in time."""
        return sum(second <= PATIENCE for second in self.seconds) / max(1, sum(self.told.values()))


def picture(side: int, grain: int = 1) -> str:
    """A PNG of noise in base64; the coarser its grain, the smaller."""
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (side // grain, side // grain, 3), np.uint8)
    Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def empty_picture(side: int) -> str:
    """A square PNG in one colour, a few kilobytes whatever its size, in base64."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)
    packer = zlib.compressobj(1)
    rows = b"".join(packer.compress(bytes(1 + 4 * side)) for _ in range(side)) + packer.flush()
    file = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return base64.b64encode(file).decode()


def row(prompt: str = "a cat on the left of a dog", chain: str = CHAIN, image: str | None = None) -> dict[str, object]:
    turn = {"text": prompt} | ({} if image is None else {"image_b64": image})
    return {"history": [turn], "required_rewards": ["geometric"], "metadata": {"chain": chain}}


def score_request(*rows: object) -> bytes:
    return http(json.dumps({"requests": rows}).encode())


def batch_request(**columns: object) -> bytes:
    return http(json.dumps(columns).encode(), path="/")


def http(
    body: bytes, headers: str = "Host: 127.0.0.1\r\nContent-Type: application/json\r\n", path: str = "/score"
) -> bytes:
    head = f"POST {path} HTTP/1.1\r\n{headers}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@asynccontextmanager
async def connection(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def exchange(port: int, request: bytes) -> bytes:
    """The whole answer to a request."""
    async with connection(port) as (reader, writer):
        with suppress(ConnectionError):
            writer.write(request)
            await writer.drain()
        return await reader.read()


def sends(request: bytes) -> Client:
    """A client that sends one request over and over, each after the last one's answer."""

    async def client(port: int) -> None:
        await exchange(port, request)

    return client


async def drips(port: int) -> None:
    """A body of which a byte comes every tenth of a second."""
    async with connection(port) as (reader, writer):
        writer.write(b"POST /score HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n")
        writer.write(b"Content-Length: 60000000\r\n\r\n")
        while not reader.at_eof():
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.1)


async def never_ends(port: int) -> None:
    """A body in pieces without a last one."""
    async with connection(port) as (_, writer):
        writer.write(b"POST /score HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n")
        writer.write(b"Transfer-Encoding: chunked\r\n\r\n")
        piece = b"40000\r\n" + b" " * 0x40000 + b"\r\n"
        while True:
            writer.write(piece)
            await writer.drain()


def leaves(request: bytes) -> Client:
    """A client that does not wait for the answer."""

    async def client(port: int) -> None:
        async with connection(port) as (_, writer):
            writer.write(request)
            await writer.drain()
            await asyncio.sleep(0.05)

    return client


def hostile_clients() -> list[Client]:
    """One of each kind."""
    boxes = " ".join(f"cat {place} (0,400),(200,600)" for place in range(1_200))
    relations = "a cat on the left of a dog and " * 250
    alike, large, beyond = "cat (0,400),(200,600) " * 1_400, empty_picture(2_048), empty_picture(12_000)
    postscript = base64.b64encode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n").decode()
    deep: dict[str, object] = {}
    for _ in range(60):
        deep = {"a": [deep, 0.5]}
    wrong = [row(), 7, None, [], "x", {"history": "x"}, {"history": [{"text": 5}]}, {"required_rewards": {}}]
    return [
        sends(score_request(row(prompt="a cat on the left of " * 14_000))),
        sends(score_request(*[row(prompt="under " * 8_000)] * 1_000)),
        sends(score_request(*[row(prompt="\U0001f600 above " * 700, chain="\U0001f600" * 30_000)] * 100)),
        sends(score_request(*[row(prompt=relations, chain=boxes[:32_000])] * 64)),
        sends(score_request(*[row(prompt=relations, chain=alike[:32_000])] * 64)),
        sends(score_request(*[row(chain="(" * 32_000), row(chain="[" * 32_000), row(chain="1," * 16_000)] * 40)),
        sends(score_request(*[row(image=large)] * 8)),
        sends(score_request(*[row(image=beyond), row(image=postscript), row(image="file:///dev/zero")] * 10)),
        sends(score_request(*[row(image=picture(1_024))] * 12)),
        sends(score_request(*[row()] * 1_024)),
        sends(score_request(*[row()] * 20_000)),
        sends(http(b'{"requests": [' + b"[]," * 5_000_000 + b"[]]}")),
        sends(http(b"[" * 10_000_000)),
        sends(http(b'{"requests": ["' + "\U0001f600".encode() + b"x" * 60_000_000 + b'"]}')),
        sends(http(b'"' + b"\\n" * 20_000_000 + b'\\ud800"')),
        sends(score_request(*[row() | {"facts": {"questions": list(range(5_000)), "deep": deep}}] * 80)),
        sends(score_request(*[row() | {"request_id": 10**4_000, "scorer_version": "x" * 900_000}] * 8)),
        sends(batch_request(prompts=["under " * 1_300] * 100, chains=[alike[:32_000]] * 100)),
        sends(batch_request(prompts=["a"] * 100_000)),
        sends(batch_request(prompts=["a"] * 64, images=[large, beyond, "file:///dev/zero", postscript] * 16)),
        sends(batch_request(prompts=["a"] * 1_000, metadata=[{"x": [{}] * 200}] * 1_000)),
        sends(http(b'{"fingerprint": {"a": "' + b"x" * 60_000_000 + b'"}}', path="/handshake")),
        *(sends(score_request(one)) for one in wrong[1:3]),
        sends(score_request(*wrong)),
        sends(http(b"{}", "Host: evil.example\r\nContent-Type: application/json\r\n")),
        sends(http(b"{}", "Host: 127.0.0.1\r\nOrigin: http://evil.example\r\nContent-Type: text/plain\r\n")),
        leaves(score_request(*[row(prompt=relations, chain=alike[:32_000])] * 200)),
        drips,
        never_ends,
    ]


async def attack(client: Client, port: int, until: float) -> None:
    """Be that client until then."""
    while (left := until - time.monotonic()) > 0:
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            await asyncio.wait_for(client(port), left)
        await asyncio.sleep(0.02)


async def be_honest(port: int, until: float, seen: Observed, image: str) -> None:
    request = score_request(*[row(image=image)] * 8)
    while time.monotonic() < until:
        begun = time.monotonic()
        try:
            answer = await exchange(port, request)
        except OSError as error:
            seen.told[type(error).__name__] += 1
            continue
        status = answer[9:12].decode() or "nothing"
        if status == "200":
            assert answer.count(b'{"geometric": {"value": 1.0') == 8, answer
            seen.seconds.append(time.monotonic() - begun)
        elif status == "429":
            status = "429, Retry-After" if b"retry-after: " in answer.lower() else "429, bare"
        seen.told[status] += 1
        await asyncio.sleep(0.25)


async def watch_health(port: int, until: float, slowest: list[float]) -> None:
    while time.monotonic() < until:
        begun = time.monotonic()
        answer = await exchange(port, b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        slowest[0] = max(slowest[0], time.monotonic() - begun if answer.startswith(b"HTTP/1.1 200") else PATIENCE * 9)
        await asyncio.sleep(0.5)


def attacks(port: int, seconds: float, count: int) -> None:
    """Be so many hostile clients, of every kind in turn."""

    kinds = hostile_clients()
    print("ready", flush=True)

    async def run() -> None:
        until = time.monotonic() + seconds
        order = [kinds[place % len(kinds)] for place in range(count)]
        random.Random(0).shuffle(order)
        await asyncio.gather(*(attack(client, port, until) for client in order))

    asyncio.run(run())


def measure(seconds: float, hostile: int, honest: int) -> tuple[Observed, float, float, int | None]:
    """(what honest clients saw, the slowest /health in seconds, most memory in bytes, how the server ended)."""
    command = [sys.executable, "-m", "gotr1_eval", "serve", "--judges", "geometric", "--port", "0"]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            said = re.search(r"127\.0\.0\.1:(\d+)", first_line(server))
            assert said is not None
            port, seen, slowest = int(said[1]), Observed(), [0.0]
            options = ["--port", str(port), "--seconds", str(seconds), "--hostile", str(hostile)]
            attack = [sys.executable, "-m", "tests.perf.hostile_clients", *options]
            with subprocess.Popen(attack, stdout=subprocess.PIPE, text=True) as attackers:
                assert first_line(attackers) == "ready\n"

                async def run() -> None:
                    until = time.monotonic() + seconds
                    image = picture(384, 4)
                    clients = [be_honest(port, until, seen, image) for _ in range(honest)]
                    await asyncio.gather(*clients, watch_health(port, until, slowest))

                asyncio.run(run())
                attackers.wait(60)
            return seen, slowest[0], peak_memory(server.pid), server.poll()
        finally:
            server.kill()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def peak_memory(process: int) -> float:
    """The most resident memory so far of a process and of those it began, in bytes."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    began = " ".join(
        threads.read_text(encoding="ascii") for threads in Path(f"/proc/{process}/task").glob("*/children")
    )
    return (1024 * int(found[1]) if found else 0.0) + sum(peak_memory(int(child)) for child in began.split())


def main() -> int:
    """Print the figures; 1 where they are not what they must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--hostile", type=int, default=50)
    parser.add_argument("--honest", type=int, default=4)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)  # be the hostile clients of that server
    asked = parser.parse_args()
    if asked.port is not None:
        attacks(asked.port, asked.seconds, asked.hostile)
        return 0
    seen, slowest, memory, ended = measure(asked.seconds, asked.hostile, asked.honest)
    late = [second for second in seen.seconds if second > PATIENCE]
    print(f"honest requests: {sum(seen.told.values())}, answered: {dict(seen.told)}")
    if seen.seconds:
        middle, last = (float(np.quantile(seen.seconds, share)) for share in (0.5, 0.95))
        print(
            f"within {PATIENCE:.0f} s: {seen.share():.1%}; median {middle:.2f} s, 95 % {last:.2f} s, late {len(late)}"
        )
    print(f"slowest /health: {slowest:.2f} s; most memory: {memory / 1e9:.2f} GB; alive: {ended is None}")
    polite = set(seen.told) <= {"200", "429, Retry-After"} and not late
    return 0 if seen.share() >= 0.95 and polite and memory < MOST_MEMORY and ended is None else 1


if __name__ == "__main__":
    sys.exit(main())
