"""Detections from a file in front of the official judges: what they miss is said, and names have no second meaning."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gotr1_eval.build import Builder
from gotr1_eval.cli.app import run
from gotr1_eval.core.chain import write_chain
from gotr1_eval.core.errors import DataError
from gotr1_eval.core.outcome import Outcome, Score, Unscored
from gotr1_eval.core.protocols import Remarking
from gotr1_eval.core.types import Box, Sample
from gotr1_eval.runs.store import read_info

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


PLAN = write_chain([("brown dog", Box(0, 0.25, 0.25, 0.75)), ("cat", Box(0.5, 0.25, 1, 0.75))])


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"dog": [0, 120, 120, 360], "cat": [240, 120, 480, 360]}, 1.0),
        ({"Dogs": [0, 120, 60, 360], "cat": [240, 120, 480, 360]}, 0.75),
        ({"dog": [240, 120, 480, 360], "cat": [0, 120, 120, 360]}, 0.0),
        ({"pet, dog": [0, 120, 120, 360]}, 0.5),
        ({}, 0.0),
        ({"hot dog": [0, 120, 120, 360]}, "may or may not be the plan's 'brown dog'"),
    ],
)
def test_a_plan_is_held_against_detections_from_a_file(found: dict[str, list[float]], expected: Any, tmp_path: Path):
    path = write(tmp_path, ("a.png", found), ("gone.png", {}))
    asked = replace(sample(tmp_path, "a.png", "p"), chain=PLAN)
    judge = {"use": "reasoning_image", "grounder": {"use": "precomputed", "path": str(path)}}
    (outcome,), remarks = ask(judge, asked)
    assert Builder().judge(judge).name == "reasoning_image[d]"
    assert remarks == [f"{path}: 1 of 2 rows are of pictures that are not there (the first: 'gone.png', line 2)"]
    if isinstance(expected, float):
        assert isinstance(outcome, Score)
        assert outcome.value == pytest.approx(expected)
    else:
        assert isinstance(outcome, Unscored)
        assert expected in outcome.detail


def test_a_plan_without_a_row_or_a_file_is_unscored(tmp_path: Path):
    path = write(tmp_path, ("b.png", {"dog": CAT}))
    judge = {"use": "reasoning_image", "grounder": {"use": "precomputed", "path": str(path), "least_score": 0.5}}
    unknown = replace(sample(tmp_path, "a.png", "p"), chain=PLAN)
    outcomes, _ = ask(judge, unknown, replace(unknown, image=Image.new("RGB", (9, 9))), replace(unknown, chain="none"))
    assert [getattr(outcome, "detail", outcome) for outcome in outcomes[:2]] == [
        "a.png: no row of detections for this picture", "detections from a file need picture files, got one in memory",
    ]  # fmt: skip
    assert isinstance(outcomes[2], Score)
    assert Builder().judge(judge).name == "reasoning_image[d,score>=0.5]"


def depth_file(folder: Path, values: Any, name: str = "maps/a.npy", **more: Any) -> dict[str, Any]:
    """The settings of depth maps with one row, of ``a.png``."""
    place = folder / name
    place.parent.mkdir(exist_ok=True)
    np.save(place, values) if name.endswith(".npy") else Image.fromarray(values).save(place)
    (folder / "depth.jsonl").write_text(json.dumps({"image": "a.png", "model": "dpt-hybrid-midas", "map": name}) + "\n")
    return {"use": "precomputed", "path": str(folder / "depth.jsonl"), **more}


LEFT_NEAR = np.tile(np.linspace(9, 2, 480), (480, 1))
FORMS = {
    "an array": ("maps/a.npy", LEFT_NEAR, {}),
    "with an axis of one": ("maps/a.npy", LEFT_NEAR[None].astype(np.float32), {}),
    "of another size": ("maps/a.npy", LEFT_NEAR[::2, ::2], {}),
    "metric depth": ("maps/a.npy", -LEFT_NEAR, {"nearer": "smaller"}),
    "a grey picture": ("a.png.depth.png", (LEFT_NEAR * 20).astype(np.uint8), {}),
    "16 bits": ("a16.png", (LEFT_NEAR * 5000).astype(np.uint16), {}),
}


@pytest.mark.parametrize("form", FORMS)
def test_depth_maps_from_files(form: str, tmp_path: Path):
    """The cat's box overlaps the dog's by an IoU of a third, for two thirds of the credit where the cat is nearer."""
    name, values, more = FORMS[form]
    path = write(tmp_path, ("a.png", {"cat": [0, 0, 240, 480], "dog": [120, 0, 360, 480]}))
    judge = {
        "use": "spatial_3d", "detector": {"use": "precomputed", "path": str(path)}, "semantics": "corrected",
        "depth": depth_file(tmp_path, values, name, **more),
    }  # fmt: skip
    prompts = {"a cat in front of a dog": 0.45 + 0.5 * 2 / 3, "a cat behind a dog": 0.45}
    outcomes, remarks = ask(judge, *(sample(tmp_path, "a.png", prompt, category="3d_spatial") for prompt in prompts))
    assert [getattr(outcome, "value", outcome) for outcome in outcomes] == pytest.approx(list(prompts.values()))
    assert remarks == []
    assert Builder().judge(judge).name == "3d_spatial[d, dpt-hybrid-midas, builtin, corrected]"


def test_what_depth_from_files_lacks_is_said(tmp_path: Path):
    """A row of a map that no picture has is remarked; a picture in memory, or without a file, has no map."""
    path = write(tmp_path, ("a.png", {"cat": [0, 0, 240, 480], "dog": [120, 0, 360, 480]}))
    judge = {
        "use": "spatial_3d", "detector": {"use": "precomputed", "path": str(path)},
        "depth": depth_file(tmp_path, LEFT_NEAR),
    }  # fmt: skip
    there = sample(tmp_path, "a.png", "a cat behind a dog", category="3d_spatial")
    in_memory = replace(there, image=Image.new("RGB", (480, 480)))
    lost = replace(there, image=tmp_path / "lost.png")
    outcomes, remarks = ask(judge, there, in_memory, lost)
    assert [getattr(outcome, "detail", outcome) for outcome in outcomes[1:]] == [
        "depth maps from files need picture files, got one in memory", "lost.png: the file does not exist",
    ]  # fmt: skip
    assert remarks == []
    _, remarks = ask(judge, sample(tmp_path, "b.png", "a cat behind a dog", category="3d_spatial"))
    assert [line for line in remarks if "depth.jsonl" in line] == remarks[-1:]
    assert "1 of 1 rows" in remarks[-1]


@pytest.mark.parametrize(
    ("values", "detail"),
    [
        (np.full((480, 480), np.nan), "the map a.npy holds numbers that are not finite"),
        (np.zeros((480, 480, 3)), "the map a.npy is not [height, width]"),
        (np.array([None]), "the map a.npy cannot be read"),
    ],
)
def test_maps_that_are_none_leave_their_picture_unscored(values: Any, detail: str, tmp_path: Path):
    path = write(tmp_path, ("a.png", {"cat": CAT}), ("b.png", {"cat": CAT}))
    judge = {"use": "spatial_3d", "detector": {"use": "precomputed", "path": str(path)}}
    names = ("a.png", "b.png")
    samples = [sample(tmp_path, name, "a cat behind a dog", category="3d_spatial") for name in names]
    outcomes, _ = ask({**judge, "depth": depth_file(tmp_path, values)}, *samples)
    assert all(isinstance(outcome, Unscored) for outcome in outcomes)
    assert detail in getattr(outcomes[0], "detail", "")
    assert "no row of a depth map" in getattr(outcomes[1], "detail", "")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"image": "a.png", "map": "m.npy"}, ":1: expected 'model'"),
        ({"image": "a.png", "model": "m"}, ":1: expected 'map'"),
        ({"image": "a.png", "model": "m", "map": "m.npy"}, ":1: no map '.*m.npy'"),
    ],
)
def test_what_is_no_row_of_depth(row: dict[str, str], message: str, tmp_path: Path):
    (tmp_path / "depth.jsonl").write_text(json.dumps(row))
    with pytest.raises(DataError, match=message):
        Builder().depth({"use": "precomputed", "path": str(tmp_path / "depth.jsonl")})
