"""Judge fleets: a server that dies, hangs or answers nonsense costs throughput and no sample, and is taken back."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from gotr1_eval.build import read_judge_model
from gotr1_eval.core.errors import BudgetError, DataError, UsageError
from gotr1_eval.core.outcome import Reply, Unscored, Why
from gotr1_eval.core.protocols import Request
from gotr1_eval.core.reading import read_scores
from gotr1_eval.models.servers.connection import Budget
from gotr1_eval.models.servers.health import LONGEST_PAUSE_S, RECENT, Health, babbles
from gotr1_eval.models.vlms.openai_compatible import ServedVlm, Settings
from rewards.asking import Answer, ask_all
from tests.faulty_server import FaultyServer, faulty_server

pytestmark = pytest.mark.slow


@pytest.fixture
def three() -> Iterator[list[FaultyServer]]:
    with ExitStack() as stack:
        servers = [stack.enter_context(faulty_server()) for _ in range(3)]
        yield servers
        for server in servers:
            server.mood = ""  # those that hang may go


def fleet(servers: list[FaultyServer], **settings: object) -> ServedVlm:
    quick = {"timeout_s": 1.0, "first_wait_s": 0.01, "retries": 2, "workers": 4, "probe_s": 0.05, **settings}
    return ServedVlm(Settings(base_url=[server.url for server in servers], model="org/tiny", **quick))


def questions(name: str, count: int = 30) -> list[Request]:
    return [Request(prompt=f"{name} {place}") for place in range(count)]


def asked(server: FaultyServer, name: str) -> int:
    return sum(count for question, count in server.asked.items() if question.startswith(name))


def all_right(vlm: ServedVlm, name: str) -> None:
    """Every question has its own answer: nothing lost, nothing invented, nothing in another's place."""
    replies = vlm.reply(questions(name))
    assert [reply.text for reply in replies if isinstance(reply, Reply)] == [
        f"echo: {name} {place}" for place in range(len(replies))
    ]


def wait_until_back(vlm: ServedVlm) -> None:
    """Some work, until all servers are well."""
    until = time.monotonic() + 5
    while "servers 3/3" not in vlm.traffic():
        assert time.monotonic() < until, vlm.traffic()
        vlm.reply([Request(prompt="meanwhile")])
        time.sleep(0.02)


def test_the_load_is_shared(three: list[FaultyServer]):
    for server in three:
        server.mood = "busy"
    all_right(fleet(three, timeout_s=10), "well")
    counts = [asked(server, "well") for server in three]
    assert sum(counts) == 30
    assert min(counts) >= 6
    assert all(server.most_under_way <= 4 for server in three)


def test_a_slow_server_is_asked_less(three: list[FaultyServer]):
    three[0].mood = "busy"
    all_right(fleet(three, timeout_s=10), "well")
    assert asked(three[0], "well") < min(asked(server, "well") for server in three[1:])


@pytest.mark.parametrize("mood", ["cut", "hang", "500", "not json", "odd json", "404"])
def test_a_sick_server_costs_no_sample_and_is_taken_back(three: list[FaultyServer], mood, caplog):
    vlm, sick = fleet(three), three[1]
    all_right(vlm, "well")
    sick.mood = mood
    all_right(vlm, "sick")
    assert "servers 2/3" in vlm.traffic()
    assert f"server {sick.url} is left out: " in caplog.text
    all_right(vlm, "without")
    assert asked(sick, "without") == 0
    sick.mood = ""
    wait_until_back(vlm)
    assert f"server {sick.url} is back" in caplog.text
    all_right(vlm, "again")
    assert asked(sick, "again") >= 5


