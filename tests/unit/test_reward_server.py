"""The reward server: its protocol, its limits, and that it batches."""

from __future__ import annotations

import base64
import io
import json
import random
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from gotr1_eval.build import Builder
from gotr1_eval.core.chain import write_chain
from gotr1_eval.core.errors import BackendError, LabelError, UsageError
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.types import Box, Sample
from gotr1_eval.web.admission import Budget, Limits, NeverFitsError, NoRoomError
from gotr1_eval.web.reward_server import create_app
from rewards.reward_set import RewardSet
from tests.fakes import ScriptedJudge

JSON = {"Content-Type": "application/json"}
HERE = "http://127.0.0.1:8780"
CHAIN = write_chain([("cat", Box(0, 0.4, 0.2, 0.6)), ("dog", Box(0.8, 0.4, 1, 0.6))])


def opened(app: FastAPI) -> TestClient:
    return TestClient(app, base_url=HERE)


def encoded(colour: str = "white", side: int = 16) -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def item(
    prompt: str = "a cat on the left of a dog", *rewards: str, image: str | None = None, **extra: Any
) -> dict[str, Any]:
    turn = {"text": prompt} | ({"image_b64": image} if image else {})
    return {
        "history": [turn],
        "required_rewards": list(rewards or ["geometric"]),
        "metadata": {"chain": CHAIN},
        **extra,
    }


@pytest.fixture
def client() -> Iterator[TestClient]:
    with opened(create_app(Builder().reward_set("geometric"))) as client:
        yield client


def score(client: TestClient, *items: dict[str, Any]) -> dict[str, Any]:
    answer = client.post("/score", json={"protocol_version": "1", "requests": list(items)})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_health_names_the_rewards(client: TestClient):
    health = client.get("/health").json()
    assert health.pop("scorer_version") == Builder().reward_set("geometric").fingerprint
    assert health == {"status": "ok", "rewards": {"geometric": ["value"]}, "protocol_version": "1"}


def test_scores_come_back_in_order_with_identity(client: TestClient):
    body = score(client, item(request_id="a", group_id="g"), item("a cat on the right of a dog", request_id="b"))
    assert [result["geometric"]["value"] for result in body["results"]] == [1.0, 0.0]
    assert [identity["request_id"] for identity in body["identities"]] == ["a", "b"]
    assert body["identities"][0]["group_id"] == "g"


def test_an_unscored_reward_is_an_error_never_a_number(client: TestClient):
    body = score(client, item("a red bench"))
    assert body["results"] == [{}]
    assert body["errors"][0]["geometric"].startswith("not_applicable: ")


def test_the_total_brings_its_factors():
    with opened(create_app(Builder().reward_set("shapes"))) as client:
        body = score(client, item("a red circle and a blue square", "total", image=encoded()))
    assert set(body["results"][0]) == {"total"}
    assert set(body["results"][0]["total"]) == {"value"}
    assert {"semantic", "reasoning_image", "prompt_image"} <= set(body["parts"][0]["total"])


@pytest.mark.parametrize("image", ["%%%", "é", base64.b64encode(b"no picture").decode()])
def test_a_bad_picture_is_its_own_fault(client: TestClient, image: str):
    body = score(client, item(image=image), item())
    assert body["errors"][0]["geometric"].startswith("no_input: ")
    assert body["results"][1]["geometric"]["value"] == 1.0


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"requests": [item("p", "nonesuch")]}, 400, "no reward named nonesuch"),
        ({"requests": [{"history": [], "required_rewards": ["geometric"]}]}, 422, "requests.0.history"),
        ({"requests": [], "protocol_version": "2"}, 422, "speaks '1'"),
        ([], 422, "body"),
    ],
)
def test_bad_requests_get_one_line(client: TestClient, body: object, status: int, words: str):
    answer = client.post("/score", json=body)
    assert answer.status_code == status
    assert words in answer.json()["detail"]


