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
        ("(100,−200),(300,400)", (100, 0, 300, 400), (Defect.OUT_OF_RANGE,)),
        ("（１００，200），（300，400）", (100, 200, 300, 400), ()),
        ("(.1,.2),(.3,.4)", (100, 200, 300, 400), ()),
        ("(0.,.2),(1.,.4)", (0, 200, 1000, 400), ()),
        ("(100,200) to (300,400)", (100, 200, 300, 400), ()),
        ("(100,200)-(300,400)", (100, 200, 300, 400), ()),
        ("[[100, 200], [300, 400]]", (100, 200, 300, 400), ()),
        ("100 200 300 400", (100, 200, 300, 400), ()),
        ("(10%,20%),(30%,40%)", None, (Defect.UNREADABLE_NUMBER,)),
        ("100px,200px,300px,400px", None, (Defect.UNREADABLE_NUMBER,)),
        ("(1-2),(3-4)", None, (Defect.UNREADABLE_NUMBER,)),
        ("(1.2.3,4),(5,6)", None, (Defect.UNREADABLE_NUMBER,)),
        ("(1,2,3),(4)", None, (Defect.MISSING_NUMBER,)),
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
    # 90 may have been 900; behind a bracket nothing is missing but the marker.
    assert names_and_boxes(f"{OBJ_START}cat{OBJ_END} {BOX_START}(100,200),(300,90") == [("cat", None)]
    (whole,) = parse_chain(f"{OBJ_START}cat{OBJ_END} {BOX_START}(100,200),(300,900)").objects
    assert (whole.box, whole.defects) == (Box(0.1, 0.2, 0.3, 0.9), (Defect.CUT_OFF,))
    assert not chain.ended


def test_a_box_without_its_end_marker_ends_with_its_numbers():
    chain = parse_chain(f"A {OBJ_START}cat{OBJ_END} {BOX_START}(1,2),(3,4) sits on a {marked('mat', '(5,6),(7,8)')}.")
    assert [(planned.name, planned.defects) for planned in chain.objects] == [("cat", ()), ("mat", ())]
    assert chain.prose == "A cat sits on a mat."
    cut = parse_chain(f"A {OBJ_START}cat{OBJ_END} {BOX_START}(1,2),(3,4)<|box_e")
    assert (cut.objects[0].defects, cut.prose) == ((Defect.CUT_OFF,), "A cat")


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


CAT_AND_DOG = [("cat", (0, 400, 200, 600)), ("dog", (800, 400, 1000, 600))]


@pytest.mark.parametrize(
    "text",
    [
        "[0,400,200,600]: cat\n[800,400,1000,600]: dog",
        "[0,400,200,600] cat\n[800,400,1000,600] dog",
        "The picture has two animals:\n[0,400,200,600]: cat, sitting\n[800,400,1000,600]: dog",
        "Objects:\n1. (0,400),(200,600) - a cat\n2. (800,400),(1000,600) - a dog",
        "- [0,400,200,600] -> cat\n- [800,400,1000,600] -> dog",
        "Box 1: [0,400,200,600] = cat\nBox 2: [800,400,1000,600] = dog",
        "| Box | Object |\n|---|---|\n| [0,400,200,600] | cat |\n| [800,400,1000,600] | dog |",
        "[0,400,200,600] is a cat.\n[800,400,1000,600] is a dog.",
        "(0,400),(200,600) - cat; (800,400),(1000,600) - dog",
        "At [0,400,200,600] there is a cat and at [800,400,1000,600] a dog.",
        "<box>(0,400),(200,600)</box><ref>cat</ref>, <box>(800,400),(1000,600)</box><ref>dog</ref>",
        "<box>(0,400),(200,600)</box><ref>cat</ref><box>(800,400),(1000,600)</box><ref>dog</ref>",
        "The objects in the picture are <box>(0,400),(200,600)</box><ref>cat</ref>, "
        "<box>(800,400),(1000,600)</box><ref>dog</ref>",
        "<box>(0,400),(200,600)</box> cat <box>(800,400),(1000,600)</box> dog",
        # Names before boxes all the same, with remarks behind them.
        "cat:\n[0,400,200,600] (on the left)\ndog:\n[800,400,1000,600] (on the right)",
        "**cat**\n[0,400,200,600] - fluffy cat\n**dog**\n[800,400,1000,600] - big dog",
        "| cat | [0,400,200,600] | brown |\n| dog | [800,400,1000,600] | white |",
        "1. cat\n[0,400,200,600] - on the left\n2. dog\n[800,400,1000,600] - on the right",
        "<ref>cat</ref><box>(0,400),(200,600)</box>\n<ref>dog</ref><box>(800,400),(1000,600)</box>",
    ],
)
def test_boxes_stand_before_or_behind_their_names(text: str):
    assert names_and_boxes(text) == CAT_AND_DOG
    assert parse_chain(text).defects == ()


