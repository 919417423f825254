"""Throughput of a fleet of three judge servers while one of them is sick; prints a Markdown table.

    python -m tests.perf.fleet [--requests 240]

Three local servers take 200 ms an answer, four at a time each. The time-out is one second. Every row is a fresh fleet
that was well before; "lost" counts requests without an answer of their own.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from contextlib import ExitStack

from gotr1_eval.core.outcome import Reply
from gotr1_eval.core.protocols import Request
from gotr1_eval.core.reading import read_scores
from gotr1_eval.models.vlms.openai_compatible import ServedVlm, Settings
from rewards.asking import Answer, ask_all
from tests.faulty_server import FaultyServer, faulty_server


def read(index: int, reply: Reply) -> float:
    return read_scores(reply.text, names=["score"], low=0, high=10, finish=reply.finish)["score"]


def measure(vlm: ServedVlm, requests: int) -> tuple[float, int]:
    """(requests a second, requests without an answer)."""
    start = time.perf_counter()
    answers = ask_all(vlm, [Request(prompt=f"question {place}") for place in range(requests)], read)
    seconds = time.perf_counter() - start
    return requests / seconds, sum(not isinstance(answer, Answer) for answer in answers)


def slow_score(question: str) -> str:
    time.sleep(0.2)
    return json.dumps({"score": 7})


def row(mood: str, requests: int) -> tuple[float, ...]:
    with ExitStack() as stack:
        servers: list[FaultyServer] = [stack.enter_context(faulty_server()) for _ in range(3)]
        for server in servers:
            server.text = slow_score
        urls = [server.url for server in servers]
        vlm = ServedVlm(Settings(base_url=urls, model="judge", workers=4, timeout_s=1.0, first_wait_s=0.1, probe_s=0.2))
        measure(vlm, 24)
        well, lost = measure(vlm, requests)
        servers[1].mood = mood
        sick, lost_sick = measure(vlm, requests)
        out, lost_out = measure(vlm, requests)
        servers[1].mood = ""
        time.sleep(0.5)
        until = time.monotonic() + 90
        while "servers 3/3" not in vlm.traffic() and time.monotonic() < until:
            measure(vlm, 8)
        again, lost_again = measure(vlm, requests)
    return well, sick, out, again, lost + lost_sick + lost_out + lost_again


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=240)
    asked = parser.parse_args()
    logging.disable(logging.WARNING)
    print("| the second server | all well, requests/s | falling sick | left out | back | lost |")
    print("|---|---|---|---|---|---|")
    names = {"cut": "closes connections", "hang": "hangs", "not json": "answers no JSON", "babble": "answers nonsense"}
    for mood, name in names.items():
        well, sick, out, again, lost = row(mood, asked.requests)
        print(f"| {name} | {well:.0f} | {sick / well:.2f} of it | {out / well:.2f} | {again / well:.2f} | {lost:.0f} |")


if __name__ == "__main__":
    main()
