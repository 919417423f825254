"""One-word replies of T2I-CoReBench's judges -> yes, no, or no verdict.

The official script has two paths: vLLM for open judges, where letter case counts and a thinking judge's answer follows
the closing think tag and exactly two line ends, and Gemini, where the reply is lowered first. On both a yes anywhere
wins over a no. Source: KlingTeam/T2I-CoReBench@ebf7b7a, evaluate.py:209 and :229 (vllm), :304 and :333 (gemini).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from gotr1_eval.core.reading import UnreadableReply
from gotr1_eval.core.reading.reply import answer_part

OfficialPath = Literal["vllm", "gemini"]
Verdict = Literal[0, 1]

_END_OF_THOUGHT = "</think>\n\n"
_YES, _NO = re.compile(r"\byes\b"), re.compile(r"\bno\b")
_CERTAIN = re.compile(r"(?:the )?(?:answer(?: is)?)?\W*(yes|no)\W*", re.I)


def thinks(judge: str) -> bool:
    """Whether the official script takes a judge of that name for a thinking one: by its name alone."""
    name = judge.lower().replace(".", "_").replace("-", "_")
    return "thinking" in name or "qwen3_5" in name


def official_answer(text: str, path: OfficialPath, *, thinking: bool = False) -> str:
    """What of a reply counts as the answer; empty where the official script asks again, up to three times in all."""
    if path == "gemini":
        return text.strip().lower()
    if thinking:
        text = text.rsplit(_END_OF_THOUGHT, maxsplit=1)[-1] if _END_OF_THOUGHT in text else ""
    return text if text.strip() else ""


def official_verdict(answer: str) -> Verdict | None:
    """1 where the answer holds the lower-case word yes, else 0 where it holds no, else none."""
    return 1 if _YES.search(answer) else 0 if _NO.search(answer) else None


def read_verdict(text: str, finish: str | None = None) -> Verdict:
    """The verdict of a reply that is one word, yes or no, in any letter case and dress, after the last thought.

    Raises:
        UnreadableReply: the answer is something else; also where it holds both words.
    """
    match = _CERTAIN.fullmatch(answer_part(text, finish=finish).strip())
    if match is None:
        raise UnreadableReply("Answer with a single word, yes or no.")
    return 1 if match[1].lower() == "yes" else 0


def verdict_of(number: float) -> Verdict:
    """The verdict that a number says."""
    return 1 if number else 0


def image_score(verdicts: Sequence[Verdict | None]) -> float | None:
    """The mean of a picture's verdicts, in [0, 1]; questions without one leave it, None where no question has one."""
    given = [verdict for verdict in verdicts if verdict is not None]
    return sum(given) / len(given) if given else None


def dimension_mean(pictures: Mapping[str, float | None]) -> float | None:
    """The mean of the pictures' scores; those without one leave it."""
    given = [score for score in pictures.values() if score is not None]
    return sum(given) / len(given) if given else None
