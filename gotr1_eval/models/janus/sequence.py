"""One sequence of GoT-R1: `[bos] prompt chain <begin_of_image>`, then image tokens (paper section 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gotr1_eval.core.chain import BEGIN_OF_IMAGE

INSTRUCTION = "Follow the caption to generate an image through a chain of thought process: "
BOS, PAD = "<｜begin▁of▁sentence｜>", "<｜▁pad▁｜>"


@dataclass(frozen=True, slots=True)
class SpecialIds:
    """Ids that differ between checkpoints (Janus-Pro 1B and 7B too) and are always looked up by name."""

    bos: int
    pad: int
    begin_of_image: int

    @classmethod
    def of(cls, tokenizer: Any) -> SpecialIds:  # noqa: ANN401 - transformers is untyped
        """The ids of a tokenizer that `tokenizing.load_tokenizer` has read."""
        bos, pad, begin = tokenizer.convert_tokens_to_ids([BOS, PAD, BEGIN_OF_IMAGE])
        return cls(bos, pad, begin)


def prompt_text(prompt: str) -> str:
    """The user's turn and the opened answer, letter for letter as the released GoT-R1 models were trained."""
    return f"User: {(INSTRUCTION + prompt).strip()}\n\nAssistant:"


def encode_prompt(tokenizer: Any, prompt: str, special: SpecialIds) -> list[int]:  # noqa: ANN401
    """`[bos]` and the prompt's ids; whether a tokenizer adds bos by itself depends on its files, so it never may."""
    return [special.bos, *tokenizer.encode(prompt_text(prompt), add_special_tokens=False)]