def test_the_size_limit_and_the_token():
    rewards = Builder().reward_set("geometric")
    with opened(create_app(rewards, token="secret", limits=Limits(request_mib=1))) as client:
        assert client.post("/score", json={"requests": [item()]}).status_code == 401
        sign = {"Authorization": "Bearer secret"}
        assert client.post("/score", json={"requests": [item()]}, headers=sign).status_code == 200
        large = client.post("/score", json={"requests": [item("x" * 2**20)]}, headers=sign)
        assert (large.status_code, large.headers["connection"]) == (413, "close")
        assert client.get("/health").status_code == 200
        # Whoever has the token may come under any name, as through a proxy.
        named = sign | {"Host": "rewards.example"}
        assert client.post("/score", json={"requests": [item()]}, headers=named).status_code == 200


def test_concurrent_requests_share_a_batch():
    judge = ScriptedJudge(lambda sample: Score(value=len(sample.prompt) / 100))
    app = create_app(RewardSet({"x": judge}))
    app.state.lanes.seconds = 0.3
    with opened(app) as client, ThreadPoolExecutor(8) as pool:
        prompts = ["p" * length for length in range(1, 9)]
        answers = list(pool.map(lambda prompt: score(client, item(prompt, "x")), prompts))
    assert [answer["results"][0]["x"]["value"] for answer in answers] == [len(prompt) / 100 for prompt in prompts]
    assert app.state.lanes.batches["x"] < 8


def test_a_failed_judge_answers_for_its_batch_and_the_server_lives():
    def answer(sample: Sample) -> Outcome:
        if sample.prompt == "fail":
            raise BackendError("out of memory")
        return Unscored(why=Why.REFUSED, detail="no") if sample.prompt == "refuse" else Score(value=1.0)

    with opened(create_app(RewardSet({"x": ScriptedJudge(answer)}))) as client:
        assert score(client, item("fail", "x"))["errors"] == [{"x": "backend: out of memory"}]
        assert score(client, item("refuse", "x"))["errors"] == [{"x": "refused: no"}]
        assert score(client, item("fine", "x"))["results"] == [{"x": {"value": 1.0}}]


def test_a_judge_that_breaks_costs_the_rows_that_break_it():
    def answer(sample: Sample) -> Outcome:
        if sample.prompt == "key":
            raise UsageError("401: wrong key")
        if sample.prompt == "bug":
            raise KeyError("word")
        if sample.prompt == "name":
            raise LabelError("no word in the name '?'")
        return Score(value=2.0 if sample.prompt == "range" else 1.0)

    app = create_app(RewardSet({"x": ScriptedJudge(answer), "y": ScriptedJudge(lambda _: Score(value=0.5), "y")}))
    with opened(app) as client:
        body = score(client, item("fine", "x"), item("bug", "x", "y"), item("range", "x"), item("name", "x"))
        assert score(client, item("key", "x"), item("fine", "x"))["errors"] == [{"x": "backend: 401: wrong key"}] * 2
    assert [result.get("x") for result in body["results"]] == [{"value": 1.0}, None, None, None]
    assert body["results"][1] == {"y": {"value": 0.5}}
    assert body["errors"][1]["x"].startswith("backend: the judge failed: KeyError: 'word'")
    assert "judge 'scripted' declares the range" in body["errors"][2]["x"]
    assert body["errors"][3] == {"x": "backend: no word in the name '?'"}


def test_a_slow_judge_blocks_neither_health_nor_other_judges():
    let_go = threading.Event()

    def slow(_: Sample) -> Outcome:
        let_go.wait(30)
        return Score(value=1.0)

    judges = {"slow": ScriptedJudge(slow, "slow"), "quick": ScriptedJudge(lambda _: Score(value=1.0), "quick")}
    with opened(create_app(RewardSet(judges), limits=Limits(seconds=0.5))) as client, ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(score, client, item("a", "slow")) for _ in range(4)]
        assert score(client, item("a", "quick"))["results"] == [{"quick": {"value": 1.0}}]
        assert client.get("/health").status_code == 200
        errors = [each.result()["errors"] for each in waiting]
        let_go.set()
    assert errors == [[{"slow": "backend: not judged within 0.5 seconds"}]] * 4


