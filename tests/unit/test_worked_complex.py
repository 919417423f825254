"""T2I-CompBench's complex (3-in-1): cases worked by hand, in both semantics, through the whole judge.

The models are scripted: every phrase is answered 0.5, so that two phrases make an attribute score of 0.25; the cat is
seen with 0.8 and the dog with 0.6, so that a relation that holds makes a spatial score of 0.2 + 0.15 + 0.5 = 0.85.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from benchmarks.t2i_compbench.judges.three_in_one import ThreeInOneJudge
from benchmarks.t2i_compbench.spatial_prompts import objects_beside_prepositions
from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.perception import Parse, Token
from gotr1_eval.core.types import Box, Detection, Sample

NEXT = "The red cat is next to the blue dog."
CHASE = "The red cat chased the blue dog."
ON_TOP = "A cat on top of a dog."
NEITHER = "The red cat next to the blue dog sleeps."
TRIO = "The cat next to the dog near the pig."
BARE = "The cat is next to the dog quietly."
BOTH_LISTS = "A cat next to a dog sleeps."
PARSES = {
    NEXT: "The/DET red/ADJ cat/NOUN is/AUX next/ADV to/ADP the/DET blue/ADJ dog/NOUN ./PUNCT",
    CHASE: "The/DET red/ADJ cat/NOUN chased/VERB the/DET blue/ADJ dog/NOUN ./PUNCT",
    ON_TOP: "A/DET cat/NOUN on/ADP top/NOUN of/ADP a/DET dog/NOUN ./PUNCT",
    NEITHER: "The/DET red/ADJ cat/NOUN next/ADV to/ADP the/DET blue/ADJ dog/NOUN sleeps/VERB ./PUNCT",
    # Two prepositions with two nouns each: four objects, where two are needed.
    TRIO: "The/DET cat/NOUN next/ADV to/ADP the/DET dog/NOUN near/ADP the/DET pig/NOUN ./PUNCT",
    BARE: "The/DET cat/NOUN is/AUX next/ADV to/ADP the/DET dog/NOUN quietly/ADV ./PUNCT",
    BOTH_LISTS: "A/DET cat/NOUN next/ADV to/ADP a/DET dog/NOUN sleeps/VERB ./PUNCT",
}
# CLIP reads prompts without their adjectives, joined by spaces; `corrected` reads them as they are.
COSINES = {
    "The cat chased the blue dog .": 0.9,
    "The cat chased the dog .": 0.3,
    CHASE: 0.4,
    "The cat next to the dog sleeps .": 0.3,
    NEITHER: 0.36,
    "A cat next to a dog sleeps .": 0.1,
}
CAT = ("cat", (0.05, 0.4, 0.15, 0.6), 0.8)
DOG = ("dog", (0.2, 0.4, 0.3, 0.6), 0.6)
FAR_DOG = ("dog", (0.85, 0.9, 0.95, 1.0), 0.6)


class Scripted:
    """All four models in one."""

    name = fingerprint = "scripted"
    open_vocabulary = False

    def __init__(
        self, finds: Sequence[tuple[str, tuple[float, ...], float]], phrases: int, cosine: float | None
    ) -> None:
        self.finds, self.phrases, self.cosine = finds, phrases, cosine

    def probability(self, images: Sequence[Image.Image], questions: Sequence[Sequence[str]]) -> list[list[float]]:
        return [[0.5 for _ in asked] for asked in questions]

    def parse(self, prompts: Sequence[str]) -> list[Parse]:
        parses = []
        for prompt in prompts:
            tokens = [Token(*word.split("/")) for word in PARSES.get(prompt, PARSES[NEXT]).split()]
            parses.append(Parse(tuple(tokens), ("the cat", "the dog")[: self.phrases]))
        return parses

    def detect(self, images: Sequence[Image.Image], labels: object = None) -> list[list[Detection]]:
        return [[Detection(label, Box(*corners), score) for label, corners, score in self.finds] for _ in images]

    def embed_images(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        return np.array([[1.0, 0.0] for _ in images], dtype=np.float32)

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        cosines = [COSINES[text] if self.cosine is None else self.cosine for text in texts]
        return np.array([[cosine, (1 - cosine**2) ** 0.5] for cosine in cosines], dtype=np.float32)


@dataclass(frozen=True)
class Case:
    """A prompt, what is seen, and the score (or the reason for none) under both semantics."""

    prompt: str
    reference: float | str
    corrected: float | str
    finds: Sequence[tuple[str, tuple[float, ...], float]] = field(default=(CAT, DOG))
    phrases: int = 2
    cosine: float | None = None


CASES = {
    # (0.25 + 0.85) / 2; centres are 0.15 of 479 pixels apart
    "spatial: the relation holds": Case(NEXT, 0.55, 0.55),
    # 0.2 alone is under 0.5: (0.25 + 0) / 2
    "spatial: one object": Case(NEXT, 0.125, 0.125, finds=(CAT,)),
    "spatial: nothing": Case(NEXT, 0.125, 0.125, finds=()),
    # dx = 0.8 and dy = 0.45 of 479: 383.2 and 215.55. 150 / 383.2, by distance 150 / 439.66357
    "spatial: far": Case(NEXT, (0.6 + 75 / 383.2) / 2, (0.6 + 75 / 439.66357) / 2, finds=(CAT, FAR_DOG)),
    # The script knows "on top of" and scores it 0: (0.25 + 0) / 2. Meant is above: 0.85.
    "spatial: on top of": Case(
        ON_TOP, 0.125, 0.55, finds=(("cat", (0.4, 0.1, 0.5, 0.2), 0.8), ("dog", (0.4, 0.8, 0.5, 0.9), 0.6))
    ),
    # Four nouns beside two prepositions are not two objects: (0.25 + 0) / 2
    "spatial: more than two objects": Case(TRIO, 0.125, 0.125),
    # (0.25 + 0.3) / 2 without "red" and "blue", (0.25 + 0.4) / 2 with them
    "action: adjectives are dropped": Case(CHASE, 0.275, 0.325),
    # Detections do not count for an action.
    "action: nothing seen": Case(CHASE, 0.275, 0.325, finds=()),
    # (0.25 - 0.45) / 2: a cosine is not cut off at 0
    "action: a blunt angle": Case(CHASE, -0.1, -0.1, cosine=-0.45),
    # (0.25 + 0.85 + 0.3) / 3 and (0.25 + 0.85 + 0.36) / 3
    "neither list: the mean of three": Case(NEITHER, 1.4 / 3, 1.46 / 3),
    # (0.25 + 0 + 0.3) / 3
    "neither list: nothing seen": Case(NEITHER, 0.55 / 3, 0.61 / 3, finds=()),
    "both lists: spatial comes first": Case(BOTH_LISTS, 0.55, 0.55),
    # Lists are compared in lower case up to the first full stop,
    "capitals and what follows the full stop": Case(NEXT.replace("The", "THE") + " And more.", 0.55, 0.55),
    # ... but the relation word is not: (0.25 + 0) / 2
    "a relation in capitals": Case(NEXT.upper(), 0.125, 0.125),
    # One phrase: (0.5 + 0.85) / 2
    "one noun phrase": Case(BARE, 0.675, 0.675, phrases=1),
    # No phrase is a perfect attribute score: (1 + 0.85) / 2
    "no noun phrase": Case(BARE, 0.925, "undefined", phrases=0),
}


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lists")
    (folder / "complex_val_spatial.txt").write_text("\n".join([NEXT, ON_TOP, TRIO, BARE, BOTH_LISTS]))
    (folder / "complex_val_action.txt").write_text("\n".join([CHASE, BOTH_LISTS]))
    return folder


def shown(outcome: Outcome) -> float | str:
    return outcome.value if isinstance(outcome, Score) else outcome.why.value


@pytest.mark.parametrize("name", CASES)
def test_complex(name: str, lists: Path):
    case = CASES[name]
    models = Scripted(case.finds, case.phrases, case.cosine)
    sample = Sample(id="s", prompt=case.prompt, image=Image.new("RGB", (100, 100)), meta={"category": "complex"})
    for semantics, expected in (("reference", case.reference), ("corrected", case.corrected)):
        judge = ThreeInOneJudge(models, models, models, models, data=lists, semantics=semantics)
        assert shown(judge.judge([sample])[0]) == pytest.approx(expected, abs=1e-6)


def test_a_lost_picture_is_no_zero(lists: Path, tmp_path: Path):
    models = Scripted((CAT, DOG), 2, None)
    judge = ThreeInOneJudge(models, models, models, models, data=lists, semantics="reference")
    sample = Sample(id="s", prompt=NEXT, image=tmp_path / "none.png", meta={"category": "complex"})
    assert shown(judge.judge([sample])[0]) == "no_input"


@pytest.mark.parametrize(
    ("text", "reference", "corrected"),
    [
        ("the/DET cat/NOUN is/AUX near/ADP the/DET dog/NOUN", ("cat", "dog"), ("cat", "dog")),
        # A preposition that ends the prompt is one preposition, with a noun on its left only.
        ("a/DET cat/NOUN sits/VERB next/ADV to/ADP", None, None),
        ("a/DET cat/NOUN next/ADV to/ADP a/DET dog/NOUN sits/VERB next/ADV to/ADP", None, None),
        ("a/DET cat/NOUN looks/VERB near/ADP", None, None),
        ("near/ADP next/ADV to/ADP", None, None),
        # Names: the last word of the first run, if the prompt goes on behind it.
        ("a/DET cat/NOUN near/ADP Uncle/PROPN Bob/PROPN ./PUNCT", ("cat", "Bob"), ("cat", "Bob")),
        ("a/DET cat/NOUN near/ADP Uncle/PROPN Bob/PROPN", None, ("cat", "Bob")),
        ("a/DET cat/NOUN near/ADP Bob/PROPN and/CCONJ Ann/PROPN", ("cat", "Bob"), ("cat", "Bob")),
        ("a/DET cat/NOUN near/ADP Bob/PROPN 's/PART dog/NOUN", ("cat", "dog"), ("cat", "dog")),
        ("Bob/PROPN near/ADP Ann/PROPN next/ADV to/ADP Eve/PROPN", None, None),
    ],
)
def test_objects_beside_prepositions(text: str, reference: object, corrected: object):
    """What the official script's lines find in these parses."""
    tokens = [Token(*word.split("/")) for word in text.split()]
    assert objects_beside_prepositions(tokens) == reference
    assert objects_beside_prepositions(tokens, "corrected") == corrected
