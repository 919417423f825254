"""Reading chains: both forms, mixtures, and every way in which real ones break."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gotr1_eval.core.chain import (
    BEGIN_OF_IMAGE,
    BOX_END,
    BOX_START,
    OBJ_END,
    OBJ_START,
    Defect,
    parse_chain,
    write_chain,
    write_object,
)
from gotr1_eval.core.types import Box


def names_and_boxes(text: str) -> list[tuple[str, tuple[float, ...] | None]]:
    return [(o.name, o.box and tuple(round(v * 1000) for v in o.box.corners)) for o in parse_chain(text).objects]


def marked(name: str, box: str) -> str:
    return f"{OBJ_START}{name}{OBJ_END} {BOX_START}{box}{BOX_END}"


def test_special_token_form():
    chain = parse_chain(f"A {marked('yellow vase', '(202,482),(729,964)')}, which sits on a shelf.{BEGIN_OF_IMAGE}")
    assert chain.boxed == (("yellow vase", Box(0.202, 0.482, 0.729, 0.964)),)
    assert chain.prose == "A yellow vase, which sits on a shelf."
    assert chain.ended
    assert chain.defects == ()


def test_bare_form():
    assert names_and_boxes("a butterfly (0,246),(533,861) and a candle (501,133),(992,897)") == [
        ("butterfly", (0, 246, 533, 861)),
        ("candle", (501, 133, 992, 897)),
    ]


def test_mixture_pairs_by_position_not_by_order():
    text = f"A {OBJ_START}lamp{OBJ_END} stands there. A dog (10,20),(30,40) looks at {marked('a cat', '(1,2),(3,4)')}."
    assert names_and_boxes(text) == [("lamp", None), ("dog", (10, 20, 30, 40)), ("a cat", (1, 2, 3, 4))]


def test_bare_box_right_after_a_marked_name_belongs_to_it():
    assert names_and_boxes(f"{OBJ_START}cat{OBJ_END} at (1,2),(3,4)") == [("cat", (1, 2, 3, 4))]


def test_repeated_names_and_several_boxes_of_one_name():
    text = f"{marked('cat', '(1,2),(3,4)')}{BOX_START}(5,6),(7,8){BOX_END} and {marked('cat', '(9,9),(10,10)')}"
    assert names_and_boxes(text) == [("cat", (1, 2, 3, 4)), ("cat", (5, 6, 7, 8)), ("cat", (9, 9, 10, 10))]


@pytest.mark.parametrize(
    ("box", "corners", "defects"),
    [
        ("(729,964),(202,482)", (202, 482, 729, 964), (Defect.SWAPPED_CORNERS,)),
        ("(-5,10),(1200,20)", (0, 10, 1000, 20), (Defect.OUT_OF_RANGE,)),
        ("(5,5),(5,9)", (5, 5, 5, 9), (Defect.ZERO_AREA,)),
        ("(1,2),(3)", None, (Defect.MISSING_NUMBER,)),
        ("", None, (Defect.MISSING_NUMBER,)),
        ("(1,2),(3,4),(5,6)", None, (Defect.EXTRA_NUMBER,)),
        ("[1, 2, 3, 4]", (1, 2, 3, 4), ()),
        ("(" + "9" * 5000 + ",1),(2,3)", (2, 1, 1000, 3), (Defect.SWAPPED_CORNERS, Defect.OUT_OF_RANGE)),
    ],
)
def test_broken_boxes_become_defects(box: str, corners: tuple[int, ...] | None, defects: tuple[Defect, ...]):
    text = marked("cat", box)
    assert names_and_boxes(text) == [("cat", corners)]
    assert parse_chain(text).objects[0].defects == defects


def test_missing_box_and_cut_off_ends():
    chain = parse_chain(f"{OBJ_START}cat{OBJ_END} and {marked('dog', '(1,2),(3,4)')} and {OBJ_START}bi")
    assert [(o.name, o.defects) for o in chain.objects] == [
        ("cat", (Defect.MISSING_BOX,)),
        ("dog", ()),
        ("bi", (Defect.CUT_OFF,)),
    ]
    assert parse_chain(f"{OBJ_START}cat{OBJ_END} {BOX_START}(1,2),(3").objects[0].defects == (Defect.CUT_OFF,)
    assert parse_chain(f"x {OBJ_START}").defects == (Defect.CUT_OFF,)
    assert not chain.ended


def test_boxes_without_a_name_and_stray_markers():
    assert parse_chain(f"{BOX_START}(1,2),(3,4){BOX_END}").defects == (Defect.UNNAMED_BOX,)
    assert parse_chain("(1,2),(3,4)").objects == ()
    assert parse_chain(f"cat{OBJ_END}").defects == (Defect.STRAY_TOKEN,)


def test_ordinary_numbers_are_no_boxes():
    assert parse_chain("In (1990,1991) there were (2,3) cats, 4 dogs.").objects == ()


_names = st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters="<|>"), min_size=1, max_size=20).map(
    lambda name: name.strip() or "x"
)
_grid = st.integers(0, 1000)
_boxes = st.tuples(_grid, _grid, _grid, _grid).map(
    lambda v: Box(min(v[0], v[2]) / 1000, min(v[1], v[3]) / 1000, max(v[0], v[2]) / 1000, max(v[1], v[3]) / 1000)
)


@given(st.lists(st.tuples(_names, _boxes), max_size=8))
def test_written_chains_read_back(objects: list[tuple[str, Box]]):
    chain = parse_chain(write_chain(objects))
    assert list(chain.boxed) == objects
    assert chain.defects == ()
    assert chain.ended


_fragments = st.sampled_from(
    [
        OBJ_START,
        OBJ_END,
        BOX_START,
        BOX_END,
        BEGIN_OF_IMAGE,
        "(1,2),(3,4)",
        "(12,",
        "a red cat",
        " and ",
        ".",
        "9" * 400,
    ]
)


@given(st.lists(_fragments | st.text(max_size=8), max_size=30).map("".join))
def test_no_input_raises(text: str):
    chain = parse_chain(text)
    assert all(chain.text[slice(*o.span)] for o in chain.objects)
    assert BOX_START not in chain.prose
    assert all(o.box is not None or o.defects for o in chain.objects)


def test_long_input_takes_linear_time():
    parse_chain((OBJ_START + "x") * 20_000)
    parse_chain("(1,2),(3,4) " * 20_000)
    parse_chain("word " * 100_000)


@pytest.mark.parametrize("name", ["", "  ", f"cat{OBJ_END}", f"cat{BEGIN_OF_IMAGE}"])
def test_names_that_could_not_be_read_back_are_refused(name: str):
    with pytest.raises(ValueError, match="name"):
        write_object(name, Box(0, 0, 1, 1))
