"""What the reward server says: unscored samples, batches in columns, versions, tokens, and its own description."""

from __future__ import annotations

import base64
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from gotr1_eval.build import Builder
from gotr1_eval.cli.serve import read_unscored
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.types import Sample
from gotr1_eval.web import reward_schemas
from gotr1_eval.web.admission import Limits
from gotr1_eval.web.reward_server import create_app
from rewards.reward_set import RewardSet, UnscoredAs
from tests.fakes import ScriptedJudge
from tests.unit.test_reward_server import CHAIN, encoded, item, opened, score


def answer(sample: Sample) -> Outcome:
    """By the prompt's first word: scored, unscored, or a judge that fails."""
    word = sample.prompt.split()[0]
    if word == "dead":
        return Unscored(why=Why.BACKEND, detail="no server")
    return Unscored(why=Why.UNREADABLE, detail="what?") if word == "unreadable" else Score(value=0.5, parts={word: 1.0})


def judge() -> RewardSet:
    return RewardSet({"x": ScriptedJudge(answer)})


ROWS = ("fine", "unreadable", "dead", "faulty")


@pytest.mark.parametrize(
    ("choice", "value", "errors"),
    [("error", None, [0, 1, 1, 1]), ("omit", None, [0, 0, 1, 1]), (-1.0, -1.0, [0, 0, 1, 1])],
)
def test_what_is_said_of_the_unscored_is_a_choice_that_the_answer_states(
    choice: UnscoredAs, value: float | None, errors: list[int]
):
    with opened(create_app(judge(), unscored=choice)) as client:
        rows = [item(word, "x", image="%%%" if word == "faulty" else None) for word in ROWS]
        body = score(client, *rows)
    assert body["unscored"] == choice
    assert [row.get("x", {}).get("value") for row in body["results"]] == [0.5, value, None, None]
    assert [len(row) for row in body["errors"]] == errors
    assert [row["x"] for row in body["scored"]] == [True, False, False, False]
    assert [row.get("x", "-").split(":")[0] for row in body["reasons"]] == ["-", "unreadable", "backend", "no_input"]
    assert body["parts"] == [{"x": {"fine": 1.0}}, {}, {}, {}]


def test_with_a_stand_in_every_row_has_the_same_keys():
    with opened(create_app(Builder().reward_set("shapes"), unscored=0.0)) as client:
        names = client.get("/rewards").json()["rewards"]
        prompts = ["a red circle and a blue square", "nothing of the kind", "a red circle"]
        body = score(client, *(item(prompt, *names, image=encoded()) for prompt in prompts))
    assert not all(all(row.values()) for row in body["scored"])
    for rows in (body["results"], body["scored"]):
        assert {tuple(row) for row in rows} == {tuple(names)}
    assert {tuple(result) for row in body["results"] for result in row.values()} == {("value",)}


@pytest.mark.parametrize(("text", "choice"), [("error", "error"), ("omit", "omit"), ("-0.5", -0.5), ("0", 0.0)])
def test_the_choice_is_read(text: str, choice: object):
    assert read_unscored(text) == choice


@pytest.mark.parametrize("text", ["nan", "inf", "", "zero"])
def test_no_other_choice_is_read(text: str):
    with pytest.raises(UsageError, match="expected 'error', 'omit' or a number"):
        read_unscored(text)


def post(client: TestClient, **columns: Any) -> Any:
    return client.post("/", json=columns)


@pytest.mark.parametrize("metadata", ["metadata", "meta_datas", "metadatas"])
def test_a_batch_in_columns_brings_pictures_chains_and_facts(metadata: str):
    seen: list[Sample] = []

    def note(sample: Sample) -> Outcome:
        seen.append(sample)
        return Score(value=0.5)

    with opened(create_app(RewardSet({"x": ScriptedJudge(note)}))) as client:
        rows = [{"tag": "two", "chain": "from the facts"}, None]
        body = post(client, prompts=["a", "b"], images=[encoded(), None], chains=[None, "c"], only_strict=True,
                    **{metadata: rows}).json()  # fmt: skip
    assert body["scores"] == [0.5, 0.5]
    assert body["scored"] == [True, True]
    first, second = sorted(seen, key=lambda sample: sample.prompt)
    assert (first.chain, first.meta, first.image is not None) == ("from the facts", {"tag": "two"}, True)
    assert (second.chain, second.meta, second.image) == ("c", {}, None)


def test_a_batch_says_what_the_terms_say_of_the_unscored():
    prompts = ["fine", "unreadable"]
    with opened(create_app(judge())) as client:
        refused = post(client, prompts=prompts)
        assert refused.status_code == 422
        assert refused.json()["detail"].startswith("sample 1 is unscored (unreadable: what?); serve with --unscored")
    for choice, scores in (("omit", [0.5, None]), (0.25, [0.5, 0.25])):
        with opened(create_app(judge(), unscored=choice)) as client:
            body = post(client, prompts=prompts).json()
            assert (body["scores"], body["scored"], body["unscored"]) == (scores, [True, False], choice)
            assert body["reasons"] == ["", "unreadable: what?"]
            failed = post(client, prompts=["fine", "dead"])
            assert (failed.status_code, failed.json()["detail"]) == (503, "sample 1 is unscored (backend: no server)")


