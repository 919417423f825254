"""Boxes in answers about one name: whose they are, by labels and by the words around them."""

from __future__ import annotations

import json
import time

import pytest

from gotr1_eval.core.chain import parse_chain
from gotr1_eval.core.reading import UnreadableReply, read_boxes

GRID = (1000.0, 1000.0)
BOX = (0.1, 0.2, 0.3, 0.4)
TEXT = "[100, 200, 300, 400]"


def read(text: str, asked: str | None = "dog", **options) -> list[tuple[str | None, tuple[float, ...]]] | None:
    try:
        found = read_boxes(text, frame=GRID, finish="stop", asked=() if asked is None else (asked,), **options)
    except UnreadableReply:
        return None
    return [(label, box.corners) for label, box in found]


@pytest.mark.parametrize(
    "text",
    [
        "cat: @",
        "cat (100,200),(300,400)",
        "cat<box>(100,200),(300,400)</box>",
        "<p>cat</p><box>(100,200),(300,400)</box>",
        "I can only find a cat at @.",
        "A puppy is at @.",
        "The cat beside the dog is at @.",
        "The cat is next to the dog at @.",
        "The dog's tail: @",
        "The head of the dog is at @.",
        "**Cat**\n@",
        "### Cat\nBounding box: @",
        'Cat:\n```json\n[{"bbox_2d": @}]\n```',
        'cat: [{"bbox_2d": @}]',
        "Here are the cats: [@]",
        "@: cat",
        "@ is a cat.",
        "@ (cat)",
        # The dog is denied, whatever has the box.
        "I couldn't find a dog. The most similar object is @.",
        "I did not see a dog. Closest: @",
        "I cannot locate the dog. @",
        "I see no dog. @",
        "There isn't a dog. @",
        "The dog is missing. @",
        "No dog is visible, but something is at @.",
        # Nobody knows whose the second box is.
        "<box>(100,200),(300,400)</box> <ref>dog</ref><box>(500,500),(700,800)</box>",
    ],
)
def test_a_box_of_something_else_is_not_the_asked_object(text: str):
    assert read(text.replace("@", TEXT)) is None


@pytest.mark.parametrize(
    "key", ["description", "type", "title", "caption", "phrase", "entity", "item", "id", "anything"]
)
def test_a_text_beside_a_box_is_a_name_or_makes_it_unclear(key: str):
    assert read(json.dumps([{"bbox_2d": [100, 200, 300, 400], key: "cat"}])) is None
    assert read(json.dumps([{"bbox_2d": [100, 200, 300, 400], key: "a brown dog on a mat"}])) == [
        ("a brown dog on a mat", BOX)
    ]
    assert read(json.dumps([{"bbox_2d": [100, 200, 300, 400], key: "object"}])) == [(None, BOX)]
    assert read(json.dumps([{"bbox_2d": [100, 200, 300, 400], key: "cat"}]), asked=None) == [("cat", BOX)]
    assert read(json.dumps([{"bbox_2d": [100, 200, 300, 400], key: "cat", "label": "dog"}])) == [("dog", BOX)]


@pytest.mark.parametrize(
    "fields", [{"confidence": "high"}, {"position": "left"}, {"id": "1"}, {"note": "partly hidden"}]
)
def test_other_texts_beside_a_box_are_no_names(fields: dict[str, str]):
    assert read(json.dumps([{"bbox_2d": [100, 200, 300, 400], **fields}])) == [(None, BOX)]


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("@", None),
        ("Bounding box: @", None),
        ("bbox_2d: @", None),
        ("Final answer: @", None),
        ("Here is the bounding box: @", None),
        ("The coordinates are @.", None),
        ("The requested object is located at @.", None),
        ("I found it at @.", None),
        ("It is in the lower left corner: @", None),
        ("Detected region: @", None),
        ("I cannot find any other dogs. @", None),
        ("Looking at the image, I can see one dog. Its bounding box is @.", None),
        ('Here is the JSON:\n```json\n[{"bbox_2d": @}]\n```', None),
        ('I have found the dog. [{"bbox_2d": @}]', None),
        ("dog: @", "dog"),
        ("The dog is at @.", "dog"),
        ("The dog next to the cat is at @.", "dog"),
        ("The dog in the foreground is located at approximately @.", "dog"),
        ("The dog is located in the center of the image at @.", "dog"),
        ("The bounding box of the dog is @.", "dog"),
        ("The bounding box coordinates for the dog are: @", "dog"),
        ("There are no other dogs. The dog is at @.", "dog"),
        ("The dog <box>(100,200),(300,400)</box>", "dog"),
        ("<box>(100,200),(300,400)</box><ref>dog</ref>", "dog"),
        ("@ is the dog.", "dog"),
        ("@ (dog)", "dog"),
        ("### Dog\nBounding box: @", "Dog"),
    ],
)
def test_a_box_of_the_asked_object_is_read(text: str, label: str | None):
    assert read(text.replace("@", TEXT)) == [(label, BOX)]


def test_each_box_between_markers_has_its_own_name():
    other = (0.5, 0.5, 0.7, 0.8)
    for text in (
        "<ref>dog</ref><box>(100,200),(300,400)</box> and a cat <box>(500,500),(700,800)</box>",
        "a dog <box>(100,200),(300,400)</box> and a cat <box>(500,500),(700,800)</box>",
        "<box>(100,200),(300,400)</box><ref>dog</ref>, <box>(500,500),(700,800)</box><ref>cat</ref>",
    ):
        assert read(text) == [("dog", BOX), ("cat", other)]
    assert read("<ref>dog</ref><box>(100,200),(300,400)</box> and <box>(500,500),(700,800)</box>") == [
        ("dog", BOX),
        ("dog", other),
    ]


