"""The conversation as Qwen's models read it, with their marks kept out of foreign text."""

from __future__ import annotations

from gotr1_eval.core.protocols import Request

PICTURE = "<|vision_start|><|image_pad|><|vision_end|>"
_STRUCTURE = (
    "<|im_start|>",
    "<|im_end|>",
    "<|endoftext|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)


def chat_text(request: Request, default_system: str) -> str:
    """The conversation in the family's format, up to where the assistant's answer begins.

    An empty system prompt is what the family's chat template makes of none: `default_system`.
    """
    system = unmarked(request.system) or default_system
    turns = [("system", system)] if system else []
    turns.append(("user", PICTURE * len(request.images) + unmarked(request.prompt)))
    for answer, question in request.followups:
        turns += [("assistant", unmarked(answer)), ("user", unmarked(question))]
    return "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in turns) + "<|im_start|>assistant\n"


def unmarked(text: str) -> str:
    """The text with the conversation's marks broken up (`<|im_end|>` becomes `< |im_end|>`).

    A chain to be judged may hold them by accident or on purpose; they must not end the question.
    """
    for mark in _STRUCTURE:
        text = text.replace(mark, f"< {mark[1:]}")
    return text
