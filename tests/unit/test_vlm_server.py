"""Models behind a server: a faulty one written for the purpose, and a real `transformers serve`."""

from __future__ import annotations

import base64
import importlib.util
import io
import math
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

from gotr1_eval.build import Builder
from gotr1_eval.core.errors import BackendError, UsageError
from gotr1_eval.core.outcome import Reply, Unscored, Why
from gotr1_eval.core.protocols import Request
from gotr1_eval.models.servers.retrying import Patience, retry_after
from gotr1_eval.models.vlms.openai_compatible import ServedVlm, Settings
from gotr1_eval.models.vlms.server_settings import smart_resized
from gotr1_eval.models.vlms.stepwise import NEGLIGIBLE, TooLikelyToLeaveOutError, score_by_steps
from tests.faulty_server import FaultyServer, faulty_server
from tests.free_port import free_port

pytestmark = pytest.mark.slow

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8))


def served(server: FaultyServer, **settings: object) -> ServedVlm:
    quick = {"timeout_s": 0.8, "first_wait_s": 0.01, "retries": 2, "workers": 4, **settings}
    return ServedVlm(Settings(base_url=server.url, model="org/tiny", **quick))


def test_no_request_is_lost_and_no_text_invented():
    """Every passing fault twice, every lasting fault for ever, among requests that go well."""
    passing = ("500", "503", "429", "429:0.05", "408", "slow", "cut", "half", "not json", "odd json", "empty", "abort")
    faults: dict[str, list[str] | str] = {f"passing {fault}": [fault, fault] for fault in passing}
    faults |= {f"lasting {fault}": fault for fault in passing}
    questions = [text for name in faults for text in (name, f"well {name}")]
    with faulty_server(faults) as server:
        replies = served(server).reply([Request(prompt=text) for text in questions])
    for question, reply in zip(questions, replies, strict=True):
        if question.startswith("lasting"):
            assert isinstance(reply, Unscored), question
            assert reply.why is Why.BACKEND
            assert "gave up after 3 attempts" in reply.detail
            assert server.asked[question] == 3
        else:
            assert reply == Reply(text=f"echo: {question}", model="tiny", finish="stop")
            assert server.asked[question] == (3 if question.startswith("passing") else 1)
    states = {question.split()[1]: reply.detail for question, reply in zip(questions, replies, strict=True)
              if isinstance(reply, Unscored) and question.split()[1].isdigit()}  # fmt: skip
    assert all(f"state {state}" in detail for state, detail in states.items())


def test_requests_under_way_are_bounded():
    questions = [f"question {place}" for place in range(20)]
    with faulty_server(dict.fromkeys(questions, "busy")) as server:
        served(server, workers=4).reply([Request(prompt=question) for question in questions])
    assert 1 < server.most_under_way <= 4


def test_retry_after_is_honoured():
    with faulty_server({"busy": ["429:0.5"]}) as server:
        served(server).reply([Request(prompt="busy")])
    first, second = server.times["busy"]
    assert second - first >= 0.5


def test_retry_after_is_read_as_seconds_or_as_a_date():
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert retry_after({"retry-after": "2.5"}) == 2.5
    assert retry_after({"retry-after": soon}) == pytest.approx(30, abs=2)
    assert [retry_after(headers) for headers in ({}, {"retry-after": "later"})] == [None, None]


def test_waits_double_and_end():
    patience = Patience(first_wait_s=1, longest_wait_s=10)
    waits = [patience.wait(attempt, None) for attempt in range(6)]
    assert all(0.75 * 2**attempt <= wait <= 1.25 * 2**attempt for attempt, wait in enumerate(waits[:3]))
    assert waits[5] == 10
    assert patience.wait(0, 5.0) == 5.0


