"""UniDet's selection and pictures by hand, and the detector on a network small enough to build in every test."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

from gotr1_eval.core.errors import BackendError, DataError, LabelError, UsageError
from gotr1_eval.core.frames import unidet_frame
from gotr1_eval.models.detectors.unidet import Settings, build
from gotr1_eval.models.detectors.unidet.architecture import ARCHITECTURES
from gotr1_eval.models.detectors.unidet.boxes import clip_boxes, has_area, move_boxes
from gotr1_eval.models.detectors.unidet.cascade import Stage
from gotr1_eval.models.detectors.unidet.detector import resize, to_planes
from gotr1_eval.models.detectors.unidet.network import select
from tests.tiny_unidet import LABELS, TINY, write_files


def test_moving_a_box_cannot_overflow():
    box = torch.tensor([[0.0, 0, 10, 10]])
    moved = move_boxes(box, torch.tensor([[0.0, 0, 1e4, 1e4]]), (1.0, 1.0, 1.0, 1.0))
    assert moved.isfinite().all()
    assert (moved[0, 2] - moved[0, 0]).item() == pytest.approx(10 * 1000 / 16, rel=1e-5)
    clipped = clip_boxes(moved, (50, 40))
    assert clipped.tolist() == [[0.0, 0.0, 50.0, 40.0]]
    assert has_area(torch.tensor([[0.0, 0, 1, 1], [3, 3, 3, 9], [5, 5, 4, 6]])).tolist() == [True, False, False]


def stages(boxes, logits):
    one = Stage(boxes, logits, torch.zeros_like(boxes), boxes)
    return [one, one, one]


def test_selection_keeps_three_hundred_and_drops_what_is_empty():
    count = 400
    boxes = torch.stack(
        [torch.arange(count) * 10.0, torch.zeros(count), torch.arange(count) * 10.0 + 5, torch.full((count,), 5.0)], 1
    )
    boxes[3, 2] = boxes[3, 0]
    logits = torch.full((count, 3), -9.0)
    logits[:, 1] = torch.linspace(3, 1, count)
    found = select(stages(boxes, logits))
    assert len(found.boxes) == 299
    assert (found.classes == 1).all()
    assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)
    assert 3 not in (found.boxes[:, 0] / 10).tolist()


def test_rows_that_are_not_finite_are_dropped():
    boxes = torch.tensor([[0.0, 0, 5, 5], [10.0, 0, 15, 5]])
    assert select(stages(boxes, torch.full((2, 3), -9.0))).boxes.shape == (0, 4)
    found = select(stages(boxes, torch.tensor([[math.nan, 9.0, 0.0], [9.0, -9.0, 0.0]])))
    assert found.boxes.tolist() == boxes[1:].tolist()
    assert select(stages(boxes[:0], torch.zeros(0, 3))).boxes.shape == (0, 4)


@pytest.mark.parametrize(
    ("size", "frame"),
    [
        ((512, 512), (479, 479)),
        ((600, 300), (480, 240)),
        ((200, 365), (263, 480)),
        ((640, 512), (480, 384)),
        ((1, 1), (479, 479)),
        ((4000, 1), (480, 1)),
        ((1, 4000), (1, 480)),
    ],
)
def test_frames(size, frame):
    assert unidet_frame(*size) == frame


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "I;16", "1"])
def test_pictures_of_other_modes_become_rgb(mode):
    picture = Image.new("I;16", (40, 30)) if mode == "I;16" else Image.new("RGB", (40, 30), "red").convert(mode)
    for semantics in ("reference", "corrected"):
        assert resize(picture, semantics).mode == "RGB"


def test_red_is_blue_for_rs200_under_reference():
    red = Image.new("RGB", (4, 4), (255, 0, 0))
    seen = {
        (size, semantics): to_planes(red, ARCHITECTURES[size], semantics)[:, 0, 0].tolist()
        for size in ("r50", "rs200")
        for semantics in ("reference", "corrected")
    }
    assert seen["r50", "reference"] == seen["r50", "corrected"] == [0, 0, 255]
    assert seen["rs200", "reference"] == [0, 0, 255]
    assert seen["rs200", "corrected"] == [255, 0, 0]


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "r50", TINY)
    return write_files(tmp_path)


def detector(files, **settings):
    return build(Settings(weights=files / "weights.pth", labels=files / "labels.json", size="r50", **settings), None)


def pictures(count=3):
    noise = np.random.default_rng(0)
    return [Image.fromarray(noise.integers(0, 255, (60, 80, 3), dtype=np.uint8)) for _ in range(count)]


def test_a_batch_equals_single_pictures(files):
    built = detector(files)
    together = built.detect(pictures())
    assert any(together)
    for picture, found in zip(pictures(), together, strict=True):
        (alone,) = detector(files, batch_size=1).detect([picture])
        assert len(alone) == len(found)
        # Of a random network hundreds of scores are near-equal and may change places, the last of the 300 with them.
        pairs = zip(alone, found, strict=True)
        assert max(abs(one.score - other.score) for one, other in pairs) < 2e-3
    assert all(0.1 < seen.score <= 1 for found in together for seen in found)


def test_boxes_give_back_the_models_own_pixels(files):
    built = detector(files)
    (picture,) = pictures(1)
    (found,), (detections,) = built.find([picture]), built.detect([picture])
    width, height = built.box_frame(picture.size)
    again = [
        [box.x1 * width, box.y1 * height, box.x2 * width, box.y2 * height] for box in (seen.box for seen in detections)
    ]
    assert np.array_equal(np.array(again, dtype=np.float32), found.boxes.numpy())


def test_names_are_looked_up(files):
    built = detector(files)
    (everything,) = built.detect(pictures(1))
    (wanted,) = built.detect(pictures(1), [["desk", "Mouse"]])
    assert {seen.label for seen in wanted} <= {"desk", "Mouse"}
    assert len(wanted) == sum(seen.label in ("table, desk", "mouse2, mouse") for seen in everything)
    with pytest.raises(LabelError, match=r"no class named 'desc'.*did you mean 'desk'"):
        built.detect(pictures(1), [["desc"]])


def test_one_pixel_and_extreme_pictures(files):
    sizes = [(1, 1), (1, 500), (500, 1)]
    assert len(detector(files).detect([Image.new("RGB", size) for size in sizes])) == 3


def test_the_name_and_fingerprint_tell_what_changes_a_score(files):
    plain, mended = detector(files), detector(files, semantics="corrected")
    assert (plain.name, mended.name) == ("unidet-r50", "unidet-r50-corrected")
    assert plain.fingerprint == detector(files, batch_size=2).fingerprint != mended.fingerprint
    (files / "labels.json").write_text(json.dumps(LABELS[::-1]))
    assert detector(files).fingerprint != plain.fingerprint


def fails(files, error, *words):
    with pytest.raises(error) as caught:
        detector(files).detect(pictures(1))
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda weights: weights.pop("backbone.fpn_lateral3.bias"), ["1 missing", "fpn_lateral3.bias"]),
        (lambda weights: weights.update(stranger=torch.zeros(1)), ["1 surplus", "stranger"]),
        (lambda weights: weights.update({"backbone.fpn_lateral3.bias": torch.zeros(3)}), ["1 misshapen"]),
    ],
)
def test_weights_that_do_not_fit_are_named(files, change, words):
    content = torch.load(files / "weights.pth", weights_only=True)
    change(content["model"])
    torch.save(content, files / "weights.pth")
    fails(files, DataError, "weights.pth", *words)


def test_damaged_and_foreign_files(files):
    (files / "weights.pth").write_bytes(b"not weights")
    fails(files, DataError, "weights.pth")
    with pytest.raises(UsageError, match=r"the weights: no file .*gone\.pth; expected"):
        build(Settings(weights=files / "gone.pth", labels=files / "labels.json"), None)


def test_labels_that_do_not_fit(files):
    for content, words in (
        (LABELS[:4], "expected the names of 5 classes, got 4"),
        ([1, 2], "expected a list of names"),
    ):
        (files / "labels.json").write_text(json.dumps(content))
        with pytest.raises(DataError, match=words):
            _ = detector(files).vocabulary


@pytest.mark.parametrize("layer", ["fpn_lateral5", "fpn_output3"])
def test_a_model_without_finite_numbers_fails_loudly(files, layer):
    """Also where only one level is broken: the others' boxes would pass for all that is there."""
    content = torch.load(files / "weights.pth", weights_only=True)
    content["model"][f"backbone.{layer}.bias"].fill_(math.nan)
    torch.save(content, files / "weights.pth")
    fails(files, BackendError, "a feature is not finite")
