"""The routes behind the rating page: blind, guarded, strict about answers."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from gotr1_eval.core.canvas import hex_colour
from gotr1_eval.core.chain import parse_chain
from gotr1_eval.web.rate import create_app
from gotr1_eval.web.rating_store import RatingStore
from gotr1_eval.web.shown_items import frames, pieces
from tests.rating_study import HOSTILE, SECRETS, written_study

HERE = "http://127.0.0.1:8790"


def opened(folder: Path, token: str | None = None, base: str = HERE) -> TestClient:
    study = written_study(folder)
    return TestClient(create_app(folder, study, RatingStore(folder, study), token=token), base_url=base)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with opened(tmp_path) as client:
        yield client


def begun(client: TestClient, name: str = "Ann") -> dict[str, Any]:
    answer = client.post("/api/begin", json={"name": name, "again": True})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def sent(client: TestClient, work: dict[str, Any], **changes: Any) -> Any:
    key = next(item for item, count in work["questions"].items() if count == 2)
    body = {
        "session": work["session"],
        "key": "0123456789",
        "item": key,
        "dimension": "clarity",
        "value": 3,
        "seconds": 1,
    }
    return client.post("/api/answers", json=body | changes)


def test_nothing_tells_model_judge_or_origin(client: TestClient):
    work = begun(client)
    texts = [json.dumps(work), *(client.get(path).text for path in ("/", "/rate.js", "/rate.css"))]
    for key in work["order"]:
        facts = client.get(f"/api/items/{key}")
        texts.append(facts.text + str(facts.headers))
        for name in work["pictures"][key]:
            picture = client.get(f"/pictures/{name}.png")
            assert Image.open(io.BytesIO(picture.content)).size == (64, 64)
            texts.append(picture.content.decode("latin-1") + str(picture.headers))
        assert Image.open(io.BytesIO(client.get(f"/plans/{key}.png").content)).size == (768, 768)
    for text in texts:
        for secret in (*SECRETS, "secret"):
            assert secret not in text


def test_an_item_holds_what_is_rated(client: TestClient):
    shown = [client.get(f"/api/items/{key}").json() for key in begun(client)["order"]]
    hostile = next(item for item in shown if item["prompt"] == HOSTILE)
    assert "".join(piece["text"] for piece in hostile["chain"]).startswith(HOSTILE)
    assert hostile["frames"][0] | {"name": "cat", "x": 0, "width": 50} == hostile["frames"][0]
    assert sorted(len(item["dimensions"]) for item in shown) == [1, 2, 2]


def test_names_stand_for_boxes_and_wear_their_colour():
    chain = parse_chain(
        "A cat (0,0),(500,500) (600,600),(900,900), and <|obj_start|>dog<|obj_end|> is near a hen (1,1),(9,9)."
    )
    found = list(pieces(chain))
    assert "".join(text for text, _ in found) == "A cat, and dog is near a hen."
    assert [piece for piece in found if piece[0] in ("cat", "dog", "hen")] == [
        ("cat", hex_colour(0)),
        ("dog", None),
        ("hen", hex_colour(2)),
    ]
    assert [(frame["name"], frame["colour"]) for frame in frames(chain)] == [
        (name, hex_colour(place)) for place, name in enumerate(("cat", "cat", "hen"))
    ]


def test_coming_back_is_asked_first(client: TestClient):
    work = client.post("/api/begin", json={"name": "Ann"}).json()
    for number, (key, count) in enumerate(work["questions"].items()):
        if count == 1:
            assert sent(client, work, item=key, value="cannot").status_code == 200
        else:
            assert sent(client, work, item=key, key=f"{number:08d}").status_code == 200
    assert client.post("/api/begin", json={"name": "ann"}).json() == {"known": True, "done": 1, "total": 3}
    assert sorted(map(str, (v["clarity"] for v in begun(client)["answers"].values()))) == ["3.0", "3.0", "cannot"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"value": 3.5}, 422),
        ({"value": 11}, 422),
        ({"value": "seven"}, 422),
        ({"dimension": "speed"}, 422),
        ({"item": "nowhere"}, 404),
        ({"seconds": -1}, 422),
        ({"key": ""}, 422),
        ({"more": 1}, 422),
        ({"session": "stale"}, 409),
        ({"item": "x" * 70_000}, 413),
    ],
)
def test_what_is_no_answer_is_refused(client: TestClient, change: dict[str, Any], status: int):
    work = begun(client)
    assert sent(client, work, **change).status_code == status
    assert begun(client)["answers"] == {}


def test_a_dimension_that_the_item_does_not_show_is_refused(client: TestClient):
    work = begun(client)
    key = next(item for item, count in work["questions"].items() if count == 1)
    assert sent(client, work, item=key, dimension="prompt_image").status_code == 422


def test_an_answer_that_cannot_be_kept_is_not_acknowledged(client: TestClient, tmp_path: Path):
    work = begun(client)
    for path in tmp_path.glob("ratings.sqlite3*"):
        path.unlink()
    (tmp_path / "ratings.sqlite3").mkdir()
    answer = sent(client, work)
    assert answer.status_code == 503
    assert answer.json()["detail"].startswith("the answers cannot be kept")
    assert str(tmp_path) not in answer.text


def test_other_sites_and_names_are_turned_away(client: TestClient):
    assert client.get("/", headers={"Host": "evil.example:8790"}).status_code == 403
    assert client.post("/api/begin", json={"name": "A"}, headers={"Origin": "http://evil.example"}).status_code == 403
    assert client.post("/api/begin", json={"name": "A"}, headers={"Origin": HERE}).status_code == 200
    page = client.get("/", headers={"Host": "localhost:8790"})
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert client.get("/docs").status_code == client.get("/openapi.json").status_code == 404


def test_elsewhere_everything_needs_the_token(tmp_path: Path):
    with opened(tmp_path, token="open sesame", base="http://study.example:8790") as client:
        for path in ("/", "/rate.js", "/api/items/x", "/?token=wrong", "/rate.js?token=open+sesame"):
            assert client.get(path).status_code == 401
        assert client.post("/api/begin", json={"name": "Ann"}).status_code == 401
        entered = client.get("/?token=open+sesame", follow_redirects=False)
        assert (entered.status_code, entered.headers["location"]) == (303, "./")
        assert "HttpOnly" in entered.headers["set-cookie"]
        assert client.get("/").status_code == 200
        assert begun(client)["name"] == "Ann"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"name": NaN}', 422),
        (b'{"name": "A", "again": NaN}', 422),
        (b'{"name": "half \\ud800"}', 422),
        (b"[" * 60_000, 400),
        (b"not json", 422),
        (b"", 422),
    ],
)
def test_a_body_that_is_no_answer_gets_one_line(client: TestClient, body: bytes, status: int):
    answer = client.post("/api/begin", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert isinstance(answer.json()["detail"], str)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "[::1"}, 403),
        ({"Host": "[::1]:8790"}, 200),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://["}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": ""}, 415),
    ],
)
def test_other_pages_cannot_answer(client: TestClient, headers: dict[str, str], status: int):
    sent = {"Content-Type": "application/json"} | headers
    assert client.post("/api/begin", content=b'{"name": "A"}', headers=sent).status_code == status