@pytest.mark.parametrize(
    ("columns", "status", "words"),
    [
        ({"prompts": ["a"], "images": []}, 200, "scores"),
        ({"prompts": [], "metadata": {}}, 200, "scores"),
        ({"prompts": ["a"], "images": [None, None]}, 422, "images: 2 entries for 1 prompts"),
        ({"prompts": ["a"], "metadata": {"tag": ["x"]}}, 422, "metadata: "),
        ({"prompts": ["a"], "reward": "y"}, 400, "no reward named y (served: x)"),
        ({"prompts": ["a"], "mode": "grad"}, 422, "mode: no field of this server's"),
        ({"prompts": ["a"] * 5}, 413, "5 samples, a request may have 4"),
        ({"prompts": [7]}, 422, "prompts.0"),
        ({"images": []}, 422, "prompts"),
    ],
)
def test_batches_are_read_strictly(columns: dict[str, Any], status: int, words: str):
    with opened(create_app(judge(), limits=Limits(rows=4))) as client:
        got = client.post("/", json=columns)
    assert got.status_code == status, got.text
    assert words in got.text


def test_without_a_total_a_batch_names_its_reward():
    rewards = RewardSet({name: ScriptedJudge(answer, name) for name in ("x", "y")})
    with opened(create_app(rewards)) as client:
        assert "reward: name one" in post(client, prompts=["fine"]).json()["detail"]
        assert post(client, prompts=["fine"], reward="y").json()["reward"] == "y"


@pytest.mark.parametrize(
    ("request_body", "words"),
    [
        ({"grad_mode": True, "call_id": "1"}, "this server scores without gradients"),
        ({"mode": "pairwise"}, "mode: no field of this server's"),
    ],
)
def test_unknown_modes_are_refused(request_body: dict[str, Any], words: str):
    with opened(create_app(judge())) as client:
        got = client.post("/score", json={"requests": [item("fine", "x")], **request_body})
        assert (got.status_code, words in got.json()["detail"]) == (422, True)
        for key in ("video_b64", "video_path", "image_ipc"):
            row = {"history": [{"text": "fine", key: "AAAA"}], "required_rewards": ["x"]}
            assert f"{key!r} is not opened" in score(client, row)["errors"][0]["x"]


def test_the_versions_of_scorers_are_told_and_another_one_is_refused():
    rewards = judge()
    version = rewards.fingerprint
    with opened(create_app(rewards)) as client:
        asked = [item("fine", "x", scorer_version=version), item("fine", "x")]
        assert [identity["scorer_version"] for identity in score(client, *asked)["identities"]] == [version] * 2
        refused = client.post("/score", json={"requests": [*asked, item("fine", "x", scorer_version="other")]})
        assert refused.status_code == 409
        assert refused.json()["detail"] == f"scorer_version 'other' is asked for, this server has {version!r}"
        assert post(client, prompts=["fine"], scorer_version="other").status_code == 409
        assert client.post("/handshake", json={"scorer_version": "other"}).status_code == 409


def test_the_sets_fingerprint_changes_with_anything_in_it():
    one, other = ScriptedJudge(answer, "one"), ScriptedJudge(answer, "other")
    sets = [RewardSet({"x": one}), RewardSet({"y": one}), RewardSet({"x": other}), RewardSet({"x": one, "y": other})]
    assert len({rewards.fingerprint for rewards in sets}) == len(sets)
    assert RewardSet({"x": one}).fingerprint == sets[0].fingerprint
    with_total, without = (Builder().reward_set(name) for name in ("shapes", "geometric"))
    assert with_total.fingerprint != with_total.only(with_total.judges).fingerprint
    assert without.fingerprint == Builder().reward_set("geometric").fingerprint


def test_a_handshake_says_what_is_served_and_declines_what_is_not():
    with opened(create_app(Builder().reward_set("shapes"), unscored="omit")) as client:
        body = client.post(
            "/handshake", json={"fingerprint": {"device": "cuda:0"}, "proposed_transport": "cuda_ipc"}
        ).json()
        served = client.get("/rewards").json()
        assert (body["accepted_transport"], body["reason"]) == ("http", "pictures come as base64 over http")
        assert {key: body[key] for key in served} == served
        for asked, status in (({"required_rewards": ["nonesuch"]}, 400), ({"protocol_version": "2"}, 422),
                              ({"mode": "x"}, 422)):  # fmt: skip
            assert client.post("/handshake", json=asked).status_code == status
        large = client.post("/handshake", json={"fingerprint": {"a": "x" * 70_000}})
        assert (large.status_code, large.json()["detail"]) == (413, "this may have 65536 bytes")
    assert served["headline"] == "total"
    assert served["unscored"] == "omit"
    details = served["details"]
    assert (details["semantic"]["chain"], details["semantic"]["picture"]) == (True, False)
    assert (details["prompt_image"]["chain"], details["prompt_image"]["picture"]) == (False, True)
    assert (details["total"]["chain"], details["total"]["picture"]) == (True, True)


