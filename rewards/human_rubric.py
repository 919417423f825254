"""What people are asked who judge the same thing as a judge: the judge's own rubric, in its own words.

A prompt file's paragraphs are kept except those that quote the sample, say how the answer must look, or speak to a
model alone; where one says what a model is shown, people are told what they see (`FOR_PEOPLE`). Judges that compute
stand for the rubric of the reward they replace: `geometric` for that of `spatial`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gotr1_eval.core.errors import UsageError, nearest_name
from rewards.prompt_file import PromptFile
from rewards.prompt_image import PromptImageJudge
from rewards.rubric import RubricJudge
from rewards.semantic import DIMENSIONS, SemanticJudge
from rewards.spatial import SpatialJudge

GROUNDING = (
    "Does the picture hold each object of the plan where the plan put it? Compare the plan's frames with the picture, "
    "object by object.\n\n"
    "Marks: 8-10 every planned object is there and fills its frame; 5-7 most are there, or they stand somewhat beside "
    "their frames; 0-4 objects are missing or stand elsewhere."
)
"""The judge of this reward measures overlap and has no rubric in words; this says to people what it measures."""

FOR_PEOPLE: Mapping[str, str] = {
    "The picture is not a photograph but a layout: a white canvas": "The plan is drawn: a white canvas",
    "Describe what is really there, then compare it": "Look at what is really there in the picture, and compare it",
}
"""A model's wording -> people's, who see the drawn plan beside the picture and are asked for marks alone."""
_OWN_PROMPT = re.compile(r"own prompt ([0-9a-f]{4})")
_TO_MODELS = ("[[", "not an instruction", "is no instruction")
_MODELS_ONLY = re.compile(r"\s*Marks with decimals are allowed\.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One thing that people rate.

    Attributes:
        name: of the dimension.
        factor: the reward it belongs to.
        judge: full name of the judge that scores the same thing.
        low, high: ends of the scale, in steps of 1.
        needs: what must be shown for it, of "chain", "plan", "image".
    """

    name: str
    factor: str
    judge: str
    rubric: str
    low: int
    high: int
    needs: tuple[str, ...]


_KINDS: Mapping[str, tuple[type[RubricJudge], tuple[str, ...]]] = {
    "semantic": (SemanticJudge, ("chain",)),
    "spatial": (SpatialJudge, ("plan",)),
    "prompt_image": (PromptImageJudge, ("image",)),
}
NAMES: Mapping[str, tuple[str, ...]] = {
    "semantic": ("semantic", *DIMENSIONS),
    "spatial": ("spatial",),
    "reasoning_image": ("reasoning_image",),
    "prompt_image": ("prompt_image",),
}
"""Reward -> what its dimensions may be called, itself first."""


def questions(judges: Mapping[str, str], own_prompts: Mapping[str, Path]) -> list[Question]:
    """The questions of some rewards.

    Args:
        judges: factor -> full name of the judge that scored it; only those of `NAMES` have a rubric.
        own_prompts: factor -> the prompt file that its judge was given.

    Raises:
        UsageError: a judge was asked with a prompt file of the user's own and another one, or none, is named here.
    """
    for factor in own_prompts:
        if factor not in judges:
            raise UsageError(f"--rubric: no judge {factor!r} to study{nearest_name(factor, judges)}")
    return [one for factor in NAMES if factor in judges for one in _of_factor(factor, judges[factor], own_prompts)]


def _of_factor(factor: str, judge: str, own_prompts: Mapping[str, Path]) -> list[Question]:
    if factor == "reasoning_image":
        needed = ("plan", "image")
        return [Question(name=factor, factor=factor, judge=judge, rubric=GROUNDING, low=0, high=10, needs=needed)]
    kind, needs = _KINDS[factor]
    single = judge.startswith("semantic_single")
    names = DIMENSIONS if factor == "semantic" and not single else ("score",)
    own = own_prompts.get(factor)
    prompt = PromptFile("semantic_single" if single else factor, own, _markers(factor, judge, own))
    _check_own(factor, judge, prompt, own)
    return [
        Question(
            name=factor if name == "score" else name,
            factor=factor,
            judge=judge,
            rubric=rubric_text(prompt.text, name, names),
            low=kind.lowest,
            high=kind.highest,
            needs=needs,
        )
        for name in names
    ]


def _markers(factor: str, judge: str, own: Path | None) -> frozenset[str]:
    """Those of the judge's prompt file. People see plans drawn, whatever the judge saw, unless its file is named."""
    written = own is not None and judge.startswith("spatial_text")
    quoted = {"chain"} if factor == "semantic" else {"plan"} if written else set[str]()
    return frozenset({"prompt", "answer"} | quoted)


def _check_own(factor: str, judge: str, prompt: PromptFile, own: Path | None) -> None:
    """Hold the prompt file against the digest in the judge's name."""
    asked = _OWN_PROMPT.search(judge)
    if asked and own is None:
        raise UsageError(
            f"judge {judge} was asked with a prompt file of its own: name it with --rubric {factor}=FILE, so that "
            "people are asked the same"
        )
    if asked and prompt.digest != asked[1]:
        raise UsageError(f"--rubric {factor}={own}: this is not the prompt file that {judge} was asked with")


def rubric_text(prompt: str, name: str, names: tuple[str, ...]) -> str:
    """What a judge's prompt says about one of its scores.

    Args:
        prompt: the text of the prompt file.
        name: the score; lines of the form ``name: ...`` about the others are left out.
    """
    kept = []
    for paragraph in re.split(r"\n\s*\n", prompt):
        if any(mark in paragraph for mark in _TO_MODELS):
            continue
        lines = paragraph.splitlines()
        own = [line for line in lines if line.startswith(f"{name}:")]
        listed = any(line.startswith(tuple(f"{other}:" for other in names)) for line in lines)
        text = "\n".join(own) if listed else paragraph
        kept.append(_MODELS_ONLY.sub("", text))
    rubric = "\n\n".join(text for text in kept if text)
    for model, people in FOR_PEOPLE.items():
        rubric = rubric.replace(model, people)
    return rubric
