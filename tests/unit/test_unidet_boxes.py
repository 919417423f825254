"""UniDet's arithmetic on boxes against plain loops in float64, on random and on adversarial boxes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gotr1_eval.core.frames import unidet_frame
from gotr1_eval.models.detectors.unidet.boxes import clip_boxes, has_area, move_boxes, overlaps, suppress
from gotr1_eval.models.detectors.unidet.cascade import Stage, pool, pooling_level, roi_align
from gotr1_eval.models.detectors.unidet.network import cell_anchors, level_anchors, merge_levels, select

DRAW = np.random.default_rng(0)


def plain_sample(cells: np.ndarray, y: float, x: float) -> np.ndarray:
    """A bilinear sample of [C, H, W]; a cell's value stands at its whole-numbered place."""
    height, width = cells.shape[1:]
    if y < -1 or y > height or x < -1 or x > width:
        return np.zeros(len(cells))
    y, x = min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    down, across = y - top, x - left
    upper = cells[:, top, left] * (1 - across) + cells[:, top, right] * across
    lower = cells[:, bottom, left] * (1 - across) + cells[:, bottom, right] * across
    return upper * (1 - down) + lower * down


def plain_roi_align(cells: np.ndarray, box: np.ndarray, scale: float) -> np.ndarray:
    x1, y1, x2, y2 = (float(value) * scale - 0.5 for value in box)
    high, wide = (y2 - y1) / 7, (x2 - x1) / 7
    down, across = math.ceil(high), math.ceil(wide)
    bins = np.zeros((len(cells), 7, 7))
    for row, column in np.ndindex(7, 7):
        for line, step in np.ndindex(max(down, 0), max(across, 0)):
            y = y1 + row * high + (line + 0.5) * high / down
            x = x1 + column * wide + (step + 0.5) * wide / across
            bins[:, row, column] += plain_sample(cells, y, x)
    return bins / max(down * across, 1)


def random_boxes(count: int, side: float) -> np.ndarray:
    corners = DRAW.uniform(0, side, (count, 2, 2))
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1).astype(np.float32)


ODD_BOXES = np.array(
    [
        [0, 0, 96, 64], [10, 10, 10, 10], [10, 5, 10, 60], [5, 10, 60, 10], [-30, -20, 10, 10], [90, 60, 200, 150],
        [-100, -100, -50, -50], [500, 500, 600, 600], [0, 0, 8, 8], [7.5, 7.5, 8.5, 8.5], [0, 31, 96, 33],
        [95.9, 63.9, 96, 64], [4, 4, 4 + 1e-4, 60], [0, 0, 96, 64], [0, 0, 960, 640],
    ],
    dtype=np.float32,
)  # fmt: skip


@pytest.mark.parametrize("boxes", [random_boxes(60, 96), ODD_BOXES], ids=["random", "odd"])
@pytest.mark.parametrize("scale", [1 / 8, 1 / 16, 1.0])
def test_roi_align_is_the_mean_of_bilinear_samples(boxes: np.ndarray, scale: float):
    cells = DRAW.normal(size=(5, 8, 12)).astype(np.float32)
    found = roi_align(torch.from_numpy(cells), torch.from_numpy(boxes), scale).numpy()
    for mine, box in zip(found, boxes, strict=True):
        np.testing.assert_allclose(mine, plain_roi_align(cells.astype(np.float64), box, scale), atol=2e-4)


def test_roi_align_of_a_plane_is_its_height_at_the_middle_of_the_bin():
    """Inside the map a linear function is read without error, whatever the samples."""
    down, across = torch.meshgrid(torch.arange(40.0), torch.arange(50.0), indexing="ij")
    (found,) = roi_align((3 * down + 2 * across)[None], torch.tensor([[8.0, 4.0, 36.0, 25.0]]), 1.0)
    middles = torch.arange(7) + 0.5
    expected = 3 * (3.5 + 3 * middles[:, None]) + 2 * (7.5 + 4 * middles)
    torch.testing.assert_close(found[0], expected)


