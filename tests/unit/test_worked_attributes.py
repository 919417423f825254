"""Color, shape, texture (BLIP-VQA) and non_spatial (CLIP): cases worked by hand, in both semantics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from benchmarks.t2i_compbench.judges.blip_vqa import attribute_outcomes
from benchmarks.t2i_compbench.judges.non_spatial import NonSpatialJudge, cosine_outcomes
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.perception import Parse
from gotr1_eval.core.types import Sample

PICTURE = Image.new("RGB", (4, 4))
UNDEFINED = "undefined"


class Answers:
    """A yes-no model that gives the listed probabilities in turn."""

    name = fingerprint = "answers"

    def __init__(self, phrases: Sequence[tuple[str, float]]) -> None:
        self.known = {f"{phrase}?": chance for phrase, chance in phrases}

    def probability(self, images: Sequence[Image.Image], questions: Sequence[Sequence[str]]) -> list[list[float]]:
        return [[self.known[question] for question in asked] for asked in questions]


@dataclass(frozen=True)
class Case:
    """The noun phrases of a prompt with the model's "yes" for each, and the score under both semantics."""

    phrases: list[tuple[str, float]]
    reference: float
    corrected: float | str


CASES = {
    # 0.75 * 0.5
    "the answers multiply": Case([("a red cat", 0.75), ("a blue dog", 0.5)], 0.375, 0.375),
    "one phrase is its own answer": Case([("a red cat", 0.8125)], 0.8125, 0.8125),
    # 0.1235 * 0.5 = 0.06175, in float32 a little less; exact: 0.12345 * 0.5
    "answers are rounded to four decimals": Case([("a cat", 0.12345), ("a dog", 0.5)], 0.0617, 0.061725),
    # 0.3333 * 0.3333 = 0.11108889
    "the product is rounded again": Case([("a cat", 0.3333), ("a dog", 0.3333)], 0.1111, 0.11108889),
    # 0.00004 is written 0.0000
    "a faint yes becomes a no": Case([("a cat", 0.00004), ("a dog", 1.0)], 0.0, 0.00004),
    # 0.99996 is written 1.0000
    "an almost certain yes becomes certain": Case([("a cat", 0.99996)], 1.0, 0.99996),
    "one certain no is enough": Case([("a cat", 0.0), ("a dog", 1.0), ("a hat", 1.0)], 0.0, 0.0),
    "a place is not asked about": Case([("a cat", 0.5), ("the left", 0.1)], 0.5, 0.5),
    # The script's four places are compared as they are written: 0.5 * 0.5
    "a place with a capital is": Case([("The left", 0.5), ("a cat", 0.5)], 0.25, 0.5),
    # ... and "the bottom" is none of the four: 0.5 * 0.25
    "other places are": Case([("a cat", 0.5), ("the bottom", 0.25)], 0.125, 0.5),
    # 0.5 * 0.8
    "pronouns are": Case([("it", 0.5), ("a dog", 0.8)], 0.4, 0.8),
    "the ninth phrase is ignored": Case([*((f"cat {n}", 1.0) for n in range(8)), ("a dog", 0.25)], 1.0, 0.25),
    # Dropped before eight are counted: seven of 1 and one of 0.5 remain.
    "a place takes no one's turn": Case(
        [("top", 0.1), *((f"cat {n}", 1.0) for n in range(7)), ("a dog", 0.5)], 0.5, 0.5
    ),
    "a phrase that stands twice counts twice": Case([("a dog", 0.5), ("a dog", 0.5)], 0.25, 0.25),
    "no phrase at all is perfect": Case([], 1.0, UNDEFINED),
    "only a place is perfect": Case([("the side", 0.3)], 1.0, UNDEFINED),
}


def shown(outcome: Outcome) -> float | str:
    return outcome.value if isinstance(outcome, Score) else outcome.why.value


@pytest.mark.parametrize("name", CASES)
def test_attributes(name: str):
    case = CASES[name]
    parse = Parse(tokens=(), noun_chunks=tuple(phrase for phrase, _ in case.phrases))
    (reference,) = attribute_outcomes(Answers(case.phrases), [PICTURE], [parse], "reference")
    (corrected,) = attribute_outcomes(Answers(case.phrases), [PICTURE], [parse], "corrected")
    assert shown(reference) == case.reference
    assert shown(corrected) == pytest.approx(case.corrected)


