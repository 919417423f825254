"""What T2I-CompBench's scores take from the parse of a prompt, so that two parsers can be held against each other.

Words and noun chunks that no score looks at may differ without any effect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmarks.semantics import Semantics, UndefinedScoreError
from benchmarks.t2i_compbench.attributes import attribute_questions
from benchmarks.t2i_compbench.complex_prompts import PARTS, ComplexKinds, cosine_text, read_kinds
from benchmarks.t2i_compbench.numeracy_prompts import Vocabulary, read_counts, read_vocabulary
from benchmarks.t2i_compbench.spatial_prompts import first_and_last_noun, objects_beside_prepositions
from gotr1_eval.core.perception import Parse

QUESTIONS, OBJECTS, PAIR, TEXT = "questions", "objects", "pair", "CLIP text"


@dataclass(frozen=True)
class ParsedLists:
    """The benchmark's lists in a folder, which decide what of a parse counts."""

    folder: Path
    semantics: Semantics = "reference"

    @cached_property
    def _kinds(self) -> ComplexKinds:
        return read_kinds(self.folder)

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        return read_vocabulary(self.folder / "new_objects.txt")

    def ingredients(self, category: str, prompt: str, parse: Parse) -> Mapping[str, str]:
        """Ingredient -> what it is: the questions about phrases, the objects, the pair of objects, CLIP's text.

        Empty for non_spatial, which takes the prompt as it is.

        Raises:
            DataError: the lists of complex or numeracy cannot be read.
        """
        if category in ("color", "shape", "texture"):
            return {QUESTIONS: self._questions(parse)}
        if category in ("spatial", "3d_spatial"):
            return {PAIR: _shown(lambda: first_and_last_noun(parse.tokens))}
        if category == "numeracy":
            return {OBJECTS: self._objects(parse)}
        return self._of_complex(prompt, parse) if category == "complex" else {}

    def _of_complex(self, prompt: str, parse: Parse) -> Mapping[str, str]:
        parts = PARTS[self._kinds.kind(prompt)]
        found = {QUESTIONS: self._questions(parse)}
        if "spatial" in parts:
            found[PAIR] = _shown(lambda: objects_beside_prepositions(parse.tokens, self.semantics) or ())
        if "action" in parts:
            found[TEXT] = cosine_text(prompt, parse.tokens, self.semantics)
        return found

    def _questions(self, parse: Parse) -> str:
        return _shown(lambda: attribute_questions(parse.noun_chunks, self.semantics))

    def _objects(self, parse: Parse) -> str:
        words = [token.text for token in parse.tokens]
        return _shown(
            lambda: [f"{one.number} {one.name}" for one in read_counts(words, self._vocabulary, self.semantics)]
        )


def _shown(read: Callable[[], Sequence[str]]) -> str:
    try:
        return "; ".join(read()) or "none"
    except UndefinedScoreError as error:
        return f"undefined, {error}"
