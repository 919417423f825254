"""A run that is asked for is one object: the command line, Python and run.json say the same."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.shapes import ShapesSuite
from gotr1_eval import run_benchmark
from gotr1_eval.cli.app import run
from gotr1_eval.cli.bench import bench, generate, score
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Why
from gotr1_eval.runs.request import ROLES, SHORT_FORMS, RunRequest, ScoreRequest
from gotr1_eval.settings import read_component
from reports.origins import run_labels
from reports.run_data import RunData, load_run


def asked(**values: object) -> RunRequest:
    return RunRequest.model_validate({"suite": "shapes", **values})


def test_every_field_is_an_option():
    options = set(inspect.signature(bench).parameters)
    assert options >= set(RunRequest.model_fields) | set(SHORT_FORMS)
    assert set(inspect.signature(score).parameters) == {
        *ScoreRequest.model_fields,
        "as_json",
        "dry_run",
        "intervals",
        "quiet",
        "verbose",
    }
    assert not set(inspect.signature(generate).parameters) & {"judges", "images", *ROLES}


@pytest.mark.parametrize(
    ("text", "component"),
    [
        ("clip", {"use": "clip"}),
        ("janus,ckpt=a/b,guidance=2.5", {"use": "janus", "ckpt": "a/b", "guidance": 2.5}),
        ("ray,workers=8,fast=true,name=x", {"use": "ray", "workers": 8, "fast": True, "name": "x"}),
    ],
)
def test_one_syntax_for_every_component(text: str, component: dict[str, object]):
    assert read_component(text) == component
    assert asked(generator=text).generator == component
    assert asked(engine=text).engine == component


def test_short_forms_are_written_out():
    long = asked(generator="janus,ckpt=tiny-janus,guidance=2.0,chain_cap=60")
    assert asked(ckpt="tiny-janus", guidance=2.0, chain_cap=60) == long
    assert asked(generator="janus,ckpt=tiny-janus", guidance=2.0, chain_cap=60) == long
    assert asked(images="p", detections="d.jsonl").models == {"detector": {"use": "precomputed", "path": "d.jsonl"}}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"ckpt": "a", "generator": "janus,ckpt=b"}, "give either --ckpt or --generator"),
        ({"detections": "a", "detector": "shapes"}, "give either --detections or --detector"),
        ({"guidance": 2.0}, "--guidance is a setting of the generator: name one with --generator"),
        ({"guidance": 2.0, "images": "p"}, "--guidance: the pictures of --images are made already"),
        ({"generator": "janus,ckpt"}, "expected name,setting=value,... and got 'ckpt'"),
        ({"retry": "unreadible"}, "--retry: no reason named 'unreadible'; did you mean 'unreadable'"),
        ({"reply_cache": "f"}, "--reply-cache keeps the replies of the model that --judge-model names"),
    ],
)
def test_contradictions_are_refused(values: dict[str, object], message: str):
    with pytest.raises(UsageError, match=message.replace(".", "[.]")):
        asked(**values)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--limit", "0"], "--limit 0: "),
        (["--images-per-prompt", "-1"], "--images-per-prompt -1: "),
        (["--semantics", "corected"], "--semantics corected: expected 'reference' or 'corrected'"),
        (["--min-coverage", "2"], "--min-coverage 2"),
    ],
)
def test_a_wrong_value_is_told_by_its_option(arguments: list[str], message: str):
    with pytest.raises(UsageError, match=message):
        run(["bench", "shapes", "--ckpt", "tiny-janus", *arguments])


def test_names_are_split():
    request = asked(categories="color, spatial", retry="unreadable,truncated")
    assert request.categories == ("color", "spatial")
    assert request.retry == (Why.UNREADABLE, Why.TRUNCATED)


def test_a_request_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        asked().seed = 1  # type: ignore[misc]


@pytest.mark.slow
def test_python_and_the_command_line_make_the_same_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    settings = {"limit": 1, "categories": "color", "images_per_prompt": 1}
    frames = run_benchmark(suite="shapes", ckpt="tiny-janus", guidance=2.0, out=tmp_path / "python", **settings)
    options = ["--ckpt", "tiny-janus", "--guidance", "2", "--limit", "1", "--categories", "color"]
    run(["bench", "shapes", *options, "--images-per-prompt", "1", "--out", str(tmp_path / "terminal")])
    capsys.readouterr()
    for file in ("samples.jsonl", "scores.csv"):
        rows = [(tmp_path / name / file).read_text() for name in ("python", "terminal")]
        assert rows[0] == rows[1].replace(str(tmp_path / "terminal"), str(tmp_path / "python"))
    assert len(frames.samples) == 1
    assert (tmp_path / "python" / "report.html").exists()
    request = json.loads((tmp_path / "terminal" / "run.json").read_text())["setup"]["request"]
    assert request == {
        "suite": "shapes",
        "generator": {"use": "janus", "ckpt": "tiny-janus", "guidance": 2.0},
        "limit": 1,
        "categories": ["color"],
        "images_per_prompt": 1,
        "out": str(tmp_path / "terminal"),
    }


def test_python_writes_what_official_scripts_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def write_official(suite: ShapesSuite, run: Path) -> list[str]:
        (run / "official.txt").write_text(suite.name)
        return []

    monkeypatch.setattr(ShapesSuite, "write_official", write_official)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    prompt = ShapesSuite().prompts("color")[0]
    Image.new("RGB", (32, 32)).save(pictures / f"{prompt}_000000.png")
    given = {"categories": "color", "limit": 1, "images_per_prompt": 1, "judges": "shapes_prompt_image"}
    run_benchmark(suite="shapes", images=pictures, out=tmp_path / "run", **given)
    assert (tmp_path / "run" / "official.txt").read_text() == "shapes"
    assert (tmp_path / "run" / "scores.csv").exists()


def test_a_run_stands_under_its_title(tmp_path: Path):
    """Two of one title are told apart by their folders; the same command under another title renames the run."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    Image.new("RGB", (32, 32)).save(pictures / f"{ShapesSuite().prompts('color')[0]}_000000.png")
    given = {"categories": "color", "limit": 1, "images_per_prompt": 1, "judges": "shapes_prompt_image"}

    def made(name: str, **more: str) -> RunData:
        run_benchmark(suite="shapes", images=pictures, out=tmp_path / name, **given, **more)
        return load_run(tmp_path / name)

    one, two = made("one", title="GoT-R1, greedy"), made("two")
    assert run_labels([one, two]) == ["GoT-R1, greedy", "two"]
    assert "<h1>GoT-R1, greedy</h1>" in (tmp_path / "one" / "report.html").read_text()
    assert run_labels([one, made("two", title="GoT-R1, greedy")]) == ["one", "two"]
    assert made("one", title="GoT-R1, sampled").title == "GoT-R1, sampled"
