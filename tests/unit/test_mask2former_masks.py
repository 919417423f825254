"""Instances from logits, against plain loops in float64; what is not resized must not change what is found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from gotr1_eval.models.detectors import _mask2former_masks
from gotr1_eval.models.detectors._mask2former_masks import Instance, read_instances, tight_box
from gotr1_eval.models.detectors._mask2former_pictures import Frame

FRAME = Frame(picture=(23, 17), resized=(44, 33), padded=(64, 64))
QUERIES, CLASSES = 12, 6


def plain_bilinear(grid: np.ndarray, height: int, width: int) -> np.ndarray:
    result = np.empty((height, width))
    for y in range(height):
        for x in range(width):
            row = max((y + 0.5) * grid.shape[0] / height - 0.5, 0)
            column = max((x + 0.5) * grid.shape[1] / width - 0.5, 0)
            top, left = int(row), int(column)
            bottom, right = min(top + 1, grid.shape[0] - 1), min(left + 1, grid.shape[1] - 1)
            down, over = row - top, column - left
            upper = grid[top, left] * (1 - over) + grid[top, right] * over
            lower = grid[bottom, left] * (1 - over) + grid[bottom, right] * over
            result[y, x] = upper * (1 - down) + lower * down
    return result


def plain_rows(classes: np.ndarray, masks: np.ndarray, frame: Frame) -> list[tuple[int, float, tuple[int, ...], Any]]:
    """All rows, likeliest class first, every mask at full size first."""
    powers = np.exp(classes - classes.max(axis=1, keepdims=True))
    chances = (powers / powers.sum(axis=1, keepdims=True))[:, :-1]

    def shape(query: int) -> tuple[float, tuple[int, ...], np.ndarray]:
        padded = plain_bilinear(masks[query], frame.padded[1], frame.padded[0])
        inner = padded[: frame.resized[1], : frame.resized[0]]
        logits = plain_bilinear(inner, frame.picture[1], frame.picture[0])
        inside = logits > 0
        quality = (1 / (1 + np.exp(-logits)))[inside].sum() / (inside.sum() + 1e-6)
        ys, xs = np.nonzero(inside)
        box = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1) if len(xs) else (0, 0, 0, 0)
        return quality, tuple(map(int, box)), inside

    shapes = [shape(query) for query in range(len(masks))]
    rows = []
    for pair in np.argsort(-chances, axis=None, kind="stable")[:100]:
        query, place = divmod(int(pair), chances.shape[1])
        quality, box, inside = shapes[query]
        rows.append((place, chances[query, place] * quality, box, inside))
    return rows


def logits(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random ones; one mask is nowhere, one everywhere, one in the padding only."""
    torch.manual_seed(seed)
    classes = 3 * torch.randn(QUERIES, CLASSES + 1)
    masks = 4 * torch.randn(QUERIES, 16, 16)
    masks[0], masks[1] = -5, 5
    masks[2] = -5
    masks[2, :, 13:] = 5
    return classes, masks


@pytest.mark.parametrize("seed", range(3))
def test_rows_are_the_plain_loop_s(seed: int):
    classes, masks = logits(seed)
    rows = read_instances(classes, masks, FRAME, above=None)
    expected = plain_rows(classes.double().numpy(), masks.double().numpy(), FRAME)
    assert len(rows) == len(expected) == QUERIES * CLASSES
    for row, (place, score, box, mask) in zip(rows, expected, strict=True):
        assert (row.place, row.box) == (place, box)
        assert row.score == pytest.approx(score, abs=1e-6)
        np.testing.assert_array_equal(row.mask, mask)


@pytest.mark.parametrize("above", [0.0, 0.05, 0.3, 0.9])
def test_a_threshold_only_leaves_out(above: float):
    for seed in range(5):
        classes, masks = logits(seed)
        every = read_instances(classes, masks, FRAME, above=None)
        fewer = read_instances(classes, masks, FRAME, above=above)
        assert facts(fewer) == facts([row for row in every if np.float32(row.score) > np.float32(above)])


def test_wanted_classes_only_leave_out():
    classes, masks = logits(0)
    every = read_instances(classes, masks, FRAME, above=0.0)
    assert facts(read_instances(classes, masks, FRAME, above=0.0, places={1, 4})) == facts(
        [row for row in every if row.place in (1, 4)]
    )


def facts(rows: list[Instance]) -> list[tuple[Any, ...]]:
    return [(row.place, row.score, row.box, row.mask.tobytes()) for row in rows]


def test_masks_that_cannot_pass_are_not_resized(monkeypatch: pytest.MonkeyPatch):
    """Two of twelve queries are sure of something; of these one has no mask."""
    classes = torch.zeros(QUERIES, CLASSES + 1)
    classes[:, -1] = 20
    classes[3, 2] = classes[4, 2] = 40
    masks = torch.full((QUERIES, 16, 16), 5.0)
    masks[4] = -5
    resized: list[int] = []
    whole = _mask2former_masks._to_picture
    monkeypatch.setattr(
        _mask2former_masks, "_to_picture", lambda masks, frame: (resized.append(len(masks)), whole(masks, frame))[1]
    )
    (row,) = read_instances(classes, masks, FRAME, above=0.3)
    assert (row.place, row.box, resized) == (2, (0, 0, 23, 17), [1])
    assert row.score == pytest.approx(1 / (1 + np.exp(-5)), abs=1e-6)


def test_nothing_found():
    classes = torch.zeros(QUERIES, CLASSES + 1)
    assert read_instances(classes, torch.full((QUERIES, 16, 16), -1.0), FRAME, above=0.0) == []
    assert read_instances(classes, torch.full((QUERIES, 16, 16), 1.0), FRAME, above=0.5) == []
    assert read_instances(classes, torch.full((QUERIES, 16, 16), 1.0), FRAME, above=0.0, places=set()) == []


def test_an_empty_mask_is_a_row_of_score_0_when_all_are_asked_for():
    rows = read_instances(torch.zeros(1, 3), torch.zeros(1, 16, 16), FRAME, above=None)
    assert [(row.score, row.box, bool(row.mask.any())) for row in rows] == [(0.0, (0, 0, 0, 0), False)] * 2


def test_how_many_are_resized_at_once_changes_nothing(monkeypatch: pytest.MonkeyPatch):
    classes, masks = logits(1)
    expected = facts(read_instances(classes, masks, FRAME, above=None))
    for together in (1, 2, 3, 5):
        monkeypatch.setattr(_mask2former_masks, "_PIXELS_AT_ONCE", together * 64 * 64)
        assert facts(read_instances(classes, masks, FRAME, above=None)) == expected


@pytest.mark.parametrize(
    ("lit", "box"),
    [([], (0, 0, 0, 0)), ([(2, 3)], (3, 2, 4, 3)), ([(0, 0), (4, 6)], (0, 0, 7, 5)), ([(1, 5), (3, 2)], (2, 1, 6, 4))],
)
def test_boxes_by_hand(lit: list[tuple[int, int]], box: tuple[int, int, int, int]):
    mask = np.zeros((5, 7), dtype=np.bool_)
    for row, column in lit:
        mask[row, column] = True
    assert tight_box(mask) == box


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1)])
def test_pictures_of_one_pixel_and_lines(size: tuple[int, int]):
    frame = Frame(size, (max(size[0], 1), max(size[1], 1)), (320, 320))
    rows = read_instances(torch.tensor([[9.0, 0.0]]), torch.full((1, 80, 80), 9.0), frame, above=0.3)
    assert [(row.box, row.mask.shape) for row in rows] == [((0, 0, *size), size[::-1])]