def test_a_babbling_server_costs_no_sample_and_is_taken_back(three: list[FaultyServer], caplog):
    vlm, sick = fleet(three), three[2]
    for server in three:
        server.text = lambda question: json.dumps({"score": len(question) % 10})

    def read(index: int, reply: Reply) -> int:
        scores = read_scores(reply.text, names=["score"], low=0, high=10, finish=reply.finish)
        return int(scores["score"])

    def values(name: str) -> list[int]:
        answers = ask_all(vlm, questions(name, 90), read)
        assert all(isinstance(answer, Answer) for answer in answers), answers
        return [answer.value for answer in answers if isinstance(answer, Answer)]

    expected = values("well")
    sick.mood = "babble"
    # So many that half of its recent answers are unreadable also where it was asked less than its third; the question
    # that takes it back asks for form alone, so it may be back before the last of them.
    assert values("sick") == expected
    assert f"server {sick.url} is left out: its answers cannot be read" in caplog.text
    sick.mood = ""
    wait_until_back(vlm)
    assert f"server {sick.url} is back" in caplog.text
    assert values("well") == expected


def test_unreadable_everywhere_is_nobody_s_fault(three: list[FaultyServer]):
    """A policy that writes what no judge can read must not empty the fleet."""
    vlm = fleet(three)

    def read(index: int, reply: Reply) -> float:
        return read_scores(reply.text, names=["score"], low=0, high=10, finish=reply.finish)["score"]

    answers = ask_all(vlm, questions("word salad"), read)
    assert all(isinstance(answer, Unscored) and answer.why is Why.UNREADABLE for answer in answers)
    assert "servers 3/3" in vlm.traffic()


def test_all_servers_gone_is_backend_and_never_a_score(three: list[FaultyServer]):
    vlm = fleet(three, retries=1)
    all_right(vlm, "well")
    for server in three:
        server.mood = "cut"
    replies = vlm.reply(questions("gone", 12))
    assert all(isinstance(reply, Unscored) and reply.why is Why.BACKEND for reply in replies)
    for server in three:
        server.mood = ""
    wait_until_back(vlm)
    all_right(vlm, "again")


def test_a_server_that_is_not_there_at_the_start_may_come_later(three: list[FaultyServer]):
    with faulty_server() as late:
        port = late.server_address[1]
    vlm = fleet([late, *three[:2]])
    all_right(vlm, "well")
    assert "servers 2/3" in vlm.traffic()
    with faulty_server(port=port) as late:
        wait_until_back(vlm)
        all_right(vlm, "again")
        assert asked(late, "again") >= 5
    all_right(vlm, "gone for good")


def test_a_request_that_one_server_rejects_may_suit_another(three: list[FaultyServer]):
    for server in three[:2]:
        server.faults["long"] = "400"
    vlm = fleet(three)
    (reply,) = vlm.reply([Request(prompt="long")])
    assert isinstance(reply, Reply)
    three[2].faults["long"] = "400"
    (reply,) = vlm.reply([Request(prompt="long")])
    assert isinstance(reply, Unscored)
    assert "state 400" in reply.detail
    assert "servers 3/3" in vlm.traffic()


def test_a_busy_server_is_well(three: list[FaultyServer]):
    vlm = fleet(three)
    all_right(vlm, "well")
    three[0].mood = "429:0.3"
    all_right(vlm, "busy")
    assert "servers 3/3" in vlm.traffic()


def test_two_models_under_one_name_are_refused_in_one_line(three: list[FaultyServer]):
    for server, model in zip(three, ("org/tiny", "org/tiny", "org/large"), strict=True):
        server.model = model
    with pytest.raises(UsageError, match=r"must serve one model.*'org/tiny'.*'org/large'") as refused:
        fleet(three).reply([Request(prompt="?")])
    assert "\n" not in str(refused.value)
    assert three[2].url in str(refused.value)


def test_a_server_that_comes_back_with_another_model_stays_out(three: list[FaultyServer], caplog):
    for server in three:
        server.model = "org/tiny"
    vlm = fleet(three)
    all_right(vlm, "well")
    three[0].model = "org/large"
    all_right(vlm, "changed")
    all_right(vlm, "without")
    assert "servers 2/3" in vlm.traffic()
    assert "it now says that it is 'org/large', not 'org/tiny'" in caplog.text
    assert asked(three[0], "without") == 0