@pytest.mark.parametrize("state", ["401", "403", "404"])
def test_a_wrong_key_or_name_stops_at_once(state):
    with faulty_server({"later": state, "Answer with one digit.": [state]}) as server:
        vlm = served(server)
        with pytest.raises(UsageError, match=f"state {state}.*key"):
            vlm.reply([Request(prompt="first")])
        assert sum(server.asked.values()) == 1
        with pytest.raises(UsageError, match=f"state {state}"):
            vlm.reply([Request(prompt="later"), *(Request(prompt=f"more {place}") for place in range(50))])
        assert server.asked["later"] == 1
        assert sum(server.asked.values()) < 50


def test_a_rejected_request_leaves_the_others_alone():
    with faulty_server({"too long": "400"}) as server:
        bad, good = served(server).reply([Request(prompt="too long"), Request(prompt="fine")])
        assert isinstance(bad, Unscored)
        assert (bad.why, server.asked["too long"]) == (Why.BACKEND, 1)
        assert "state 400" in bad.detail
        assert isinstance(good, Reply)
    with faulty_server({"Answer with one digit.": "400"}) as server, pytest.raises(UsageError, match="state 400"):
        served(server).reply([Request(prompt="fine")])


def test_no_server_is_told_in_one_line():
    with faulty_server() as server:
        vlm = served(server, retries=1)
    with pytest.raises(BackendError, match="gave up after 2 attempts"):
        vlm.reply([Request(prompt="fine")])


def test_a_declined_answer_is_refused_and_not_text():
    with faulty_server({"bad": "filter"}) as server:
        (reply,) = served(server).reply([Request(prompt="bad")])
    assert isinstance(reply, Unscored)
    assert reply.why is Why.REFUSED


def test_what_is_sent():
    request = Request(
        prompt="How well?",
        images=(PICTURE,),
        system="Be strict.",
        followups=(("hm", "Again?"),),
        answer_prefix='{"score": ',
        max_tokens=7,
        temperature=0.5,
        seed=2**40 + 3,
        repeat=1,
    )
    with faulty_server() as server:
        served(server).reply([request])
    body = server.bodies[-1]
    assert [turn["role"] for turn in body["messages"]] == ["system", "user", "assistant", "user", "assistant"]
    assert body["messages"][-1]["content"] == '{"score": '
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
    assert (body["model"], body["max_tokens"], body["temperature"], body["seed"]) == ("org/tiny", 7, 0.5, 4)
    url = body["messages"][1]["content"][0]["image_url"]["url"]
    kind, _, data = url.partition(",")
    assert kind == "data:image/png;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).tobytes() == PICTURE.tobytes()
    assert (body["repetition_penalty"], body["top_k"], body["top_p"]) == (1.0, -1, 1.0)
    plain = next(body for body in server.bodies if len(body["messages"]) == 1)
    assert "continue_final_message" not in plain


def test_what_is_sent_to_servers_without_extensions():
    with faulty_server() as server:
        served(server, extensions=False, extra_body={"user": "judge"}).reply([Request(prompt="?")])
    assert set(server.bodies[-1]) == {"model", "messages", "max_tokens", "temperature", "top_p", "seed", "user"}


def test_the_key_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("MY_KEY", "secret")
    with faulty_server() as server:
        assert served(server, api_key_env="MY_KEY")._fleet.servers[0].client.api_key == "secret"


def tokens_after(begun: str) -> dict[str, float]:
    """A tokenizer that splits digits: P(1) = 0.3, and after it P(0) = 0.2."""
    if begun.endswith("1"):
        return {"}": 0.7, "0": 0.2, ",": 0.1}
    return {"1": 0.3, "7": 0.4, "yes": 0.2, "y": 0.05, "9": 0.05}


