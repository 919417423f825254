"""T2I-CompBench's 3-in-1 score of complex prompts: which of its three parts count (3_in_1_eval/3_in_1.py).

The three parts are the attribute score (BLIP-VQA), the 2D-spatial score in the complex mode, and the CLIP cosine. The
benchmark's lists say which prompts are spatial and which are actions; all other prompts take the mean of all three.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.semantics import Semantics
from gotr1_eval.core.perception import Token
from gotr1_eval.files.prompts import read_prompt_list

Part = Literal["attribute", "spatial", "action"]
PARTS: dict[str, tuple[Part, ...]] = {
    "spatial": ("attribute", "spatial"),
    "action": ("attribute", "action"),
    "both": ("attribute", "spatial", "action"),
}
"""Kind of prompt -> the parts whose mean is its score."""


@dataclass(frozen=True, slots=True)
class ComplexKinds:
    """The keys of the prompts that are spatial, and of those that are actions."""

    spatial: frozenset[str]
    action: frozenset[str]

    def kind(self, prompt: str) -> str:
        """ "spatial", "action" or "both"; a prompt on both lists is spatial."""
        key = prompt_key(prompt)
        return "spatial" if key in self.spatial else "action" if key in self.action else "both"


def prompt_key(prompt: str) -> str:
    """How the script compares prompts: up to the first full stop, in lower case."""
    return prompt.strip("\n").split(".")[0].lower()


def read_kinds(folder: Path) -> ComplexKinds:
    """The two lists in the folder of the benchmark's prompts.

    Raises:
        DataError: a list is missing or not a list of prompts.
    """
    spatial, action = (read_prompt_list(folder / f"complex_val_{kind}.txt") for kind in ("spatial", "action"))
    return ComplexKinds(frozenset(map(prompt_key, spatial)), frozenset(map(prompt_key, action)))


def complex_score(kind: str, parts: dict[Part, float]) -> float:
    """The mean of the parts that count for such a prompt."""
    counted = [parts[part] for part in PARTS[kind]]
    return sum(counted) / len(counted)


def cosine_text(prompt: str, tokens: Sequence[Token] | None, semantics: Semantics = "reference") -> str:
    """The text that CLIP compares with the picture.

    The official script drops the adjectives of complex prompts and joins the other words by spaces; `corrected` takes
    the prompt as it is.

    Args:
        tokens: of a complex prompt; None for any other, which is taken as it is.
    """
    if tokens is None or semantics == "corrected":
        return prompt
    return " ".join(token.text for token in tokens if token.pos != "ADJ")
