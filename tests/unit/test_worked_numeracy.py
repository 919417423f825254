"""T2I-CompBench++'s numeracy: cases worked by hand, in both semantics.

Each of n counted objects weighs 1 / n: half of it for being there, half for the exact count.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import pytest

from benchmarks.pixels import PixelBox, PixelDetection
from benchmarks.semantics import Semantics, UndefinedScoreError
from benchmarks.t2i_compbench.judges.numeracy import same_object, score_numeracy
from benchmarks.t2i_compbench.numeracy_prompts import Vocabulary, read_counts

VOCABULARY = Vocabulary(
    singulars=(
        "cat",
        "dog",
        "cow",
        "pen",
        "pencil",
        "boy",
        "ship",
        "television",
        "hot dog",
        "mouse",
        "goldfish",
        "painting",
    ),
    plurals=(
        "cats",
        "dogs",
        "cows",
        "pens",
        "pencils",
        "boys",
        "ships",
        "televisions",
        "hot dogs",
        "mice",
        "goldfishes",
        "paintings",
    ),
)
BOX: PixelBox = (0, 0, 99, 99)  # 100 x 100 pixels: both ends count
ONE_CAT_TWO_DOGS = "one cat and two dogs"


def apart(*labels: str) -> list[PixelDetection]:
    """One object of each label, side by side."""
    return [
        PixelDetection(label, 0.5, (200.0 * place, 0, 200.0 * place + 99, 99)) for place, label in enumerate(labels)
    ]


def over(*boxes: PixelBox, label: str = "dog") -> list[PixelDetection]:
    return [PixelDetection(label, 0.5, box) for box in boxes]


@dataclass(frozen=True)
class Case:
    """A prompt, what was seen in the detector's order, and the score (or the crash) under both semantics."""

    prompt: str
    seen: list[PixelDetection]
    reference: float | str
    corrected: float | str


