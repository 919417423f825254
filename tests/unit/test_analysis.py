"""The reward analysis: against pandas and scipy, by brute force, and by hand."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gotr1_eval.analysis import analyse_run, remake
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Score, Unscored, Why
from gotr1_eval.core.types import Sample
from reports.analysis.reward import decided, plan_columns, relate
from reports.analysis.tables import analysis_document
from reports.documents import csv_text, json_text, latex, markdown
from rewards.rules import RULES
from tests.made_runs import made_run, scattered

FOUR = {
    "semantic": scattered(0.8, 0.1, 1),
    "spatial": scattered(0.6, 0.3, 2),
    "reasoning_image": scattered(0.4, 0.3, 3),
    "prompt_image": scattered(0.5, 0.5, 4),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory):
    return made_run(tmp_path_factory.mktemp("runs") / "a", FOUR, rule="paper_without_hps", prompts=6)


def frame(run) -> pd.DataFrame:
    """A row a sample, a column a factor."""
    return pd.DataFrame(
        {
            column.factor: {sample: outcome.value for sample, outcome in run.outcomes[column.name].items()}
            for column in run.judges
        }
    )


def test_totals_made_again_are_the_judged_ones(run):
    again = remake(run).totals["paper_without_hps"]
    assert {sample: outcome.value for sample, outcome in again.items()} == frame(run)["total"].to_dict()


def test_other_rules_by_hand(run):
    found = {row.name: row for row in analyse_run(run).rules}
    values = frame(run)
    chain = (values.semantic + values.spatial) / 2
    expected = {
        "paper_without_hps": chain * values.reasoning_image * values.prompt_image,
        "readme": 2 * chain * values.reasoning_image * values.prompt_image,
        "sum": chain + values.reasoning_image + values.prompt_image,
        "geometric_mean": values[list(FOUR)].prod(axis=1) ** 0.25,
        "ri_only": values.reasoning_image,
        "pr_pi": chain * values.prompt_image,
        "without_spatial": values.semantic * values.reasoning_image * values.prompt_image,
    }
    for name, column in expected.items():
        assert found[name].summary.mean == pytest.approx(column.mean()), name
        assert found[name].tau == pytest.approx(stats.kendalltau(values.total, column).statistic), name
    assert set(found) == set(RULES) - {"paper"}
    assert next(iter(found)) == "paper_without_hps"


def test_leaving_a_factor_out_by_hand(run):
    found = {row.name: row for row in analyse_run(run).without}
    values = frame(run)
    chain = (values.semantic + values.spatial) / 2
    expected = {
        "semantic": values.spatial * values.reasoning_image * values.prompt_image,
        "spatial": values.semantic * values.reasoning_image * values.prompt_image,
        "reasoning_image": chain * values.prompt_image,
        "prompt_image": chain * values.reasoning_image,
    }
    assert set(found) == set(expected)
    for name, column in expected.items():
        assert found[name].summary.mean == pytest.approx(column.mean())
        assert found[name].tau == pytest.approx(stats.kendalltau(values.total, column).statistic)


def test_the_smallest_term_by_brute_force(run):
    values = frame(run)
    terms = pd.DataFrame(
        {
            "semantic + spatial": (values.semantic + values.spatial) / 2,
            "reasoning_image": values.reasoning_image,
            "prompt_image": values.prompt_image,
        }
    )
    counts = terms.idxmin(axis=1).value_counts()
    for row in analyse_run(run).decided:
        assert (row.alone, row.tied, row.samples) == (counts.get(row.term, 0), 0, len(values))
        assert row.zero == (terms[row.term] == 0).sum()
    assert sum(row.alone for row in analyse_run(run).decided) == len(values)


def test_ties_and_zeros_by_hand():
    rows = {"1": {"a": 0.0, "b": 0.0, "c": 1.0}, "2": {"a": 0.5, "b": 0.2}, "3": {"a": 0.0}}
    found = {row.term: row for row in decided(rows)}
    assert (found["a"].alone, found["a"].tied, found["a"].zero, found["a"].samples) == (0, 1, 2, 3)
    assert (found["b"].alone, found["b"].tied, found["b"].zero, found["b"].samples) == (1, 1, 1, 2)
    assert (found["c"].alone, found["c"].tied, found["c"].samples) == (0, 0, 1)


def test_correlations_agree_with_pandas(run):
    values = frame(run)
    for relation in analyse_run(run).correlations:
        pair = values[[relation.x, relation.y]]
        for how, found in (("spearman", relation.spearman), ("pearson", relation.pearson)):
            assert found.value == pytest.approx(pair.corr(how).iloc[0, 1])
            assert found.low < found.value < found.high
        assert relation.samples == len(values)


@pytest.mark.slow
def test_correlation_intervals_hold_the_truth_as_often_as_they_say():
    """Two columns that share what they have of a prompt: the true Spearman correlation is near 0.483."""
    generator = np.random.default_rng(0)
    truth = 6 / np.pi * np.arcsin(0.5 / 2)
    held = 0
    for _ in range(60):
        common = generator.normal(0, np.sqrt(0.5), (100, 1))
        x, y = (common + generator.normal(0, np.sqrt(0.5), (100, 2)) for _ in range(2))
        columns = {
            name: {f"s/c/{prompt}/{image}": values[prompt, image] for prompt in range(100) for image in range(2)}
            for name, values in (("x", x), ("y", y))
        }
        found = relate("x", "y", columns).spearman
        held += found.low <= truth <= found.high
    assert 55 <= held <= 60


def test_what_has_no_correlation_says_why():
    column = {"a/0": 1.0, "b/0": 2.0}
    assert relate("x", "y", {"x": column, "y": {}}).spearman.why == "fewer than two samples have both"
    constant = relate("x", "y", {"x": column, "y": dict.fromkeys(column, 3.0)})
    assert constant.spearman.value is None
    assert constant.pearson.why == "y is the same everywhere"


def test_plans_are_measured_by_hand():
    chain = "A cat (0,0),(500,500) beside a dog (500,500),(1000,750)."
    samples = [
        Sample(id="1", prompt="p", chain=chain),
        Sample(id="2", prompt="p"),
        Sample(id="3", prompt="p", chain="x"),
    ]
    found = plan_columns(samples)
    assert found["chain words"] == {"1": 5, "3": 1}
    assert found["planned objects"] == {"1": 2, "3": 0}
    assert found["planned area"] == {"1": pytest.approx((0.25 + 0.125) / 2)}


def test_what_does_not_apply_and_what_is_unscored(tmp_path: Path):
    def nothing_to_say(sample):
        if "/color/" in sample.id:
            return Unscored(why=Why.NOT_APPLICABLE)
        return Unscored(why=Why.UNREADABLE) if sample.id.endswith("0/0") else Score(value=0.5)

    run = made_run(tmp_path / "run", {**FOUR, "spatial": nothing_to_say})
    analysis = analyse_run(run)
    assert (analysis.own, analysis.without, analysis.decided) == ("", (), ())
    rules = {row.name: row for row in analysis.rules}
    assert rules["pr_only"].summary.unscored == 1
    assert rules["pi_only"].summary.unscored == 0
    assert rules["pr_only"].tau is None
    assert "adds its factors" in analysis.impossible["readme"]
    assert "aesthetic" in analysis.impossible["paper"]


def test_a_reward_set_gives_the_rule(run, tmp_path: Path):
    custom = tmp_path / "mine.toml"
    custom.write_text(
        '[judges]\nsemantic = "semantic"\nprompt_image = "prompt_image"\n'
        '[total]\nrule = "weighted"\nweights = { semantic = 0.25, prompt_image = 0.75 }\n'
    )
    analysis = analyse_run(run, str(custom))
    assert analysis.own == "weighted"
    values = frame(run)
    assert analysis.rules[0].summary.mean == pytest.approx((0.25 * values.semantic + 0.75 * values.prompt_image).mean())
    assert {row.name: row.summary.mean for row in analysis.without} == {
        "semantic": pytest.approx((0.75 * values.prompt_image).mean()),
        "prompt_image": pytest.approx((0.25 * values.semantic).mean()),
    }
    with pytest.raises(UsageError, match="needs a judge for the factor 'aesthetic'"):
        analyse_run(run, "paper")
    with pytest.raises(UsageError, match="has no total"):
        analyse_run(run, "without_models")


def test_the_document_has_every_form_and_ranks_runs(run, tmp_path: Path):
    worse = made_run(
        tmp_path / "b", {**FOUR, "prompt_image": scattered(0.2, 0.2, 9)}, rule="paper_without_hps", prompts=6
    )
    runs = [run, worse]
    document = analysis_document(runs, [analyse_run(each) for each in runs], "analyse a b")
    text = markdown(document)
    assert "| paper\\_without\\_hps | a &gt; b | +1.00 |" in text
    assert "gotr1-eval analyse a b" in text
    content = json.loads(json_text(document))["content"]
    assert content["order"]["pr_only"] == {"order": "a = b", "tau": None}
    assert content["runs"]["a"]["own"] == "paper_without_hps"
    rows = pd.read_csv(io.StringIO(csv_text(document)))
    means = rows[(rows.run == "a") & (rows.kind == "mean")].set_index("x")["value"]
    assert means["semantic"] == pytest.approx(frame(run).semantic.mean())
    assert rows.judgments_jsonl_sha256.nunique() == 2
    assert r"\toprule" in latex(document)
