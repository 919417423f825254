"""What it takes to judge so many pictures with a served model."""

from __future__ import annotations

from collections.abc import Sequence

from gotr1_eval.core.errors import UsageError
from gotr1_eval.models.vlms.resizing import smart_resized
from gotr1_eval.planning import flops
from gotr1_eval.planning.assumptions import Assumptions, Gpu
from gotr1_eval.planning.phases import Phase, reading, writing
from gotr1_eval.planning.questions import Question
from gotr1_eval.planning.sizes import JudgeSize, Tower

MAX_PIXELS = 12_845_056
"""Of Qwen2.5-VL's released picture processor, as its smallest is 3136."""


def judge_pictures(
    images: float, asked: Sequence[Question], size: JudgeSize, gpu: Gpu, given: Assumptions
) -> list[Phase]:
    """A phase for each kind of question: reading it, picture included, and writing the answer.

    Raises:
        UsageError: the weights and the questions under way do not fit into one GPU.
    """
    longest = max(_read(question, size) + question.answer for question in asked)
    need = needed_memory(size, longest, given)
    if need > gpu.memory:
        raise UsageError(
            f"a copy of the judge with {given.judge_batch} questions under way needs {need / 1e9:.0f} GB, a GPU has "
            f"{gpu.memory / 1e9:.0f}: choose a smaller judge or --set judge_batch, or plan a group of GPUs as one with "
            "--set gpu_memory, gpu_flops and gpu_bandwidth"
        )
    return [phase for question in asked for phase in _phases(images, question, size, gpu, given)]


def needed_memory(size: JudgeSize, tokens: float, given: Assumptions) -> float:
    """Bytes of the weights and of the caches of the questions under way."""
    cache = flops.cache_bytes(size.language, given.weight_bytes) * tokens * given.judge_batch
    return flops.judge_weights(size) * given.weight_bytes + cache


def _phases(images: float, question: Question, size: JudgeSize, gpu: Gpu, given: Assumptions) -> list[Phase]:
    calls, read = images * question.calls, _read(question, size)
    eyes = (
        0.0 if question.side is None else flops.tower(size.tower, _seen(question.side, size.tower), size.language.width)
    )
    each = flops.language(size.language, read) + flops.head(size.language, 1) + eyes
    asking = reading(f"{question.judge}: reading", calls * each, gpu, given.read_share, calls)
    answer = writing(
        f"{question.judge}: answering",
        size.language,
        flops.language_weights(size.language),
        rows=calls,
        batch=min(given.judge_batch, calls),
        new=question.answer,
        past=read,
        extra=0.0,
        gpu=gpu,
        given=given,
    )
    return [asking, answer]


def _read(question: Question, size: JudgeSize) -> float:
    shown = 0 if question.side is None else flops.picture_tokens(size.tower, _seen(question.side, size.tower))
    return question.text + shown


def _seen(side: int, tower: Tower) -> tuple[int, int]:
    """The size at which the model looks at a square picture."""
    return smart_resized((side, side), factor=tower.patch * tower.merge, min_pixels=3136, max_pixels=MAX_PIXELS)
