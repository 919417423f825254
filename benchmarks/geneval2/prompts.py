"""GenEval 2's rows: a prompt, how many atoms it has, and its questions with what is expected and which skill they test.

Source: facebookresearch/GenEval2@a6e82d2, geneval2_data.jsonl and evaluation.py (tifa, soft_tifa, vqa_score).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.checklist.first_tokens import forms_of
from benchmarks.semantics import Semantics, UndefinedScoreError
from gotr1_eval.core.checklist import NUMBERS, ChecklistError, Question
from gotr1_eval.core.errors import DataError
from gotr1_eval.core.types import Json, Sample
from gotr1_eval.files.authors_wording import SourceFile
from gotr1_eval.files.jsonl import read_rows

FACTS = "geneval2"
"""The fact of a prompt that holds its row, and under ``index`` its place in the file."""
SKILLS = ("object", "attribute", "count", "position", "verb")
"""In the order of the official tables."""
ATOMS = range(3, 11)
DATA, SOURCE = "geneval2_data.jsonl", "evaluation.py"
_YES = ("Yes", "yes", " yes", " Yes")
_COUNTS = "How many"


@dataclass(frozen=True, slots=True)
class Row:
    """A prompt of the benchmark.

    Attributes:
        index: its place in the file, from 0.
        atoms: objects, attributes, counts, positions and verbs that it asks for, in 3..10; "a" is asked but no atom.
        pairs: (question, expected answer).
        skills: of each question.
    """

    index: int
    prompt: str
    atoms: int
    pairs: tuple[tuple[str, str], ...]
    skills: tuple[str, ...]

    @property
    def questions(self) -> tuple[Question, ...]:
        """The checklist, its ids counted from 1; the questions are the file's, template errors included."""
        return tuple(
            Question(id=str(place), text=text, answers=(answer,), tag=skill)
            for place, ((text, answer), skill) in enumerate(zip(self.pairs, self.skills, strict=True), start=1)
        )

    @property
    def fact(self) -> dict[str, Json]:
        """The row as it stands in the file, and its place there."""
        return {
            "index": self.index,
            "prompt": self.prompt,
            "atom_count": self.atoms,
            "vqa_list": [list(pair) for pair in self.pairs],
            "skills": list(self.skills),
        }


def read_file(path: Path) -> list[Row]:
    """The rows of a file of prompts, in order.

    Raises:
        DataError: it cannot be read, a line is no row of GenEval 2, or a prompt stands there twice.
    """
    rows: list[Row] = []
    seen: dict[str, int] = {}
    for number, content in read_rows(path, ours=False):
        try:
            rows.append(read_row({**content, "index": len(rows)}))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"not a prompt of GenEval 2 ({error!r})", path=path, line=number) from None
        if (first := seen.setdefault(rows[-1].prompt, number)) != number:
            raise DataError(f"the prompt of line {first} again: pictures are found by prompt", path=path, line=number)
    if not rows:
        raise DataError("no prompt in this file", path=path)
    return rows


def read_row(content: Mapping[str, Any]) -> Row:
    """The row that an object holds; raises KeyError, TypeError or ValueError where it holds none."""
    pairs = tuple((str(question), str(answer)) for question, answer in content["vqa_list"])
    skills = tuple(map(str, content["skills"]))
    if not pairs or len(pairs) != len(skills):
        raise ValueError(f"{len(pairs)} questions and {len(skills)} skills")
    if foreign := set(skills) - set(SKILLS):
        raise ValueError(f"unknown skill {min(foreign)!r}")
    return Row(int(content["index"]), str(content["prompt"]), int(content["atom_count"]), pairs, skills)


def row_of(sample: Sample) -> Row:
    """The sample's row.

    Raises:
        ChecklistError: its fact is no row of GenEval 2.
    """
    fact = sample.meta.get(FACTS)
    try:
        return read_row(fact if isinstance(fact, dict) else {})
    except (KeyError, TypeError, ValueError) as error:
        raise ChecklistError(f"the sample's fact {FACTS!r} is no prompt of GenEval 2 ({error!r})") from None


def forms(question: Question, semantics: Semantics) -> tuple[str, ...]:
    """The texts whose first tokens are summed for a right answer.

    The script takes a question for one of counting by its first two words, looks a number beyond ten up as "other", and
    scores any other expected answer as a yes. It lists a number's digit behind a blank, too: in Qwen's vocabulary that
    blank is a token of its own, so that a lone blank is credited to every count. `corrected` goes by the expected
    answer, and leaves the blank out.
    """
    answer = question.answers[0]
    if semantics == "corrected":
        return forms_of(question.answers)
    if not question.text.startswith(_COUNTS):
        return _YES
    digit = NUMBERS.get(answer)
    return (*_spelled(answer), *((digit[0], " ") if digit else ("other", " other")))


def alternatives(question: Question) -> tuple[str, ...]:
    """The forms of all answers that a question may have: yes and no, or one to ten."""
    answers = NUMBERS if question.answers[0].lower() in NUMBERS else ("yes", "no")
    others = (Question(id="", text=question.text, answers=(answer,)) for answer in answers)
    return tuple(form for other in others for form in forms(other, "corrected"))


def listed_words(question: Question) -> tuple[str, ...]:
    """What the script's TIFA takes for right: it compares a lower-cased token with these as they are written."""
    answer = question.answers[0]
    if not question.text.startswith(_COUNTS):
        return _YES
    digit = NUMBERS.get(answer, "other")
    return (*_spelled(answer), digit, f" {digit}")


def _spelled(answer: str) -> tuple[str, ...]:
    return (answer, answer.capitalize(), f" {answer}", f" {answer.capitalize()}")


@dataclass(frozen=True, slots=True)
class Wording:
    """The texts in which the judge is asked, with ``{}`` where a question or a prompt stands."""

    question: str
    whole_prompt: str

    def ask(self, question: Question) -> str:
        """A question of TIFA and Soft-TIFA."""
        return self.question.format(question.text)

    def ask_whole(self, prompt: str, semantics: Semantics) -> str:
        """The one question of VQAScore.

        Raises:
            UndefinedScoreError: `reference`, and the prompt holds braces that end the script: it fills the text twice.
        """
        once = self.whole_prompt.format(prompt)
        if semantics == "corrected":
            return once
        try:
            return once.format(prompt)
        except (KeyError, ValueError, IndexError) as error:
            raise UndefinedScoreError("the prompt's braces are taken for slots", type(error).__name__) from None


def read_wording(folder: Path) -> Wording:
    """The texts of the fetched script.

    Raises:
        DataError: the script is not there, or another one.
    """
    source = SourceFile(folder / SOURCE)
    return Wording(_only(source, "soft_tifa"), _only(source, "vqa_score"))


def _only(source: SourceFile, function: str) -> str:
    texts: Sequence[str] = source.formatted(function)
    if len(texts) != 1 or texts[0].count("{}") != 1:
        raise DataError(f"{function}: expected one text with one slot, got {len(texts)}", path=source.path)
    return texts[0]
