"""Decoding and resizing as OpenCV, sizes and padding as mmdet: worked by hand and against plain loops."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from PIL import Image

from gotr1_eval.models.detectors._mask2former_pictures import frame_of, prepare
from gotr1_eval.models.detectors._opencv import decode, resize_linear


def noise(width: int, height: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def plain_resize(levels: np.ndarray, width: int, height: int) -> np.ndarray:
    """The fixed-point rule, pixel by pixel, in Python's integers."""

    def taps(source: int, target: int, column: bool) -> list[tuple[int, int, int, int]]:
        found = []
        for place in range(target):
            middle = np.float32((place + 0.5) * (1 / (target / source)) - 0.5)
            start = math.floor(middle)
            part = middle - np.float32(start)
            if column and (start < 0 or start >= source - 1):
                start, part = min(max(start, 0), source - 1), np.float32(0)
            near, far = (min(max(at, 0), source - 1) for at in (start, start + 1))
            found.append((near, far, round(float(2048 * (1 - part))), round(float(2048 * part))))
        return found

    result = np.empty((height, width, 3), dtype=np.uint8)
    for y, (top, bottom, over, under) in enumerate(taps(levels.shape[0], height, False)):
        for x, (left, right, near, far) in enumerate(taps(levels.shape[1], width, True)):
            for channel in range(3):
                sums = [int(levels[row, left, channel]) * near + int(levels[row, right, channel]) * far
                        for row in (top, bottom)]  # fmt: skip
                blend = ((over * (sums[0] >> 4)) >> 16) + ((under * (sums[1] >> 4)) >> 16)
                result[y, x, channel] = (blend + 2) >> 2
    return result


def test_by_hand_two_pixels_become_four():
    """A quarter of the way from 0 to 255 is 63.75, three quarters 191.25; outside of both middles is no blend."""
    pair = np.array([[[0] * 3, [255] * 3]], dtype=np.uint8)
    assert resize_linear(pair, (4, 1))[0, :, 0].tolist() == [0, 64, 191, 255]
    assert resize_linear(pair.transpose(1, 0, 2), (1, 4))[:, 0, 0].tolist() == [0, 64, 191, 255]


def test_by_hand_exactly_half_is_the_mean_of_four_rounded_up_from_a_half():
    quad = np.array([[[0] * 3, [1] * 3], [[1] * 3, [0] * 3]], dtype=np.uint8)
    assert resize_linear(quad, (1, 1)).tolist() == [[[1, 1, 1]]]
    assert resize_linear(np.full((2, 2, 3), 255, dtype=np.uint8), (1, 1)).tolist() == [[[255, 255, 255]]]


@pytest.mark.parametrize(
    ("source", "target"),
    [((7, 5), (13, 11)), ((13, 11), (7, 5)), ((1, 1), (6, 4)), ((1, 9), (3, 2)), ((9, 1), (2, 3)), ((8, 6), (4, 5)),
     ((40, 3), (11, 1)), ((6, 6), (6, 6))],
)  # fmt: skip
def test_resizing_is_the_plain_loop(source: tuple[int, int], target: tuple[int, int]):
    for seed in range(3):
        levels = noise(*source, seed)
        np.testing.assert_array_equal(resize_linear(levels, target), plain_resize(levels, *target))


@pytest.mark.parametrize(
    ("size", "resized", "padded"),
    [((1024, 1024), (800, 800), (800, 800)), ((640, 360), (1333, 750), (1344, 768)), ((1, 1), (800, 800), (800, 800)),
     ((300, 413), (800, 1101), (800, 1120)), ((4000, 1), (1333, 1), (1344, 32)), ((1, 4000), (1, 1333), (32, 1344))],
)  # fmt: skip
def test_sizes(size: tuple[int, int], resized: tuple[int, int], padded: tuple[int, int]):
    frame = frame_of(size)
    assert (frame.picture, frame.resized, frame.padded) == (size, resized, padded)


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1)])
def test_extreme_pictures_are_prepared(size: tuple[int, int]):
    levels = np.full((size[1], size[0], 3), 200, dtype=np.uint8)
    frame = frame_of(size)
    pixels = prepare(levels, frame).numpy()
    inside = pixels[:, : frame.resized[1], : frame.resized[0]]
    expected = [(200 - 123.675) / 58.395, (200 - 116.28) / 57.12, (200 - 103.53) / 57.375]
    np.testing.assert_allclose(inside, np.broadcast_to(np.reshape(expected, (3, 1, 1)), inside.shape), atol=1e-6)


def test_what_is_added_is_grey_and_not_zero():
    frame = frame_of((640, 360))
    pixels = prepare(noise(640, 360), frame).numpy()
    grey = np.reshape([(128 - 123.675) / 58.395, (128 - 116.28) / 57.12, (128 - 103.53) / 57.375], (3, 1, 1))
    np.testing.assert_allclose(pixels[:, 750:, :], np.broadcast_to(grey, (3, 18, 1344)), atol=1e-6)
    np.testing.assert_allclose(pixels[:, :, 1333:], np.broadcast_to(grey, (3, 768, 11)), atol=1e-6)


def reopened(picture: Image.Image, **options: object) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, **({"format": "PNG"} | options))  # type: ignore[arg-type]
    return Image.open(file)


def test_of_16_bit_greys_the_high_byte_is_taken():
    greys = np.array([[0, 255, 256, 65535]], dtype=np.uint16)
    picture = reopened(Image.fromarray(greys))
    assert picture.mode.startswith("I;16")
    assert decode(picture)[0].tolist() == [[0] * 3, [0] * 3, [1] * 3, [255] * 3]


def test_palettes_are_looked_up_and_transparency_is_dropped():
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((1, 0), 1)
    assert decode(reopened(palette, transparency=1))[0].tolist() == [[10, 20, 30], [40, 50, 60]]
    clear = reopened(Image.new("RGBA", (1, 1), (9, 8, 7, 0)))
    assert decode(clear)[0].tolist() == [[9, 8, 7]]
    assert decode(reopened(Image.new("L", (1, 1), 77)))[0].tolist() == [[77, 77, 77]]
    assert decode(reopened(Image.new("1", (1, 1), 1)))[0].tolist() == [[255, 255, 255]]


def test_pictures_stand_upright():
    """EXIF orientation 6: what is stored as a row is to be seen as a column."""
    row = Image.fromarray(np.array([[[1, 1, 1], [2, 2, 2], [3, 3, 3]]], dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = decode(reopened(row, exif=exif))
    assert turned.shape == (3, 1, 3)
    assert turned[:, 0, 0].tolist() == [1, 2, 3]
