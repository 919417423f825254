"""GenEval's scoring against what its own scripts answer, `reference` semantics, every vector."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.geneval.objects import DEFAULTS, CountedObject, Options, box_iou, relations, select_objects
from benchmarks.geneval.prompts import CLASSES, read_task, read_tasks
from benchmarks.geneval.verdict import coloured_clauses, cut_out, judge_picture
from benchmarks.pixels import PixelDetection
from benchmarks.semantics import UndefinedScoreError
from gotr1_eval.files.pictures import open_picture
from tests.conftest import SHARED, rows, shared_parameters

Read = Callable[[Path], str]
OPTIONS = {
    "threshold": "threshold",
    "counting_threshold": "counting_threshold",
    "max_objects": "most",
    "max_overlap": "max_overlap",
    "position_threshold": "position",
}


def options(given: dict[str, str]) -> Options:
    return Options(
        **{OPTIONS[name]: int(value) if name == "max_objects" else float(value) for name, value in given.items()}
    )


@pytest.mark.parametrize("path", shared_parameters("golden/geneval_evaluate_*.jsonl"))
def test_verdicts_and_reasons(path: Path, read_shared: Read):
    for row in rows(read_shared(path)):
        task, chosen = read_task(row["metadata"]), options(row["options"])
        # The score of a detection is told apart by its place, which the mask carries here.
        seen = [
            PixelDetection(name, found[4], (found[0], found[1], found[2], found[3]), np.array([place]))
            for name, all_found in row["detections"].items()
            for place, found in enumerate(all_found)
        ]
        objects = select_objects(seen, counting=task.tag == "counting", options=chosen)
        details = {name: [[*map(float, one.box), one.score] for one in found] for name, found in objects.items()}
        assert details == row["details"]
        assert list(details) == row["details_order"]
        asked = coloured_clauses(task, objects)
        assert [task.include[index].name for index in asked] == [call[0] for call in row["color_calls"]]
        colours = {}
        for index in asked:
            clause = task.include[index]
            found = objects[clause.name][: clause.count]
            colours[index] = [row["colors"][clause.name][int(one.mask[0])] for one in found if one.mask is not None]
        verdict = judge_picture(task, objects, colours, chosen)
        assert (verdict.correct, verdict.reason) == (row["correct"], row["reason_canonical"]), row["id"]


@pytest.mark.parametrize("path", shared_parameters("golden/geneval_relative_position_*.jsonl"))
def test_relations_and_overlaps(path: Path, read_shared: Read):
    for row in rows(read_shared(path)):
        one, other = (np.array(row[key][:4], dtype=np.float32) for key in ("box_a", "box_b"))
        assert relations(one, other, row["position_threshold"]) == row["relations"], row
        assert box_iou(one, other) == pytest.approx(row["iou"], abs=1e-9)


@pytest.mark.parametrize("path", shared_parameters("golden/geneval_defaults*.json"))
def test_defaults(path: Path, read_shared: Read):
    defaults = json.loads(read_shared(path))["defaults"]
    assert (
        Options(
            threshold=defaults["THRESHOLD"],
            counting_threshold=defaults["COUNTING_THRESHOLD"],
            most=defaults["MAX_OBJECTS"],
            max_overlap=defaults["NMS_THRESHOLD"],
            position=defaults["POSITION_THRESHOLD"],
        )
        == DEFAULTS
    )


@pytest.mark.parametrize("path", shared_parameters("golden/geneval_crops/meta*.json"))
def test_cut_out_objects(path: Path, read_shared: Read):
    arrays = np.load(path.with_name("crops.npz"))
    compared = 0
    for row in json.loads(read_shared(path)):
        if row["options"]:  # the official script can also leave the background or the whole picture; we do not
            continue
        key = f"{Path(row['image']).stem}_obj{row['obj']}"
        mask = arrays[f"{key}_mask"] if row["has_mask"] else None
        found = CountedObject(arrays[f"{key}_box"][:4], 1.0, mask)
        picture = open_picture(path.with_name(row["image"]), transparency="dropped")
        if 0 in row["crop_size_wh"]:
            with pytest.raises(UndefinedScoreError):
                cut_out(picture, found)
            continue
        np.testing.assert_array_equal(np.asarray(cut_out(picture, found)), arrays[f"{key}_crop"])
        compared += 1
    assert compared


@pytest.mark.parametrize("path", shared_parameters("data/geneval/evaluation_metadata*.jsonl"))
def test_the_metadata(path: Path, read_shared: Read):
    tasks = read_tasks(path)
    assert len(read_shared(path).splitlines()) == len(tasks)
    assert {clause.name for task in tasks for clause in task.include} <= set(CLASSES)
    names = SHARED / "data/geneval/object_names.txt"
    assert tuple(read_shared(names).split("\n"))[: len(CLASSES)] == CLASSES
