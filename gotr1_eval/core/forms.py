"""Forms: JSON schemas that an answer is made to follow while it is decoded, and reading such an answer.

A form keeps to what OpenAI, vLLM, SGLang and llguidance all enforce: an object at the root, every field required, no
other fields, marks as an enum and never a bare number, strings and lists with a greatest length. So every form is
finite: an answer under it ends by itself, whatever the model's weights are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from gotr1_eval.core.outcome import Why
from gotr1_eval.core.protocols import Constraining, Vlm
from gotr1_eval.core.reading import UnreadableReply
from gotr1_eval.core.reading.reply import refuse_refusal
from gotr1_eval.core.types import Json

FORMS_VERSION = 2
"""Counted up whenever a judge's form, or the reading of an answer in it, changes; part of the judge's fingerprint."""
Form = dict[str, Json]
"""A JSON schema of the subset above."""

REASONS_LENGTH = 1200
"""Characters of all reasons of an answer together, about 300 tokens: a form without a limit may never end."""
MOST_BOXES = 16
"""As many boxes as fit into an answer of 512 tokens, each with its digits apart."""
_BYTES_A_CHARACTER = 12
"""At most: a pair of escaped surrogates, ``\\ud83d\\ude00``."""


def constrains(vlm: Vlm) -> bool:
    """Whether the model's answers are made to follow a form; see `Constraining` for the errors."""
    return isinstance(vlm, Constraining) and vlm.constrains()


def marks_form(names: Sequence[str], marks: Sequence[float], reasons: Sequence[str] = ()) -> Form:
    """An object with texts under `reasons`, and after them one of the marks under each of the names.

    Args:
        marks: whole numbers, or half steps.
    """
    kind = "integer" if all(isinstance(mark, int) for mark in marks) else "number"
    texts: Form = {reason: {"type": "string", "maxLength": REASONS_LENGTH // len(reasons)} for reason in reasons}
    return _object({**texts, **{name: {"type": kind, "enum": [*marks]} for name in names}})


def boxes_form(frame: tuple[float, float], labels: Sequence[str] = ()) -> Form:
    """``{"boxes": [{"bbox_2d": [x1, y1, x2, y2], "label": ...}, ...]}``, an empty list for nothing found.

    Args:
        frame: (width, height) of the coordinates. What the form cannot rule out, corners that are swapped or beyond the
            shorter side, is for `reading.read_boxes` to refuse.
        labels: the names that a box may have; none leaves the field out.
    """
    coordinate: Form = {"type": "integer", "minimum": 0, "maximum": int(max(frame))}
    box: Form = {"bbox_2d": {"type": "array", "items": coordinate, "minItems": 4, "maxItems": 4}}
    if labels:
        box["label"] = {"type": "string", "enum": [*labels]}
    return _object({"boxes": {"type": "array", "items": _object(box), "maxItems": MOST_BOXES}})


def _object(fields: Mapping[str, Json]) -> Form:
    return {"type": "object", "properties": {**fields}, "required": [*fields], "additionalProperties": False}


def longest_answer(form: Mapping[str, Json]) -> int:
    """Bytes of the longest answer in the form: no answer has more tokens.

    Raises:
        KeyError: a string has no maxLength, or a list no maxItems, so that there is no longest one.
    """
    if "enum" in form:
        return max(map(_written, _list(form["enum"])))
    return _LONGEST[str(form["type"])](form)


def _longest_object(form: Any) -> int:  # noqa: ANN401 - a schema is JSON of any depth
    return 2 + sum(_written(name) + 4 + longest_answer(inner) for name, inner in form["properties"].items())


_LONGEST: Mapping[str, Callable[[Any], int]] = {
    "object": _longest_object,
    "array": lambda form: 2 + form["maxItems"] * (2 + longest_answer(form["items"])),
    "string": lambda form: 2 + form["maxLength"] * _BYTES_A_CHARACTER,
    "integer": lambda form: max(_written(form["minimum"]), _written(form["maximum"])),
}


def _written(value: Json) -> int:
    return len(json.dumps(value)) + 2  # 8 may be written 8.0


def read_form(text: str, form: Mapping[str, Json], *, finish: str | None = None) -> dict[str, Any]:
    """The answer's object, which must be the whole answer and exactly of the form.

    Texts may be longer than the form says: that limit is there to make answers end, and servers count it differently.

    Raises:
        UnreadableReply: it is not. Nothing is guessed: what does not follow an enforced form was cut off, or was not
            made under it. Or one of its texts says that the picture was not seen, or that no answer is given.
    """
    try:
        value = json.loads(text, object_pairs_hook=_without_doubles, parse_constant=_refuse_constant)
        _check(value, form, "the answer")
    except (ValueError, RecursionError) as error:
        if finish == "length":
            raise UnreadableReply("The answer was cut off before its form was complete.", why=Why.TRUNCATED) from None
        fault = "it is no JSON" if isinstance(error, json.JSONDecodeError | RecursionError) else str(error)
        raise UnreadableReply(f"The answer does not follow the form that was asked for: {fault[:160]}.") from None
    for words in _texts(value):
        refuse_refusal(words)
    found: dict[str, Any] = value
    return found


def _texts(value: Any) -> Iterator[str]:  # noqa: ANN401 - JSON of any depth
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)


def _check(value: Any, form: Any, where: str) -> None:  # noqa: ANN401
    """Raises ValueError, telling the place, when a value is not of the form."""
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "number": int | float}
    whole = isinstance(value, float) and value.is_integer()  # 8.0 is an integer to JSON Schema
    if isinstance(value, bool) or not (isinstance(value, kinds[form["type"]]) or (form["type"] == "integer" and whole)):
        raise ValueError(f"{where} is no {form['type']}")
    if "enum" in form and value not in form["enum"]:
        raise ValueError(f"{where} is none of the values allowed")
    if "minimum" in form and not form["minimum"] <= value <= form["maximum"]:
        raise ValueError(f"{where} is not between {form['minimum']} and {form['maximum']}")
    if isinstance(value, dict):
        if set(value) != set(form["properties"]):
            raise ValueError(f"{where} must have the fields {', '.join(form['properties'])} and no others")
        for name, inner in value.items():
            _check(inner, form["properties"][name], f'"{name}"')
    if isinstance(value, list):
        if not form.get("minItems", 0) <= len(value) <= form["maxItems"]:
            raise ValueError(f"{where} has {len(value)} entries")
        for inner in value:
            _check(inner, form["items"], f"an entry of {where}")


def _list(value: Json) -> list[Json]:
    assert isinstance(value, list)
    return value


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a field is given twice")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
