"""Answers held to a form by a server: found out at the start, read exactly, and never asked about twice."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gotr1_eval.build import Builder
from gotr1_eval.cli.app import run
from gotr1_eval.core.chain import write_chain
from gotr1_eval.core.errors import BackendError, UsageError
from gotr1_eval.core.outcome import Score, Unscored, Why
from gotr1_eval.core.protocols import Asking, Judge
from gotr1_eval.core.types import Box, Sample
from gotr1_eval.models.vlms.openai_compatible import ServedVlm, Settings
from tests.faulty_server import FaultyServer, faulty_server

PROBE = "Which animal barks?"
JUDGES: dict[str, dict[str, Any]] = {
    "semantic": {"use": "semantic"},
    "semantic_single": {"use": "semantic", "single": True},
    "spatial": {"use": "spatial"},
    "spatial_text": {"use": "spatial", "text": True},
    "prompt_image": {"use": "prompt_image"},
    "prompt_image, sampled": {"use": "prompt_image", "mode": "sampled", "samples": 2},
    "reasoning_image": {"use": "reasoning_image", "grounder": {"use": "vlm"}},
    "reasoning_image, one question": {"use": "reasoning_image", "grounder": {"use": "vlm", "one_question": True}},
}
"""Every judge that has a model's text read."""
CHAIN = write_chain([("cat", Box(0, 0.4, 0.2, 0.6)), ("dog", Box(0.8, 0.4, 1, 0.6))])
SAMPLE = Sample(id="s", prompt="a cat on the left of a dog", chain=CHAIN, image=Image.new("RGB", (40, 40), "white"))


def instance(schema: dict[str, Any], rng: random.Random) -> Any:
    """A random value of a schema, by the words of JSON Schema alone."""
    if "enum" in schema:
        return rng.choice(schema["enum"])
    if schema["type"] == "object":
        assert schema["additionalProperties"] is False
        assert schema["required"] == list(schema["properties"])
        return {name: instance(inner, rng) for name, inner in schema["properties"].items()}
    if schema["type"] == "array":
        count = rng.randint(schema.get("minItems", 0), schema["maxItems"])
        values = [instance(schema["items"], rng) for _ in range(count)]
        # A sighted model gives the corners in order.
        return sorted(values[:2]) * 2 if all(isinstance(each, int) for each in values) and count == 4 else values
    if schema["type"] == "integer":
        return rng.randint(schema["minimum"], schema["maximum"])
    text = "".join(rng.choice('a ü"\\\n\t{}[]:8') for _ in range(rng.randint(0, schema["maxLength"])))
    return f'{text[:-1]}"'[: schema["maxLength"]]


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    rng = random.Random(0)
    with faulty_server() as started:
        started.held = lambda schema: json.dumps(instance(schema, rng), ensure_ascii=rng.random() < 0.5)
        yield started


def build(spec: dict[str, Any], *servers: FaultyServer, **settings: Any) -> Judge:
    urls = [server.url for server in servers]
    model = {"use": "openai_compatible", "base_url": urls, "model": "judge", "first_wait_s": 0.01, "retries": 1}
    vlm = {**model, "family": "thousand", **settings}
    grounder = {"grounder": {**spec["grounder"], "vlm": vlm}} if "grounder" in spec else {"vlm": vlm}
    return Builder().judge({**spec, **grounder})


def answers(judge: Judge) -> str:
    assert isinstance(judge, Asking)
    return judge.answers


@pytest.mark.parametrize("name", JUDGES)
def test_under_a_form_no_answer_is_asked_about_twice(server: FaultyServer, name: str):
    judge = build(JUDGES[name], server)
    outcomes = judge.judge([SAMPLE] * 6)
    assert answers(judge) == "constrained"
    assert all(isinstance(outcome, Score) for outcome in outcomes), outcomes
    assert server.asked.pop(PROBE) == 2, "once with a form, and once without: does the model think aloud?"
    questions = {"sampled": 12, "reasoning_image": 12}.get(name.rpartition(", ")[2], 6)
    assert sum(server.asked.values()) == questions
    assert all(len(body["messages"]) == 1 for body in server.bodies), "no second rounds"


@pytest.mark.parametrize("refusal", [None, "400", "422", "500"])
def test_a_server_that_ignores_or_refuses_forms_is_read_as_free_text(refusal: str | None, caplog):
    with faulty_server() as server:
        server.held = None if refusal is None else lambda schema: str(refusal)
        server.text = lambda question: '{"description": "", "caption": "", "reasoning": "", "score": 7}'
        judge = build(JUDGES["prompt_image"], server)
        (outcome,) = judge.judge([SAMPLE])
        assert answers(judge) == "free"
    assert isinstance(outcome, Score)
    assert outcome.value == 0.7
    assert "response_format" not in server.bodies[-1]
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("answers of judge are free text, not held to a form: http://")


def test_the_mode_is_part_of_the_fingerprint_and_stays(server: FaultyServer):
    held, again, free = (
        build(JUDGES["prompt_image"], server, constrained=mode).fingerprint for mode in ("auto", True, False)
    )
    assert held == again != free
    assert build(JUDGES["prompt_image"], server).fingerprint == held
    ground = [build(JUDGES["reasoning_image"], server, constrained=mode).fingerprint for mode in ("auto", False)]
    assert ground[0] != ground[1]