def test_rewards_tell_their_facts_and_their_range():
    needy = ScriptedJudge(answer)
    needy.needs = frozenset({"row"})
    needy.range = (0.0, float("inf"))
    with opened(create_app(RewardSet({"x": needy}))) as client:
        (detail,) = client.get("/rewards").json()["details"].values()
    assert (detail["facts"], detail["range"]) == (["row"], [0.0, None])


def basic(text: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("", {}, 401),
        ("?token=secret", {}, 200),
        ("?token=wrong", {}, 401),
        ("?token=wrong", {"Authorization": "Bearer secret"}, 200),
        ("", {"Authorization": "bearer secret"}, 200),
        ("", {"Authorization": "secret"}, 401),
        ("", basic("any:secret"), 200),
        ("", basic(":secret"), 200),
        ("", basic("secret"), 401),
        ("", {"Authorization": "Basic %%%"}, 401),
        ("?token=caf%C3%A9", {}, 401),
    ],
)
def test_a_token_comes_in_a_header_or_the_query(query: str, headers: dict[str, str], status: int):
    with opened(create_app(judge(), token="secret")) as client:
        for path, body in (
            ("/score", {"requests": [item("fine", "x")]}), ("/", {"prompts": ["fine"]}), ("/handshake", {})
        ):  # fmt: skip
            assert client.post(f"{path}{query}", json=body, headers=headers).status_code == status
        assert client.get(f"/rewards{query}", headers=headers).status_code == status
        assert client.get("/health").status_code == 200


def test_a_whole_metadata_object_may_be_one_fact():
    seen: list[dict[str, Any]] = []

    def note(sample: Sample) -> Outcome:
        seen.append(dict(sample.meta))
        return Score(value=1.0)

    row = {"tag": "two_object", "include": [{"class": "cat"}]}
    with opened(create_app(RewardSet({"x": ScriptedJudge(note)}), metadata_is="row")) as client:
        for given in ({**row, "chain": "c"}, {"row": row}, {}):
            score(client, item("a cat", "x", metadata=given))
    assert seen == [{"row": row}, {"row": row}, {}]


def test_a_chain_may_stand_in_the_row_itself():
    with opened(create_app(Builder().reward_set("geometric"))) as client:
        body = score(
            client,
            item(metadata=None, chain=CHAIN),
            item(metadata={"chain": "no plan"}, chain=CHAIN),
            item(metadata=None),
        )
    assert [row.get("geometric", {}).get("value") for row in body["results"]] == [1.0, 1.0, None]


def test_the_description_has_every_route_and_its_examples_are_true():
    with opened(create_app(Builder().reward_set("geometric"))) as client:
        description = client.get("/openapi.json").json()
        schemas = description["components"]["schemas"]
        assert set(description["paths"]) == {"/health", "/rewards", "/handshake", "/score", "/"}
        for path, answered in (("/score", "ScoreAnswer"), ("/", "BatchAnswer"), ("/handshake", None)):
            operation = description["paths"][path]["post"]
            place = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
            got = client.post(path, json=schemas[place.rpartition("/")[2]]["example"])
            assert got.status_code == 200, got.text
            model = getattr(reward_schemas, answered or "HandshakeAnswer")
            assert model.model_validate(got.json(), strict=False).model_dump(mode="json") == got.json()
            if answered:
                version = client.get("/health").json()["scorer_version"]
                # The framework leaves nulls out of examples.
                assert _plain(got.json()) == _plain(schemas[answered]["example"], version)
    undocumented = [
        f"{name}.{field}" for name in ("ScoreItem", "BatchRequest", "HandshakeRequest", "Turn")
        for field, schema in schemas[name]["properties"].items()
        if "description" not in schema and field not in (*reward_schemas.IDENTITY, "protocol_version", "prompts")
    ]  # fmt: skip
    assert undocumented == []


def _plain(body: Any, version: str | None = None) -> Any:
    """Without nulls, and with the version if one is given."""
    if isinstance(body, dict):
        kept = {key: _plain(value, version) for key, value in body.items() if value is not None}
        return kept | ({"scorer_version": version} if version and "scorer_version" in body else {})
    return [_plain(value, version) for value in body] if isinstance(body, list) else body


def test_the_examples_of_the_docs_are_answered_as_they_say():
    page = (Path(__file__).parents[2] / "docs" / "reward_server.md").read_text(encoding="utf-8")
    posted, *examples = re.findall(r"^```(?:bash|json)\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    bodies = [json.loads(posted.partition(" -d '")[2].rpartition("'")[0]), *map(json.loads, examples)]
    with opened(create_app(Builder().reward_set("geometric"))) as client:
        assert client.post("/score", json=bodies[0]).json() == bodies[1]
        assert client.post("/", json=bodies[2]).json() == bodies[3]


def test_the_image_gets_every_package():
    root = Path(__file__).parents[2]
    copied = re.findall(r"^COPY (\S+) \1$", (root / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    packages = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    assert sorted(f"{name}*" for name in copied) == sorted(packages["find"]["include"])