@pytest.mark.parametrize(
    "text",
    [
        "[0,400,200,600] cat\n[800,400,1000,600] dog\n[1,2,3,4]",
        "Objects:\n[0,400,200,600]: cat\n[800,400,1000,600]: dog\n[1,2,300,400]",
        "Two animals:\n[0,400,200,600]: cat\n[800,400,1000,600]",
        "(0,400),(200,600) a cat (800,400),(1000,600) a dog (1,2),(3,4)",
        "<box>(0,400),(200,600)</box><ref>cat</ref><box>(800,400),(1000,600)</box>",
        "A lamp <box>(0,400),(200,600)</box><ref>cat</ref> <box>(800,400),(1000,600)</box><ref>dog</ref>",
    ],
)
def test_boxes_between_names_are_nobodys(text: str):
    chain = parse_chain(text)
    assert chain.boxed == ()
    assert Defect.UNNAMED_BOX in chain.defects


def test_a_first_box_without_a_name_leaves_the_others_theirs():
    """Where markers put every other box right behind its name, and apart from the box before."""
    text = f"{BOX_START}(1,2),(3,4){BOX_END} A {marked('cat', '(0,400),(200,600)')}, a {marked('dog', '(1,2),(3,4)')}"
    chain = parse_chain(text)
    assert names_and_boxes(text) == [("cat", (0, 400, 200, 600)), ("dog", (1, 2, 3, 4))]
    assert chain.defects == (Defect.UNNAMED_BOX,)


def test_a_name_behind_its_box_keeps_a_place_in_the_text():
    """The span of an object takes in both."""
    chain = parse_chain("[0,400,200,600]: cat\n[800,400,1000,600]: dog")
    assert [chain.text[slice(*planned.span)] for planned in chain.objects] == [
        "[0,400,200,600]: cat",
        "[800,400,1000,600]: dog",
    ]


@pytest.mark.parametrize(
    "text",
    [
        '[{"bbox_2d": [0, 400, 200, 600], "label": "cat"}, {"bbox_2d": [800, 400, 1000, 600], "label": "dog"}]',
        '```json\n[{"box": [0, 400, 200, 600], "name": "cat"},\n{"box": [800, 400, 1000, 600], "name": "dog"}]\n```',
        '{"objects": [{"name": "cat", "bbox": [0, 400, 200, 600]}, {"name": "dog", "bbox": [800, 400, 1000, 600]}]}',
        '{"cat": [0, 400, 200, 600], "dog": [800, 400, 1000, 600]}',
        '[{"bbox_2d": [0.0, 0.4, 0.2, 0.6], "label": "cat"}, {"bbox_2d": [0.8, 0.4, 1, 0.6], "label": "dog"}]',
        "cat [0, 400, 200, 600], dog [800, 400, 1000, 600]",
        "a cat (0, 400, 200, 600) and a dog (800, 400, 1000, 600)",
        "cat: (0.0, 0.4, 0.2, 0.6)\ndog: (0.8, 0.4, 1.0, 0.6)",
        "1. **cat**: [0, 400, 200, 600]\n2. **dog**: [800, 400, 1000, 600]",
        "- cat = [[0, 400], [200, 600]]\n- dog = [[800, 400], [1000, 600]]",
        "| cat | [0, 400, 200, 600] |\n| dog | [800, 400, 1000, 600] |",
        "A cat is at [0, 400], [200, 600], a dog from (800,400) to (1000,600).",
        "<ref>cat</ref><box>(0,400),(200,600)</box><ref>dog</ref><box>(800,400),(1000,600)</box>",
        "<|object_ref_start|>cat<|object_ref_end|><|box_start|>(0,400),(200,600)<|box_end|> and "
        "<|ref|>dog<|/ref|><|det|>[[800, 400, 1000, 600]]<|/det|>",
        "cat [0., .4, .2, .6] and dog (.8,.4),(1.,.6)",
        "a cat（0，400），（200，600） and a dog【800, 400, 1000, 600】。",
        "A cat <bbox>0,400,200,600</bbox> beside a dog <|box_start|>(800,400),(1000,600)<|box_end|>",
        'A cat (0,400),(200,600) sits. {"label": "cat", "bbox": [0, 400, 200, 600]} '
        '{"label": "dog", "bbox": [800, 400, 1000, 600]}',
    ],
)
def test_common_notations(text: str):
    assert names_and_boxes(text) == CAT_AND_DOG
    assert all(planned.defects == () for planned in parse_chain(text).objects)


