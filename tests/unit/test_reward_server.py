"""The reward server: its protocol, its limits, and that it batches."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from gotr1_eval.build import Builder
from gotr1_eval.core.chain import write_chain
from gotr1_eval.core.errors import BackendError, UsageError
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.types import Box, Sample
from gotr1_eval.web import reward_server
from gotr1_eval.web.reward_server import create_app
from rewards.reward_set import RewardSet
from tests.fakes import ScriptedJudge

CHAIN = write_chain([("cat", Box(0, 0.4, 0.2, 0.6)), ("dog", Box(0.8, 0.4, 1, 0.6))])


def encoded(colour: str = "white") -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), colour).save(buffer, "PNG")
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
    with TestClient(create_app(Builder().reward_set("geometric"))) as opened:
        yield opened


def score(client: TestClient, *items: dict[str, Any]) -> dict[str, Any]:
    answer = client.post("/score", json={"protocol_version": "1", "requests": list(items)})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_health_names_the_rewards(client: TestClient):
    assert client.get("/health").json() == {
        "status": "ok",
        "rewards": {"geometric": ["value"]},
        "protocol_version": "1",
    }


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
    with TestClient(create_app(Builder().reward_set("shapes"))) as client:
        body = score(client, item("a red circle and a blue square", "total", image=encoded()))
    assert set(body["results"][0]) == {"total"}
    assert {"value", "semantic", "reasoning_image", "prompt_image"} <= set(body["results"][0]["total"])


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
    with TestClient(create_app(rewards, token="secret", most_bytes=2000)) as client:
        assert client.post("/score", json={"requests": [item()]}).status_code == 401
        sign = {"Authorization": "Bearer secret"}
        assert client.post("/score", json={"requests": [item()]}, headers=sign).status_code == 200
        assert client.post("/score", json={"requests": [item("x" * 3000)]}, headers=sign).status_code == 413
        assert client.get("/health").status_code == 200


def test_concurrent_requests_share_a_batch():
    judge = ScriptedJudge(lambda sample: Score(value=len(sample.prompt) / 100))
    app = create_app(RewardSet({"x": judge}))
    app.state.batching.seconds = 0.3
    with TestClient(app) as client, ThreadPoolExecutor(8) as pool:
        prompts = ["p" * length for length in range(1, 9)]
        answers = list(pool.map(lambda prompt: score(client, item(prompt, "x")), prompts))
    assert [answer["results"][0]["x"]["value"] for answer in answers] == [len(prompt) / 100 for prompt in prompts]
    assert app.state.batching.batches["x"] < 8


def test_a_failed_judge_answers_for_its_batch_and_the_server_lives():
    def answer(sample: Sample) -> Outcome:
        if sample.prompt == "fail":
            raise BackendError("out of memory")
        return Unscored(why=Why.REFUSED, detail="no") if sample.prompt == "refuse" else Score(value=1.0)

    with TestClient(create_app(RewardSet({"x": ScriptedJudge(answer)}))) as client:
        assert score(client, item("fail", "x"))["errors"] == [{"x": "backend: out of memory"}]
        assert score(client, item("refuse", "x"))["errors"] == [{"x": "refused: no"}]
        assert score(client, item("fine", "x"))["results"] == [{"x": {"value": 1.0}}]


def test_a_judge_that_breaks_fails_its_own_request_and_the_server_lives():
    def answer(sample: Sample) -> Outcome:
        if sample.prompt == "key":
            raise UsageError("401: wrong key")
        return Score(value=1.0)

    with TestClient(create_app(RewardSet({"x": ScriptedJudge(answer)}))) as client:
        refused = client.post("/score", json={"requests": [item("key", "x")]})
        assert (refused.status_code, refused.json()["detail"]) == (502, "401: wrong key")
        assert score(client, item("fine", "x"))["results"] == [{"x": {"value": 1.0}}]


def test_the_pixels_of_a_request_are_limited(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reward_server, "MOST_PIXELS", 16 * 16)
    with TestClient(create_app(Builder().reward_set("geometric"))) as client:
        body = score(client, item(image=encoded()), item(image=encoded()))
    assert body["results"][0]["geometric"]["value"] == 1.0
    assert "over the limit of 0" in body["errors"][1]["geometric"]
