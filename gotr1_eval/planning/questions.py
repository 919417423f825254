"""The questions that the paper's judges ask about a picture, counted from the prompt files that they send."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from gotr1_eval.core.canvas import CANVAS_SIDE
from gotr1_eval.core.errors import UsageError, nearest_name
from gotr1_eval.planning.assumptions import Assumptions

PAPER = ("semantic", "spatial", "reasoning_image", "prompt_image")


@dataclass(frozen=True, slots=True)
class Question:
    """One kind of question.

    Attributes:
        calls: a picture.
        text: tokens of it.
        answer: tokens of the answer.
        side: of the picture that is shown, in pixels; None shows none.
    """

    judge: str
    calls: int
    text: float
    answer: int
    side: int | None


def questions(judges: Sequence[str], given: Assumptions) -> list[Question]:
    """What these judges ask; "paper" stands for the four that ask.

    Raises:
        UsageError: another judge.
    """
    names = [one for judge in judges for one in (PAPER if judge == "paper" else (judge,))]
    for name in names:
        if name not in PAPER:
            raise UsageError(
                f"--judges {name}: a plan knows what {', '.join(PAPER)} ask (together: paper)"
                f"{nearest_name(name, [*PAPER, 'paper'])}"
            )
    return [_question(name, given) for name in dict.fromkeys(names)]


def _question(name: str, given: Assumptions) -> Question:
    if name == "reasoning_image":
        text = _length("grounding", given)
        return Question(name, given.objects, text, given.box_tokens, given.image_side)
    text = _length(name, given) + given.prompt_tokens + (given.chain_tokens if name == "semantic" else 0)
    side = {"semantic": None, "spatial": CANVAS_SIDE, "prompt_image": given.image_side}[name]
    return Question(name, 1, text, given.score_tokens, side)


def _length(prompt: str, given: Assumptions) -> float:
    text = (resources.files("rewards") / "prompts" / f"{prompt}.txt").read_text("utf-8")
    return len(text) / given.characters_per_token