@pytest.mark.parametrize(
    "text",
    [
        "a cat on the left (0,400),(200,600) and a dog on the right (800,400),(1000,600)",
        "A cat is in the top left corner of the image at [0,400,200,600]. A dog is placed on the right side at "
        "[800,400,1000,600].",
        "**1. cat**\n- Bounding box: [0,400,200,600]\n**2. dog**\n- Bounding box: [800,400,1000,600]",
        "### cat\nPosition: (0,400),(200,600)\n### dog\nPosition: (800,400),(1000,600)",
        "### cat\nBox: (0,400),(200,600)\n### dog\nBox: (800,400),(1000,600)",
        "1. cat\n   - Color: black\n   - Box: [0,400,200,600]\n2. dog\n   - Color: white\n   - Box: [800,400,1000,600]",
        "- Name: cat\n  Box: [0,400,200,600]\n- Name: dog\n  Box: [800,400,1000,600]",
        "Object 1: cat\nBounding box: [0,400,200,600]\nObject 2: dog\nBounding box: [800,400,1000,600]",
        "The cat is in the bounding box [0,400,200,600] and the dog is in the bounding box [800,400,1000,600].",
        "The cat's bounding box is [0,400,200,600]. The dog's bounding box is [800,400,1000,600].",
        "Bounding box of the cat: [0,400,200,600]\nBounding box for dog: [800,400,1000,600]",
        "cat (bounding box: [0,400,200,600]), dog - bbox: [800,400,1000,600]",
        "cat (left): [0,400,200,600]\ndog (on the right): [800,400,1000,600]",
        "The cat occupies [0,400,200,600], the dog spans from (800,400) to (1000,600).",
        "a cat, which is at [0,400,200,600] and a dog that is located at [800,400,1000,600]",
        "| # | Object | Side | Box |\n|---|---|---|---|\n| 1 | cat | left | [0,400,200,600] |\n"
        "| 2 | dog | right | [800,400,1000,600] |",
        "Objects: [('cat', [0, 400, 200, 600]), ('dog', [800, 400, 1000, 600])]",
        '[["cat", [0, 400, 200, 600]], ["dog", [800, 400, 1000, 600]]]',
        '{"layout": {"cat": [0, 400, 200, 600], "dog": [800, 400, 1000, 600]}}',
    ],
)
def test_places_and_words_for_boxes_are_no_names(text: str):
    assert names_and_boxes(text) == CAT_AND_DOG
    assert parse_chain(text).defects == ()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("On the left: (0,400),(200,600), on the right: (800,400),(1000,600)", []),
        ("There is a cat and a dog. It is at [0,400,200,600].", []),
        ("Bounding box: [0,400,200,600]", []),
        ("cat [0,400,200,600], box [800,400,1000,600]", ["cat", "box"]),
        ("a cat in a box (0,400),(200,600)", ["box"]),
        ("a left shoe (0,400),(200,600)", ["left shoe"]),
        ("the background (0,400),(200,600)", ["background"]),
        ("一只猫（0，400），（200，600）和一只狗（800，400），（1000，600）", ["一只猫", "一只狗"]),
    ],
)
def test_what_is_a_name_and_what_is_none(text: str, names: list[str]):
    assert [name for name, _ in names_and_boxes(text)] == names


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a person in a blue jacket (0,400),(200,600)", "person in a blue jacket"),
        ("a bear wearing a red hat (0,400),(200,600)", "bear wearing a red hat"),
        ("a person in blue jeans (0,400),(200,600)", "person in blue jeans"),
        ("a flower in a vase (0,400),(200,600)", "vase"),
        ("a blue jacket (0,400),(200,600)", "blue jacket"),
    ],
)
def test_whoever_wears_something_is_meant(text: str, name: str):
    assert names_and_boxes(text) == [(name, (0, 400, 200, 600))]


@pytest.mark.parametrize(
    ("text", "boxes"),
    [
        # All between 0 and 1, one of them with a point: fractions.
        ("cat (0.0,0.4),(1,0.6)", [(0, 400, 1000, 600)]),
        ("cat (0.0,0.4),(1.005,0.6)", [(0, 400, 1000, 600)]),
        # Integers are thousandths in the paper's notation, as `write_chain` writes them.
        ("cat (0,0),(1,1)", [(0, 0, 1, 1)]),
        ("cat [0, 0, 1000, 1005]", [(0, 0, 1000, 1000)]),
        ("cat [0.5, 400, 200.5, 600]", [(0, 400, 200, 600)]),
        # In other notations these may be anything.
        ("cat [0, 0, 1, 1]", [None]),
        ("cat [12.5, 20.0, 40, 60]", [None]),
        ("cat [0, 0, 1024, 700] and dog [10, 10, 200, 200]", [None, None]),
        ("cat (0.0,0.4),(1.2,0.6)", [None]),
        # Two scales in one chain
        ("cat (0.0,0.4),(0.2,0.6) and dog (100,200),(300,400)", [None, (100, 200, 300, 400)]),
    ],
)
def test_the_scale_is_told_and_not_guessed(text: str, boxes: list[tuple[int, ...] | None]):
    assert [box for _, box in names_and_boxes(text)] == boxes
    faults = [Defect.UNKNOWN_SCALE in planned.defects for planned in parse_chain(text).objects]
    assert faults == [box is None for box in boxes]


