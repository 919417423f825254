"""T2I-CoReBench's prompts, each with its checklist of questions.

A file a dimension: prompt key (``C-MI-001``) -> Prompt, and a Checklist of question and tags.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from gotr1_eval.core.checklist import Question
from gotr1_eval.core.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A prompt and what is asked about its pictures; a question's tag is the first of its tags."""

    key: str
    prompt: str
    questions: tuple[Question, ...]


def read_items(path: Path) -> list[Item]:
    """The prompts of a dimension, in the file's order.

    Raises:
        DataError: the file is missing or holds something else.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        items = [
            Item(
                key=str(key),
                prompt=str(row["Prompt"]),
                questions=tuple(
                    Question(id=str(at), text=str(one["question"]), tag=str(next(iter(one.get("tags") or [""]))))
                    for at, one in enumerate(row["Checklist"], start=1)
                ),
            )
            for key, row in rows.items()
        ]
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", path=path) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"expected prompts with a Checklist of questions ({error!r})", path=path) from None
    if not items or not all(item.questions for item in items):
        raise DataError("a prompt without questions, or no prompt at all", path=path)
    return items
