"""T2I-CompBench's BLIP-VQA score of one picture, for color, shape and texture, and for complex in part
(BLIPvqa_eval/BLIP_vqa.py).

Each noun chunk of the prompt is asked about ("a green bench?"), and the probabilities of "yes" are multiplied: a longer
prompt multiplies more of them and scores lower. The number of questions is therefore a part of every score.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from benchmarks.semantics import Semantics, UndefinedScoreError

MOST_CHUNKS = 8
"""Chunks that the official script asks about; later ones are ignored."""
PLACES = frozenset({"top", "the side", "the left", "the right"})
"""Chunks that name a place and no thing, as the official script writes them, upper and lower case told apart."""
CORRECTED_PLACES = PLACES | {
    *("side", "left", "right", "bottom", "front", "the top", "the bottom", "the front"),
    *("it", "its", "that", "which", "who", "each other", "another"),
}


def attribute_questions(noun_chunks: Sequence[str], semantics: Semantics = "reference") -> tuple[str, ...]:
    """What the model is asked about a picture, in order; empty where the prompt has no chunk.

    `corrected` asks about all chunks, and not about places and pronouns that name nothing.

    Raises:
        UndefinedScoreError: `corrected`, and there is no chunk. The official script gives such a picture a 1.
    """
    if semantics == "reference":
        kept = [chunk for chunk in noun_chunks if chunk not in PLACES][:MOST_CHUNKS]
    else:
        kept = [chunk for chunk in noun_chunks if chunk.lower() not in CORRECTED_PLACES]
        if not kept:
            raise UndefinedScoreError("the prompt has no noun chunk to ask about")
    return tuple(f"{chunk}?" for chunk in kept)


def attribute_score(probabilities: Sequence[float], semantics: Semantics = "reference") -> float:
    """The product of the probabilities of "yes", in [0, 1]; 1 for none.

    The official script writes every probability and the product with four decimals, and multiplies in float32.
    """
    if semantics == "corrected":
        return math.prod(probabilities)
    product = np.float32(1.0)
    for probability in probabilities:
        product *= np.float32(f"{probability:.4f}")
    return float(f"{product:.4f}")