@pytest.mark.parametrize(
    "fields",
    [
        '"x": 0, "y": 400, "width": 200, "height": 200',
        '"x": 0, "y": 400, "w": 200, "h": 200',
        '"left": 0, "top": 400, "width": 200, "height": 200',
        '"x1": 0, "y1": 400, "width": 200, "height": 200',
        '"bbox": {"xmin": 0, "ymin": 400, "width": 200, "height": 200}',
        '"bbox": {"x1": 0, "y1": 400, "x2": 200, "y2": 600}',
        '"left": 0, "top": 400, "right": 200, "bottom": 600',
        '"y": 0.4, "x": 0.0, "h": 0.2, "w": 0.2',
    ],
)
def test_sides_and_corners_are_told_by_their_keys(fields: str):
    text = f'[{{"label": "cat", {fields}}}]'
    assert names_and_boxes(text) == CAT_AND_DOG[:1]
    # What prose has said already is no second object.
    said = "a cat (0.0,0.4),(0.2,0.6), " if "0.4" in fields else "a cat (0,400),(200,600), "
    assert len(parse_chain(said + text).objects) == 1


@pytest.mark.parametrize(
    "text",
    [
        "The coordinates are in [x, y, w, h] format. cat [0,400,200,200]",
        "[ymin, xmin, ymax, xmax]: cat [0,400,200,600]",
        '[{"label": "cat", "bbox": [0, 400, 200, 200], "format": "xywh"}]',
        "Coordinates are percentages. cat [0,40,20,60]",
        "Boxes (in pixels): cat [0,400,200,600]",
        "Coordinates range from 0 to 1. cat [0,400,200,600]",
        "canvas 512x512. cat [0,400,200,600]",
        "The picture is 1024 by 768. a cat (0,400),(200,600)",
        '{"canvas": [512, 512], "objects": [{"label": "cat", "bbox": [0, 400, 200, 600]}]}',
        '{"width": 512, "height": 512, "objects": [{"label": "cat", "bbox": [0, 400, 200, 600]}]}',
    ],
)
def test_numbers_of_another_order_or_frame_have_no_place(text: str):
    (planned,) = parse_chain(text).objects
    assert (planned.name, planned.box, planned.defects) == ("cat", None, (Defect.UNKNOWN_SCALE,))


@pytest.mark.parametrize(
    "text",
    [
        "On a 1000x1000 grid: cat [0,400,200,600]",
        "Coordinates are normalized from 0 to 1000. cat [0,400,200,600]",
        "Coordinates are normalized from 0 to 1: cat (.0,.4),(.2,.6)",
        "The canvas is 512x512. cat [0.0,0.4,0.2,0.6]",
        "The boxes are [left, top, right, bottom]. cat [0,400,200,600]",
        "cat [x1, y1, x2, y2] = [0,400,200,600]",
        # The paper's own markers count thousandths of any picture.
        f"An image of 1024x1024 pixels with a {marked('cat', '(0,400),(200,600)')}",
        # Sizes and shares of other things
        "A 24x36 inch sheet. a cat (0,400),(200,600) covers 50 percent of it",
    ],
)
def test_what_is_ours_may_be_said(text: str):
    assert names_and_boxes(text) == CAT_AND_DOG[:1]


def test_broken_json_keeps_what_is_whole():
    three = '[{"bbox_2d": [0, 400, 200], "label": "cat"}, {"label": "bird"}, {"bbox_2d": [1, 2, 3, 4], "label": "dog"}'
    chain = parse_chain("The plan: " + three + ', {"bbox_2d": [800, 400,')
    assert [(planned.name, planned.defects) for planned in chain.objects] == [
        ("cat", (Defect.MISSING_NUMBER,)),
        ("bird", (Defect.MISSING_BOX,)),
        ("dog", ()),
    ]
    assert chain.defects == (Defect.CUT_OFF,)
    assert chain.prose == "The plan: cat, bird, dog"
    assert parse_chain('[{"bbox_2d": [1, 2, 3, 4]}]').defects == (Defect.UNNAMED_BOX,)


@pytest.mark.parametrize("text", ["the colour [255, 0, 0]", "see [1] and [2, 3]", '{"mood": "calm"}', "f(1, 2, 3)"])
def test_other_brackets_are_no_plan(text: str):
    chain = parse_chain(text)
    assert (chain.objects, chain.defects, chain.prose) == ((), (), text)
