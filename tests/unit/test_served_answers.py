"""Servers of many kinds: models that think first, other parameters, answers in parts, errors that say what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from gotr1_eval.core.errors import BackendError, UsageError
from gotr1_eval.core.outcome import Reply, Unscored, Why
from gotr1_eval.core.protocols import Request
from gotr1_eval.models.servers.connection import MOST_BYTES
from gotr1_eval.models.servers.replies import read_reply
from gotr1_eval.models.vlms.openai_compatible import ServedVlm, Settings
from gotr1_eval.models.vlms.wire import Dialect, read_answer, read_tokens
from tests.faulty_server import FaultyServer, faulty_server

Answering = Callable[[dict[str, Any]], tuple[int, Any, Mapping[str, str]]]


def completion(content: object, finish: str = "stop", tokens: tuple[int, int] = (300, 100), **message: object) -> Any:
    usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}
    return {"choices": [{"message": {"content": content, **message}, "finish_reason": finish}], "usage": usage}


def refusal(message: str, **facts: object) -> tuple[int, Any, Mapping[str, str]]:
    return 400, {"error": {"message": message, **facts}}, {}


def served(server: FaultyServer, answer: Answering, **settings: object) -> ServedVlm:
    server.answer = answer
    quick = {"base_url": server.url, "first_wait_s": 0.01, "retries": 2, "timeout_s": 2}
    return ServedVlm(Settings(model="m", **{**quick, **settings}))


def room(body: Mapping[str, Any]) -> int:
    return int(body.get("max_tokens", body.get("max_completion_tokens", 0)))


def thinking(body: dict[str, Any]) -> tuple[int, Any, Mapping[str, str]]:
    """A reasoning parser: no content until the thought is closed, which takes 1,000 tokens."""
    if room(body) <= 1000:
        return 200, completion(None, "length", (300, room(body)), reasoning_content="Okay, the user"), {}
    return 200, completion("8", reasoning_content="Let me see."), {}


def test_a_thought_that_fills_the_answer_is_truncated_and_not_asked_again():
    with faulty_server() as server:
        vlm = served(server, thinking, budget_tokens=100_000)
        (reply,) = vlm.reply([Request(prompt="?")])
        assert isinstance(reply, Unscored)
        assert reply.why is Why.TRUNCATED
        assert "512 tokens" in reply.detail
        assert "max_tokens" in reply.detail
        assert reply.replies == (Reply(text="", model="m", finish="length", thought="Okay, the user"),)
        assert len(server.bodies) == 2, "the first question, and this one"
        assert f"{300 + 1 + 300 + 512:,} of 100,000 tokens" in vlm.traffic()


def test_the_length_of_answers_is_a_setting():
    with faulty_server() as server:
        vlm = served(server, thinking, max_tokens=4096)
        (reply,) = vlm.reply([Request(prompt="?")])
        assert reply == Reply(text="8", model="m", finish="stop", thought="Let me see.")
        assert room(server.bodies[-1]) == 4096
    plain = ServedVlm(Settings(base_url="http://a/v1", model="m"))
    assert plain.fingerprint != vlm.fingerprint


def test_a_thinking_model_does_not_lose_a_fleet_its_servers():
    with faulty_server() as one, faulty_server() as two:
        one.answer = two.answer = thinking
        vlm = ServedVlm(Settings(base_url=[one.url, two.url], model="m", first_wait_s=0.01, eject_after=1))
        replies = vlm.reply([Request(prompt=f"{place}") for place in range(12)])
        assert {reply.why for reply in replies if isinstance(reply, Unscored)} == {Why.TRUNCATED}
        assert "servers 2/2" in vlm.traffic()


def test_the_choices_of_a_thinking_model_are_refused_at_the_start():
    listed = {"content": [{"top_logprobs": [{"token": "Okay", "logprob": -0.1}]}]}

    def answer(body: dict[str, Any]) -> tuple[int, Any, Mapping[str, str]]:
        given = completion(None, "length", reasoning="Okay")
        given["choices"][0]["logprobs"] = listed
        return 200, given, {}

    with faulty_server() as server, pytest.raises(UsageError, match=r"thinks before it answers.*enable_thinking"):
        served(server, answer).reply([Request(prompt="?", choices=("1", "2"))])


@pytest.mark.parametrize(
    ("message", "text", "thought"),
    [
        ({"content": [{"type": "text", "text": '{"score"'}, {"type": "text", "text": ": 8}"}]}, '{"score": 8}', ""),
        ({"content": ["a", "b"]}, "ab", ""),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, "8"]}, "8", "hm"),
        ({"content": "8", "reasoning": "hm"}, "8", "hm"),
        ({"content": None, "tool_calls": [{"function": {"name": "f", "arguments": "[8]"}}]}, "[8]", ""),
        ({"content": None, "reasoning_content": "all of it"}, "", "all of it"),
        ({"content": "\ud800 8"}, "\ud800 8", ""),
    ],
)
def test_what_is_said_is_read_in_every_form(message, text, thought):
    answer = read_answer({"choices": [{"message": message, "finish_reason": "stop"}]})
    assert (answer.text, answer.thought, answer.refused) == (text, thought, False)


@pytest.mark.parametrize("finish", ["content_filter", "refusal", "SAFETY"])
def test_a_filter_is_a_refusal(finish):
    assert read_answer({"choices": [{"message": {"content": None}, "finish_reason": finish}]}).refused
    assert read_answer({"choices": [{"message": {"refusal": "I cannot"}}]}).text == "I cannot"


@pytest.mark.parametrize("finish", ["length", "max_tokens", "MAX_TOKENS", "model_length"])
def test_a_cut_has_one_name(finish):
    assert read_answer({"choices": [{"message": {"content": "8"}, "finish_reason": finish}]}).finish == "length"


@pytest.mark.parametrize(
    "content",
    [
        b"", b"nan", b"[1]", b'{"choices"', b"[" * 100_000, b"\xff\xfe", b'{"choices": [{"message": null}]}',
        b'{"choices": [{"message": {"content": 8}}]}', b'{"choices": [{"message": {"content": [3]}}]}',
        b'{"error": {"message": "no"}}',
    ],
)  # fmt: skip
def test_what_is_no_completion_is_an_error_and_never_a_text(content):
    with pytest.raises(BackendError, match="chat completion") as failed:
        read_answer(read_reply(content, "a chat completion"))
    assert "\n" not in str(failed.value)


def test_tokens_of_thoughts_are_counted_wherever_they_stand():
    assert read_tokens(completion("8", tokens=(300, 100))) == (300, 100)
    assert read_tokens({"usage": {"prompt_tokens": 300, "completion_tokens": 5, "total_tokens": 900}}) == (300, 600)
    assert read_tokens({"usage": {"prompt_tokens": 300}}) is read_tokens({"usage": None}) is read_tokens({}) is None


def test_a_budget_ends_where_a_server_stops_counting():
    def answer(body: dict[str, Any]) -> tuple[int, Any, Mapping[str, str]]:
        given = completion("8")
        return 200, given if room(body) == 1 else {"choices": given["choices"]}, {}

    with faulty_server() as server, pytest.raises(UsageError, match="does not count tokens"):
        served(server, answer, budget_tokens=10_000).reply([Request(prompt="?")])


def like_gpt_5(body: dict[str, Any]) -> tuple[int, Any, Mapping[str, str]]:
    """Rejects one parameter at a time, and a question that leaves no room for thoughts."""
    for name in ("repetition_penalty", "top_k"):
        if name in body:
            return refusal(f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
    if "max_tokens" in body:
        return refusal("Unsupported parameter: 'max_tokens' is not supported with this model. Use "
                       "'max_completion_tokens' instead.", param="max_tokens")  # fmt: skip
    if body.get("temperature", 1) != 1:
        return refusal("Unsupported value: 'temperature' does not support 0 with this model.", param="temperature")
    if room(body) < 16:
        return refusal("Could not finish the message because max_tokens or model output limit was reached.")
    return 200, completion("8"), {}


def test_a_server_teaches_its_parameters(caplog):
    with faulty_server() as server:
        (reply,) = served(server, like_gpt_5).reply([Request(prompt="?")])
        assert isinstance(reply, Reply)
        assert set(server.bodies[-1]) == {"model", "messages", "max_completion_tokens", "top_p", "seed"}
        assert "m takes no temperature, which is left out: its answers are sampled" in caplog.text
        before = len(server.bodies)
        told = served(server, like_gpt_5, length_field="max_completion_tokens", omit=["temperature"], extensions=False)
        told.reply([Request(prompt="?")])
        assert len(server.bodies) == before + 3, "two first questions, the second with room, and this one"


@pytest.mark.parametrize(
    ("complaint", "learned"),
    [
        (
            '[{"loc": ["body", "top_k"], "msg": "Extra inputs are not permitted"}]',
            Dialect(omitted=frozenset({"top_k"})),
        ),
        ("`temperature` and `top_p` cannot both be specified", Dialect(omitted=frozenset({"top_p"}))),
        ("Unrecognized request argument supplied: seed", Dialect(omitted=frozenset({"seed"}))),
        ("temperature must be at most 1", None),
        ("max_tokens is too large: 9000; the model supports at most 4096", None),
        ("unknown model", None),
    ],
)
def test_only_what_a_server_says_it_does_not_take_is_left_out(complaint, learned):
    sent = {"max_tokens": 1, "temperature": 0, "top_p": 1, "seed": 0, "top_k": -1}
    assert Dialect().corrected(complaint, sent) == learned


def test_a_rejection_that_nothing_helps_names_the_settings():
    with faulty_server() as server, pytest.raises(UsageError, match=r"state 400.*max_tokens.*length_field.*omit"):
        served(server, lambda body: refusal("no")).reply([Request(prompt="?")])
    assert len(server.bodies) == 1


def test_a_prompt_that_a_server_declines_is_refused():
    def answer(body: dict[str, Any]) -> tuple[int, Any, Mapping[str, str]]:
        return (200, completion("8"), {}) if room(body) == 1 else refusal("filtered", code="content_filter")

    with faulty_server() as server:
        (reply,) = served(server, answer).reply([Request(prompt="?")])
    assert isinstance(reply, Unscored)
    assert reply.why is Why.REFUSED


@pytest.mark.parametrize(
    ("state", "content", "names", "told"),
    [
        (401, {"error": {"message": "no"}}, None, r"state 401.*OPENAI_API_KEY, which is empty or not set"),
        (403, b"<html><title>Log  in</title></html>", None, "state 403 .a web page with the title 'Log in'.*key"),
        (404, {"error": {"message": "no model"}}, ["a/b", "c"], r"state 404.*it serves: 'a/b', 'c'"),
        (404, {"detail": "Not Found"}, None, r"state 404.*does the address end in /v1\?"),
        (302, b"", None, "redirects to https://elsewhere/v1"),
        (402, {"error": {"message": "pay"}}, None, "nothing left"),
        (429, {"error": {"message": "You exceeded", "code": "insufficient_quota"}}, None, "nothing left"),
    ],
)
def test_what_is_wrong_for_every_request_says_what_to_do(state, content, names, told, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with faulty_server() as server:
        server.names = names
        vlm = served(server, lambda body: (state, content, {"location": "https://elsewhere/v1"}))
        with pytest.raises(UsageError, match=told) as refused:
            vlm.reply([Request(prompt="?")])
        assert str(refused.value).startswith(server.url)
        assert len(server.bodies) == 1


def test_keys_and_headers_are_sent_and_never_shown(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-4711-key\n")
    monkeypatch.setenv("EXTRA", "another-secret-1")

    def answer(body: dict[str, Any]) -> tuple[int, Any, Mapping[str, str]]:
        if room(body) == 1:
            return 200, completion("8"), {}
        return 400, {"error": {"message": "Bearer sk-test-4711-key with another-secret-1"}}, {}

    with faulty_server() as server:
        (reply,) = served(server, answer, headers={"x-more": "$EXTRA"}).reply([Request(prompt="?")])
        sent = {name.lower(): value for name, value in server.headers[-1].items()}
        assert (sent["authorization"], sent["x-more"]) == ("Bearer sk-test-4711-key", "another-secret-1")
        assert isinstance(reply, Unscored)
        assert reply.detail == "state 400 (Bearer *** with ***)"
        hidden = served(server, answer, base_url=server.url.replace("//", "//bob:hunter2hunter2@"))
        (reply,) = hidden.reply([Request(prompt="?")])
        assert {name.lower(): value for name, value in server.headers[-1].items()}["authorization"].startswith("Basic ")


def test_a_socks_proxy_is_one_line(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "socks5://me:proxy-secret@127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(UsageError, match="proxy") as refused:
        ServedVlm(Settings(base_url="http://10.0.0.1:9/v1", model="m", timeout_s=0.1, retries=0)).reply(
            [Request(prompt="?")]
        )
    assert "proxy-secret" not in str(refused.value)


def test_an_endless_answer_has_an_end():
    def answer(body: dict[str, Any]) -> tuple[int, Any, Mapping[str, str]]:
        return (200, completion("8"), {}) if room(body) == 1 else (500, b"x" * (MOST_BYTES + 1), {})

    with faulty_server() as server:
        (reply,) = served(server, answer, retries=0).reply([Request(prompt="?")])
    assert isinstance(reply, Unscored)
    assert "longer than 16,777,216 bytes" in reply.detail


def test_halves_of_characters_travel_there_and_back():
    with faulty_server() as server:
        vlm = served(server, lambda body: (200, completion("\ud83d 8"), {}))
        request = Request(prompt="a \udcff sign", system="\ud800", followups=(("\ud83d", "again"),))
        (reply,) = vlm.reply([request])
        assert isinstance(reply, Reply)
        assert reply.text == "\ud83d 8"
        assert server.bodies[-1]["messages"][1]["content"][0]["text"] == "a ? sign"
