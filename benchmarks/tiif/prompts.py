"""TIIF-Bench's testmini prompts: 39 attributes, a short and a long version of each prompt, and yes-no questions.

<attribute>_prompts.jsonl         type, short_description, long_description
<attribute>_eval_prompts.jsonl    type, yn_question_list, yn_answer_list; in the same order
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gotr1_eval.core.checklist import Question
from gotr1_eval.core.errors import DataError
from gotr1_eval.files.jsonl import read_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A prompt at one length; `index` is that of its picture's name, `length` ``short`` or ``long``."""

    index: int
    length: str
    prompt: str
    questions: tuple[Question, ...]


def read_items(folder: Path, attribute: str) -> list[Item]:
    """The attribute's short prompts, and behind them the long ones.

    Raises:
        DataError: a file is missing or holds something else, or the two files have not as many rows.
    """
    prompts_file, questions_file = (folder / f"{attribute}_{kind}.jsonl" for kind in ("prompts", "eval_prompts"))
    prompts, asked = ([row for _, row in read_rows(path, ours=False)] for path in (prompts_file, questions_file))
    if len(prompts) != len(asked) or not prompts:
        raise DataError(f"{len(asked)} rows of questions for {len(prompts)} prompts", path=questions_file)
    questions = [_questions(row, questions_file) for row in asked]
    return [
        Item(index=index, length=length, prompt=_text(row, f"{length}_description", prompts_file), questions=each)
        for length in ("short", "long")
        for index, (row, each) in enumerate(zip(prompts, questions, strict=True))
    ]


def _questions(row: Mapping[str, Any], path: Path) -> tuple[Question, ...]:
    texts, answers = row.get("yn_question_list"), row.get("yn_answer_list")
    if not _are_texts(texts) or not _are_texts(answers) or len(texts) != len(answers):  # type: ignore[arg-type]
        raise DataError("expected yn_question_list and as many entries in yn_answer_list", path=path)
    return tuple(
        Question(id=str(at), text=text.strip(), answers=(answer.strip().lower(),), tag=str(row.get("type", "")))
        for at, (text, answer) in enumerate(zip(texts or (), answers or (), strict=True), start=1)
    )


def _are_texts(found: object) -> bool:
    return isinstance(found, Sequence) and len(found) > 0 and all(isinstance(one, str) for one in found)


def _text(row: Mapping[str, Any], key: str, path: Path) -> str:
    if not isinstance(text := row.get(key), str):
        raise DataError(f"expected {key} in every row", path=path)
    return text