@pytest.mark.parametrize(
    "text",
    [
        '{"image_width": 512, "image_height": 512, "bbox_2d": @}',
        '{"width": 512, "height": 512, "objects": [{"bbox_2d": @}]}',
        '{"resolution": "1024x768", "bbox": @}',
        '{"image_size": [512, 512], "boxes": [{"bbox": @}]}',
        '{"canvas": {"width": 512, "height": 512}, "bbox": @}',
        '{"bbox": [10, 20, 30, 40], "unit": "percent"}',
        '{"bbox": @, "format": "coco"}',
        "Image size: 512 by 512. @",
        "Image dimensions: 640*480. @",
        "The image is 640 pixels wide and 480 pixels high. @",
        "@ in a 512x512 image",
        "[10, 20, 30, 40] (in percent)",
        "[10, 20, 30, 40] (%)",
        "The coordinates are percentages: [10, 20, 30, 40]",
        "Normalized to 0-1: [1, 2, 3, 4]",
        "Coordinates range from 0 to 100: [10, 20, 30, 40]",
    ],
)
def test_numbers_of_another_frame_or_unit_are_not_read(text: str):
    assert read(text.replace("@", TEXT)) is None


@pytest.mark.parametrize(
    "text",
    [
        "@ is wrong.",
        "@ isn't right.",
        "@ was a mistake",
        "@\nNo, that is the cat.",
        "@\nSorry, I made an error.",
        "@. Ignore that.",
        "@\nWait, the dog is further left.",
        "@\nThat is not the dog.",
    ],
)
def test_boxes_that_are_taken_back_are_not_read(text: str):
    assert read(text.replace("@", TEXT)) is None


@pytest.mark.parametrize(
    "text",
    [
        "@ (normalized to 0-1000)",
        "Coordinates from 0 to 999: @",
        "On the 1000x1000 grid: @",
        '{"image_size": "1000x1000", "bbox": @}',
        '{"bbox": @, "format": "xyxy"}',
        '{"bbox": @, "width": 200, "height": 200}',
        "@\nNo other dogs are visible.",
        "@\nThere are no further instances.",
        "@\nI hope this helps!",
    ],
)
def test_the_frame_that_was_asked_for_may_be_named(text: str):
    assert read(text.replace("@", TEXT)) == [(None, BOX)]


@pytest.mark.parametrize(
    "text",
    [
        "The dog's tail is not visible.",
        "Half of the dog is not visible.",
        "The rest of the dog is not visible.",
        "The bottom half is not visible.",
        "The image does not show only a dog.",
        "The image does not show a whole dog.",
        "The image does not show the dog clearly.",
        "No other dog is visible.",
        "No second dog is present.",
        "No more dogs are visible.",
        "The dog is not fully visible.",
        # The picture itself
        "No image found.",
        "No image is present.",
        "The photo is not present.",
        "The attachment is not visible.",
    ],
)
@pytest.mark.parametrize("asked", ["dog", None])
def test_a_part_of_it_that_is_missing_is_not_it(text: str, asked: str | None):
    assert read(text, asked) is None


@pytest.mark.parametrize(
    ("text", "asked", "absent"),
    [
        ("There is no dog in the image.", "dog", True),
        ("No dogs are visible.", "dog", True),
        ("The dog isn't visible.", "dog", True),
        ("The image does not contain any dogs.", "dog", True),
        ("There is no dog.", "dog", True),
        ("I see no dog.", "dog", True),
        ("I cannot find a dog in the image.", "dog", True),
        ("I couldn't find the dog.", "dog", True),
        ("It is not visible.", "dog", True),
        ("There is no such object in the image.", "dog", True),
        ("No dog is visible.", "brown dog", True),
        ("No person is visible.", "person in a blue jacket", True),
        ("The whole pizza is not visible.", "whole pizza", True),
        ("No red object is visible.", "red dog", True),
        ("The cat is not visible.", "dog", False),
        ("The dog tail is not visible.", "dog", False),
        ("No brown dog is visible.", "dog", False),
        ("The image does not show a dog running.", "dog", False),
        ("The jacket is not visible.", "person in a blue jacket", False),
        ("No dog is visible.", "hot dog", False),
        ("No blue object is visible.", "red dog", False),
        ("I cannot find the image.", "dog", False),
    ],
)
def test_only_a_sentence_about_the_asked_name_says_that_it_is_not_there(text: str, asked: str, absent: bool):
    assert read(text, asked) == ([] if absent else None)


def test_of_several_names_all_must_be_denied():
    for text, absent in (("The cat is not visible.", False), ("No objects are visible.", True), ("[]", True)):
        try:
            found = read_boxes(text, frame=GRID, finish="stop", asked=("cat", "dog"))
        except UnreadableReply:
            found = None
        assert found == ([] if absent else None)


@pytest.mark.parametrize(
    "run", ["\n", " ", "-", "*", "'", ".", "0", "a", "a cat ", "on the left ", "the cat beside the "]
)
@pytest.mark.parametrize("around", ["#[1, 2, 300, 400]", "(1,2),(3,400)#cat", "no dog# (1,2),(3,400)", "<box>#1</box>"])
def test_long_runs_take_linear_time(run: str, around: str):
    text = around.replace("#", run * 10_000)
    begun = time.process_time()
    parse_chain(text)
    read(text)
    # Quadratic time would be a minute.
    assert time.process_time() - begun < 8
