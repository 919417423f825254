"""OneIG-Bench's files: prompts by class, questions with what they depend on, and texts to be shown.

Nothing of them is part of this project: their authors state no licence.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.oneig.texts import Language
from benchmarks.semantics import Semantics
from gotr1_eval.core.checklist import ChecklistError, Question, parents_first
from gotr1_eval.core.errors import DataError, one_line
from gotr1_eval.core.types import Json

ALIGNMENT, TEXT = "oneig_alignment", "oneig_text"
"""The keys of `Sample.meta` that hold a prompt's questions, and its text."""
CLASSES: Mapping[str, str] = {
    "anime": "Anime_Stylization", "human": "Portrait", "object": "General_Object",
    "multilingualism": "Multilingualism", "text": "Text_Rendering",
}  # fmt: skip
"""The classes that are judged here, by the names of their folders -> as the file of prompts calls them."""
OF_LANGUAGE: Mapping[Language, tuple[str, ...]] = {
    "en": ("anime", "human", "object", "text"), "zh": ("anime", "human", "object", "multilingualism", "text"),
}  # fmt: skip
_PROMPTS: Mapping[Language, tuple[str, str]] = {
    "en": ("OneIG-Bench.csv", "prompt_en"), "zh": ("OneIG-Bench-ZH.csv", "prompt_cn"),
}  # fmt: skip
_SUFFIX: Mapping[Language, str] = {"en": "", "zh": "_zh"}


@dataclass(frozen=True, slots=True)
class Item:
    """A prompt.

    Attributes:
        id: three digits, unique within its class.
        fact: what its judge needs, under the name of that judge.
    """

    id: str
    prompt: str
    fact: Mapping[str, Json]


def category_of(name: str, language: Language) -> str:
    """A class as a category of a run: ``anime``, ``zh_anime``, so that no table mixes the languages."""
    return name if language == "en" else f"{language}_{name}"


def read_items(folder: Path, language: Language) -> dict[str, list[Item]]:
    """The prompts of each class that is judged, in the order of the file.

    Raises:
        DataError: a file is missing or another one, or a prompt lacks its questions or its text.
    """
    path = folder / _PROMPTS[language][0]
    found: dict[str, list[Item]] = {name: [] for name in OF_LANGUAGE[language]}
    by_title = {CLASSES[name]: name for name in found}
    facts = {name: _facts(folder, name, language) for name in found}
    for row in _rows(path, ("category", "id", _PROMPTS[language][1])):
        if (name := by_title.get(row["category"])) is None:
            continue
        if (fact := facts[name].get(row["id"])) is None:
            raise DataError(f"{name} {row['id']}: no questions or text for this prompt", path=path)
        found[name].append(Item(row["id"], row[_PROMPTS[language][1]], fact))
    if empty := [name for name, items in found.items() if not items]:
        raise DataError(f"no prompt of the class {CLASSES[empty[0]]}", path=path)
    return found


def _facts(folder: Path, name: str, language: Language) -> dict[str, dict[str, Json]]:
    """Prompt id -> its fact."""
    if name == "text":
        path = folder / f"text_content{_SUFFIX[language]}.csv"
        rows = _rows(path, ("id", "text_content"))
        return {
            row["id"]: {TEXT: {"class": name, "id": row["id"], "language": language, "gold": row["text_content"]}}
            for row in rows
        }
    path = folder / f"{name}{_SUFFIX[language]}.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {
            key: {
                ALIGNMENT: {
                    "class": name, "id": key, "questions": _table(row["question"]),
                    "dependency": _table(row["dependency"]),
                }
            }
            for key, row in content.items()
        }  # fmt: skip
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", path=path) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"expected questions and dependencies by prompt ({one_line(repr(error))})", path=path) from None


def _table(value: Any) -> dict[str, Json]:  # noqa: ANN401 - JSON, or JSON as text
    found = json.loads(value) if isinstance(value, str) else value
    if not isinstance(found, dict):
        raise TypeError("no object")
    return {str(int(key)): one for key, one in found.items()}


def _rows(path: Path, columns: Sequence[str]) -> Iterator[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot be read: {one_line(error)}", path=path) from None
    if missing := [name for name in columns if name not in (reader.fieldnames or ())]:
        raise DataError(f"expected the columns {', '.join(columns)}; {', '.join(missing)} are missing", path=path)
    yield from rows


def questions_of(fact: Json, semantics: Semantics) -> tuple[Question, ...]:
    """A prompt's questions in the order of the file; by `corrected` behind their parents.

    Parents that are no question are left as they are; both rules of dependency pass over them.

    Raises:
        ChecklistError: the fact is another one, or by `reference` ids are not 1 to their number, where the script ends.
    """
    row: Any = fact
    try:
        texts, dependency = dict(row["questions"]), dict(row["dependency"])
        questions = [
            Question(
                id=key,
                text=str(text),
                answers=("Yes",),
                parents=tuple(str(parent) for parent in dependency.get(key, []) if int(parent)),
                tag=str(row["class"]),
            )
            for key, text in texts.items()
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise ChecklistError(f"expected questions of OneIG-Bench, got another fact ({error!r})") from None
    if not questions:
        raise ChecklistError("the prompt has no question")
    if semantics == "corrected":
        return tuple(parents_first(questions))
    if {question.id for question in questions} != {str(number + 1) for number in range(len(questions))}:
        raise ChecklistError("the ids of its questions are not 1 to their number: the script ends with KeyError")
    return tuple(questions)


def gold_of(fact: Json) -> str | None:
    """The wanted text of a fact of a text; None where it is another one."""
    if not isinstance(fact, dict) or fact.get("language") not in _PROMPTS:
        return None
    gold = fact.get("gold")
    return gold if isinstance(gold, str) else None
