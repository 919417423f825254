"""What UniGenBench++'s judge is asked, put together from the wording in the authors' fetched script.

As CodeGoat24/UniGenBench@49d0bce, eval/src/eval_common.py:192 (build_system_prompt): a template a language, in which
stand the prompt, the list of kinds as Python writes it, the kinds' general definitions and what each means here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gotr1_eval.core.errors import DataError
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.files.authors_wording import SourceFile

_OPENING, _CLOSING = "\N{LEFT CORNER BRACKET}", "\N{RIGHT CORNER BRACKET}"
_SLOTS = ("prompt", "testpoint", "explanation", "test_explanation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """The wording of one language.

    Attributes:
        definitions: kind -> what it means in general.
        template: with the slots ``{prompt}``, ``{testpoint}``, ``{explanation}``, ``{test_explanation}``.
        header, description_header: before the definitions and before the descriptions.
    """

    definitions: Mapping[str, str]
    template: str
    header: str
    description_header: str

    @property
    def digest(self) -> str:
        """16 hex digits that change with any word."""
        return fingerprint(
            {
                "definitions": dict(self.definitions),
                "template": self.template,
                "headers": [self.header, self.description_header],
            }
        )

    def text(self, prompt: str, kinds: Sequence[str], descriptions: Sequence[str]) -> str:
        """The whole question about a picture.

        Raises:
            ValueError: a kind that the wording does not define, on which the official script ends, too.
        """
        if unknown := [kind for kind in kinds if kind not in self.definitions]:
            raise ValueError(f"the judge's wording has no definition of {unknown[0]!r}")
        return self.template.format(
            prompt=prompt,
            testpoint=[*kinds],
            explanation=_bracketed(self.header, kinds, [self.definitions[kind] for kind in kinds]),
            test_explanation=_bracketed(self.description_header, kinds, descriptions),
        )


def _bracketed(header: str, kinds: Sequence[str], texts: Sequence[str]) -> str:
    lines = [f"{kind}: {text}" for kind, text in zip(kinds, texts, strict=True)]
    return "\n".join([f"{header}:{_OPENING}", *lines, _CLOSING])


def read_wording(path: Path, language: str) -> Wording:
    """The wording of a language in the fetched script.

    Raises:
        DataError: the file is another one.
    """
    try:
        stated = SourceFile(path).constant("LANG_CONFIGS")[language]
        wording = Wording(
            definitions={str(kind): str(text) for kind, text in stated["explanation_dict"].items()},
            template=str(stated["system_prompt_template"]),
            header=str(stated["checkpoint_header"]),
            description_header=str(stated["checkpoint_desc_header"]),
        )
        wording.template.format(**dict.fromkeys(_SLOTS, ""))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"expected the judge's wording in LANG_CONFIGS ({error!r})", path=path) from None
    return wording