def test_the_fingerprint_is_the_model_s_not_the_fleet_s(three: list[FaultyServer]):
    alone = ServedVlm(Settings(base_url=three[0].url, model="org/tiny"))
    assert fleet(three).fingerprint == alone.fingerprint == fleet(three[::-1], budget_tokens=9).fingerprint


def test_wrong_settings_are_one_line(three: list[FaultyServer], tmp_path):
    with pytest.raises(ValueError, match="named twice"):
        fleet([three[0], three[0]])
    with pytest.raises(ValueError, match="price_in"):
        fleet(three, budget_cost=1.0)
    urls = ",".join(server.url for server in three)
    spec = read_judge_model(f"{urls}#Qwen/Qwen2.5-VL-7B-Instruct")
    assert spec["base_url"] == [server.url for server in three]
    assert spec["family"] == "qwen2.5-vl"
    (tmp_path / "judge.toml").write_text('base_url = ["http://a/v1", "http://b/v1"]\nmodel = "m"\nbudget_tokens = 5\n')
    read = read_judge_model(str(tmp_path / "judge.toml"))
    assert read == {
        "use": "openai_compatible", "base_url": ["http://a/v1", "http://b/v1"], "model": "m", "budget_tokens": 5,
    }  # fmt: skip
    with pytest.raises(DataError, match="cannot read"):
        read_judge_model(str(tmp_path / "absent.toml"))
    three[1].mood = "404"
    with pytest.raises(UsageError, match=f"{three[1].url}: the server refuses: state 404"):
        fleet(three).reply([Request(prompt="?")])


def test_a_budget_stops_asking_and_says_so(three: list[FaultyServer]):
    for server in three:
        server.tokens = (90, 10)
    vlm = fleet(three, budget_tokens=1000, workers=1)
    replies = vlm.reply(questions("paid"))
    answered = [reply for reply in replies if isinstance(reply, Reply)]
    assert 5 <= len(answered) <= 9, "three checks, and what was under way when the limit was reached"
    assert all("budget is spent" in reply.detail for reply in replies if isinstance(reply, Unscored))
    with pytest.raises(BudgetError, match=r"of 1,000 tokens.*goes on"):
        vlm.reply(questions("more"))
    second_round = vlm.reply([Request(prompt="paid 0", followups=(("hm", "again"),))])
    assert isinstance(second_round[0], Unscored), "what was begun is completed without an error, and asked nothing"
    assert "tokens" in vlm.traffic()


def test_a_budget_needs_servers_that_count(three: list[FaultyServer]):
    with pytest.raises(UsageError, match="does not count tokens"):
        fleet(three, budget_tokens=10).reply(questions("uncounted"))


def test_costs_follow_the_prices():
    budget = Budget(None, 1.5, (1e-6, 4e-6))
    budget.spend(500_000, 200_000)
    assert budget.cost == pytest.approx(1.3)
    assert not budget.spent
    budget.spend(0, 50_000)
    assert budget.spent
    assert str(budget) == "750,000 tokens, cost 1.50 of 1.50"


def test_pauses_double_until_a_server_has_proved_itself():
    health, pauses = Health(first_pause_s=1.0), []
    for _ in range(8):
        health.leave_out("gone", now=100.0)
        pauses.append(health.probe_at - 100.0)
    assert pauses == [1, 2, 4, 8, 16, 32, LONGEST_PAUSE_S, LONGEST_PAUSE_S]
    health.take_back()
    for _ in range(RECENT):
        health.answered()
    health.leave_out("gone", now=0.0)
    assert health.probe_at == 1.0


def test_babbling_is_told_from_hard_questions():
    good, bad = [True] * 10, [False] * 10
    assert babbles(bad, good)
    assert babbles([True] * 4 + [False] * 4, good)
    assert not babbles([True] * 10 + [False] * 4, good), "most of its answers can be read"
    assert not babbles(bad, bad + good), "so are many of the others'"
    assert not babbles([False] * 3, good), "three may be chance"
    assert not babbles(bad, []), "nobody to compare with"