CASES = {
    # 0.25 + 0.25 twice
    "as asked": Case(ONE_CAT_TWO_DOGS, apart("cat", "dog", "dog"), 1.0, 1.0),
    # 0.5 for the cat, 0.25 for dogs of another number
    "one too few": Case(ONE_CAT_TWO_DOGS, apart("cat", "dog"), 0.75, 0.75),
    "one too many": Case(ONE_CAT_TWO_DOGS, apart("cat", "dog", "dog", "dog"), 0.75, 0.75),
    "one kind is absent": Case(ONE_CAT_TWO_DOGS, apart("dog", "dog"), 0.5, 0.5),
    "there, and no count right": Case("two cats and three dogs", apart("cat", "dog"), 0.5, 0.5),
    "nothing": Case(ONE_CAT_TWO_DOGS, [], 0.0, 0.0),
    "another thing does not matter": Case("one cat", apart("cat", "umbrella"), 1.0, 1.0),
    # The second box repeats the first.
    "one dog seen twice": Case("one dog", over(BOX, BOX), 1.0, 1.0),
    # All of the small box lies in the large one: 1 > 0.9
    "a part of a dog is no dog": Case("one dog", over(BOX, (0, 0, 9, 9)), 1.0, 1.0),
    # 90 of 100 columns are shared: 0.9 of each is not over 0.9, and IoU 9000 / 11000
    "nine tenths shared are two": Case("two dogs", over(BOX, (10, 0, 109, 99)), 1.0, 1.0),
    # 91 of 100 columns: one dog, of another number, 0.5
    "more are one": Case("two dogs", over(BOX, (9, 0, 108, 99)), 0.5, 0.5),
    "two labels in one place stay two": Case("one cat and one dog", over(BOX) + over(BOX, label="cat"), 1.0, 1.0),
    "boys are looked for as persons": Case("two boys", apart("person", "person"), 1.0, 1.0),
    "boys by their own label": Case("two boys", apart("boy", "boy"), 0.0, 1.0),
    "a goldfish is a fish": Case("one goldfish", apart("fish"), 1.0, 1.0),
    "a painting is a picture": Case("one painting", apart("picture"), 1.0, 1.0),
    "a ship is a boat": Case("one ship", apart("boat"), 1.0, 1.0),
    # The script misspells its alias as "telivision".
    "a television is no tv": Case("one television", apart("tv"), 0.0, 1.0),
    # No label equals "cow": those that contain it become cows.
    "a label of two names": Case("two cows", apart("cattle, cow", "cattle, cow"), 1.0, 1.0),
    # ... "cat" is in "cattle" as well.
    "a cat in cattle": Case("one cat", apart("cattle, cow"), 1.0, 0.0),
    # No label equals "pen": the pencil becomes one, too, so that there are two pens (0.25) and no pencil. As they are:
    # one pen (0.5), and two things whose names hold pencil (0.25).
    "a pen takes the pencil away": Case("one pen and one pencil", apart("pencil", "pen, pen/pencil"), 0.25, 0.75),
    "two words are one object": Case("three hot dogs", apart("hot dog", "hot dog", "hot dog"), 1.0, 1.0),
    "the prompt counts nothing": Case("many dogs", apart("dog"), "ZeroDivisionError", "ZeroDivisionError"),
    "a capital is no number": Case("Two dogs", apart("dog", "dog"), "ZeroDivisionError", 1.0),
    "an adjective hides the object": Case("two small dogs", apart("dog", "dog"), "ZeroDivisionError", 1.0),
    "a singular after two": Case("two dog", apart("dog", "dog"), "ValueError", 1.0),
    "a number at the end": Case("one dog of two", apart("dog"), "IndexError", 1.0),
    # The script loses the number of "a dogs": the dogs are compared with the cats' two, and the cats with nothing.
    "a before a plural": Case("a dogs and two cats", apart("dog", "cat", "cat"), "IndexError", 1.0),
    # With no cat there, that comparison is not made: 0.25 for the dogs.
    "a before a plural, no cat": Case("a dogs and two cats", apart("dog"), 0.25, 0.5),
    # Numbers of any size; the script takes "a" for one dog, and stops at its plural.
    "a dozen": Case("a dozen dogs", apart(*["dog"] * 12), "ZeroDivisionError", 1.0),
    "half a dozen": Case("half a dozen dogs", apart(*["dog"] * 6), "ZeroDivisionError", 1.0),
    "two dozen": Case("two dozen dogs", apart(*["dog"] * 24), "ZeroDivisionError", 1.0),
    "a couple of": Case("a couple of dogs", apart("dog", "dog"), "ZeroDivisionError", 1.0),
    "a couple is no number": Case("a couple with dogs", apart("dog", "dog"), "ZeroDivisionError", "ZeroDivisionError"),
    "twenty-two": Case("twenty-two dogs", apart(*["dog"] * 22), "ZeroDivisionError", 1.0),
    "twenty - two, as spaCy cuts it": Case("twenty - two dogs", apart(*["dog"] * 22), 0.5, 1.0),
    "ninety-nine": Case("ninety-nine dogs", apart("dog"), "ZeroDivisionError", 0.5),
    "digits": Case("12 dogs", apart(*["dog"] * 12), "ZeroDivisionError", 1.0),
    # Two quantities of one object are three dogs; the script compares three with one, and with two: 0.25 twice.
    "two quantities of one object": Case("one dog and two dogs", apart("dog", "dog", "dog"), 0.5, 1.0),
    "the object once for two numbers": Case(
        "two red and three green dogs", apart(*["dog"] * 5), "ZeroDivisionError", 1.0
    ),
    # Numbers that the prompt leaves open have no score.
    "two or three": Case("two or three dogs", apart("dog", "dog", "dog"), 1.0, "undefined"),
    "at least two": Case("at least two dogs", apart("dog", "dog"), 1.0, "undefined"),
    "two of the three": Case("two of the three dogs", apart("dog", "dog", "dog"), 1.0, "undefined"),
    "an underscore": Case("one dog and a_b", apart("dog"), "ValueError", 1.0),
}


def scored(compute: Callable[[], float]) -> float | str:
    try:
        return compute()
    except UndefinedScoreError as error:
        return error.official_error or "undefined"