def test_judges_that_share_a_model_take_turns():
    together, most = 0, 0
    lock = threading.Lock()

    def slow(_: Sample) -> Outcome:
        nonlocal together, most
        with lock:
            together += 1
            most = max(most, together)
        time.sleep(0.05)
        with lock:
            together -= 1
        return Score(value=1.0)

    judges = {name: ScriptedJudge(slow, name) for name in ("a", "b")}
    for turns, at_once in (([{"a", "b"}], 1), ([], 2)):
        most = 0
        with opened(create_app(RewardSet(judges, turns=turns))) as client, ThreadPoolExecutor(4) as pool:
            wanted = [("a",), ("b",), ("a",), ("b",)]
            bodies = list(pool.map(lambda names: score(client, item("p", *names)), wanted))
        assert all(body["errors"] == [{}] for body in bodies)
        assert most == at_once


@pytest.mark.parametrize(
    ("model", "turns"),
    [
        ({"use": "tests.plugins.scripted_vlm"}, [{"semantic", "spatial", "reasoning_image"}]),
        ({"use": "openai_compatible", "base_url": "http://127.0.0.1:9/v1", "model": "m"}, []),
    ],
)
def test_a_builder_tells_which_judges_share_a_model_of_this_process(model: dict[str, Any], turns: list[set[str]]):
    rewards = Builder().reward_set("semantic,geometric,spatial,reasoning_image", model)
    assert rewards.turns == turns


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"history": [{"text": "x" * 8_001}]}, "the prompt has 8001 characters, over the limit of 8000"),
        ({"metadata": {"chain": "x" * 32_001}}, "the chain has 32001 characters, over the limit of 32000"),
        ({"history": [{"text": "half \ud800"}]}, "the prompt holds half a surrogate pair"),
        ({"metadata": {"chain": "\\ud800 \U0001f600 other half \udfff"}}, "the chain holds half a surrogate pair"),
        ({"history": [{"text": "a cat", "image_url": "http://169.254.169.254/"}]}, "'image_url' is not opened"),
        ({"history": [{"text": "a cat", "image": "file:///dev/zero"}]}, "'image' is not opened"),
    ],
)
def test_what_is_wrong_with_a_row_costs_that_row(client: TestClient, changed: dict[str, Any], words: str):
    requests = [item(request_id="\\ud800 \U0001f600"), item(request_id="b") | changed, item()]
    answer = client.post("/score", content=json.dumps({"requests": requests}), headers=JSON)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert [len(results) for results in body["results"]] == [1, 0, 1]
    assert body["identities"][0]["request_id"] == "\\ud800 \U0001f600"
    assert body["errors"][1]["geometric"].startswith("no_input: ")
    assert words in body["errors"][1]["geometric"]


@pytest.mark.parametrize("address", ["file:///dev/zero", "/dev/stdin", "http://127.0.0.1:1/x.png", "data:,", "../x"])
def test_addresses_and_paths_are_never_opened(client: TestClient, address: str):
    (errors,) = score(client, item(image=address))["errors"]
    assert errors["geometric"].startswith("no_input: the picture ")


def test_a_data_url_holds_a_picture(client: TestClient):
    assert score(client, item(image=f"data:image/png;base64,{encoded()}"))["errors"] == [{}]


