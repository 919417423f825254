"""Detections from a file in front of the official judges: what they miss is said, and names have no second meaning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gotr1_eval.build import Builder
from gotr1_eval.cli.app import run
from gotr1_eval.core.outcome import Outcome, Score, Unscored
from gotr1_eval.core.protocols import Remarking
from gotr1_eval.core.runs import read_info
from gotr1_eval.core.types import Sample

CAT, DOG = [20, 200, 120, 300], [300, 200, 400, 300]


def write(folder: Path, *pictures: tuple[str, dict[str, list[float]]], size: tuple[int, int] = (480, 480)) -> Path:
    """A file of detections, a picture each by its name."""
    path = folder / "detections.jsonl"
    rows = [
        {
            "image": name, "detector": "d", "width": size[0], "height": size[1],
            "detections": [{"label": label, "box": box, "score": 0.9} for label, box in found.items()],
        }
        for name, found in pictures
    ]  # fmt: skip
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def sample(folder: Path, name: str, prompt: str, size: tuple[int, int] = (480, 480), **meta: Any) -> Sample:
    Image.new("RGB", size, "red").save(folder / name)
    return Sample(id=name, prompt=prompt, image=folder / name, meta=meta)


def geneval_row(*classes: str, **more: Any) -> dict[str, Any]:
    include = [{"class": name, "count": 1} for name in classes]
    return {"tag": "single_object", "include": include, "prompt": f"a photo of a {classes[0]}", **more}


def ask(spec: dict[str, Any], *samples: Sample) -> tuple[list[Outcome], list[str]]:
    """Outcomes, and remarks without the file's name."""
    judge = Builder().judge(spec)
    assert isinstance(judge, Remarking)
    return judge.judge(samples), judge.remarks(samples)


@pytest.mark.parametrize("label", ["mouse", "computer mouse"])
@pytest.mark.parametrize("asked", ["mouse", "computer mouse"])
def test_genevals_three_names_are_cocos_on_both_sides(asked: str, label: str, tmp_path: Path):
    path = write(tmp_path, ("a.png", {label: CAT}))
    judge = {"use": "geneval", "detector": {"use": "precomputed", "path": str(path)}}
    wanted = sample(tmp_path, "a.png", "p", geneval=geneval_row(asked))
    (outcome,), remarks = ask(judge, wanted)
    assert (outcome.value if isinstance(outcome, Score) else outcome, remarks) == (1.0, [])
    excluded = geneval_row("cat") | {"include": [], "exclude": [{"class": asked, "count": 1}]}
    (outcome,), _ = ask(judge, Sample(id="s", prompt="p", image=wanted.image, meta={"geneval": excluded}))
    assert isinstance(outcome, Score)
    assert outcome.value == 0.0


def test_labels_outside_genevals_classes_are_counted_and_named(tmp_path: Path):
    path = write(tmp_path, ("a.png", {"sofa": CAT, "cat": DOG}), ("b.png", {"tvmonitor": CAT, "sofa": DOG, "yak": CAT}))
    rows = [geneval_row("couch"), geneval_row("yak"), geneval_row("sphinx")]
    samples = [sample(tmp_path, f"{'abb'[place]}.png", "p", geneval=row) for place, row in enumerate(rows)]
    _, remarks = ask({"use": "geneval", "detector": {"use": "precomputed", "path": str(path)}}, *samples)
    assert remarks == [
        "d: prompts ask for what is none of GenEval's 80 classes: 'sphinx' (1)",
        "d: labels that are none of GenEval's 80 classes count for nothing: 'sofa' (2), 'tvmonitor' (1)",
    ]


def test_objects_that_no_label_is_are_counted_and_named(tmp_path: Path):
    path = write(tmp_path, ("a.png", {"cat": CAT, "tvmonitor": DOG}), ("b.png", {"keyboard": CAT, "table, desk": DOG}))
    prompts = {"a.png": "a cat near a tv", "b.png": "a keyboard near a table"}
    samples = [sample(tmp_path, name, prompt, category="spatial") for name, prompt in prompts.items()]
    judge = {"use": "spatial_2d", "detector": {"use": "precomputed", "path": str(path)}}
    _, remarks = ask(judge, *samples)
    assert remarks == [
        "d: no detection bears a label of these objects: 'tv' (1), 'table' (1); "
        "labels that no prompt asks for: 'tvmonitor' (1), 'table, desk' (1)"
    ]
    _, corrected = ask({**judge, "semantics": "corrected"}, *samples)
    assert "'tv' (1); labels that no prompt asks for: 'tvmonitor' (1)" in corrected[0]


@pytest.mark.parametrize("label", ["keyboard", "computer keyboard"])
def test_genevals_names_are_cocos_in_compbench(label: str, tmp_path: Path):
    path = write(tmp_path, ("a.png", {"cat": CAT, label: DOG}))
    asked = sample(tmp_path, "a.png", "a cat on the left of a keyboard", category="spatial")
    (outcome,), remarks = ask({"use": "spatial_2d", "detector": {"use": "precomputed", "path": str(path)}}, asked)
    assert isinstance(outcome, Score)
    assert (outcome.value, remarks) == (pytest.approx(0.95), [])


def test_a_frame_on_its_side_is_no_frame(tmp_path: Path):
    path = write(tmp_path, ("a.png", {"cat": CAT, "dog": DOG}), size=(480, 640))
    asked = sample(tmp_path, "a.png", "a cat near a dog", (640, 480), category="spatial")
    (outcome,), _ = ask({"use": "spatial_2d", "detector": {"use": "precomputed", "path": str(path)}}, asked)
    assert isinstance(outcome, Unscored)
    assert "a frame of 480x640 lies on its side against this picture of 640x480" in outcome.detail


def test_the_run_says_it_in_the_terminal_in_run_json_and_on_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "evaluation_metadata.jsonl").write_text(json.dumps(geneval_row("couch")) + "\n")
    folder = tmp_path / "pictures" / "00000"
    (folder / "samples").mkdir(parents=True)
    (folder / "metadata.jsonl").write_text(json.dumps(geneval_row("couch")) + "\n")
    sample(folder / "samples", "0000.png", "p")
    path = write(tmp_path, ("00000/samples/0000.png", {"sofa": [-20, 0, 90, 90]}), ("00007/samples/0000.png", {}))
    options = ["--data", str(tmp_path / "data"), "--images-per-prompt", "1", "--out", str(tmp_path / "run")]
    assert run(["geneval", *options, "--images", str(tmp_path / "pictures"), "--detections", str(path)]) == 0
    told = " ".join(capsys.readouterr().err.split())
    page = (tmp_path / "run" / "report.html").read_text()
    (judge,) = read_info(tmp_path / "run").setup["judges"]
    for line in (
        "1 of 1 boxes reach over their frame and were cut off there (the first in line 1)",
        "1 of 2 rows are of pictures that are not there (the first: '00007/samples/0000.png', line 2)",
        "labels that are none of GenEval's 80 classes count for nothing: 'sofa' (1)",
    ):
        assert line in told
        assert line.replace("'", "&#39;") in page
        assert any(line in remark for remark in judge["remarks"])
