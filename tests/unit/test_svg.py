"""Plots as SVG, and pictures made small: round numbers, escaped words, sizes that hold."""

from __future__ import annotations

import io
from pathlib import Path
from xml.etree import ElementTree as Xml

import numpy as np
import pytest
from PIL import Image

from reports import svg
from reports.run_page.score_table import bar_axis
from reports.shell import script_json
from reports.thumbnails import MOST_BYTES, shrink


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0, 0.37, [0, 0.1, 0.2, 0.3]),
        (-3, 12, [0, 5, 10]),
        (50, 130, [60, 80, 100, 120]),
        (7, 7, [7]),
    ],
)
def test_steps_are_round(low: float, high: float, expected: list[float]):
    assert svg.round_steps(low, high) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.7134, "0.713"), (0.0, "0.000"), (-0.00001, "−1e−05"), (-0.25, "−0.250"), (123456.0, "1.23e+05")],
)
def test_numbers_as_tables_print_them(value: float, written: str):
    assert svg.plain(value) == written


def test_no_sign_before_a_zero():
    assert svg.minus("-0.00") == "0.00"
    assert svg.minus("+0.00") == "0.00"
    assert svg.minus("-0.01") == "−0.01"


def test_a_picture_is_xml_whatever_its_words():
    hostile = '</text><script>x</script>"&'
    drawing = svg.picture(10, 10, hostile, svg.text(1, 2, hostile), svg.dots([(1.0, 2.5)]))
    root = Xml.fromstring(drawing)
    assert root.attrib["aria-label"] == hostile
    assert [child.tag for child in root] == ["text", "path"]
    assert root[0].text == hostile
    assert root[1].attrib["d"] == "M1 2.5h0"


def test_an_axis_stays_within_its_ends():
    axis = svg.Axis(0, 2, 100, 0)
    assert [axis(value) for value in (-1, 0, 0.5, 2, 9)] == [100, 100, 75, 0, 0]


@pytest.mark.parametrize(
    ("declared", "values", "ends"),
    [((0, 1), [0.9], (0, 1)), ((0, 1), [0.03, 0.18], (0, 0.2)), ((0, 1), [0.55], (0, 1)), ((-1, 1), [0.31], (0, 0.5)),
     ((-1, 1), [-0.1, 0.31], (-0.1, 0.5)), ((0, 3), [2.4], (0, 3)), ((0, 1), [], (0, 0.0001))],
)  # fmt: skip
def test_bars_end_at_a_round_number(declared: tuple[float, float], values: list[float], ends: tuple[float, float]):
    axis = bar_axis(declared, values)
    assert (axis.low, axis.high) == pytest.approx(ends)


def test_noise_is_shrunk_until_it_fits(tmp_path: Path):
    noise = np.random.default_rng(0).integers(0, 256, (700, 900, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png", compress_level=1)
    small = shrink(tmp_path / "noise.png")
    assert small.kind == "jpeg"
    assert len(small.data) <= MOST_BYTES
    with Image.open(io.BytesIO(small.data)) as picture:
        assert picture.width == pytest.approx(picture.height * 9 / 7, abs=1)


def test_pixel_art_keeps_its_pixels():
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8))
    small = shrink(picture)
    assert (small.kind, small.sharp) == ("png", True)
    with Image.open(io.BytesIO(small.data)) as shown:
        assert np.array_equal(np.asarray(shown), np.asarray(picture))


def test_json_cannot_end_its_script():
    assert script_json({"</script>": "<!--&"}) == '{"\\u003c/script\\u003e":"\\u003c!--\\u0026"}'
    with pytest.raises(ValueError, match="JSON compliant"):
        script_json(float("nan"))