def test_choices_multiply_the_probabilities_of_their_tokens():
    options = ("1", "7", "10", "yes")
    request = Request(prompt="?", images=(PICTURE,), answer_prefix='{"score": ', choices=options)
    with faulty_server(next_tokens=tokens_after) as server:
        vlm = served(server)
        assert vlm.scores_choices
        (reply,) = vlm.reply([request])
    assert np.exp(reply.choice_log_probs) == pytest.approx([0.3 - 0.3 * 0.2, 0.4, 0.3 * 0.2, 0.2])
    assert server.asked["?"] == 2, "one question for the first tokens, one for what follows '1'"
    body = server.bodies[-1]
    assert (body["logprobs"], body["top_logprobs"], body["max_tokens"], body["temperature"]) == (True, 20, 1, 1.0)
    assert body["messages"][-1]["content"] == '{"score": 1'


def test_a_server_without_log_probabilities_is_refused_at_the_start():
    with faulty_server() as server:
        vlm = served(server)
        with pytest.raises(UsageError, match="returns no log-probabilities"):
            vlm.reply([Request(prompt="?", choices=("1", "2"))])
        assert server.asked["?"] == 0
        without = served(server, log_probs=False)
        assert not without.scores_choices
        with pytest.raises(UsageError, match="log_probs"):
            without.reply([Request(prompt="?", choices=("1", "2"))])


def test_a_server_that_cannot_continue_is_not_given_a_prefix():
    with faulty_server() as server, pytest.raises(UsageError, match="extensions"):
        served(server, extensions=False).reply([Request(prompt="?", answer_prefix="{")])


def test_first_tokens_that_are_not_listed_are_bounded():
    """By the least likely token of the list, and by what the list leaves."""
    request = Request(prompt="?", images=(PICTURE,), first_tokens=("7", "yes", "Yes"), pictures_last=True)
    with faulty_server(next_tokens=lambda begun: {"7": 0.5, "yes": 0.3, "9": 0.05}) as server:
        (reply,) = served(server).reply([request])
        (short,) = served(server, listed_tokens=2).reply([request])
        (sharp,) = served(server).reply([Request(prompt="?", first_tokens=("7", "9"))])
    assert [part["type"] for part in server.bodies[-1]["messages"][0]["content"]] == ["text"]
    assert any([part["type"] for part in body["messages"][0]["content"]] == ["text", "image_url"]
               for body in server.bodies)  # fmt: skip
    assert reply.first_tokens == {"7": pytest.approx(math.log(0.5)), "yes": pytest.approx(math.log(0.3)), "Yes": None}
    assert math.exp(reply.unlisted) == pytest.approx(0.05)
    assert math.exp(short.unlisted) == pytest.approx(0.2, abs=1e-4)
    assert sharp.unlisted is None


def test_an_unlisted_choice_is_bounded_or_unreadable():
    def sharp(begun: str) -> dict[str, float]:
        return {"1": 0.99989, "7": 0.00001}

    assert score_by_steps(lambda begun: _logs(sharp(begun)), ("1", "3"))[0][1] == pytest.approx(math.log(0.00001))
    with pytest.raises(TooLikelyToLeaveOutError, match=r"'3'.*0\.0500"):
        score_by_steps(lambda begun: _logs(tokens_after(begun)), ("1", "3"))
    with faulty_server(next_tokens=tokens_after) as server:
        (reply,) = served(server).reply([Request(prompt="?", choices=("1", "3"))])
    assert isinstance(reply, Unscored)
    assert reply.why is Why.UNREADABLE


def _logs(chances: dict[str, float]) -> list[tuple[str, float]]:
    return [(token, math.log(chance)) for token, chance in chances.items()]


@given(st.lists(st.floats(0.01, 1.0), min_size=4, max_size=4))
def test_steps_agree_with_the_product_over_a_whole_tree(weights):
    """Two letters, three places: every choice's probability is its path's product."""
    left, right = weights[0] / (weights[0] + weights[1]), weights[2] / (weights[2] + weights[3])

    def chances(begun: str) -> dict[str, float]:
        first = left if len(begun) % 2 == 0 else right
        return {"a": first, "b": 1 - first}

    words = ("a", "ab", "bab", "aaa")
    expected = [
        sum(math.log(chances(word[:place])[letter]) for place, letter in enumerate(word)) for word in words
    ]  # fmt: skip
    scores, paths = score_by_steps(lambda begun: _logs(chances(begun)), words)
    assert ["".join(path) for path in paths] == list(words)
    for score, exact in zip(scores, expected, strict=True):
        assert score == pytest.approx(exact) or (exact <= score <= NEGLIGIBLE)