@pytest.mark.parametrize("name", CASES)
def test_numeracy(name: str):
    case = CASES[name]

    def compute(semantics: Semantics) -> float:
        counts = read_counts(case.prompt.split(), VOCABULARY, semantics)
        return score_numeracy(case.prompt, counts, case.seen, semantics).value

    assert scored(lambda: compute("reference")) == pytest.approx(case.reference)
    assert scored(lambda: compute("corrected")) == pytest.approx(case.corrected)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (BOX, True),
        # 91 of 100 rows, and 90, which is not over 0.9
        ((0, 9, 99, 108), True),
        ((0, 10, 99, 109), False),
        # One row of 100 pixels, and one pixel, inside the box; the corner next to it
        ((0, 99, 99, 99), True),
        ((99, 99, 99, 99), True),
        ((100, 100, 100, 100), False),
        # Far away on both axes, on one
        ((500, 500, 599, 599), False),
        ((0, 500, 99, 599), False),
        ((500, 0, 599, 99), False),
        # 5 x 10 of 10 x 10 pixels
        ((95, 0, 104, 9), False),
        # 10,000 of 10,920 pixels, 0.916 of the greater box, and of 12,100, 0.83: the smaller one lies in it either way
        ((0, 0, 99, 108), True),
        ((-10, -10, 99, 99), True),
    ],
)
def test_from_what_overlap_on_boxes_are_one_object(other: PixelBox, same: bool):
    assert same_object(BOX, other) is same
    assert same_object(other, BOX) is same


@pytest.mark.parametrize(
    ("prompt", "counts"),
    [
        # numbers of any size
        ("one hundred five dogs", {"dog": 105}),
        ("one hundred and five dogs", {"dog": 105}),
        ("one-hundred dogs", {"dog": 100}),
        ("a thousand dogs", {"dog": 1000}),
        ("1,000 dogs", {"dog": 1000}),
        ("two hundred dogs and five cats", {"dog": 200, "cat": 5}),
        ("a trio of dogs", {"dog": 3}),
        # numbers of adjectives, measures and labels count nothing
        ("a three-legged dog", {"dog": 1}),
        ("a three - legged dog and two cats", {"dog": 1, "cat": 2}),
        ("a two-year-old dog", {"dog": 1}),
        ("a two year old dog", {"dog": 1}),
        ("a 4 masted ship", {"ship": 1}),
        ("a five seat boat and three ships", {"ship": 3}),
        ("two five-pointed pens", {"pen": 2}),
        ("a 10 inch pen", {"pen": 1}),
        ("a dog wearing number 7 and a cat", {"dog": 1, "cat": 1}),
        ("a dog aged 7 and a cat", {"dog": 1, "cat": 1}),
        ("1.5 pens and a dog", {"dog": 1}),
        # what holds objects says nothing of their number
        ("a basket of pens and a dog", {"dog": 1}),
        ("a basket of two pens", {"pen": 2}),
        ("a pair of dogs", {"dog": 2}),
        # prepositions are no estimates
        ("two dogs around three cats", {"dog": 2, "cat": 3}),
        ("a cow over two cats", {"cow": 1, "cat": 2}),
        ("a dog between two cats and three cows", {"dog": 1, "cat": 2, "cow": 3}),
    ],
)
def test_what_a_number_counts(prompt: str, counts: dict[str, int]):
    found = read_counts(prompt.split(), VOCABULARY, "corrected")
    assert {count.name: count.number for count in found} == counts


@pytest.mark.parametrize(
    "prompt",
    [
        "a few dogs",
        "two cats and quite a few dogs",
        "several small dogs",
        "dozens of dogs",
        "a number of dogs",
        "between five and six dogs",
        "up to five dogs",
        "about five dogs",
        "there are over five dogs",
        "a cat and around five dogs",
        "~ five dogs",
        "five or more dogs",
        "five dogs or more",
        "five dogs or six",
        "five plus dogs",
        "5+ dogs",
        "a dozen or so dogs",
        "two and a half dogs",
        "half of the five dogs",
        "five dogs without a cat",
    ],
)
def test_an_open_number_has_no_count(prompt: str):
    with pytest.raises(UndefinedScoreError, match="leaves a number open"):
        read_counts(prompt.split(), VOCABULARY, "corrected")


def test_a_long_prompt_is_read_in_a_time_that_grows_with_its_length():
    for unit in ("two ", "a ", "two - ", "1,000 ", "a few ", "hundred thousand ", "one hundred and ", "half of ", "# "):
        with suppress(UndefinedScoreError):
            read_counts((unit * (20_000 // len(unit))).split(), VOCABULARY, "corrected")
