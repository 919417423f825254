"""Published scores: the table is sound, and a run's numbers stand beside them only where they may."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from benchmarks.semantics import metric_name
from benchmarks.t2i_compbench import CATEGORIES as COMPBENCH
from gotr1_eval.build import Builder
from gotr1_eval.cli.app import run
from gotr1_eval.core.errors import DataError
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.plugins import BENCHMARKS
from gotr1_eval.core.types import Sample
from gotr1_eval.runs.job import Job
from gotr1_eval.runs.run import run_job
from gotr1_eval.runs.samples import PromptDigest, list_samples
from reports.published import benchmark
from reports.published.benchmark import Benchmark, Peer, PromptList, known_benchmarks
from reports.published.metrics import ceiling, read_name
from reports.published.peers import Peers, ceiling_lines, peers_of
from reports.run_data import load_run
from reports.run_page.page import render_page
from reports.run_summary import summarise_run
from rewards.reward_set import RewardSet
from tests.conftest import SHARED, shared_parameters
from tests.fakes import ScriptedJudge

SPATIAL = "spatial[unidet-rs200, spacy en_core_web_sm-3.5.0, reference]"
COLOR = "attribute[blip-vqa, spacy en_core_web_sm-3.5.0, reference]"
GENEVAL = "geneval[mask2former-openmmlab, clip-vit-large-patch14, reference]"
FOLDERS = BENCHMARKS.folders()
STATED = {name: benchmark._read(folder) for name, folder in FOLDERS.items()}
TASKS = STATED["geneval"].categories
OVERALL = "overall"


def published(protocol: str) -> list[Peer]:
    return [peer for folder in FOLDERS.values() for peer in benchmark.published(folder, protocol)]


def with_lists(monkeypatch: pytest.MonkeyPatch, lists: Mapping[str, PromptList]) -> None:
    """As if these were the published lists of every benchmark."""

    def read(folder: Path) -> Benchmark:
        return STATED[folder.name].model_copy(update={"lists": lists})

    monkeypatch.setattr(benchmark, "_read", read)


def digest(prompts: Sequence[str]) -> str:
    """Of a list, each prompt with two pictures."""
    found = PromptDigest()
    for number, prompt in enumerate(prompts):
        for image in range(2):
            found.add(Sample(id=f"suite/category/{number:05d}/{image}", prompt=prompt))
    assert found.number == len(prompts)
    return found.value


PROTOCOLS = ("T2I-CompBench", "T2I-CompBench++", "GenEval")


class NoPictures:
    """A painter of nothing: the judges of these tests are scripted."""

    name = fingerprint = "nobody"
    independent = True

    def fitting_tile(self, most: int) -> int:
        return most

    def fingerprint_of(self, planned: list[Sample]) -> str:
        return self.fingerprint

    def complete(self, planned: list[Sample], store: object) -> list[Sample]:
        return planned


class Lists:
    """A suite of three prompts a category."""

    reward_set = "without_models"
    images_per_prompt = 2

    def __init__(self, name: str, categories: tuple[str, ...]) -> None:
        self.name, self.categories = name, categories

    def prompts(self, category: str) -> list[str]:
        return [f"{category} {number}" for number in range(3)]

    def facts(self, category: str, prompt_index: int) -> dict[str, object]:
        return {}


@pytest.fixture
def short_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """The published lists have three prompts, too."""
    names = (*COMPBENCH, *TASKS)
    digests = {name: digest([f"{name} {number}" for number in range(3)]) for name in names}
    with_lists(monkeypatch, {name: PromptList(prompts=3, digest=value) for name, value in digests.items()})


def judged(folder: Path, suite: Lists, judges: Mapping[str, ScriptedJudge], **asked: int) -> list[Peers]:
    images = asked.setdefault("images_per_prompt", 10)
    plan = list_samples(suite, suite.categories, images_per_prompt=images, limit=asked.get("limit"), seed=0)  # type: ignore[arg-type]
    run_job(
        Job(
            folder=folder,
            samples=plan,
            pictures=NoPictures(),
            rewards=RewardSet(dict(judges)),
            settings={"suite": suite.name, "seed": 0, **asked},
        )
    )  # type: ignore[arg-type]
    found = load_run(folder)
    return peers_of(found, summarise_run(found))


def always(name: str, value: float, categories: tuple[str, ...]) -> ScriptedJudge:
    def answer(sample: Sample) -> Outcome:
        other = Unscored(why=Why.NOT_APPLICABLE, detail="")
        return Score(value=value) if sample.meta["category"] in categories else other

    return ScriptedJudge(answer, name=name)


def test_names_are_read_as_the_judges_write_them():
    metrics = {name: metric for known in known_benchmarks() for name, metric in known.metrics.items()}
    assert metrics.keys() >= {"attribute", "spatial", "3d_spatial", "numeracy", "non_spatial", "complex", "geneval"}
    for metric, stated in metrics.items():
        name = metric_name(metric, [maker.names[0] for maker in stated.made_with], "reference")
        parsed = read_name(name)
        assert parsed is not None
        assert (parsed.metric, parsed.faults) == (metric, [])
    frozen = read_name("spatial[unidet-rs200, spacy en_core_web_sm-3.5.0, frozen, reference]")
    assert frozen is not None
    assert frozen.faults == []
    for other in ("geometric", "clip_score[a, reference]", "spatial[unidet-rs200, reference]", "spatial"):
        assert read_name(other) is None


@pytest.mark.parametrize(
    ("name", "faults"),
    [
        (
            "spatial[grounding-dino, spacy en_core_web_sm-3.5.0, reference]",
            ["detector grounding-dino, published with unidet-rs200"],
        ),
        (
            "spatial[unidet-r50, builtin, corrected]",
            [
                "detector unidet-r50, published with unidet-rs200",
                "noun phrases builtin, published with spacy en_core_web_sm-3.5.0",
                "corrected semantics, published with reference",
            ],
        ),
        (
            "attribute[blip-vqa-384px, spacy en_core_web_sm-3.5.0, reference]",
            ["yes-no model blip-vqa-384px, published with blip-vqa"],
        ),
        (
            "geneval[mask2former-openmmlab,sha256 12345678, no colours, reference]",
            [
                "detector mask2former-openmmlab,sha256 12345678, published with mask2former-openmmlab",
                "encoder no colours, published with clip-vit-large-patch14",
            ],
        ),
    ],
)
def test_what_is_made_otherwise_is_not_comparable(name: str, faults: list[str]):
    parsed = read_name(name)
    assert parsed is not None
    assert parsed.faults == faults


def test_the_table_is_sound():
    tables = {
        name: list(csv.DictReader((folder / "published.csv").read_text().splitlines()))
        for name, folder in FOLDERS.items()
        if (folder / "published.csv").is_file()
    }
    assert len(tables["geneval"]) + len(tables["t2i_compbench"]) == 494
    for name, rows in tables.items():
        stated = STATED[name]
        assert {row["protocol"] for row in rows} == set(stated.protocols)
        headlines = {stated.mean_of_categories, *(metric.mean_of_pictures for metric in stated.metrics.values())}
        for row in rows:
            # What a leaderboard calls overall without saying what it is has no number of a run beside it.
            assert row["metric"] in {*stated.categories, *headlines, "leaderboard_overall"}
            assert 0 <= float(row["value"]) <= 1
            assert row["source"]
            assert row["made_with"]
            assert (row["kind"] in ("main", "ablation"), row["transcribed"] in ("yes", "no")) == (True, True)
        keys = [(row["protocol"], row["source"], row["model"], row["metric"]) for row in rows]
        assert len(set(keys)) == len(keys)
    for protocol, metric in (("T2I-CompBench", "numeracy"), ("T2I-CompBench", "3d_spatial")):
        assert not any(metric in row.values for row in published(protocol))


@pytest.mark.parametrize(
    ("protocol", "model", "source", "metric", "value", "transcribed"),
    [
        ("GenEval", "Janus-Pro-7B", "Janus-Pro", "overall", 0.80, False),
        ("GenEval", "GoT-R1-7B", "GoT-R1", "overall", 0.75, False),
        ("GenEval", "Janus-Pro-7B-GoT", "GoT-R1", "counting", 0.48, False),
        ("T2I-CompBench", "GoT-R1-7B", "GoT-R1", "spatial", 0.3306, False),
        ("T2I-CompBench", "T2I-R1 (Janus-Pro-7B)", "T2I-R1", "color", 0.8130, True),
        ("T2I-CompBench++", "Janus-Pro-7B", "CogView4", "color", 0.5145, False),
    ],
)
def test_facts_that_must_be_there(protocol: str, model: str, source: str, metric: str, value: float, transcribed: bool):
    (row,) = [row for row in published(protocol) if row.model == model and row.source.startswith(source) and row.main]
    assert (row.values[metric], row.transcribed) == (value, transcribed)


@pytest.mark.parametrize("path", shared_parameters("data/published_results.csv"))
def test_every_row_agrees_with_the_collected_facts(path: Path, read_shared: Callable[[Path], str]):
    short = {"spatial_2d": "spatial", "spatial_3d": "3d_spatial", "non_spatial_clip": "non_spatial"}
    known: dict[tuple[str, str], set[float]] = {}
    for row in csv.DictReader(read_shared(path).splitlines()):
        metric = short.get(row["category"], row["category"].removesuffix("_3in1"))
        known.setdefault((row["benchmark"], metric), set()).add(float(row["score"]))
    for protocol in PROTOCOLS:
        for peer in published(protocol):
            for metric, value in peer.values.items():
                assert value in known[protocol, metric], (peer.model, metric)


def test_a_run_of_official_metrics_stands_beside_its_peers(short_lists: None, tmp_path: Path):
    judges = {"spatial": always(SPATIAL, 0.25, ("spatial",)), "color": always(COLOR, 0.5, ("color",))}
    old, new = judged(tmp_path / "run", Lists("t2i-compbench", ("color", "spatial")), judges)
    assert (old.protocol, new.protocol) == ("T2I-CompBench", "T2I-CompBench++")
    assert old.own == {"spatial": 0.25, "color": 0.5}
    assert old.comparable == new.comparable == ["spatial", "color"]
    assert {row.source for row in old.rows}.isdisjoint({row.source for row in new.rows})
    assert any("five duplicates" in remark for remark in old.remarks)


def test_what_stands_against_a_comparison_is_said(short_lists: None, tmp_path: Path):
    dino = "spatial[grounding-dino, spacy en_core_web_sm-3.5.0, reference]"
    judges = {"s": always(dino, 0.25, ("spatial",)), "c": always(COLOR, 0.5, ("color",))}
    (found, _) = judged(
        tmp_path / "run", Lists("t2i-compbench", ("color", "spatial")), judges, limit=2, images_per_prompt=1
    )
    assert found.comparable == []
    assert found.faults["color"] == ["2 prompts, of a list of 3"]
    assert found.faults["spatial"] == [
        "detector grounding-dino, published with unidet-rs200",
        "2 prompts, of a list of 3",
    ]
    assert "published with 10 pictures a prompt, here 1: less exact" in found.remarks


def test_other_prompts_and_holes_stand_against_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with_lists(monkeypatch, {"spatial": PromptList(prompts=3, digest="0" * 16)})

    def answer(sample: Sample) -> Outcome:
        return Score(value=1.0) if sample.meta["prompt_index"] else Unscored(why=Why.NO_INPUT, detail="gone")

    judges = {"spatial": ScriptedJudge(answer, name=SPATIAL)}
    (found, _) = judged(tmp_path / "run", Lists("t2i-compbench", ("spatial",)), judges)
    assert found.faults["spatial"] == ["other prompts than the published list", "only 66.7% scored"]


def test_genevals_overall_needs_all_tasks(short_lists: None, tmp_path: Path):
    tasks = TASKS
    (whole,) = judged(tmp_path / "a", Lists("geneval", tasks), {"g": always(GENEVAL, 1.0, tasks)}, images_per_prompt=4)
    assert whole.own[OVERALL] == 1.0
    assert whole.faults[OVERALL] == []
    assert whole.remarks == []
    (part,) = judged(tmp_path / "b", Lists("geneval", tasks[:2]), {"g": always(GENEVAL, 1.0, tasks)})
    assert part.faults[OVERALL] == ["without counting, colors, position, color_attr"]


def test_a_headline_may_be_the_mean_of_all_pictures_and_protocols_share_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    verified = STATED["wise"].metrics["wise_verified"]
    digests = {name: digest([f"{name} {number}" for number in range(3)]) for name in verified.categories}
    with_lists(monkeypatch, {name: PromptList(prompts=3, digest=value) for name, value in digests.items()})
    name = metric_name("wise_verified", [maker.names[0] for maker in verified.made_with], "reference")

    def answer(sample: Sample) -> Outcome:
        return Score(value=float(sample.meta["category"] == "culture"))

    judges = {"w": ScriptedJudge(answer, name=name)}
    (whole,) = judged(tmp_path / "a", Lists("wise", verified.categories), judges, images_per_prompt=1)
    assert whole.protocol == "WISE Verified"
    assert whole.own["overall"] == pytest.approx(1 / 6)
    assert whole.comparable == [*verified.categories, "overall"]
    assert {row.model: row.values["overall"] for row in whole.rows}["Janus-Pro-7B"] == 0.334
    (part,) = judged(tmp_path / "b", Lists("wise", ("culture", "time")), judges, images_per_prompt=1)
    assert part.faults["overall"] == ["without space, biology, physics, chemistry"]


def test_other_runs_have_no_peers(tmp_path: Path):
    assert judged(tmp_path / "run", Lists("shapes", ("spatial",)), {"s": always("geometric", 0.5, ("spatial",))}) == []


def test_terminal_and_page_show_them(short_lists: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    judges = {
        "s": always(SPATIAL, 0.25, ("spatial",)),
        "c": always("attribute[blip-vqa, builtin, reference]", 0.5, ("color",)),
        "d": always(
            "3d_spatial[unidet-r50, dpt-hybrid-midas, spacy en_core_web_sm-3.5.0, reference]", 0.3, ("3d_spatial",)
        ),
    }
    judged(tmp_path / "run", Lists("t2i-compbench", ("color", "spatial", "3d_spatial")), judges)
    assert run(["report", str(tmp_path / "run")]) == 0
    out, err = capsys.readouterr()
    assert "published under T2I-CompBench\n" in out
    assert re.search(r"this run +0\.2500 +0\.5000", out)
    assert re.search(r"GoT-R1-7B \[1\] +0\.3306 +0\.8139", out)
    against = "noun phrases builtin, published with spacy en_core_web_sm-3.5.0"
    assert f"* color: not comparable with published numbers: {against}" in out
    assert "[training run 1]" not in out
    assert "note: 3d_spatial: with UniDet's labels perfect pictures score about 0.95" in err
    found = load_run(tmp_path / "run")
    page = render_page(found, summarise_run(found))
    assert "Published: T2I-CompBench++" in page
    assert "Not comparable: color; noun phrases builtin, published with spacy en_core_web_sm-3.5.0." in page
    assert re.search(r"GoT-R1-7B.{1,80}0\.3306.{1,120}0\.8139", page, re.S)
    assert "GoT-R1-7B[training run 1]" in page
    assert "T2I-R1 (Janus-Pro-7B) †" in page


def test_without_anything_comparable_the_terminal_gives_the_reasons_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    judged(tmp_path / "run", Lists("t2i-compbench", ("spatial",)), {"s": always(SPATIAL, 0.25, ("spatial",))})
    assert run(["report", str(tmp_path / "run")]) == 0
    out = capsys.readouterr().out
    assert "* spatial: not comparable with published numbers: 3 prompts, of a list of 300" in out
    assert "GoT-R1-7B" not in out


def test_ceilings_are_of_reference_metrics_with_one(short_lists: None, tmp_path: Path):
    judges = {
        "s": always("spatial[unidet-rs200, spacy en_core_web_sm-3.5.0, corrected]", 0.25, ("spatial",)),
        "c": always(
            "complex[blip-vqa, unidet-rs200, ViT-B-32, spacy en_core_web_sm-3.5.0, reference]", 0.25, ("complex",)
        ),
        "n": always("numeracy[unidet-r50, spacy en_core_web_sm-3.5.0, reference]", 0.25, ("numeracy",)),
    }
    judged(tmp_path / "run", Lists("t2i-compbench", ("spatial", "complex", "numeracy")), judges)
    (line,) = ceiling_lines(load_run(tmp_path / "run"))
    assert line.startswith("complex: with UniDet's labels perfect pictures score 0.643: ")


@pytest.mark.parametrize(
    ("metric", "detector", "told"),
    [
        ("spatial", "unidet-rs200-fp16", "with UniDet's labels perfect pictures score about 0.66: "),
        ("numeracy", "unidet-r50", ""),
        ("spatial", "mask2former-openmmlab", "with COCO's 80 names perfect pictures score 0.30: "),
        ("numeracy", "mask2former-swin-small-coco-instance", "with COCO's 80 names perfect pictures score 0.48: "),
        ("complex", "mask2former-openmmlab", "with COCO's 80 names perfect pictures score 0.62: "),
        ("spatial", "grounding-dino", ""),
        (
            "spatial",
            "yolo",
            "what perfect pictures score with the labels of 'yolo' is not known (about 0.66 with UniDet",
        ),
    ],
)
def test_the_ceiling_is_of_the_detector_that_ran(metric: str, detector: str, told: str):
    found = ceiling(STATED["t2i_compbench"], metric, detector)
    assert found.startswith(told)
    assert bool(found) == bool(told)


@pytest.mark.parametrize("path", shared_parameters("data/t2i_compbench/LICENSE"))
def test_the_lists_digests_are_those_of_the_published_lists(path: Path, count_shared: Callable[[Path], Path]):
    compbench = Builder().suite({"use": "t2i-compbench", "data": str(count_shared(path).parent)})
    geneval = Builder().suite({"use": "geneval", "data": str(SHARED / "data/geneval")})
    for suite in (compbench, geneval):
        for category in suite.categories:
            prompts = suite.prompts(category)
            stated = STATED[suite.name.replace("-", "_")].lists[category]
            assert (stated.prompts, stated.digest) == (len(prompts), digest(prompts))


@pytest.mark.parametrize("row", ["P,main,s,m,color,high,blip,no", "P,main,s,m,color,nan,blip,no", "P,main,s,m,color"])
def test_a_damaged_table_of_published_scores_is_one_line(tmp_path: Path, row: str):
    header = "protocol,kind,source,model,metric,value,made_with,transcribed"
    (tmp_path / "published.csv").write_text(f"{header}\n{row}\n")
    with pytest.raises(DataError, match=r"published\.csv:2: expected the columns protocol, kind, .* a number as value"):
        benchmark.published(tmp_path, "P")