def test_a_chunk_of_boxes_changes_nothing(monkeypatch: pytest.MonkeyPatch):
    cells, boxes = torch.randn(4, 10, 10), torch.from_numpy(random_boxes(50, 80))
    whole = roi_align(cells, boxes, 0.125)
    monkeypatch.setattr("gotr1_eval.models.detectors.unidet.cascade._TERMS_AT_ONCE", 1000)
    assert torch.equal(roi_align(cells, boxes, 0.125), whole)
    assert roi_align(cells, torch.zeros(0, 4), 0.125).shape == (0, 4, 7, 7)


def plain_overlap(one: np.ndarray, other: np.ndarray) -> float:
    wide = max(min(one[2], other[2]) - max(one[0], other[0]), 0)
    high = max(min(one[3], other[3]) - max(one[1], other[1]), 0)
    union = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)) - wide * high
    return wide * high / union if union else math.nan


def plain_suppress(boxes: np.ndarray, scores: np.ndarray, groups: np.ndarray, threshold: float) -> list[int]:
    stays: list[int] = []
    for place in sorted(range(len(boxes)), key=lambda place: -scores[place]):
        rivals = [one for one in stays if groups[one] == groups[place]]
        if not any(plain_overlap(boxes[one], boxes[place]) > threshold for one in rivals):
            stays.append(place)
    return stays


def check_suppression(boxes: np.ndarray, scores: np.ndarray, groups: np.ndarray, threshold: float) -> None:
    found = suppress(*(torch.from_numpy(values) for values in (boxes, scores, groups)), threshold)
    assert found.tolist() == plain_suppress(boxes.astype(np.float64), scores, groups, threshold)


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("kinds", [1, 3, 40])
def test_suppression_of_random_boxes(threshold: float, kinds: int):
    boxes, scores = random_boxes(150, 60), DRAW.random(150).astype(np.float32)
    check_suppression(boxes, scores, DRAW.integers(0, kinds, 150), threshold)


def test_suppression_of_whole_numbered_boxes_with_ties():
    """Overlaps of exactly the threshold, equal scores, equal boxes, boxes without area."""
    for _ in range(20):
        boxes = np.round(random_boxes(60, 6))
        check_suppression(boxes, DRAW.integers(0, 3, 60).astype(np.float32), DRAW.integers(0, 2, 60), 0.5)
    same = np.tile(np.array([[1, 1, 5, 5]], dtype=np.float32), (7, 1))
    check_suppression(same, np.ones(7, dtype=np.float32), np.array([0, 1, 0, 1, 2, 2, 0]), 0.7)
    empty = np.tile(np.array([[3, 3, 3, 3]], dtype=np.float32), (4, 1))
    check_suppression(empty, np.ones(4, dtype=np.float32), np.zeros(4, dtype=np.int64), 0.5)


def test_suppression_worked_by_hand():
    """The second overlaps the first by a half exactly and stays; the third by 0.6 and goes; the fourth is of others."""
    boxes = torch.tensor([[0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 10, 6], [0, 0, 10, 10.0]])
    assert overlaps(boxes)[0].tolist() == pytest.approx([1, 0.5, 0.6, 1])
    kept = suppress(boxes, torch.tensor([0.9, 0.8, 0.7, 0.95]), torch.tensor([0, 0, 0, 1]), 0.5)
    assert kept.tolist() == [3, 0, 1]
    nothing = torch.zeros(0)
    assert suppress(torch.zeros(0, 4), nothing, nothing.long(), 0.5).tolist() == []


def test_groups_that_share_a_matrix_and_groups_that_do_not(monkeypatch: pytest.MonkeyPatch):
    boxes, scores, groups = random_boxes(300, 50), DRAW.random(300).astype(np.float32), DRAW.integers(0, 9, 300)
    given = tuple(torch.from_numpy(values) for values in (boxes, scores, groups))
    together = suppress(*given, 0.4)
    monkeypatch.setattr("gotr1_eval.models.detectors.unidet.boxes._SHARED_MATRIX", 1)
    assert torch.equal(suppress(*given, 0.4), together)


def test_a_box_grows_sixtyfold_at_most_and_shrinks_without_limit():
    box = torch.tensor([[0.0, 0.0, 16.0, 8.0]])
    grown = move_boxes(box, torch.tensor([[0.0, 0.0, 100.0, 5.0]]), (1.0, 1.0, 1.0, 1.0))
    assert grown[0].tolist() == pytest.approx([8 - 500, 4 - 250, 8 + 500, 4 + 250], rel=1e-5)
    shrunk = move_boxes(box, torch.tensor([[0.0, 0.0, -200.0, 0.0]]), (1.0, 1.0, 1.0, 1.0))
    assert not has_area(shrunk).any()


