"""The colours of objects, as GenEval asks CLIP for them (evaluation/evaluate_images.py).

An object is cut out along its box, everything outside its mask painted grey (#999), and compared with three sentences
a colour; each colour's direction is the mean of its three embeddings. The sentences of a class are embedded once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.geneval.metadata import COLOURS
from benchmarks.geneval.objects import Found
from benchmarks.semantics import Semantics, UndefinedScoreError
from gotr1_eval.core.protocols import Encoder

BACKGROUND = "#999"
TEMPLATES = ("a photo of a {colour} {name}", "a photo of a {colour}-colored {name}", "a photo of a {colour} object")


def cut_out(picture: Image.Image, found: Found, semantics: Semantics = "reference") -> Image.Image:
    """The object alone: grey around its mask, cut along its box rounded to pixels; black beyond the picture's border.

    Args:
        picture: RGB, of the mask's size.

    Raises:
        UndefinedScoreError: `reference`, and the rounded box has no pixel, which ends the official script; `corrected`
            takes the pixel there.
    """
    if found.mask is not None:
        grey = Image.new("RGB", picture.size, BACKGROUND)
        picture = Image.composite(picture, grey, Image.fromarray(found.mask))
    left, top, right, bottom = (round(float(value)) for value in found.box)
    if right <= left or bottom <= top:
        if semantics == "reference":
            raise UndefinedScoreError("an object's box has no pixel to tell a colour from", "ZeroDivisionError")
        right, bottom = max(right, left + 1), max(bottom, top + 1)
    return picture.crop((left, top, right, bottom))


class ColourNamer:
    """Names the colours of cut-out objects with an encoder of pictures and texts."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self._directions: dict[str, NDArray[np.float32]] = {}

    def name_colours(self, cuts: Sequence[tuple[str, Image.Image]]) -> list[str]:
        """One of `COLOURS` for each (class name, cut-out object); all pictures are embedded together."""
        if not cuts:
            return []
        self._embed_sentences([name for name, _ in cuts])
        pictures = self.encoder.embed_images([cut for _, cut in cuts])
        pairs = zip(pictures, cuts, strict=True)
        return [COLOURS[int(np.argmax(self._directions[name] @ picture))] for picture, (name, _) in pairs]

    def _embed_sentences(self, names: Sequence[str]) -> None:
        """Unit directions [colours, width] of the classes that have none yet, in one call to the encoder."""
        new = [name for name in dict.fromkeys(names) if name not in self._directions]
        if not new:
            return
        texts = [form.format(colour=colour, name=name) for name in new for colour in COLOURS for form in TEMPLATES]
        rows = self.encoder.embed_texts(texts)
        means = rows.reshape(len(new), len(COLOURS), len(TEMPLATES), -1).mean(axis=2)
        units = means / np.linalg.norm(means, axis=-1, keepdims=True)
        self._directions |= dict(zip(new, units, strict=True))