def test_a_picture_that_cannot_be_read_is_no_zero():
    gone = Unscored(why=Why.NO_INPUT, detail="gone")
    parses = [Parse((), ("a cat",))] * 2
    first, second = attribute_outcomes(Answers([("a cat", 0.5)]), [gone, PICTURE], parses, "reference")
    assert (first, shown(second)) == (gone, 0.5)


class Vectors:
    """An encoder of two dimensions: texts by a table, every picture the same; as it stands, without normalising."""

    name = fingerprint = "vectors"

    def __init__(self, picture: tuple[float, float], texts: dict[str, tuple[float, float]]) -> None:
        self.picture, self.texts, self.asked = picture, texts, 0

    def embed_images(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        return np.array([self.picture for _ in images], dtype=np.float32)

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked += len(texts)
        return np.array([self.texts[text] for text in texts], dtype=np.float32)


X, Y = (1.0, 0.0), (0.0, 1.0)
COSINES = {
    "the same direction": ("a cat", X, {"a cat": X}, 1.0, 1.0),
    "a right angle": ("a cat", X, {"a cat": Y}, 0.0, 0.0),
    # 3 / 5
    "three, four, five": ("a cat", X, {"a cat": (0.6, 0.8)}, 0.6, 0.6),
    # Not cut off at 0, as CLIPScore would.
    "the opposite direction": ("a cat", X, {"a cat": (-1.0, 0.0)}, -1.0, -1.0),
    "a blunt angle": ("a cat", X, {"a cat": (-0.6, 0.8)}, -0.6, -0.6),
    # Not multiplied by 2.5, as CLIPScore would: what real pictures carry it to.
    "a usual score": ("a cat", X, {"a cat": (0.3, 0.9539392)}, 0.3, 0.3),
    # 0.6 * 0.8 + 0.8 * 0.6
    "both vary": ("a cat", (0.8, 0.6), {"a cat": (0.6, 0.8)}, 0.96, 0.96),
    # Two float32 units may have a product of 1 + 2 ** -23, which is no cosine.
    "rounding over 1": ("a cat", (1.0000001, 0.0), {"a cat": X}, 1.0, 1.0),
    "the full stop stays": ("A cat.", X, {"A cat.": (0.6, 0.8), "A cat": X}, 0.6, 0.6),
    "capitals stay": ("A Cat", X, {"A Cat": (0.6, 0.8), "a cat": X}, 0.6, 0.6),
    "nothing is put before it": ("a cat", X, {"a cat": (0.8, 0.6), "a photo of a cat": X}, 0.8, 0.8),
    # The script takes the prompt from the file's name, up to the first underscore.
    "an underscore": ("a cat_on a mat", X, {"a cat": (0.6, 0.8), "a cat_on a mat": (0.8, 0.6)}, 0.6, 0.8),
}


@pytest.mark.parametrize("name", COSINES)
def test_non_spatial(name: str):
    prompt, picture, texts, reference, corrected = COSINES[name]
    sample = Sample(id="s", prompt=prompt, image=PICTURE, meta={"category": "non_spatial"})
    encoder = Vectors(picture, texts)
    found = [NonSpatialJudge(encoder, semantics).judge([sample])[0] for semantics in ("reference", "corrected")]
    assert [shown(outcome) for outcome in found] == pytest.approx([reference, corrected], abs=1e-6)


def test_pictures_of_one_prompt_embed_its_text_once_and_a_lost_one_is_no_zero():
    encoder = Vectors(X, {"a cat": (0.6, 0.8), "a dog": Y})
    gone = Unscored(why=Why.NO_INPUT, detail="gone")
    found = cosine_outcomes(encoder, [PICTURE, gone, PICTURE, PICTURE], ["a cat", "a cat", "a cat", "a dog"])
    assert [shown(outcome) for outcome in found] == [pytest.approx(0.6), "no_input", pytest.approx(0.6), 0.0]
    assert encoder.asked == 2
