"""The frontier: agreement as scipy and scikit-learn compute it, costs as planned or stated, the dominated named."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from gotr1_eval.build import Builder
from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.core.outcome import Score, Unscored, Why
from gotr1_eval.core.statistics.intervals import Estimate
from gotr1_eval.core.types import Sample
from gotr1_eval.light import find_frontiers
from gotr1_eval.planning.assumptions import Assumptions
from gotr1_eval.planning.judge_costs import CostFile, Stated, asks_no_model, cascade_parts, judge_cost, read_costs
from gotr1_eval.planning.plan import plan_judging
from gotr1_eval.runs.judge_more import judge_more
from gotr1_eval.settings import read_settings
from reports.agreement.judge_agreement import JudgeMarks
from reports.agreement.marks import Draws, ItemFacts, Unit
from reports.frontier.costs import Cost
from reports.frontier.frontier import Frontier, frontier
from reports.frontier.plot import plot
from reports.frontier.tables import amount
from reports.run_data import load_run
from tests.command_line import start
from tests.report_runs import write_run
from tests.unit.test_distilled import plans

UNITS = [Unit(f"i{place}") for place in range(60)]
FACTS = {unit.item: ItemFacts(prompt=f"p{place // 2}") for place, unit in enumerate(UNITS)}
TRUTH = np.random.default_rng(0).uniform(size=60)


def noisy(name: str, noise: float, seed: int = 1, left_out: int = 0) -> JudgeMarks:
    values = TRUTH + np.random.default_rng(seed).normal(0, noise, 60)
    scores = dict(zip(UNITS[left_out:], values[left_out:].tolist(), strict=True))
    return JudgeMarks(
        name=name,
        scores=scores,
        unscored={unit.item: "unreadable" for unit in UNITS[:left_out]},
        not_applicable=frozenset(),
    )


def found_of(judges, prices, **options) -> Frontier:
    costs = {name: Cost({"money": price}, {"money": "stated"}) for name, price in prices.items()}
    reference = dict(zip(UNITS, TRUTH.tolist(), strict=True))
    drawn = Draws(FACTS, 400, 0)
    return frontier("spatial", judges, reference, drawn, costs, **{"called": "people", **options})


def dominated(found: Frontier) -> dict[str, str]:
    return {row.judge: by.judge for row in found.rows for by in row.dominated.values()}


def test_a_dear_judge_that_agrees_less_is_named_and_a_dear_one_that_agrees_more_is_not():
    judges = [noisy("cheap", 0.2), noisy("dear and worse", 0.8, 2), noisy("dear and better", 0.02, 3)]
    found = found_of(judges, {"cheap": 1.0, "dear and worse": 5.0, "dear and better": 5.0})
    assert set(dominated(found)) == {"dear and worse"}
    (by,) = found.rows[1].dominated.values()
    assert by.certain
    assert by.gain.low > 0
    assert found.rows[0].dominated == found.rows[2].dominated == {}


def test_agreement_is_that_of_scipy_and_of_scikit_learn():
    judge = noisy("one", 0.3, left_out=6)
    (row,) = found_of([judge], {}).rows
    scores = [judge.scores[unit] for unit in UNITS[6:]]
    assert row.agreement.value == pytest.approx(spearmanr(scores, TRUTH[6:]).statistic)
    assert (row.n, row.unscored, row.not_applicable, row.not_asked) == (54, 6, 0, 0)
    labels = (TRUTH > 0.5).astype(float)
    reference = dict(zip(UNITS, labels.tolist(), strict=True))
    inside = JudgeMarks(
        name="v", scores={u: float(np.clip(s, 0, 1)) for u, s in judge.scores.items()}, unscored={},
        not_applicable=frozenset(),
    )  # fmt: skip
    values = np.array(list(inside.scores.values()))
    known = {
        None: roc_auc_score(labels[6:], values),
        "balanced_accuracy": balanced_accuracy_score(labels[6:], values >= 0.5),
    }
    for by, expected in known.items():
        (row,) = frontier("f", [inside], reference, Draws(FACTS, 50, 0), {}, called="people", by=by).rows
        assert row.agreement.value == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(6))
def test_dominance_is_that_of_all_pairs_by_hand(seed):
    draw = random.Random(seed)
    judges = [
        noisy(f"j{place}", draw.choice([0.1, 0.4, 0.9]), place + 10 * seed, draw.choice([0, 0, 5]))
        for place in range(6)
    ]
    prices = {judge.name: draw.choice([1.0, 2.0, 3.0]) for judge in judges}
    expected = set()
    for one, other in itertools.permutations(judges, 2):
        common = [unit for unit in UNITS if unit in one.scores and unit in other.scores]
        truth = [TRUTH[UNITS.index(unit)] for unit in common]
        ours, theirs = (spearmanr([each.scores[u] for u in common], truth).statistic for each in (one, other))
        no_worse = prices[other.name] <= prices[one.name] and theirs >= ours and len(other.scores) >= len(one.scores)
        better = prices[other.name] < prices[one.name] or theirs > ours or len(other.scores) > len(one.scores)
        if no_worse and better:
            expected.add(one.name)
    if len(set(prices.values())) > 1:
        assert set(dominated(found_of(judges, prices))) == expected


def test_a_judge_that_scores_fewer_items_dominates_nobody_that_scores_more():
    judges = [noisy("part", 0.01, left_out=20), noisy("all", 0.5, 2)]
    assert dominated(found_of(judges, {"part": 1.0, "all": 5.0})) == {}
    assert dominated(found_of([noisy("part", 0.01), noisy("all", 0.5, 2)], {"part": 1.0, "all": 5.0})) == {
        "all": "part"
    }


def test_what_is_unknown_or_undefined_dominates_nobody_and_is_dominated_by_nobody():
    flat = JudgeMarks(name="flat", scores=dict.fromkeys(UNITS, 0.5), unscored={}, not_applicable=frozenset())
    found = found_of([noisy("good", 0.01), noisy("bad", 0.9, 2), flat], {"bad": 5.0, "flat": 1.0})
    assert dominated(found) == {}
    assert found.rows[2].agreement == Estimate(None, why="the judge gave every item the same score")
    assert found_of([noisy("good", 0.01), noisy("bad", 0.9, 2)], {"good": 1.0}).currencies == ()


def test_equal_judges_at_equal_prices_are_both_kept():
    twins, worse = [noisy("one", 0.3), noisy("two", 0.3)], noisy("worse", 0.9, 4)
    assert set(dominated(found_of([*twins, worse], {"one": 1.0, "two": 1.0, "worse": 2.0}))) == {"worse"}
    assert dominated(found_of(twins, {"one": 1.0, "two": 1.0 + 1e-12})) == {"two": "one"}


def test_the_reference_itself_is_a_row_that_agrees_by_definition():
    truth = JudgeMarks(
        name="truth", scores=dict(zip(UNITS, TRUTH.tolist(), strict=True)), unscored={}, not_applicable=frozenset()
    )
    found = found_of(
        [truth, noisy("dearer", 0.1)], {"truth": 2.0, "dearer": 3.0}, called="truth", free=["truth", "dearer"]
    )
    assert found.rows[0].agreement == Estimate(1.0, 1.0, 1.0)
    assert dominated(found) == {}
    assert found.without_model.judges == ("dearer",)  # the reference replaces nobody


def test_prompts_without_a_model_by_hand():
    free = noisy("free", 0.1, left_out=5)  # the prompts of items 0..4 are p0, p1 and half of p2
    found = found_of([free, noisy("asks", 0.1)], {}, free=["free"]).without_model
    assert (found.decided, found.prompts) == (27, 30)
    assert found.share.value == pytest.approx(0.9)
    assert 0.7 < found.share.low < 0.9 < found.share.high < 1
    assert found_of([noisy("asks", 0.1)], {}).without_model.share.value is None


def test_planned_costs_are_the_plan_s():
    given = read_settings(Assumptions, {}, where="")
    for judge, model in (("prompt_image", "qwen2.5-vl-7b"), ("semantic", "qwen2.5-vl-3b")):
        named = f"{judge}[{model.replace('qwen', 'Qwen')}-Instruct"
        cost, thrice = (judge_cost(f"{named}{mode}]", None, CostFile()) for mode in ("", ",mean of 3"))
        assert cost.of("flops") == pytest.approx(plan_judging(1, model, [judge], "h200", 1, given).flops)
        assert thrice.of("flops") == pytest.approx(3 * cost.of("flops"))
        assert judge_cost(f"{named},expected]", None, CostFile()).of("flops") is None  # the plan knows written answers
        assert cost.of("tokens") > 100
        assert cost.how["flops"] == "planned"
    big = judge_cost("spatial[Qwen2.5-VL-72B-Instruct]", None, CostFile())
    small = judge_cost("spatial[Qwen2.5-VL-3B-Instruct]", None, CostFile())
    assert big.of("flops") > 10 * small.of("flops")  # although it does not fit into one GPU
    assert small.of("money") is None
    assert small.of("seconds") is None


def test_nothing_is_guessed_and_what_is_stated_goes_first():
    unknown = judge_cost("spatial[gpt-4o]", 2.0, CostFile())
    assert (unknown.of("flops"), unknown.of("tokens"), unknown.of("seconds")) == (None, None, 2.0)
    stated = Stated(flops=5.0, input_tokens=1000, output_tokens=100, input_price=2.5, output_price=10.0)
    found = judge_cost("spatial[gpt-4o]", 2.0, CostFile(judges={"spatial": stated}))
    assert (found.of("flops"), found.of("tokens")) == (5.0, 1100)
    assert found.of("money") == pytest.approx(0.0025 + 0.001)
    assert judge_cost("spatial[gpt-4o]", 2.0, CostFile(hour=3.6)).of("money") == pytest.approx(0.002)
    assert judge_cost("geometric", 0.1, CostFile()).of("flops") == 0
    assert judge_cost("clip_score[clip-vit-b]", 0.1, CostFile()).of("flops") is None


@pytest.mark.parametrize(
    ("judge", "free"),
    [
        ("geometric", True),
        ("reasoning_image[shapes]", True),
        ("distilled[spatial[Qwen], layout features, ridge, 9 samples 12ab]", True),
        ("distilled[spatial[Qwen], clip-vit, ridge, 9 samples 12ab]", False),
        ("cascade[geometric, shapes_semantic from doubt 0.5 of its value]", False),
        ("spatial[Qwen2.5-VL-7B]", False),
        ("gpt-4o", False),
    ],
)
def test_a_name_says_whether_a_model_is_asked(judge, free):
    assert asks_no_model(judge) is free


def test_a_cascade_costs_the_cheap_judge_and_a_share_of_the_strong_one():
    costs = {"a": Cost({"flops": 0.0}), "b": Cost({"flops": 100.0, "seconds": 2.0})}
    assert cascade_parts("cascade[a, b from doubt 0.5 of its value]", costs) == ("a", "b")
    assert cascade_parts("cascade[a, c from doubt 0.5 of its value]", costs) is None
    both = costs["a"].with_share(costs["b"], 0.25)
    assert both.of("flops") == 25
    assert both.of("seconds") is None


def run_of(folder: Path) -> Path:
    """Plans judged by the true geometric judge, a good and a bad one."""
    draw = random.Random(3)

    def judge(noise):
        def say(sample: Sample):
            (truth,) = Builder().judge({"use": "geometric"}).judge([sample])
            return Score(value=min(max(truth.value + draw.gauss(0, noise), 0.0), 1.0))

        return say

    judges = {"geometric": judge(0.0), "spatial": judge(0.1), "bad": judge(1.0)}
    names = {
        "geometric": "geometric",
        "spatial": "spatial[Qwen2.5-VL-3B-Instruct]",
        "bad": "spatial[Qwen2.5-VL-72B-Instruct]",
    }
    return write_run(folder, plans(40), judges, name=names.get)


def test_frontiers_of_a_run_with_a_judge_as_the_reference(tmp_path):
    found = find_frontiers([run_of(tmp_path / "run")], reference=["geometric"], draws=50)
    (one,) = found.frontiers
    assert (one.factor, one.reference, one.items) == ("spatial", "geometric", 40)
    assert dominated(one) == {"spatial[Qwen2.5-VL-72B-Instruct]": "spatial[Qwen2.5-VL-3B-Instruct]"}
    assert found.notes == [
        f"{name}: unknown of all judges (state it with --costs)" for name in ("seconds a judgment", "money a judgment")
    ]


def test_frontiers_against_people(tmp_path):
    run = run_of(tmp_path / "run")
    truth = load_run(run).outcomes["geometric"]
    rows = [f"{item},{rater},spatial,{outcome.value}" for item, outcome in truth.items() for rater in ("a", "b")]
    (tmp_path / "people.csv").write_text("item,rater,dimension,value\n" + "\n".join(rows) + "\n")
    (one,) = find_frontiers([run, tmp_path / "people.csv"], draws=50).frontiers
    assert one.reference == "people on spatial"
    assert {row.judge: row.agreement.value for row in one.rows}["geometric"] == pytest.approx(1)
    assert dominated(one)["spatial[Qwen2.5-VL-72B-Instruct]"] in ("geometric", "spatial[Qwen2.5-VL-3B-Instruct]")


def test_the_command(tmp_path):
    run_of(tmp_path / "run")
    (tmp_path / "costs.toml").write_text('hour = 2.0\n[judges."spatial[Qwen2.5-VL-3B-Instruct]"]\nseconds = 3\n')
    asked = ["frontier", "run", "--reference", "geometric", "--draws", "50"]
    done = start(*asked, "--costs", "costs.toml", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "spatial, against geometric" in done.stdout
    told = "spatial, FLOPs: spatial[Qwen2.5-VL-72B-Instruct] is dominated by spatial[Qwen2.5-VL-3B-Instruct]"
    assert told in done.stdout
    found = json.loads((tmp_path / "out/frontier.json").read_text())
    assert found["frontiers"][0]["judges"][1]["cost"]["seconds"] == {"amount": 3.0, "how": "stated"}
    assert json.loads(start(*asked, "--json", cwd=tmp_path).stdout)["frontiers"][0]["factor"] == "spatial"
    page = (tmp_path / "out/frontier.html").read_text()
    assert page.count("<svg") == 2  # FLOPs and tokens; of seconds and money one judge's is known
    assert "http" not in page.replace("http-equiv", "")
    assert told.removeprefix("spatial, FLOPs: ") in (tmp_path / "out/frontier.md").read_text()


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--by", "r"], "--by r: expected one of spearman"),
        (["--reference", "geometrc"], "no judge is called 'geometrc'; did you mean 'geometric'?"),
        (["--reference", "spatial"], "several judges are called 'spatial'"),
        ([], "nothing to hold judges against"),
        (["--factor", "taste=geometric"], "expected FACTOR=JUDGE,... with a factor of semantic"),
        (["--judge-model", "x"], "say with --judges which judges ask it"),
        (["--judges", "geometric", "run"], "expected one run whose samples are judged, got 2"),
        (["--costs", "none.toml"], "cannot read the settings file"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path, extra, message):
    run_of(tmp_path / "run")
    failed = start("frontier", "run", *extra, cwd=tmp_path)
    assert failed.returncode == 2
    assert message in failed.stderr
    assert "Traceback" not in failed.stderr


def test_costs_are_read_strictly(tmp_path):
    (tmp_path / "c.toml").write_text("[judges.spatial]\nflop = 1\n")
    with pytest.raises(UsageError, match="unknown setting"):
        read_costs(tmp_path / "c.toml")
    (tmp_path / "c.toml").write_text("[judges.spatial]\nseconds = -1\n")
    with pytest.raises(UsageError, match="greater than or equal to 0"):
        read_costs(tmp_path / "c.toml")
    with pytest.raises(DataError):
        read_costs(tmp_path / "none.toml")


def test_more_judges_over_a_run_s_samples_beside_those_that_judged_it(tmp_path):
    run = write_run(tmp_path / "run", plans(10), {"spatial": lambda sample: Score(value=0.5)})
    before = (run / "judgments.jsonl").read_text()
    names = judge_more(run, Builder().reward_set("geometric,shapes_semantic"))
    assert names == ["geometric", "shapes_semantic"]
    loaded = load_run(run)
    assert [column.name for column in loaded.judges] == ["judge[spatial]", "geometric", "shapes_semantic"]
    (score, *_) = loaded.outcomes["geometric"].values()
    assert isinstance(score, Score)
    (foreign, *_) = loaded.outcomes["shapes_semantic"].values()
    assert isinstance(foreign, Unscored)
    assert foreign.why is Why.NO_INPUT
    after = (run / "judgments.jsonl").read_text()
    assert after.startswith(before)
    judge_more(run, Builder().reward_set("geometric,shapes_semantic"))
    assert (run / "judgments.jsonl").read_text() == after  # nobody is asked again
    assert len(load_run(run).judges) == 3


def test_a_plot_has_a_dot_a_judge_of_known_cost_and_none_covers_another():
    judges = [noisy(f"j{place}", 0.1, 1) for place in range(5)]
    found = found_of(judges, {"j0": 0.0, "j1": 1.0, "j2": 1.0, "j3": 100.0})
    drawn = plot(found, "money")
    assert drawn.count("<circle") == 4
    places = [(float(x), float(y)) for x, y in zip(*_attributes(drawn, ("cx", "cy")), strict=True)]
    assert all(np.hypot(a[0] - b[0], a[1] - b[1]) > 16 for a, b in itertools.combinations(places, 2))


def _attributes(drawn: str, names):
    import re

    return [re.findall(rf'<circle[^>]* {name}="([^"]+)"', drawn) for name in names]


def test_amounts_in_short():
    assert [amount(value) for value in (None, 0.0, 0.0123, 12.0, 1234.0, 5e12)] == [
        "unknown", "0", "0.0123", "12", "1.23 k", "5 T",
    ]  # fmt: skip