def test_moves_worked_by_hand():
    """Half a width to the right, twice as wide, after division by the stage's weights."""
    delta = torch.tensor([[5.0, -2.5, 5 * math.log(2), 0.0]])
    moved = move_boxes(torch.tensor([[10.0, 20.0, 30.0, 60.0]]), delta, (10.0, 10.0, 5.0, 5.0))
    assert moved[0].tolist() == pytest.approx([10, 10, 50, 50])
    assert clip_boxes(torch.tensor([[-5.0, 3.0, 90.0, 70.0]]), (80, 60)).tolist() == [[0, 3, 80, 60]]


def test_anchors_worked_by_hand():
    anchors = cell_anchors(32)
    assert anchors.shape == (9, 4)
    assert anchors[1].tolist() == [-16, -16, 16, 16]
    ratios = (anchors[:, 3] - anchors[:, 1]) / (anchors[:, 2] - anchors[:, 0])
    assert ratios.tolist() == pytest.approx([0.5, 1, 2] * 3)
    placed = level_anchors(2, 3, 8, 32)
    assert torch.equal(placed[(1 * 3 + 2) * 9 + 1], torch.tensor([16 - 16, 8 - 16, 16 + 16, 8 + 16.0]))


def test_levels_do_not_suppress_one_another_and_what_is_not_finite_goes():
    box, other = [0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 9.0]
    boxes = [torch.tensor([box, other, [math.nan] * 4]), torch.tensor([other, [5.0, 5.0, 5.0, 9.0]])]
    logits = [torch.tensor([1.0, 3.0, 9.0]), torch.tensor([2.0, 8.0])]
    assert merge_levels(logits, boxes).tolist() == [other, other]


@pytest.mark.parametrize(
    ("side", "level"), [(1, 0), (111, 0), (112, 0), (223, 0), (224, 1), (447, 1), (448, 2), (2000, 2), (0, 0)]
)
def test_the_level_that_a_box_is_pooled_from(side: float, level: int):
    """p4 from 224 pixels on, p5 from 448 on."""
    assert pooling_level(torch.tensor([[0.0, 0.0, side, side]])).tolist() == [level]


def test_boxes_are_pooled_from_their_own_levels_in_their_own_order():
    levels = [torch.full((2, 60 >> one, 60 >> one), float(one)) for one in range(3)]
    boxes = torch.tensor([[0, 0, 470, 470], [0, 0, 20, 20], [100, 100, 400, 400], [9, 9, 9, 9.0]])
    assert pool(levels, boxes)[:, 0, 3, 3].tolist() == pytest.approx([2, 0, 1, 0])


def stage(boxes: torch.Tensor, logits: torch.Tensor) -> Stage:
    return Stage(boxes=boxes, logits=logits, deltas=torch.zeros_like(boxes), moved=boxes)


def test_a_box_may_be_several_things_and_the_score_is_the_mean_of_the_stages():
    """The second box is suppressed as the first thing, the third is empty; the last column is the background."""
    box = torch.tensor([[0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 9.0, 8.0], [3.0, 3.0, 3.0, 9.0]])
    chances = torch.tensor([[0.9, 0.6, 0.1], [0.8, 0.05, 0.9], [0.7, 0.7, 0.0]])
    stages = [stage(box, (chances * share).logit()) for share in (1.0, 0.5, 0.75)]
    found = select(stages)
    assert found.classes.tolist() == [0, 1]
    assert found.boxes.tolist() == [box[0].tolist()] * 2
    assert found.scores.tolist() == pytest.approx([0.675, 0.45])


def test_both_sides_are_cut_the_second_time_from_what_the_first_left():
    """Of 64x168 the longer side would be 1257.4, cut to 1257; 480 * 479 / 1257 is 182.9, cut to 182."""
    assert unidet_frame(64, 168) == (182, 480)
    assert unidet_frame(168, 64) == (480, 182)
    assert unidet_frame(1, 2000) == (1, 480)