def test_the_mode_is_kept_with_the_replies(server: FaultyServer, tmp_path: Path):
    def cached(**settings: Any) -> Judge:
        model = {"use": "openai_compatible", "base_url": server.url, "model": "judge", **settings}
        vlm = {"use": "cached", "vlm": model, "path": str(tmp_path / "replies.sqlite")}
        return Builder().judge({"use": "prompt_image", "vlm": vlm})

    first = cached()
    outcomes = first.judge([SAMPLE])
    asked = len(server.bodies)
    again = cached()
    assert (again.fingerprint, again.judge([SAMPLE])) == (first.fingerprint, outcomes)
    assert len(server.bodies) == asked, "neither the question nor the mode is asked for again"
    assert answers(cached(constrained=False)) == "free"
    server.held = None
    with pytest.raises(UsageError, match="do not hold answers to a form, as they did"):
        cached().judge([replace(SAMPLE, prompt="another")])


def test_settings_decide_without_asking():
    judge = build(JUDGES["prompt_image"], _gone(), constrained=False)
    assert (answers(judge), bool(judge.fingerprint)) == ("free", True)
    expected = build({"use": "prompt_image", "mode": "expected"}, _gone())
    assert answers(expected) == "choices"
    with pytest.raises(BackendError):
        build(JUDGES["prompt_image"], _gone()).fingerprint  # noqa: B018


def _gone() -> FaultyServer:
    with faulty_server() as server:
        return server


@pytest.mark.parametrize(
    ("text", "why"),
    [("I like it", "ignores response_format"), ("<think>A dog barks.</think>dog", "thinks"), ("400", "rejects")],
)
def test_what_is_insisted_on_and_not_to_be_had_is_one_line(server: FaultyServer, text: str, why: str):
    if why == "thinks":
        server.text = lambda question: text
    else:
        server.held = lambda schema: text
    judge = build(JUDGES["prompt_image"], server, constrained=True)
    with pytest.raises(UsageError, match=f"constrained = true cannot be had: http://.*{why}"):
        judge.judge([SAMPLE])


@pytest.mark.parametrize("thought", ["<think>Dogs do.</think>dog", "<think>Dogs do. ", "Dogs, I think.</think>\n\ndog"])
def test_the_thoughts_of_a_model_without_a_parser_are_not_suppressed(server: FaultyServer, thought: str):
    server.text = lambda question: thought
    assert answers(build(JUDGES["prompt_image"], server)) == "free"


def test_servers_of_different_modes_are_no_fleet(server: FaultyServer):
    with faulty_server() as other:
        judge = build(JUDGES["prompt_image"], server, other)
        with pytest.raises(UsageError, match=f"of one mode.*{other.url}: it ignores response_format"):
            judge.fingerprint  # noqa: B018


def test_a_server_that_comes_back_must_be_of_the_fleets_mode(server: FaultyServer):
    with faulty_server() as other:
        other.mood = "500"
        vlm = ServedVlm(
            Settings(base_url=[server.url, other.url], model="judge", first_wait_s=0.01, retries=0, probe_s=0.01)
        )
        assert vlm.constrains()
        other.mood = ""
        with pytest.raises(BackendError, match="the others hold answers to a form, but it ignores"):
            vlm._probe(vlm._fleet.servers[1])


def test_labels_of_a_form_are_taken_as_they_are(server: FaultyServer):
    """Names that the reader of free text would take for the end of an answer, or for nothing."""
    names = ["none", "a <|im_end|> sign", "[1, 2, 3, 4]"]
    chain = write_chain([(name, Box(0.1, 0.1, 0.4, 0.4)) for name in names])
    box = [100, 100, 400, 400]
    boxes = [{"bbox_2d": box, "label": name} for name in names]
    held = server.held
    assert held is not None
    server.held = lambda schema: json.dumps({"boxes": boxes}) if "word" not in schema["properties"] else held(schema)
    (outcome,) = build(JUDGES["reasoning_image, one question"], server).judge([replace(SAMPLE, chain=chain)])
    assert isinstance(outcome, Score)
    assert outcome.value == pytest.approx(1.0)


@pytest.mark.parametrize(
    "text",
    [
        '{"description": "", "caption": "", "reasoning": "", "score": 11}',
        '{"description": "", "caption": "", "reasoning": "", "score": "8"}',
        '{"description": "", "caption": "", "reasoning": "", "score": true}',
        '{"description": "", "caption": "", "reasoning": "", "score": 8, "score": 9}',
        '{"description": "", "caption": "", "reasoning": "", "score": 8, "more": 1}',
        '{"score": 8}',
        'Score: 8 {"description": "", "caption": "", "reasoning": "", "score": 8}',
        '{"description": "", "caption": "", "reasoning": "", "score": NaN}',
        "[" * 5000,
    ],
)
def test_what_is_not_exactly_of_the_form_is_unreadable(server: FaultyServer, text: str):
    judge = build(JUDGES["prompt_image"], server)
    assert answers(judge) == "constrained"
    server.held = lambda schema: text
    (outcome,) = judge.judge([SAMPLE])
    assert isinstance(outcome, Unscored)
    assert outcome.why is Why.UNREADABLE
    assert [reply.text for reply in outcome.replies] == [text], "kept, and not asked about again"


def test_a_run_tells_how_its_answers_came_about(server: FaultyServer, tmp_path: Path):
    picture, settings = tmp_path / "pictures" / "a red circle_000000.png", tmp_path / "judge.toml"
    picture.parent.mkdir()
    Image.new("RGB", (40, 40), "red").save(picture)
    settings.write_text(f'base_url = "{server.url}"\nmodel = "judge"\n')
    command = ["score", str(picture.parent), "--judges", "prompt_image", "--judge-model", str(settings)]
    for _ in range(2):
        assert run([*command, "--out", str(tmp_path / "run")]) == 0
    (judge,) = json.loads((tmp_path / "run" / "run.json").read_text())["setup"]["judges"]
    assert judge["answers"] == "constrained"
    assert len((tmp_path / "run" / "judgments.jsonl").read_text().splitlines()) == 1, "the second run had nothing to do"