def test_postscript_starts_no_program(client: TestClient, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a program was started"))
    page = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
    (errors,) = score(client, item(image=base64.b64encode(page).decode()))["errors"]
    assert errors["geometric"].startswith("no_input: the picture cannot be decoded")


def test_large_pictures_and_many_pictures_are_refused_by_row():
    limits = Limits(picture_pixels=300, memory_mib=2, request_mib=1)
    with opened(create_app(Builder().reward_set("geometric"), limits=limits)) as client:
        body = score(client, item(image=encoded(side=18)), item(image=encoded(side=16)))
    assert body["errors"][0]["geometric"] == "no_input: 18x18 pixels are over the limit of 300"
    assert body["results"][1]["geometric"]["value"] == 1.0
    with opened(create_app(Builder().reward_set("geometric"), limits=replace(limits, picture_pixels=10**6))) as client:
        body = score(client, *(item(image=encoded(side=400)) for _ in range(3)))
    assert [len(results) for results in body["results"]] == [1, 1, 0]
    assert "send fewer samples at once" in body["errors"][2]["geometric"]


def test_many_rows_and_bombs_of_values_are_refused_whole(client: TestClient):
    many = client.post("/score", json={"requests": [item()] * 1_025})
    assert (many.status_code, many.json()["detail"].split(",")[0]) == (413, "1025 samples")
    bomb = b'{"requests": [], "more": [' + b"{}," * 600_000 + b"{}]}"
    assert client.post("/score", content=bomb, headers=JSON).status_code == 413
    deep = client.post("/score", content=b"[" * 100_000, headers=JSON)
    assert deep.status_code == 422
    assert client.post("/score", json={"requests": [item(request_id={"a": 1})]}).status_code == 422
    assert client.post("/score", json={"requests": [item("p", "x" * 5000)]}).status_code == 400


def test_a_request_that_finds_no_room_is_told_when_to_come_back():
    let_go, begun = threading.Event(), threading.Event()

    def slow(_: Sample) -> Outcome:
        begun.set()
        let_go.wait(30)
        return Score(value=1.0)

    limits = Limits(rows=4, waiting_rows=8)
    with (
        opened(create_app(RewardSet({"x": ScriptedJudge(slow)}), limits=limits)) as client,
        ThreadPoolExecutor(2) as pool,
    ):
        waiting = pool.submit(score, client, *[item("a", "x")] * 4)
        assert begun.wait(30)
        refused = client.post("/score", json={"requests": [item("a", "x")] * 3})
        small = pool.submit(score, client, item("a", "x"))
        let_go.set()
        assert len(waiting.result()["results"]) == 4
        assert len(small.result()["results"]) == 1
        assert score(client, *[item("a", "x")] * 4)["errors"] == [{}] * 4
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1


def test_greedy_requests_leave_room_for_small_ones():
    budget = Budget(1_000)
    with ExitStack() as stack:
        shares = [stack.enter_context(budget.share()) for _ in range(9)]
        for amount in range(1, 1_000):
            for share in shares:
                with suppress(NoRoomError, NeverFitsError):
                    share.hold(amount)
        assert {share.held for share in shares} == {100}
        with budget.share() as small:
            small.hold(50)
    assert budget.used == 0
    with budget.share() as large, pytest.raises(NeverFitsError):
        large.hold(501)


def test_limits_that_fit_no_request_are_refused():
    with pytest.raises(UsageError, match="--memory-mib 64: expected at least twice --request-mib 64"):
        Limits(memory_mib=64)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example:8780"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "[::1"}, 403),
        ({"Host": ""}, 403),
        ({"Host": "[::1]:8780"}, 200),
        ({"Host": "LOCALHOST"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://["}, 403),
        ({"Origin": HERE}, 200),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": ""}, 415),
        ({"Content-Type": "application/json; charset=utf-8"}, 200),
    ],
)
def test_other_pages_are_turned_away(client: TestClient, headers: dict[str, str], status: int):
    content = json.dumps({"requests": [item()]})
    assert client.post("/score", content=content, headers=JSON | headers).status_code == status


def test_large_bodies_and_pictures_are_read_elsewhere(client: TestClient):
    noise = Image.frombytes("RGB", (1_400, 1_400), random.Random(0).randbytes(3 * 1_400**2))
    buffer = io.BytesIO()
    noise.save(buffer, "PNG", compress_level=0)
    body = score(client, item(image=base64.b64encode(buffer.getvalue()).decode()), item("a red bench"))
    assert body["results"] == [{"geometric": {"value": 1.0}}, {}]
    refused = client.post("/score", json={"requests": [item("p", "nonesuch", image="A" * 5_000_000)]})
    assert (refused.status_code, refused.json()["detail"][:23]) == (400, "no reward named nonesuc")
