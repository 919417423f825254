"""What a run costs: timed by stage, counted by servers, priced by settings, added up over resumes, and told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from gotr1_eval.cli.app import run
from gotr1_eval.core.protocols import Spent
from gotr1_eval.runs import costs
from gotr1_eval.runs.costs import Cost, Meter, cost_of, duration
from gotr1_eval.runs.stages import Silent
from gotr1_eval.runs.store import RunInfo, RunStore, read_info
from tests.faulty_server import FaultyServer, faulty_server

ASKED, ANSWERED = 100, 10


def settings(folder: Path, server: FaultyServer, prices: str = "price_in = 2.0\nprice_out = 50.0\n") -> Path:
    path = folder / "judge.toml"
    path.write_text(f'base_url = "{server.url}"\nmodel = "judge"\n{prices}')
    return path


def pictures(folder: Path, number: int) -> Path:
    for place in range(number):
        path = folder / "pictures" / f"a red circle {place}_000000.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (40, 40), "red").save(path)
    return folder / "pictures"


def test_a_run_tells_what_it_cost(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with faulty_server() as server:
        server.tokens = (ASKED, ANSWERED)
        server.text = lambda question: "Score: 8"
        command = ["score", str(pictures(tmp_path, 3)), "--judges", "prompt_image", "--out", str(tmp_path / "run")]
        command += ["--judge-model", str(settings(tmp_path, server))]
        assert run(command) == 0
        calls = len(server.bodies)
        told = capsys.readouterr().err
        first = cost_of(read_info(tmp_path / "run"))
        assert run([*command, "--quiet"]) == 0
        again = cost_of(read_info(tmp_path / "run"))
        assert again.seconds == first.seconds, "nothing was left to do"
        assert again.spent["judge"].asked == len(server.bodies) * ASKED, "but whether the server holds a form is asked"
        assert "cost" not in capsys.readouterr().err
    assert calls >= 3
    spent = first.spent["judge"]
    assert (spent.asked, spent.answered) == (calls * ASKED, calls * ANSWERED)
    assert spent.cost == pytest.approx(calls * (ASKED * 2.0 + ANSWERED * 50.0) / 1e6)
    assert first.seconds["judge"] > 0
    assert f"judge: {calls * ASKED:,} + {calls * ANSWERED:,} tokens, {spent.cost:.2f} by the stated prices" in told
    assert str(again) in (tmp_path / "run" / "report.html").read_text()


def test_no_price_no_money(tmp_path: Path):
    with faulty_server() as server:
        server.tokens = (ASKED, ANSWERED)
        server.text = lambda question: "Score: 8"
        model = str(settings(tmp_path, server, ""))
        command = ["score", str(pictures(tmp_path, 1)), "--judges", "prompt_image", "--judge-model", model]
        assert run([*command, "--out", str(tmp_path / "run"), "--quiet"]) == 0
    assert cost_of(read_info(tmp_path / "run")).spent["judge"].cost is None


def test_what_stopped_early_is_paid_all_the_same(tmp_path: Path):
    with faulty_server() as server:
        server.tokens = (ASKED, ANSWERED)
        server.text = lambda question: "Score: 8"
        command = ["score", str(pictures(tmp_path, 6)), "--judges", "prompt_image", "--out", str(tmp_path / "run")]
        command += ["--tile", "1", "--judge-model"]
        limited = settings(tmp_path, server, f"workers = 1\nbudget_tokens = {3 * (ASKED + ANSWERED)}\n")
        with pytest.raises(Exception, match="budget is spent"):
            run([*command, str(limited)])
        before = cost_of(read_info(tmp_path / "run")).spent["judge"]
        assert before.asked + before.answered == len(server.bodies) * (ASKED + ANSWERED)
        assert run([*command, str(settings(tmp_path, server, "workers = 1\n")), "--quiet"]) == 0
        after = cost_of(read_info(tmp_path / "run")).spent["judge"]
        assert after.asked == len(server.bodies) * ASKED, "both starts together"


def test_costs_add_up():
    one = Cost(seconds={"judge": 1.5}, spent={"a": Spent(name="a", unit="tokens", asked=10, answered=1, cost=0.5)})
    two = Cost(
        seconds={"generate": 3.0, "judge": 0.5},
        spent={"a": Spent(name="a", unit="tokens", asked=5, answered=2, cost=0.25), "b": _pictures(4)},
    )
    both = one + two
    assert both.seconds == {"judge": 2.0, "generate": 3.0}
    assert (both.spent["a"].asked, both.spent["a"].answered, both.spent["a"].cost) == (15, 3, 0.75)
    assert cost_of(RunInfo(identity={}, setup={"cost": json.loads(json.dumps(both.json()))})) == both
    assert str(both) == "judge 2.0 s, generate 3.0 s; a: 15 + 3 tokens, 0.75 by the stated prices; b: 4 pictures"
    assert str(Cost(seconds={"generate": 0.04, "judge": 0.06})) == "judge 0.1 s", "what took no time is left out"
    assert not Cost()
    assert cost_of(RunInfo(identity={}, setup={})) == Cost()


def _pictures(number: int) -> Spent:
    return Spent(name="b", unit="pictures", asked=0, answered=number)


def test_a_stage_counts_where_something_was_done(monkeypatch: pytest.MonkeyPatch):
    clock = iter([0.0, 10.0, 12.0, 20.0, 25.0])
    monkeypatch.setattr(costs, "monotonic", lambda: next(clock))
    meter = Meter(Silent())
    meter.start("generate", 2, 2)
    meter.start("judge", 2, 0)  # at 10
    meter.advance(1)
    meter.advance(1)
    found = meter.cost([_pictures(3)], [_pictures(3)])  # at 12
    assert found == Cost(seconds={"judge": 2.0}), "no seconds without work, no model that spent nothing"
    meter.start("judge", 2, 1)  # at 20
    meter.advance(1)
    assert meter.cost([], [_pictures(3)]) == Cost(seconds={"judge": 7.0}, spent={"b": _pictures(3)})  # at 25


def test_a_new_description_keeps_the_cost(tmp_path: Path):
    info = RunInfo(identity={"a": 1}, setup={"judges": []})
    with RunStore.open(tmp_path / "run", info):
        costs.add_cost(tmp_path / "run", Cost(seconds={"judge": 1.0}))
    with RunStore.open(tmp_path / "run", info) as store:
        store.describe(info)
    assert cost_of(read_info(tmp_path / "run")) == Cost(seconds={"judge": 1.0})
    costs.add_cost(tmp_path / "none", Cost(seconds={"judge": 1.0}))
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.06, "0.1 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 0 s"), (80, "1 min 20 s"), (7500, "2 h 5 min")],
)
def test_durations_in_words(seconds: float, words: str):
    assert duration(seconds) == words