@given(
    st.tuples(st.integers(10, 3000), st.integers(20, 2000)),
    st.sampled_from([(56 * 56, 28 * 28 * 1280), (256 * 28 * 28, 12845056), (3136, 50000)]),
)
def test_the_resizing_is_transformers_own(size, limits):
    if max(size) > 200 * min(size):
        return
    height, width = smart_resize(size[1], size[0], 28, *limits)
    assert smart_resized(size, factor=28, min_pixels=limits[0], max_pixels=limits[1]) == (width, height)


def test_box_frames_and_fingerprints():
    def made(**settings: object) -> ServedVlm:
        return ServedVlm(Settings(base_url="http://127.0.0.1:9/v1", model="Qwen/Qwen2.5-VL-7B-Instruct", **settings))

    assert made(family="qwen2.5-vl").box_frame((384, 384)) == (392, 392)
    assert made(family="pixels").box_frame((384, 380)) == (384, 380)
    assert made(family="thousand").box_frame((384, 384)) == (1000, 1000)
    with pytest.raises(UsageError, match="how does the model answer boxes"):
        made().box_frame((384, 384))
    assert made().name == "Qwen2.5-VL-7B-Instruct"
    assert made().fingerprint == made(workers=2, timeout_s=9).fingerprint
    assert len({made().fingerprint, made(revision="abc").fingerprint, made(family="qwen2.5-vl").fingerprint}) == 3


@pytest.fixture(scope="module")
def transformers_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """`transformers serve` with a tiny LLaVA: its address and the checkpoint's folder."""
    for package in ("fastapi", "uvicorn"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"transformers serve needs {package}, which is not installed")
    from tests.tiny_vlms import save_tiny_llava

    folder = save_tiny_llava(tmp_path_factory.mktemp("served") / "tiny-llava")
    port = free_port()
    log = (folder.parent / "serve.log").open("wb")
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", "--host", "127.0.0.1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen([*command, "--port", str(port)], stdout=log, stderr=log, env=environment)
    try:
        _wait_until_up(process, port, Path(log.name))
        yield f"http://127.0.0.1:{port}/v1", folder
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        log.close()


def _wait_until_up(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    for _ in range(120):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
        except OSError:
            assert process.poll() is None, log.read_text(errors="replace")[-2000:]
            time.sleep(0.5)
        else:
            return
    pytest.fail(f"the server did not come up: {log.read_text(errors='replace')[-2000:]}")


def test_transformers_serve_answers_as_the_model_in_this_process(transformers_server):
    url, folder = transformers_server
    vlm = ServedVlm(Settings(base_url=url, model=str(folder), workers=2, timeout_s=60, extensions=False))
    pairs = [(text, seen) for text in ("red?", "Is it blue?") for seen in ((), (PICTURE,))]
    asked = [Request(prompt=text, images=seen, max_tokens=6) for text, seen in pairs]
    replies = vlm.reply(asked)
    assert [type(reply) for reply in replies] == [Reply] * 4, replies
    local = Builder().vlm({"use": "transformers_auto", "model": str(folder)})
    assert [reply.text for reply in replies] == [reply.text for reply in local.reply(asked)]


def test_transformers_serve_cannot_score_choices(transformers_server):
    url, folder = transformers_server
    vlm = ServedVlm(Settings(base_url=url, model=str(folder), timeout_s=60, extensions=False))
    with pytest.raises(UsageError, match="returns no log-probabilities"):
        vlm.reply([Request(prompt="?", choices=("1", "2"))])
