"""A run against known means: the test, the tables that are read, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import statsmodels.api
from statsmodels.stats.multitest import multipletests

from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.core.outcome import Score
from gotr1_eval.core.types import Sample
from gotr1_eval.runs.store import RunInfo
from reports.comparison.known_means import (
    CAVEAT,
    KnownMean,
    RunAgainstMeans,
    against_means,
    means_document,
    published_means,
    read_means,
)
from reports.documents import markdown
from reports.published import benchmark
from reports.published.benchmark import PromptList
from reports.run_data import JudgeColumn, RunData
from tests.made_runs import made_run, scattered


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("runs") / "a"
    return made_run(folder, {"one": scattered(0.5, 0.2, 1), "two": scattered(0.3, 0.1, 2)}, prompts=8)


def test_the_test_is_statsmodels_with_clusters(run):
    values = {sample: outcome.value for sample, outcome in run.outcomes["one"].items() if "/color/" in sample}
    prompts = [sample.rpartition("/")[0] for sample in values]
    numbers = np.array(list(values.values())) - 0.42
    fit = statsmodels.api.OLS(numbers, np.ones_like(numbers)).fit(
        cov_type="cluster", cov_kwds={"groups": np.unique(prompts, return_inverse=True)[1]}, use_t=True
    )
    (row,) = against_means(run, [KnownMean(model="m", category="color", score=0.42)], "one")
    assert row.adjusted_p == pytest.approx(fit.pvalues[0])
    assert row.difference == pytest.approx(fit.params[0])


def test_verdicts_and_holm(run):
    means = [
        KnownMean(model="m", category=category, score=score) for category, score in (("color", 0.1), ("spatial", 0.9))
    ]
    rows = against_means(run, means, "one")
    assert [row.verdict for row in rows] == ["above", "below"]
    alone = [against_means(run, [mean], "one")[0].adjusted_p for mean in means]
    assert [row.adjusted_p for row in rows] == pytest.approx(multipletests(alone, method="holm")[1])
    own = rows[0].own.mean
    assert against_means(run, [KnownMean(model="m", category="color", score=own)], "one")[0].verdict == "within noise"
    text = markdown(means_document([RunAgainstMeans(run, rows)], "compare a --means m.csv"))
    assert "**above**" in text
    assert CAVEAT.partition(";")[0] in text


def test_a_column_names_the_judge(run):
    means = [KnownMean(model="m", category="color", score=0.9, judge=judge) for judge in ("one", "two")]
    assert [row.judge for row in against_means(run, means)] == ["one", "two"]
    with pytest.raises(UsageError, match="name one with --judges"):
        against_means(run, [KnownMean(model="m", category="color", score=0.9)])
    with pytest.raises(UsageError, match="has no judge 'three'"):
        against_means(run, [KnownMean(model="m", category="color", score=0.9)], "three")
    with pytest.raises(UsageError, match=r"no category in common .*the table has colour"):
        against_means(run, [KnownMean(model="m", category="colour", score=0.9)], "one")


def test_tables_are_read(tmp_path: Path):
    table = tmp_path / "means.csv"
    table.write_text("\ufeffmodel,category,score,judge\nA,color,0.5,\nB,shape,.25,one\n", encoding="utf-8")
    assert read_means(table) == [
        KnownMean(model="A", category="color", score=0.5),
        KnownMean(model="B", category="shape", score=0.25, judge="one"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model,score\nA,1\n", "needed the columns model, category and score .found: model, score"),
        ("model,category,score\nA,color,high\n", r"means.csv:2: expected a number under 'score', got 'high'"),
        ("model,category,score\nA,color,nan\n", "got 'nan'"),
        ("model,category,score\nA,color\n", "means.csv:2: expected 3 cells, got 2"),
        ("", "found: none"),
    ],
)
def test_bad_tables_are_refused(text: str, words: str, tmp_path: Path):
    (tmp_path / "means.csv").write_text(text)
    with pytest.raises(DataError, match=words):
        read_means(tmp_path / "means.csv")
    with pytest.raises(DataError, match="No such file"):
        read_means(tmp_path / "none.csv")


COLOR = "attribute[blip-vqa, spacy en_core_web_sm-3.5.0, reference]"
SPATIAL = "spatial[mask2former, builtin, reference]"


def official_run(value: float) -> RunData:
    """Three prompts of T2I-CompBench's color and spatial lists, ten pictures each."""
    samples, outcomes = {}, {COLOR: {}, SPATIAL: {}}
    for category, judge in (("color", COLOR), ("spatial", SPATIAL)):
        for prompt in range(3):
            for image in range(10):
                identity = f"t2i-compbench/{category}/{prompt:05d}/{image}"
                samples[identity] = Sample(id=identity, prompt=f"{category} {prompt}", meta={"category": category})
                outcomes[judge][identity] = Score(value=value + 0.01 * prompt)
    lists = {"color": [3, "c"], "spatial": [3, "s"]}
    info = RunInfo(identity={"suite": "t2i-compbench", "images_per_prompt": 10}, setup={"prompts": lists})
    columns = tuple(JudgeColumn(judge, judge, "1") for judge in (COLOR, SPATIAL))
    return RunData(Path("official"), info, samples, columns, outcomes, {"color": 30, "spatial": 30})


def test_published_scores_stand_beside_official_metrics_only(monkeypatch: pytest.MonkeyPatch):
    lists = {"color": PromptList(prompts=3, digest="c"), "spatial": PromptList(prompts=3, digest="other")}
    read = benchmark._read
    monkeypatch.setattr(benchmark, "_read", lambda folder: read(folder).model_copy(update={"lists": lists}))
    run = official_run(0.95)
    means, notes = published_means(run)
    assert {mean.category for mean in means} == {"color"}
    assert any(mean.model.startswith("GoT-R1-7B (T2I-CompBench;") and mean.score == 0.8139 for mean in means)
    assert {row.verdict for row in against_means(run, means)} == {"above"}
    assert notes[0].startswith("spatial: not comparable with published numbers: detector mask2former")
    assert published_means(run)[0][0].judge == COLOR


def test_without_the_published_list_nothing_is_compared():
    with pytest.raises(
        UsageError, match=r"nothing of official may be laid beside published numbers .*3 prompts, of a list of 300"
    ):
        published_means(official_run(0.5))
